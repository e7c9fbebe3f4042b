// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "report.h"
#include "signature.h"

#define LOOP_ATTEMPTS 16
#define DIRECT_ALIGN 4096u
#define DISK_MIN_BYTES (16ull * 1024 * 1024)

static void measure(struct disk *disk)
{
	int block;

	if (ioctl(disk->fd, BLKGETSIZE64, &disk->bytes) || ioctl(disk->fd, BLKSSZGET, &block))
		fail_errno("%s is not a block device", disk->path);
	disk->block = (unsigned)block;
	if (disk->bytes < DISK_MIN_BYTES)
		fail("%s has %llu bytes; at least %llu are needed", disk->path, (unsigned long long)disk->bytes,
		     DISK_MIN_BYTES);
}

/* @block: 0 for the kernel's choice. Returns false when it has no such blocks. */
static bool make_scratch(struct disk *disk, unsigned block)
{
	struct loop_config config = { .block_size = block, .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);

	memset(disk, 0, sizeof(*disk));
	disk->scratch = true;
	if (control < 0)
		fail_errno("can not open /dev/loop-control (modprobe loop?)");
	disk->content = memfd_create("vhost-blk-check-disk", MFD_CLOEXEC);
	if (disk->content < 0 || ftruncate(disk->content, SCRATCH_BYTES))
		fail_errno("can not make a scratch file");
	config.fd = (__u32)disk->content;
	/* Somebody else may take the free loop device between the two calls. */
	for (int attempt = 0; attempt < LOOP_ATTEMPTS; attempt++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);

		if (number < 0)
			fail_errno("no free loop device");
		snprintf(disk->path, sizeof(disk->path), "/dev/loop%d", number);
		disk->fd = open(disk->path, O_RDWR | O_CLOEXEC);
		if (disk->fd < 0)
			fail_errno("can not open %s", disk->path);
		if (!ioctl(disk->fd, LOOP_CONFIGURE, &config)) {
			int off = 0;

			close(control);
			/* What the device's last user had set stays with its number. */
			if (ioctl(disk->fd, BLKROSET, &off))
				fail_errno("BLKROSET of %s", disk->path);
			measure(disk);
			return true;
		}
		if (errno == EINVAL && block) {
			close(control);
			close(disk->fd);
			close(disk->content);
			return false;
		}
		if (errno != EBUSY)
			fail_errno("LOOP_CONFIGURE of %s", disk->path);
		close(disk->fd);
	}
	fail("no loop device stayed free in %d attempts", LOOP_ATTEMPTS);
}

void disk_scratch(struct disk *disk)
{
	make_scratch(disk, 0);
}

void disk_large_blocks(struct disk *disk)
{
	unsigned block = DISK_MAX_BLOCK;

	while (!make_scratch(disk, block))
		block /= 2;
}

void disk_file(struct disk *disk, const char *path, uint64_t bytes)
{
	memset(disk, 0, sizeof(*disk));
	disk->scratch = true;
	disk->file = true;
	disk->block = SECTOR;
	disk->bytes = bytes;
	disk->fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (disk->fd < 0)
		fail_errno("can not make a file in %s", path);
	if (ftruncate(disk->fd, (off_t)bytes))
		fail_errno("can not make a file of %llu bytes in %s", (unsigned long long)bytes, path);
	/* For others, too, that are children of this process. */
	snprintf(disk->path, sizeof(disk->path), "/proc/self/fd/%d", disk->fd);
	disk->content = disk_open(disk, O_RDWR);
}

void disk_use(struct disk *disk, const char *path, bool destroy)
{
	char reason[160];

	memset(disk, 0, sizeof(*disk));
	snprintf(disk->path, sizeof(disk->path), "%s", path);
	/* O_EXCL on a block device: refused while it is mounted, swapped to, or part of another device. */
	disk->fd = open(path, O_RDWR | O_CLOEXEC | O_EXCL);
	if (disk->fd < 0 && errno == EBUSY)
		fail("%s is in use (mounted, swap, or part of another device)", path);
	if (disk->fd < 0)
		fail_errno("can not open %s", path);
	disk->content = open(path, O_RDWR | O_CLOEXEC | O_DIRECT);
	if (disk->content < 0)
		fail_errno("can not open %s for direct access", path);
	measure(disk);
	if (!destroy && signature_found(disk, reason, sizeof(reason)))
		fail("%s %s; --destroy-data overwrites it", path, reason);
}

void disk_blank_ends(const struct disk *disk)
{
	static const char zeroes[1024 * 1024];

	if (disk->scratch)
		return;
	disk_write(disk, 0, zeroes, sizeof(zeroes));
	disk_write(disk, disk->bytes - sizeof(zeroes), zeroes, sizeof(zeroes));
}

int disk_open(const struct disk *disk, int flags)
{
	int fd = open(disk->path, flags | O_CLOEXEC);

	if (fd < 0)
		fail_errno("can not open %s again", disk->path);
	return fd;
}

static void *bounce(size_t bytes)
{
	void *buffer = aligned_alloc(DIRECT_ALIGN, (bytes + DIRECT_ALIGN - 1) & ~(size_t)(DIRECT_ALIGN - 1));

	if (!buffer)
		fail("out of memory");
	return buffer;
}

void disk_read(const struct disk *disk, uint64_t offset, void *to, size_t bytes)
{
	char *buffer = bounce(bytes);

	if (pread(disk->content, buffer, bytes, (off_t)offset) != (ssize_t)bytes)
		fail_errno("can not read %zu bytes of the disk at %llu", bytes, (unsigned long long)offset);
	memcpy(to, buffer, bytes);
	free(buffer);
}

void disk_write(const struct disk *disk, uint64_t offset, const void *from, size_t bytes)
{
	char *buffer = bounce(bytes);

	memcpy(buffer, from, bytes);
	if (pwrite(disk->content, buffer, bytes, (off_t)offset) != (ssize_t)bytes)
		fail_errno("can not write %zu bytes of the disk at %llu", bytes, (unsigned long long)offset);
	free(buffer);
}

static uint64_t pattern_word(uint64_t index, uint64_t salt)
{
	/* splitmix64's finisher: cheap, and no two neighbouring words agree. */
	uint64_t word = (index + 1) * 0x9e3779b97f4a7c15ull ^ salt * 0xbf58476d1ce4e5b9ull;

	word ^= word >> 31;
	return word * 0x94d049bb133111ebull;
}

void pattern_fill(void *to, size_t bytes, uint64_t sector, uint64_t salt)
{
	char *out = to;

	for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
		uint64_t word = pattern_word((sector * SECTOR + i) / sizeof(word), salt);
		size_t left = bytes - i;

		memcpy(out + i, &word, left < sizeof(word) ? left : sizeof(word));
	}
}

void disk_lay(const struct disk *disk, uint64_t sector, uint32_t bytes, uint64_t salt)
{
	char *data = bounce(bytes);

	pattern_fill(data, bytes, sector, salt);
	disk_write(disk, sector * SECTOR, data, bytes);
	free(data);
}

void pattern_expect(const char *what, const void *saw, size_t bytes, uint64_t sector, uint64_t salt)
{
	unsigned char *expected = bounce(bytes);
	const unsigned char *seen = saw;

	pattern_fill(expected, bytes, sector, salt);
	for (size_t i = 0; i < bytes; i++)
		if (expected[i] != seen[i])
			fail("%s: expected byte %zu of %zu from sector %llu to be %#04x, saw %#04x", what, i, bytes,
			     (unsigned long long)sector, expected[i], seen[i]);
	free(expected);
}
