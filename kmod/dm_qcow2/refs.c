// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reference counts and the space of the file. A count goes up in memory before anything refers to its cluster, and is
 * written before that is; it goes down after nothing durable refers to it any more. A refcount block and a larger
 * refcount table are durable before they are used.
 */
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/slab.h>

#include "format/refcount.h"
#include "writer.h"

/* Space is asked of the file system in pieces of that size: a write that extends a file waits for all others. */
#define QCOW2_SPACE_BYTES (16ULL << 20)

static const struct qcow2_header *header_of(const struct qcow2_writer *writer)
{
	return &writer->top->header;
}

static u32 bits_of(const struct qcow2_writer *writer)
{
	return writer->top->header.cluster_bits;
}

static u64 counts_in_block(const struct qcow2_writer *writer)
{
	return 1ULL << qcow2_refblock_bits(header_of(writer));
}

/* Counts that a slice of a block has. */
static u32 counts_in_slice(const struct qcow2_writer *writer)
{
	return (writer->top->slice_bytes * 8) >> header_of(writer)->refcount_order;
}

int qcow2_refs_load(struct qcow2_writer *writer, const char **reason)
{
	const struct qcow2_header *header = header_of(writer);
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

static bool overlaps(u64 at, u64 bytes, u64 other, u64 other_bytes)
{
	return at < other + other_bytes && other < at + bytes;
}

bool qcow2_place_is_table(const struct qcow2_writer *writer, u64 at, u64 bytes)
{
	const struct qcow2_header *header = header_of(writer);
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

/*
 * Whether clusters that count as free are in use by what is known: such an image would be damaged by writing. Space that the
 * file did not have when it was opened needs no look.
 */
static bool is_in_use(const struct qcow2_writer *writer, u64 at, u64 bytes)
{
	if (at >= writer->fresh)
		return false;
	return qcow2_place_is_table(writer, at, bytes) ||
	       leads_into(writer->top->l1, writer->top->l1_entries, QCOW2_OFFSET_MASK, at, bytes) ||
	       leads_into(writer->reftable, writer->reftable_entries, QCOW2_REFTABLE_OFFSET_MASK, at, bytes);
}

/* Makes sure that the file has space up to an offset. Nothing was promised yet when there is none. */
static int ensure_space(struct qcow2_writer *writer, u64 end)
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

/* The slice with a cluster's count. Its block exists. */
static int get_counts(struct qcow2_writer *writer, u64 cluster, struct qcow2_slice **slice)
{
	u64 block = writer->reftable[cluster >> qcow2_refblock_bits(header_of(writer))] & QCOW2_REFTABLE_OFFSET_MASK;
	u64 index = cluster & (counts_in_block(writer) - 1);
	u64 part = div_u64(index, counts_in_slice(writer)) * writer->top->slice_bytes;
	int error;

	/* No offset in a file has more than 56 bits, and none that is signed has 64. */
	if (block & (qcow2_cluster_bytes(header_of(writer)) - 1) || block >> 56)
		return qcow2_writer_corrupt(writer, "offset of a refcount block");
	error = qcow2_cache_get(&writer->target->cache, &writer->top->file, block + part, writer->top->slice_bytes, true,
				slice);
	if (error)
		qcow2_writer_fail(writer, "a refcount block can not be read", error);
	return error;
}

static bool has_block(const struct qcow2_writer *writer, u64 cluster)
{
	u64 block = cluster >> qcow2_refblock_bits(header_of(writer));

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
				header_of(writer)->reftable_at + (u64)first * sizeof(u64));
}

/* Writes a block in which the first clusters of what it counts are in use. */
static int write_block(struct qcow2_writer *writer, struct qcow2_buffer *buffer, u64 at, u32 used)
{
	u32 order = header_of(writer)->refcount_order;
	u64 left = qcow2_cluster_bytes(header_of(writer));
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
	u64 at = ((u64)index << qcow2_refblock_bits(header_of(writer))) << bits_of(writer);
	int error;

	if (!at)
		return qcow2_writer_corrupt(writer, "the header has no refcount");
	if (is_in_use(writer, at, qcow2_cluster_bytes(header_of(writer))))
		return qcow2_writer_corrupt(writer, "a table has no refcount");
	error = ensure_space(writer, at + qcow2_cluster_bytes(header_of(writer)));
	if (error)
		return error;
	error = write_block(writer, buffer, at, 1);
	if (!error)
		error = vfs_fsync(writer->top->file.file, 1);
	if (!error) {
		writer->reftable[index] = at;
		error = write_reftable_part(writer, buffer, index);
	}
	if (error) {
		qcow2_writer_fail(writer, "a refcount block can not be added", error);
		return error;
	}
	writer->fresh = max(writer->fresh, at + qcow2_cluster_bytes(header_of(writer)));
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
	u32 per_cluster = qcow2_cluster_bytes(header_of(writer)) / sizeof(u64);
	u32 old = writer->reftable_entries;

	growth->blocks = 1;
	for (;;) {
		growth->entries = round_up(old + old / 2 + growth->blocks, per_cluster);
		growth->clusters = growth->entries / per_cluster;
		if (growth->clusters + growth->blocks <= growth->blocks * counts_in_block(writer))
			break;
		growth->blocks++;
	}
	if ((u64)growth->entries * sizeof(u64) > QCOW2_MAX_REFTABLE_BYTES)
		return -EFBIG;
	growth->at = ((u64)old << qcow2_refblock_bits(header_of(writer))) << bits_of(writer);
	growth->table = kvcalloc(growth->entries, sizeof(u64), GFP_KERNEL);
	return growth->table ? 0 : -ENOMEM;
}

static int write_growth(struct qcow2_writer *writer, struct qcow2_buffer *buffer, const struct growth *growth)
{
	u64 table_at = growth->at + ((u64)growth->blocks << bits_of(writer));
	u32 used = growth->clusters + growth->blocks;
	u32 i, j, error;

	for (i = 0; i < growth->blocks; i++) {
		u64 at = growth->at + ((u64)i << bits_of(writer));
		u32 part = min_t(u64, used, counts_in_block(writer));

		growth->table[writer->reftable_entries + i] = at;
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
	qcow2_put_be64(buffer->data + QCOW2_AT_REFTABLE, growth->at + ((u64)growth->blocks << bits_of(writer)));
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
	end = growth.at + ((u64)(growth.blocks + growth.clusters) << bits_of(writer));
	if (is_in_use(writer, growth.at, end - growth.at)) {
		kvfree(growth.table);
		return qcow2_writer_corrupt(writer, "a table has no refcount");
	}
	error = ensure_space(writer, end);
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
	header->reftable_at = growth.at + ((u64)growth.blocks << bits_of(writer));
	header->reftable_clusters = growth.clusters;
	writer->fresh = max(writer->fresh, end);
	qcow2_commit_free(writer, old_at, old_bytes);
	return 0;
}

/* Makes the block for a cluster behind all that have one. */
static int make_block(struct qcow2_writer *writer, u64 cluster)
{
	u64 index = cluster >> qcow2_refblock_bits(header_of(writer));
	struct qcow2_spare_buffer *spare = qcow2_buffer_get(writer);
	int error;

	error = index < writer->reftable_entries ? add_block(writer, &spare->buffer, index) :
						   grow_table(writer, &spare->buffer);
	qcow2_buffer_put(writer, spare);
	return error;
}

/* Free clusters from the hint on, within a slice. Return: how many, 0: none there; or a negative errno. */
static int find_in_slice(struct qcow2_writer *writer, u32 wanted, u64 *first, struct qcow2_slice **found)
{
	u32 order = header_of(writer)->refcount_order;
	u32 per_slice = counts_in_slice(writer);
	u32 from = writer->hint & (per_slice - 1);
	u32 nr = 0, i;
	int error = get_counts(writer, writer->hint, found);

	if (error)
		return error;
	/* Counts change under refs_lock only. */
	for (i = from; i < per_slice && nr < wanted; i++) {
		if (qcow2_refcount_get((*found)->data, i, order)) {
			if (nr)
				break;
			continue;
		}
		if (!nr++)
			*first = writer->hint - from + i;
	}
	if (!nr)
		qcow2_cache_put(&writer->target->cache, *found);
	return nr;
}

static void take_counts(struct qcow2_writer *writer, struct qcow2_slice *slice, u64 first, u32 nr)
{
	u32 order = header_of(writer)->refcount_order;
	u32 from = first & (counts_in_slice(writer) - 1);
	u32 i;

	spin_lock(&slice->lock);
	for (i = 0; i < nr; i++)
		qcow2_refcount_set(slice->data, from + i, order, 1);
	spin_unlock(&slice->lock);
	qcow2_cache_changed(&writer->target->cache, slice, QCOW2_REFCOUNTS);
}

static int alloc(struct qcow2_writer *writer, u32 wanted, u64 *at, u32 *got, bool *fresh)
{
	u32 bits = bits_of(writer);
	struct qcow2_slice *slice;
	u64 first = 0, end;
	int nr, error;

	for (;;) {
		if (writer->hint >= 1ULL << (56 - bits))
			return -EFBIG;
		if (!has_block(writer, writer->hint)) {
			error = make_block(writer, writer->hint);
			if (error)
				return error;
			continue;
		}
		nr = find_in_slice(writer, wanted, &first, &slice);
		if (nr)
			break;
		writer->hint = round_down(writer->hint, counts_in_slice(writer)) + counts_in_slice(writer);
		cond_resched();
	}
	if (nr < 0)
		return nr;
	end = (first + nr) << bits;
	if (is_in_use(writer, first << bits, (u64)nr << bits))
		error = qcow2_writer_corrupt(writer, "the refcount of a table is 0");
	else
		error = ensure_space(writer, end);
	if (!error)
		take_counts(writer, slice, first, nr);
	qcow2_cache_put(&writer->target->cache, slice);
	if (error)
		return error;
	*at = first << bits;
	*got = nr;
	*fresh = *at >= writer->fresh;
	writer->fresh = max(writer->fresh, end);
	writer->hint = first + nr;
	atomic64_add(nr, &writer->allocated);
	return 0;
}

int qcow2_refs_alloc(struct qcow2_writer *writer, u32 wanted, u64 *at, u32 *got, bool *fresh)
{
	int error;

	mutex_lock(&writer->refs_lock);
	error = READ_ONCE(writer->failed) ? -EIO : alloc(writer, wanted, at, got, fresh);
	mutex_unlock(&writer->refs_lock);
	return error;
}

static int drop_one(struct qcow2_writer *writer, u64 cluster, bool *is_free)
{
	u32 order = header_of(writer)->refcount_order;
	u32 index = cluster & (counts_in_slice(writer) - 1);
	struct qcow2_slice *slice;
	u64 count;
	int error;

	*is_free = false;
	if (!has_block(writer, cluster))
		return qcow2_writer_corrupt(writer, "a cluster in use has no refcount");
	error = get_counts(writer, cluster, &slice);
	if (error)
		return error;
	spin_lock(&slice->lock);
	count = qcow2_refcount_get(slice->data, index, order);
	if (count)
		qcow2_refcount_set(slice->data, index, order, count - 1);
	spin_unlock(&slice->lock);
	if (count)
		qcow2_cache_changed(&writer->target->cache, slice, QCOW2_REFCOUNTS);
	qcow2_cache_put(&writer->target->cache, slice);
	if (!count)
		return qcow2_writer_corrupt(writer, "the refcount of a cluster in use is 0");
	*is_free = count == 1;
	return 0;
}

/* Gives a free cluster's space back; where that can not be, it stays the file's. */
static void punch(struct qcow2_writer *writer, u64 at, u64 bytes)
{
	if (bytes && !writer->no_fallocate && at + bytes <= writer->space)
		vfs_fallocate(writer->top->file.file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, bytes);
}

int qcow2_refs_drop(struct qcow2_writer *writer, u64 at, u64 bytes)
{
	u32 bits = bits_of(writer);
	u64 cluster = at >> bits, last = (at + bytes - 1) >> bits;
	u64 free_at = 0, free_bytes = 0;
	int error = 0;

	mutex_lock(&writer->refs_lock);
	for (; cluster <= last && !error; cluster++) {
		bool is_free;

		error = drop_one(writer, cluster, &is_free);
		if (error || !is_free)
			continue;
		atomic64_inc(&writer->freed);
		writer->hint = min(writer->hint, cluster);
		if (free_bytes && free_at + free_bytes == cluster << bits) {
			free_bytes += 1ULL << bits;
			continue;
		}
		punch(writer, free_at, free_bytes);
		free_at = cluster << bits;
		free_bytes = 1ULL << bits;
	}
	/* Before somebody else may get them: the lock is still held. */
	punch(writer, free_at, free_bytes);
	mutex_unlock(&writer->refs_lock);
	return error;
}

void qcow2_refs_trim(struct qcow2_writer *writer)
{
	if (writer->no_fallocate || writer->failed || writer->space <= writer->fresh)
		return;
	if (!vfs_truncate(&writer->top->file.file->f_path, writer->fresh))
		writer->space = writer->fresh;
}
