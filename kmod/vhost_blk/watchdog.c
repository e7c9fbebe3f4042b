// SPDX-License-Identifier: GPL-2.0-only
#include "watchdog.h"

#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/workqueue.h>

#include "device.h"

/* How often it looks. */
#define VBLK_LOOK_EACH HZ

/* Not bound to a CPU: a real-time task may have the one on which somebody closed a device. */
static struct workqueue_struct *watching;

/* Whoever closes the file last, or calls, need not be the owner: so it is the owner's threads that are looked at. */
static bool owner_lives(const struct vblk_watchdog *watchdog)
{
	struct task_struct *leader, *thread;
	bool lives = false;

	rcu_read_lock();
	leader = pid_task(watchdog->owner, PIDTYPE_TGID);
	if (leader)
		for_each_thread(leader, thread)
			/* Who exits or executes another program has left this address space, or is about to. */
			if (READ_ONCE(thread->mm) == watchdog->mm && !(READ_ONCE(thread->flags) & PF_EXITING) &&
			    !fatal_signal_pending(thread))
				lives = true;
	rcu_read_unlock();
	return lives;
}

static void look(struct work_struct *work)
{
	struct vblk_watchdog *watchdog = container_of(work, struct vblk_watchdog, look.work);
	struct vblk_dev *dev = container_of(watchdog, struct vblk_dev, watchdog);
	struct task_struct *caller = watchdog->caller;
	/* Another thread of the owner that executes a program waits for this one only. */
	bool owner_waits = READ_ONCE(caller->mm) == watchdog->mm;

	if (watchdog->owner && ((owner_waits && fatal_signal_pending(caller)) || !owner_lives(watchdog)))
		vblk_pool_cut_off(&dev->pool);
	queue_delayed_work(watching, &watchdog->look, VBLK_LOOK_EACH);
}

void vblk_watchdog_init(struct vblk_watchdog *watchdog)
{
	INIT_DELAYED_WORK(&watchdog->look, look);
}

void vblk_watchdog_begin(struct vblk_dev *dev)
{
	struct vblk_watchdog *watchdog = &dev->watchdog;

	watchdog->caller = current;
	watchdog->owner = get_pid(dev->owner);
	watchdog->mm = dev->mm;
	queue_delayed_work(watching, &watchdog->look, VBLK_LOOK_EACH);
}

void vblk_watchdog_end(struct vblk_dev *dev)
{
	cancel_delayed_work_sync(&dev->watchdog.look);
	put_pid(dev->watchdog.owner);
}

int vblk_watchdog_start(void)
{
	watching = alloc_workqueue("vblk-watchdog", WQ_UNBOUND, 0);
	return watching ? 0 : -ENOMEM;
}

void vblk_watchdog_stop(void)
{
	destroy_workqueue(watching);
}
