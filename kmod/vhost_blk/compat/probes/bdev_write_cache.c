// SPDX-License-Identifier: GPL-2.0-only
/* 5.19. */
#include <linux/blkdev.h>

bool probe(struct block_device *bdev)
{
	return bdev_write_cache(bdev);
}
