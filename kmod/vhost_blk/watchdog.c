// SPDX-License-Identifier: GPL-2.0-only
#include "watchdog.h"

#include <linux/jiffies.h>
#include <linux/sched/signal.h>

#include "device.h"

/* How often it looks. */
#define VBLK_LOOK_EACH HZ

static void look(struct work_struct *work)
{
	struct vblk_watchdog *watchdog = container_of(work, struct vblk_watchdog, look.work);
	struct vblk_dev *dev = container_of(watchdog, struct vblk_dev, watchdog);

	if (!watchdog->caller || fatal_signal_pending(watchdog->caller))
		vblk_pool_cut_off(&dev->pool);
	schedule_delayed_work(&watchdog->look, VBLK_LOOK_EACH);
}

void vblk_watchdog_init(struct vblk_watchdog *watchdog)
{
	INIT_DELAYED_WORK(&watchdog->look, look);
}

void vblk_watchdog_begin(struct vblk_dev *dev, struct task_struct *caller)
{
	dev->watchdog.caller = caller;
	schedule_delayed_work(&dev->watchdog.look, VBLK_LOOK_EACH);
}

void vblk_watchdog_end(struct vblk_dev *dev)
{
	cancel_delayed_work_sync(&dev->watchdog.look);
}
