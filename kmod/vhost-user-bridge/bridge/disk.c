// SPDX-License-Identifier: GPL-2.0-only
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Who reads partition tables or signatures has a new disk for a moment, and the kernel lets go of a file a moment late. */
#define ATTEMPTS 100
#define ATTEMPT_MS 50

static void wait_a_moment(void)
{
	struct timespec moment = { 0, ATTEMPT_MS * 1000000l };

	nanosleep(&moment, NULL);
}

static int open_as(const struct options *options, int flags)
{
	/* A FIFO in place of a disk is not waited for. */
	return open(options->disk, (options->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | flags);
}

static int claim(const struct options *options, mode_t mode)
{
	int fd;

	for (int attempt = 0;; attempt++) {
		fd = open_as(options, S_ISBLK(mode) ? O_EXCL : 0);
		if (fd >= 0 && (!S_ISREG(mode) || !flock(fd, LOCK_EX | LOCK_NB)))
			return fd;
		if (fd >= 0)
			close(fd);
		if ((errno != EBUSY && errno != EWOULDBLOCK) || attempt == ATTEMPTS)
			return -1;
		wait_a_moment();
	}
}

int disk_open(const struct options *options, struct reason *reason)
{
	struct stat stat;
	int fd = open_as(options, 0);

	if (fd < 0 || fstat(fd, &stat)) {
		refuse_error(reason, -errno, "%.200s", options->disk);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (!S_ISBLK(stat.st_mode) && !S_ISREG(stat.st_mode)) {
		close(fd);
		return refuse(reason, "%.200s is neither a block device nor a regular file", options->disk);
	}
	if (options->shared)
		return fd;
	close(fd);
	fd = claim(options, stat.st_mode);
	if (fd < 0 && (errno == EBUSY || errno == EWOULDBLOCK))
		return refuse(reason, "%.180s is in use: mounted, part of another device, or served to a guest",
			      options->disk);
	return fd < 0 ? refuse_error(reason, -errno, "%.200s", options->disk) : fd;
}
