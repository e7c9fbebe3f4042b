/* SPDX-License-Identifier: GPL-2.0-only */
/* Entries of the L1 and L2 tables: what they say of a guest cluster. */
#ifndef QCOW2_FORMAT_ENTRY_H
#define QCOW2_FORMAT_ENTRY_H

#include "base.h"
#include "header.h"

#define QCOW2_COPIED (1ULL << 63)
#define QCOW2_COMPRESSED (1ULL << 62)
#define QCOW2_OFFSET_MASK 0x00fffffffffffe00ULL
#define QCOW2_ZERO_FLAG (1ULL << 0)

#define QCOW2_SUBCLUSTERS 32

/* What a part of a disk is in one image. */
enum qcow2_kind {
	/* Not in this image: the backing file's, or zeros without one. */
	QCOW2_UNALLOCATED,
	QCOW2_ZERO,
	QCOW2_DATA,
	QCOW2_PACKED,
};

/* A cluster as its L2 entry tells it. */
struct qcow2_cluster {
	/* Of a standard entry. With extended entries that of a subcluster is qcow2_subcluster_kind()'s. */
	enum qcow2_kind kind;
	/* Whether a cluster of the file belongs to it; also a zero cluster may have one. */
	bool has_host;
	/* Whether nobody else uses that cluster: it may be written in place. */
	bool copied;
	/* Where it is; for QCOW2_PACKED the byte at which the compressed data starts. */
	u64 host;
	/* For QCOW2_PACKED: the most that the compressed data takes. */
	u32 packed_bytes;
	/* With extended entries: subclusters that are in the file, and that read as zeros. */
	u32 allocated;
	u32 zeroed;
};

/**
 * qcow2_decode_l1() - reads an L1 entry
 * @table: the L2 table's offset; 0: there is none, all of its clusters are unallocated
 *
 * Return: 0; -EIO for an offset at which no table can be.
 */
int qcow2_decode_l1(const struct qcow2_header *header, u64 entry, u64 *table);

/**
 * qcow2_decode_l2() - reads an L2 entry
 * @bitmap: the second half of an extended entry
 *
 * Return: 0; -EIO for an entry that is not valid in such an image.
 */
int qcow2_decode_l2(const struct qcow2_header *header, u64 entry, u64 bitmap, struct qcow2_cluster *cluster);

/* What a subcluster, counted from 0 in its cluster, is. */
static inline enum qcow2_kind qcow2_subcluster_kind(const struct qcow2_cluster *cluster, u32 subcluster)
{
	if (cluster->kind == QCOW2_PACKED)
		return QCOW2_PACKED;
	if (cluster->zeroed >> subcluster & 1)
		return QCOW2_ZERO;
	return cluster->allocated >> subcluster & 1 ? QCOW2_DATA : QCOW2_UNALLOCATED;
}

#endif
