// SPDX-License-Identifier: GPL-2.0-only
#include "request.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

#define PAGE 4096u

static void append(struct request *request, uint64_t gpa, uint32_t len)
{
	unsigned count = request->readable + request->writable;

	if (count == request->capacity) {
		request->capacity = request->capacity ? 2 * request->capacity : 8;
		request->spans = realloc(request->spans, request->capacity * sizeof(*request->spans));
		if (!request->spans)
			fail("out of memory");
	}
	request->spans[count] = (struct span){ gpa, len };
}

static void append_readable(struct request *request, uint64_t gpa, uint32_t len)
{
	append(request, gpa, len);
	request->readable++;
	request->readable_bytes += len;
}

static void append_writable(struct request *request, uint64_t gpa, uint32_t len)
{
	append(request, gpa, len);
	request->writable++;
	request->writable_bytes += len;
}

bool request_writes(const struct request *request)
{
	switch (request->shape.type) {
	case VIRTIO_BLK_T_OUT:
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
	case REQUEST_SECURE_ERASE:
		return true;
	default:
		return false;
	}
}

/* Header pieces lie apart, so that nothing but the descriptors says how they belong together. */
static void place_header(struct request *request, struct memory *memory)
{
	const struct request_shape *shape = &request->shape;
	uint32_t left = REQUEST_HEADER_BYTES;

	for (unsigned i = 0; left; i++) {
		uint32_t len = i < REQUEST_MAX_CUTS && shape->header_cuts[i] ? shape->header_cuts[i] : left;

		if (len == left && shape->share_header && request_writes(request)) {
			/* Room before the first data so that the data itself starts on a sector boundary. */
			uint32_t cut = shape->data_cuts[0] ? shape->data_cuts[0] : shape->bytes;
			uint32_t data = cut < shape->bytes ? cut : shape->bytes;
			uint64_t gpa = memory_data(memory, SECTOR + shape->misalign + data, PAGE) + SECTOR +
				       shape->misalign - len;

			append_readable(request, gpa, len + data);
			return;
		}
		append_readable(request, memory_data(memory, len, 8), len);
		left -= len;
	}
}

static uint64_t place_piece(const struct request_shape *shape, struct memory *memory, uint32_t len)
{
	if (shape->across_regions)
		return NEXT_GPA - (len / 2 & ~(SECTOR - 1)) + shape->misalign;
	/* A gap after each piece, so that no two are neighbours by chance. */
	return memory_data(memory, len + shape->misalign + SECTOR, len >= PAGE ? PAGE : SECTOR) + shape->misalign;
}

static void place_data(struct request *request, struct memory *memory)
{
	const struct request_shape *shape = &request->shape;
	bool out = request_writes(request);
	uint32_t done = 0;

	for (unsigned i = 0; done < shape->bytes; i++) {
		uint32_t len = shape->data_cuts[i % REQUEST_MAX_CUTS];

		if (!len) {
			len = i ? shape->data_cuts[0] : shape->bytes;
			i = 0;
		}
		if (len > shape->bytes - done)
			len = shape->bytes - done;
		done += len;
		if (out && shape->share_header && done == len)
			continue;
		if (out)
			append_readable(request, place_piece(shape, memory, len), len);
		else if (shape->share_status && done == shape->bytes)
			append_writable(request, place_piece(shape, memory, len + 1), len + 1);
		else
			append_writable(request, place_piece(shape, memory, len), len);
	}
}

void request_build(struct request *request, struct memory *memory, const struct request_shape *shape)
{
	unsigned count;

	memset(request, 0, sizeof(*request));
	request->shape = *shape;
	place_header(request, memory);
	place_data(request, memory);
	if (!(shape->share_status && shape->bytes && !request_writes(request)))
		append_writable(request, memory_data(memory, 1, 1), 1);
	count = request->readable + request->writable;
	if (shape->indirect)
		request->table = memory_ring(memory, count * sizeof(struct vring_desc), 16);
	request_aim(request, memory, shape->sector);
}

