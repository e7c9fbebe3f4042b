// SPDX-License-Identifier: GPL-2.0-only
#include "instance.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "say.h"

static int lock(int fd)
{
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return 0;
	say("the one before this is not gone yet: waiting for its requests to be answered");
	while (flock(fd, LOCK_EX))
		if (errno != EINTR)
			return -1;
	return 0;
}

struct kept *instance_begin(const char *path, struct reason *reason)
{
	char name[160];
	struct kept *kept;
	int fd;

	snprintf(name, sizeof(name), "%s.lock", path);
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || lock(fd) || ftruncate(fd, sizeof(*kept))) {
		refuse_error(reason, -errno, "%s", name);
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	kept = mmap(NULL, sizeof(*kept), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (kept == MAP_FAILED) {
		refuse_error(reason, -errno, "%s", name);
		kept = NULL;
	}
	/* The mapping keeps the open file, and so the lock. */
	close(fd);
	return kept;
}
