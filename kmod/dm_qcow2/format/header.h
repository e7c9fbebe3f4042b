/* SPDX-License-Identifier: GPL-2.0-only */
/* The header of a QCOW2 image and its extensions (QEMU, docs/interop/qcow2.txt). */
#ifndef QCOW2_FORMAT_HEADER_H
#define QCOW2_FORMAT_HEADER_H

#include "base.h"

#define QCOW2_MAGIC 0x514649fb

#define QCOW2_MIN_CLUSTER_BITS 9
#define QCOW2_MAX_CLUSTER_BITS 21
/* With extended L2 entries a subcluster is at least a sector. */
#define QCOW2_MIN_EXTENDED_CLUSTER_BITS 14

/* What QEMU refuses, too. */
#define QCOW2_MAX_L1_BYTES (32U << 20)
#define QCOW2_MAX_REFTABLE_BYTES (8U << 20)
#define QCOW2_MAX_SNAPSHOTS 65536
#define QCOW2_MAX_NAME 1023

/* All that is needed of an image's start: header, extensions and their data. More of them is refused. */
#define QCOW2_START_BYTES 65536U
/* The part that the version 2 header takes. */
#define QCOW2_MIN_START_BYTES 72

#define QCOW2_INCOMPAT_DIRTY (1ULL << 0)
#define QCOW2_INCOMPAT_CORRUPT (1ULL << 1)
#define QCOW2_INCOMPAT_DATA_FILE (1ULL << 2)
#define QCOW2_INCOMPAT_COMPRESSION (1ULL << 3)
#define QCOW2_INCOMPAT_EXTENDED_L2 (1ULL << 4)
#define QCOW2_INCOMPAT_KNOWN                                                                                          \
	(QCOW2_INCOMPAT_DIRTY | QCOW2_INCOMPAT_CORRUPT | QCOW2_INCOMPAT_DATA_FILE | QCOW2_INCOMPAT_COMPRESSION |       \
	 QCOW2_INCOMPAT_EXTENDED_L2)

#define QCOW2_AUTOCLEAR_BITMAPS (1ULL << 0)
#define QCOW2_AUTOCLEAR_RAW_DATA (1ULL << 1)

/* Where the feature bits stand in a version 3 header. */
#define QCOW2_AT_SIZE 24
#define QCOW2_AT_L1_SIZE 36
#define QCOW2_AT_L1 40
#define QCOW2_AT_REFTABLE 48
#define QCOW2_AT_INCOMPAT 72
#define QCOW2_AT_AUTOCLEAR 88

enum qcow2_compression {
	QCOW2_ZLIB,
	QCOW2_ZSTD,
};

/* A place in the image's start. */
struct qcow2_span {
	u32 at;
	u32 bytes;
};

/* A header that was checked: every number is within its limits, every offset is a multiple of what it has to be. */
struct qcow2_header {
	u32 version;
	u32 bytes;
	u32 cluster_bits;
	/* Of the disk, in bytes. */
	u64 size;
	/* Name of the backing file, within the first cluster; not read by qcow2_parse_header(). bytes is 0 without one. */
	struct qcow2_span backing_name;
	u64 l1_at;
	u32 l1_entries;
	u64 reftable_at;
	u32 reftable_clusters;
	u64 snapshots_at;
	u32 nr_snapshots;
	u64 incompat;
	u64 compat;
	u64 autoclear;
	/* A reference count has 1 << refcount_order bits. */
	u32 refcount_order;
	enum qcow2_compression compression;
	/* From extensions; bytes is 0 without. */
	struct qcow2_span backing_format;
	struct qcow2_span data_file_name;
	/* The directory of bitmaps; bytes is 0 without. */
	u64 bitmaps_at;
	u64 bitmaps_bytes;
};

/**
 * qcow2_parse_header() - reads and checks the header of an image
 * @start: the first bytes of the image
 * @bytes: how many: QCOW2_START_BYTES, or all of a shorter file
 * @header: what was read, undefined after an error
 * @reason: a constant string for people, set on error
 *
 * Return: 0; -EINVAL for what no image may hold; -EOPNOTSUPP for what is valid and can not be done here.
 */
int qcow2_parse_header(const u8 *start, size_t bytes, struct qcow2_header *header, const char **reason);

/* Whether a table may be at an offset: on a cluster's start, behind the header, its end not behind what a file can have. */
bool qcow2_table_fits(const struct qcow2_header *header, u64 at, u64 bytes);

static inline u64 qcow2_cluster_bytes(const struct qcow2_header *header)
{
	return 1ULL << header->cluster_bits;
}

static inline bool qcow2_has_extended_l2(const struct qcow2_header *header)
{
	return header->incompat & QCOW2_INCOMPAT_EXTENDED_L2;
}

static inline bool qcow2_has_data_file(const struct qcow2_header *header)
{
	return header->incompat & QCOW2_INCOMPAT_DATA_FILE;
}

/* Whether the external data file has to read as the disk does, zeros and all. */
static inline bool qcow2_has_raw_data_file(const struct qcow2_header *header)
{
	return qcow2_has_data_file(header) && header->autoclear & QCOW2_AUTOCLEAR_RAW_DATA;
}

/* log2 of the bytes of an L2 entry. */
static inline u32 qcow2_l2_entry_bits(const struct qcow2_header *header)
{
	return qcow2_has_extended_l2(header) ? 4 : 3;
}

/* log2 of the entries of an L2 table. */
static inline u32 qcow2_l2_bits(const struct qcow2_header *header)
{
	return header->cluster_bits - qcow2_l2_entry_bits(header);
}

/* L1 entries that the disk needs; the parser made sure that there are that many. */
static inline u64 qcow2_l1_needed(const struct qcow2_header *header)
{
	u32 shift = header->cluster_bits + qcow2_l2_bits(header);

	return (header->size >> shift) + !!(header->size & ((1ULL << shift) - 1));
}

#endif
