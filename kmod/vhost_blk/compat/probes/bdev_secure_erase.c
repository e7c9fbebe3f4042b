// SPDX-License-Identifier: GPL-2.0-only
/* 5.19: erasing securely has a limit of its own, before it the one of discards. */
#include <linux/blkdev.h>

unsigned int probe(struct block_device *bdev)
{
	return bdev_max_secure_erase_sectors(bdev);
}