void request_aim(struct request *request, const struct memory *memory, uint64_t sector)
{
	struct virtio_blk_outhdr header = { .type = htole32(request->shape.type), .sector = htole64(sector) };
	uint8_t status = STATUS_NONE;

	request->shape.sector = sector;
	spans_write(memory, request->spans, request->readable, 0, &header, sizeof(header));
	spans_write(memory, request->spans + request->readable, request->writable, request->writable_bytes - 1,
		    &status, 1);
}

void request_free(struct request *request)
{
	free(request->spans);
	request->spans = NULL;
}

void request_set_data(const struct request *request, const struct memory *memory, const void *from, size_t bytes)
{
	if (request_writes(request))
		spans_write(memory, request->spans, request->readable, REQUEST_HEADER_BYTES, from, bytes);
	else
		spans_write(memory, request->spans + request->readable, request->writable, 0, from, bytes);
}

void request_get_data(const struct request *request, const struct memory *memory, void *to, size_t bytes)
{
	if (request_writes(request))
		spans_read(memory, request->spans, request->readable, REQUEST_HEADER_BYTES, to, bytes);
	else
		spans_read(memory, request->spans + request->readable, request->writable, 0, to, bytes);
}

void request_add(struct request *request, struct ring *ring, const struct memory *memory)
{
	ring_add(ring, memory, request->spans, request->readable, request->writable, request->table, request);
}

struct request *request_pop(struct ring *ring, const struct memory *memory)
{
	uint32_t len;
	struct request *request = ring_pop(ring, &len);

	if (!request)
		return NULL;
	request->used_len = len;
	spans_read(memory, request->spans + request->readable, request->writable, request->writable_bytes - 1,
		   &request->status, 1);
	return request;
}

void request_run(struct request *request, struct guest *guest, unsigned queue)
{
	struct ring *ring = &guest->ring[queue];
	struct request *answered;

	request_add(request, ring, &guest->memory);
	ring_kick(ring);
	ring_wait(ring);
	answered = request_pop(ring, &guest->memory);
	if (answered != request)
		fail("queue %u: expected the answer to the only request, saw another", queue);
}

void request_expect(const struct request *request, uint8_t status)
{
	uint64_t exact = request->writable_bytes;

	if (request->status != status)
		fail("type %u sector %llu: expected status %s, saw %s", request->shape.type,
		     (unsigned long long)request->shape.sector, request_status_name(status),
		     request_status_name(request->status));
	if (request->used_len > exact || request->used_len == 0)
		fail("expected a used length of 1 to %llu, saw %u", (unsigned long long)exact, request->used_len);
	if (status == VIRTIO_BLK_S_OK && request->used_len != exact)
		fail("expected a used length of %llu, saw %u", (unsigned long long)exact, request->used_len);
}

const char *request_status_name(uint8_t status)
{
	switch (status) {
	case VIRTIO_BLK_S_OK:
		return "OK";
	case VIRTIO_BLK_S_IOERR:
		return "IOERR";
	case VIRTIO_BLK_S_UNSUPP:
		return "UNSUPP";
	case STATUS_NONE:
		return "none";
	default:
		return "an unknown status";
	}
}

void request_once(struct guest *guest, const struct request_shape *shape, uint8_t status)
{
	struct request request;

	request_build(&request, &guest->memory, shape);
	request_run(&request, guest, 0);
	request_expect(&request, status);
	request_free(&request);
}

uint32_t request_body(uint32_t type, uint32_t bytes, unsigned segments)
{
	switch (type) {
	case VIRTIO_BLK_T_FLUSH:
		return 0;
	case VIRTIO_BLK_T_GET_ID:
		return VIRTIO_BLK_ID_BYTES;
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		return bytes;
	default:
		return segments * sizeof(struct virtio_blk_discard_write_zeroes);
	}
}
