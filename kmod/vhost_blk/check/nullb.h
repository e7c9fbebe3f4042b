/* SPDX-License-Identifier: GPL-2.0-only */
/* Disks with properties that the scratch disk lacks, made of memory by null_blk. */
#ifndef VHOST_BLK_CHECK_NULLB_H
#define VHOST_BLK_CHECK_NULLB_H

#include "disk.h"

struct nullb {
	char folder[64];
	struct disk disk;
};

/* A disk of 64 MiB with "name=value name=value..." beyond that; skips the case where the kernel can not make one. */
void nullb_create(struct nullb *nullb, const char *settings);

/* Takes the disk out of the machine, used or not. */
void nullb_remove(struct nullb *nullb);

/* Also closes what is left of it. */
void nullb_destroy(struct nullb *nullb);

#endif
