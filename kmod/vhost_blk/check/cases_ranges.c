// SPDX-License-Identifier: GPL-2.0-only
/* Requests for ranges: discard, write zeroes, secure erase; what they must do, and what must not reach the disk. */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "limits.h"
#include "nullb.h"
#include "suite.h"
#include "watch.h"

#define FEATURE(bit) (1ull << (bit))
#define F_SECURE_ERASE 16
#define RANGE_FEATURES (FEATURE(VIRTIO_BLK_F_DISCARD) | FEATURE(VIRTIO_BLK_F_WRITE_ZEROES) | FEATURE(F_SECURE_ERASE))

#define UNMAP 1u
#define START_SECTOR 8192u
#define GUARD_SECTORS 64u
#define SALT 5u
#define MAX_SEGMENTS 257u

struct segment {
	uint64_t sector;
	uint32_t sectors;
	uint32_t flags;
};

/* Builds, runs and judges one request of @type with @bytes of @segments. */
static void run_segments(struct guest *guest, const struct request_shape *shape, const struct segment *segments,
			 uint8_t status)
{
	struct request request;

	request_build(&request, &guest->memory, shape);
	request_set_data(&request, &guest->memory, segments, shape->bytes);
	request_run(&request, guest, 0);
	request_expect(&request, status);
	request_free(&request);
}

static struct guest_options with_features(const struct check_case *self)
{
	struct guest_options options = self->options;

	options.features |= RANGE_FEATURES;
	return options;
}

static void expect_kept(const struct disk *disk, const char *what, uint64_t sector, uint32_t sectors)
{
	size_t bytes = (size_t)sectors * SECTOR;
	char *data = malloc(bytes);

	if (!data)
		fail("out of memory");
	disk_read(disk, sector * SECTOR, data, bytes);
	pattern_expect(what, data, bytes, sector, SALT);
	free(data);
}

static void expect_zeroes(const char *what, const char *data, size_t bytes, uint64_t sector)
{
	for (size_t i = 0; i < bytes; i++)
		if (data[i])
			fail("%s: expected byte %zu of %zu from sector %llu to be 0, saw %#04x", what, i, bytes,
			     (unsigned long long)sector, (unsigned char)data[i]);
}

static void expect_zeroed(const struct disk *disk, uint64_t sector, uint32_t sectors)
{
	size_t bytes = (size_t)sectors * SECTOR;
	char *data = malloc(bytes);

	if (!data)
		fail("out of memory");
	disk_read(disk, sector * SECTOR, data, bytes);
	expect_zeroes("disk", data, bytes, sector);
	free(data);
}

/* As the guest sees it. */
static void expect_zero_reads(struct guest *guest, uint64_t sector, uint32_t bytes)
{
	struct request request;
	char data[4096];

	request_build(&request, &guest->memory,
		      &(struct request_shape){ .type = VIRTIO_BLK_T_IN, .sector = sector, .bytes = bytes });
	request_run(&request, guest, 0);
	request_expect(&request, VIRTIO_BLK_S_OK);
	request_get_data(&request, &guest->memory, data, bytes);
	expect_zeroes("guest memory", data, bytes, sector);
	request_free(&request);
}

/* self->count: sectors; shape.sector: flags of the segment. */
static void run_zero(const struct disk *disk, const struct check_case *self)
{
	struct guest_options options = with_features(self);
	struct segment segment = { START_SECTOR, self->count, (uint32_t)self->shape.sector };
	struct request_shape shape = self->shape;
	struct guest guest;

	if (self->count % (disk->block / SECTOR))
		skip("the disk's blocks are %u bytes", disk->block);
	disk_lay(disk, START_SECTOR - GUARD_SECTORS, (self->count + 2 * GUARD_SECTORS) * SECTOR, SALT);
	guest_create(&guest, &options);
	guest_attach(&guest, disk->fd);
	shape.sector = 0;
	run_segments(&guest, &shape, &segment, VIRTIO_BLK_S_OK);
	expect_kept(disk, "disk before the range", START_SECTOR - GUARD_SECTORS, GUARD_SECTORS);
	expect_zeroed(disk, START_SECTOR, self->count);
	expect_kept(disk, "disk behind the range", START_SECTOR + self->count, GUARD_SECTORS);
	expect_zero_reads(&guest, START_SECTOR, disk->block);
	guest_close(&guest);
}

