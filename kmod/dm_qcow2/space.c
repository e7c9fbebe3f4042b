// SPDX-License-Identifier: GPL-2.0-only
/* The file's space: what of it tables are known to be in, and what is asked of the file system and given back. */
#include <linux/falloc.h>
#include <linux/fs.h>

#include "format/refcount.h"
#include "space.h"

/* Space is asked of the file system in pieces of that size: a write that extends a file waits for all others. */
#define QCOW2_SPACE_BYTES (16ULL << 20)

static bool overlaps(u64 at, u64 bytes, u64 other, u64 other_bytes)
{
	return at < other + other_bytes && other < at + bytes;
}

bool qcow2_place_is_table(const struct qcow2_writer *writer, u64 at, u64 bytes)
{
	const struct qcow2_header *header = qcow2_header_of(writer);
	u64 cluster = qcow2_cluster_bytes(header);

	return at < cluster || overlaps(at, bytes, header->l1_at, (u64)header->l1_entries * sizeof(u64)) ||
	       overlaps(at, bytes, header->reftable_at, (u64)header->reftable_clusters << header->cluster_bits) ||
	       (header->nr_snapshots && overlaps(at, bytes, header->snapshots_at, cluster));
}

/* Whether one of the tables that these entries lead to is in an extent of the file. */
static bool leads_into(const u64 *entries, u32 nr, u64 mask, u64 at, u64 bytes)
{
	u32 i;

	for (i = 0; i < nr; i++) {
		u64 table = READ_ONCE(entries[i]) & mask;

		if (table && table - at < bytes)
			return true;
	}
	return false;
}

bool qcow2_place_is_in_use(const struct qcow2_writer *writer, u64 at, u64 bytes)
{
	if (at >= writer->fresh)
		return false;
	return qcow2_place_is_table(writer, at, bytes) ||
	       leads_into(writer->top->l1, writer->top->l1_entries, QCOW2_OFFSET_MASK, at, bytes) ||
	       leads_into(writer->reftable, writer->reftable_entries, QCOW2_REFTABLE_OFFSET_MASK, at, bytes);
}

int qcow2_space_ensure(struct qcow2_writer *writer, u64 end)
{
	u64 bytes;
	int error;

	if (writer->no_fallocate || end <= writer->space)
		return 0;
	bytes = max(end - writer->space, QCOW2_SPACE_BYTES);
	error = vfs_fallocate(writer->top->file.file, 0, writer->space, bytes);
	if (error == -ENOSPC || error == -EDQUOT || error == -EFBIG) {
		bytes = end - writer->space;
		error = vfs_fallocate(writer->top->file.file, 0, writer->space, bytes);
	}
	if (error == -EOPNOTSUPP) {
		writer->no_fallocate = true;
		return 0;
	}
	if (!error)
		writer->space += bytes;
	return error;
}

void qcow2_space_punch(struct qcow2_writer *writer, u64 at, u64 bytes)
{
	if (bytes && !writer->no_fallocate && at + bytes <= writer->space)
		vfs_fallocate(writer->top->file.file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, bytes);
}

void qcow2_space_trim(struct qcow2_writer *writer)
{
	if (writer->no_fallocate || writer->failed || writer->space <= writer->fresh)
		return;
	if (!vfs_truncate(&writer->top->file.file->f_path, writer->fresh))
		writer->space = writer->fresh;
}
