// SPDX-License-Identifier: GPL-2.0-only
#include "watch.h"

#define WATCHED 2u

static char data[256 * 1024];

static uint64_t place(const struct disk *disk, unsigned i)
{
	return i ? disk->bytes - sizeof(data) : 0;
}

void watch_begin(const struct disk *disk)
{
	for (unsigned i = 0; i < WATCHED; i++) {
		pattern_fill(data, sizeof(data), place(disk, i) / SECTOR, WATCH_SALT);
		disk_write(disk, place(disk, i), data, sizeof(data));
	}
}

void watch_expect(const struct disk *disk)
{
	for (unsigned i = 0; i < WATCHED; i++) {
		disk_read(disk, place(disk, i), data, sizeof(data));
		pattern_expect(i ? "disk's end after a request to be refused" : "disk after a request to be refused",
			       data, sizeof(data), place(disk, i) / SECTOR, WATCH_SALT);
	}
}
