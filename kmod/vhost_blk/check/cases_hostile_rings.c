// SPDX-License-Identifier: GPL-2.0-only
/* Chains that break the rules of split rings: each must be answered or stop the ring, and write nothing to the disk. */
#include <endian.h>
#include <string.h>

#include "hostile.h"
#include "suite.h"
#include "watch.h"

#define NUM 256u
#define N VRING_DESC_F_NEXT
#define W VRING_DESC_F_WRITE
#define I VRING_DESC_F_INDIRECT

/* Where a raw descriptor points: parts of a good request, or places where there is no memory. */
enum place { HEADER, DATA, STATUS, TABLE, UNMAPPED, REGION_END, ADDRESS_END };

struct raw {
	enum place place;
	uint32_t len;
	uint16_t flags, next;
};

struct hostile_ring {
	const char *name;
	uint32_t type;
	uint16_t head;
	/* Added to avail.idx; 0 counts as 1. */
	uint16_t published;
	struct raw ring[5], table[5];
};

#define OUT VIRTIO_BLK_T_OUT
#define IN VIRTIO_BLK_T_IN
#define GOOD_OUT { HEADER, 16, N, 1 }, { DATA, 512, N, 2 }, { STATUS, 1, W, 0 }
#define GOOD_IN { HEADER, 16, N, 1 }, { DATA, 512, N | W, 2 }, { STATUS, 1, W, 0 }