static void require_discard(const struct disk *disk)
{
	struct vhost_blk_limits limits;

	limits_of(disk->fd, &limits);
	if (!limits.max_discard_sectors)
		skip("the disk can not discard");
}

/* self->count segments of 64 sectors, 64 sectors apart. */
static void run_discard(const struct disk *disk, const struct check_case *self)
{
	struct guest_options options = with_features(self);
	struct segment segments[MAX_SEGMENTS];
	struct guest guest;

	require_discard(disk);
	disk_lay(disk, START_SECTOR, self->count * 2 * GUARD_SECTORS * SECTOR, SALT);
	for (unsigned i = 0; i < self->count; i++)
		segments[i] = (struct segment){ START_SECTOR + (uint64_t)i * 2 * GUARD_SECTORS, GUARD_SECTORS, 0 };
	guest_create(&guest, &options);
	guest_attach(&guest, disk->fd);
	run_segments(&guest, &self->shape, segments, VIRTIO_BLK_S_OK);
	for (unsigned i = 0; i < self->count; i++) {
		/* A disk may do nothing, but those that are files punch holes. */
		if (disk->scratch)
			expect_zeroed(disk, segments[i].sector, GUARD_SECTORS);
		expect_kept(disk, "disk behind a range", segments[i].sector + GUARD_SECTORS, GUARD_SECTORS);
	}
	guest_close(&guest);
}

static void run_whole_disk(const struct disk *disk, const struct check_case *self)
{
	struct guest_options options = with_features(self);
	uint64_t sectors = disk->bytes / SECTOR;
	struct vhost_blk_limits limits;
	struct segment segment = { 0 };
	struct guest guest;

	require_discard(disk);
	limits_of(disk->fd, &limits);
	segment.sectors = (uint32_t)(sectors < limits.max_discard_sectors ? sectors : limits.max_discard_sectors);
	watch_begin(disk);
	guest_create(&guest, &options);
	guest_attach(&guest, disk->fd);
	run_segments(&guest, &self->shape, &segment, VIRTIO_BLK_S_OK);
	if (disk->scratch)
		expect_zeroed(disk, sectors - 8, 8);
	guest_close(&guest);
}

static void run_nothing(const struct disk *disk, const struct check_case *self)
{
	struct guest_options options = with_features(self);
	struct segment segment = { 0, 0, 0 };
	struct guest guest;

	require_discard(disk);
	watch_begin(disk);
	guest_create(&guest, &options);
	guest_attach(&guest, disk->fd);
	run_segments(&guest, &self->shape, &segment, VIRTIO_BLK_S_OK);
	watch_expect(disk);
	guest_close(&guest);
}

/* The segments of a request that must be refused: one good one at the disk's begin, and a bad one behind it. */
struct refusal {
	const char *name;
	uint32_t type;
	struct segment bad;
	/* Good segments before it; the bad one is left out where it has no name. */
	unsigned good;
	/* Bytes that differ from whole segments. */
	int extra;
	uint8_t status;
	unsigned groups;
};

