// SPDX-License-Identifier: GPL-2.0-only
#include "worker.h"

#include <linux/bitops.h>
#include <linux/cgroup.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

/* Bit of vblk_work.flags: on a worker's list. */
#define VBLK_WORK_QUEUED 0

void vblk_work_init(struct vblk_work *work, void (*run)(struct vblk_work *work))
{
	work->flags = 0;
	work->run = run;
}

void vblk_worker_queue(struct vblk_worker *worker, struct vblk_work *work)
{
	/* Full barrier: what the caller stored before is seen by a run that starts after the bit was cleared. */
	if (test_and_set_bit(VBLK_WORK_QUEUED, &work->flags))
		return;
	llist_add(&work->node, &worker->queued);
	wake_up_process(worker->task);
}

static void run_queued(struct vblk_worker *worker)
{
	struct llist_node *first = llist_reverse_order(llist_del_all(&worker->queued));
	struct vblk_work *work, *next;

	llist_for_each_entry_safe(work, next, first, node) {
		clear_bit(VBLK_WORK_QUEUED, &work->flags);
		/* Pairs with the barrier of vblk_worker_queue(). */
		smp_mb__after_atomic();
		work->run(work);
		cond_resched();
	}
}

static int worker_thread(void *data)
{
	struct vblk_worker *worker = data;

	kthread_associate_blkcg(worker->blkcg);
	kthread_use_mm(worker->mm);
	for (;;) {
		/* Before looking at the list: a wake-up that comes behind the look ends the sleep. */
		set_current_state(TASK_INTERRUPTIBLE);
		if (kthread_should_stop())
			break;
		if (llist_empty(&worker->queued)) {
			schedule();
			continue;
		}
		__set_current_state(TASK_RUNNING);
		run_queued(worker);
	}
	__set_current_state(TASK_RUNNING);
	kthread_unuse_mm(worker->mm);
	kthread_associate_blkcg(NULL);
	return 0;
}

/* The cgroup that the owner's I/O is accounted to and limited in; NULL where kernels have none. */
static struct cgroup_subsys_state *get_owner_blkcg(void)
{
#ifdef CONFIG_BLK_CGROUP
	return task_get_css(current, io_cgrp_id);
#else
	return NULL;
#endif
}

static void free_worker(struct vblk_worker *worker)
{
	if (worker->blkcg)
		css_put(worker->blkcg);
	kfree(worker);
}

struct vblk_worker *vblk_worker_create(struct mm_struct *mm, pid_t owner_pid, unsigned int number)
{
	struct vblk_worker *worker = kzalloc(sizeof(*worker), GFP_KERNEL_ACCOUNT);
	struct task_struct *task;
	int ret;

	if (!worker)
		return ERR_PTR(-ENOMEM);
	init_llist_head(&worker->queued);
	worker->mm = mm;
	worker->blkcg = get_owner_blkcg();
	task = kthread_create(worker_thread, worker, "vblk-%d-%u", owner_pid, number);
	if (IS_ERR(task)) {
		free_worker(worker);
		return ERR_CAST(task);
	}
	/* The guest's disk costs the guest's CPU time, too. This reaches the hierarchies of cgroup 1 only. */
	ret = cgroup_attach_task_all(current, task);
	if (ret) {
		kthread_stop(task);
		free_worker(worker);
		return ERR_PTR(ret);
	}
	get_task_struct(task);
	worker->task = task;
	wake_up_process(task);
	return worker;
}

void vblk_worker_stop(struct vblk_worker *worker)
{
	kthread_stop(worker->task);
}

void vblk_worker_free(struct vblk_worker *worker)
{
	put_task_struct(worker->task);
	free_worker(worker);
}
