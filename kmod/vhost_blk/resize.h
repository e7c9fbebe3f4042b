/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_RESIZE_H
#define VHOST_BLK_RESIZE_H

#include <linux/types.h>
#include <linux/workqueue.h>

struct eventfd_ctx;
struct vblk_dev;
struct vblk_vq;

/* Watches the capacity of a device's disk while somebody wants to hear of it. */
struct vblk_resize {
	struct delayed_work look;
	/* Whom to tell, or NULL, and the capacity that is known; changed under vblk_dev.lock. */
	struct eventfd_ctx *call;
	u64 known;
};

void vblk_resize_init(struct vblk_resize *resize);

/* vblk_resize_set_call() - VHOST_BLK_SET_CONFIG_CALL; @dev's lock held */
long vblk_resize_set_call(struct vblk_dev *dev, const int __user *argument);

/* vblk_resize_attached() - what the disk's capacity is from now on is known; @dev's lock held */
void vblk_resize_attached(struct vblk_dev *dev);

/* vblk_resize_suspect() - a request was refused: look at once if it was beyond the disk's end; for the worker */
void vblk_resize_suspect(struct vblk_vq *vq, u64 sector, u64 bytes);

/* vblk_resize_reset() - tell nobody any more; no virtqueue runs; @dev's lock held or not reachable by others */
void vblk_resize_reset(struct vblk_dev *dev);

#endif
