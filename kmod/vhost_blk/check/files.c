// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "files.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report.h"

int memory_file(off_t bytes, unsigned flags)
{
	int fd = memfd_create("vhost-blk-check-file", MFD_CLOEXEC | flags);

	if (fd < 0 || ftruncate(fd, bytes))
		fail_errno("can not make a file in memory");
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
