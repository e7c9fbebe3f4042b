// SPDX-License-Identifier: GPL-2.0-only
/* What the device tells of a disk. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "expect.h"
#include "limits.h"
#include "nullb.h"
#include "suite.h"

#define FEATURE(bit) (1ull << (bit))
#define F_SECURE_ERASE 16

static void expect_number(const char *what, uint64_t expected, uint64_t saw)
{
	if (expected != saw)
		fail("%s: expected %llu, saw %llu", what, (unsigned long long)expected, (unsigned long long)saw);
}

static void expect_flag(const char *what, const struct vhost_blk_limits *limits, uint32_t flag, bool expected)
{
	if (!!(limits->flags & flag) != expected)
		fail("%s: expected %s, saw the other", what, expected ? "yes" : "no");
}

static unsigned ask(const struct disk *disk, unsigned long request)
{
	unsigned answer = 0;

	if (ioctl(disk->fd, request, &answer))
		fail_errno("ioctl %#lx of %s", request, disk->path);
	return answer;
}

/* A setting of the disk's queue as sysfs tells it. */
static uint64_t queue_setting(const struct disk *disk, const char *name)
{
	char path[160], text[32] = "";
	struct stat stat;
	int fd;

	if (fstat(disk->fd, &stat))
		fail_errno("fstat");
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/queue/%s", (unsigned)(stat.st_rdev >> 8 & 0xfff),
		 (unsigned)((stat.st_rdev & 0xff) | (stat.st_rdev >> 12 & 0xfff00)), name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		skip("no %s, as of a partition", path);
	if (read(fd, text, sizeof(text) - 1) <= 0)
		fail_errno("can not read %s", path);
	close(fd);
	return strtoull(text, NULL, 10);
}

static void expect_device(const struct disk *disk, const struct vhost_blk_limits *limits)
{
	uint64_t discard = queue_setting(disk, "discard_max_bytes") / SECTOR;

	expect_number("capacity", disk->bytes / disk->block * (disk->block / SECTOR), limits->capacity);
	expect_number("logical block", disk->block, limits->logical_block_size);
	expect_number("physical block", ask(disk, BLKPBSZGET), limits->physical_block_size);
	expect_number("least transfer", ask(disk, BLKIOMIN), limits->min_io_size);
	expect_number("best transfer", ask(disk, BLKIOOPT), limits->opt_io_size);
	expect_number("longest discard", discard, limits->max_discard_sectors);
	if (discard)
		expect_number("alignment of discards", queue_setting(disk, "discard_granularity") / SECTOR,
			      limits->discard_sector_alignment);
	expect_flag("read-only", limits, VHOST_BLK_LIMIT_READ_ONLY, ask(disk, BLKROGET));
	expect_flag("is a file", limits, VHOST_BLK_LIMIT_FILE, false);
}

static void expect_file(const struct disk *disk, const struct vhost_blk_limits *limits)
{
	struct stat stat;

	if (fstat(disk->fd, &stat))
		fail_errno("fstat");
	expect_number("capacity", (uint64_t)stat.st_size / SECTOR, limits->capacity);
	expect_number("logical block", SECTOR, limits->logical_block_size);
	expect_number("physical block", (uint64_t)stat.st_blksize, limits->physical_block_size);
	expect_flag("is a file", limits, VHOST_BLK_LIMIT_FILE, true);
	expect_flag("write cache", limits, VHOST_BLK_LIMIT_WRITE_CACHE, true);
	if (!limits->max_discard_sectors)
		fail("longest discard: expected some, saw none");
}

