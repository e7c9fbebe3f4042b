// SPDX-License-Identifier: GPL-2.0-only
/* Well-formed chains that make no request: parts missing, sizes beyond reason, and rings made by chance. */
#include <endian.h>
#include <string.h>

#include "hostile.h"
#include "suite.h"
#include "watch.h"

#define MAX_SPANS 300u

struct odd_request {
	const char *name;
	uint32_t type;
	/* Lengths of readable and writable descriptors; the first readable one starts with the header. */
	uint32_t readable[6], writable[6];
};

static const struct odd_request odd[] = {
	{ "header of 8 bytes", VIRTIO_BLK_T_OUT, { 8 }, { 1 } },
	{ "header of 15 bytes", VIRTIO_BLK_T_OUT, { 15 }, { 1 } },
	{ "header of 15 bytes in 5 descriptors", VIRTIO_BLK_T_OUT, { 1, 2, 3, 4, 5 }, { 1 } },
	{ "no readable descriptor", VIRTIO_BLK_T_OUT, { 0 }, { 512, 1 } },
	{ "only a status", VIRTIO_BLK_T_OUT, { 0 }, { 1 } },
	{ "no writable descriptor", VIRTIO_BLK_T_IN, { 16 }, { 0 } },
	{ "read of 0 bytes", VIRTIO_BLK_T_IN, { 16 }, { 1 } },
	{ "write of 0 bytes", VIRTIO_BLK_T_OUT, { 16 }, { 1 } },
	{ "read with data to write", VIRTIO_BLK_T_IN, { 16, 512 }, { 512, 1 } },
	{ "write with data to read", VIRTIO_BLK_T_OUT, { 16, 512 }, { 4096, 1 } },
	{ "flush with data", VIRTIO_BLK_T_FLUSH, { 16, 512 }, { 512, 1 } },
	{ "get id with 1 byte of room", VIRTIO_BLK_T_GET_ID, { 16 }, { 1, 1 } },
	{ "get id with no room", VIRTIO_BLK_T_GET_ID, { 16 }, { 1 } },
	{ "get id with 64 KiB of room", VIRTIO_BLK_T_GET_ID, { 16 }, { 65536, 1 } },
	{ "unknown type with 1 MiB each way", 99, { 16, 1048576 }, { 1048576, 1 } },
	{ "read of 511 bytes in 2 descriptors", VIRTIO_BLK_T_IN, { 16 }, { 256, 255, 1 } },
	{ "data of 0xffffffff bytes", VIRTIO_BLK_T_OUT, { 16, 0xffffffffu }, { 1 } },
	{ "read of 0xfffffe00 bytes", VIRTIO_BLK_T_IN, { 16 }, { 0xfffffe00u, 1 } },
	{ "lengths that add up to 512 modulo 2^32", VIRTIO_BLK_T_IN, { 16 }, { 0x80000000u, 0x80000000u, 512, 1 } },
	{ "status alone completes 2^32", VIRTIO_BLK_T_IN, { 16 }, { 0xffffffffu, 1 } },
	{ "2 GiB of data", VIRTIO_BLK_T_OUT, { 16, 0x80000000u }, { 1 } },
};

static unsigned add_spans(struct memory *memory, const uint32_t *lengths, unsigned max, struct span *spans,
			  uint64_t first)
{
	unsigned count = 0;

	for (unsigned i = 0; i < max && lengths[i]; i++, count++) {
		spans[count].len = lengths[i];
		/* What no memory can hold starts in memory and runs out of it. */
		if (!i && first)
			spans[count].gpa = first;
		else
			spans[count].gpa = memory_data(memory, lengths[i] > 4 * MIB ? 4096 : lengths[i], 512);
	}
	return count;
}

static uint64_t place_header(struct memory *memory, uint32_t type)
{
	struct virtio_blk_outhdr header = { .type = htole32(type) };
	uint64_t gpa = memory_data(memory, 64, 64);

	memcpy(memory_at(memory, gpa, sizeof(header)), &header, sizeof(header));
	return gpa;
}

