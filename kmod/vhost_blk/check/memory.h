/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest memory: a memfd mapped in several places, so that a guest physical address never equals the address it is
 * mapped at, and two regions that are neighbours for the guest are not neighbours for the host. Before, between and
 * behind them lies memory of the owner that is not the guest's, which nothing that the device does may change.
 */
#ifndef VHOST_BLK_CHECK_MEMORY_H
#define VHOST_BLK_CHECK_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#define KIB 1024ul
#define MIB (1024ul * KIB)

#define MEMORY_REGIONS 3u
#define CANARY_BYTES (16 * KIB)
#define RING_GPA 0x10000000ull
#define RING_BYTES (2 * MIB)
#define DATA_GPA 0x40000000ull
#define DATA_BYTES (24 * MIB)
#define NEXT_GPA (DATA_GPA + DATA_BYTES)
#define NEXT_BYTES (4 * MIB)

struct memory_region {
	uint64_t gpa;
	size_t bytes;
	char *hva;
};

struct memory {
	int memfd;
	struct memory_region region[MEMORY_REGIONS];
	/* All of the above with what lies around it. */
	char *whole;
	size_t whole_bytes;
	uint64_t ring_next, data_next;
};

/* One descriptor's worth of guest memory. */
struct span {
	uint64_t gpa;
	uint32_t len;
};

void memory_create(struct memory *memory);

/* Unmaps all regions; safe on a zeroed struct. */
void memory_destroy(struct memory *memory);

/* Fails the case when memory around the regions is not what it was; safe on a zeroed struct. */
void memory_expect_untouched(const struct memory *memory);

/* Gives the three regions to the device (VHOST_SET_MEM_TABLE). Returns 0 or -1 with errno. */
int memory_register(const struct memory *memory, int vhost);

/* The host address of @bytes at @gpa; fails the case when they are not all in one region. */
void *memory_at(const struct memory *memory, uint64_t gpa, size_t bytes);

/* Bump allocators; @align is a power of two. They fail the case when the region is used up. */
uint64_t memory_ring(struct memory *memory, size_t bytes, size_t align);
uint64_t memory_data(struct memory *memory, size_t bytes, size_t align);

/* Forgets all data allocations; ring memory stays. */
void memory_data_reset(struct memory *memory);

/* Copies between a local buffer and a list of spans, starting @offset bytes into the list. */
void spans_write(const struct memory *memory, const struct span *spans, unsigned count, uint64_t offset,
		 const void *from, size_t bytes);
void spans_read(const struct memory *memory, const struct span *spans, unsigned count, uint64_t offset,
		void *to, size_t bytes);

#endif
