// SPDX-License-Identifier: GPL-2.0-only
#include "kick.h"

#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/jiffies.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>
#include <linux/slab.h>
#include <linux/task_work.h>
#include <linux/time64.h>
#include <linux/timer.h>

#include "device.h"
#include "params.h"
#include "trace.h"
#include "turn.h"

/* A thread that has not come back to user mode by then may stay in the kernel for long: its kick goes to the worker. */
#define VBLK_KICK_PATIENCE msecs_to_jiffies(10)

/* For so long the worker then has all of them: at first, and at most when it happens again and again. */
#define VBLK_KICK_REST_MIN_NS NSEC_PER_SEC
#define VBLK_KICK_REST_MAX_NS (64 * NSEC_PER_SEC)

enum vblk_kicker_state {
	VBLK_KICKER_FREE,
	/* A thread is on its way back to user mode and will serve the virtqueue. */
	VBLK_KICKER_PENDING,
	/* It is still, but the kick has been given to the worker. */
	VBLK_KICKER_OVERDUE,
};

/*
 * What a thread takes along that is to serve a virtqueue on its way back to user mode: it may be kept in the kernel for as
 * long as it likes meanwhile, so that the virtqueue and its device may go before it comes. Lock order: vblk_kicker.lock,
 * vblk_vq.lock.
 */
struct vblk_kicker {
	struct callback_head callback;
	/* The virtqueue while it listens, and the thread. The module stays as long as there are any. */
	refcount_t users;
	/* FREE to PENDING under the lock of the eventfd; back by the thread. */
	int state;
	/* When it became PENDING, in jiffies. */
	unsigned long since;
	/* Held by the thread while it serves; protects what follows. */
	struct mutex lock;
	/* NULL: it does not listen any more. */
	struct vblk_vq *vq;
};

/* There has been a vblk_kicker. */
static bool ever_used;

static void put_kicker(struct vblk_kicker *kicker)
{
	if (!refcount_dec_and_test(&kicker->users))
		return;
	mutex_destroy(&kicker->lock);
	/* Not now: look_for_overdue() may have it at hand. */
	kfree_rcu(kicker, callback);
	module_put(THIS_MODULE);
}

/* In the thread that kicked, when it returns to user mode, enters its guest or exits. */
static void serve(struct callback_head *callback)
{
	struct vblk_kicker *kicker = container_of(callback, struct vblk_kicker, callback);
	struct vblk_vq *vq;

	mutex_lock(&kicker->lock);
	vq = kicker->vq;
	/* It may have left the owner's address space. */
	if (vq && (current->mm != vq->dev->mm || !vblk_turn_of_kicker(vq)))
		vblk_vq_queue(vq);
	else if (vq && READ_ONCE(kicker->state) == VBLK_KICKER_PENDING)
		WRITE_ONCE(vq->kick_rest_ns, 0);
	mutex_unlock(&kicker->lock);
	/* From here on the next kick may use it. */
	smp_store_release(&kicker->state, VBLK_KICKER_FREE);
	put_kicker(kicker);
}

static void start_kicker(struct vblk_vq *vq)
{
	struct vblk_kicker *kicker;

	if (!task_work_add || vq->vring.translated || !vblk_backend_has_nowait(&vq->backend))
		return;
	/* Without, the worker does all. */
	kicker = kzalloc(sizeof(*kicker), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!kicker)
		return;
	init_task_work(&kicker->callback, serve);
	refcount_set(&kicker->users, 1);
	mutex_init(&kicker->lock);
	kicker->vq = vq;
	/* The device's file has one, too. */
	__module_get(THIS_MODULE);
	WRITE_ONCE(ever_used, true);
	rcu_assign_pointer(vq->kicker, kicker);
}

/* Whether the kick can be served at once, and only by who looks at it first. */
static bool is_idle(const struct vblk_vq *vq)
{
	return !READ_ONCE(vq->in_turn) && !READ_ONCE(vq->in_flight) && !vblk_work_queued(&vq->work);
}

/* Whether the current thread comes back to the user mode of the owner, as far as can be told. */
static bool is_owners_thread(const struct vblk_vq *vq)
{
	return in_task() && current->mm == vq->dev->mm &&
	       !(current->flags & (PF_KTHREAD | PF_EXITING | PF_IO_WORKER | PF_USER_WORKER));
}

/* Return: whether the thread that kicks is going to serve the virtqueue. Runs under the eventfd's lock. */
static bool leave_to_thread(struct vblk_vq *vq)
{
	struct vblk_kicker *kicker = rcu_dereference_raw(vq->kicker);

	if (!kicker || !vblk_param_kick_requests() || vq->kicked_at < READ_ONCE(vq->kick_rest_until))
		return false;
	if (!is_idle(vq) || !is_owners_thread(vq))
		return false;
	/* Another thread is on its way, and might be kept: no kick relies on any but its own. */
	if (smp_load_acquire(&kicker->state) != VBLK_KICKER_FREE)
		return false;
	WRITE_ONCE(kicker->since, jiffies);
	refcount_inc(&kicker->users);
	WRITE_ONCE(kicker->state, VBLK_KICKER_PENDING);
	if (task_work_add(current, &kicker->callback, TWA_RESUME)) {
		WRITE_ONCE(kicker->state, VBLK_KICKER_FREE);
		/* The virtqueue's own is left. */
		refcount_dec(&kicker->users);
		return false;
	}
	/* A timer that is pending behind this sees that the kicker is; pairs with look_for_overdue(). */
	smp_mb();
	if (!timer_pending(&vq->dev->kick_timer))
		mod_timer(&vq->dev->kick_timer, jiffies + VBLK_KICK_PATIENCE);
	return true;
}

