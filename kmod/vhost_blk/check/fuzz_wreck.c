// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>

#include "effort.h"
#include "fuzz.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint64_t bad_address(uint64_t *state, bool spare_ring)
{
	const uint64_t places[] = {
		0, 1, RING_GPA - 1, RING_GPA + RING_BYTES, DATA_GPA - 512, DATA_GPA, DATA_GPA + 13, NEXT_GPA - 512,
		NEXT_GPA - 1, NEXT_GPA + NEXT_BYTES - 512, NEXT_GPA + NEXT_BYTES - 1, NEXT_GPA + NEXT_BYTES,
		0x7000000000ull, 1ull << 47, 1ull << 63, UINT64_MAX - 511, UINT64_MAX,
	};

	switch (chance_below(state, spare_ring ? 3 : 4)) {
	case 0:
		return chance(state) | 1ull << 40;
	case 1:
		return DATA_GPA + chance_below(state, DATA_BYTES + NEXT_BYTES);
	case 2:
		return places[chance_below(state, COUNT(places))];
	default:
		return RING_GPA + chance_below(state, RING_BYTES);
	}
}

static uint32_t bad_length(uint64_t *state)
{
	static const uint32_t lengths[] = {
		0, 1, 15, 16, 17, 511, 512, 513, 4095, 4096, 65536, 1u << 26, 0x7fffffff, 0x80000000, 0xfffffe00,
		0xfffffff0, 0xffffffff,
	};

	/* Good ones of that size take most of the time, so they are rare. */
	if (!chance_below(state, 200))
		return 1u << (20 + chance_below(state, 5));
	if (!chance_below(state, 4))
		return (uint32_t)chance(state) | 1u << 25;
	return lengths[chance_below(state, COUNT(lengths))];
}

static uint64_t bad_sector(uint64_t *state)
{
	const uint64_t sectors[] = {
		SCRATCH_BYTES / SECTOR - 1, SCRATCH_BYTES / SECTOR, 1ull << 32, 1ull << 54, 1ull << 55,
		(1ull << 55) - 1, 1ull << 63, UINT64_MAX - 7, UINT64_MAX,
	};

	return chance_below(state, 2) ? sectors[chance_below(state, COUNT(sectors))] : chance(state);
}

static uint32_t bad_type(uint64_t *state)
{
	static const uint32_t types[] = { 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 16, 24, 0x80000000u, 0xffffffffu };

	return types[chance_below(state, COUNT(types))];
}

static void wreck_header(uint64_t *state, const struct memory *memory, const struct request *request)
{
	struct virtio_blk_outhdr header;

	spans_read(memory, request->spans, request->readable, 0, &header, sizeof(header));
	if (chance_below(state, 2))
		header.sector = htole64(bad_sector(state));
	else
		header.type = htole32(bad_type(state));
	spans_write(memory, request->spans, request->readable, 0, &header, sizeof(header));
}

/* The guest's word of what comes behind: its own ring and table can not be believed any more. */
static struct vring_desc *any_descriptor(uint64_t *state, const struct guest *guest, const struct request *request,
					 uint16_t head)
{
	const struct ring *ring = &guest->ring[0];
	unsigned count = request->readable + request->writable, skip = chance_below(state, count);
	struct vring_desc *table;

	if (request->table && chance_below(state, 8)) {
		table = memory_at(&guest->memory, request->table, count * sizeof(*table));
		return &table[skip];
	}
	while (!request->table && skip-- && head != ring->chain_last[head])
		head = ring->next_free[head];
	return &ring->desc[head];
}

void fuzz_wreck_request(uint64_t *state, const struct guest *guest, const struct request *request, uint16_t head,
			bool spare_ring)
{
	unsigned roll = chance_below(state, 100);
	struct vring_desc *desc;

	if (roll < 50) {
		wreck_header(state, &guest->memory, request);
		return;
	}
	desc = any_descriptor(state, guest, request, head);
	if (roll < 70)
		desc->addr = htole64(bad_address(state, spare_ring));
	else if (roll < 92)
		desc->len = htole32(bad_length(state));
	else if (roll < 96)
		desc->flags = htole16((uint16_t)chance(state) & (chance_below(state, 2) ? 7 : 0xffff));
	else
		desc->next = htole16((uint16_t)chance(state) & (chance_below(state, 2) ? 0x1ff : 0xffff));
}

void fuzz_wreck_avail(uint64_t *state, const struct ring *ring)
{
	static const uint16_t jumps[] = { 1, 2, 255, 256, 257, 1024, 32768, 65534, 65535 };
	uint16_t idx = ring->avail_idx;

	if (chance_below(state, 2))
		ring->avail->ring[(uint16_t)(idx - 1) & (ring->num - 1)] = htole16((uint16_t)chance(state) & 0x3ff);
	else
		__atomic_store_n(&ring->avail->idx, htole16((uint16_t)(idx + jumps[chance_below(state, COUNT(jumps))])),
				 __ATOMIC_RELEASE);
}

static void wreck_desc(uint64_t *state, struct vring_desc *desc)
{
	switch (chance_below(state, 8)) {
	case 0:
		desc->flags = htole16((uint16_t)chance_below(state, 8));
		break;
	case 1:
		desc->next = htole16((uint16_t)chance_below(state, 300));
		break;
	case 2:
	case 3:
		desc->addr = htole64(bad_address(state, false));
		break;
	default:
		desc->len = htole32(bad_length(state));
	}
}

void fuzz_wreck_word(uint64_t *state, const struct slots *slots)
{
	const struct guest *guest = slots->guest;
	const struct ring *ring = &guest->ring[0];
	unsigned roll = chance_below(state, 100), slot = chance_below(state, slots->count);
	char *table = memory_at(&guest->memory, slots->table + slot * SLOT_TABLE_BYTES, SLOT_TABLE_BYTES);
	char *data = memory_at(&guest->memory, slots->data + slot * SLOT_DATA_BYTES, SLOT_DATA_BYTES);

	if (roll < 60) {
		/* A slot's header is what was allocated first. */
		struct virtio_blk_outhdr *header = (struct virtio_blk_outhdr *)data;

		if (roll < 30)
			header->type = htole32(chance_below(state, 2) ? chance_below(state, 2) : bad_type(state));
		else
			header->sector = htole64(bad_sector(state));
	} else if (roll < 80) {
		wreck_desc(state, (struct vring_desc *)table + chance_below(state, 16));
	} else if (roll < 90) {
		wreck_desc(state, &ring->desc[chance_below(state, ring->num)]);
	} else if (roll < 94) {
		ring->used->ring[chance_below(state, ring->num)].id = (uint32_t)chance(state);
	} else if (roll < 96) {
		ring->avail->ring[chance_below(state, ring->num)] = htole16(chance_below(state, ring->num + 1));
	} else if (roll < 98) {
		/* Flags, or the used event behind the ring. */
		ring->avail->ring[ring->num] = (uint16_t)chance(state);
		ring->avail->flags = (uint16_t)chance(state);
	} else {
		ring->used->flags = (uint16_t)chance(state);
		data[chance_below(state, SLOT_DATA_BYTES)] = (char)chance(state);
	}
}
