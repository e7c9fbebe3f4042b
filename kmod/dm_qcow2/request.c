// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bios on their way. .map may not call a file system: what that submits would wait behind the bio at hand. A bio goes to
 * its CPU's lane, whose work looks for what can be done without waiting: metadata in memory, data by direct I/O. All else
 * is done by a work of the bio's own, which may wait; the lane goes on with the next.
 */
#include <linux/blkdev.h>
#include <linux/slab.h>

#include "merge.h"
#include "request.h"
#include "thread.h"
#include "writer.h"

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
	int ticket;
	struct work_struct work;
};

static struct bio *bio_of(struct qcow2_request *request)
{
	return dm_bio_from_per_bio_data(request, sizeof(*request));
}

static void end_request(struct qcow2_request *request)
{
	struct bio *bio = bio_of(request);

	if (request->target->merge && request->op != QCOW2_OP_READ)
		qcow2_merge_changed(request->target->merge, request->at, request->bytes);
	bio->bi_status = request->status;
	if (request->status)
		atomic64_inc(&request->target->stats.errors);
	bio_endio(bio);
}

void qcow2_requests_end(struct list_head *requests, int error)
{
	struct qcow2_request *request, *next;

	list_for_each_entry_safe(request, next, requests, in_list) {
		if (error)
			qcow2_request_fail(request, error);
		end_request(request);
	}
}

static void put_request(struct qcow2_request *request)
{
	if (!atomic_dec_and_test(&request->pending))
		return;
	qcow2_partial_end(request);
	if (request->durable && !request->status)
		qcow2_commit_add(request->target->writer, &request->in_list);
	else
		end_request(request);
}

void qcow2_request_fail(struct qcow2_request *request, int error)
{
	/* Which of several errors is told does not matter. */
	WRITE_ONCE(request->status, error == -ENOSPC ? BLK_STS_NOSPC : BLK_STS_IOERR);
}

static void end_part(struct qcow2_part *part)
{
	struct qcow2_request *request = part->request;

	qcow2_grace_leave(request->target->grace, part->ticket);
	mempool_free(part, &request->target->parts);
	put_request(request);
}

static void move_rest(struct work_struct *work)
{
	struct qcow2_part *part = container_of(work, struct qcow2_part, work);
	struct qcow2_request *request = part->request;
	unsigned int flags = qcow2_thread_begin();
	int error;

	if (request->op == QCOW2_OP_READ)
		error = qcow2_read_waiting(request, part->file, part->skip, part->bytes, part->at);
	else
		error = qcow2_write_waiting(request, part->file, part->skip, part->bytes, part->at);
	qcow2_thread_end(flags);
	if (error)
		qcow2_request_fail(request, error);
	end_part(part);
}

/* Any context. */
static void part_done(struct qcow2_transfer *transfer, long result)
{
	struct qcow2_part *part = container_of(transfer, struct qcow2_part, transfer);

	if (result < 0 && result != -EINVAL) {
		qcow2_request_fail(part->request, result);
	} else if (result < part->bytes) {
		/* The end of the file, a transfer that was cut, or a file system that takes none of that kind here. */
		if (result > 0) {
			part->at += result;
			part->skip += result;
			part->bytes -= result;
		}
		INIT_WORK(&part->work, move_rest);
		queue_work(part->request->target->rests, &part->work);
		return;
	}
	end_part(part);
}

void qcow2_part_start(struct qcow2_request *request, const struct qcow2_file *file, u32 bytes, u64 at)
{
	bool write = request->op == QCOW2_OP_WRITE;
	/* Waits for others to end when there is no memory: they do so without this thread. */
	struct qcow2_part *part = mempool_alloc(&request->target->parts, GFP_NOIO);
	struct iov_iter iter;

	part->request = request;
	part->file = file;
	part->at = at;
	part->skip = request->done;
	part->bytes = bytes;
	part->ticket = request->ticket;
	qcow2_grace_share(request->target->grace, part->ticket);
	part->transfer.done = part_done;
	qcow2_memory_iter(request, part->skip, bytes, write ? ITER_SOURCE : ITER_DEST, &iter);
	atomic_inc(&request->pending);
	qcow2_file_start(file, &part->transfer, write, &iter, at);
}

static int next_piece(struct qcow2_request *request, bool wait)
{
	struct qcow2_grace *grace = request->target->grace;
	int error;

	if (wait && request->op != QCOW2_OP_READ)
		qcow2_commit_throttle(request->target->writer);
	request->ticket = qcow2_grace_enter(grace);
	switch (request->op) {
	case QCOW2_OP_READ:
		error = qcow2_read_piece(request, wait);
		break;
	case QCOW2_OP_WRITE:
		error = qcow2_write_piece(request, wait);
		break;
	default:
		error = qcow2_zero_piece(request, wait);
	}
	qcow2_grace_leave(grace, request->ticket);
	return error;
}

