/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether places of a written image's file are those of its own tables, which data must not be written over. */
#ifndef DM_QCOW2_OVERLAP_H
#define DM_QCOW2_OVERLAP_H

#include "writer.h"

/*
 * Reads which places the snapshot table names, and notes the tables that the L1 table and the refcount table lead to; both are
 * in memory. Return: 0 or a negative errno, with a constant string for people.
 */
int qcow2_overlap_load(struct qcow2_writer *writer, const char **reason);
void qcow2_overlap_free(struct qcow2_writer *writer);

/* Notes that an L2 table or a refcount block will be there. Any thread. */
void qcow2_overlap_note(struct qcow2_writer *writer, u64 at);

/*
 * Whether an extent of the file is where the header, the L1 table, the refcount table, the bitmaps' directory, the snapshot
 * table or a snapshot's L1 table is known to be. Does not wait.
 */
bool qcow2_place_is_table(const struct qcow2_writer *writer, u64 at, u64 bytes);

/* As above, or where a refcount block or an L2 table of the active tree is. refs_lock held. */
bool qcow2_place_is_in_use(const struct qcow2_writer *writer, u64 at, u64 bytes);

/**
 * qcow2_place_check() - whether clusters of the guest can be in an extent of the file that has them
 * @guest: their offset in the disk
 * @wait: whether it may wait
 *
 * They can not be where the image's own tables are known to be, nor behind the last cluster that was ever in use. In an
 * external data file each has its own place, since nothing counts references there.
 *
 * Return: 0; -EAGAIN: it would have to wait; -EIO: they can not, and nothing is written any more.
 */
int qcow2_place_check(struct qcow2_writer *writer, u64 guest, u64 at, u64 bytes, bool wait);

#endif