static void run_odd(const struct disk *disk, const struct check_case *self)
{
	const struct odd_request *request = &odd[self->count];
	unsigned readable, writable;
	struct span spans[12];
	struct guest guest;
	enum ring_event event;
	uint32_t len;

	watch_begin(disk);
	guest_create(&guest, &self->options);
	readable = add_spans(&guest.memory, request->readable, 6, spans,
			     place_header(&guest.memory, request->type));
	writable = add_spans(&guest.memory, request->writable, 6, spans + readable, 0);
	guest_attach(&guest, disk->fd);
	ring_add(&guest.ring[0], &guest.memory, spans, readable, writable,
		 self->shape.indirect ? memory_ring(&guest.memory, sizeof(spans) * 2, 16) : 0, spans);
	ring_kick_always(&guest.ring[0]);
	event = hostile_expect_answer(&guest.ring[0]);
	if (event == RING_USED) {
		ring_pop(&guest.ring[0], &len);
		note("answered, length %u", len);
	} else {
		note("ring stopped");
	}
	guest_detach(&guest);
	if (request->type != VIRTIO_BLK_T_OUT || request->readable[1] != 512)
		watch_expect(disk);
	guest_close(&guest);
	hostile_expect_good_device(disk);
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static uint64_t choose(uint64_t *state, const uint64_t *values, unsigned count)
{
	return values[next_random(state) % count];
}

/* One descriptor: mostly plausible, now and then absurd, so that walks get far before they break. */
static void random_desc(struct vring_desc *desc, uint64_t *state, uint64_t header, uint64_t table, unsigned limit)
{
	const uint64_t places[] = { header, header, DATA_GPA + 8 * MIB, DATA_GPA + 9 * MIB + 13, NEXT_GPA - 512, table,
				    table, NEXT_GPA + NEXT_BYTES - 100, 0, UINT64_MAX - 3 };
	const uint64_t lengths[] = { 16, 16, 1, 512, 512, 4096, 8, 48, 64, 0, 65536, 0x7fffffff, 0xffffffff };
	const uint64_t flags[] = { 0, VRING_DESC_F_NEXT, VRING_DESC_F_NEXT, VRING_DESC_F_NEXT,
				   VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, VRING_DESC_F_WRITE, VRING_DESC_F_INDIRECT, 0xffff };

	desc->addr = htole64(choose(state, places, 10));
	desc->len = htole32((uint32_t)choose(state, lengths, 13));
	desc->flags = htole16((uint16_t)choose(state, flags, 8));
	desc->next = htole16((uint16_t)(next_random(state) % (limit + 2)));
}

static void run_random(const struct disk *disk, const struct check_case *self)
{
	const uint64_t types[] = { 0, 1, 4, 8, 11, 13, 99 };
	uint64_t state = 0x2545f4914f6cdd1dull * (self->count + 1);
	unsigned answered = 0, stopped = 0;

	for (unsigned round = 0; round < 40; round++) {
		struct guest guest;
		struct ring *ring = &guest.ring[0];
		uint64_t header, table;
		bool broken = false;

		guest_create(&guest, &(struct guest_options){ .num = 16, .event_idx = round & 1 });
		table = memory_ring(&guest.memory, 16 * sizeof(struct vring_desc), 16);
		header = place_header(&guest.memory, (uint32_t)choose(&state, types, 7));
		guest_attach(&guest, disk->fd);
		for (unsigned step = 0; step < 16 && !broken; step++) {
			for (unsigned i = 0; i < 16; i++) {
				random_desc(&ring->desc[i], &state, header, table, 16);
				random_desc((struct vring_desc *)memory_at(&guest.memory, table, 256) + i, &state,
					    header, table, 16);
			}
			ring->avail->ring[step] = htole16((uint16_t)(next_random(&state) % 17));
			ring_publish(ring, (uint16_t)(ring->avail_idx + 1));
			ring_kick_always(ring);
			broken = hostile_expect_answer(ring) == RING_BROKEN;
			if (broken)
				stopped++;
			else
				answered++;
			ring->last_used = ring_used_idx(ring);
		}
		guest_close(&guest);
	}
	note("%u answered, %u stopped", answered, stopped);
	hostile_expect_good_device(disk);
}

void suite_add_hostile_requests(struct suite *suite)
{
	for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct check_case *added = suite_add(suite, GROUP_HOSTILE, run_odd, "request: %s", odd[i].name);

		added->count = i;
		added->shape.indirect = i % 2;
	}
	for (unsigned seed = 0; seed < 6; seed++)
		suite_add(suite, GROUP_HOSTILE, run_random, "rings by chance, seed %u", seed)->count = seed;
}
