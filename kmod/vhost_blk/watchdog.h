/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_WATCHDOG_H
#define VHOST_BLK_WATCHDOG_H

#include <linux/workqueue.h>

struct mm_struct;
struct pid;
struct task_struct;
struct vblk_dev;

/*
 * Looks after a device's workers while a call waits for them. A worker may be waiting for guest memory that only the owner
 * could provide, by a userfaultfd or a FUSE server of its own: once the owner has been killed, nobody will. A page that a
 * FUSE server has been asked for and has not answered is waited for by the kernel itself, whatever happens to the worker;
 * only the end of that FUSE connection ends it.
 */
struct vblk_watchdog {
	struct delayed_work look;
	/* These change only while nobody looks. Who waits: */
	struct task_struct *caller;
	/* The owner's thread group, with a reference, and its address space, which is only compared. */
	struct pid *owner;
	const struct mm_struct *mm;
};

/* vblk_watchdog_start() - once, when the module is loaded; 0 or -ENOMEM */
int vblk_watchdog_start(void);

/* vblk_watchdog_stop() - when it goes, with no device left */
void vblk_watchdog_stop(void);

void vblk_watchdog_init(struct vblk_watchdog *watchdog);

/* vblk_watchdog_begin() - begin to look after the workers, on behalf of the caller; @dev's lock held */
void vblk_watchdog_begin(struct vblk_dev *dev);

/* vblk_watchdog_end() - the call does not wait any more; @dev's lock held */
void vblk_watchdog_end(struct vblk_dev *dev);

#endif