/* What must hold of any disk. */
static void expect_sound(const struct guest *guest, const struct vhost_blk_limits *limits)
{
	uint64_t offered;

	if (ioctl(guest->vhost, VHOST_GET_FEATURES, &offered))
		fail_errno("VHOST_GET_FEATURES");
	if (limits->features & ~offered)
		fail("features %#llx beyond those offered, %#llx", (unsigned long long)limits->features,
		     (unsigned long long)offered);
	if (ioctl(guest->vhost, VHOST_SET_FEATURES, &limits->features))
		fail_errno("VHOST_SET_FEATURES of all that the limits tell");
	expect_number("feature DISCARD", limits->max_discard_sectors > 0,
		      limits->features >> VIRTIO_BLK_F_DISCARD & 1);
	expect_number("feature WRITE_ZEROES", limits->max_write_zeroes_sectors > 0,
		      limits->features >> VIRTIO_BLK_F_WRITE_ZEROES & 1);
	expect_number("feature SECURE_ERASE", limits->max_secure_erase_sectors > 0,
		      limits->features >> F_SECURE_ERASE & 1);
	expect_number("feature RO", !!(limits->flags & VHOST_BLK_LIMIT_READ_ONLY),
		      limits->features >> VIRTIO_BLK_F_RO & 1);
	expect_number("feature CONFIG_WCE", !!(limits->flags & VHOST_BLK_LIMIT_WRITE_CACHE),
		      limits->features >> VIRTIO_BLK_F_CONFIG_WCE & 1);
	expect_number("segments of a discard", limits->max_discard_sectors ? VHOST_BLK_MAX_RANGE_SEGS : 0,
		      limits->max_discard_seg);
	expect_number("most segments", VHOST_BLK_MAX_SEGS, limits->max_segments);
	expect_number("most bytes", VHOST_BLK_MAX_REQUEST_BYTES, limits->max_request_bytes);
	expect_number("most virtqueues", VHOST_BLK_MAX_VQS, limits->max_vqs);
	expect_number("most entries", VHOST_BLK_MAX_VRING_NUM, limits->max_vring_num);
}

static void run_limits(const struct disk *disk, const struct check_case *self)
{
	struct vhost_blk_limits limits;
	struct guest guest;

	(void)self;
	guest_open(&guest);
	limits_get(&guest, disk->fd, &limits);
	if (disk->file)
		expect_file(disk, &limits);
	else
		expect_device(disk, &limits);
	expect_sound(&guest, &limits);
	expect_flag("read-only", &limits, VHOST_BLK_LIMIT_READ_ONLY, false);
	if (!limits.max_write_zeroes_sectors || limits.max_write_zeroes_seg != 1)
		fail("write zeroes: expected one segment, saw %u of %u sectors", limits.max_write_zeroes_seg,
		     limits.max_write_zeroes_sectors);
	close(guest.vhost);
}

static void expect_read_only(const struct guest *guest, int fd)
{
	struct vhost_blk_limits limits;

	limits_get(guest, fd, &limits);
	expect_flag("read-only", &limits, VHOST_BLK_LIMIT_READ_ONLY, true);
	expect_number("longest discard", 0, limits.max_discard_sectors);
	expect_number("longest zeroing", 0, limits.max_write_zeroes_sectors);
	expect_number("segments of a zeroing", 0, limits.max_write_zeroes_seg);
	expect_sound(guest, &limits);
}

static void run_read_only(const struct disk *disk, const struct check_case *self)
{
	int fd = disk_open(disk, O_RDONLY), on = 1;
	struct disk scratch;
	struct guest guest;

	(void)self;
	guest_open(&guest);
	expect_read_only(&guest, fd);
	disk_scratch(&scratch);
	if (ioctl(scratch.fd, BLKROSET, &on))
		fail_errno("BLKROSET");
	expect_read_only(&guest, scratch.fd);
	close(guest.vhost);
	close(fd);
}

static void run_large_blocks(const struct disk *unused, const struct check_case *self)
{
	struct vhost_blk_limits limits;
	struct nullb nullb;
	struct guest guest;

	(void)unused;
	(void)self;
	nullb_create(&nullb, "blocksize=4096 discard=1");
	guest_open(&guest);
	limits_get(&guest, nullb.disk.fd, &limits);
	expect_device(&nullb.disk, &limits);
	expect_number("logical block", 4096, limits.logical_block_size);
	if (!limits.max_discard_sectors || limits.discard_sector_alignment % 8)
		fail("discards: expected some in whole blocks, saw %u sectors aligned to %u",
		     limits.max_discard_sectors, limits.discard_sector_alignment);
	expect_sound(&guest, &limits);
	close(guest.vhost);
	nullb_destroy(&nullb);
}

