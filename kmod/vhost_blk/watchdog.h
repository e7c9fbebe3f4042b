/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_WATCHDOG_H
#define VHOST_BLK_WATCHDOG_H

#include <linux/workqueue.h>

struct task_struct;
struct vblk_dev;

/*
 * Looks after a device's workers while a call waits for them. A worker may be waiting for guest memory that only the owner
 * could provide, by a userfaultfd or a FUSE server of its own: once the owner has been killed, nobody will.
 */
struct vblk_watchdog {
	struct delayed_work look;
	/* Who waits; NULL when the owner is gone. Changes only while nobody looks. */
	struct task_struct *caller;
};

void vblk_watchdog_init(struct vblk_watchdog *watchdog);

/**
 * vblk_watchdog_begin() - begin to look after the workers; @dev's lock held
 * @caller: while it is not killed, workers may take their time; NULL: they may not
 */
void vblk_watchdog_begin(struct vblk_dev *dev, struct task_struct *caller);

/* vblk_watchdog_end() - the call does not wait any more; @dev's lock held */
void vblk_watchdog_end(struct vblk_dev *dev);

#endif
