// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bios on their way. .map may not call a file system: what that submits would wait behind the bio at hand. A bio goes to
 * its CPU's lane, whose work looks for what can be done without waiting: metadata in memory, data by direct I/O. All else
 * is done by a work of the bio's own, which may wait; the lane goes on with the next.
 */
#include <linux/blkdev.h>
#include <linux/highmem.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "request.h"

/* Transfers in flight that need no memory to be had. */
#define QCOW2_MIN_PARTS 64

/* Threads that wait, of one device. */
#define QCOW2_THREADS 64

/* A part of a request that one transfer moves. */
struct qcow2_part {
	struct qcow2_transfer transfer;
	struct qcow2_request *request;
	const struct qcow2_file *file;
	/* In the file, and in the request. */
	u64 at;
	u32 skip;
	u32 bytes;
	struct work_struct work;
};

static struct bio *bio_of(struct qcow2_request *request)
{
	return dm_bio_from_per_bio_data(request, sizeof(*request));
}

static void put_request(struct qcow2_request *request)
{
	struct bio *bio;

	if (!atomic_dec_and_test(&request->pending))
		return;
	bio = bio_of(request);
	bio->bi_status = request->status;
	if (request->status)
		atomic64_inc(&request->target->stats.errors);
	bio_endio(bio);
}

static void fail(struct qcow2_request *request, int error)
{
	/* Which of several errors is told does not matter. */
	WRITE_ONCE(request->status, error == -ENOSPC ? BLK_STS_NOSPC : BLK_STS_IOERR);
}

/* The memory of a request from an offset on: the vecs, and how far into the first it begins. */
static const struct bio_vec *memory_at(struct qcow2_request *request, u32 skip, u32 *into)
{
	struct bio *bio = bio_of(request);
	struct bvec_iter iter = request->memory;
	const struct bio_vec *vec;

	bio_advance_iter(bio, &iter, skip);
	vec = bio->bi_io_vec + iter.bi_idx;
	*into = mp_bvec_iter_bvec(bio->bi_io_vec, iter).bv_offset - vec->bv_offset;
	return vec;
}

static void iter_of(struct qcow2_request *request, u32 skip, u32 bytes, unsigned int direction, struct iov_iter *iter)
{
	u32 into;
	const struct bio_vec *vecs = memory_at(request, skip, &into);

	iov_iter_bvec(iter, direction, vecs, qcow2_count_vecs(vecs, (u64)into + bytes), into + bytes);
	iov_iter_advance(iter, into);
}

static void zero(struct qcow2_request *request, u32 skip, u32 bytes)
{
	u32 into;
	const struct bio_vec *vecs = memory_at(request, skip, &into);

	qcow2_zero_vecs(vecs, into, bytes);
}

static void copy_in(struct qcow2_request *request, u32 skip, const u8 *from, u32 bytes)
{
	struct bio *bio = bio_of(request);
	struct bvec_iter iter = request->memory;

	bio_advance_iter(bio, &iter, skip);
	while (bytes) {
		/* Of a single page. */
		struct bio_vec vec = bio_iter_iovec(bio, iter);
		u32 part = min(bytes, vec.bv_len);
		u8 *to = kmap_local_page(vec.bv_page);

		memcpy(to + vec.bv_offset, from, part);
		kunmap_local(to);
		flush_dcache_page(vec.bv_page);
		bio_advance_iter(bio, &iter, part);
		from += part;
		bytes -= part;
	}
}

/* Whether direct I/O takes the memory of a part as it is. */
static bool memory_fits(struct qcow2_request *request, const struct qcow2_file *file, u32 skip, u32 bytes)
{
	u32 into, mask = min_t(u32, file->block, SECTOR_SIZE) - 1;
	const struct bio_vec *vec = memory_at(request, skip, &into);
	u64 left = (u64)into + bytes;

	if (into & mask)
		return false;
	for (; left; vec++) {
		if ((vec->bv_offset | vec->bv_len) & mask)
			return false;
		left -= min_t(u64, left, vec->bv_len);
	}
	return true;
}

/* Reads, waiting, what a transfer could not or did not; what is behind the file's end is zeros. */
static int read_waiting(struct qcow2_request *request, const struct qcow2_file *file, u32 skip, u32 bytes, u64 at)
{
	while (bytes) {
		struct iov_iter iter;
		struct kiocb kiocb;
		ssize_t ret;

		init_sync_kiocb(&kiocb, file->file);
		kiocb.ki_pos = at;
		kiocb.ki_flags = 0;
		iter_of(request, skip, bytes, ITER_DEST, &iter);
		ret = file->file->f_op->read_iter(&kiocb, &iter);
		if (ret < 0)
			return ret;
		if (!ret)
			break;
		skip += ret;
		bytes -= ret;
		at += ret;
	}
	if (bytes)
		zero(request, skip, bytes);
	return 0;
}

static void end_part(struct qcow2_part *part)
{
	struct qcow2_request *request = part->request;

	mempool_free(part, &request->target->parts);
	put_request(request);
}

static void read_rest(struct work_struct *work)
{
	struct qcow2_part *part = container_of(work, struct qcow2_part, work);
	unsigned int flags = memalloc_noio_save();
	int error = read_waiting(part->request, part->file, part->skip, part->bytes, part->at);

	memalloc_noio_restore(flags);
	if (error)
		fail(part->request, error);
	end_part(part);
}

/* Any context. */
static void read_done(struct qcow2_transfer *transfer, long result)
{
	struct qcow2_part *part = container_of(transfer, struct qcow2_part, transfer);

	if (result < 0 && result != -EINVAL) {
		fail(part->request, result);
	} else if (result < part->bytes) {
		/* The end of the file, a transfer that was cut, or a file system that takes none of that kind here. */
		if (result > 0) {
			part->at += result;
			part->skip += result;
			part->bytes -= result;
		}
		INIT_WORK(&part->work, read_rest);
		queue_work(part->request->target->threads, &part->work);
		return;
	}
	end_part(part);
}

