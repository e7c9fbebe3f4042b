// SPDX-License-Identifier: GPL-2.0-only
/* Descriptors of every kind as disks: those that are none, files that may not be written, and O_DIRECT. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "expect.h"
#include "files.h"
#include "limits.h"
#include "suite.h"

#define FEATURE(bit) (1ull << (bit))
#define FILE_BYTES (1024 * 1024)
#define SALT 71u

static void expect_refused(const struct guest *guest, const char *what, int fd, int wanted)
{
	struct vhost_blk_limits limits = { .size = sizeof(limits), .fd = fd };

	if (fd < 0)
		fail_errno("%s can not be opened", what);
	at("%s", what);
	expect_errno("SET_BACKEND", guest_set_backend(guest, 0, fd), wanted);
	expect_errno("SET_BACKEND of all", guest_set_backend(guest, VHOST_BLK_ALL_VQS, fd), wanted);
	expect_errno("GET_LIMITS", ioctl(guest->vhost, VHOST_BLK_GET_LIMITS, &limits), wanted);
	at("%s", "");
	close(fd);
}

static void run_no_files(const struct disk *unused, const struct check_case *self)
{
	int pipes[2], sockets[2];
	struct guest guest;

	(void)unused;
	guest_create(&guest, &self->options);
	if (pipe(pipes) || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets))
		fail_errno("pipe, socketpair");
	expect_refused(&guest, "a pipe to read", pipes[0], ENOTBLK);
	expect_refused(&guest, "a pipe to write", pipes[1], ENOTBLK);
	expect_refused(&guest, "a socket", sockets[0], ENOTBLK);
	expect_refused(&guest, "an eventfd", eventfd(0, EFD_CLOEXEC), ENOTBLK);
	expect_refused(&guest, "an epoll", epoll_create1(EPOLL_CLOEXEC), ENOTBLK);
	expect_refused(&guest, "a timer", timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), ENOTBLK);
	expect_refused(&guest, "/dev/null", open("/dev/null", O_RDWR | O_CLOEXEC), ENOTBLK);
	expect_refused(&guest, "the device itself", dup(guest.vhost), ENOTBLK);
	expect_refused(&guest, "a folder", open("/", O_RDONLY | O_CLOEXEC | O_DIRECTORY), ENOTBLK);
	expect_refused(&guest, "a descriptor for the path only", open("/dev/null", O_PATH | O_CLOEXEC), EBADF);
	expect_refused(&guest, "a file of /proc", open("/proc/self/comm", O_RDWR | O_CLOEXEC), ENOTBLK);
	expect_refused(&guest, "a file of /sys", open("/sys/kernel/uevent_seqnum", O_RDONLY | O_CLOEXEC), ENOTBLK);
	close(sockets[1]);
	expect_errno("descriptor 9999", guest_set_backend(&guest, 0, 9999), EBADF);
	expect_errno("descriptor -2", guest_set_backend(&guest, 0, -2), EBADF);
	guest_close(&guest);
}

static void run_append(const struct disk *unused, const struct check_case *self)
{
	int fd = memory_file(FILE_BYTES, 0);
	struct guest guest;

	(void)unused;
	guest_create(&guest, &self->options);
	must("F_SETFL", fcntl(fd, F_SETFL, O_APPEND));
	expect_refused(&guest, "a descriptor that appends", dup(fd), ENOTBLK);
	/* Also when it begins to later on, a write goes where the guest says. */
	must("F_SETFL", fcntl(fd, F_SETFL, 0));
	guest_attach(&guest, fd);
	must("F_SETFL", fcntl(fd, F_SETFL, O_APPEND));
	transfer(&guest, VIRTIO_BLK_T_OUT, 8, 4096, VIRTIO_BLK_S_OK);
	if (size_of(fd) != FILE_BYTES)
		fail("expected the file to keep its size, saw %lld bytes", (long long)size_of(fd));
	guest_close(&guest);
	close(fd);
}

static void create_guest(struct guest *guest, const struct check_case *self)
{
	struct guest_options options = self->options;

	options.features |= FEATURE(VIRTIO_BLK_F_DISCARD) | FEATURE(VIRTIO_BLK_F_WRITE_ZEROES);
	guest_create(guest, &options);
}

static void lay(int fd, uint64_t sector, unsigned bytes)
{
	char data[FILE_BYTES / 4];

	pattern_fill(data, bytes, sector, SALT);
	if (pwrite(fd, data, bytes, (off_t)(sector * SECTOR)) != (ssize_t)bytes)
		fail_errno("can not write the file");
}

static void expect_content(int fd, uint64_t sector, unsigned bytes, unsigned salt)
{
	char data[FILE_BYTES / 4];

	if (pread(fd, data, bytes, (off_t)(sector * SECTOR)) != (ssize_t)bytes)
		fail_errno("can not read the file");
	pattern_expect("file", data, bytes, sector, salt);
}

/* Reads are answered; a write, a discard and zeroing are not done, and the file stays as it is. */
static void expect_unwritable(struct guest *guest, int fd)
{
	struct { uint64_t sector; uint32_t sectors, flags; } segment = { 64, 8, 0 };
	static const uint32_t types[] = { VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES };

	transfer(guest, VIRTIO_BLK_T_IN, 64, 4096, VIRTIO_BLK_S_OK);
	transfer(guest, VIRTIO_BLK_T_OUT, 64, 4096, VIRTIO_BLK_S_IOERR);
	for (unsigned i = 0; i < 2; i++) {
		struct request request;

		request_build(&request, &guest->memory,
			      &(struct request_shape){ .type = types[i], .bytes = sizeof(segment) });
		request_set_data(&request, &guest->memory, &segment, sizeof(segment));
		request_run(&request, guest, 0);
		request_expect(&request, VIRTIO_BLK_S_IOERR);
		request_free(&request);
	}
	expect_content(fd, 64, 4096, SALT);
}

