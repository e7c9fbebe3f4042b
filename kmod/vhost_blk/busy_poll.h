/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_BUSY_POLL_H
#define VHOST_BLK_BUSY_POLL_H

#include <linux/types.h>

/*
 * Busy polling of a virtqueue: whether its worker looks at it again and again for a while before it sleeps, which saves the
 * wake-up, or more than one, when the next request or completion comes soon. Protected by vblk_vq.lock.
 */
struct vblk_poll {
	/* Set by the owner: how long in ns. */
	bool fixed;
	u64 fixed_ns;

	/* Otherwise learned: how long polling seems to be worth it, 0 to what the module parameter says. */
	u64 window_ns;

	/* Since when nothing was to be done; 0 while something is. */
	u64 idle_since;
	/* Others got the CPU instead; for the rest of this idle time. */
	bool gave_way;
};

/* vblk_poll_start() - the virtqueue begins to run; what was set stays */
void vblk_poll_start(struct vblk_poll *poll);

/* vblk_poll_busy() - something was to be done at @now, of local_clock(); Return: it was found by polling */
bool vblk_poll_busy(struct vblk_poll *poll, u64 now);

/* vblk_poll_idle() - nothing was to be done; Return: look again at once */
bool vblk_poll_idle(struct vblk_poll *poll, u64 now);

/* vblk_poll_pass() - as vblk_poll_idle() where nobody can look again */
void vblk_poll_pass(struct vblk_poll *poll, u64 now);

/* vblk_poll_set() - Return: 0 or -EINVAL for more than VHOST_BLK_MAX_BUSYLOOP_US */
int vblk_poll_set(struct vblk_poll *poll, unsigned int us);

/* vblk_poll_get() - Return: the time that was set, else what the module parameter says, in microseconds */
unsigned int vblk_poll_get(const struct vblk_poll *poll);

#endif
