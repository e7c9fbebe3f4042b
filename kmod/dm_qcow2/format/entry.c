// SPDX-License-Identifier: GPL-2.0-only
/* Entries of the L1 and L2 tables. Reserved bits are ignored, as the specification and QEMU do. */
#include "entry.h"

static bool aligned(const struct qcow2_header *header, u64 offset)
{
	return !(offset & (qcow2_cluster_bytes(header) - 1));
}

int qcow2_decode_l1(const struct qcow2_header *header, u64 entry, u64 *table)
{
	*table = entry & QCOW2_OFFSET_MASK;
	return aligned(header, *table) ? 0 : -EIO;
}

static int decode_packed(const struct qcow2_header *header, u64 entry, struct qcow2_cluster *cluster)
{
	u32 offset_bits = 62 - (header->cluster_bits - 8);
	u64 sectors = (entry & (QCOW2_COMPRESSED - 1)) >> offset_bits;

	if (qcow2_has_data_file(header))
		return -EIO;
	cluster->kind = QCOW2_PACKED;
	cluster->host = entry & ((1ULL << offset_bits) - 1);
	/* The first sector is counted from its start, though the data may begin within it. */
	cluster->packed_bytes = (sectors + 1) * 512 - (cluster->host & 511);
	return cluster->host > QCOW2_OFFSET_MASK ? -EIO : 0;
}

static int decode_extended(u64 bitmap, struct qcow2_cluster *cluster)
{
	cluster->allocated = bitmap;
	cluster->zeroed = bitmap >> 32;
	if (cluster->allocated & cluster->zeroed)
		return -EIO;
	if (cluster->allocated && !cluster->has_host)
		return -EIO;
	cluster->kind = cluster->allocated ? QCOW2_DATA : cluster->zeroed ? QCOW2_ZERO : QCOW2_UNALLOCATED;
	return 0;
}

int qcow2_decode_l2(const struct qcow2_header *header, u64 entry, u64 bitmap, struct qcow2_cluster *cluster)
{
	memset(cluster, 0, sizeof(*cluster));
	if (entry & QCOW2_COMPRESSED)
		return decode_packed(header, entry, cluster);

	cluster->host = entry & QCOW2_OFFSET_MASK;
	cluster->copied = entry & QCOW2_COPIED;
	/* The first cluster of a data file is at 0, where an image of its own has the header. */
	cluster->has_host = cluster->host || (cluster->copied && qcow2_has_data_file(header));
	if (!aligned(header, cluster->host))
		return -EIO;
	if (qcow2_has_extended_l2(header))
		return decode_extended(bitmap, cluster);
	if (!(entry & QCOW2_ZERO_FLAG)) {
		cluster->kind = cluster->has_host ? QCOW2_DATA : QCOW2_UNALLOCATED;
		return 0;
	}
	if (header->version < 3)
		return -EIO;
	cluster->kind = QCOW2_ZERO;
	return 0;
}
