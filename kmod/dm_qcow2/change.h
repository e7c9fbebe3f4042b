/* SPDX-License-Identifier: GPL-2.0-only */
/* Changing what guest clusters are: claimed, looked at, and published in one go. */
#ifndef DM_QCOW2_CHANGE_H
#define DM_QCOW2_CHANGE_H

#include "writer.h"

/* Consecutive guest clusters of one L2 slice, which only one thread changes. */
struct qcow2_change {
	struct qcow2_writer *writer;
	struct qcow2_claim claim;
	struct qcow2_slice *slice;
	/* The first cluster, its index in the slice, and how many are claimed. */
	u64 first;
	u32 index;
	u32 nr;
};

/* An L2 entry as it shall be; bitmap is for extended entries. */
struct qcow2_entry {
	u64 entry;
	u64 bitmap;
};

/**
 * qcow2_change_begin() - claims clusters and finds their entries
 * @at: guest offset in the first cluster
 * @wanted: clusters; fewer are claimed where the slice ends
 *
 * Return: 0 or a negative errno. Ends with qcow2_change_end().
 */
int qcow2_change_begin(struct qcow2_writer *writer, u64 at, u32 wanted, struct qcow2_change *change);
void qcow2_change_end(struct qcow2_change *change);

/* What the claimed cluster of an index is. Return: 0; -EIO: nothing valid, and nothing is written any more. */
int qcow2_change_look(const struct qcow2_change *change, u32 index, struct qcow2_cluster *cluster);

/**
 * qcow2_change_publish() - gives the first claimed clusters new entries
 * @entries: what they shall be
 * @nr: how many
 *
 * What an old entry referred to and the new one does not is freed with the next commit.
 */
void qcow2_change_publish(struct qcow2_change *change, const struct qcow2_entry *entries, u32 nr);

#endif
