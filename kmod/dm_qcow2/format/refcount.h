/* SPDX-License-Identifier: GPL-2.0-only */
/* Reference counts of 1 to 64 bits in a refcount block. */
#ifndef QCOW2_FORMAT_REFCOUNT_H
#define QCOW2_FORMAT_REFCOUNT_H

#include "base.h"
#include "header.h"

#define QCOW2_REFTABLE_OFFSET_MASK 0xfffffffffffffe00ULL

/* The highest count that an image can hold. */
static inline u64 qcow2_refcount_max(u32 order)
{
	return order == 6 ? ~0ULL : (1ULL << (1U << order)) - 1;
}

/* log2 of the counts in a refcount block. */
static inline u32 qcow2_refblock_bits(const struct qcow2_header *header)
{
	return header->cluster_bits + 3 - header->refcount_order;
}

/**
 * qcow2_refcount_get() - reads a count
 * @block: where the counts begin
 * @index: which one; the caller knows that it is within the block
 * @order: log2 of its bits, 0 to 6
 */
u64 qcow2_refcount_get(const u8 *block, u32 index, u32 order);

/* Writes a count, which is at most qcow2_refcount_max(). */
void qcow2_refcount_set(u8 *block, u32 index, u32 order, u64 count);

#endif