static int get_sized(const struct guest *guest, struct vhost_blk_limits *limits, uint32_t size, int fd)
{
	memset(limits, 0xa5, sizeof(*limits));
	limits->size = size;
	limits->fd = fd;
	return ioctl(guest->vhost, VHOST_BLK_GET_LIMITS, limits);
}

/* A caller that knows less or more of the structure than the module. */
static void run_sizes(const struct disk *disk, const struct check_case *self)
{
	struct { struct vhost_blk_limits known; uint64_t behind; } newer = { .behind = 0x5a5a };
	struct vhost_blk_limits limits;
	struct guest guest;

	(void)self;
	guest_open(&guest);
	expect_errno("size 0", get_sized(&guest, &limits, 0, disk->fd), EINVAL);
	expect_errno("size 7", get_sized(&guest, &limits, 7, disk->fd), EINVAL);
	expect_errno("no structure", ioctl(guest.vhost, VHOST_BLK_GET_LIMITS, NULL), EFAULT);
	if (get_sized(&guest, &limits, 24, disk->fd))
		fail_errno("VHOST_BLK_GET_LIMITS of 24 bytes");
	expect_number("size told", 24, limits.size);
	expect_number("capacity", disk->bytes / SECTOR, limits.capacity);
	expect_number("what lies behind 24 bytes", 0xa5a5a5a5, limits.flags);
	if (get_sized(&guest, &newer.known, sizeof(newer), disk->fd))
		fail_errno("VHOST_BLK_GET_LIMITS of more bytes than are known");
	expect_number("size told", sizeof(newer.known), newer.known.size);
	expect_number("what lies behind the structure", 0x5a5a, newer.behind);
	close(guest.vhost);
}

static void run_no_disk(const struct disk *disk, const struct check_case *self)
{
	struct vhost_blk_limits limits, attached;
	int pipes[2];
	struct guest guest;

	guest_create(&guest, &self->options);
	if (pipe(pipes))
		fail_errno("pipe");
	expect_errno("fd 9999", get_sized(&guest, &limits, sizeof(limits), 9999), EBADF);
	expect_errno("fd -2", get_sized(&guest, &limits, sizeof(limits), -2), EBADF);
	expect_errno("a pipe", get_sized(&guest, &limits, sizeof(limits), pipes[0]), ENOTBLK);
	expect_errno("none attached", get_sized(&guest, &limits, sizeof(limits), -1), ENODEV);
	limits_get(&guest, disk->fd, &limits);
	guest_attach(&guest, disk->fd);
	limits_get(&guest, -1, &attached);
	attached.fd = limits.fd;
	if (memcmp(&limits, &attached, sizeof(limits)))
		fail("limits of the attached disk: expected those of its descriptor, saw others");
	guest_detach(&guest);
	expect_errno("detached", get_sized(&guest, &limits, sizeof(limits), -1), ENODEV);
	guest_close(&guest);
}

void suite_add_limits(struct suite *suite)
{
	unsigned first = suite->count;

	suite_add(suite, GROUP_FULL | GROUP_QUICK, run_limits, "limits of the disk");
	suite_add(suite, GROUP_FULL, run_read_only, "limits of a read-only disk and descriptor");
	suite_add(suite, GROUP_FULL, run_large_blocks, "limits of a disk with blocks of 4096 bytes");
	suite_add(suite, GROUP_FULL, run_sizes, "limits for callers that know less or more");
	suite_add(suite, GROUP_FULL, run_no_disk, "limits of no disk, and of the attached one");
	suite_set_row(suite, first, ROW_CONFIG);
}
