// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every request type in every size, alignment, layout and kind of chain. One guest runs them all, as a process for each
 * were slow; the combination that failed is named.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "effort.h"
#include "suite.h"

#define ENTRIES 1024u
/* Pieces of a request: a chain of more would not fit the ring beside its header and status. */
#define MAX_PIECES 1000u
#define GUARD_SECTORS 8u
#define START_SECTOR 2048u
#define MAX_BYTES (4u * 1024 * 1024)
#define MAX_BYTES_AT_ONCE (1024u * 1024)
/* From here on only each so many is run, unless --long asks for more. */
#define LARGE_BYTES (128u * 1024)
#define OF_LARGE 11u

static const struct {
	uint32_t type;
	const char *name;
	/* Which must have been accepted; 0: always there. */
	uint64_t feature;
	/* Size and alignment mean nothing for it. */
	bool fixed;
} kinds[] = {
	{ VIRTIO_BLK_T_IN, "read", 0, false },
	{ VIRTIO_BLK_T_OUT, "write", 0, false },
	{ VIRTIO_BLK_T_FLUSH, "flush", 0, true },
	{ VIRTIO_BLK_T_GET_ID, "get id", 0, true },
	{ VIRTIO_BLK_T_WRITE_ZEROES, "write zeroes", 1ull << VIRTIO_BLK_F_WRITE_ZEROES, false },
	{ VIRTIO_BLK_T_DISCARD, "discard", 1ull << VIRTIO_BLK_F_DISCARD, false },
	{ REQUEST_SECURE_ERASE, "secure erase", 1ull << REQUEST_F_SECURE_ERASE, false },
};

static const uint32_t sizes[] = { 512, 1024, 4096, 12288, 65536, 1048576, MAX_BYTES };
static const uint32_t misaligns[] = { 0, 8, 512, 3 };

