/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Moving the top's content into the image below it while the disk is in use. The top hides what of it lies below, so nobody
 * sees the copies, and a merge that is given up leaves the disk as it was.
 */
#ifndef DM_QCOW2_MERGE_H
#define DM_QCOW2_MERGE_H

#include "target.h"

enum qcow2_merge_state {
	QCOW2_MERGE_IDLE,
	QCOW2_MERGE_COPYING,
	/* What is left is little enough to be copied while the device is suspended. */
	QCOW2_MERGE_READY,
	/* The image below has all, durable, and the top nothing. */
	QCOW2_MERGE_DONE,
	QCOW2_MERGE_FAILED,
};

struct qcow2_merge {
	struct qcow2_target *target;	/* constant */
	/* The chain below the top as a disk of its own: its top is what is written. */
	struct qcow2_target below;

	/* Guarded by the target's life, or written by the work alone while that runs. */
	enum qcow2_merge_state state;
	int error;
	/* Whether the next suspend shall copy what is left, and empty the top. */
	bool finish;

	/* A bit for each granule of the disk that the top may have, and the image below has not, as it is now. */
	unsigned long *left;
	u64 nr_granules;
	u32 granule_bits;
	/* Set to end the work. */
	bool stop;
	unsigned int passes;
	struct workqueue_struct *thread;
	struct delayed_work work;
	/* The work's. */
	struct qcow2_buffer buffer;
};

/**
 * qcow2_merge_alloc() - makes a target one that can merge its top down
 * @target: whose files are open, that of the image below the top for writing
 *
 * Before its images are loaded. Return: 0 or a negative errno, with a constant string for people. qcow2_merge_exit() also after one.
 */
int qcow2_merge_alloc(struct qcow2_target *target, const char **reason);
/* Takes the memory that it needs, when the images are loaded. Return: 0 or -ENOMEM. */
int qcow2_merge_init(struct qcow2_target *target, u32 cache_kib);
void qcow2_merge_exit(struct qcow2_target *target);

/* Forgets what is kept in memory of the images below. */
void qcow2_merge_drop(struct qcow2_merge *merge);

/*
 * Makes the disk in the image below as large as the top's. It is so for us when the device is resumed next. The target runs, its
 * life is held. Return: 0 or a negative errno, with a constant string for people.
 */
int qcow2_merge_grow(struct qcow2_merge *merge, const char **reason);
/*
 * Begins. The target runs, its life is held. Return: 0; -EFBIG: the image below is smaller; other errors, with a constant string
 * for people.
 */
int qcow2_merge_start(struct qcow2_merge *merge, const char **reason);
/* Lets the next suspend end it. The target's life is held. Return: 0; -EBUSY, with a constant string for people: it is not ready. */
int qcow2_merge_finish(struct qcow2_merge *merge, const char **reason);
/* Ends it, whole if that was asked for, else given up. No request is in flight, and the top is durable. */
void qcow2_merge_suspend(struct qcow2_merge *merge);

/* Notes that a part of the disk has changed, before who did so hears of it. Any context. */
void qcow2_merge_changed(struct qcow2_merge *merge, u64 at, u64 bytes);

/* Bytes of the disk that are still to be looked at. */
u64 qcow2_merge_left(const struct qcow2_merge *merge);
const char *qcow2_merge_state_name(const struct qcow2_merge *merge);

#endif
