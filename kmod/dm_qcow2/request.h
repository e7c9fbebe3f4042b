/* SPDX-License-Identifier: GPL-2.0-only */
/* Bios on their way. */
#ifndef DM_QCOW2_REQUEST_H
#define DM_QCOW2_REQUEST_H

#include <linux/bio.h>
#include <linux/workqueue.h>

#include "target.h"

/* A bio's own data. */
struct qcow2_request {
	struct qcow2_target *target;
	struct list_head in_lane;
	struct work_struct work;
	/* As it was when the bio came: the disk's offset in bytes, the length, and where the memory begins. */
	u64 at;
	u32 bytes;
	struct bvec_iter memory;
	/* What was begun so far. */
	u32 done;
	/* Parts in flight, and one for who begins them. */
	atomic_t pending;
	blk_status_t status;
};

/* Takes what parts and threads of a table need. Return: 0 or a negative errno; qcow2_requests_exit() also after one. */
int qcow2_requests_init(struct qcow2_target *target);
/* No bio is left. Takes a target that is all zeros, too. */
void qcow2_requests_exit(struct qcow2_target *target);

/* Takes a bio over; it ends by bio_endio(). Does not wait. */
void qcow2_request_submit(struct qcow2_target *target, struct bio *bio);

#endif