static const struct refusal refusals[] = {
	{ "discard with the unmap flag", VIRTIO_BLK_T_DISCARD, { 0, 8, UNMAP }, 0, 0, VIRTIO_BLK_S_UNSUPP,
	  GROUP_QUICK },
	{ "discard with a reserved flag", VIRTIO_BLK_T_DISCARD, { 0, 8, 2 }, 0, 0, VIRTIO_BLK_S_UNSUPP, 0 },
	{ "zeroing with a reserved flag", VIRTIO_BLK_T_WRITE_ZEROES, { 0, 8, 0x80000001 }, 0, 0, VIRTIO_BLK_S_UNSUPP,
	  GROUP_QUICK },
	{ "good discard, then a reserved flag", VIRTIO_BLK_T_DISCARD, { 64, 8, 2 }, 3, 0, VIRTIO_BLK_S_UNSUPP, 0 },
	{ "discard of sector 2^64-1", VIRTIO_BLK_T_DISCARD, { UINT64_MAX, 8, 0 }, 0, 0, VIRTIO_BLK_S_IOERR, 0 },
	{ "discard of sector 2^64-8 (ends at 0)", VIRTIO_BLK_T_DISCARD, { UINT64_MAX - 7, 8, 0 }, 0, 0,
	  VIRTIO_BLK_S_IOERR, GROUP_QUICK },
	{ "zeroing of sector 2^55 (wraps as bytes)", VIRTIO_BLK_T_WRITE_ZEROES, { 1ull << 55, 8, 0 }, 0, 0,
	  VIRTIO_BLK_S_IOERR, 0 },
	{ "zeroing of 2^32-8 sectors", VIRTIO_BLK_T_WRITE_ZEROES, { 0, UINT32_MAX - 7, 0 }, 0, 0, VIRTIO_BLK_S_IOERR,
	  0 },
	{ "discard of 2^32-8 sectors", VIRTIO_BLK_T_DISCARD, { 0, UINT32_MAX - 7, 0 }, 0, 0, VIRTIO_BLK_S_IOERR, 0 },
	{ "good discards, then one past the end", VIRTIO_BLK_T_DISCARD, { 1ull << 40, 8, 0 }, 5, 0, VIRTIO_BLK_S_IOERR,
	  GROUP_QUICK },
	{ "two zeroings in one request", VIRTIO_BLK_T_WRITE_ZEROES, { 8, 8, 0 }, 1, 0, VIRTIO_BLK_S_IOERR, 0 },
	{ "257 discards in one request", VIRTIO_BLK_T_DISCARD, { 8, 8, 0 }, 256, 0, VIRTIO_BLK_S_IOERR, 0 },
	{ "discard without a segment", VIRTIO_BLK_T_DISCARD, { 0, 8, 0 }, 0, -16, VIRTIO_BLK_S_IOERR, 0 },
	{ "discard of half a segment", VIRTIO_BLK_T_DISCARD, { 0, 8, 0 }, 0, -8, VIRTIO_BLK_S_IOERR, 0 },
	{ "discard of a segment and a byte", VIRTIO_BLK_T_DISCARD, { 0, 8, 0 }, 1, -15, VIRTIO_BLK_S_IOERR, 0 },
	{ "zeroing of a segment less a byte", VIRTIO_BLK_T_WRITE_ZEROES, { 0, 8, 0 }, 0, -1, VIRTIO_BLK_S_IOERR, 0 },
};

static void send_refusal(struct guest *guest, const struct disk *disk, const struct refusal *refusal, uint8_t status)
{
	struct request_shape shape = { .type = refusal->type,
				       .bytes = (refusal->good + 1) * sizeof(struct segment) + refusal->extra };
	struct segment segments[MAX_SEGMENTS];

	for (unsigned i = 0; i < refusal->good; i++)
		segments[i] = (struct segment){ 8ull * i, 8, 0 };
	segments[refusal->good] = refusal->bad;
	watch_begin(disk);
	run_segments(guest, &shape, segments, status);
	watch_expect(disk);
}

static void run_refused(const struct disk *disk, const struct check_case *self)
{
	struct guest_options options = with_features(self);
	struct guest guest;

	if (refusals[self->count].type == VIRTIO_BLK_T_DISCARD)
		require_discard(disk);
	guest_create(&guest, &options);
	guest_attach(&guest, disk->fd);
	send_refusal(&guest, disk, &refusals[self->count], refusals[self->count].status);
	guest_close(&guest);
}

/* Each type, for a reason that the virtqueue has and not the segment. */
static void expect_none_done(struct guest *guest, const struct disk *disk, uint8_t status)
{
	static const uint32_t types[] = { VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES };

	for (unsigned i = 0; i < 2; i++)
		send_refusal(guest, disk, &(struct refusal){ .type = types[i], .bad = { 0, 8, 0 } }, status);
}

static void run_not_negotiated(const struct disk *disk, const struct check_case *self)
{
	struct guest guest;

	guest_create(&guest, &self->options);
	guest_attach(&guest, disk->fd);
	expect_none_done(&guest, disk, VIRTIO_BLK_S_UNSUPP);
	guest_close(&guest);
}

static void run_read_only_fd(const struct disk *disk, const struct check_case *self)
{
	struct guest_options options = with_features(self);
	int fd = disk_open(disk, O_RDONLY);
	struct guest guest;

	guest_create(&guest, &options);
	guest_attach(&guest, fd);
	expect_none_done(&guest, disk, VIRTIO_BLK_S_IOERR);
	guest_close(&guest);
	close(fd);
}

