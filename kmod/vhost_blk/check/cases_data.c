// SPDX-License-Identifier: GPL-2.0-only
/* Reads and writes of every size, in few and many descriptors, with the data compared behind the module's back. */
#include <stdlib.h>
#include <string.h>

#include "suite.h"

#define GUARD_SECTORS 8u
#define START_SECTOR 4096u
#define SALT_BEFORE 1u
#define SALT_GUEST 2u

static char *allocate(size_t bytes)
{
	char *buffer = malloc(bytes);

	if (!buffer)
		fail("out of memory");
	return buffer;
}

/* Lays known sectors before, under and behind the request. */
static void prepare(const struct disk *disk, uint64_t sector, uint32_t bytes)
{
	size_t whole = bytes + 2 * GUARD_SECTORS * SECTOR;
	char *buffer = allocate(whole);

	pattern_fill(buffer, whole, sector - GUARD_SECTORS, SALT_BEFORE);
	disk_write(disk, (sector - GUARD_SECTORS) * SECTOR, buffer, whole);
	free(buffer);
}

static void expect_written(const struct disk *disk, uint64_t sector, uint32_t bytes)
{
	size_t guard = GUARD_SECTORS * SECTOR;
	char *buffer = allocate(bytes + 2 * guard);

	disk_read(disk, (sector - GUARD_SECTORS) * SECTOR, buffer, bytes + 2 * guard);
	pattern_expect("disk before the request", buffer, guard, sector - GUARD_SECTORS, SALT_BEFORE);
	pattern_expect("disk", buffer + guard, bytes, sector, SALT_GUEST);
	pattern_expect("disk behind the request", buffer + guard + bytes, guard, sector + bytes / SECTOR,
		       SALT_BEFORE);
	free(buffer);
}

static void run_transfer(const struct disk *disk, const struct check_case *self)
{
	const struct request_shape *shape = &self->shape;
	uint64_t sector = START_SECTOR;
	struct request request;
	struct guest guest;
	char *data = allocate(shape->bytes);

	if (shape->bytes % disk->block)
		skip("the disk's blocks are %u bytes", disk->block);
	prepare(disk, sector, shape->bytes);
	guest_create(&guest, &self->options);
	guest_attach(&guest, disk->fd);
	request_build(&request, &guest.memory, shape);
	request_aim(&request, &guest.memory, sector);
	pattern_fill(data, shape->bytes, sector, SALT_GUEST);
	request_set_data(&request, &guest.memory, data, shape->bytes);
	request_run(&request, &guest, 0);
	request_expect(&request, VIRTIO_BLK_S_OK);
	request_get_data(&request, &guest.memory, data, shape->bytes);
	if (request_writes(&request)) {
		expect_written(disk, sector, shape->bytes);
		pattern_expect("guest memory after a write", data, shape->bytes, sector, SALT_GUEST);
	} else {
		pattern_expect("guest memory", data, shape->bytes, sector, SALT_BEFORE);
	}
	guest_close(&guest);
}

static const char *direction(uint32_t type)
{
	return type == VIRTIO_BLK_T_OUT ? "write" : "read";
}

static void add_transfer(struct suite *suite, uint32_t type, uint32_t bytes, unsigned segments, bool indirect,
			 bool event_idx)
{
	/* The gate wants one small, one split and one large transfer each way, and each ring option once. */
	bool quick = (bytes == 4096 && segments == 1 && !indirect && !event_idx) ||
		     (bytes == 4096 && segments == 3 && indirect && event_idx) ||
		     (bytes == 1048576 && indirect && !event_idx);
	struct check_case *added = suite_add(suite, GROUP_FULL | (quick ? GROUP_QUICK : 0), run_transfer,
					     "%s %u x %u segment%s %s%s", direction(type), bytes, segments,
					     segments == 1 ? "" : "s", indirect ? "indirect" : "direct",
					     event_idx ? " event_idx" : "");

	added->shape = (struct request_shape){
		.type = type, .bytes = bytes * segments, .data_cuts = { bytes }, .indirect = indirect,
	};
	added->options.event_idx = event_idx;
	/* A direct chain has as many descriptors as it has pieces. */
	added->options.num = segments > 250 ? 1024 : 256;
}

