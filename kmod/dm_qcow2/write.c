// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writing. A cluster of the file that is the guest cluster's alone is written in place. Else data goes to a new cluster,
 * what the write leaves of the old content is copied around it, and then the mapping is changed in memory: a reader sees
 * the old cluster or the whole new one.
 */
#include <linux/uio.h>

#include "change.h"
#include "overlap.h"
#include "request.h"

/* Bytes of clusters that are allocated at once. */
#define QCOW2_RUN_BYTES (1U << 20)

static int write_bounced(struct qcow2_request *request, const struct qcow2_file *file, u32 skip, u32 bytes, u64 at)
{
	struct qcow2_writer *writer = request->target->writer;
	struct qcow2_spare_buffer *spare = qcow2_buffer_get(writer);
	int error = 0;

	while (bytes && !error) {
		u32 part = min(bytes, spare->buffer.bytes);

		qcow2_memory_copy_out(request, skip, spare->buffer.data, part);
		error = qcow2_file_write(file, spare->buffer.vecs, part, at);
		skip += part;
		at += part;
		bytes -= part;
	}
	qcow2_buffer_put(writer, spare);
	return error;
}

int qcow2_write_waiting(struct qcow2_request *request, const struct qcow2_file *file, u32 skip, u32 bytes, u64 at)
{
	bool direct = file->block;

	if (direct && !qcow2_memory_fits(request, file, skip, bytes))
		return write_bounced(request, file, skip, bytes, at);
	while (bytes) {
		struct iov_iter iter;
		ssize_t ret;

		qcow2_memory_iter(request, skip, bytes, ITER_SOURCE, &iter);
		ret = qcow2_file_move(file, true, direct, &iter, at);
		if (ret == -EINVAL && direct)
			return write_bounced(request, file, skip, bytes, at);
		if (ret <= 0)
			return ret ? ret : -EIO;
		skip += ret;
		at += ret;
		bytes -= ret;
	}
	return 0;
}

int qcow2_write_zeros(struct qcow2_writer *writer, const struct qcow2_file *file, u64 bytes, u64 at)
{
	struct qcow2_spare_buffer *spare = qcow2_buffer_get(writer);
	int error = 0;

	memset(spare->buffer.data, 0, min_t(u64, bytes, spare->buffer.bytes));
	while (bytes && !error) {
		u32 part = min_t(u64, bytes, spare->buffer.bytes);

		error = qcow2_file_write(file, spare->buffer.vecs, part, at);
		at += part;
		bytes -= part;
	}
	qcow2_buffer_put(writer, spare);
	return error;
}

/* What the request writes: the bio's memory or, without any, zeros. */
static int write_content(struct qcow2_request *request, const struct qcow2_file *file, u64 skip, u64 bytes, u64 at)
{
	if (request->op == QCOW2_OP_WRITE)
		return qcow2_write_waiting(request, file, skip, bytes, at);
	return qcow2_write_zeros(request->target->writer, file, bytes, at);
}

static int write_in_place(struct qcow2_request *request, const struct qcow2_extent *extent, bool wait)
{
	const struct qcow2_file *file = qcow2_image_data(extent->image);
	u32 bytes = extent->bytes;

	if (request->op == QCOW2_OP_WRITE && !request->is_block && qcow2_file_fits_direct(file, extent->host, bytes) &&
	    qcow2_memory_fits(request, file, request->done, bytes)) {
		qcow2_part_start(request, file, bytes, extent->host);
		return 0;
	}
	return wait ? write_content(request, file, request->done, bytes, extent->host) : -EAGAIN;
}

/* A write to clusters that do not have, or do not have alone, a place in the file. */
struct fresh_write {
	struct qcow2_request *request;
	struct qcow2_change change;
	/* The guest's range that is written; it begins in the first claimed cluster. */
	u64 at;
	u64 end;
	/* Where the first cluster is in the file; whether it reads as zeros there. */
	u64 host;
	bool is_zero;
	/* The parts of a cluster that have a state of their own: all of it, or subclusters. */
	u32 unit_bits;
	struct qcow2_entry entries[QCOW2_MAX_RUN];
};

static const struct qcow2_header *header_of(const struct fresh_write *write)
{
	return &write->change.writer->top->header;
}

