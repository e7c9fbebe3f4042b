/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_REQUEST_H
#define VHOST_BLK_REQUEST_H

#include <linux/llist.h>
#include <linux/types.h>

#include "backend.h"
#include "data.h"
#include "io.h"
#include "iotlb.h"

struct vblk_chain;
struct vblk_vq;

/* Beside the values of a status byte: the answer comes from vblk_request_finish(). */
#define VBLK_IN_FLIGHT -1

/* What a request is made of, apart from the chain: valid while it is started. */
struct vblk_order {
	const struct vblk_chain *chain;
	u32 type;
	u64 sector;
	/* Bytes behind the header that the device may read, and before the status that it may write. */
	u64 readable;
	u64 writable;
};

/* A virtio-blk request (virtio 1.3, 5.2.6) from its descriptor chain until its used element; for turns alone. */
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
	/* Bytes of data, or as many as what it does to the disk is reckoned for; 0 for a flush. */
	u32 bytes;
	/* There is data; where on the disk, and how it is transferred: VBLK_WRITE and so on. */
	bool has_data;
	unsigned int flags;
	u64 sector;
	/* To be zeroed, and how: what is left to try or do when the present attempt has ended. 0 sectors: none. */
	struct vblk_range zeroes;
	unsigned int zero_flags;
	/* Of these, how many a success writes to guest memory. */
	u32 written;
	/* The chain's last writable byte. */
	u8 __user *status;
	/* Keeps the translations of @status and @data. */
	struct vblk_hold hold;
	struct vblk_data data;
	struct vblk_io io;
};

/* vblk_request_enter_flight() - count @request, whose io begins; @bytes, @written: as in struct vblk_request */
void vblk_request_enter_flight(struct vblk_request *request, u32 bytes, u32 written);

/* vblk_request_readable() - Return: a cursor behind a request's header */
struct vblk_cursor vblk_request_readable(const struct vblk_order *order);

/* The rest runs in turns of the virtqueue; 0, or a negative errno when the ring is broken. */

/**
 * vblk_request_start() - answer a request, or send it to the disk
 * @vq: virtqueue
 * @chain: taken from its ring, not needed any more on return
 *
 * A request that can not be done is answered with an error before anything of it has reached the disk. Also returns
 * -EAGAIN: an address is not known yet, or in the turn of a kicker it is not just sent to the disk, and nothing was done.
 * -EEXIST: the ring is broken, also as a kicker sees it.
 */
int vblk_request_start(struct vblk_vq *vq, const struct vblk_chain *chain);

/* vblk_request_finish() - answer a request from vblk_vq.done; when it fails in the turn of a kicker, nothing was done */
int vblk_request_finish(struct vblk_request *request);

#endif