static void run_read_only_disk(const struct disk *unused, const struct check_case *self)
{
	struct guest_options options = with_features(self);
	struct guest guest;
	struct disk disk;
	int on = 1;

	(void)unused;
	disk_scratch(&disk);
	guest_create(&guest, &options);
	guest_attach(&guest, disk.fd);
	if (ioctl(disk.fd, BLKROSET, &on))
		fail_errno("BLKROSET");
	expect_none_done(&guest, &disk, VIRTIO_BLK_S_IOERR);
	guest_close(&guest);
}

static void run_read_only_feature(const struct disk *disk, const struct check_case *self)
{
	struct guest_options options = with_features(self);
	struct guest guest;

	options.features |= FEATURE(VIRTIO_BLK_F_RO);
	guest_create(&guest, &options);
	guest_attach(&guest, disk->fd);
	expect_none_done(&guest, disk, VIRTIO_BLK_S_IOERR);
	guest_close(&guest);
}

/* A disk that could: those made for a check can not, so that it must say so. */
static void run_secure_erase(const struct disk *disk, const struct check_case *self)
{
	struct guest_options options = with_features(self);
	struct vhost_blk_limits limits;
	struct guest guest;

	limits_of(disk->fd, &limits);
	if (limits.max_secure_erase_sectors)
		skip("the disk can erase securely");
	guest_create(&guest, &options);
	guest_attach(&guest, disk->fd);
	send_refusal(&guest, disk, &(struct refusal){ .type = REQUEST_SECURE_ERASE, .bad = { 0, 8, 0 } },
		     VIRTIO_BLK_S_UNSUPP);
	guest_close(&guest);
}

/* Discards that reach a disk which does them, and what is no whole block of it. */
static void run_large_blocks(const struct disk *unused, const struct check_case *self)
{
	struct guest_options options = with_features(self);
	struct segment good = { START_SECTOR, 2048, 0 };
	struct nullb nullb;
	struct guest guest;

	(void)unused;
	nullb_create(&nullb, "blocksize=4096 discard=1");
	guest_create(&guest, &options);
	guest_attach(&guest, nullb.disk.fd);
	for (unsigned i = 0; i < 2; i++) {
		struct refusal refusal = { .type = i ? VIRTIO_BLK_T_DISCARD : VIRTIO_BLK_T_WRITE_ZEROES };

		refusal.bad = (struct segment){ 0, 7, 0 };
		send_refusal(&guest, &nullb.disk, &refusal, VIRTIO_BLK_S_IOERR);
		refusal.bad = (struct segment){ 4, 8, 0 };
		send_refusal(&guest, &nullb.disk, &refusal, VIRTIO_BLK_S_IOERR);
	}
	disk_lay(&nullb.disk, START_SECTOR - GUARD_SECTORS, (good.sectors + 2 * GUARD_SECTORS) * SECTOR, SALT);
	run_segments(&guest, &(struct request_shape){ .type = VIRTIO_BLK_T_DISCARD, .bytes = sizeof(good) }, &good,
		     VIRTIO_BLK_S_OK);
	expect_zeroed(&nullb.disk, START_SECTOR, good.sectors);
	expect_kept(&nullb.disk, "disk before the range", START_SECTOR - GUARD_SECTORS, GUARD_SECTORS);
	expect_kept(&nullb.disk, "disk behind the range", START_SECTOR + good.sectors, GUARD_SECTORS);
	guest_close(&guest);
	nullb_destroy(&nullb);
}

static void run_no_discard(const struct disk *unused, const struct check_case *self)
{
	struct guest_options options = with_features(self);
	struct nullb nullb;
	struct guest guest;

	(void)unused;
	nullb_create(&nullb, "blocksize=512");
	guest_create(&guest, &options);
	guest_attach(&guest, nullb.disk.fd);
	send_refusal(&guest, &nullb.disk, &(struct refusal){ .type = VIRTIO_BLK_T_DISCARD, .bad = { 0, 8, 0 } },
		     VIRTIO_BLK_S_UNSUPP);
	guest_close(&guest);
	nullb_destroy(&nullb);
}

