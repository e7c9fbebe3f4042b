// SPDX-License-Identifier: GPL-2.0-only
/* Discards, and zeroes that are not written: whole clusters change their entries, the rest is written where it has to be. */
#include "change.h"
#include "request.h"

#define QCOW2_ALL_ZERO (~0ULL << 32)

static const struct qcow2_header *header_of(const struct qcow2_request *request)
{
	return &request->target->images[0].header;
}

static bool has_backing(const struct qcow2_request *request)
{
	return request->target->nr_images > 1;
}

/* An entry that reads as zeros, with a cluster of the file or, if host is 0, without. */
static struct qcow2_entry zero_entry(const struct qcow2_request *request, u64 host)
{
	struct qcow2_entry entry = { .entry = host ? host | QCOW2_COPIED : 0 };

	/* Nothing below it that could be seen. */
	if (!host && !has_backing(request))
		return entry;
	if (qcow2_has_extended_l2(header_of(request)))
		entry.bitmap = QCOW2_ALL_ZERO;
	else
		entry.entry |= QCOW2_ZERO_FLAG;
	return entry;
}

static struct qcow2_entry new_entry(const struct qcow2_request *request, const struct qcow2_cluster *old)
{
	bool keep = request->op == QCOW2_OP_ZERO && !request->unmap && old->kind != QCOW2_PACKED && old->has_host &&
		    old->copied && header_of(request)->version >= 3;

	return zero_entry(request, keep ? old->host : 0);
}

/*
 * What an external data file has of clusters whose entries will change. It is done while they are claimed: later their places
 * could be in use again. A raw one has to read as the disk does.
 */
static int change_data(struct qcow2_request *request, const struct qcow2_cluster *old, u64 at)
{
	struct qcow2_writer *writer = request->target->writer;
	bool unmap = request->op == QCOW2_OP_DISCARD || request->unmap;
	bool is_raw = qcow2_has_raw_data_file(header_of(request));
	u64 bytes = min(qcow2_cluster_bytes(header_of(request)), writer->top->size - at);
	int error;

	if (!is_raw && (!unmap || !old->has_host))
		return 0;
	error = qcow2_space_zero(writer, at, bytes, unmap);
	/* Else its space is not given back. */
	if (!is_raw || error != -EOPNOTSUPP)
		return is_raw ? error : 0;
	return qcow2_write_zeros(writer, writer->data, bytes, at);
}

static int change_clusters(struct qcow2_request *request, u32 wanted)
{
	const struct qcow2_image *top = &request->target->images[0];
	struct qcow2_entry entries[QCOW2_MAX_RUN];
	u64 at = request->at + request->done;
	struct qcow2_change change;
	u32 i;
	int error = qcow2_change_begin(request->target->writer, at, wanted, &change);

	if (error)
		return error;
	for (i = 0; i < change.nr && !error; i++) {
		struct qcow2_cluster old;

		error = qcow2_change_look(&change, i, &old);
		if (!error && top->has_data_file)
			error = change_data(request, &old, (change.first + i) << top->header.cluster_bits);
		if (!error)
			entries[i] = new_entry(request, &old);
	}
	if (!error) {
		qcow2_change_publish(&change, entries, change.nr);
		request->done = min(request->bytes,
				    request->done + ((u64)change.nr << header_of(request)->cluster_bits));
	}
	qcow2_change_end(&change);
	return error;
}

/* Zeros within a cluster. */
static int zero_part(struct qcow2_request *request, u64 end)
{
	u64 at = request->at + request->done;
	struct qcow2_extent extent;
	int error = qcow2_target_map(request->target, at, end - at, true, &extent);

	if (error)
		return error;
	/* Where no entry says zero, a raw data file may still have something. */
	if (extent.kind != QCOW2_ZERO || qcow2_has_raw_data_file(header_of(request)))
		return qcow2_write_range(request, at + extent.bytes, true);
	request->done += extent.bytes;
	return 0;
}

/* What a part of a cluster, or an entry without a bit for it, can not say. */
static int change_part(struct qcow2_request *request, u64 bytes)
{
	if (request->op == QCOW2_OP_ZERO)
		return zero_part(request, request->at + request->done + bytes);
	request->done += bytes;
	return 0;
}

int qcow2_zero_piece(struct qcow2_request *request, bool wait)
{
	const struct qcow2_image *top = &request->target->images[0];
	u64 cluster = qcow2_cluster_bytes(&top->header);
	u64 at = request->at + request->done, left = request->bytes - request->done;
	u64 into = at & (cluster - 1);
	struct qcow2_extent extent;
	int error;

	if (!wait)
		return -EAGAIN;
	if (READ_ONCE(request->target->writer->failed))
		return -EIO;
	if (into || (left < cluster && at + left < top->size))
		return change_part(request, min(left, cluster - into));
	if (has_backing(request) && top->header.version < 3)
		return change_part(request, min(left, cluster));
	error = qcow2_image_map(&request->target->cache, top, at, left, true, &extent);
	if (error)
		return error;
	if (extent.kind == QCOW2_UNALLOCATED && !has_backing(request) && !qcow2_has_raw_data_file(&top->header)) {
		request->done += extent.bytes;
		return 0;
	}
	return change_clusters(request, clamp_t(u64, left >> top->header.cluster_bits, 1, QCOW2_MAX_RUN));
}
