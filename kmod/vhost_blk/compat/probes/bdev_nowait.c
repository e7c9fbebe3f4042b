// SPDX-License-Identifier: GPL-2.0-only
/* 5.15: a block device tells whether it knows REQ_NOWAIT. */
#include <linux/blkdev.h>

bool probe(struct block_device *bdev)
{
	return bdev_nowait(bdev);
}
