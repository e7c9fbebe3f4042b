// SPDX-License-Identifier: GPL-2.0-only
/* 5.19. */
#include <linux/blkdev.h>

unsigned int probe(struct block_device *bdev)
{
	return bdev_max_discard_sectors(bdev) | bdev_discard_granularity(bdev);
}
