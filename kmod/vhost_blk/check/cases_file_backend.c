// SPDX-License-Identifier: GPL-2.0-only
/* What is peculiar to regular files as disks; that they hold data as others do, all cases show when one is the disk. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"
#include "limits.h"
#include "suite.h"

#define FEATURE(bit) (1ull << (bit))
#define ODD_BYTES (1024 * 1024 + 700)
#define THAW_SECONDS 60
#define FILE_BYTES (1024 * 1024)
#define GROWN_BYTES 65536
#define SALT 81u
#define SWAP_BYTES (1024 * 1024)

/* A size that is no multiple of a sector: what is left over is not part of the disk, and nothing makes it grow. */
static void run_odd_size(const struct disk *unused, const struct check_case *self)
{
	int fd = memory_file(ODD_BYTES, 0);
	uint64_t end = ODD_BYTES / SECTOR;
	struct vhost_blk_limits limits;
	struct guest guest;

	(void)unused;
	guest_create(&guest, &self->options);
	limits_get(&guest, fd, &limits);
	if (limits.capacity != end)
		fail("expected %llu sectors, saw %llu", (unsigned long long)end, (unsigned long long)limits.capacity);
	guest_attach(&guest, fd);
	transfer(&guest, VIRTIO_BLK_T_OUT, end - 1, SECTOR, VIRTIO_BLK_S_OK);
	transfer(&guest, VIRTIO_BLK_T_OUT, end, SECTOR, VIRTIO_BLK_S_IOERR);
	transfer(&guest, VIRTIO_BLK_T_IN, end, SECTOR, VIRTIO_BLK_S_IOERR);
	transfer(&guest, VIRTIO_BLK_T_OUT, end - 1, 2 * SECTOR, VIRTIO_BLK_S_IOERR);
	guest_close(&guest);
	if (size_of(fd) != ODD_BYTES)
		fail("expected the file to keep its size, saw %lld bytes", (long long)size_of(fd));
	close(fd);
}

static void run_cut(const struct disk *unused, const struct check_case *self)
{
	int fd = memory_file(1024 * 1024, 0);
	struct guest guest;

	(void)unused;
	guest_create(&guest, &self->options);
	guest_attach(&guest, fd);
	transfer(&guest, VIRTIO_BLK_T_OUT, 2040, 4096, VIRTIO_BLK_S_OK);
	if (ftruncate(fd, 512 * 1024))
		fail_errno("ftruncate");
	transfer(&guest, VIRTIO_BLK_T_OUT, 2040, 4096, VIRTIO_BLK_S_IOERR);
	transfer(&guest, VIRTIO_BLK_T_IN, 1020, 4096, VIRTIO_BLK_S_IOERR);
	transfer(&guest, VIRTIO_BLK_T_IN, 1016, 4096, VIRTIO_BLK_S_OK);
	guest_close(&guest);
	if (size_of(fd) != 512 * 1024)
		fail("expected the file to stay cut, saw %lld bytes", (long long)size_of(fd));
	close(fd);
}

/* What a file grows by is told, and can be written; a file system of the user's, or one in memory. */
static void run_grown(const struct disk *disk, const struct check_case *self)
{
	int fd = disk->file ? dup(disk->fd) : memory_file(FILE_BYTES, 0), call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	off_t before = size_of(fd), grown = before + GROWN_BYTES;
	char data[GROWN_BYTES], saw[GROWN_BYTES];
	struct vhost_blk_limits limits;
	struct request request;
	struct guest guest;

	guest_create(&guest, &self->options);
	if (ioctl(guest.vhost, VHOST_BLK_SET_CONFIG_CALL, &call))
		fail_errno("VHOST_BLK_SET_CONFIG_CALL");
	guest_attach(&guest, fd);
	transfer(&guest, VIRTIO_BLK_T_OUT, (uint64_t)before / SECTOR, SECTOR, VIRTIO_BLK_S_IOERR);
	if (ftruncate(fd, grown))
		fail_errno("ftruncate");
	if (!resize_signalled(call, RESIZE_MS))
		fail("file grown: expected a signal within %d ms, saw none", RESIZE_MS);
	limits_get(&guest, -1, &limits);
	if (limits.capacity != (uint64_t)grown / SECTOR)
		fail("expected %lld sectors, saw %llu", (long long)grown / SECTOR, (unsigned long long)limits.capacity);
	request_build(&request, &guest.memory,
		      &(struct request_shape){ .type = VIRTIO_BLK_T_OUT, .bytes = GROWN_BYTES,
					       .sector = (uint64_t)before / SECTOR });
	pattern_fill(data, sizeof(data), (uint64_t)before / SECTOR, SALT);
	request_set_data(&request, &guest.memory, data, sizeof(data));
	request_run(&request, &guest, 0);
	request_expect(&request, VIRTIO_BLK_S_OK);
	request_free(&request);
	if (pread(fd, saw, sizeof(saw), before) != (ssize_t)sizeof(saw))
		fail_errno("can not read what the file grew by");
	pattern_expect("grown part", saw, sizeof(saw), (uint64_t)before / SECTOR, SALT);
	transfer(&guest, VIRTIO_BLK_T_OUT, (uint64_t)grown / SECTOR, SECTOR, VIRTIO_BLK_S_IOERR);
	guest_close(&guest);
	if (ftruncate(fd, before))
		fail_errno("ftruncate");
	close(call);
	close(fd);
}

