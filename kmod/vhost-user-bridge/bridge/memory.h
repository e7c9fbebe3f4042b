/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest's memory, in slots: what the frontend shares of it, and where it is mapped here. */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>

#include "mapping.h"
#include "protocol.h"
#include "uapi/vhost_blk.h"

#define MEMORY_SLOTS VHOST_BLK_MAX_MEM_REGIONS

struct slot {
	struct vu_region region;
	struct mapping mapping;
	/* The mapping is another struct memory's, which is about to be replaced by this one. */
	bool borrowed;
};

struct memory {
	unsigned int nr;
	struct slot slot[MEMORY_SLOTS];
};

/*
 * Maps a region and adds it as the last slot. @fd: the caller's still.
 * Return: 0, or -1 with @reason: it is empty, wraps, overlaps another, or can not be mapped.
 */
int memory_add(struct memory *memory, const struct vu_region *region, int fd, struct reason *reason);

/* Takes back what memory_add() did last. */
void memory_remove_last(struct memory *memory);

/*
 * Makes a whole table that is to replace @now. A region that @now has, of the same file, keeps its place, and is borrowed.
 * Return: 0, or -1 with @reason.
 */
int memory_make(struct memory *memory, const struct memory *now, const struct vu_memory *table, const int *fds,
		struct reason *reason);

/* Borrows all regions of @now but just this one. Return: whether there is such. */
bool memory_without(struct memory *memory, const struct memory *now, const struct vu_region *region);

/* Whether @now has regions that @memory does not borrow: they will go. */
bool memory_drops(const struct memory *memory, const struct memory *now);

/* @memory and @now change places: what was borrowed belongs to @now then, and @memory has what is to go. */
void memory_replace(struct memory *memory, struct memory *now);

/* Where @bytes at the frontend's address @uaddr are here; NULL: they are not in one region. */
char *memory_at(const struct memory *memory, uint64_t uaddr, uint64_t bytes);

/* The first guest physical address behind all of it. */
uint64_t memory_end(const struct memory *memory);

/* For the kernel; @table has room for MEMORY_SLOTS regions. */
void memory_tell(const struct memory *memory, struct vhost_memory *table);

/* Unmaps all that is not borrowed. */
void memory_clear(struct memory *memory);

#endif
