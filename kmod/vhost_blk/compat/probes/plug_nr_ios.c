// SPDX-License-Identifier: GPL-2.0-only
/* 5.16: a plug knows how many requests are to come. */
#include <linux/blkdev.h>

void probe(struct blk_plug *plug)
{
	plug->nr_ios = 2;
}
