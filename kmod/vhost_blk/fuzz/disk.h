/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_FUZZ_DISK_H
#define VHOST_BLK_FUZZ_DISK_H

#include "shim.h"

struct vblk_io;

/* The disk behind the requests, in place of backend.c and io.c: what is submitted waits until it is told to end. */
#define DISK_MAX_IN_FLIGHT 1024

extern struct block_device disk;

/* Forget all. */
void disk_reset(unsigned int block, u64 sectors);

/* How many requests wait. */
unsigned int disk_waiting(void);

/* End one of them, with an error or 0. */
void disk_end(unsigned int which, int error);

#endif
