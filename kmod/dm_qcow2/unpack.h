/* SPDX-License-Identifier: GPL-2.0-only */
/* Compressed clusters. */
#ifndef DM_QCOW2_UNPACK_H
#define DM_QCOW2_UNPACK_H

#include <linux/spinlock.h>
#include <linux/wait.h>

#include "buffer.h"
#include "image.h"

/* Memory to unpack a cluster, and the cluster that was last unpacked in it. */
struct qcow2_unpacker {
	struct list_head in_idle;
	struct qcow2_buffer packed;
	struct qcow2_buffer cluster;
	void *workspace;
	u32 workspace_bytes;
	/* What cluster holds; NULL: nothing. */
	const struct qcow2_image *image;
	u64 packed_at;
};

/* As many as may work at once: memory, and the CPU that a hostile image can take, are bounded by that. */
struct qcow2_unpackers {
	/* Guards idle, and those on it. */
	spinlock_t lock;
	struct list_head idle;
	wait_queue_head_t returned;
};

/* @cluster_bytes: of the largest cluster, 0: there is none. Return: 0 or -ENOMEM. */
int qcow2_unpackers_init(struct qcow2_unpackers *unpackers, u32 cluster_bytes);
/* All are idle. Takes one that is all zeros, too. */
void qcow2_unpackers_exit(struct qcow2_unpackers *unpackers);

/**
 * qcow2_unpack() - unpacks the cluster of an extent
 * @extent: of kind QCOW2_PACKED
 * @found: whose cluster.data it is in until qcow2_unpack_end()
 *
 * Waits for memory that others use, and for the file.
 *
 * Return: 0; -EIO for data that is not valid; errors of reading.
 */
int qcow2_unpack(struct qcow2_unpackers *unpackers, const struct qcow2_extent *extent,
		 struct qcow2_unpacker **found);
void qcow2_unpack_end(struct qcow2_unpackers *unpackers, struct qcow2_unpacker *unpacker);

/* Forgets what was unpacked: its place in the file may be used for something else. */
void qcow2_unpackers_drop(struct qcow2_unpackers *unpackers);

#endif
