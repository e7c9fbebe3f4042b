// SPDX-License-Identifier: GPL-2.0-only
#include "worker.h"

#include <linux/bitops.h>
#include <linux/cgroup.h>
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/freezer.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

/* Bit of vblk_work.flags: on a worker's list. */
#define VBLK_WORK_QUEUED 0

/* Longer than memory takes that is swapped out on a busy host. */
#define VBLK_PATIENCE (5 * HZ)

void vblk_work_init(struct vblk_work *work, void (*run)(struct vblk_work *work))
{
	work->flags = 0;
	work->run = run;
}

bool vblk_work_queued(const struct vblk_work *work)
{
	return test_bit(VBLK_WORK_QUEUED, &work->flags);
}

void vblk_worker_queue(struct vblk_worker *worker, struct vblk_work *work)
{
	/* Full barrier: what the caller stored before is seen by a run that starts after the bit was cleared. */
	if (test_and_set_bit(VBLK_WORK_QUEUED, &work->flags))
		return;
	/* Full barrier: the worker sees the work, or this sees that it is asleep. */
	llist_add(&work->node, &worker->queued);
	if (READ_ONCE(worker->asleep))
		wake_up_process(worker->task);
}

struct vblk_flush {
	struct vblk_work work;
	struct completion done;
};

static void flushed(struct vblk_work *work)
{
	complete(&container_of(work, struct vblk_flush, work)->done);
}

void vblk_worker_flush(struct vblk_worker *worker)
{
	struct vblk_flush flush;

	vblk_work_init(&flush.work, flushed);
	init_completion(&flush.done);
	vblk_worker_queue(worker, &flush.work);
	wait_for_completion(&flush.done);
}

static void run_queued(struct vblk_worker *worker)
{
	struct llist_node *first = llist_reverse_order(llist_del_all(&worker->queued));
	struct vblk_work *work, *next;

	llist_for_each_entry_safe(work, next, first, node) {
		WRITE_ONCE(worker->began, jiffies);
		clear_bit(VBLK_WORK_QUEUED, &work->flags);
		/* Pairs with the barrier of vblk_worker_queue(). */
		smp_mb__after_atomic();
		work->run(work);
		cond_resched();
	}
}

/* Return: false when the thread is to end. */
static bool wait_for_work(struct vblk_worker *worker)
{
	while (llist_empty(&worker->queued)) {
		if (kthread_should_stop())
			return false;
		try_to_freeze();
		/* It would not sleep else; TASK_IDLE is none that the freezer of older kernels finds. */
		if (READ_ONCE(worker->cut_off))
			flush_signals(current);
		WRITE_ONCE(worker->asleep, true);
		/* Full barrier before looking at the list: pairs with the one of vblk_worker_queue(). */
		set_current_state(TASK_INTERRUPTIBLE);
		if (llist_empty(&worker->queued) && !kthread_should_stop())
			schedule();
		__set_current_state(TASK_RUNNING);
		WRITE_ONCE(worker->began, jiffies);
		/* Pairs with vblk_worker_cut_off(). */
		smp_store_release(&worker->asleep, false);
	}
	if (READ_ONCE(worker->cut_off))
		send_sig(SIGKILL, current, 1);
	return true;
}

static int worker_thread(void *data)
{
	struct vblk_worker *worker = data;

	/* Requests must not change the disk behind a hibernation image. */
	set_freezable();
	/* It ends nothing but waits for memory. */
	allow_kernel_signal(SIGKILL);
	kthread_associate_blkcg(worker->blkcg);
	kthread_use_mm(worker->mm);
	while (wait_for_work(worker)) {
		/* Also where there is always more to do. */
		try_to_freeze();
		run_queued(worker);
	}
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

struct vblk_worker *vblk_worker_create(struct mm_struct *mm, pid_t owner_pid, unsigned int id)
{
	struct vblk_worker *worker = kzalloc(sizeof(*worker), GFP_KERNEL_ACCOUNT);
	struct task_struct *task;
	int ret;

	if (!worker)
		return ERR_PTR(-ENOMEM);
	init_llist_head(&worker->queued);
	worker->mm = mm;
	worker->id = id;
	worker->began = jiffies;
	worker->blkcg = get_owner_blkcg();
	task = kthread_create(worker_thread, worker, "vblk-%d-%u", owner_pid, id);
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
	set_user_nice(task, task_nice(current));
	get_task_struct(task);
	worker->task = task;
	wake_up_process(task);
	return worker;
}

void vblk_worker_cut_off(struct vblk_worker *worker)
{
	/* Pairs with wait_for_work(), which sets @began first. */
	if (smp_load_acquire(&worker->asleep) || time_before(jiffies, READ_ONCE(worker->began) + VBLK_PATIENCE))
		return;
	WRITE_ONCE(worker->cut_off, true);
	send_sig(SIGKILL, worker->task, 1);
}

void vblk_worker_destroy(struct vblk_worker *worker)
{
	kthread_stop(worker->task);
	put_task_struct(worker->task);
	free_worker(worker);
}
