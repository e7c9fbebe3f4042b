/* SPDX-License-Identifier: GPL-2.0-only */
/* A dirty log as a guest's owner gives it, one bit a page, and what guest memory held before, to see which pages changed. */
#ifndef VHOST_BLK_CHECK_DIRTY_LOG_H
#define VHOST_BLK_CHECK_DIRTY_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "guest.h"
#include "memory.h"

#define LOG_PAGE 4096u
#define LOG_BYTES ((NEXT_GPA + NEXT_BYTES) / LOG_PAGE / 8)

struct dirty_log {
	/* One page more on either side, which must stay as it is. */
	uint8_t *room;
	uint8_t *bits;
	int event;
};

/* What all regions of guest memory held. */
struct snapshot {
	char *region[MEMORY_REGIONS];
};

/* dirty_log_create() - a log without a bit, and an eventfd for it */
void dirty_log_create(struct dirty_log *log);

/* dirty_log_is_set() - whether the page at a guest physical address is marked */
bool dirty_log_is_set(const struct dirty_log *log, uint64_t gpa);

/* dirty_log_count() - Return: how many pages are marked */
unsigned dirty_log_count(const struct dirty_log *log);

/* dirty_log_expect_event() - the log's eventfd is signalled in time */
void dirty_log_expect_event(const struct dirty_log *log);

/**
 * dirty_log_expect_changes() - the pages that changed are marked, and nothing else was written
 * @before: guest memory as it was
 * @rings: pages of the used ring are to be marked, too
 *
 * Return: how many pages changed.
 */
unsigned dirty_log_expect_changes(const struct guest *guest, const struct snapshot *before, const struct dirty_log *log,
				  bool rings);

void snapshot_take(struct snapshot *snapshot, const struct memory *memory);
void snapshot_free(struct snapshot *snapshot);

#endif
