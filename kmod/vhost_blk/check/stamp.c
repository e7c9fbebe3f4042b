// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "stamp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define SRCVERSION_PATH "/sys/module/vhost_blk/srcversion"

/* Reads a short text file without its line end; false when it is absent, empty or longer than @size. */
static bool read_line(const char *path, char *to, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t got;

	if (fd < 0)
		return false;
	got = read(fd, to, size);
	close(fd);
	if (got <= 0 || (size_t)got == size)
		return false;
	to[got] = '\0';
	to[strcspn(to, "\n")] = '\0';
	return to[0] != '\0';
}

bool stamp_current(char stamp[STAMP_BYTES])
{
	struct utsname name;
	char srcversion[64];

	if (uname(&name) || !read_line(SRCVERSION_PATH, srcversion, sizeof(srcversion)))
		return false;
	return snprintf(stamp, STAMP_BYTES, "%s %s", name.release, srcversion) < STAMP_BYTES;
}

bool stamp_matches(const char *stamp)
{
	char recorded[STAMP_BYTES];

	return read_line(STAMP_PATH, recorded, sizeof(recorded)) && !strcmp(recorded, stamp);
}

/* Makes every missing folder above @path; those that exist stay as they are. */
static int make_folders(const char *path)
{
	char folder[sizeof(STAMP_PATH)];

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
		if (mkdir(folder, 0700) && errno != EEXIST)
			return -1;
	}
	return 0;
}

static int write_all(int fd, const char *stamp)
{
	char line[STAMP_BYTES + 1];
	int length = snprintf(line, sizeof(line), "%s\n", stamp);

	if (write(fd, line, (size_t)length) != length)
		return -1;
	return fsync(fd);
}

int stamp_write(const char *stamp)
{
	static const char temporary[] = STAMP_PATH ".new";
	int fd, result;

	if (make_folders(STAMP_PATH))
		return -1;
	/* What a run that was killed left behind is ours; the folder belongs to root alone. */
	if (unlink(temporary) && errno != ENOENT)
		return -1;
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -1;
	result = write_all(fd, stamp);
	close(fd);
	if (!result)
		result = rename(temporary, STAMP_PATH);
	if (result)
		unlink(temporary);
	return result;
}