/* Copies a part of the disk as it is to its new place. */
static int fill(struct fresh_write *write, u64 from, u64 end)
{
	struct qcow2_writer *writer = write->change.writer;
	u64 base = write->change.first << header_of(write)->cluster_bits;
	struct qcow2_spare_buffer *spare = qcow2_buffer_get(writer);
	int error = 0;

	while (from < end && !error) {
		u32 bytes = min_t(u64, end - from, spare->buffer.bytes);
		bool is_hole;

		error = qcow2_target_read(writer->target, &spare->buffer, from, bytes, &is_hole);
		if (!error && !(is_hole && write->is_zero))
			error = qcow2_file_write(writer->data, spare->buffer.vecs, bytes, write->host + (from - base));
		from += bytes;
	}
	qcow2_buffer_put(writer, spare);
	return error;
}

/* The units of a cluster, as a mask, that a range of the disk touches. */
static u32 touched_units(const struct fresh_write *write, u64 cluster_at, u64 from, u64 end)
{
	u64 cluster_end = cluster_at + qcow2_cluster_bytes(header_of(write));
	u32 first, last;

	from = max(from, cluster_at);
	end = min(end, cluster_end);
	if (from >= end)
		return 0;
	first = (from - cluster_at) >> write->unit_bits;
	last = (end - 1 - cluster_at) >> write->unit_bits;
	return (u32)(~0ULL >> (63 - last)) & ~(u32)((1ULL << first) - 1);
}

/* Fills what units of a cluster have beside the written range. */
static int fill_units(struct fresh_write *write, u64 cluster_at, u32 units)
{
	u32 unit;

	for (unit = 0; units >> unit; unit++) {
		u64 from = cluster_at + ((u64)unit << write->unit_bits);
		u64 end = from + (1ULL << write->unit_bits);
		int error = 0;

		if (!(units >> unit & 1))
			continue;
		if (from < write->at)
			error = fill(write, from, min(end, write->at));
		if (!error && end > write->end)
			error = fill(write, max(from, write->end), end);
		if (error)
			return error;
		if (unit == 31)
			break;
	}
	return 0;
}

/* Prepares a cluster and its entry. @is_new: whether it gets another place than it had. */
static int prepare_cluster(struct fresh_write *write, u32 index, const struct qcow2_cluster *old, bool is_new)
{
	u64 cluster_at = (write->change.first + index) << header_of(write)->cluster_bits;
	u64 host = write->host + ((u64)index << header_of(write)->cluster_bits);
	u32 touched = touched_units(write, cluster_at, write->at, write->end);
	u32 all = qcow2_has_extended_l2(header_of(write)) ? ~0U : 1;
	u32 copied = 0;
	struct qcow2_entry *entry = &write->entries[index];

	if (old->kind == QCOW2_PACKED)
		copied = all;
	else if (is_new)
		copied = old->allocated;
	entry->entry = host | QCOW2_COPIED;
	entry->bitmap = touched | copied | (is_new ? 0 : old->allocated);
	entry->bitmap |= (u64)(old->zeroed & ~touched & ~copied) << 32;
	/* What is there already others may be writing in place. */
	return fill_units(write, cluster_at, (touched | copied) & ~(is_new ? 0 : old->allocated));
}

/* How many of the claimed clusters get new places, from the first on; 0: the first has its own. */
static int count_new(struct fresh_write *write, struct qcow2_cluster *first)
{
	struct qcow2_cluster cluster;
	u32 nr;

	for (nr = 0; nr < write->change.nr; nr++) {
		int error = qcow2_change_look(&write->change, nr, &cluster);

		if (error)
			return error;
		if (!nr)
			*first = cluster;
		if (cluster.has_host && cluster.copied)
			break;
	}
	return nr;
}

static int find_places(struct fresh_write *write, u32 *nr, bool *is_new)
{
	struct qcow2_cluster first = { .host = 0 };
	int ret = count_new(write, &first);

	if (ret < 0)
		return ret;
	*is_new = ret;
	if (ret && write->change.writer->top->has_data_file) {
		*nr = ret;
		write->host = write->change.first << header_of(write)->cluster_bits;
		write->is_zero = write->host >= qcow2_file_size(write->change.writer->data);
		return 0;
	}
	if (ret)
		return qcow2_refs_alloc(write->change.writer, ret, &write->host, nr, &write->is_zero);
	*nr = 1;
	write->host = first.host;
	write->is_zero = false;
	return 0;
}