void vblk_kick_rest(struct vblk_vq *vq)
{
	u64 ns = clamp_t(u64, 2 * READ_ONCE(vq->kick_rest_ns), VBLK_KICK_REST_MIN_NS, VBLK_KICK_REST_MAX_NS);

	WRITE_ONCE(vq->kick_rest_ns, ns);
	WRITE_ONCE(vq->kick_rest_until, local_clock() + ns);
}

/* Gives kicks whose threads do not come to the workers, which then have all kicks for a while. */
static void look_for_overdue(struct timer_list *timer)
{
	struct vblk_dev *dev = container_of(timer, struct vblk_dev, kick_timer);
	bool pending = false;
	unsigned int i;

	/* Pairs with leave_to_thread(). */
	smp_mb();
	rcu_read_lock();
	for (i = 0; i < VHOST_BLK_MAX_VQS; i++) {
		struct vblk_vq *vq = &dev->vqs[i];
		struct vblk_kicker *kicker = rcu_dereference(vq->kicker);

		if (!kicker || READ_ONCE(kicker->state) != VBLK_KICKER_PENDING)
			continue;
		if (time_before(jiffies, READ_ONCE(kicker->since) + VBLK_KICK_PATIENCE)) {
			pending = true;
		} else if (cmpxchg(&kicker->state, VBLK_KICKER_PENDING, VBLK_KICKER_OVERDUE) == VBLK_KICKER_PENDING) {
			vblk_kick_rest(vq);
			vblk_vq_queue(vq);
		}
	}
	rcu_read_unlock();
	if (pending)
		mod_timer(timer, jiffies + VBLK_KICK_PATIENCE);
}

/* Runs under the eventfd's lock. */
static int kicked(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct vblk_vq *vq = container_of(wait, struct vblk_vq, kick_wait);

	if (key_to_poll(key) & EPOLLIN) {
		vq->kicks++;
		WRITE_ONCE(vq->kicked_at, local_clock());
		trace_vhost_blk_kick(vq);
		if (!leave_to_thread(vq))
			vblk_vq_queue(vq);
	}
	return 0;
}

struct kick_table {
	poll_table table;
	struct vblk_vq *vq;
};

static void join_kick_queue(struct file *file, wait_queue_head_t *queue, poll_table *table)
{
	struct vblk_vq *vq = container_of(table, struct kick_table, table)->vq;

	vq->kick_queue = queue;
	add_wait_queue(queue, &vq->kick_wait);
}

static void listen(struct vblk_vq *vq)
{
	struct kick_table table = { .vq = vq };

	if (!vq->kick)
		return;
	init_waitqueue_func_entry(&vq->kick_wait, kicked);
	init_poll_funcptr(&table.table, join_kick_queue);
	vfs_poll(vq->kick, &table.table);
	/* Kicks and requests from before. */
	vblk_vq_queue(vq);
}

static void ignore(struct vblk_vq *vq)
{
	if (!vq->kick_queue)
		return;
	remove_wait_queue(vq->kick_queue, &vq->kick_wait);
	vq->kick_queue = NULL;
}

void vblk_kick_start(struct vblk_vq *vq)
{
	start_kicker(vq);
	listen(vq);
}

void vblk_kick_stop(struct vblk_vq *vq)
{
	struct vblk_kicker *kicker = rcu_dereference_protected(vq->kicker, true);

	ignore(vq);
	if (!kicker)
		return;
	RCU_INIT_POINTER(vq->kicker, NULL);
	/* Waits for a thread that serves it. */
	mutex_lock(&kicker->lock);
	kicker->vq = NULL;
	mutex_unlock(&kicker->lock);
	put_kicker(kicker);
}

void vblk_kick_set(struct vblk_vq *vq, struct file *kick)
{
	ignore(vq);
	if (vq->kick)
		fput(vq->kick);
	vq->kick = kick;
	if (vblk_vq_running(vq))
		listen(vq);
}

void vblk_kick_init(struct vblk_dev *dev)
{
	timer_setup(&dev->kick_timer, look_for_overdue, 0);
}

void vblk_kick_reset(struct vblk_dev *dev)
{
	timer_delete_sync(&dev->kick_timer);
}

void vblk_kick_exit(void)
{
	/* The last instructions of serve() come after it has let go of the module; they do not sleep. */
	if (READ_ONCE(ever_used))
		synchronize_rcu_tasks();
}
