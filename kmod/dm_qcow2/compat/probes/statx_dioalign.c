// SPDX-License-Identifier: GPL-2.0-only
/* 6.1: a file system tells what direct I/O on a file has to be aligned to. */
#include <linux/stat.h>

unsigned int probe(struct kstat *stat)
{
	return stat->result_mask & STATX_DIOALIGN ? stat->dio_offset_align : 0;
}
