// SPDX-License-Identifier: GPL-2.0-only
/* The header of an image. All of it may be hostile: each number is checked before it is used or handed on. */
#include "header.h"
#include "snapshot.h"

#define V2_HEADER_BYTES 72
#define V3_HEADER_BYTES 104
#define AT_COMPRESSION 104

#define EXTENSION_END 0
#define EXTENSION_BACKING_FORMAT 0xe2792aca
#define EXTENSION_ENCRYPTION 0x0537be77
#define EXTENSION_DATA_FILE 0x44415441
#define EXTENSION_BITMAPS 0x23852875
#define BITMAPS_BYTES 24

/* Offsets above are not valid anywhere in an image: a file's size is signed. */
#define MAX_OFFSET 0x7fffffffffffffffULL

static int invalid(const char **reason, const char *text)
{
	*reason = text;
	return -EINVAL;
}

static int unsupported(const char **reason, const char *text)
{
	*reason = text;
	return -EOPNOTSUPP;
}

bool qcow2_table_fits(const struct qcow2_header *header, u64 at, u64 bytes)
{
	if (at & (qcow2_cluster_bytes(header) - 1))
		return false;
	return at >= qcow2_cluster_bytes(header) && at <= MAX_OFFSET && bytes <= MAX_OFFSET - at;
}

static int check_features(const struct qcow2_header *header, const char **reason)
{
	if (header->incompat & ~QCOW2_INCOMPAT_KNOWN)
		return unsupported(reason, "it uses a feature that is not known");
	if (qcow2_has_extended_l2(header) && header->cluster_bits < QCOW2_MIN_EXTENDED_CLUSTER_BITS)
		return invalid(reason, "clusters too small for extended L2 entries");
	return 0;
}

static int check_compression(struct qcow2_header *header, u8 type, const char **reason)
{
	if (!type != !(header->incompat & QCOW2_INCOMPAT_COMPRESSION))
		return invalid(reason, "compression type and feature bit contradict each other");
	if (type > QCOW2_ZSTD)
		return unsupported(reason, "unknown compression type");
	header->compression = type;
	return 0;
}

static int parse_version_3(const u8 *start, size_t bytes, struct qcow2_header *header, const char **reason)
{
	if (bytes < V3_HEADER_BYTES)
		return invalid(reason, "the file ends in the header");
	header->incompat = qcow2_be64(start + QCOW2_AT_INCOMPAT);
	header->compat = qcow2_be64(start + 80);
	header->autoclear = qcow2_be64(start + QCOW2_AT_AUTOCLEAR);
	header->refcount_order = qcow2_be32(start + 96);
	header->bytes = qcow2_be32(start + 100);
	if (header->bytes < V3_HEADER_BYTES || header->bytes > qcow2_cluster_bytes(header))
		return invalid(reason, "header length");
	if (header->bytes > bytes)
		return invalid(reason, "the file ends in the header");
	if (header->refcount_order > 6)
		return invalid(reason, "reference counts wider than 64 bits");
	return check_compression(header, header->bytes > AT_COMPRESSION ? start[AT_COMPRESSION] : 0, reason);
}

static int check_l1(const struct qcow2_header *header, const char **reason)
{
	if (header->l1_entries > QCOW2_MAX_L1_BYTES / sizeof(u64))
		return unsupported(reason, "L1 table above 32 MiB");
	if (header->l1_entries < qcow2_l1_needed(header))
		return invalid(reason, "L1 table too small for the disk");
	if (header->l1_entries && !qcow2_table_fits(header, header->l1_at, header->l1_entries * (u64)sizeof(u64)))
		return invalid(reason, "L1 table's offset");
	return 0;
}

static int check_tables(const struct qcow2_header *header, const char **reason)
{
	u64 reftable = (u64)header->reftable_clusters << header->cluster_bits;
	int error = check_l1(header, reason);

	if (error)
		return error;
	if (!reftable)
		return invalid(reason, "no reference count table");
	if (reftable > QCOW2_MAX_REFTABLE_BYTES)
		return unsupported(reason, "reference count table above 8 MiB");
	if (!qcow2_table_fits(header, header->reftable_at, reftable))
		return invalid(reason, "reference count table's offset");
	if (header->nr_snapshots > QCOW2_MAX_SNAPSHOTS)
		return unsupported(reason, "too many snapshots");
	if (header->nr_snapshots &&
	    !qcow2_table_fits(header, header->snapshots_at, (u64)header->nr_snapshots * QCOW2_SNAPSHOT_BYTES))
		return invalid(reason, "snapshot table's offset");
	if (header->nr_snapshots && qcow2_has_data_file(header))
		return invalid(reason, "snapshots with an external data file");
	return 0;
}

