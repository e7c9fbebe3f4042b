// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "engine.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "report.h"

int job_open_direct(const struct job *job)
{
	int fd = open(job->device, (job->write ? O_RDWR : O_RDONLY) | O_DIRECT | O_CLOEXEC);

	if (fd < 0)
		fail_errno("can not open %s for direct access", job->device);
	return fd;
}

char *job_buffers(unsigned count)
{
	size_t bytes = (size_t)count * BLOCK_BYTES;
	char *buffers = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (buffers == MAP_FAILED)
		fail_errno("can not map %zu bytes", bytes);
	/* Pages of their own, of the size that the rings' memory has. */
	madvise(buffers, bytes, MADV_NOHUGEPAGE);
	memset(buffers, 1, bytes);
	return buffers;
}
