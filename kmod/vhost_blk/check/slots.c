// SPDX-License-Identifier: GPL-2.0-only
#include "slots.h"

#include <stdlib.h>
#include <string.h>

#include "effort.h"
#include "report.h"

void slots_create(struct slots *slots, struct guest *guest, unsigned count)
{
	*slots = (struct slots){ .guest = guest, .count = count };
	slots->data = memory_data(&guest->memory, count * SLOT_DATA_BYTES, 4096);
	slots->table = memory_ring(&guest->memory, count * SLOT_TABLE_BYTES, 16);
	slots->request = calloc(count, sizeof(*slots->request));
	slots->used = calloc(count, sizeof(*slots->used));
	if (!slots->request || !slots->used)
		fail("out of memory");
}

void slots_destroy(struct slots *slots)
{
	for (unsigned i = 0; i < slots->count; i++)
		request_free(&slots->request[i]);
	free(slots->request);
	free(slots->used);
}

int slots_free(const struct slots *slots)
{
	for (unsigned i = 0; i < slots->count; i++)
		if (!slots->used[i])
			return (int)i;
	return -1;
}

struct request *slots_build(struct slots *slots, unsigned slot, const struct request_shape *shape)
{
	struct memory *memory = &slots->guest->memory;
	struct request *request = &slots->request[slot];
	uint64_t data = slots->data + slot * SLOT_DATA_BYTES, table = slots->table + slot * SLOT_TABLE_BYTES;

	request_free(request);
	memory->data_next = data;
	memory->ring_next = table;
	request_build(request, memory, shape);
	if (memory->data_next > data + SLOT_DATA_BYTES || memory->ring_next > table + SLOT_TABLE_BYTES)
		fail("the check itself is wrong: a request of %u bytes does not fit its slot", shape->bytes);
	slots->used[slot] = true;
	return request;
}

unsigned slots_number(const struct slots *slots, const struct request *request)
{
	return (unsigned)(request - slots->request);
}

void slots_release(struct slots *slots, unsigned slot)
{
	slots->used[slot] = false;
}

struct request_shape slots_shape(uint64_t *state, uint32_t type, uint32_t bytes)
{
	static const uint32_t cuts[][REQUEST_MAX_CUTS] = {
		{ 0 }, { 0 }, { 4096 }, { 8192 }, { 512, 1024 }, { 100, 412, 3584 }, { 1000, 24, 3, 509, 4096, 511 },
	};
	static const uint32_t headers[][REQUEST_MAX_CUTS] = { { 0 }, { 0 }, { 0 }, { 1, 7, 8 }, { 5, 11 } };
	static const uint32_t misaligns[] = { 0, 0, 0, 0, 8, 512, 3 };
	struct request_shape shape = { .type = type, .bytes = bytes };

	memcpy(shape.data_cuts, cuts[chance_below(state, sizeof(cuts) / sizeof(cuts[0]))], sizeof(shape.data_cuts));
	memcpy(shape.header_cuts, headers[chance_below(state, sizeof(headers) / sizeof(headers[0]))],
	       sizeof(shape.header_cuts));
	shape.misalign = misaligns[chance_below(state, sizeof(misaligns) / sizeof(misaligns[0]))];
	shape.share_header = !chance_below(state, 4);
	shape.share_status = !chance_below(state, 4);
	shape.indirect = chance_below(state, 2);
	return shape;
}
