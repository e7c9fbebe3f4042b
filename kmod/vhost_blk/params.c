// SPDX-License-Identifier: GPL-2.0-only
#include "params.h"

#include <linux/cpumask.h>
#include <linux/kernel.h>
#include <linux/moduleparam.h>

#include "busy_poll.h"
#include "uapi/vhost_blk.h"

/* More would keep a virtual CPU from its guest for longer than waking a worker takes. */
#define VBLK_MAX_KICK_REQUESTS 32

struct vblk_param {
	/* First, where param_get_uint() looks for it. */
	unsigned int value;
	unsigned int min;
	unsigned int max;
};

static int set_bounded(const char *text, const struct kernel_param *kp)
{
	struct vblk_param *param = kp->arg;
	unsigned int value;
	int ret = kstrtouint(text, 0, &value);

	if (ret)
		return ret;
	if (value < param->min || value > param->max)
		return -EINVAL;
	WRITE_ONCE(param->value, value);
	return 0;
}

static const struct kernel_param_ops bounded = {
	.set = set_bounded,
	.get = param_get_uint,
};

static struct vblk_param weight = { 128, 1, VHOST_BLK_MAX_VRING_NUM };
module_param_cb(weight, &bounded, &weight, 0644);
MODULE_PARM_DESC(weight, "Requests (1 to 1024) that a virtqueue may take before others of its worker get their turn, and 64 KiB of data for each (default 128)");

static struct vblk_param busyloop_us = { 50, 0, VHOST_BLK_MAX_BUSYLOOP_US };
module_param_cb(busyloop_us, &bounded, &busyloop_us, 0644);
MODULE_PARM_DESC(busyloop_us, "Longest time in microseconds (0 to 10000) that a worker polls an idle virtqueue before it sleeps; less, down to none, while the guest's next request comes later than that, none while others want the CPU or there is one CPU only. VHOST_SET_VRING_BUSYLOOP_TIMEOUT sets another for a virtqueue (default 50)");

static struct vblk_param workers = { 0, 0, VHOST_BLK_MAX_WORKERS };
module_param_cb(workers, &bounded, &workers, 0644);
MODULE_PARM_DESC(workers, "Most workers (1 to 64) of a device whose owner asks for none; one for each virtqueue that runs until there are as many. 0: as many as CPUs are online (default 0)");

static struct vblk_param kick_requests = { 1, 0, VBLK_MAX_KICK_REQUESTS };
module_param_cb(kick_requests, &bounded, &kick_requests, 0644);
MODULE_PARM_DESC(kick_requests, "Most requests (0 to 32) that the thread which kicks an idle virtqueue starts by itself, when it returns to user mode or enters its guest; where there are more, or the disk or memory would have to be waited for, the worker starts them. 0: always the worker (default 1)");

unsigned int vblk_param_kick_requests(void)
{
	return READ_ONCE(kick_requests.value);
}

unsigned int vblk_param_weight(void)
{
	return READ_ONCE(weight.value);
}

unsigned int vblk_param_busyloop_us(void)
{
	return READ_ONCE(busyloop_us.value);
}

unsigned int vblk_param_workers(void)
{
	unsigned int value = READ_ONCE(workers.value);

	return value ? value : min_t(unsigned int, num_online_cpus(), VHOST_BLK_MAX_WORKERS);
}
