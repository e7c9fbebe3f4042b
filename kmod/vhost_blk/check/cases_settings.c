// SPDX-License-Identifier: GPL-2.0-only
/* What the VMM sets for a disk: its serial, whether it has a write cache, the eventfd that tells of a resize. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "expect.h"
#include "limits.h"
#include "suite.h"

#define FEATURE(bit) (1ull << (bit))

/* Long enough for two looks. */
#define QUIET_MS 2500

static void get_id(struct guest *guest, char id[VIRTIO_BLK_ID_BYTES])
{
	struct request request;

	request_build(&request, &guest->memory,
		      &(struct request_shape){ .type = VIRTIO_BLK_T_GET_ID, .bytes = VIRTIO_BLK_ID_BYTES });
	request_run(&request, guest, 0);
	request_expect(&request, VIRTIO_BLK_S_OK);
	request_get_data(&request, &guest->memory, id, VIRTIO_BLK_ID_BYTES);
	request_free(&request);
}

static void set_serial(const struct guest *guest, const char *text)
{
	struct vhost_blk_serial serial = { 0 };

	memcpy(serial.serial, text, strnlen(text, sizeof(serial.serial)));
	if (ioctl(guest->vhost, VHOST_BLK_SET_SERIAL, &serial))
		fail_errno("VHOST_BLK_SET_SERIAL \"%s\"", text);
}

static void run_serial(const struct disk *disk, const struct check_case *self)
{
	static const char *const serials[] = { "S", "0123456789abcdefghij", "disk of tenant 7" };
	char made[VIRTIO_BLK_ID_BYTES], id[VIRTIO_BLK_ID_BYTES], expected[VIRTIO_BLK_ID_BYTES];
	struct vhost_blk_serial other = { "other" };
	struct guest guest;

	guest_create(&guest, &self->options);
	guest_attach(&guest, disk->fd);
	get_id(&guest, made);
	for (unsigned i = 0; i < sizeof(serials) / sizeof(serials[0]); i++) {
		guest_detach(&guest);
		set_serial(&guest, serials[i]);
		guest_attach(&guest, disk->fd);
		expect_errno("SET_SERIAL while a queue runs", ioctl(guest.vhost, VHOST_BLK_SET_SERIAL, &other), EBUSY);
		get_id(&guest, id);
		memset(expected, 0, sizeof(expected));
		memcpy(expected, serials[i], strnlen(serials[i], sizeof(expected)));
		if (memcmp(id, expected, sizeof(id)))
			fail("expected the serial \"%s\", saw \"%.20s\"", serials[i], id);
	}
	guest_detach(&guest);
	set_serial(&guest, "");
	guest_attach(&guest, disk->fd);
	get_id(&guest, id);
	if (memcmp(id, made, sizeof(id)))
		fail("expected the name \"%.20s\" again, saw \"%.20s\"", made, id);
	guest_close(&guest);
}

/* Flushes that the disk has done since it was made. */
static uint64_t flushes_of(const struct disk *disk)
{
	char path[128], text[512] = "";
	unsigned long long flushes;
	int fd;

	snprintf(path, sizeof(path), "/sys/block/%s/stat", strrchr(disk->path, '/') + 1);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		fail_errno("can not read %s", path);
	close(fd);
	if (sscanf(text, "%*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %llu", &flushes) != 1)
		fail("expected 16 numbers in %s, saw \"%s\"", path, text);
	return flushes;
}

static void set_cache(const struct guest *guest, int on)
{
	if (ioctl(guest->vhost, VHOST_BLK_SET_WRITE_CACHE, &on))
		fail_errno("VHOST_BLK_SET_WRITE_CACHE %d", on);
}

/* Whether a write and a zeroing each made the disk flush. */
static void expect_flushes(struct guest *guest, const struct disk *disk, const char *when, bool expected)
{
	static const uint32_t types[] = { VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_WRITE_ZEROES };

	for (unsigned i = 0; i < 2; i++) {
		struct request_shape shape = { .type = types[i], .sector = i ? 0 : 64, .bytes = i ? 16 : 4096 };
		struct { uint64_t sector; uint32_t sectors, flags; } segment = { 64, 8, 1 };
		uint64_t before = flushes_of(disk), after;
		struct request request;

		request_build(&request, &guest->memory, &shape);
		if (i)
			request_set_data(&request, &guest->memory, &segment, sizeof(segment));
		request_run(&request, guest, 0);
		request_expect(&request, VIRTIO_BLK_S_OK);
		request_free(&request);
		after = flushes_of(disk);
		if ((after > before) != expected)
			fail("%s, type %u: expected %s, saw %llu flushes", when, types[i],
			     expected ? "a flush" : "no flush", (unsigned long long)(after - before));
	}
}

