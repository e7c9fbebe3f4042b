// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "files.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "expect.h"
#include "report.h"

int memory_file(off_t bytes, unsigned flags)
{
	int fd = memfd_create("vhost-blk-check-file", MFD_CLOEXEC | flags);

	if (fd < 0 || ftruncate(fd, bytes))
		fail_errno("can not make a file in memory");
	return fd;
}

int file_on_read_only_mount(off_t bytes, void (*prepare)(int fd))
{
	char folder[] = "/tmp/vhost-blk-check-XXXXXX", path[64];
	int fd;

	/* Others do not see the mount. */
	must("a mount namespace", unshare(CLONE_NEWNS));
	must("private mounts", mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	if (!mkdtemp(folder) || mount("check", folder, "tmpfs", 0, NULL))
		fail_errno("can not mount tmpfs on %s", folder);
	snprintf(path, sizeof(path), "%s/disk", folder);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, bytes))
		fail_errno("can not make %s", path);
	prepare(fd);
	close(fd);
	must("remounting read-only", mount(NULL, folder, NULL, MS_REMOUNT | MS_RDONLY, NULL));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail_errno("can not open %s", path);
	must("umount", umount2(folder, MNT_DETACH));
	rmdir(folder);
	return fd;
}

off_t size_of(int fd)
{
	struct stat stat;

	if (fstat(fd, &stat))
		fail_errno("fstat");
	return stat.st_size;
}

void transfer(struct guest *guest, uint32_t type, uint64_t sector, uint32_t bytes, uint8_t status)
{
	request_once(guest, &(struct request_shape){ .type = type, .sector = sector, .bytes = bytes }, status);
}
