/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_VQ_H
#define VHOST_BLK_VQ_H

#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/wait.h>

#include "backend.h"
#include "budget.h"
#include "iotlb.h"
#include "log.h"
#include "busy_poll.h"
#include "stats.h"
#include "vring.h"
#include "worker.h"

struct eventfd_ctx;
struct file;
struct vblk_dev;
struct vblk_kicker;
struct vblk_request;

/* A virtqueue: its ring, its disk, and, while it runs, its worker and requests. */
struct vblk_vq {
	struct vblk_dev *dev;
	unsigned int index;

	/* Protected by vblk_dev.lock. The kick eventfd, and the place in its wait queue while the virtqueue runs. */
	struct file *kick;
	wait_queue_head_t *kick_queue;
	wait_queue_entry_t kick_wait;
	/* How many there were, and when the last one was, by local_clock(); written under the lock of the eventfd. */
	u64 kicks;
	u64 kicked_at;
	/* Threads that kick serve it by themselves, where it may be; changes under vblk_dev.lock while there are no kicks. */
	struct vblk_kicker __rcu *kicker;
	/* Until then they do not, by local_clock(), and for how long that was; 0: one has served it since. */
	u64 kick_rest_until;
	u64 kick_rest_ns;

	/* Protected by vblk_dev.lock. Its worker was chosen by the owner; it has a backend; it has a file in debugfs. */
	bool worker_chosen;
	bool running;
	bool shown;

	/* Set while it runs; changes under vblk_dev.lock with lock. Who has neither finds it under RCU: see vblk_vq_queue(). */
	struct vblk_worker __rcu *worker;
	struct vblk_work work;
	/* Requests whose bios have ended; filled in any context, emptied by the worker. */
	struct llist_head done;
	/* A turn is under way, which looks at done before it ends. Written with lock. */
	bool in_turn;
	/* Woken when the last request of a virtqueue that stops has been answered. */
	wait_queue_head_t drained;

	/* Held for a turn, of the worker or of a thread that kicked; protects what follows. vring's configuration needs only vblk_dev.lock while stopped. */
	struct mutex lock;
	struct vblk_vring vring;
	struct vblk_backend backend;
	/* The device's guest memory. */
	struct vblk_mem *mem;
	struct vblk_log log;
	/* A translation that is missing: nothing is taken until it comes. */
	struct vblk_miss miss;
	/* The device has no room for the next request: nothing is taken until others have ended. */
	struct vblk_claim claim;
	/* What the virtqueue has of the device's budget: its requests in flight, and a bit more. */
	u64 reserved;
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
	/* This turn is of a thread that kicked: it waits for nothing; and something of it is left to the worker. */
	bool of_kicker;
	bool left_over;
	/* Bytes of the requests that this turn has taken; local_clock() as last looked at. */
	u64 turn_bytes;
	u64 now;
	struct vblk_poll poll;
	struct vblk_stats stats;
	/* The chain at hand. */
	struct vblk_chain *chain;
};

/* Which: bit n for virtqueue n. */
typedef u64 vblk_vq_set;

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
	return vq->running;
}

/* vblk_vq_queue() - have the worker look at the virtqueue soon; any context, from when it starts until it is stopped */
void vblk_vq_queue(struct vblk_vq *vq);

/**
 * vblk_vq_done() - a request's I/O has ended
 * @node: its place on vblk_vq.done; it may be answered and used again at once
 *
 * Any context.
 */
void vblk_vq_done(struct vblk_vq *vq, struct llist_node *node);

/* vblk_vq_broken() - for a turn: note why the ring is broken; Return: -EPROTO */
int vblk_vq_broken(struct vblk_vq *vq, const char *reason);

#endif
