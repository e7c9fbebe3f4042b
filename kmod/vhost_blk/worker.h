/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_WORKER_H
#define VHOST_BLK_WORKER_H

#include <linux/llist.h>
#include <linux/types.h>

struct cgroup_subsys_state;
struct mm_struct;
struct task_struct;

/* Something a worker does when asked to. */
struct vblk_work {
	struct llist_node node;
	unsigned long flags;
	void (*run)(struct vblk_work *work);
};

/* vblk_work_queued() - whether a worker has yet to begin it */
bool vblk_work_queued(const struct vblk_work *work);

/* A kernel thread that uses the owner's address space and does what is queued, in order. */
struct vblk_worker {
	struct llist_head queued;
	/* Must be woken to see what is queued. */
	bool asleep;
	/* When what it does began, in jiffies; without a meaning while it sleeps. */
	unsigned long began;
	/* Does not wait for the owner's memory any more. */
	bool cut_off;
	struct task_struct *task;
	struct mm_struct *mm;
	struct cgroup_subsys_state *blkcg;

	/* Its place in the pool, and how many virtqueues it serves, running or not; protected by vblk_dev.lock. */
	unsigned int id;
	unsigned int vqs;
};

void vblk_work_init(struct vblk_work *work, void (*run)(struct vblk_work *work));

/**
 * vblk_worker_create() - start a worker that counts as the caller: its cgroups, the cgroup of its I/O, its nice value
 * @mm: address space it uses; the caller keeps a reference for as long as the worker lives
 * @owner_pid: for its name
 * @id: its place in the pool
 *
 * Return: the worker or an ERR_PTR.
 */
struct vblk_worker *vblk_worker_create(struct mm_struct *mm, pid_t owner_pid, unsigned int id);

/**
 * vblk_worker_queue() - have @work done soon, behind what is queued; nothing to do when it is queued already
 *
 * Any context. Who calls from outside the device's locks (end of an I/O, kick) does so inside rcu_read_lock().
 */
void vblk_worker_queue(struct vblk_worker *worker, struct vblk_work *work);

/* vblk_worker_flush() - wait until all that is queued now has been done; not for the worker itself */
void vblk_worker_flush(struct vblk_worker *worker);

/**
 * vblk_worker_cut_off() - if @worker has been at one piece of work for seconds, let it wait for no memory any more
 *
 * What it waits for in the owner's address space fails then, and so does from now on what is not there at once. Any context
 * that may take spinlocks.
 */
void vblk_worker_cut_off(struct vblk_worker *worker);

/**
 * vblk_worker_destroy() - end the thread, after it has done what is queued
 *
 * Nobody may queue any more: an RCU grace period must lie behind the last one who could find the worker.
 */
void vblk_worker_destroy(struct vblk_worker *worker);

#endif
