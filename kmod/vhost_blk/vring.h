/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_VRING_H
#define VHOST_BLK_VRING_H

#include <linux/types.h>
#include <linux/virtio_ring.h>

#include "mem.h"
#include "uapi/vhost_blk.h"

/*
 * A split virtqueue (virtio 1.3, 2.7) as its device sees it. Where it lies and how it is read is set while it does not
 * run; the indexes are the worker's then. Each thing in guest memory is read once, into memory of ours, and checked there.
 */
struct vblk_vring {
	/* 0: not set up. A power of two. */
	unsigned int num;
	struct vring_desc __user *desc;
	struct vring_avail __user *avail;
	struct vring_used __user *used;
	bool event_idx;
	bool indirect;
	bool little_endian;

	/* Next entry of the available ring to take, and the guest's index when it was last read. */
	u16 last_avail;
	u16 avail_idx;
	/* Next entry of the used ring to write, and the index that the guest was told. */
	u16 used_idx;
	u16 published;
	/* used_idx when it was last decided whether to signal. */
	u16 signalled;
	bool signalled_valid;
	/* The guest has been asked to kick when it makes more available. */
	bool wants_kick;
	/* Why the last call failed. */
	const char *reason;
};

/* One descriptor chain, flattened: first the pieces that the device reads, then those that it writes. */
struct vblk_chain {
	u16 head;
	unsigned int readable;
	unsigned int writable;
	struct vblk_seg seg[VHOST_BLK_MAX_CHAIN];
	/* The chain's indirect table. */
	struct vring_desc table[VHOST_BLK_MAX_CHAIN];
};

/* All return 0 unless told otherwise, or a negative errno when the ring is broken; @vring->reason says why then. */

/* vblk_vring_check() - whether size and addresses are set and addresses are in user space; -EINVAL, -EFAULT */
int vblk_vring_check(const struct vblk_vring *vring);

/* vblk_vring_start() - begin to run; in the owner's address space */
int vblk_vring_start(struct vblk_vring *vring);

/* vblk_vring_available() - Return: 1 when a chain can be taken, 0 when the guest has made none available */
int vblk_vring_available(struct vblk_vring *vring);

/* vblk_vring_known() - how many chains the guest had made available when it was last looked at */
static inline unsigned int vblk_vring_known(const struct vblk_vring *vring)
{
	return (u16)(vring->avail_idx - vring->last_avail);
}

/* vblk_vring_take() - take the next chain; only after vblk_vring_available() returned 1 */
int vblk_vring_take(struct vblk_vring *vring, const struct vblk_mem *mem, struct vblk_chain *chain);

/* vblk_vring_want_kick() - ask to be notified, or not; look for available chains again after asking */
int vblk_vring_want_kick(struct vblk_vring *vring, bool want);

/* vblk_vring_use() - write a used element; the guest sees it after vblk_vring_publish() */
int vblk_vring_use(struct vblk_vring *vring, u16 head, u32 len);

/* vblk_vring_publish() - Return: 1 when the guest is to be signalled, 0 when it need not be */
int vblk_vring_publish(struct vblk_vring *vring);

#endif
