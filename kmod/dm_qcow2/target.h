/* SPDX-License-Identifier: GPL-2.0-only */
/* A device's table: the chain of images, and what serves it. */
#ifndef DM_QCOW2_TARGET_H
#define DM_QCOW2_TARGET_H

#include <linux/device-mapper.h>
#include <linux/mempool.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>

#include "cache.h"
#include "grace.h"
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

struct qcow2_merge;
struct qcow2_writer;

struct qcow2_stats {
	atomic64_t requests;
	/* Requests that had to wait in a thread of their own. */
	atomic64_t slow;
	/* Requests that ended where they came, without a thread. */
	atomic64_t at_once;
	atomic64_t errors;
};

struct qcow2_target {
	struct dm_target *ti;
	/* Constant once the table is loaded; images[0] is the top. */
	struct qcow2_image *images;
	unsigned int nr_images;
	/* Bytes of the largest cluster that memory was taken for when the table was loaded; 0: there are raw files only. */
	u32 largest_cluster;
	bool is_writable;

	struct qcow2_cache cache;
	struct qcow2_unpackers unpackers;
	/* Who looks mappings up, and moves data by them: those of all who read these files. */
	struct qcow2_grace *grace;
	struct qcow2_grace own_grace;
	/* NULL for a table that is read only. */
	struct qcow2_writer *writer;
	/* NULL, or what moves the top's content into the image below: that has all metadata but the top's then. */
	struct qcow2_merge *merge;
	/* Whether its files are those that a merge left, so that it may follow that table only. */
	bool follows_merge;
	/* Images that lie above, for a chain that is a part of another's. */
	unsigned int nr_above;
	/* Parts of requests; bounds those in flight. */
	mempool_t parts;
	struct workqueue_struct *threads;
	struct workqueue_struct *rests;
	struct qcow2_lane lanes[QCOW2_MAX_LANES];
	unsigned int nr_lanes;
	struct qcow2_stats stats;

	/* Among all, for tables that take over another's files; guarded there. */
	struct list_head in_targets;
	/* Guards is_running: from resuming to suspending, while the images are ours. */
	struct mutex life;
	bool is_running;
	/* Whether it was ever resumed, so that it is the device's table. */
	bool was_resumed;
};

/* The table of the device that this one is for, from qcow2_target_live_end() on it may go. Return: NULL: there is none. */
struct qcow2_target *qcow2_target_live(struct qcow2_target *target);
void qcow2_target_live_end(void);
/* Makes a target one among all, and takes it from among them. */
void qcow2_target_add(struct qcow2_target *target);
void qcow2_target_remove(struct qcow2_target *target);

/**
 * qcow2_target_map() - tells what a part of the disk is, looking down the chain
 * @extent: what is there from @at on: zeros, or data or a compressed cluster of one of the images
 *
 * Return: as qcow2_image_map() does.
 */
int qcow2_target_map(struct qcow2_target *target, u64 at, u64 bytes, bool wait, struct qcow2_extent *extent);

/**
 * qcow2_target_read() - reads a part of the disk into a buffer, waiting
 * @bytes: at most the buffer's
 * @is_hole: whether all of it reads as zeros without being in a file
 *
 * Return: 0 or a negative errno.
 */
int qcow2_target_read(struct qcow2_target *target, struct qcow2_buffer *buffer, u64 at, u32 bytes, bool *is_hole);

/**
 * qcow2_target_read_behind() - reads what the top's last cluster has behind the disk's end
 * @at: from the end on
 * @bytes: at most the buffer's, and up to the cluster's end
 *
 * Return: 0 or a negative errno.
 */
int qcow2_target_read_behind(struct qcow2_target *target, struct qcow2_buffer *buffer, u64 at, u32 bytes);

/* Loads all images of the chain, whose files are open. Return: 0 or a negative errno, with a constant string for people. */
int qcow2_target_load(struct qcow2_target *target, const char **reason);

/* Bytes; 0: there are raw files only. */
u32 qcow2_target_largest_cluster(const struct qcow2_target *target);

/*
 * Reads again what is kept of the images: others may have changed them while the device was suspended, or another table was
 * in use. Return: 0; -EBUSY: another device writes the top; other errors.
 */
int qcow2_target_resume(struct qcow2_target *target);
/* Makes all durable and lets go of the images. No bio is in flight. */
void qcow2_target_suspend(struct qcow2_target *target);

#endif
