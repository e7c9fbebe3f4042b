/* SPDX-License-Identifier: GPL-2.0-only */
/* The dirty bitmap of a migration: a bit for each 4 KiB of guest physical address, in memory that the frontend shares. */
#ifndef DIRTY_LOG_H
#define DIRTY_LOG_H

#include <stdbool.h>

#include "session.h"

/* Whether a bitmap of @bytes has bits for all of @length bytes from @gpa on. */
bool dirty_log_covers(uint64_t bytes, uint64_t gpa, uint64_t length);

/*
 * Whether there is room in the session's log, with its features, for all of its memory: the kernel would write behind it.
 * Return: 0, or -1 with @reason.
 */
int dirty_log_check_start(const struct session *session, struct reason *reason);

/*
 * The same for other @features and @memory, which the rings that run are about to have. While none runs nothing is logged,
 * and frontends tell where only after that (QEMU, vhost_dev_start()).
 */
int dirty_log_check(const struct session *session, uint64_t features, const struct memory *memory,
		    struct reason *reason);

#endif
