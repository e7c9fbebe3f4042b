/* SPDX-License-Identifier: GPL-2.0-only */
/* What the refcounts of a written image stand on: the refcount table, and the space of the file. refs_lock held. */
#ifndef DM_QCOW2_SPACE_H
#define DM_QCOW2_SPACE_H

#include "format/refcount.h"
#include "writer.h"

static inline const struct qcow2_header *qcow2_header_of(const struct qcow2_writer *writer)
{
	return &writer->top->header;
}

static inline u32 qcow2_cluster_bits_of(const struct qcow2_writer *writer)
{
	return writer->top->header.cluster_bits;
}

static inline u64 qcow2_counts_in_block(const struct qcow2_writer *writer)
{
	return 1ULL << qcow2_refblock_bits(qcow2_header_of(writer));
}

/* space.c */

/* Makes sure that the file has space up to an offset. Nothing was promised yet when there is none. */
int qcow2_space_ensure(struct qcow2_writer *writer, u64 end);

/* Gives a free cluster's space back; where that can not be, it stays the file's. */
void qcow2_space_punch(struct qcow2_writer *writer, u64 at, u64 bytes);

/* reftable.c */

/* Whether there is a block with the count of a cluster. */
bool qcow2_reftable_has_block(const struct qcow2_writer *writer, u64 cluster);

/* Makes the block for a cluster behind all that have one. */
int qcow2_reftable_make_block(struct qcow2_writer *writer, u64 cluster);

#endif