/* The disk is taken out of the machine: each request is answered, and none waits for ever. */
static void run_removed(const struct disk *unused, const struct check_case *self)
{
	static const uint32_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT };
	struct nullb nullb;
	struct guest guest;

	(void)unused;
	nullb_create(&nullb, "blocksize=512");
	guest_create(&guest, &self->options);
	guest_attach(&guest, nullb.disk.fd);
	nullb_remove(&nullb);
	for (unsigned i = 0; i < 2; i++) {
		struct request request;

		request_build(&request, &guest.memory, &(struct request_shape){ .type = types[i], .bytes = 65536 });
		request_run(&request, &guest, 0);
		request_expect(&request, VIRTIO_BLK_S_IOERR);
		request_free(&request);
	}
	if (guest_stop_queue(&guest, 0) != 2)
		fail("expected base 2 after two requests to a disk that is gone, saw another");
	guest_close(&guest);
	nullb_destroy(&nullb);
}

static struct check_case *add_zero(struct suite *suite, unsigned groups, unsigned sectors, uint32_t flags,
				   const char *how)
{
	struct check_case *added = suite_add(suite, groups, run_zero, "write zeroes %u sectors%s%s", sectors,
					     flags ? " unmap" : "", how);

	added->count = sectors;
	added->shape = (struct request_shape){ .type = VIRTIO_BLK_T_WRITE_ZEROES, .sector = flags,
					       .bytes = sizeof(struct segment) };
	return added;
}

static void add_discard(struct suite *suite, unsigned groups, unsigned segments, bool split)
{
	struct check_case *added = suite_add(suite, groups, run_discard, "discard %u segment%s%s", segments,
					     segments == 1 ? "" : "s", split ? " split at odd lengths, indirect" : "");

	added->count = segments;
	added->shape = (struct request_shape){ .type = VIRTIO_BLK_T_DISCARD,
					       .bytes = segments * sizeof(struct segment), .indirect = split };
	if (split) {
		memcpy(added->shape.header_cuts, (uint32_t[]){ 3, 5, 8 }, 3 * sizeof(uint32_t));
		memcpy(added->shape.data_cuts, (uint32_t[]){ 5, 7, 1, 13 }, 4 * sizeof(uint32_t));
	}
}

void suite_add_ranges(struct suite *suite)
{
	static const unsigned sizes[] = { 1, 8, 63, 2048, 16384 };
	struct check_case *added;

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (unsigned flags = 0; flags <= UNMAP; flags++)
			add_zero(suite, GROUP_FULL | (sizes[i] == 8 ? GROUP_QUICK : 0), sizes[i], flags, "");
	add_zero(suite, GROUP_FULL, 2048, 0, " of a guest that can not flush")->options.no_flush = true;
	added = add_zero(suite, GROUP_FULL, 2048, UNMAP, " split at odd lengths, indirect");
	added->shape.indirect = true;
	memcpy(added->shape.data_cuts, (uint32_t[]){ 5, 3, 8 }, 3 * sizeof(uint32_t));
	add_discard(suite, GROUP_FULL | GROUP_QUICK, 1, false);
	add_discard(suite, GROUP_FULL, 3, true);
	add_discard(suite, GROUP_FULL, 256, false);
	added = suite_add(suite, GROUP_FULL, run_whole_disk, "discard of the whole disk");
	added->shape = (struct request_shape){ .type = VIRTIO_BLK_T_DISCARD, .bytes = sizeof(struct segment) };
	added = suite_add(suite, GROUP_FULL, run_nothing, "discard of no sector");
	added->shape = (struct request_shape){ .type = VIRTIO_BLK_T_DISCARD, .bytes = sizeof(struct segment) };
	for (unsigned i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		suite_add(suite, GROUP_FULL | refusals[i].groups, run_refused, "%s refused", refusals[i].name)->count =
			i;
	suite_add(suite, GROUP_FULL, run_not_negotiated, "ranges without their features refused");
	suite_add(suite, GROUP_FULL | GROUP_QUICK, run_read_only_fd, "ranges through a read-only descriptor refused");
	suite_add(suite, GROUP_FULL, run_read_only_disk, "ranges on a read-only disk refused");
	suite_add(suite, GROUP_FULL, run_read_only_feature, "ranges of a device that is read-only refused");
	suite_add(suite, GROUP_FULL, run_secure_erase, "secure erase on a disk that can not refused");
	suite_add(suite, GROUP_FULL, run_large_blocks, "discards on a disk with blocks of 4096 bytes");
	suite_add(suite, GROUP_FULL, run_no_discard, "discard on a disk that can not refused");
	suite_add(suite, GROUP_FULL, run_removed, "disk taken out of the machine");
}