/* Whether meanwhile another thread has done what was to be done: the write can go in place. */
static bool is_ready(const struct fresh_write *write, const struct qcow2_cluster *cluster)
{
	u64 cluster_at = write->change.first << header_of(write)->cluster_bits;
	u32 touched = touched_units(write, cluster_at, write->at, write->end);

	if (!cluster->has_host || !cluster->copied)
		return false;
	if (!qcow2_has_extended_l2(header_of(write)))
		return cluster->kind == QCOW2_DATA;
	return !(touched & ~cluster->allocated);
}

static int write_data(struct fresh_write *write)
{
	u64 base = write->change.first << header_of(write)->cluster_bits;
	struct qcow2_request *request = write->request;

	return write_content(request, write->change.writer->data, write->at - request->at,
			     write->end - write->at, write->host + (write->at - base));
}

static int write_claimed(struct fresh_write *write)
{
	struct qcow2_cluster cluster;
	bool is_new;
	u32 nr, i;
	int error = qcow2_change_look(&write->change, 0, &cluster);

	if (error || is_ready(write, &cluster)) {
		write->end = write->at;
		return error;
	}
	error = find_places(write, &nr, &is_new);
	if (error)
		return error;
	write->end = min(write->end, (write->change.first + nr) << header_of(write)->cluster_bits);
	for (i = 0; i < nr; i++) {
		error = qcow2_change_look(&write->change, i, &cluster);
		if (!error)
			error = prepare_cluster(write, i, &cluster, is_new);
		if (error)
			return error;
	}
	error = write_data(write);
	if (!error)
		qcow2_change_publish(&write->change, write->entries, nr);
	return error;
}

/* Return: 0, also with nothing done where the write can now go in place; or a negative errno. */
static int write_fresh(struct qcow2_request *request, u64 end)
{
	struct qcow2_writer *writer = request->target->writer;
	const struct qcow2_header *header = &writer->top->header;
	u32 bits = header->cluster_bits;
	u32 run = clamp(QCOW2_RUN_BYTES >> bits, 1U, QCOW2_MAX_RUN);
	struct fresh_write write = {
		.request = request,
		.at = request->at + request->done,
		.end = end,
		.unit_bits = qcow2_has_extended_l2(header) ? bits - 5 : bits,
	};
	u64 clusters = ((write.end - 1) >> bits) - (write.at >> bits) + 1;
	int error = qcow2_change_begin(writer, write.at, min_t(u64, clusters, run), &write.change);

	if (error)
		return error;
	write.end = min(write.end, (write.change.first + write.change.nr) << bits);
	error = write_claimed(&write);
	qcow2_change_end(&write.change);
	if (!error)
		request->done = write.end - request->at;
	return error;
}

int qcow2_write_range(struct qcow2_request *request, u64 end, bool wait)
{
	struct qcow2_writer *writer = request->target->writer;
	u64 at = request->at + request->done;
	u32 block = writer->data->block;
	struct qcow2_extent extent;
	int error;

	if (READ_ONCE(writer->failed))
		return -EIO;
	if (block && (at & (block - 1) || end - at < block))
		return wait ? qcow2_partial_write(request, end) : -EAGAIN;
	if (block)
		end = round_down(end, block);
	error = qcow2_image_map(&request->target->cache, writer->top, at, end - at, wait, &extent);
	if (error)
		return error;
	if (extent.kind != QCOW2_DATA || !extent.copied)
		return wait ? write_fresh(request, end) : -EAGAIN;
	error = qcow2_place_check(writer, at, extent.host, extent.bytes, wait);
	if (!error)
		error = write_in_place(request, &extent, wait);
	if (!error)
		request->done += extent.bytes;
	return error;
}

int qcow2_write_piece(struct qcow2_request *request, bool wait)
{
	return qcow2_write_range(request, request->at + request->bytes, wait);
}