static void start_read(struct qcow2_request *request, const struct qcow2_file *file, u32 bytes, u64 at)
{
	/* Waits for others to end when there is no memory: they do so without this thread. */
	struct qcow2_part *part = mempool_alloc(&request->target->parts, GFP_NOIO);
	struct iov_iter iter;

	part->request = request;
	part->file = file;
	part->at = at;
	part->skip = request->done;
	part->bytes = bytes;
	part->transfer.done = read_done;
	iter_of(request, request->done, bytes, ITER_DEST, &iter);
	atomic_inc(&request->pending);
	qcow2_file_start(file, &part->transfer, false, &iter, at);
}

static int read_data(struct qcow2_request *request, const struct qcow2_extent *extent, bool wait)
{
	const struct qcow2_file *file = qcow2_image_data(extent->image);
	u32 bytes = extent->bytes;

	if (qcow2_file_fits_direct(file, extent->host, bytes) && memory_fits(request, file, request->done, bytes)) {
		start_read(request, file, bytes, extent->host);
		return 0;
	}
	return wait ? read_waiting(request, file, request->done, bytes, extent->host) : -EAGAIN;
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
	copy_in(request, request->done, unpacker->cluster.data + extent->skip, extent->bytes);
	qcow2_unpack_end(unpackers, unpacker);
	return 0;
}

static int read_extent(struct qcow2_request *request, const struct qcow2_extent *extent, bool wait)
{
	switch (extent->kind) {
	case QCOW2_DATA:
		return read_data(request, extent, wait);
	case QCOW2_PACKED:
		return read_packed(request, extent, wait);
	default:
		zero(request, request->done, extent->bytes);
		return 0;
	}
}

/* Begins what is left of a read. Return: 0; -EAGAIN: it has to wait; other errors. */
static int go_on(struct qcow2_request *request, bool wait)
{
	while (request->done < request->bytes) {
		struct qcow2_extent extent;
		int error = qcow2_target_map(request->target, request->at + request->done,
					     request->bytes - request->done, wait, &extent);

		if (!error)
			error = read_extent(request, &extent, wait);
		if (error)
			return error;
		request->done += extent.bytes;
		if (wait)
			cond_resched();
	}
	return 0;
}

static void run_request(struct work_struct *work)
{
	struct qcow2_request *request = container_of(work, struct qcow2_request, work);
	unsigned int flags = memalloc_noio_save();
	int error = go_on(request, true);

	memalloc_noio_restore(flags);
	if (error)
		fail(request, error);
	put_request(request);
}

static void attempt(struct qcow2_request *request)
{
	int error = go_on(request, false);

	if (error == -EAGAIN) {
		atomic64_inc(&request->target->stats.slow);
		INIT_WORK(&request->work, run_request);
		queue_work(request->target->threads, &request->work);
		return;
	}
	if (error)
		fail(request, error);
	put_request(request);
}

static void run_lane(struct work_struct *work)
{
	struct qcow2_lane *lane = container_of(work, struct qcow2_lane, work);
	struct qcow2_request *request, *next;
	unsigned int flags = memalloc_noio_save();
	struct blk_plug plug;
	LIST_HEAD(waiting);

	spin_lock_irq(&lane->lock);
	list_splice_init(&lane->waiting, &waiting);
	spin_unlock_irq(&lane->lock);
	blk_start_plug(&plug);
	list_for_each_entry_safe(request, next, &waiting, in_lane)
		attempt(request);
	blk_finish_plug(&plug);
	memalloc_noio_restore(flags);
}

void qcow2_request_submit(struct qcow2_target *target, struct bio *bio)
{
	struct qcow2_request *request = dm_per_bio_data(bio, sizeof(*request));
	struct qcow2_lane *lane = &target->lanes[raw_smp_processor_id() % target->nr_lanes];
	unsigned long flags;

	request->target = target;
	request->at = (u64)dm_target_offset(target->ti, bio->bi_iter.bi_sector) << SECTOR_SHIFT;
	request->bytes = bio->bi_iter.bi_size;
	request->memory = bio->bi_iter;
	request->done = 0;
	request->status = BLK_STS_OK;
	atomic_set(&request->pending, 1);
	atomic64_inc(&target->stats.reads);
	/* A bio may come from where another ends. */
	spin_lock_irqsave(&lane->lock, flags);
	list_add_tail(&request->in_lane, &lane->waiting);
	spin_unlock_irqrestore(&lane->lock, flags);
	queue_work(target->threads, &lane->work);
}

int qcow2_requests_init(struct qcow2_target *target)
{
	unsigned int i;
	int error;

	error = mempool_init_kmalloc_pool(&target->parts, QCOW2_MIN_PARTS, sizeof(struct qcow2_part));
	if (error)
		return error;
	target->nr_lanes = min_t(unsigned int, num_online_cpus(), QCOW2_MAX_LANES);
	for (i = 0; i < target->nr_lanes; i++) {
		spin_lock_init(&target->lanes[i].lock);
		INIT_LIST_HEAD(&target->lanes[i].waiting);
		INIT_WORK(&target->lanes[i].work, run_lane);
	}
	target->threads = alloc_workqueue("dm-qcow2", WQ_MEM_RECLAIM | WQ_UNBOUND, QCOW2_THREADS);
	return target->threads ? 0 : -ENOMEM;
}

void qcow2_requests_exit(struct qcow2_target *target)
{
	if (target->threads)
		destroy_workqueue(target->threads);
	mempool_exit(&target->parts);
}