/* Begins what is left of a request. Return: 0; -EAGAIN: it has to wait; other errors. */
static int go_on(struct qcow2_request *request, bool wait)
{
	while (request->done < request->bytes) {
		int error = next_piece(request, wait);

		if (error)
			return error;
		if (wait)
			cond_resched();
	}
	return 0;
}

static void run_request(struct work_struct *work)
{
	struct qcow2_request *request = container_of(work, struct qcow2_request, work);
	unsigned int flags = qcow2_thread_begin();
	int error = go_on(request, true);

	qcow2_thread_end(flags);
	if (error)
		qcow2_request_fail(request, error);
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
		qcow2_request_fail(request, error);
	put_request(request);
}

static void run_lane(struct work_struct *work)
{
	struct qcow2_lane *lane = container_of(work, struct qcow2_lane, work);
	struct qcow2_request *request, *next;
	unsigned int flags = qcow2_thread_begin();
	struct blk_plug plug;
	LIST_HEAD(waiting);

	spin_lock_irq(&lane->lock);
	list_splice_init(&lane->waiting, &waiting);
	spin_unlock_irq(&lane->lock);
	blk_start_plug(&plug);
	list_for_each_entry_safe(request, next, &waiting, in_list)
		attempt(request);
	blk_finish_plug(&plug);
	qcow2_thread_end(flags);
}

static enum qcow2_op op_of(const struct bio *bio)
{
	switch (bio_op(bio)) {
	case REQ_OP_READ:
		return QCOW2_OP_READ;
	case REQ_OP_DISCARD:
		return QCOW2_OP_DISCARD;
	case REQ_OP_WRITE_ZEROES:
		return QCOW2_OP_ZERO;
	default:
		return bio->bi_iter.bi_size ? QCOW2_OP_WRITE : QCOW2_OP_FLUSH;
	}
}

void qcow2_request_queue(struct qcow2_request *request)
{
	struct qcow2_target *target = request->target;
	struct qcow2_lane *lane = &target->lanes[raw_smp_processor_id() % target->nr_lanes];
	unsigned long flags;

	/* A bio may come from where another ends. */
	spin_lock_irqsave(&lane->lock, flags);
	list_add_tail(&request->in_list, &lane->waiting);
	spin_unlock_irqrestore(&lane->lock, flags);
	queue_work(target->threads, &lane->work);
}

/*
 * Ends a read of what is in no file where it came. The mapping's locks are not for interrupts.
 * Return: whether it did.
 */
static bool read_hole(struct qcow2_request *request)
{
	struct qcow2_target *target = request->target;
	struct qcow2_extent extent;
	bool is_hole;
	int ticket;

	if (request->op != QCOW2_OP_READ || !in_task() || irqs_disabled())
		return false;
	ticket = qcow2_grace_enter(target->grace);
	is_hole = !qcow2_target_map(target, request->at, request->bytes, false, &extent) &&
		  extent.kind == QCOW2_ZERO && extent.bytes == request->bytes;
	qcow2_grace_leave(target->grace, ticket);
	if (!is_hole)
		return false;
	qcow2_memory_zero(request, 0, request->bytes);
	atomic64_inc(&target->stats.at_once);
	put_request(request);
	return true;
}

void qcow2_request_submit(struct qcow2_target *target, struct bio *bio)
{
	struct qcow2_request *request = dm_per_bio_data(bio, sizeof(*request));

	request->target = target;
	request->op = op_of(bio);
	request->at = (u64)dm_target_offset(target->ti, bio->bi_iter.bi_sector) << SECTOR_SHIFT;
	request->bytes = bio->bi_iter.bi_size;
	request->vecs = bio->bi_io_vec;
	request->memory = bio->bi_iter;
	request->done = 0;
	request->durable = target->writer && request->op != QCOW2_OP_READ && bio->bi_opf & (REQ_FUA | REQ_PREFLUSH);
	request->unmap = !(bio->bi_opf & REQ_NOUNMAP);
	request->is_block = false;
	request->is_ordered = false;
	request->status = BLK_STS_OK;
	atomic_set(&request->pending, 1);
	atomic64_inc(&target->stats.requests);
	if (request->op == QCOW2_OP_FLUSH)
		put_request(request);
	else if (!read_hole(request) && qcow2_partial_begin(request))
		qcow2_request_queue(request);
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
	/* Others may wait for the parts that end there. */
	target->rests = alloc_workqueue("dm-qcow2-rest", WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	return target->threads && target->rests ? 0 : -ENOMEM;
}

void qcow2_requests_exit(struct qcow2_target *target)
{
	if (target->threads)
		destroy_workqueue(target->threads);
	if (target->rests)
		destroy_workqueue(target->rests);
	mempool_exit(&target->parts);
}
