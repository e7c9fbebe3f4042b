/* SPDX-License-Identifier: GPL-2.0-only */
/* What the bridge has told the device that stands for the module. */
#ifndef FAKE_DEVICE_H
#define FAKE_DEVICE_H

#include <linux/vhost.h>
#include <stdbool.h>
#include <stdint.h>

#include "uapi/vhost_blk.h"

struct fake_vring {
	unsigned int num, base;
	struct vhost_vring_addr addr;
	bool running;
};

extern struct fake_device {
	bool owned;
	/* Has it refuse the next tables of memory. */
	bool refuse;
	uint64_t features;
	uint64_t log;
	unsigned int nr_regions;
	struct vhost_memory_region region[VHOST_BLK_MAX_MEM_REGIONS];
	struct fake_vring vring[VHOST_BLK_MAX_VQS];
} fake_device;

#endif