static void expect_told_read_only(const struct guest *guest, int fd, bool read_only)
{
	struct vhost_blk_limits limits;

	limits_get(guest, fd, &limits);
	if (!(limits.flags & VHOST_BLK_LIMIT_READ_ONLY) == read_only)
		fail("limits: expected the file to be told %s, saw the other", read_only ? "read-only" : "writable");
}

/* Sealed before it is attached, or while it is (count). */
static void run_sealed(const struct disk *unused, const struct check_case *self)
{
	int fd = memory_file(FILE_BYTES, MFD_ALLOW_SEALING);
	struct guest guest;

	(void)unused;
	lay(fd, 64, 4096);
	create_guest(&guest, self);
	if (!self->count)
		must("F_ADD_SEALS", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK));
	guest_attach(&guest, fd);
	if (self->count)
		must("F_ADD_SEALS", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK));
	expect_unwritable(&guest, fd);
	guest_close(&guest);
	close(fd);
}

static void prepare(int fd)
{
	lay(fd, 64, 4096);
}

static void run_read_only_mount(const struct disk *unused, const struct check_case *self)
{
	int fd = file_on_read_only_mount(FILE_BYTES, prepare);
	struct guest guest;

	(void)unused;
	create_guest(&guest, self);
	expect_told_read_only(&guest, fd, true);
	guest_attach(&guest, fd);
	expect_unwritable(&guest, fd);
	guest_close(&guest);
	close(fd);
}

static void set_immutable(int fd, bool on)
{
	long flags;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags))
		skip("the file system knows no flags: %s", strerror(errno));
	flags = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
	must("FS_IOC_SETFLAGS", ioctl(fd, FS_IOC_SETFLAGS, &flags));
}

static void writable_again(void *argument)
{
	long flags = 0;

	ioctl(*(int *)argument, FS_IOC_SETFLAGS, &flags);
}

/* While the file is immutable, a descriptor that could write must not; nor may one that was attached before. */
static void run_immutable(const struct disk *disk, const struct check_case *self)
{
	int fd = disk->fd;
	struct guest guest;

	create_guest(&guest, self);
	lay(fd, 64, 4096);
	guest_attach(&guest, fd);
	at_end(writable_again, &fd);
	set_immutable(fd, true);
	expect_told_read_only(&guest, -1, true);
	expect_unwritable(&guest, fd);
	set_immutable(fd, false);
	not_at_end(writable_again, &fd);
	expect_told_read_only(&guest, -1, false);
	transfer(&guest, VIRTIO_BLK_T_OUT, 64, 4096, VIRTIO_BLK_S_OK);
	guest_close(&guest);
}

/* A descriptor for direct access is as good as another: also for what can not be done directly. */
static void run_direct(const struct disk *disk, const struct check_case *self)
{
	static const struct request_shape shapes[] = {
		{ .sector = 64, .bytes = 65536 }, { .sector = 257, .bytes = 512 }, { .sector = 301, .bytes = 1536 },
		{ .sector = 512, .bytes = 16384, .misalign = 3 }, { .sector = 1024, .bytes = 8192, .data_cuts = { 1000 } },
	};
	int fd = open(disk->path, O_RDWR | O_DIRECT | O_CLOEXEC);
	char data[65536];
	struct guest guest;

	if (fd < 0 && errno == EINVAL)
		skip("the file system knows no direct access");
	if (fd < 0)
		fail_errno("can not open %s", disk->path);
	guest_create(&guest, &self->options);
	guest_attach(&guest, fd);
	for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct request_shape shape = shapes[i];
		struct request request;

		at("%u bytes from sector %llu", shape.bytes, (unsigned long long)shape.sector);
		shape.type = VIRTIO_BLK_T_OUT;
		request_build(&request, &guest.memory, &shape);
		pattern_fill(data, shape.bytes, shape.sector, SALT + i);
		request_set_data(&request, &guest.memory, data, shape.bytes);
		request_run(&request, &guest, 0);
		request_expect(&request, VIRTIO_BLK_S_OK);
		request_free(&request);
		expect_content(disk->fd, shape.sector, shape.bytes, SALT + i);
		shape.type = VIRTIO_BLK_T_IN;
		request_build(&request, &guest.memory, &shape);
		request_run(&request, &guest, 0);
		request_expect(&request, VIRTIO_BLK_S_OK);
		request_get_data(&request, &guest.memory, data, shape.bytes);
		pattern_expect("data read", data, shape.bytes, shape.sector, SALT + i);
		request_free(&request);
	}
	guest_close(&guest);
	close(fd);
}

void suite_add_file_kinds(struct suite *suite)
{
	unsigned first = suite->count;

	suite_add(suite, GROUP_FULL | GROUP_QUICK, run_no_files, "descriptors that are no disks refused");
	suite_add(suite, GROUP_FULL, run_append, "file that is appended to refused");
	suite_add(suite, GROUP_FULL, run_sealed, "sealed file can not be written");
	suite_add(suite, GROUP_FULL, run_sealed, "file sealed while it is a disk can not be written")->count = 1;
	suite_add(suite, GROUP_FULL, run_read_only_mount, "file on a read-only mount can not be written");
	suite_set_row(suite, first, ROW_FILE);
}

void suite_add_file_flags(struct suite *suite)
{
	unsigned first = suite->count;

	suite_add(suite, GROUP_FULL, run_immutable, "immutable file can not be written");
	suite_add(suite, GROUP_FULL, run_direct, "file opened for direct access");
	suite_set_row(suite, first, ROW_FILE);
}
