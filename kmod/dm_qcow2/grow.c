// SPDX-License-Identifier: GPL-2.0-only
/* A larger disk: its L1 table moves when it has to have more entries. The device gets larger by its next table. */
#include <linux/fs.h>

#include "overlap.h"
#include "space.h"

/* A number of bytes above which no disk can be: a file's size is signed, and a cluster is added to it. */
#define QCOW2_MAX_DISK (S64_MAX - (1ULL << QCOW2_MAX_CLUSTER_BITS))

static u64 l1_bytes(const struct qcow2_header *header, u32 entries)
{
	return round_up((u64)entries * sizeof(u64), qcow2_cluster_bytes(header));
}

int qcow2_grow_check(const struct qcow2_writer *writer, u64 size, const char **reason)
{
	const struct qcow2_target *target = writer->target;
	const struct qcow2_header *header = &writer->top->header;

	*reason = "not larger than the disk is";
	if (size <= header->size)
		return -EINVAL;
	*reason = "more than a disk can have";
	if (size > QCOW2_MAX_DISK)
		return -EFBIG;
	/* What lies below would be seen where the disk was at its end. */
	*reason = "its backing file is larger";
	if (target->nr_images > 1 && target->images[1].size > header->size)
		return -EOPNOTSUPP;
	*reason = "snapshots of version 2 do not tell of which size their disk was";
	if (header->nr_snapshots && header->version < 3)
		return -EOPNOTSUPP;
	*reason = "its raw data file is larger than the disk";
	if (qcow2_has_raw_data_file(header) && qcow2_file_size(writer->data) > header->size)
		return -EOPNOTSUPP;
	return 0;
}

/* Writes the L1 table as it is in memory, with empty entries behind. */
static int write_l1(struct qcow2_writer *writer, u64 at, u64 bytes)
{
	struct qcow2_spare_buffer *spare = qcow2_buffer_get(writer);
	u32 index = 0, i;
	int error = 0;

	while (bytes && !error) {
		u32 part = min_t(u64, bytes, spare->buffer.bytes);

		for (i = 0; i < part; i += sizeof(u64), index++)
			qcow2_put_be64(spare->buffer.data + i,
				       index < writer->top->l1_entries ? writer->top->l1[index] : 0);
		error = qcow2_file_write(&writer->top->file, spare->buffer.vecs, part, at);
		at += part;
		bytes -= part;
	}
	qcow2_buffer_put(writer, spare);
	return error;
}

/* Size of the disk, and where its L1 table is and how long: all in one sector. */
static int write_header(struct qcow2_writer *writer, u64 size, u64 l1_at, u32 entries)
{
	u32 bytes = max_t(u32, writer->top->file.block, SECTOR_SIZE);
	struct qcow2_buffer *buffer = &writer->copy;
	long ret = qcow2_file_read(&writer->top->file, buffer->vecs, bytes, 0);

	if (ret < (long)bytes)
		return ret < 0 ? ret : -EIO;
	qcow2_put_be64(buffer->data + QCOW2_AT_SIZE, size);
	qcow2_put_be32(buffer->data + QCOW2_AT_L1_SIZE, entries);
	qcow2_put_be64(buffer->data + QCOW2_AT_L1, l1_at);
	ret = qcow2_file_write(&writer->top->file, buffer->vecs, bytes, 0);
	return ret ? ret : vfs_fsync(writer->top->file.file, 1);
}

/* All that the table in memory leads to is durable before the header names the new one. l1_lock held. */
static int switch_to(struct qcow2_writer *writer, u64 size, u64 l1_at, u32 entries)
{
	struct qcow2_header *header = &writer->top->header;
	int error = 0;

	if (l1_at != header->l1_at) {
		qcow2_cache_forget(&writer->target->cache, &writer->top->file, l1_at, l1_bytes(header, entries),
				   writer->top->slice_bytes);
		error = write_l1(writer, l1_at, l1_bytes(header, entries));
		if (!error)
			error = qcow2_commit_counts(writer);
	}
	if (!error)
		error = write_header(writer, size, l1_at, entries);
	if (error) {
		qcow2_writer_fail(writer, "the L1 table can not grow", error);
		return error;
	}
	header->size = size;
	WRITE_ONCE(header->l1_at, l1_at);
	WRITE_ONCE(header->l1_entries, entries);
	return 0;
}

static int grow(struct qcow2_writer *writer, u64 size)
{
	const struct qcow2_header *header = &writer->top->header;
	u64 old_at = header->l1_at, old_bytes = l1_bytes(header, header->l1_entries), at = old_at;
	struct qcow2_header larger = *header;
	u32 entries = header->l1_entries;
	int error = 0;

	larger.size = size;
	if (qcow2_l1_needed(&larger) > QCOW2_MAX_L1_BYTES / sizeof(u64))
		return -EFBIG;
	if (qcow2_l1_needed(&larger) > entries) {
		entries = qcow2_l1_needed(&larger);
		error = qcow2_refs_alloc_run(writer, l1_bytes(header, entries) >> header->cluster_bits, &at);
	}
	if (!error && qcow2_has_raw_data_file(header))
		error = vfs_truncate(&writer->data->file->f_path, size);
	if (!error)
		error = switch_to(writer, size, at, entries);
	if (!error && at != old_at && old_bytes)
		qcow2_commit_free(writer, old_at, old_bytes);
	return error;
}

int qcow2_grow(struct qcow2_writer *writer, u64 size)
{
	int error;

	mutex_lock(&writer->l1_lock);
	error = grow(writer, size);
	mutex_unlock(&writer->l1_lock);
	return error;
}
