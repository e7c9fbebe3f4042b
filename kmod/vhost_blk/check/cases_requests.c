// SPDX-License-Identifier: GPL-2.0-only
/* Every request type, and requests that a disk must refuse without touching anything. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "suite.h"
#include "watch.h"

static void start(struct guest *guest, const struct disk *disk, int fd)
{
	guest_create(guest, &(struct guest_options){ .event_idx = true });
	guest_attach(guest, fd < 0 ? disk->fd : fd);
}

static void run_flush(const struct disk *disk, const struct check_case *self)
{
	struct request request;
	struct guest guest;

	start(&guest, disk, -1);
	request_build(&request, &guest.memory, &self->shape);
	request_run(&request, &guest, 0);
	request_expect(&request, VIRTIO_BLK_S_OK);
	guest_close(&guest);
}

static void run_get_id(const struct disk *disk, const struct check_case *self)
{
	char id[VIRTIO_BLK_ID_BYTES + 1] = "";
	struct request request;
	struct guest guest;

	start(&guest, disk, -1);
	request_build(&request, &guest.memory, &self->shape);
	memset(id, 0x5a, VIRTIO_BLK_ID_BYTES);
	request_set_data(&request, &guest.memory, id, VIRTIO_BLK_ID_BYTES);
	request_run(&request, &guest, 0);
	request_expect(&request, VIRTIO_BLK_S_OK);
	request_get_data(&request, &guest.memory, id, VIRTIO_BLK_ID_BYTES);
	if (!id[0] || id[0] == 0x5a)
		fail("expected an id string, saw none");
	for (unsigned i = 0; i < VIRTIO_BLK_ID_BYTES && id[i]; i++)
		if (id[i] < 0x20 || id[i] > 0x7e)
			fail("expected a printable id, saw byte %#04x at %u", (unsigned char)id[i], i);
	note("id \"%s\"", id);
	guest_close(&guest);
}

/* The request must come back with @status and change nothing, and a good one must still work behind it. */
static void expect_refused(struct guest *guest, const struct disk *disk, const struct request_shape *shape,
			   uint8_t status)
{
	struct request request, good;

	watch_begin(disk);
	request_build(&request, &guest->memory, shape);
	request_run(&request, guest, 0);
	request_expect(&request, status);
	watch_expect(disk);
	request_build(&good, &guest->memory, &(struct request_shape){ .type = VIRTIO_BLK_T_IN, .bytes = 4096 });
	request_run(&good, guest, 0);
	request_expect(&good, VIRTIO_BLK_S_OK);
}

static void run_refused(const struct disk *disk, const struct check_case *self)
{
	struct guest guest;

	start(&guest, disk, -1);
	expect_refused(&guest, disk, &self->shape, (uint8_t)self->count);
	guest_close(&guest);
}

/* shape.sector counts from the disk's end here. */
static void run_past_end(const struct disk *disk, const struct check_case *self)
{
	struct request_shape shape = self->shape;
	struct guest guest;

	shape.sector += disk->bytes / SECTOR;
	start(&guest, disk, -1);
	expect_refused(&guest, disk, &shape, VIRTIO_BLK_S_IOERR);
	guest_close(&guest);
}

static void run_last_sector(const struct disk *disk, const struct check_case *self)
{
	uint64_t sector = disk->bytes / SECTOR - disk->block / SECTOR;
	struct request_shape shape = { .type = VIRTIO_BLK_T_IN, .sector = sector, .bytes = disk->block };
	struct request request;
	struct guest guest;
	char data[65536];

	(void)self;
	if (disk->block > sizeof(data))
		skip("the disk's blocks are %u bytes", disk->block);
	watch_begin(disk);
	start(&guest, disk, -1);
	request_build(&request, &guest.memory, &shape);
	request_run(&request, &guest, 0);
	request_expect(&request, VIRTIO_BLK_S_OK);
	request_get_data(&request, &guest.memory, data, disk->block);
	pattern_expect("the disk's last block", data, disk->block, sector, WATCH_SALT);
	guest_close(&guest);
}

/* A descriptor of the disk that may not do what the request asks: the module must look at its mode. */
static void run_mode(const struct disk *disk, const struct check_case *self)
{
	bool out = self->shape.type == VIRTIO_BLK_T_OUT;
	int fd = disk_open(disk, out ? O_RDONLY : O_WRONLY);
	struct request request;
	struct guest guest;

	watch_begin(disk);
	guest_create(&guest, &self->options);
	if (guest_set_backend(&guest, 0, fd)) {
		note("refused when attached: %s", strerror(errno));
		watch_expect(disk);
		guest_close(&guest);
		return;
	}
	request_build(&request, &guest.memory, &self->shape);
	request_run(&request, &guest, 0);
	request_expect(&request, VIRTIO_BLK_S_IOERR);
	watch_expect(disk);
	guest_close(&guest);
	close(fd);
}

/* A disk of its own, so that a failure leaves no read-only disk to the cases behind. */
static void run_read_only_disk(const struct disk *unused, const struct check_case *self)
{
	struct guest guest;
	struct disk disk;
	int on = 1;

	(void)unused;
	disk_scratch(&disk);
	start(&guest, &disk, -1);
	if (ioctl(disk.fd, BLKROSET, &on))
		fail_errno("BLKROSET");
	expect_refused(&guest, &disk, &self->shape, VIRTIO_BLK_S_IOERR);
	guest_close(&guest);
}

