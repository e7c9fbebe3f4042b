/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_FUZZ_DISK_H
#define VHOST_BLK_FUZZ_DISK_H

#include "shim.h"

struct vblk_backend;

/* The disk behind the requests: what it is asked for is checked, and waits until it is told to end. */
#define DISK_MAX_IN_FLIGHT 1024

/* disk_reset() - forget all; @backend is to be this disk, of @sectors in blocks of @block bytes */
void disk_reset(unsigned int block, u64 sectors, struct vblk_backend *backend);

/* disk_waiting() - how many requests wait */
unsigned int disk_waiting(void);

/* disk_end() - end one of them, with an error or 0 */
void disk_end(unsigned int which, int error);

#endif
