// SPDX-License-Identifier: GPL-2.0-only
/*
 * Compressed clusters: a raw deflate stream, or one or more zstd frames. Their length is known in sectors only, so what
 * lies behind their end is left alone. Output never exceeds a cluster.
 */
#include <linux/cpumask.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/zlib.h>

#include "compat/zstd.h"
#include "unpack.h"

/* All unpackers of a device together, unless a single one takes more. */
#define QCOW2_UNPACK_MEMORY (8U << 20)

/* Deflate's window as QEMU writes it, without a header. */
#define QCOW2_DEFLATE_BITS (-12)

static void free_unpacker(struct qcow2_unpacker *unpacker)
{
	qcow2_buffer_free(&unpacker->packed);
	qcow2_buffer_free(&unpacker->cluster);
	kvfree(unpacker->workspace);
	kfree(unpacker);
}

static struct qcow2_unpacker *new_unpacker(u32 cluster_bytes)
{
	struct qcow2_unpacker *unpacker = kzalloc(sizeof(*unpacker), GFP_KERNEL);

	if (!unpacker)
		return NULL;
	unpacker->workspace_bytes = max_t(size_t, zlib_inflate_workspacesize(), zstd_dctx_workspace_bound());
	unpacker->workspace = kvmalloc(unpacker->workspace_bytes, GFP_KERNEL);
	/* Data may begin and end within blocks of direct I/O. */
	if (!unpacker->workspace || qcow2_buffer_alloc(&unpacker->cluster, cluster_bytes) ||
	    qcow2_buffer_alloc(&unpacker->packed, round_up(cluster_bytes, PAGE_SIZE) + 3 * PAGE_SIZE)) {
		free_unpacker(unpacker);
		return NULL;
	}
	return unpacker;
}

int qcow2_unpackers_init(struct qcow2_unpackers *unpackers, u32 cluster_bytes)
{
	u32 nr = 0;

	if (cluster_bytes)
		nr = clamp_t(u32, QCOW2_UNPACK_MEMORY / (2 * cluster_bytes + (1U << 18)), 1, num_online_cpus());
	spin_lock_init(&unpackers->lock);
	INIT_LIST_HEAD(&unpackers->idle);
	init_waitqueue_head(&unpackers->returned);
	while (nr--) {
		struct qcow2_unpacker *unpacker = new_unpacker(cluster_bytes);

		if (!unpacker)
			return -ENOMEM;
		list_add(&unpacker->in_idle, &unpackers->idle);
	}
	return 0;
}

void qcow2_unpackers_exit(struct qcow2_unpackers *unpackers)
{
	struct qcow2_unpacker *unpacker, *next;

	if (!unpackers->idle.next)
		return;
	list_for_each_entry_safe(unpacker, next, &unpackers->idle, in_idle)
		free_unpacker(unpacker);
	unpackers->idle.next = NULL;
}

void qcow2_unpackers_drop(struct qcow2_unpackers *unpackers)
{
	struct qcow2_unpacker *unpacker;

	spin_lock(&unpackers->lock);
	list_for_each_entry(unpacker, &unpackers->idle, in_idle)
		unpacker->image = NULL;
	spin_unlock(&unpackers->lock);
}

/* An idle one, best that which has the cluster already. */
static struct qcow2_unpacker *take(struct qcow2_unpackers *unpackers, const struct qcow2_extent *extent)
{
	struct qcow2_unpacker *unpacker, *found;

	spin_lock(&unpackers->lock);
	found = list_empty(&unpackers->idle) ? NULL :
					       list_last_entry(&unpackers->idle, struct qcow2_unpacker, in_idle);
	list_for_each_entry(unpacker, &unpackers->idle, in_idle)
		if (unpacker->image == extent->image && unpacker->packed_at == extent->packed_at)
			found = unpacker;
	if (found)
		list_del(&found->in_idle);
	spin_unlock(&unpackers->lock);
	return found;
}