static long long blocks_of(const struct disk *disk)
{
	struct stat stat;

	/* What is not yet allocated counts only when it is. */
	if (fsync(disk->fd) || fstat(disk->fd, &stat))
		fail_errno("fstat");
	return (long long)stat.st_blocks;
}

/* Discarding and zeroing with unmap free the file's space; the size stays. */
static void run_space(const struct disk *given, const struct check_case *self)
{
	struct guest_options options = self->options;
	static const uint32_t types[] = { VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES };
	const struct disk *disk = given;
	struct disk own = { 0 };
	struct guest guest;

	if (!given->file) {
		disk_file(&own, "/tmp", SCRATCH_BYTES);
		disk = &own;
	}
	options.features = FEATURE(VIRTIO_BLK_F_DISCARD) | FEATURE(VIRTIO_BLK_F_WRITE_ZEROES);
	guest_create(&guest, &options);
	guest_attach(&guest, disk->fd);
	for (unsigned i = 0; i < 2; i++) {
		struct { uint64_t sector; uint32_t sectors, flags; } segment = { 32768, 2048, i };
		struct request request;
		long long before, full, after;

		before = blocks_of(disk);
		memory_data_reset(&guest.memory);
		transfer(&guest, VIRTIO_BLK_T_OUT, segment.sector, 1048576, VIRTIO_BLK_S_OK);
		full = blocks_of(disk);
		request_build(&request, &guest.memory,
			      &(struct request_shape){ .type = types[i], .bytes = sizeof(segment) });
		request_set_data(&request, &guest.memory, &segment, sizeof(segment));
		request_run(&request, &guest, 0);
		request_expect(&request, VIRTIO_BLK_S_OK);
		request_free(&request);
		after = blocks_of(disk);
		if (full - after < 2000)
			fail("type %u: expected 2048 sectors less than %lld, saw %lld (before the write %lld)",
			     types[i], full, after, before);
	}
	if ((uint64_t)size_of(disk->fd) != disk->bytes)
		fail("expected the file to keep its size, saw %lld bytes", (long long)size_of(disk->fd));
	guest_close(&guest);
}

/* A file system that nobody else thaws must not stay frozen when this case fails. */
static pid_t thaw_later(const struct disk *disk)
{
	pid_t pid = fork();

	if (pid < 0)
		fail_errno("fork");
	if (pid == 0) {
		sleep(THAW_SECONDS);
		ioctl(disk->fd, FITHAW, 0);
		_exit(0);
	}
	return pid;
}

/* While the file system is frozen a write waits, but the virtqueue does not: reads behind it are answered. */
static void run_frozen(const struct disk *disk, const struct check_case *self)
{
	struct request write, read;
	struct guest guest;
	pid_t thawer;

	guest_create(&guest, &self->options);
	guest_attach(&guest, disk->fd);
	transfer(&guest, VIRTIO_BLK_T_OUT, 64, 4096, VIRTIO_BLK_S_OK);
	thawer = thaw_later(disk);
	if (ioctl(disk->fd, FIFREEZE, 0)) {
		int error = errno;

		kill(thawer, SIGKILL);
		if (error == EOPNOTSUPP)
			skip("the file system can not be frozen");
		fail("FIFREEZE: %s", strerror(error));
	}
	request_build(&write, &guest.memory,
		      &(struct request_shape){ .type = VIRTIO_BLK_T_OUT, .sector = 64, .bytes = 4096 });
	request_add(&write, &guest.ring[0], &guest.memory);
	ring_kick(&guest.ring[0]);
	request_build(&read, &guest.memory,
		      &(struct request_shape){ .type = VIRTIO_BLK_T_IN, .sector = 64, .bytes = 4096 });
	request_run(&read, &guest, 0);
	request_expect(&read, VIRTIO_BLK_S_OK);
	if (ring_in_flight(&guest.ring[0]) != 1)
		fail("expected the write to wait for the thaw, saw it answered");
	if (ioctl(disk->fd, FITHAW, 0))
		fail_errno("FITHAW");
	kill(thawer, SIGKILL);
	waitpid(thawer, NULL, 0);
	ring_wait(&guest.ring[0]);
	if (request_pop(&guest.ring[0], &guest.memory) != &write)
		fail("expected the answer to the write, saw another");
	request_expect(&write, VIRTIO_BLK_S_OK);
	guest_close(&guest);
}