void suite_add_requests(struct suite *suite)
{
	unsigned first = suite->count;
	static const struct { const char *name; struct request_shape shape; uint8_t status; unsigned groups; } refused[] = {
		{ "read sector 2^64-1", { VIRTIO_BLK_T_IN, UINT64_MAX, .bytes = 4096 }, VIRTIO_BLK_S_IOERR, 0 },
		{ "write sector 2^64-1", { VIRTIO_BLK_T_OUT, UINT64_MAX, .bytes = 4096 }, VIRTIO_BLK_S_IOERR, GROUP_QUICK },
		{ "write sector 2^55 (wraps as bytes)", { VIRTIO_BLK_T_OUT, 1ull << 55, .bytes = 4096 }, VIRTIO_BLK_S_IOERR, 0 },
		{ "write sector 2^63", { VIRTIO_BLK_T_OUT, 1ull << 63, .bytes = 4096 }, VIRTIO_BLK_S_IOERR, 0 },
		{ "write sector 2^64-8 (ends at 0)", { VIRTIO_BLK_T_OUT, UINT64_MAX - 7, .bytes = 4096 }, VIRTIO_BLK_S_IOERR, 0 },
		{ "read of 700 bytes", { VIRTIO_BLK_T_IN, 0, .bytes = 700 }, VIRTIO_BLK_S_IOERR, 0 },
		{ "write of 700 bytes", { VIRTIO_BLK_T_OUT, 0, .bytes = 700 }, VIRTIO_BLK_S_IOERR, GROUP_QUICK },
		{ "write of 511 bytes", { VIRTIO_BLK_T_OUT, 0, .bytes = 511 }, VIRTIO_BLK_S_IOERR, 0 },
		{ "unknown type 3", { 3, 0, .bytes = 512 }, VIRTIO_BLK_S_UNSUPP, GROUP_QUICK },
		{ "unknown type 0xdead", { 0xdead, 0, .bytes = 0 }, VIRTIO_BLK_S_UNSUPP, 0 },
		{ "type SCSI_CMD", { VIRTIO_BLK_T_SCSI_CMD, 0, .bytes = 96 }, VIRTIO_BLK_S_UNSUPP, 0 },
		{ "barrier bit of old guests", { 0x80000000u, 0, .bytes = 512 }, VIRTIO_BLK_S_UNSUPP, 0 },
	};
	static const struct { const char *name; struct request_shape shape; } past[] = {
		{ "read at the disk's end", { VIRTIO_BLK_T_IN, 0, .bytes = 4096 } },
		{ "write at the disk's end", { VIRTIO_BLK_T_OUT, 0, .bytes = 4096 } },
		{ "read over the disk's end", { VIRTIO_BLK_T_IN, -1ull, .bytes = 4096 } },
		{ "write over the disk's end", { VIRTIO_BLK_T_OUT, -1ull, .bytes = 1024 } },
		{ "write far over the disk's end", { VIRTIO_BLK_T_OUT, -8ull, .bytes = 1048576 } },
	};
	struct check_case *added;

	added = suite_add(suite, GROUP_FULL | GROUP_QUICK, run_flush, "flush");
	added->shape.type = VIRTIO_BLK_T_FLUSH;
	added = suite_add(suite, GROUP_FULL, run_flush, "flush indirect, header in 3 descriptors");
	added->shape = (struct request_shape){ .type = VIRTIO_BLK_T_FLUSH, .indirect = true, .header_cuts = { 1, 7, 8 } };
	added = suite_add(suite, GROUP_FULL | GROUP_QUICK, run_get_id, "get id");
	added->shape = (struct request_shape){ .type = VIRTIO_BLK_T_GET_ID, .bytes = VIRTIO_BLK_ID_BYTES };
	added = suite_add(suite, GROUP_FULL, run_get_id, "get id in 3 descriptors, status with the last");
	added->shape = (struct request_shape){ .type = VIRTIO_BLK_T_GET_ID, .bytes = VIRTIO_BLK_ID_BYTES,
					       .data_cuts = { 3, 9, 8 }, .share_status = true };
	for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		added = suite_add(suite, GROUP_FULL | refused[i].groups, run_refused, "%s refused", refused[i].name);
		added->shape = refused[i].shape;
		added->count = refused[i].status;
	}
	for (unsigned i = 0; i < sizeof(past) / sizeof(past[0]); i++) {
		added = suite_add(suite, GROUP_FULL | (i == 3 ? GROUP_QUICK : 0), run_past_end, "%s refused", past[i].name);
		added->shape = past[i].shape;
	}
	suite_add(suite, GROUP_FULL, run_last_sector, "read of the last block");
	suite_set_row(suite, first, ROW_REQUESTS);
	first = suite->count;
	added = suite_add(suite, GROUP_FULL | GROUP_QUICK, run_mode, "write through a read-only descriptor refused");
	added->shape = (struct request_shape){ .type = VIRTIO_BLK_T_OUT, .bytes = 4096 };
	added = suite_add(suite, GROUP_FULL, run_mode, "read through a write-only descriptor refused");
	added->shape = (struct request_shape){ .type = VIRTIO_BLK_T_IN, .bytes = 4096 };
	added = suite_add(suite, GROUP_FULL, run_read_only_disk, "write to a read-only disk refused");
	added->shape = (struct request_shape){ .type = VIRTIO_BLK_T_OUT, .bytes = 4096 };
	suite_set_row(suite, first, ROW_SAFETY);
}
