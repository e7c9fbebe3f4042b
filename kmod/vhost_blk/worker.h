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

/* A kernel thread that uses the owner's address space and does what is queued, in order. */
struct vblk_worker {
	struct llist_head queued;
	struct task_struct *task;
	struct mm_struct *mm;
	struct cgroup_subsys_state *blkcg;
};

void vblk_work_init(struct vblk_work *work, void (*run)(struct vblk_work *work));

/**
 * vblk_worker_create() - start a worker whose I/O is the caller's, for its cgroup
 * @mm: address space it uses; the caller keeps a reference for as long as the worker lives
 * @owner_pid: for its name
 * @number: for its name
 *
 * Return: the worker or an ERR_PTR.
 */
struct vblk_worker *vblk_worker_create(struct mm_struct *mm, pid_t owner_pid, unsigned int number);

/**
 * vblk_worker_queue() - have @work done soon; nothing to do when it is queued already
 *
 * Any context. Who calls from outside the device's locks (end of an I/O) does so inside rcu_read_lock().
 */
void vblk_worker_queue(struct vblk_worker *worker, struct vblk_work *work);

/* vblk_worker_stop() - end the thread; what is queued then is forgotten. Before vblk_worker_free(). */
void vblk_worker_stop(struct vblk_worker *worker);

/* vblk_worker_free() - free a stopped worker; an RCU grace period must lie between, see vblk_worker_queue(). */
void vblk_worker_free(struct vblk_worker *worker);

#endif
