// SPDX-License-Identifier: GPL-2.0-only
/* The refcount table and its blocks. A block and a larger table are durable before they are used. */
#include <linux/fs.h>
#include <linux/slab.h>

#include "format/refcount.h"
#include "overlap.h"
#include "space.h"

int qcow2_reftable_load(struct qcow2_writer *writer, const char **reason)
{
	const struct qcow2_header *header = qcow2_header_of(writer);
	u32 entries = ((u64)header->reftable_clusters << header->cluster_bits) / sizeof(u64);
	struct qcow2_buffer *buffer = &writer->copy;
	u64 at = header->reftable_at;
	u32 i = 0;

	kvfree(writer->reftable);
	writer->reftable_entries = entries;
	writer->reftable = kvcalloc(entries, sizeof(u64), GFP_KERNEL);
	*reason = "no memory";
	if (!writer->reftable)
		return -ENOMEM;
	*reason = "the reference count table can not be read";
	while (i < entries) {
		u32 bytes = min_t(u64, buffer->bytes, (u64)(entries - i) * sizeof(u64));
		long ret = qcow2_file_read(&writer->top->file, buffer->vecs, bytes, at);
		u32 j;

		if (ret <= 0)
			return ret ? ret : -EINVAL;
		for (j = 0; j < bytes; j += sizeof(u64))
			writer->reftable[i++] = qcow2_be64(buffer->data + j);
		at += bytes;
	}
	writer->hint = 0;
	writer->fresh = round_up(qcow2_file_size(&writer->top->file), qcow2_cluster_bytes(header));
	writer->space = qcow2_file_size(&writer->top->file);
	writer->no_fallocate = !writer->top->file.file->f_op->fallocate;
	return 0;
}

bool qcow2_reftable_has_block(const struct qcow2_writer *writer, u64 cluster)
{
	u64 block = cluster >> qcow2_refblock_bits(qcow2_header_of(writer));

	return block < writer->reftable_entries && writer->reftable[block] & QCOW2_REFTABLE_OFFSET_MASK;
}

/* Writes the part of the table that has an entry, from memory. */
static int write_reftable_part(struct qcow2_writer *writer, struct qcow2_buffer *buffer, u32 entry)
{
	u32 per_part = writer->top->slice_bytes / sizeof(u64);
	u32 first = round_down(entry, per_part);
	u32 i;

	for (i = 0; i < per_part; i++)
		qcow2_put_be64(buffer->data + i * sizeof(u64), writer->reftable[first + i]);
	return qcow2_file_write(&writer->top->file, buffer->vecs, writer->top->slice_bytes,
				qcow2_header_of(writer)->reftable_at + (u64)first * sizeof(u64));
}

/* Writes a block in which the first clusters of what it counts are in use. */
static int write_block(struct qcow2_writer *writer, struct qcow2_buffer *buffer, u64 at, u32 used)
{
	u32 order = qcow2_header_of(writer)->refcount_order;
	u64 left = qcow2_cluster_bytes(qcow2_header_of(writer));
	u32 per_buffer = (QCOW2_BUFFER_BYTES * 8) >> order;

	qcow2_cache_forget(&writer->target->cache, &writer->top->file, at, left, writer->top->slice_bytes);
	while (left) {
		u32 bytes = min_t(u64, left, QCOW2_BUFFER_BYTES);
		u32 part = min(used, per_buffer);
		u32 i;
		int error;

		memset(buffer->data, 0, bytes);
		for (i = 0; i < part; i++)
			qcow2_refcount_set(buffer->data, i, order, 1);
		error = qcow2_file_write(&writer->top->file, buffer->vecs, bytes, at);
		if (error)
			return error;
		used -= part;
		at += bytes;
		left -= bytes;
	}
	return 0;
}

/* A new block, which is the first of the clusters that it counts. */
static int add_block(struct qcow2_writer *writer, struct qcow2_buffer *buffer, u32 index)
{
	u64 at = ((u64)index << qcow2_refblock_bits(qcow2_header_of(writer))) << qcow2_cluster_bits_of(writer);
	int error;

	if (!at)
		return qcow2_writer_corrupt(writer, "the header has no refcount");
	if (qcow2_place_is_in_use(writer, at, qcow2_cluster_bytes(qcow2_header_of(writer))))
		return qcow2_writer_corrupt(writer, "a table has no refcount");
	error = qcow2_space_ensure(writer, at + qcow2_cluster_bytes(qcow2_header_of(writer)));
	if (error)
		return error;
	error = write_block(writer, buffer, at, 1);
	if (!error)
		error = vfs_fsync(writer->top->file.file, 1);
	if (!error) {
		qcow2_overlap_note(writer, at);
		writer->reftable[index] = at;
		error = write_reftable_part(writer, buffer, index);
	}
	if (error) {
		qcow2_writer_fail(writer, "a refcount block can not be added", error);
		return error;
	}
	writer->fresh = max(writer->fresh, at + qcow2_cluster_bytes(qcow2_header_of(writer)));
	return 0;
}

/* Where a larger table and the blocks that count it go: behind all that the old one covers. */
struct growth {
	u64 *table;
	u32 entries;
	u32 clusters;
	u32 blocks;
	u64 at;
};

