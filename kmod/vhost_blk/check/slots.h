/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Places in guest memory for requests that come and go in any order: each has memory for data and for an indirect table
 * of its own, which its next request uses again.
 */
#ifndef VHOST_BLK_CHECK_SLOTS_H
#define VHOST_BLK_CHECK_SLOTS_H

#include "request.h"

#define SLOT_DATA_BYTES (208 * KIB)
#define SLOT_TABLE_BYTES (4 * KIB)
#define SLOT_MAX_DESCRIPTORS (SLOT_TABLE_BYTES / 16)

struct slots {
	struct guest *guest;
	unsigned count;
	uint64_t data, table;
	struct request *request;
	bool *used;
};

/* @count slots in the rest of a guest's memory, which holds no further allocations from here on. */
void slots_create(struct slots *slots, struct guest *guest, unsigned count);
void slots_destroy(struct slots *slots);

/* The number of a free slot; -1 when all are used. */
int slots_free(const struct slots *slots);

/* request_build() in a slot. Fails the case when the request does not fit. */
struct request *slots_build(struct slots *slots, unsigned slot, const struct request_shape *shape);

/* The number of the slot that request_pop() returned the request of. */
unsigned slots_number(const struct slots *slots, const struct request *request);

void slots_release(struct slots *slots, unsigned slot);

/* A shape of @type with @bytes of data, its layout by chance, that fits a slot when @bytes is 64 KiB or less. */
struct request_shape slots_shape(uint64_t *state, uint32_t type, uint32_t bytes);

#endif
