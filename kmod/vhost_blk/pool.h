/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_POOL_H
#define VHOST_BLK_POOL_H

#include <linux/spinlock.h>
#include <linux/types.h>

#include "uapi/vhost_blk.h"

struct vblk_dev;
struct vblk_vq;
struct vblk_worker;

/* The workers of a device, and which of them serves which virtqueue. All protected by vblk_dev.lock. */
struct vblk_pool {
	/* Held, too, while workers[] changes: who can not wait for vblk_dev.lock finds them under it. */
	spinlock_t lock;
	/* Each at its id. */
	struct vblk_worker *workers[VHOST_BLK_MAX_WORKERS];
	unsigned int nr;
	/* The owner says how many there are; else they are added as virtqueues start. */
	bool managed;
};

void vblk_pool_init(struct vblk_pool *pool);

/* vblk_pool_cut_off() - vblk_worker_cut_off() for each worker; needs no lock */
void vblk_pool_cut_off(struct vblk_pool *pool);

/**
 * vblk_pool_assign() - give a virtqueue that is about to run a worker, unless it has one
 *
 * In the owner's address space, dev->lock held. Return: 0 or why there is no worker.
 */
int vblk_pool_assign(struct vblk_vq *vq);

/* vblk_pool_reset() - end all workers; no virtqueue runs any more; dev->lock held or the device not reachable by others */
void vblk_pool_reset(struct vblk_dev *dev);

/**
 * vblk_pool_ioctl() - VHOST_SET_NWORKERS, VHOST_NEW_WORKER, VHOST_FREE_WORKER, VHOST_ATTACH_VRING_WORKER and
 *		       VHOST_GET_VRING_WORKER; dev->lock held
 */
long vblk_pool_ioctl(struct vblk_dev *dev, unsigned int request, void __user *argument);

#endif
