/* SPDX-License-Identifier: GPL-2.0-only */
/* What each sector of a part of the disk must hold, and which of them a request in flight may be changing. */
#ifndef VHOST_BLK_CHECK_MODEL_H
#define VHOST_BLK_CHECK_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "disk.h"

/* Content of a sector: zeroes, anything (it was discarded), or the pattern of a salt above these. */
enum { MODEL_ZERO, MODEL_UNKNOWN, MODEL_FIRST_SALT };

struct model {
	uint64_t first;
	uint32_t sectors;
	uint32_t *content;
	/* Requests in flight over each sector: how many read it, or BUSY_WRITE. */
	uint16_t *busy;
};

/* Lays MODEL_FIRST_SALT's pattern on the disk; whole blocks only. */
void model_create(struct model *model, const struct disk *disk, uint64_t first, uint32_t sectors);
void model_destroy(struct model *model);

/* Whether a request may start: a write where nothing runs, a read where nothing writes. Sectors count from @first. */
bool model_begin(struct model *model, uint32_t sector, uint32_t sectors, bool write);

/* The request of model_begin() was not made after all. */
void model_cancel(struct model *model, uint32_t sector, uint32_t sectors, bool write);

/* The request of model_begin() has ended; one that wrote left @content. */
void model_end_read(struct model *model, uint32_t sector, uint32_t sectors);
void model_end_write(struct model *model, uint32_t sector, uint32_t sectors, uint32_t content);

/* Fails the case when @data is not what these sectors hold. */
void model_expect(const struct model *model, const char *what, uint32_t sector, uint32_t sectors, const char *data);

/* Compares all of it with the disk, behind the module's back. */
void model_expect_disk(const struct model *model, const struct disk *disk);

#endif
