// SPDX-License-Identifier: GPL-2.0-only
/* L2 tables that are changed: each is the active tree's own, made or copied when it is not. */
#include "overlap.h"

static int copy_table(struct qcow2_writer *writer, struct qcow2_buffer *buffer, u64 from, u64 to)
{
	u64 left = qcow2_cluster_bytes(&writer->top->header);

	while (left) {
		u32 bytes = min_t(u64, left, buffer->bytes);
		long ret = 0;
		int error;

		if (from)
			ret = qcow2_file_read(&writer->top->file, buffer->vecs, bytes, from);
		else
			memset(buffer->data, 0, bytes);
		if (ret < 0)
			return ret;
		error = qcow2_file_write(&writer->top->file, buffer->vecs, bytes, to);
		if (error)
			return error;
		from += from ? bytes : 0;
		to += bytes;
		left -= bytes;
	}
	return 0;
}

static void set_l1(struct qcow2_writer *writer, u32 index, u64 entry)
{
	WRITE_ONCE(writer->top->l1[index], entry);
	__set_bit(index / (writer->top->slice_bytes / sizeof(u64)), writer->l1_dirty);
}

/*
 * Makes a table, empty or as the one it takes the place of. That one is shared with a snapshot and thus never changed:
 * the file has its content. Return: 0 or a negative errno.
 */
static int make_table(struct qcow2_writer *writer, u32 index, u64 old)
{
	u64 bytes = qcow2_cluster_bytes(&writer->top->header);
	struct qcow2_spare_buffer *spare;
	bool fresh;
	u64 at;
	u32 got;
	int error = qcow2_refs_alloc(writer, 1, &at, &got, &fresh);

	if (error)
		return error;
	qcow2_cache_forget(&writer->target->cache, &writer->top->file, at, bytes, writer->top->slice_bytes);
	/* Not even a fresh one is left as it is: a hole at the end of the file could be no table. */
	spare = qcow2_buffer_get(writer);
	error = copy_table(writer, &spare->buffer, old, at);
	qcow2_buffer_put(writer, spare);
	if (error)
		return error;
	qcow2_overlap_note(writer, at);
	set_l1(writer, index, at | QCOW2_COPIED);
	if (old)
		qcow2_commit_free(writer, old, bytes);
	return 0;
}

static int table_of(struct qcow2_writer *writer, u64 at, u64 *table)
{
	const struct qcow2_header *header = &writer->top->header;
	u32 index = at >> (header->cluster_bits + qcow2_l2_bits(header));
	int error;

	mutex_lock(&writer->l1_lock);
	error = qcow2_decode_l1(header, writer->top->l1[index], table);
	if (error)
		error = qcow2_writer_corrupt(writer, "offset of an L2 table");
	else if (!*table || !(writer->top->l1[index] & QCOW2_COPIED))
		error = make_table(writer, index, *table);
	*table = writer->top->l1[index] & QCOW2_OFFSET_MASK;
	mutex_unlock(&writer->l1_lock);
	return error;
}

int qcow2_l2_get(struct qcow2_writer *writer, u64 at, struct qcow2_slice **found)
{
	const struct qcow2_image *top = writer->top;
	u64 table, place;
	int error = table_of(writer, at, &table);

	if (error)
		return error;
	place = (at >> top->header.cluster_bits & ((1ULL << qcow2_l2_bits(&top->header)) - 1))
		<< qcow2_l2_entry_bits(&top->header);
	return qcow2_cache_get(&writer->target->cache, &top->file, table + round_down(place, top->slice_bytes),
			       top->slice_bytes, true, found);
}
