/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_DEVICE_H
#define VHOST_BLK_DEVICE_H

#include <linux/mutex.h>
#include <linux/nospec.h>
#include <linux/ratelimit.h>
#include <linux/types.h>

#include "pool.h"
#include "uapi/vhost_blk.h"
#include "vq.h"

struct dentry;
struct mm_struct;
struct vblk_mem;

/* One open of /dev/vhost-blk. Lock order: vblk_dev.lock, vblk_vq.lock. */
struct vblk_dev {
	/* Held by each ioctl; protects what follows. */
	struct mutex lock;
	/* Address space of the owner with a reference to its users, so that requests can be answered while the owner dies. */
	struct mm_struct *mm;
	pid_t owner_pid;
	/* Changes only while no virtqueue runs. */
	u64 features;
	/* Guest memory; each virtqueue has a pointer of its own, protected by its lock. */
	struct vblk_mem *mem;
	struct vblk_pool pool;
	/* The owner's folder in debugfs. */
	struct dentry *debugfs;

	/* What a guest can cause to be logged is bounded per device, so that one can not hide the others. */
	struct ratelimit_state log_limit;
	struct vblk_vq vqs[VHOST_BLK_MAX_VQS];
};

/* vblk_dev_vq() - Return: the virtqueue, or NULL when there is none of that number */
static inline struct vblk_vq *vblk_dev_vq(struct vblk_dev *dev, unsigned int index)
{
	if (index >= VHOST_BLK_MAX_VQS)
		return NULL;
	return &dev->vqs[array_index_nospec(index, VHOST_BLK_MAX_VQS)];
}

/**
 * vblk_dev_ioctl() - one ioctl, serialised by the caller
 * @dev: device, its lock held
 * @request: ioctl number
 * @argument: its user space argument
 *
 * Return: 0 or a negative errno; ENOTTY for what is not known, EPERM for all but the owner.
 */
long vblk_dev_ioctl(struct vblk_dev *dev, unsigned int request, void __user *argument);

/**
 * vblk_dev_reset() - stop all virtqueues, wait for their requests, and forget owner and configuration
 * @dev: device, its lock held or not reachable by others any more
 */
void vblk_dev_reset(struct vblk_dev *dev);

#endif
