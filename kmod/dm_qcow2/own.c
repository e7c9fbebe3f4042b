// SPDX-License-Identifier: GPL-2.0-only
/* The times at which an image is ours to be written. */
#include "overlap.h"

/* Guards writers. */
static DEFINE_MUTEX(writers_lock);
/* Those whose image is ours alone. */
static LIST_HEAD(writers);

static bool share_file(const struct qcow2_writer *a, const struct qcow2_writer *b)
{
	return qcow2_file_same(&a->top->file, &b->top->file) || qcow2_file_same(a->data, b->data) ||
	       qcow2_file_same(&a->top->file, b->data) || qcow2_file_same(a->data, &b->top->file);
}

int qcow2_writer_own(struct qcow2_writer *writer)
{
	const struct qcow2_writer *other;
	int error = 0;

	mutex_lock(&writers_lock);
	list_for_each_entry(other, &writers, in_writers)
		if (share_file(other, writer))
			error = -EBUSY;
	if (!error)
		list_add(&writer->in_writers, &writers);
	mutex_unlock(&writers_lock);
	return error;
}

void qcow2_writer_disown(struct qcow2_writer *writer)
{
	mutex_lock(&writers_lock);
	list_del_init(&writer->in_writers);
	mutex_unlock(&writers_lock);
}

/* As the specification asks of who writes an image without keeping what such a bit stands for. */
static int clear_autoclear(struct qcow2_writer *writer)
{
	u64 kept = writer->top->header.autoclear & QCOW2_AUTOCLEAR_RAW_DATA;
	u32 bytes = max_t(u32, writer->top->file.block, SECTOR_SIZE);
	struct qcow2_buffer *buffer = &writer->copy;
	long ret;

	if (kept == writer->top->header.autoclear)
		return 0;
	ret = qcow2_file_read(&writer->top->file, buffer->vecs, bytes, 0);
	if (ret < (long)bytes)
		return ret < 0 ? ret : -EIO;
	qcow2_put_be64(buffer->data + QCOW2_AT_AUTOCLEAR, kept);
	ret = qcow2_file_write(&writer->top->file, buffer->vecs, bytes, 0);
	return ret ? ret : vfs_fsync(writer->top->file.file, 1);
}

int qcow2_writer_start(struct qcow2_writer *writer, const char **reason)
{
	int error = qcow2_reftable_load(writer, reason);

	if (error)
		return error;
	bitmap_free(writer->l1_dirty);
	writer->l1_parts = DIV_ROUND_UP_ULL((u64)writer->top->l1_entries * sizeof(u64), writer->top->slice_bytes);
	writer->l1_dirty = bitmap_zalloc(max(writer->l1_parts, 1U), GFP_KERNEL);
	*reason = "no memory";
	if (!writer->l1_dirty)
		return -ENOMEM;
	error = qcow2_overlap_load(writer, reason);
	if (error)
		return error;
	*reason = "the header can not be written";
	return clear_autoclear(writer);
}

void qcow2_writer_stop(struct qcow2_writer *writer)
{
	if (!qcow2_commit_all(writer))
		qcow2_space_trim(writer);
	/* The corrupt bit of one that failed. */
	flush_delayed_work(&writer->commit);
	cancel_delayed_work_sync(&writer->commit);
}