static const struct hostile_ring rings[] = {
	{ "avail index jumps past the ring", OUT, 0, NUM + 1, { GOOD_OUT }, { { 0 } } },
	{ "avail index jumps by 40000", OUT, 0, 40000, { GOOD_OUT }, { { 0 } } },
	{ "avail index goes back by one", OUT, 0, 65535, { GOOD_OUT }, { { 0 } } },
	{ "head is the ring size", OUT, NUM, 0, { GOOD_OUT }, { { 0 } } },
	{ "head is 65535", OUT, 65535, 0, { GOOD_OUT }, { { 0 } } },
	{ "next is the ring size", OUT, 0, 0, { { HEADER, 16, N, NUM } }, { { 0 } } },
	{ "next is 65535", OUT, 0, 0, { { HEADER, 16, N, 1 }, { DATA, 512, N, 65535 } }, { { 0 } } },
	{ "descriptor follows itself", OUT, 0, 0, { { HEADER, 16, N, 0 } }, { { 0 } } },
	{ "writable descriptor follows itself", IN, 0, 0,
	  { { HEADER, 16, N, 1 }, { DATA, 512, N | W, 1 } }, { { 0 } } },
	{ "two descriptors in a loop", OUT, 0, 0, { { HEADER, 16, N, 1 }, { DATA, 512, N, 0 } }, { { 0 } } },
	{ "zero-length descriptors in a loop", OUT, 0, 0, { { HEADER, 0, N, 1 }, { DATA, 0, N, 0 } }, { { 0 } } },
	{ "readable after writable", OUT, 0, 0,
	  { { HEADER, 16, N, 1 }, { STATUS, 1, N | W, 2 }, { DATA, 512, 0, 0 } }, { { 0 } } },
	{ "header after the status", IN, 0, 0, { { STATUS, 1, N | W, 1 }, { HEADER, 16, 0, 0 } }, { { 0 } } },
	{ "zero-length data", IN, 0, 0,
	  { { HEADER, 16, N, 1 }, { DATA, 0, N | W, 2 }, { STATUS, 1, W, 0 } }, { { 0 } } },
	{ "zero-length descriptor behind the status", IN, 0, 0,
	  { { HEADER, 16, N, 1 }, { DATA, 512, N | W, 2 }, { STATUS, 1, N | W, 3 }, { STATUS, 0, W, 0 } }, { { 0 } } },
	{ "only zero-length descriptors", OUT, 0, 0,
	  { { HEADER, 0, N, 1 }, { DATA, 0, N, 2 }, { STATUS, 0, W, 0 } }, { { 0 } } },
	{ "data at an unmapped address", OUT, 0, 0,
	  { { HEADER, 16, N, 1 }, { UNMAPPED, 512, N, 2 }, { STATUS, 1, W, 0 } }, { { 0 } } },
	{ "good data, then an unmapped address", OUT, 0, 0,
	  { { HEADER, 16, N, 1 }, { DATA, 4096, N, 2 }, { UNMAPPED, 4096, N, 3 }, { STATUS, 1, W, 0 } }, { { 0 } } },
	{ "read to an unmapped address", IN, 0, 0,
	  { { HEADER, 16, N, 1 }, { UNMAPPED, 512, N | W, 2 }, { STATUS, 1, W, 0 } }, { { 0 } } },
	{ "data over the end of memory", OUT, 0, 0,
	  { { HEADER, 16, N, 1 }, { REGION_END, 1024, N, 2 }, { STATUS, 1, W, 0 } }, { { 0 } } },
	{ "read over the end of memory", IN, 0, 0,
	  { { HEADER, 16, N, 1 }, { REGION_END, 1024, N | W, 2 }, { STATUS, 1, W, 0 } }, { { 0 } } },
	{ "address and length wrap", OUT, 0, 0,
	  { { HEADER, 16, N, 1 }, { ADDRESS_END, 8192, N, 2 }, { STATUS, 1, W, 0 } }, { { 0 } } },
	{ "header at an unmapped address", OUT, 0, 0,
	  { { UNMAPPED, 16, N, 1 }, { DATA, 512, N, 2 }, { STATUS, 1, W, 0 } }, { { 0 } } },
	{ "status at an unmapped address", IN, 0, 0,
	  { { HEADER, 16, N, 1 }, { DATA, 512, N | W, 2 }, { UNMAPPED, 1, W, 0 } }, { { 0 } } },
	{ "write with the status at an unmapped address", OUT, 0, 0,
	  { { HEADER, 16, N, 1 }, { DATA, 512, N, 2 }, { UNMAPPED, 1, W, 0 } }, { { 0 } } },
	{ "indirect length 0", OUT, 0, 0, { { TABLE, 0, I, 0 } }, { GOOD_OUT } },
	{ "indirect length 24", OUT, 0, 0, { { TABLE, 24, I, 0 } }, { GOOD_OUT } },
	{ "indirect length 47", OUT, 0, 0, { { TABLE, 47, I, 0 } }, { GOOD_OUT } },
	{ "indirect table of 65537 entries", OUT, 0, 0,
	  { { TABLE, 65537 * 16, I, 0 } }, { { HEADER, 16, N, 1 }, { DATA, 512, N, 1 } } },
	{ "indirect length 0xfffffff0", OUT, 0, 0,
	  { { TABLE, 0xfffffff0u, I, 0 } }, { { HEADER, 16, N, 1 }, { DATA, 512, N, 1 } } },
	{ "indirect within indirect", OUT, 0, 0,
	  { { TABLE, 48, I, 0 } }, { { HEADER, 16, N, 1 }, { TABLE, 48, I | N, 2 }, { STATUS, 1, W, 0 } } },
	{ "indirect with next", OUT, 0, 0,
	  { { TABLE, 48, I | N, 1 }, { DATA, 512, N, 2 }, { STATUS, 1, W, 0 } }, { GOOD_OUT } },
	{ "indirect and writable", IN, 0, 0, { { TABLE, 48, I | W, 0 } }, { GOOD_IN } },
	{ "chain, then indirect", IN, 0, 0,
	  { { HEADER, 16, N, 1 }, { TABLE, 32, I, 0 } }, { { DATA, 512, N | W, 1 }, { STATUS, 1, W, 0 } } },
	{ "indirect next past the table", OUT, 0, 0, { { TABLE, 48, I, 0 } }, { { HEADER, 16, N, 3 } } },
	{ "indirect next 65535", OUT, 0, 0, { { TABLE, 48, I, 0 } }, { { HEADER, 16, N, 65535 } } },
	{ "indirect descriptor follows itself", OUT, 0, 0, { { TABLE, 48, I, 0 } }, { { HEADER, 16, N, 0 } } },
	{ "indirect chain without an end", OUT, 0, 0,
	  { { TABLE, 32, I, 0 } }, { { HEADER, 16, N, 1 }, { DATA, 512, N, 2 } } },
	{ "indirect readable after writable", OUT, 0, 0,
	  { { TABLE, 48, I, 0 } }, { { HEADER, 16, N, 1 }, { STATUS, 1, N | W, 2 }, { DATA, 512, 0, 0 } } },
	{ "indirect table at an unmapped address", OUT, 0, 0, { { UNMAPPED, 48, I, 0 } }, { { 0 } } },
	{ "indirect table over the end of memory", OUT, 0, 0, { { REGION_END, 16 * 64, I, 0 } }, { { 0 } } },
	{ "indirect table, address and length wrap", OUT, 0, 0, { { ADDRESS_END, 8192, I, 0 } }, { { 0 } } },
	{ "reserved descriptor flags", IN, 0, 0,
	  { { HEADER, 16, N | 0xff80, 1 }, { DATA, 512, N | W | 0xff80, 2 }, { STATUS, 1, W | 0xff80, 0 } },
	  { { 0 } } },
	{ "two heads the same", IN, 0, 2, { GOOD_IN }, { { 0 } } },
	{ "whole ring full of one head", IN, 0, NUM, { GOOD_IN }, { { 0 } } },
};

