// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "memory.h"

#include <linux/vhost.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "report.h"

#define CANARY 0xc5

static const struct { uint64_t gpa; size_t bytes; } plan[MEMORY_REGIONS] = {
	{ RING_GPA, RING_BYTES }, { DATA_GPA, DATA_BYTES }, { NEXT_GPA, NEXT_BYTES },
};

/* Where they are made, also when a region has moved since. */
static char *canary(const struct memory *memory, unsigned number)
{
	char *at = memory->whole;

	for (unsigned i = 0; i < number; i++)
		at += CANARY_BYTES + plan[i].bytes;
	return at;
}

static void map(struct memory *memory)
{
	char *hva;

	memory->whole_bytes = RING_BYTES + DATA_BYTES + NEXT_BYTES + (MEMORY_REGIONS + 1) * CANARY_BYTES;
	memory->whole = mmap(NULL, memory->whole_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory->whole == MAP_FAILED)
		fail_errno("can not map %zu bytes of guest memory", memory->whole_bytes);
	hva = memory->whole + CANARY_BYTES;
	for (unsigned i = 0, offset = 0; i < MEMORY_REGIONS; i++) {
		memory->region[i].gpa = plan[i].gpa;
		memory->region[i].bytes = plan[i].bytes;
		memory->region[i].hva = mmap(hva, plan[i].bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
					     memory->memfd, (off_t)offset);
		if (memory->region[i].hva == MAP_FAILED)
			fail_errno("can not map %zu bytes of guest memory", plan[i].bytes);
		offset += plan[i].bytes;
		hva += plan[i].bytes + CANARY_BYTES;
	}
	for (unsigned i = 0; i <= MEMORY_REGIONS; i++)
		memset(canary(memory, i), CANARY, CANARY_BYTES);
}

void memory_create(struct memory *memory)
{
	memset(memory, 0, sizeof(*memory));
	memory->memfd = memfd_create("vhost-blk-check-guest", MFD_CLOEXEC);
	if (memory->memfd < 0 || ftruncate(memory->memfd, RING_BYTES + DATA_BYTES + NEXT_BYTES))
		fail_errno("can not make guest memory");
	map(memory);
	memory->ring_next = RING_GPA;
	memory->data_next = DATA_GPA;
}

void memory_expect_untouched(const struct memory *memory)
{
	if (!memory->whole)
		return;
	for (unsigned i = 0; i <= MEMORY_REGIONS; i++)
		for (unsigned byte = 0; byte < CANARY_BYTES; byte++)
			if ((unsigned char)canary(memory, i)[byte] != CANARY)
				fail("expected memory beside the guest's to stay, saw byte %u %s region %u change",
				     byte, i ? "behind" : "before", i ? i - 1 : 0);
}

int memory_register(const struct memory *memory, int vhost)
{
	size_t bytes = sizeof(struct vhost_memory) + MEMORY_REGIONS * sizeof(struct vhost_memory_region);
	struct vhost_memory *table = calloc(1, bytes);
	int result;

	if (!table)
		fail("out of memory");
	table->nregions = MEMORY_REGIONS;
	for (unsigned i = 0; i < MEMORY_REGIONS; i++) {
		table->regions[i].guest_phys_addr = memory->region[i].gpa;
		table->regions[i].memory_size = memory->region[i].bytes;
		table->regions[i].userspace_addr = (uintptr_t)memory->region[i].hva;
	}
	result = ioctl(vhost, VHOST_SET_MEM_TABLE, table);
	free(table);
	return result;
}

void *memory_at(const struct memory *memory, uint64_t gpa, size_t bytes)
{
	for (unsigned i = 0; i < MEMORY_REGIONS; i++) {
		const struct memory_region *region = &memory->region[i];

		if (gpa >= region->gpa && gpa - region->gpa <= region->bytes &&
		    bytes <= region->bytes - (gpa - region->gpa))
			return region->hva + (gpa - region->gpa);
	}
	fail("the check itself is wrong: no guest memory at %#llx", (unsigned long long)gpa);
}

static uint64_t take(uint64_t *next, uint64_t end, size_t bytes, size_t align)
{
	uint64_t gpa = (*next + align - 1) & ~(uint64_t)(align - 1);

	if (gpa > end || bytes > end - gpa)
		fail("the check itself is wrong: guest memory used up");
	*next = gpa + bytes;
	return gpa;
}

uint64_t memory_ring(struct memory *memory, size_t bytes, size_t align)
{
	return take(&memory->ring_next, RING_GPA + RING_BYTES, bytes, align);
}

uint64_t memory_data(struct memory *memory, size_t bytes, size_t align)
{
	return take(&memory->data_next, DATA_GPA + DATA_BYTES, bytes, align);
}

void memory_data_reset(struct memory *memory)
{
	memory->data_next = DATA_GPA;
}

/* A span may cross from one region into the next, so what is copied at once ends at a region's end. */
static size_t contiguous(const struct memory *memory, uint64_t gpa, size_t bytes)
{
	for (unsigned i = 0; i < MEMORY_REGIONS; i++) {
		const struct memory_region *region = &memory->region[i];

		if (gpa >= region->gpa && gpa - region->gpa < region->bytes) {
			size_t left = region->bytes - (gpa - region->gpa);

			return bytes < left ? bytes : left;
		}
	}
	fail("the check itself is wrong: no guest memory at %#llx", (unsigned long long)gpa);
}

static void copy(const struct memory *memory, const struct span *spans, unsigned count, uint64_t offset,
		 char *local, size_t bytes, int to_guest)
{
	for (unsigned i = 0; i < count && bytes; i++) {
		uint64_t gpa = spans[i].gpa;
		size_t left = spans[i].len;

		if (offset >= left) {
			offset -= left;
			continue;
		}
		gpa += offset;
		left -= offset;
		offset = 0;
		while (left && bytes) {
			size_t now = contiguous(memory, gpa, left < bytes ? left : bytes);
			char *guest = memory_at(memory, gpa, now);

			if (to_guest)
				memcpy(guest, local, now);
			else
				memcpy(local, guest, now);
			gpa += now;
			left -= now;
			local += now;
			bytes -= now;
		}
	}
	if (bytes)
		fail("the check itself is wrong: %zu bytes beyond the request", bytes);
}

void spans_write(const struct memory *memory, const struct span *spans, unsigned count, uint64_t offset,
		 const void *from, size_t bytes)
{
	copy(memory, spans, count, offset, (char *)(uintptr_t)from, bytes, 1);
}

void spans_read(const struct memory *memory, const struct span *spans, unsigned count, uint64_t offset,
		void *to, size_t bytes)
{
	copy(memory, spans, count, offset, to, bytes, 0);
}

void memory_destroy(struct memory *memory)
{
	if (!memory->whole)
		return;
	munmap(memory->whole, memory->whole_bytes);
	close(memory->memfd);
}
