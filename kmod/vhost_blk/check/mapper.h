/* SPDX-License-Identifier: GPL-2.0-only */
/* Disks made by the device mapper, to be slow, to fail, or to change while they are in use. */
#ifndef VHOST_BLK_CHECK_MAPPER_H
#define VHOST_BLK_CHECK_MAPPER_H

#include <stdbool.h>
#include <stdint.h>

struct disk;

struct mapper {
	char name[48], path[32];
	unsigned minor;
	/* Open for reading and writing. */
	int fd;
	uint64_t sectors;
};

/* A part of the disk: @sectors from where the part before ends. */
struct mapper_part {
	uint64_t sectors;
	/* "linear", "error", "delay". */
	const char *target;
	char parameters[288];
};

/* What a disk has done since it was made. */
struct mapper_done {
	uint64_t reads, read_sectors, writes, written_sectors;
};

/*
 * Makes a disk. Skips the case when the machine has no device mapper or no such target. The disk goes when the case
 * ends, however that is, or at the latest when the next one of its name is made.
 */
void mapper_create(struct mapper *mapper, const char *name, const struct mapper_part *parts, unsigned count);

/* mapper_create() of all of @disk, each of whose reads and writes takes @ms longer. */
void mapper_delay(struct mapper *mapper, const struct disk *disk, unsigned ms);

/*
 * How many reads and writes a disk of mapper_delay() holds back now, as the target says in its status. What sysfs says is
 * no measure of it: from 5.18 on these count as in flight only when their time is over.
 */
unsigned mapper_delayed(const struct mapper *mapper);

/* Gives it another table: waits for what is in flight; what is asked for meanwhile comes to the new one. */
void mapper_suspend(const struct mapper *mapper);
void mapper_replace(const struct mapper *mapper, const struct mapper_part *parts, unsigned count);
void mapper_resume(const struct mapper *mapper);

struct mapper_done mapper_done(const struct mapper *mapper);

/* Closes it and takes it away, at once or when its last user has closed it. */
void mapper_remove(struct mapper *mapper);

#endif