void suite_add_data(struct suite *suite)
{
	unsigned first = suite->count;
	static const struct { uint32_t bytes; unsigned segments; } sizes[] = {
		{ 512, 1 }, { 512, 3 }, { 512, 16 }, { 512, 128 }, { 512, 1000 }, { 1536, 5 }, { 4096, 1 },
		{ 4096, 3 }, { 4096, 32 }, { 4096, 254 }, { 65536, 1 }, { 65536, 3 }, { 65536, 16 }, { 1048576, 1 },
	};

	struct check_case *added;

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (unsigned variant = 0; variant < 8; variant++)
			add_transfer(suite, variant & 1 ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, sizes[i].bytes,
				     sizes[i].segments, variant >> 1 & 1, variant >> 2 & 1);
	added = suite_add(suite, GROUP_FULL, run_transfer, "write of a guest that can not flush");
	added->shape = (struct request_shape){ .type = VIRTIO_BLK_T_OUT, .bytes = 65536 };
	added->options.no_flush = true;
	added->row = ROW_FEATURES;
	suite_set_row(suite, first, ROW_REQUESTS);
}

static void add_layout(struct suite *suite, unsigned groups, const char *name, struct request_shape shape)
{
	for (unsigned variant = 0; variant < 4; variant++) {
		bool out = variant & 1, indirect = variant >> 1;
		struct check_case *added;

		if ((shape.share_status && out && !shape.share_header) || (shape.share_header && !shape.share_status && !out))
			continue;
		shape.type = out ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN;
		shape.indirect = indirect;
		added = suite_add(suite, GROUP_FULL | (indirect ? 0 : groups), run_transfer, "%s %s %s",
				  direction(shape.type), name, indirect ? "indirect" : "direct");
		added->shape = shape;
	}
}

void suite_add_layouts(struct suite *suite)
{
	unsigned first = suite->count;
	add_layout(suite, GROUP_QUICK, "header in 3 descriptors",
		   (struct request_shape){ .bytes = 8192, .header_cuts = { 1, 7, 8 } });
	add_layout(suite, 0, "header in 5 descriptors",
		   (struct request_shape){ .bytes = 4096, .header_cuts = { 4, 4, 3, 1, 4 } });
	add_layout(suite, GROUP_QUICK, "header with data",
		   (struct request_shape){ .bytes = 8192, .data_cuts = { 4096 }, .share_header = true });
	add_layout(suite, 0, "split header, its end with data",
		   (struct request_shape){ .bytes = 8192, .header_cuts = { 5, 11 }, .data_cuts = { 4096 },
					   .share_header = true });
	add_layout(suite, GROUP_QUICK, "status with data",
		   (struct request_shape){ .bytes = 8192, .data_cuts = { 4096 }, .share_status = true });
	add_layout(suite, 0, "one descriptor each way",
		   (struct request_shape){ .bytes = 4096, .share_header = true, .share_status = true });
	add_layout(suite, 0, "data cut at odd lengths",
		   (struct request_shape){ .bytes = 16384, .data_cuts = { 100, 412, 1000, 24, 3, 509, 4096, 511 } });
	add_layout(suite, 0, "data at odd addresses",
		   (struct request_shape){ .bytes = 12288, .data_cuts = { 4096 }, .misalign = 3 });
	add_layout(suite, 0, "data 8 bytes off a sector",
		   (struct request_shape){ .bytes = 65536, .misalign = 8 });
	add_layout(suite, 0, "header with data at an odd address",
		   (struct request_shape){ .bytes = 12288, .data_cuts = { 5000 }, .share_header = true, .misalign = 1 });
	add_layout(suite, 0, "512-aligned data over a page's end",
		   (struct request_shape){ .bytes = 8192, .data_cuts = { 4096 }, .misalign = 512 });
	add_layout(suite, 0, "across two memory regions",
		   (struct request_shape){ .bytes = 65536, .across_regions = true });
	add_layout(suite, 0, "across two memory regions at odd addresses",
		   (struct request_shape){ .bytes = 65536, .across_regions = true, .misalign = 7 });
	suite_set_row(suite, first, ROW_REQUESTS);
}
