/* SPDX-License-Identifier: GPL-2.0-only */
/* A file of the frontend's, mapped: guest memory, or the log of a migration. */
#ifndef MAPPING_H
#define MAPPING_H

#include <stdint.h>
#include <sys/types.h>

#include "reason.h"

struct mapping {
	/* Where the wanted part begins. NULL: nothing is mapped. */
	char *at;
	/* Which file it is. */
	dev_t device;
	ino_t inode;
	/* All that is mapped: whole pages, and one behind them that nothing can be read from or written to. */
	char *base;
	size_t bytes;
};

/*
 * Maps @bytes from @offset on of the file @fd, which stays the caller's. Only a file is mapped that has them, and that no
 * process answers for (FUSE): nobody but the kernel shall be waited for. Return: 0, or -1 with @reason.
 */
int mapping_make(struct mapping *mapping, int fd, uint64_t offset, uint64_t bytes, struct reason *reason);

void mapping_remove(struct mapping *mapping);

/*
 * Reads through the kernel, so that a file that the frontend has cut off since is an error and no signal.
 * Return: 0, or -1.
 */
int mapping_read(const void *from, void *to, size_t bytes);

#endif
