// SPDX-License-Identifier: GPL-2.0-only
#include "memory.h"

#include <string.h>

#define PLACE "memory at %#llx"

static bool overlap(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes)
{
	return a < b ? b - a < a_bytes : a - b < b_bytes;
}

static int check_region(const struct memory *memory, const struct vu_region *region, struct reason *reason)
{
	unsigned long long gpa = region->gpa;

	if (!region->bytes)
		return refuse(reason, PLACE " is empty", gpa);
	/* The last byte, so that a region may end where the space ends. */
	if (region->gpa > UINT64_MAX - region->bytes || region->uaddr > UINT64_MAX - region->bytes ||
	    region->offset > UINT64_MAX - region->bytes)
		return refuse(reason, PLACE " wraps", gpa);
	if (memory->nr == MEMORY_SLOTS)
		return refuse(reason, PLACE " is one region too many", gpa);
	for (unsigned int i = 0; i < memory->nr; i++) {
		const struct vu_region *other = &memory->slot[i].region;

		if (overlap(region->gpa, region->bytes, other->gpa, other->bytes) ||
		    overlap(region->uaddr, region->bytes, other->uaddr, other->bytes))
			return refuse(reason, PLACE " overlaps that at %#llx", gpa, (unsigned long long)other->gpa);
	}
	return 0;
}

int memory_add(struct memory *memory, const struct vu_region *region, int fd, struct reason *reason)
{
	struct slot *slot = &memory->slot[memory->nr];

	if (check_region(memory, region, reason) ||
	    mapping_make(&slot->mapping, fd, region->offset, region->bytes, reason))
		return -1;
	slot->region = *region;
	slot->borrowed = false;
	memory->nr++;
	return 0;
}

void memory_remove_last(struct memory *memory)
{
	struct slot *slot = &memory->slot[--memory->nr];

	if (!slot->borrowed)
		mapping_remove(&slot->mapping);
}

/* Has a slot use the mapping of the same part of the same file for the same place. */
static void borrow(struct slot *slot, const struct memory *now)
{
	for (unsigned int i = 0; i < now->nr; i++) {
		const struct slot *other = &now->slot[i];

		if (!memcmp(&slot->region, &other->region, sizeof(slot->region)) &&
		    slot->mapping.device == other->mapping.device && slot->mapping.inode == other->mapping.inode) {
			mapping_remove(&slot->mapping);
			slot->mapping = other->mapping;
			slot->borrowed = true;
			return;
		}
	}
}

int memory_make(struct memory *memory, const struct memory *now, const struct vu_memory *table, const int *fds,
		struct reason *reason)
{
	memory->nr = 0;
	for (unsigned int i = 0; i < table->nregions; i++) {
		if (memory_add(memory, &table->region[i], fds[i], reason)) {
			memory_clear(memory);
			return -1;
		}
		borrow(&memory->slot[i], now);
	}
	return 0;
}

bool memory_without(struct memory *memory, const struct memory *now, const struct vu_region *region)
{
	bool found = false;

	memory->nr = 0;
	for (unsigned int i = 0; i < now->nr; i++) {
		const struct vu_region *other = &now->slot[i].region;

		/* Frontends need not tell where it is in the file when they take it away. */
		if (region->gpa == other->gpa && region->bytes == other->bytes && region->uaddr == other->uaddr) {
			found = true;
			continue;
		}
		memory->slot[memory->nr] = now->slot[i];
		memory->slot[memory->nr++].borrowed = true;
	}
	return found;
}

static bool borrows(const struct memory *memory, const struct slot *from)
{
	for (unsigned int i = 0; i < memory->nr; i++)
		if (memory->slot[i].borrowed && memory->slot[i].mapping.at == from->mapping.at)
			return true;
	return false;
}

bool memory_drops(const struct memory *memory, const struct memory *now)
{
	for (unsigned int i = 0; i < now->nr; i++)
		if (!borrows(memory, &now->slot[i]))
			return true;
	return false;
}

void memory_replace(struct memory *memory, struct memory *now)
{
	unsigned int nr = now->nr > memory->nr ? now->nr : memory->nr;

	for (unsigned int i = 0; i < now->nr; i++)
		now->slot[i].borrowed = borrows(memory, &now->slot[i]);
	for (unsigned int i = 0; i < memory->nr; i++)
		memory->slot[i].borrowed = false;
	for (unsigned int i = 0; i < nr; i++) {
		struct slot slot = now->slot[i];

		now->slot[i] = memory->slot[i];
		memory->slot[i] = slot;
	}
	nr = now->nr;
	now->nr = memory->nr;
	memory->nr = nr;
}

char *memory_at(const struct memory *memory, uint64_t uaddr, uint64_t bytes)
{
	for (unsigned int i = 0; i < memory->nr; i++) {
		const struct slot *slot = &memory->slot[i];
		uint64_t into = uaddr - slot->region.uaddr;

		if (uaddr >= slot->region.uaddr && into < slot->region.bytes)
			return bytes <= slot->region.bytes - into ? slot->mapping.at + into : NULL;
	}
	return NULL;
}

uint64_t memory_end(const struct memory *memory)
{
	uint64_t end = 0;

	for (unsigned int i = 0; i < memory->nr; i++) {
		const struct vu_region *region = &memory->slot[i].region;

		if (region->gpa + region->bytes > end)
			end = region->gpa + region->bytes;
	}
	return end;
}

void memory_tell(const struct memory *memory, struct vhost_memory *table)
{
	table->nregions = memory->nr;
	table->padding = 0;
	for (unsigned int i = 0; i < memory->nr; i++) {
		const struct slot *slot = &memory->slot[i];

		table->regions[i] = (struct vhost_memory_region){
			.guest_phys_addr = slot->region.gpa,
			.memory_size = slot->region.bytes,
			.userspace_addr = (uintptr_t)slot->mapping.at,
		};
	}
}

void memory_clear(struct memory *memory)
{
	while (memory->nr)
		memory_remove_last(memory);
}