void qcow2_unpack_end(struct qcow2_unpackers *unpackers, struct qcow2_unpacker *unpacker)
{
	spin_lock(&unpackers->lock);
	list_add(&unpacker->in_idle, &unpackers->idle);
	spin_unlock(&unpackers->lock);
	wake_up(&unpackers->returned);
}

static int inflate(struct qcow2_unpacker *unpacker, const u8 *from, u32 bytes, u32 cluster_bytes)
{
	struct z_stream_s stream = {
		.next_in = from,
		.avail_in = bytes,
		.next_out = unpacker->cluster.data,
		.avail_out = cluster_bytes,
		.workspace = unpacker->workspace,
	};
	int ret;

	if (zlib_inflateInit2(&stream, QCOW2_DEFLATE_BITS) != Z_OK)
		return -EIO;
	ret = zlib_inflate(&stream, Z_FINISH);
	/* What comes behind a whole cluster is not asked for. */
	if (ret != Z_STREAM_END && ret != Z_BUF_ERROR)
		return -EIO;
	return stream.avail_out ? -EIO : 0;
}

/* Each frame is found first and then read whole, to its place: no window is kept, whatever its header asks for. */
static int unzstd(struct qcow2_unpacker *unpacker, const u8 *from, u32 bytes, u32 cluster_bytes)
{
	u32 done = 0;

	while (done < cluster_bytes) {
		zstd_dctx *context = zstd_init_dctx(unpacker->workspace, unpacker->workspace_bytes);
		size_t frame = zstd_find_frame_compressed_size(from, bytes);
		size_t ret;

		if (!context || zstd_is_error(frame) || !frame || frame > bytes)
			return -EIO;
		ret = zstd_decompress_dctx(context, unpacker->cluster.data + done, cluster_bytes - done, from, frame);
		if (zstd_is_error(ret) || ret > cluster_bytes - done)
			return -EIO;
		done += ret;
		from += frame;
		bytes -= frame;
	}
	return 0;
}

static int read_packed(struct qcow2_unpacker *unpacker, const struct qcow2_extent *extent, u32 bytes,
		       const u8 **from)
{
	const struct qcow2_file *file = &extent->image->file;
	u32 block = max_t(u32, file->block, SECTOR_SIZE);
	u64 begin = round_down(extent->packed_at, block);
	u64 end = round_up(extent->packed_at + bytes, block);
	long ret;

	if (end - begin > unpacker->packed.bytes)
		return -EIO;
	ret = qcow2_file_read(file, unpacker->packed.vecs, end - begin, begin);
	if (ret < 0)
		return ret;
	*from = unpacker->packed.data + (extent->packed_at - begin);
	return 0;
}

static int unpack(struct qcow2_unpacker *unpacker, const struct qcow2_extent *extent)
{
	const struct qcow2_header *header = &extent->image->header;
	/* Data that does not shrink is not stored compressed: what lies further behind is not part of it. */
	u32 bytes = min_t(u32, extent->packed_bytes, qcow2_cluster_bytes(header));
	const u8 *from;
	int error;

	unpacker->image = NULL;
	error = read_packed(unpacker, extent, bytes, &from);
	if (error)
		return error;
	if (header->compression == QCOW2_ZSTD)
		error = unzstd(unpacker, from, bytes, qcow2_cluster_bytes(header));
	else
		error = inflate(unpacker, from, bytes, qcow2_cluster_bytes(header));
	if (error)
		return error;
	unpacker->image = extent->image;
	unpacker->packed_at = extent->packed_at;
	return 0;
}

int qcow2_unpack(struct qcow2_unpackers *unpackers, const struct qcow2_extent *extent, struct qcow2_unpacker **found)
{
	struct qcow2_unpacker *unpacker;
	int error = 0;

	wait_event(unpackers->returned, (unpacker = take(unpackers, extent)));
	if (unpacker->image != extent->image || unpacker->packed_at != extent->packed_at)
		error = unpack(unpacker, extent);
	if (error)
		qcow2_unpack_end(unpackers, unpacker);
	else
		*found = unpacker;
	return error;
}