static const struct {
	const char *name;
	struct request_shape shape;
} layouts[] = {
	{ "whole", { 0 } },
	{ "header in 3 pieces", { .header_cuts = { 1, 7, 8 } } },
	{ "header and status with the data", { .share_header = true, .share_status = true } },
	{ "pieces of 512", { .data_cuts = { 512 } } },
	{ "pieces of 8192", { .data_cuts = { 8192 } } },
	{ "odd pieces", { .data_cuts = { 100, 412, 1000, 24, 3, 509, 4096, 511 } } },
	{ "split header, odd pieces with header and status",
	  { .header_cuts = { 5, 11 }, .data_cuts = { 700, 4096 }, .share_header = true, .share_status = true } },
	{ "across two regions", { .across_regions = true } },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define COMBINATIONS (COUNT(kinds) * COUNT(sizes) * COUNT(misaligns) * COUNT(layouts) * 2)

struct combination {
	unsigned number, kind, layout, segments;
	uint32_t bytes, misalign;
	bool indirect;
	uint64_t sector;
	struct request request;
};

struct matrix {
	const struct disk *disk;
	struct guest guest;
	struct vhost_blk_limits limits;
	uint64_t ring_mark;
	struct combination running[GUEST_MAX_QUEUES];
	unsigned nr_running, done;
	char *data;
};

static unsigned digit(unsigned *number, unsigned base)
{
	unsigned value = *number % base;

	*number /= base;
	return value;
}

static struct combination decode(unsigned number)
{
	struct combination one = { .number = number };

	one.indirect = digit(&number, 2);
	one.layout = digit(&number, COUNT(layouts));
	one.misalign = misaligns[digit(&number, COUNT(misaligns))];
	one.kind = digit(&number, COUNT(kinds));
	one.bytes = sizes[number];
	one.segments = 1 + one.layout % 3;
	return one;
}

static bool is_range(const struct combination *one)
{
	switch (kinds[one->kind].type) {
	case VIRTIO_BLK_T_WRITE_ZEROES:
	case VIRTIO_BLK_T_DISCARD:
	case REQUEST_SECURE_ERASE:
		return true;
	default:
		return false;
	}
}

static uint32_t body(const struct combination *one)
{
	return request_body(kinds[one->kind].type, one->bytes, one->segments);
}

static unsigned pieces(const struct combination *one)
{
	const uint32_t *cuts = layouts[one->layout].shape.data_cuts;
	uint32_t left = body(one);
	unsigned count = 0;

	for (unsigned i = 0; left; count++) {
		uint32_t cut = cuts[i] ? cuts[i] : left;

		left -= cut < left ? cut : left;
		i = i + 1 < REQUEST_MAX_CUTS && cuts[i + 1] ? i + 1 : 0;
	}
	return count;
}

static bool backend_can(const struct matrix *matrix, const struct combination *one)
{
	const struct vhost_blk_limits *limits = &matrix->limits;
	uint32_t sectors, segments;

	switch (kinds[one->kind].type) {
	case VIRTIO_BLK_T_WRITE_ZEROES:
		sectors = limits->max_write_zeroes_sectors;
		segments = limits->max_write_zeroes_seg;
		break;
	case VIRTIO_BLK_T_DISCARD:
		sectors = limits->max_discard_sectors;
		segments = limits->max_discard_seg;
		break;
	default:
		sectors = limits->max_secure_erase_sectors;
		segments = limits->max_secure_erase_seg;
	}
	return one->bytes / SECTOR <= sectors && one->segments <= segments &&
	       one->bytes / matrix->disk->block >= one->segments;
}

static bool applies(const struct matrix *matrix, const struct combination *one)
{
	const struct request_shape *shape = &layouts[one->layout].shape;

	if (kinds[one->kind].feature & ~matrix->guest.features)
		return false;
	if (kinds[one->kind].fixed && (one->bytes != sizes[0] || shape->across_regions))
		return false;
	if (one->bytes % matrix->disk->block || pieces(one) > MAX_PIECES)
		return false;
	if (matrix->guest.queues > 1 && one->bytes > MAX_BYTES_AT_ONCE)
		return false;
	if (shape->across_regions && body(one) < SECTOR)
		return false;
	if (one->bytes > LARGE_BYTES && effort.factor == 1 && one->number % OF_LARGE)
		return false;
	return !is_range(one) || backend_can(matrix, one);
}

static void name(const struct combination *one, unsigned queue)
{
	at("%s of %u bytes, %s, %s, misaligned by %u, queue %u", kinds[one->kind].name, one->bytes,
	   layouts[one->layout].name, one->indirect ? "indirect" : "direct", one->misalign, queue);
}

/* Known sectors under the request and on both sides. */
static void lay_disk(const struct matrix *matrix, const struct combination *one)
{
	uint64_t first = one->sector - GUARD_SECTORS;
	size_t bytes = one->bytes + 2 * GUARD_SECTORS * SECTOR;

	pattern_fill(matrix->data, bytes, first, 2 * one->number);
	disk_write(matrix->disk, first * SECTOR, matrix->data, bytes);
}

static void set_ranges(const struct matrix *matrix, struct combination *one)
{
	struct virtio_blk_discard_write_zeroes ranges[3];
	uint32_t block = matrix->disk->block / SECTOR, blocks = one->bytes / matrix->disk->block;
	uint32_t each = blocks / one->segments * block, done = 0;
	bool unmap = kinds[one->kind].type == VIRTIO_BLK_T_WRITE_ZEROES && one->indirect;

	for (unsigned i = 0; i < one->segments; i++) {
		uint32_t sectors = i + 1 < one->segments ? each : one->bytes / SECTOR - done;

		ranges[i].sector = htole64(one->sector + done);
		ranges[i].num_sectors = htole32(sectors);
		ranges[i].flags = htole32(unmap ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0);
		done += sectors;
	}
	request_set_data(&one->request, &matrix->guest.memory, ranges, one->segments * sizeof(ranges[0]));
}

static void submit(struct matrix *matrix, struct combination *one, unsigned queue)
{
	struct request_shape shape = layouts[one->layout].shape;
	struct memory *memory = &matrix->guest.memory;

	name(one, queue);
	/* A block further each time, so that the disk's own alignments are tried, too. */
	one->sector = START_SECTOR + (uint64_t)queue * (MAX_BYTES_AT_ONCE / SECTOR + 512) +
		      (one->number % 16) * (matrix->disk->block / SECTOR);
	lay_disk(matrix, one);
	shape.type = kinds[one->kind].type;
	shape.bytes = body(one);
	shape.misalign = one->misalign;
	shape.indirect = one->indirect;
	request_build(&one->request, memory, &shape);
	request_aim(&one->request, memory, kinds[one->kind].fixed || is_range(one) ? 0 : one->sector);
	if (is_range(one)) {
		set_ranges(matrix, one);
	} else if (shape.bytes) {
		pattern_fill(matrix->data, shape.bytes, one->sector, 2 * one->number + 1);
		request_set_data(&one->request, memory, matrix->data, shape.bytes);
	}
	request_add(&one->request, &matrix->guest.ring[queue], memory);
	ring_kick(&matrix->guest.ring[queue]);
}

static void expect_zero(const char *data, size_t bytes, uint64_t sector)
{
	for (size_t i = 0; i < bytes; i++)
		if (data[i])
			fail("expected zeroes, saw byte %zu from sector %llu to be %#04x", i,
			     (unsigned long long)sector, (unsigned char)data[i]);
}

static void verify_disk(const struct matrix *matrix, const struct combination *one)
{
	const size_t guard = GUARD_SECTORS * SECTOR;
	char *data = matrix->data;
	unsigned salt = 2 * one->number;

	disk_read(matrix->disk, (one->sector - GUARD_SECTORS) * SECTOR, data, one->bytes + 2 * guard);
	pattern_expect("disk before it", data, guard, one->sector - GUARD_SECTORS, salt);
	pattern_expect("disk behind it", data + guard + one->bytes, guard, one->sector + one->bytes / SECTOR, salt);
	if (kinds[one->kind].type == VIRTIO_BLK_T_WRITE_ZEROES)
		expect_zero(data + guard, one->bytes, one->sector);
	else if (!is_range(one))
		pattern_expect("disk", data + guard, one->bytes, one->sector,
			       kinds[one->kind].type == VIRTIO_BLK_T_OUT ? salt + 1 : salt);
}

static void verify(const struct matrix *matrix, const struct combination *one)
{
	uint32_t bytes = body(one);

	request_expect(&one->request, VIRTIO_BLK_S_OK);
	request_get_data(&one->request, &matrix->guest.memory, matrix->data, bytes);
	switch (kinds[one->kind].type) {
	case VIRTIO_BLK_T_IN:
		pattern_expect("data read", matrix->data, bytes, one->sector, 2 * one->number);
		break;
	case VIRTIO_BLK_T_OUT:
		pattern_expect("guest memory after a write", matrix->data, bytes, one->sector, 2 * one->number + 1);
		break;
	case VIRTIO_BLK_T_GET_ID:
		for (unsigned i = 0; i < bytes && (!i || matrix->data[i]); i++)
			if (matrix->data[i] < 0x20 || matrix->data[i] == 0x7f)
				fail("expected an id, saw byte %#04x at %u", (unsigned char)matrix->data[i], i);
		break;
	}
	verify_disk(matrix, one);
}

/* Waits for what runs, one on each queue, and looks at it. */
static void finish(struct matrix *matrix)
{
	for (unsigned queue = 0; queue < matrix->nr_running; queue++) {
		struct combination *one = &matrix->running[queue];

		name(one, queue);
		ring_wait(&matrix->guest.ring[queue]);
		if (request_pop(&matrix->guest.ring[queue], &matrix->guest.memory) != &one->request)
			fail("expected the answer to the only request, saw another");
		verify(matrix, one);
		request_free(&one->request);
		matrix->done++;
	}
	matrix->nr_running = 0;
	memory_data_reset(&matrix->guest.memory);
	matrix->guest.memory.ring_next = matrix->ring_mark;
}

static void spread(const struct guest *guest, unsigned workers)
{
	if (workers && guest_spread(guest, workers)) {
		if (errno == ENOTTY)
			skip("the module has no VHOST_NEW_WORKER");
		fail_errno("%u workers for %u queues", workers, guest->queues);
	}
}

/* self->count: workers, 0 for as many as there are without a word. */
static void run_matrix(const struct disk *disk, const struct check_case *self)
{
	struct matrix matrix = { .disk = disk };

	matrix.data = malloc(MAX_BYTES + 2 * GUARD_SECTORS * SECTOR);
	if (!matrix.data)
		fail("out of memory");
	guest_create(&matrix.guest, &self->options);
	spread(&matrix.guest, self->count);
	guest_limits(&matrix.guest, disk->fd, &matrix.limits);
	matrix.ring_mark = matrix.guest.memory.ring_next;
	guest_attach(&matrix.guest, disk->fd);
	for (unsigned number = 0; number < COMBINATIONS; number++) {
		struct combination one = decode(number);

		if (!applies(&matrix, &one))
			continue;
		/* There is one such place. */
		if (layouts[one.layout].shape.across_regions)
			finish(&matrix);
		matrix.running[matrix.nr_running] = one;
		submit(&matrix, &matrix.running[matrix.nr_running], matrix.nr_running);
		if (++matrix.nr_running == matrix.guest.queues)
			finish(&matrix);
	}
	finish(&matrix);
	at("at the end");
	guest_detach(&matrix.guest);
	note("%u requests", matrix.done);
	guest_close(&matrix.guest);
}

static void add(struct suite *suite, unsigned queues, unsigned workers, bool event_idx)
{
	struct check_case *added;
	char on[32] = "";

	if (workers)
		snprintf(on, sizeof(on), " on %u worker%s", workers, workers > 1 ? "s" : "");
	added = suite_add(suite, GROUP_MATRIX, run_matrix, "matrix: %u queue%s%s%s", queues, queues > 1 ? "s" : "", on,
			  event_idx ? ", event_idx" : "");
	added->row = workers ? ROW_WORKERS : queues > 1 ? ROW_QUEUES : ROW_REQUESTS;
	added->count = workers;
	added->options = (struct guest_options){
		.queues = queues, .num = ENTRIES, .event_idx = event_idx,
		.wants = REQUEST_RANGE_FEATURES,
	};
}

void suite_add_matrix(struct suite *suite)
{
	for (unsigned event_idx = 0; event_idx < 2; event_idx++) {
		add(suite, 1, 0, event_idx);
		add(suite, 4, 0, event_idx);
		add(suite, 4, event_idx ? 2 : 1, event_idx);
	}
}
