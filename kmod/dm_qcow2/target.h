/* SPDX-License-Identifier: GPL-2.0-only */
/* A device's table: the chain of images, and what serves it. */
#ifndef DM_QCOW2_TARGET_H
#define DM_QCOW2_TARGET_H

#include <linux/device-mapper.h>
#include <linux/mempool.h>
#include <linux/workqueue.h>

#include "cache.h"
#include "image.h"
#include "unpack.h"

/* CPUs that submit at once. */
#define QCOW2_MAX_LANES 8

/* Bios that wait for their first attempt, and the work that makes it. */
struct qcow2_lane {
	/* Guards waiting. */
	spinlock_t lock;
	struct list_head waiting;
	struct work_struct work;
};

struct qcow2_stats {
	atomic64_t reads;
	/* Requests that had to wait in a thread of their own. */
	atomic64_t slow;
	atomic64_t errors;
};

struct qcow2_target {
	struct dm_target *ti;
	/* Constant once the table is loaded; images[0] is the top. */
	struct qcow2_image *images;
	unsigned int nr_images;

	struct qcow2_cache cache;
	struct qcow2_unpackers unpackers;
	/* Parts of requests; bounds those in flight. */
	mempool_t parts;
	struct workqueue_struct *threads;
	struct qcow2_lane lanes[QCOW2_MAX_LANES];
	unsigned int nr_lanes;
	struct qcow2_stats stats;
};

/**
 * qcow2_target_map() - tells what a part of the disk is, looking down the chain
 * @extent: what is there from @at on: zeros, or data or a compressed cluster of one of the images
 *
 * Return: as qcow2_image_map() does.
 */
int qcow2_target_map(struct qcow2_target *target, u64 at, u64 bytes, bool wait, struct qcow2_extent *extent);

#endif
