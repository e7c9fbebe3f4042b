/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The disk that is tried, and a second way to its content that does not go through the module: for the scratch disk the
 * file behind the loop device, for a given device an O_DIRECT descriptor, for a file another descriptor of it.
 */
#ifndef VHOST_BLK_CHECK_DISK_H
#define VHOST_BLK_CHECK_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECTOR 512u
#define SCRATCH_BYTES (64ull * 1024 * 1024)

struct disk {
	char path[256];
	int fd;
	int content;
	bool scratch;
	/* A regular file. */
	bool file;
	uint64_t bytes;
	unsigned block;
};

/* A loop device over an unlinked file in memory. The kernel takes it down when the last descriptor closes. */
void disk_scratch(struct disk *disk);

/* disk_scratch() with the largest logical blocks that the kernel knows, up to DISK_MAX_BLOCK. */
#define DISK_MAX_BLOCK 65536u
void disk_large_blocks(struct disk *disk);

/* A nameless file of @bytes in the folder @path; it goes with its last descriptor. */
void disk_file(struct disk *disk, const char *path, uint64_t bytes);

/* A device of the user's; refused when it is in use or holds anything, unless @destroy. */
void disk_use(struct disk *disk, const char *path, bool destroy);

/* Zeroes the ends of a device of the user's, so that the next check finds it blank; the scratch disk just goes. */
void disk_blank_ends(const struct disk *disk);

/* A further descriptor of the disk with @flags of open(2). */
int disk_open(const struct disk *disk, int flags);

/* Whole blocks only. They fail the case when the content can not be reached. */
void disk_read(const struct disk *disk, uint64_t offset, void *to, size_t bytes);
void disk_write(const struct disk *disk, uint64_t offset, const void *from, size_t bytes);

/* What sector @sector holds after a write with @salt: every 8 bytes differ. */
void pattern_fill(void *to, size_t bytes, uint64_t sector, uint64_t salt);

/* Writes pattern_fill() of @bytes from @sector on; whole blocks. */
void disk_lay(const struct disk *disk, uint64_t sector, uint32_t bytes, uint64_t salt);

/* Compares with pattern_fill(); fails the case with the first byte that differs, naming @what. */
void pattern_expect(const char *what, const void *saw, size_t bytes, uint64_t sector, uint64_t salt);

#endif