struct target {
	uint64_t header, data, status, table;
};

static struct target place_target(struct memory *memory, uint32_t type)
{
	struct virtio_blk_outhdr header = { .type = htole32(type) };
	struct target target = {
		.header = memory_data(memory, 64, 64), .data = memory_data(memory, 4 * MIB, 4096),
		.status = memory_data(memory, 64, 64), .table = memory_ring(memory, 4096, 16),
	};

	memcpy(memory_at(memory, target.header, sizeof(header)), &header, sizeof(header));
	memset(memory_at(memory, target.data, 1 * MIB), 0xee, 1 * MIB);
	memset(memory_at(memory, target.status, 1), STATUS_NONE, 1);
	return target;
}

static uint64_t resolve(const struct target *target, enum place place)
{
	switch (place) {
	case HEADER:
		return target->header;
	case DATA:
		return target->data;
	case STATUS:
		return target->status;
	case TABLE:
		return target->table;
	case REGION_END:
		return NEXT_GPA + NEXT_BYTES - 512;
	case ADDRESS_END:
		return UINT64_MAX - 4095;
	case UNMAPPED:
		break;
	}
	return 0x7000000000ull;
}

static void write_raw(struct vring_desc *at, const struct raw *raw, const struct target *target)
{
	for (unsigned i = 0; i < 5; i++) {
		at[i].addr = htole64(resolve(target, raw[i].place));
		at[i].len = htole32(raw[i].len);
		at[i].flags = htole16(raw[i].flags);
		at[i].next = htole16(raw[i].next);
	}
}

static void run_ring(const struct disk *disk, const struct check_case *self)
{
	const struct hostile_ring *hostile = &rings[self->count];
	struct target target;
	struct guest guest;
	struct ring *ring = &guest.ring[0];
	enum ring_event event;

	watch_begin(disk);
	guest_create(&guest, &(struct guest_options){ .num = NUM, .event_idx = self->options.event_idx });
	target = place_target(&guest.memory, hostile->type);
	write_raw(ring->desc, hostile->ring, &target);
	write_raw(memory_at(&guest.memory, target.table, 5 * sizeof(struct vring_desc)), hostile->table, &target);
	for (unsigned i = 0; i < NUM; i++)
		ring->avail->ring[i] = htole16(hostile->head);
	guest_attach(&guest, disk->fd);
	ring_publish(ring, hostile->published ? hostile->published : 1);
	ring_kick_always(ring);
	event = hostile_expect_answer(ring);
	note("%s", event == RING_BROKEN ? "ring stopped" : "answered");
	guest_detach(&guest);
	watch_expect(disk);
	guest_close(&guest);
	hostile_expect_good_device(disk);
}

/* A chain through every descriptor and back to the first. */
static void run_full_loop(const struct disk *disk, const struct check_case *self)
{
	struct target target;
	struct guest guest;
	struct ring *ring = &guest.ring[0];

	(void)self;
	watch_begin(disk);
	guest_create(&guest, &(struct guest_options){ .num = NUM });
	target = place_target(&guest.memory, OUT);
	for (unsigned i = 0; i < NUM; i++) {
		ring->desc[i].addr = htole64(i ? target.data + 512 * i : target.header);
		ring->desc[i].len = htole32(i ? 512 : 16);
		ring->desc[i].flags = htole16(N);
		ring->desc[i].next = htole16((uint16_t)((i + 1) % NUM));
	}
	guest_attach(&guest, disk->fd);
	ring_publish(ring, 1);
	ring_kick_always(ring);
	note("%s", hostile_expect_answer(ring) == RING_BROKEN ? "ring stopped" : "answered");
	guest_detach(&guest);
	watch_expect(disk);
	guest_close(&guest);
	hostile_expect_good_device(disk);
}

void suite_add_hostile_rings(struct suite *suite)
{
	for (unsigned i = 0; i < sizeof(rings) / sizeof(rings[0]); i++) {
		struct check_case *added = suite_add(suite, GROUP_HOSTILE, run_ring, "ring: %s", rings[i].name);

		added->count = i;
		added->options.event_idx = i % 2;
	}
	suite_add(suite, GROUP_HOSTILE, run_full_loop, "ring: all descriptors in a loop");
}
