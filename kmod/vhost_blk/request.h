/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_REQUEST_H
#define VHOST_BLK_REQUEST_H

#include <linux/llist.h>
#include <linux/types.h>

#include "data.h"
#include "io.h"

struct vblk_chain;
struct vblk_vq;

/* A virtio-blk request (virtio 1.3, 5.2.6) from its descriptor chain until its used element; the worker's alone. */
struct vblk_request {
	struct vblk_vq *vq;
	/* On vblk_vq.done. */
	struct llist_node done;
	/* Its index in vblk_vq.requests. */
	u16 head;
	bool in_flight;
	/* For the counters: an enum vblk_request_type, and when it was sent to the disk, by local_clock(). */
	u8 type;
	u64 started;
	/* Bytes of data, 0 for a flush. */
	u32 bytes;
	/* Of these, how many a success writes to guest memory. */
	u32 written;
	/* The chain's last writable byte. */
	u8 __user *status;
	struct vblk_data data;
	struct vblk_io io;
};

/* All run in the virtqueue's worker, with its lock held, and return 0, or a negative errno when the ring is broken. */

/**
 * vblk_request_start() - answer a request, or send it to the disk
 * @vq: virtqueue
 * @chain: taken from its ring, not needed any more on return
 *
 * A request that can not be done is answered with an error before anything of it has reached the disk.
 */
int vblk_request_start(struct vblk_vq *vq, const struct vblk_chain *chain);

/* vblk_request_finish() - answer a request from vblk_vq.done */
int vblk_request_finish(struct vblk_request *request);

#endif
