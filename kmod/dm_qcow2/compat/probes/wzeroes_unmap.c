// SPDX-License-Identifier: GPL-2.0-only
/* 6.17: a device tells how much it zeroes by unmapping; either nothing or as much as it zeroes at all. */
#include <linux/blkdev.h>

unsigned int probe(struct queue_limits *limits)
{
	return limits->max_hw_wzeroes_unmap_sectors;
}
