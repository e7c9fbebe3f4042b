// SPDX-License-Identifier: GPL-2.0-only
/* Reading. */
#include "request.h"

int qcow2_read_waiting(struct qcow2_request *request, const struct qcow2_file *file, u32 skip, u32 bytes, u64 at)
{
	while (bytes) {
		struct iov_iter iter;
		ssize_t ret;

		qcow2_memory_iter(request, skip, bytes, ITER_DEST, &iter);
		ret = qcow2_file_move(file, false, false, &iter, at);
		if (ret < 0)
			return ret;
		if (!ret)
			break;
		skip += ret;
		bytes -= ret;
		at += ret;
	}
	if (bytes)
		qcow2_memory_zero(request, skip, bytes);
	return 0;
}

static int read_data(struct qcow2_request *request, const struct qcow2_extent *extent, bool wait)
{
	const struct qcow2_file *file = qcow2_image_data(extent->image);
	u32 bytes = extent->bytes;

	if (qcow2_file_fits_direct(file, extent->host, bytes) &&
	    qcow2_memory_fits(request, file, request->done, bytes)) {
		qcow2_part_start(request, file, bytes, extent->host);
		return 0;
	}
	return wait ? qcow2_read_waiting(request, file, request->done, bytes, extent->host) : -EAGAIN;
}

static int read_packed(struct qcow2_request *request, const struct qcow2_extent *extent, bool wait)
{
	struct qcow2_unpackers *unpackers = &request->target->unpackers;
	struct qcow2_unpacker *unpacker;
	int error;

	if (!wait)
		return -EAGAIN;
	error = qcow2_unpack(unpackers, extent, &unpacker);
	if (error)
		return error;
	qcow2_memory_copy_in(request, request->done, unpacker->cluster.data + extent->skip, extent->bytes);
	qcow2_unpack_end(unpackers, unpacker);
	return 0;
}

int qcow2_read_piece(struct qcow2_request *request, bool wait)
{
	struct qcow2_extent extent;
	int error = qcow2_target_map(request->target, request->at + request->done, request->bytes - request->done, wait,
				     &extent);

	if (error)
		return error;
	switch (extent.kind) {
	case QCOW2_DATA:
		error = read_data(request, &extent, wait);
		break;
	case QCOW2_PACKED:
		error = read_packed(request, &extent, wait);
		break;
	default:
		qcow2_memory_zero(request, request->done, extent.bytes);
	}
	if (!error)
		request->done += extent.bytes;
	return error;
}