/* The layout of a swap file's first page, as mkswap writes it. */
static void make_swap(int fd)
{
	static char page[4096];
	uint32_t info[3] = { 1, SWAP_BYTES / sizeof(page) - 1, 0 };

	for (uint32_t done = 0; done < SWAP_BYTES; done += sizeof(page))
		if (pwrite(fd, page, sizeof(page), done) != (ssize_t)sizeof(page))
			fail_errno("can not write a swap file");
	memcpy(page + 1024, info, sizeof(info));
	memcpy(page + sizeof(page) - 10, "SWAPSPACE2", 10);
	if (pwrite(fd, page, sizeof(page), 0) != (ssize_t)sizeof(page) || fsync(fd))
		fail_errno("can not write a swap file");
}

static void run_swap_file(const struct disk *disk, const struct check_case *self)
{
	int unusable, error = 0;
	struct guest guest;

	/* A swap file has no holes. */
	if (ftruncate(disk->fd, SWAP_BYTES))
		fail_errno("ftruncate");
	guest_create(&guest, &self->options);
	make_swap(disk->fd);
	unusable = swapon(disk->path, 0) ? errno : 0;
	if (!unusable) {
		error = guest_set_backend(&guest, 0, disk->fd) ? errno : 0;
		if (swapoff(disk->path))
			fail_errno("swapoff");
	}
	if (ftruncate(disk->fd, (off_t)disk->bytes))
		fail_errno("ftruncate");
	if (unusable)
		skip("the file system takes no swap file: %s", strerror(unusable));
	if (error != ENOTBLK)
		fail("a swap file: expected ENOTBLK, saw %s", error ? strerror(error) : "success");
	guest_attach(&guest, disk->fd);
	guest_close(&guest);
}

/* More flushes than there are threads for them. */
static void run_flushes(const struct disk *disk, const struct check_case *self)
{
	struct request flush;
	struct guest guest;
	unsigned answered = 0;

	guest_create(&guest, &self->options);
	guest_attach(&guest, disk->fd);
	request_build(&flush, &guest.memory, &(struct request_shape){ .type = VIRTIO_BLK_T_FLUSH });
	for (unsigned i = 0; i < self->count; i++)
		request_add(&flush, &guest.ring[0], &guest.memory);
	ring_kick(&guest.ring[0]);
	while (answered < self->count) {
		ring_wait(&guest.ring[0]);
		while (request_pop(&guest.ring[0], &guest.memory)) {
			request_expect(&flush, VIRTIO_BLK_S_OK);
			answered++;
		}
	}
	guest_close(&guest);
}

void suite_add_file_backend(struct suite *suite)
{
	unsigned first = suite->count;

	suite_add(suite, GROUP_FULL, run_odd_size, "file whose size is no multiple of a sector");
	suite_add(suite, GROUP_FULL, run_cut, "file that is cut while it is a disk");
	suite_add(suite, GROUP_FULL, run_grown, "file that grows while it is a disk");
	suite_add(suite, GROUP_FULL, run_space, "file gives space back");
	suite_add(suite, GROUP_FULL, run_flushes, "100 flushes at once")->count = 100;
	suite_set_row(suite, first, ROW_FILE);
}

void suite_add_file_system(struct suite *suite)
{
	unsigned first = suite->count;

	suite_add(suite, GROUP_FULL, run_frozen, "file on a frozen file system");
	suite_add(suite, GROUP_FULL, run_swap_file, "swap file refused");
	suite_set_row(suite, first, ROW_FILE);
}