static int plan_growth(struct qcow2_writer *writer, struct growth *growth)
{
	u32 per_cluster = qcow2_cluster_bytes(qcow2_header_of(writer)) / sizeof(u64);
	u32 old = writer->reftable_entries;

	growth->blocks = 1;
	for (;;) {
		growth->entries = round_up(old + old / 2 + growth->blocks, per_cluster);
		growth->clusters = growth->entries / per_cluster;
		if (growth->clusters + growth->blocks <= growth->blocks * qcow2_counts_in_block(writer))
			break;
		growth->blocks++;
	}
	if ((u64)growth->entries * sizeof(u64) > QCOW2_MAX_REFTABLE_BYTES)
		return -EFBIG;
	growth->at = ((u64)old << qcow2_refblock_bits(qcow2_header_of(writer))) << qcow2_cluster_bits_of(writer);
	growth->table = kvcalloc(growth->entries, sizeof(u64), GFP_KERNEL);
	return growth->table ? 0 : -ENOMEM;
}

static int write_growth(struct qcow2_writer *writer, struct qcow2_buffer *buffer, const struct growth *growth)
{
	u64 table_at = growth->at + ((u64)growth->blocks << qcow2_cluster_bits_of(writer));
	u32 used = growth->clusters + growth->blocks;
	u32 i, j;
	int error;

	for (i = 0; i < growth->blocks; i++) {
		u64 at = growth->at + ((u64)i << qcow2_cluster_bits_of(writer));
		u32 part = min_t(u64, used, qcow2_counts_in_block(writer));

		growth->table[writer->reftable_entries + i] = at;
		qcow2_overlap_note(writer, at);
		error = write_block(writer, buffer, at, part);
		if (error)
			return error;
		used -= part;
	}
	for (i = 0; i < growth->entries; i += j) {
		u32 part = min_t(u32, growth->entries - i, QCOW2_BUFFER_BYTES / sizeof(u64));

		for (j = 0; j < part; j++)
			qcow2_put_be64(buffer->data + j * sizeof(u64), growth->table[i + j]);
		error = qcow2_file_write(&writer->top->file, buffer->vecs, part * sizeof(u64),
					 table_at + (u64)i * sizeof(u64));
		if (error)
			return error;
	}
	return vfs_fsync(writer->top->file.file, 1);
}

/* The header names the new table: both numbers lie in one sector. */
static int switch_table(struct qcow2_writer *writer, struct qcow2_buffer *buffer, const struct growth *growth)
{
	u32 bytes = max_t(u32, writer->top->file.block, SECTOR_SIZE);
	long ret = qcow2_file_read(&writer->top->file, buffer->vecs, bytes, 0);

	if (ret < (long)bytes)
		return ret < 0 ? ret : -EIO;
	qcow2_put_be64(buffer->data + QCOW2_AT_REFTABLE, growth->at + ((u64)growth->blocks << qcow2_cluster_bits_of(writer)));
	qcow2_put_be32(buffer->data + QCOW2_AT_REFTABLE + 8, growth->clusters);
	ret = qcow2_file_write(&writer->top->file, buffer->vecs, bytes, 0);
	return ret ? ret : vfs_fsync(writer->top->file.file, 1);
}

static int grow_table(struct qcow2_writer *writer, struct qcow2_buffer *buffer)
{
	struct qcow2_header *header = &writer->top->header;
	u64 old_at = header->reftable_at, old_bytes = (u64)header->reftable_clusters << header->cluster_bits;
	struct growth growth;
	u64 end;
	int error = plan_growth(writer, &growth);

	if (error)
		return error;
	end = growth.at + ((u64)(growth.blocks + growth.clusters) << qcow2_cluster_bits_of(writer));
	if (qcow2_place_is_in_use(writer, growth.at, end - growth.at)) {
		kvfree(growth.table);
		return qcow2_writer_corrupt(writer, "a table has no refcount");
	}
	error = qcow2_space_ensure(writer, end);
	if (error) {
		kvfree(growth.table);
		return error;
	}
	memcpy(growth.table, writer->reftable, writer->reftable_entries * sizeof(u64));
	error = write_growth(writer, buffer, &growth);
	if (!error)
		error = switch_table(writer, buffer, &growth);
	if (error) {
		kvfree(growth.table);
		qcow2_writer_fail(writer, "the refcount table can not grow", error);
		return error;
	}
	kvfree(writer->reftable);
	writer->reftable = growth.table;
	writer->reftable_entries = growth.entries;
	WRITE_ONCE(header->reftable_at, growth.at + ((u64)growth.blocks << qcow2_cluster_bits_of(writer)));
	WRITE_ONCE(header->reftable_clusters, growth.clusters);
	writer->fresh = max(writer->fresh, end);
	qcow2_commit_free(writer, old_at, old_bytes);
	return 0;
}

int qcow2_reftable_make_block(struct qcow2_writer *writer, u64 cluster)
{
	u64 index = cluster >> qcow2_refblock_bits(qcow2_header_of(writer));
	struct qcow2_spare_buffer *spare = qcow2_buffer_get(writer);
	int error;

	error = index < writer->reftable_entries ? add_block(writer, &spare->buffer, index) :
						   grow_table(writer, &spare->buffer);
	qcow2_buffer_put(writer, spare);
	return error;
}
