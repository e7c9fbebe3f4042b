/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_VQ_H
#define VHOST_BLK_VQ_H

#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/wait.h>

#include "backend.h"
#include "vring.h"
#include "worker.h"

struct eventfd_ctx;
struct file;
struct vblk_dev;
struct vblk_request;

/* A virtqueue: its ring, its disk, and, while it runs, its worker and requests. */
struct vblk_vq {
	struct vblk_dev *dev;
	unsigned int index;

	/* Protected by vblk_dev.lock. The kick eventfd, and the place in its wait queue while the virtqueue runs. */
	struct file *kick;
	wait_queue_head_t *kick_queue;
	wait_queue_entry_t kick_wait;

	/* Set before a request or a kick can come, cleared after the last one. NULL: does not run. */
	struct vblk_worker *worker;
	struct vblk_work work;
	/* Requests whose bios have ended; filled in any context, emptied by the worker. */
	struct llist_head done;
	/* Woken when the last request of a virtqueue that stops has been answered. */
	wait_queue_head_t drained;

	/* Held by the worker for a turn; protects what follows. vring's configuration needs only vblk_dev.lock while stopped. */
	struct mutex lock;
	struct vblk_vring vring;
	struct vblk_backend backend;
	/* The device's guest memory. */
	struct vblk_mem *mem;
	struct eventfd_ctx *call;
	struct eventfd_ctx *error;
	/* From the features: whether the guest flushes, and whether it may write. */
	bool can_flush;
	bool read_only;
	/* Nothing more is taken from the ring: it is being stopped; the guest broke its rules. */
	bool stopping;
	bool broken;
	/* One for each head. */
	struct vblk_request *requests;
	unsigned int in_flight;
	u64 bytes_in_flight;
	/* The chain at hand. */
	struct vblk_chain *chain;
};

/* Which: bit n for virtqueue n. */
typedef u16 vblk_vq_set;

void vblk_vq_init(struct vblk_vq *vq, struct vblk_dev *dev, unsigned int index);

/**
 * vblk_vq_start() - begin to serve a virtqueue that does not run
 * @vq: its dev->lock held
 * @backend: the disk; a reference of the virtqueue's own is taken
 *
 * In the owner's address space. Return: 0, -EINVAL (not set up), -EFAULT (addresses), or why there is no worker.
 */
int vblk_vq_start(struct vblk_vq *vq, const struct vblk_backend *backend);

/**
 * vblk_vqs_stop() - take nothing more, wait until all that was taken is answered, detach the disk
 * @dev: device, its lock held or not reachable by others any more
 * @which: those of them that do not run are left alone
 */
void vblk_vqs_stop(struct vblk_dev *dev, vblk_vq_set which);

/* vblk_vq_running() - whether it has a backend; dev->lock held */
static inline bool vblk_vq_running(const struct vblk_vq *vq)
{
	return vq->worker;
}

/* vblk_vq_set_kick() - use another kick eventfd, or none; takes over the reference; dev->lock held */
void vblk_vq_set_kick(struct vblk_vq *vq, struct file *kick);

/* vblk_vq_broken() - for the worker: note why the ring is broken; Return: -EPROTO */
int vblk_vq_broken(struct vblk_vq *vq, const char *reason);

#endif
