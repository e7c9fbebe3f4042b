/* SPDX-License-Identifier: GPL-2.0-only */
/* Known data at the disk's begin and end, where a request that must be refused would do its damage. */
#ifndef VHOST_BLK_CHECK_WATCH_H
#define VHOST_BLK_CHECK_WATCH_H

#include "disk.h"

#define WATCH_SALT 7u

/* Lays the known data. */
void watch_begin(const struct disk *disk);

/* Fails the case when any of it changed. */
void watch_expect(const struct disk *disk);

#endif
