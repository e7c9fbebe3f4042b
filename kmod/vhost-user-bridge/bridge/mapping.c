// SPDX-License-Identifier: GPL-2.0-only
#include "mapping.h"

#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif

/* Larger than any address space; sums of two such do not wrap. */
#define TOO_MUCH (1ull << 62)

/* Looks what the file is. @page: what its mappings begin and end on. Return: 0, or -1 with @reason. */
static int check_file(struct mapping *mapping, int fd, uint64_t end, uint64_t *page, struct reason *reason)
{
	struct statfs system;
	struct stat stat;

	if (fstat(fd, &stat) || fstatfs(fd, &system))
		return refuse_error(reason, -errno, "a file that can not be looked at");
	if (!S_ISREG(stat.st_mode))
		return refuse(reason, "what is to be mapped is no file");
	if (system.f_type == FUSE_SUPER_MAGIC)
		return refuse(reason, "a file on FUSE can not be memory");
	if ((uint64_t)stat.st_size < end)
		return refuse(reason, "a file of %llu bytes, and %llu are needed", (unsigned long long)stat.st_size,
			      (unsigned long long)end);
	mapping->device = stat.st_dev;
	mapping->inode = stat.st_ino;
	*page = system.f_type == HUGETLBFS_MAGIC ? (uint64_t)system.f_bsize : (uint64_t)sysconf(_SC_PAGESIZE);
	return 0;
}

int mapping_make(struct mapping *mapping, int fd, uint64_t offset, uint64_t bytes, struct reason *reason)
{
	uint64_t page, begin, size, guard;
	char *place;

	memset(mapping, 0, sizeof(*mapping));
	if (!bytes || bytes > TOO_MUCH || offset > TOO_MUCH)
		return refuse(reason, "%#llx bytes from %#llx on can not be mapped", (unsigned long long)bytes,
			      (unsigned long long)offset);
	if (check_file(mapping, fd, offset + bytes, &page, reason))
		return -1;
	begin = offset & ~(page - 1);
	size = (offset + bytes - begin + page - 1) & ~(page - 1);
	/* Room for the alignment, and a page behind, in which the kernel finds no other memory of this process. */
	guard = size + 2 * page;
	place = mmap(NULL, guard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (place == MAP_FAILED)
		return refuse_error(reason, -errno, "no room for %#llx bytes", (unsigned long long)size);
	mapping->base = place;
	mapping->bytes = guard;
	place = (char *)(((uintptr_t)place + page - 1) & ~(uintptr_t)(page - 1));
	if (mmap(place, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, begin) == MAP_FAILED) {
		refuse_error(reason, -errno, "%#llx bytes from %#llx on can not be mapped", (unsigned long long)bytes,
			     (unsigned long long)offset);
		munmap(mapping->base, mapping->bytes);
		memset(mapping, 0, sizeof(*mapping));
		return -1;
	}
	/* A core file of the bridge shall hold nothing of the guest's. */
	madvise(place, size, MADV_DONTDUMP);
	mapping->at = place + (offset - begin);
	return 0;
}

void mapping_remove(struct mapping *mapping)
{
	if (mapping->at)
		munmap(mapping->base, mapping->bytes);
	memset(mapping, 0, sizeof(*mapping));
}

int mapping_read(const void *from, void *to, size_t bytes)
{
	struct iovec local = { to, bytes }, remote = { (void *)(uintptr_t)from, bytes };

	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)bytes ? 0 : -1;
}