/* A loop device flushes where it must, and counts that. */
static void run_write_cache(const struct disk *unused, const struct check_case *self)
{
	struct guest_options options = self->options;
	struct vhost_blk_limits limits;
	struct guest guest;
	struct disk disk;
	int bad = 2;

	(void)unused;
	disk_scratch(&disk);
	limits_of(disk.fd, &limits);
	if (!(limits.flags & VHOST_BLK_LIMIT_WRITE_CACHE))
		fail("a loop device: expected a write cache, saw none");
	options.features = FEATURE(VIRTIO_BLK_F_WRITE_ZEROES) | FEATURE(VIRTIO_BLK_F_CONFIG_WCE);
	guest_create(&guest, &options);
	guest_attach(&guest, disk.fd);
	expect_flushes(&guest, &disk, "cache as from the start", false);
	set_cache(&guest, 0);
	expect_flushes(&guest, &disk, "cache off", true);
	set_cache(&guest, 1);
	expect_flushes(&guest, &disk, "cache on", false);
	expect_errno("SET_WRITE_CACHE 2", ioctl(guest.vhost, VHOST_BLK_SET_WRITE_CACHE, &bad), EINVAL);
	bad = -1;
	expect_errno("SET_WRITE_CACHE -1", ioctl(guest.vhost, VHOST_BLK_SET_WRITE_CACHE, &bad), EINVAL);
	expect_errno("SET_WRITE_CACHE of nothing", ioctl(guest.vhost, VHOST_BLK_SET_WRITE_CACHE, NULL), EFAULT);
	/* None of them has changed it. */
	expect_flushes(&guest, &disk, "cache on", false);
	guest_close(&guest);
	options.features = FEATURE(VIRTIO_BLK_F_WRITE_ZEROES);
	options.no_flush = true;
	guest_create(&guest, &options);
	guest_attach(&guest, disk.fd);
	set_cache(&guest, 1);
	expect_flushes(&guest, &disk, "guest that can not flush", true);
	guest_close(&guest);
}

static void set_call(const struct guest *guest, int fd)
{
	if (ioctl(guest->vhost, VHOST_BLK_SET_CONFIG_CALL, &fd))
		fail_errno("VHOST_BLK_SET_CONFIG_CALL %d", fd);
}

static void resize(const struct disk *disk, uint64_t bytes)
{
	if (ftruncate(disk->content, (off_t)bytes))
		fail_errno("can not resize the file behind the disk");
	if (!disk->file && ioctl(disk->fd, LOOP_SET_CAPACITY, 0))
		fail_errno("LOOP_SET_CAPACITY");
}

static void expect_capacity(const struct guest *guest, uint64_t bytes)
{
	struct vhost_blk_limits limits;

	limits_get(guest, -1, &limits);
	if (limits.capacity != bytes / SECTOR)
		fail("capacity: expected %llu, saw %llu", (unsigned long long)(bytes / SECTOR),
		     (unsigned long long)limits.capacity);
}

/* Asks for the sector behind @bytes, which is beyond the end. */
static void read_behind(struct guest *guest, uint64_t bytes)
{
	struct request_shape shape = { .type = VIRTIO_BLK_T_IN, .sector = bytes / SECTOR, .bytes = 512 };
	struct request request;

	request_build(&request, &guest->memory, &shape);
	request_run(&request, guest, 0);
	request_expect(&request, VIRTIO_BLK_S_IOERR);
	request_free(&request);
}

static void run_resize(const struct disk *given, const struct check_case *self)
{
	int call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), bad;
	struct disk disk = { 0 };
	struct guest guest;

	if (given->file)
		disk_file(&disk, "/tmp", SCRATCH_BYTES);
	else
		disk_scratch(&disk);
	guest_create(&guest, &self->options);
	bad = 9999;
	expect_errno("config call 9999", ioctl(guest.vhost, VHOST_BLK_SET_CONFIG_CALL, &bad), EBADF);
	bad = disk.fd;
	expect_errno("config call to a disk", ioctl(guest.vhost, VHOST_BLK_SET_CONFIG_CALL, &bad), EINVAL);
	set_call(&guest, call);
	guest_attach(&guest, disk.fd);
	if (resize_signalled(call, QUIET_MS))
		fail("expected no signal for a disk that is attached, saw one");
	resize(&disk, 2 * SCRATCH_BYTES);
	if (!resize_signalled(call, RESIZE_MS))
		fail("disk grown: expected a signal within %d ms, saw none", RESIZE_MS);
	expect_capacity(&guest, 2 * SCRATCH_BYTES);
	resize(&disk, SCRATCH_BYTES);
	expect_capacity(&guest, SCRATCH_BYTES);
	/* It may have been noticed before it was asked for. */
	resize_signalled(call, 0);
	if (resize_signalled(call, QUIET_MS))
		fail("expected no signal for what has been asked for, saw one");
	resize(&disk, SCRATCH_BYTES / 2);
	read_behind(&guest, SCRATCH_BYTES / 2);
	if (!resize_signalled(call, RESIZE_MS))
		fail("disk cut: expected a signal within %d ms, saw none", RESIZE_MS);
	set_call(&guest, -1);
	resize(&disk, SCRATCH_BYTES);
	if (resize_signalled(call, QUIET_MS))
		fail("expected no signal after the eventfd was taken back, saw one");
	/* Closing with a look pending must leave nothing behind. */
	set_call(&guest, call);
	guest_close(&guest);
}

void suite_add_settings(struct suite *suite)
{
	unsigned first = suite->count;

	suite_add(suite, GROUP_FULL | GROUP_QUICK, run_serial, "serial");
	suite_add(suite, GROUP_FULL, run_write_cache, "write cache off and on");
	suite_add(suite, GROUP_FULL, run_resize, "resize is signalled");
	suite_set_row(suite, first, ROW_CONFIG);
}
