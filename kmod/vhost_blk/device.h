/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_DEVICE_H
#define VHOST_BLK_DEVICE_H

#include <linux/mutex.h>
#include <linux/nospec.h>
#include <linux/ratelimit.h>
#include <linux/timer.h>
#include <linux/types.h>
#include <linux/virtio_blk.h>

#include "pool.h"
#include "resize.h"
#include "uapi/vhost_blk.h"
#include "budget.h"
#include "iotlb.h"
#include "log.h"
#include "vq.h"
#include "watchdog.h"

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
	/* Its thread group, referenced. */
	struct pid *owner;
	/* Changes only while no virtqueue runs, apart from VHOST_F_LOG_ALL. */
	u64 features;
	/* Guest memory; each virtqueue has a pointer of its own, protected by its lock. */
	struct vblk_mem *mem;
	struct vblk_log log;
	/* VHOST_BACKEND_F_* */
	u64 backend_features;
	struct vblk_iotlb iotlb;
	/* Bytes of all requests in flight. */
	struct vblk_budget budget;
	/* What GET_ID answers, all NUL: a name of the disk. Changes only while no virtqueue runs. */
	char serial[VIRTIO_BLK_ID_BYTES];
	/* The guest's choice: each write is to be durable when it is answered. Read without the lock. */
	bool write_through;
	struct vblk_resize resize;
	struct vblk_pool pool;
	struct vblk_watchdog watchdog;
	/* Pending while there may be kicks whose threads have not come back to user mode. */
	struct timer_list kick_timer;
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

/* vblk_dev_features() - Return: the feature bits that VHOST_GET_FEATURES tells */
u64 vblk_dev_features(void);

/* vblk_dev_running() - Return: the lowest virtqueue that runs, NULL for none; @dev's lock held */
struct vblk_vq *vblk_dev_running(struct vblk_dev *dev);

/* vblk_dev_get_limits() - VHOST_BLK_GET_LIMITS; @dev's lock held */
long vblk_dev_get_limits(struct vblk_dev *dev, struct vhost_blk_limits __user *argument);

/* vblk_dev_set_serial() - VHOST_BLK_SET_SERIAL; @dev's lock held */
long vblk_dev_set_serial(struct vblk_dev *dev, const struct vhost_blk_serial __user *argument);

/* vblk_dev_set_write_cache() - VHOST_BLK_SET_WRITE_CACHE; @dev's lock held */
long vblk_dev_set_write_cache(struct vblk_dev *dev, const int __user *argument);

/* vblk_vq_serial() - what GET_ID answers; @id: VIRTIO_BLK_ID_BYTES; for the worker */
void vblk_vq_serial(const struct vblk_vq *vq, char *id);

/* vblk_vq_durable() - whether a write must be durable when it is answered; for the worker */
static inline bool vblk_vq_durable(const struct vblk_vq *vq)
{
	/* A guest that can not flush relies on it. */
	return !vq->can_flush || READ_ONCE(vq->dev->write_through);
}

#endif