/* Where the directory of bitmaps is; what is no place of a table counts as none, since bitmaps are not used. */
static void parse_bitmaps(const u8 *data, u32 bytes, struct qcow2_header *header)
{
	u64 directory = bytes >= BITMAPS_BYTES ? qcow2_be64(data + 8) : 0;

	if (directory && qcow2_table_fits(header, qcow2_be64(data + 16), directory)) {
		header->bitmaps_at = qcow2_be64(data + 16);
		header->bitmaps_bytes = directory;
	}
}

/* Extensions reach to the backing file's name, or to the first cluster's end. */
static int parse_extensions(const u8 *start, size_t bytes, struct qcow2_header *header, const char **reason)
{
	u64 end = header->backing_name.bytes ? header->backing_name.at : qcow2_cluster_bytes(header);
	u64 at = header->bytes;
	bool cut = end > bytes;

	if (cut)
		end = bytes;
	while (at < end && end - at >= 8) {
		u32 type = qcow2_be32(start + at);
		u32 length = qcow2_be32(start + at + 4);
		struct qcow2_span data = { .at = at + 8, .bytes = length };

		if (type == EXTENSION_END)
			return 0;
		if (length > end - at - 8)
			return cut ? unsupported(reason, "header extensions above 64 KiB, or behind the file's end") :
				     invalid(reason, "a header extension's length");
		switch (type) {
		case EXTENSION_BACKING_FORMAT:
			header->backing_format = data;
			break;
		case EXTENSION_DATA_FILE:
			header->data_file_name = data;
			break;
		case EXTENSION_BITMAPS:
			parse_bitmaps(start + data.at, length, header);
			break;
		case EXTENSION_ENCRYPTION:
			return unsupported(reason, "it is encrypted");
		}
		at += 8 + (((u64)length + 7) & ~7ULL);
	}
	return 0;
}

static int parse_backing_name(const u8 *start, struct qcow2_header *header, const char **reason)
{
	u64 at = qcow2_be64(start + 8);
	u32 bytes = qcow2_be32(start + 16);

	if (!at)
		return 0;
	if (!bytes || bytes > QCOW2_MAX_NAME)
		return invalid(reason, "length of the backing file's name");
	if (at < header->bytes || at > qcow2_cluster_bytes(header) || bytes > qcow2_cluster_bytes(header) - at)
		return invalid(reason, "place of the backing file's name");
	header->backing_name.at = at;
	header->backing_name.bytes = bytes;
	return 0;
}

int qcow2_parse_header(const u8 *start, size_t bytes, struct qcow2_header *header, const char **reason)
{
	int error;

	memset(header, 0, sizeof(*header));
	if (bytes < V2_HEADER_BYTES || qcow2_be32(start) != QCOW2_MAGIC)
		return invalid(reason, "not a qcow2 image");
	header->version = qcow2_be32(start + 4);
	if (header->version != 2 && header->version != 3)
		return unsupported(reason, "neither version 2 nor 3");
	header->cluster_bits = qcow2_be32(start + 20);
	if (header->cluster_bits < QCOW2_MIN_CLUSTER_BITS || header->cluster_bits > QCOW2_MAX_CLUSTER_BITS)
		return invalid(reason, "cluster size");
	header->size = qcow2_be64(start + QCOW2_AT_SIZE);
	if (header->size > MAX_OFFSET - (1ULL << QCOW2_MAX_CLUSTER_BITS))
		return invalid(reason, "size of the disk");
	if (qcow2_be32(start + 32))
		return unsupported(reason, "it is encrypted");
	header->l1_entries = qcow2_be32(start + QCOW2_AT_L1_SIZE);
	header->l1_at = qcow2_be64(start + QCOW2_AT_L1);
	header->reftable_at = qcow2_be64(start + QCOW2_AT_REFTABLE);
	header->reftable_clusters = qcow2_be32(start + 56);
	header->nr_snapshots = qcow2_be32(start + 60);
	header->snapshots_at = qcow2_be64(start + 64);
	header->bytes = V2_HEADER_BYTES;
	header->refcount_order = 4;

	error = header->version == 3 ? parse_version_3(start, bytes, header, reason) : 0;
	if (!error)
		error = check_features(header, reason);
	if (!error)
		error = check_tables(header, reason);
	if (!error)
		error = parse_backing_name(start, header, reason);
	if (!error)
		error = parse_extensions(start, bytes, header, reason);
	return error;
}
