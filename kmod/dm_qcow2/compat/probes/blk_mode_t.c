// SPDX-License-Identifier: GPL-2.0-only
/* 6.5: the mode in which a block device is opened has a type of its own. */
#include <linux/blkdev.h>

blk_mode_t probe = BLK_OPEN_WRITE;
