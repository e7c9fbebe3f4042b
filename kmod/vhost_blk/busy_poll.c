// SPDX-License-Identifier: GPL-2.0-only
#include "busy_poll.h"

#include <linux/cpumask.h>
#include <linux/errno.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/sched/stat.h>
#include <linux/time64.h>

#include "params.h"
#include "uapi/vhost_blk.h"

/* A learned window begins with this, and below it is not worth the while. */
#define VBLK_POLL_FIRST_NS (10 * NSEC_PER_USEC)

static u64 most_ns(void)
{
	return (u64)vblk_param_busyloop_us() * NSEC_PER_USEC;
}

void vblk_poll_start(struct vblk_poll *poll)
{
	/* The first idle times show whether it should be less. */
	poll->window_ns = most_ns();
	poll->idle_since = 0;
	poll->gave_way = false;
}

/* What came within reach makes the window grow, what came too late makes it shrink. */
static void learn(struct vblk_poll *poll, u64 idle_ns)
{
	u64 most = most_ns();

	if (idle_ns > most)
		poll->window_ns /= 2;
	else if (idle_ns > poll->window_ns)
		poll->window_ns = max_t(u64, poll->window_ns * 2, VBLK_POLL_FIRST_NS);
	if (poll->window_ns < VBLK_POLL_FIRST_NS)
		poll->window_ns = 0;
	poll->window_ns = min(poll->window_ns, most);
}

static u64 window_of(const struct vblk_poll *poll)
{
	return poll->fixed ? poll->fixed_ns : poll->window_ns;
}

/* A clock that differs a little between CPUs must not make it endless. */
static u64 idle_time(const struct vblk_poll *poll, u64 now)
{
	return now > poll->idle_since ? now - poll->idle_since : 0;
}

bool vblk_poll_busy(struct vblk_poll *poll, u64 now)
{
	u64 idle_ns;
	bool found;

	if (!poll->idle_since)
		return false;
	idle_ns = idle_time(poll, now);
	found = !poll->gave_way && idle_ns < window_of(poll);
	if (!poll->fixed)
		learn(poll, idle_ns);
	poll->idle_since = 0;
	poll->gave_way = false;
	return found;
}

bool vblk_poll_idle(struct vblk_poll *poll, u64 now)
{
	if (!poll->idle_since)
		poll->idle_since = now;
	if (poll->gave_way || idle_time(poll, now) >= window_of(poll))
		return false;
	/* Where there is one CPU only, it is the one that the guest needs to go on. */
	poll->gave_way = num_online_cpus() == 1 || need_resched() || !single_task_running();
	return !poll->gave_way;
}

void vblk_poll_pass(struct vblk_poll *poll, u64 now)
{
	if (!poll->idle_since)
		poll->idle_since = now;
	poll->gave_way = true;
}

int vblk_poll_set(struct vblk_poll *poll, unsigned int us)
{
	if (us > VHOST_BLK_MAX_BUSYLOOP_US)
		return -EINVAL;
	poll->fixed = true;
	poll->fixed_ns = (u64)us * NSEC_PER_USEC;
	return 0;
}

unsigned int vblk_poll_get(const struct vblk_poll *poll)
{
	return poll->fixed ? (unsigned int)div_u64(poll->fixed_ns, NSEC_PER_USEC) : vblk_param_busyloop_us();
}
