// SPDX-License-Identifier: GPL-2.0-only
/* 5.18: the block device and the operation are arguments of the allocation. */
#include <linux/bio.h>

struct bio *probe(struct block_device *bdev, struct bio_set *set)
{
	return bio_alloc_bioset(bdev, 1, REQ_OP_READ, GFP_NOIO, set);
}
