// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU's image locks (block/file-posix.c): shared locks on single bytes. One range of bytes tells what a user does, one what
 * it does not suffer others to do; each byte stands for a permission.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lock.h"
#include "say.h"

#define DOES 100
#define FORBIDS 200

/* The permissions, as bits. */
enum {
	CONSISTENT_READ = 1 << 0,
	WRITE = 1 << 1,
	RESIZE = 1 << 3,
};

static int lock_byte(int fd, int command, short type, int at, struct flock *lock)
{
	*lock = (struct flock) { .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };
	return fcntl(fd, command, lock);
}

static int lock_all(const char *path, int fd, int base, unsigned int permissions)
{
	struct flock lock;

	for (int bit = 0; permissions >> bit; bit++) {
		if (!(permissions >> bit & 1))
			continue;
		if (lock_byte(fd, F_OFD_SETLK, F_RDLCK, base + bit, &lock)) {
			say("%s: can not be locked: %s", path, strerror(errno));
			return -1;
		}
	}
	return 0;
}

/* Whether nobody else holds a lock on one of the bytes. */
static int none_locked(const char *path, int fd, int base, unsigned int permissions)
{
	struct flock lock;

	for (int bit = 0; permissions >> bit; bit++) {
		if (!(permissions >> bit & 1))
			continue;
		if (lock_byte(fd, F_OFD_GETLK, F_WRLCK, base + bit, &lock)) {
			say("%s: can not be locked: %s", path, strerror(errno));
			return -1;
		}
		if (lock.l_type != F_UNLCK) {
			say("%s: in use by another process", path);
			return -1;
		}
	}
	return 0;
}

/* What every user of ours does not suffer from others. */
static const unsigned int forbids = WRITE | RESIZE;

int lock_reading(const char *path, int fd)
{
	return lock_all(path, fd, DOES, CONSISTENT_READ) || lock_all(path, fd, FORBIDS, forbids) ? -1 : 0;
}

int lock_image(const char *path, int fd, bool write)
{
	unsigned int does = CONSISTENT_READ | (write ? WRITE | RESIZE : 0);

	if (lock_reading(path, fd) || lock_all(path, fd, DOES, does))
		return -1;
	if (none_locked(path, fd, FORBIDS, does) || none_locked(path, fd, DOES, forbids))
		return -1;
	return 0;
}

void unlock_writing(int fd)
{
	struct flock lock;

	for (int bit = 0; (WRITE | RESIZE) >> bit; bit++)
		if ((WRITE | RESIZE) >> bit & 1)
			lock_byte(fd, F_OFD_SETLK, F_UNLCK, DOES + bit, &lock);
}
