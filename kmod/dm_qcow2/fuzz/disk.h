/* SPDX-License-Identifier: GPL-2.0-only */
/* Files in memory that remember what was written when, so that a loss of power at any time can be looked at. */
#ifndef DISK_H
#define DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct disk_event;

struct disk {
	uint8_t *data;
	uint64_t size;
	/* What transfers past the page cache have to be multiples of; from disk_new() on 512. */
	uint32_t block;
	/* As it was when the log began, and all that happened since. */
	bool logs;
	uint8_t *base;
	uint64_t base_size;
	struct disk_event *events;
	unsigned int nr_events;
	unsigned int room_events;
	/* Writes that fail from now on, counted down; negative: none. */
	long fail_after;
};

/* Return: NULL with a word on standard error when the file can not be read. */
struct disk *disk_load(const char *path);
struct disk *disk_new(const void *data, uint64_t size);
void disk_free(struct disk *disk);

/* Events of all disks together so far: a time that they share. */
unsigned int disk_now(void);

/* Begins to remember. */
void disk_log(struct disk *disk);

/* Whether the last that happened was a sync, as far as the disk remembers. */
bool disk_is_synced(const struct disk *disk);

/**
 * disk_crash() - the disk after a loss of power
 * @until: the time of it
 * @random: which of the writes that no sync followed, sector by sector, got through
 */
struct disk *disk_crash(const struct disk *disk, unsigned int until, uint64_t random);

/* Return: 0 or -1. */
int disk_save(const struct disk *disk, const char *path);

#endif
