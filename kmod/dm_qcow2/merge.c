// SPDX-License-Identifier: GPL-2.0-only
/*
 * Merging the top down. A granule is taken from those that are left before it is read, and put back when a request that
 * changed it ends: so none is missed, whatever comes between. What the top has is then written below it as any write of that
 * image is. Passes follow each other until little is left; the rest is copied while the device is suspended, and when all is
 * durable the top's L1 table is emptied: at each instant the chain reads as before.
 */
#include <linux/bitmap.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "merge.h"
#include "request.h"
#include "thread.h"
#include "writer.h"

/* Memory that the bits of what is left take at most. */
#define QCOW2_MAX_LEFT_BITS (8ULL << 20)

/* Bytes that may be left when the device is suspended, or passes after which it has to be enough. */
#define QCOW2_READY_BYTES (8ULL << 20)
#define QCOW2_READY_PASSES 16

/* Between passes once it is ready. */
#define QCOW2_MERGE_PAUSE (HZ / 10)

static struct qcow2_image *top_of(const struct qcow2_merge *merge)
{
	return &merge->target->images[0];
}

int qcow2_merge_alloc(struct qcow2_target *target, const char **reason)
{
	struct qcow2_merge *merge;

	*reason = "there is no image below the top that can be written";
	if (target->nr_images < 2 || target->images[1].is_raw || !target->is_writable)
		return -EROFS;
	merge = kvzalloc(sizeof(*merge), GFP_KERNEL);
	*reason = "no memory";
	if (!merge)
		return -ENOMEM;
	merge->target = target;
	merge->below.ti = target->ti;
	merge->below.images = target->images + 1;
	merge->below.nr_images = target->nr_images - 1;
	merge->below.nr_above = 1;
	merge->below.is_writable = true;
	merge->below.grace = target->grace;
	target->merge = merge;
	return 0;
}

static void run(struct work_struct *work);

int qcow2_merge_init(struct qcow2_target *target, u32 cache_kib)
{
	struct qcow2_merge *merge = target->merge;
	struct qcow2_target *below = &merge->below;
	u64 bytes = target->images[0].size;
	int error;

	INIT_DELAYED_WORK(&merge->work, run);
	merge->granule_bits = ilog2(QCOW2_BUFFER_BYTES);
	while (bytes >> merge->granule_bits >= QCOW2_MAX_LEFT_BITS)
		merge->granule_bits++;
	merge->nr_granules = (bytes >> merge->granule_bits) + 1;
	/* That of all: it is what reading them again is checked for. */
	below->largest_cluster = target->largest_cluster;
	error = qcow2_cache_init(&below->cache, cache_kib);
	if (!error)
		error = qcow2_unpackers_init(&below->unpackers, below->largest_cluster);
	if (!error)
		error = qcow2_writer_init(below);
	if (!error)
		error = qcow2_buffer_alloc(&merge->buffer, QCOW2_BUFFER_BYTES);
	if (error)
		return error;
	merge->left = kvcalloc(BITS_TO_LONGS(merge->nr_granules), sizeof(long), GFP_KERNEL);
	/* Not a queue that reclaim waits for: a pass takes its time. */
	merge->thread = alloc_workqueue("dm-qcow2-merge", WQ_UNBOUND, 1);
	return merge->left && merge->thread ? 0 : -ENOMEM;
}

void qcow2_merge_exit(struct qcow2_target *target)
{
	struct qcow2_merge *merge = target->merge;

	if (!merge)
		return;
	if (merge->thread)
		destroy_workqueue(merge->thread);
	qcow2_writer_exit(&merge->below);
	qcow2_unpackers_exit(&merge->below.unpackers);
	qcow2_cache_exit(&merge->below.cache);
	qcow2_buffer_free(&merge->buffer);
	kvfree(merge->left);
	kvfree(merge);
	target->merge = NULL;
}

void qcow2_merge_drop(struct qcow2_merge *merge)
{
	qcow2_cache_drop(&merge->below.cache);
	qcow2_unpackers_drop(&merge->below.unpackers);
	merge->state = QCOW2_MERGE_IDLE;
	merge->error = 0;
	merge->finish = false;
}

void qcow2_merge_changed(struct qcow2_merge *merge, u64 at, u64 bytes)
{
	u64 granule;

	if (!bytes)
		return;
	/* As many bits as a request has: it is of less than 4 GiB. */
	for (granule = at >> merge->granule_bits; granule <= (at + bytes - 1) >> merge->granule_bits; granule++)
		set_bit(granule, merge->left);
	/* Pairs with test_and_clear_bit(): who clears the bit before sees what was written. */
	smp_mb__after_atomic();
}

u64 qcow2_merge_left(const struct qcow2_merge *merge)
{
	return (u64)bitmap_weight(merge->left, merge->nr_granules) << merge->granule_bits;
}

const char *qcow2_merge_state_name(const struct qcow2_merge *merge)
{
	static const char *const names[] = {
		[QCOW2_MERGE_IDLE] = "idle",
		[QCOW2_MERGE_COPYING] = "copying",
		[QCOW2_MERGE_READY] = "ready",
		[QCOW2_MERGE_DONE] = "done",
		[QCOW2_MERGE_FAILED] = "failed",
	};

	return names[READ_ONCE(merge->state)];
}

/* Writes what the buffer has, or zeros, to the image below the top. */
static int write_below(struct qcow2_merge *merge, u64 at, u32 bytes, bool is_zero)
{
	struct qcow2_request request = {
		.target = &merge->below,
		.op = is_zero ? QCOW2_OP_ZERO : QCOW2_OP_WRITE,
		.unmap = true,
		.is_block = true,
		.at = at,
		.bytes = bytes,
		.vecs = merge->buffer.vecs,
		.memory = { .bi_size = bytes },
	};
	int error = 0;

	while (request.done < bytes && !error) {
		qcow2_commit_throttle(merge->below.writer);
		request.ticket = qcow2_grace_enter(merge->target->grace);
		error = is_zero ? qcow2_zero_piece(&request, true) : qcow2_write_piece(&request, true);
		qcow2_grace_leave(merge->target->grace, request.ticket);
	}
	return error;
}

static int copy_piece(struct qcow2_merge *merge, u64 at, u32 bytes)
{
	int ticket = qcow2_grace_enter(merge->target->grace);
	bool is_hole;
	int error = qcow2_target_read(merge->target, &merge->buffer, at, bytes, &is_hole);

	qcow2_grace_leave(merge->target->grace, ticket);
	return error ? error : write_below(merge, at, bytes, is_hole);
}

/* What of a part of the disk the top has, from an offset on: moves that on. */
static int copy_next(struct qcow2_merge *merge, u64 *at, u64 end)
{
	int ticket = qcow2_grace_enter(merge->target->grace);
	struct qcow2_extent extent;
	int error = qcow2_image_map(&merge->target->cache, top_of(merge), *at, end - *at, true, &extent);
	u64 bytes = extent.bytes;

	qcow2_grace_leave(merge->target->grace, ticket);
	if (error)
		return error;
	if (extent.kind != QCOW2_UNALLOCATED) {
		bytes = min_t(u64, bytes, merge->buffer.bytes);
		error = copy_piece(merge, *at, bytes);
	}
	*at += bytes;
	return error;
}

static int copy_granule(struct qcow2_merge *merge, u64 granule)
{
	u64 at = granule << merge->granule_bits;
	u64 end = min(at + (1ULL << merge->granule_bits), top_of(merge)->size);
	int error = 0;

	while (at < end && !error && !READ_ONCE(merge->stop)) {
		error = copy_next(merge, &at, end);
		cond_resched();
	}
	/* Given up within: it is still left. */
	if (error || at < end)
		set_bit(granule, merge->left);
	return error;
}

/* Copies what is left now, once. Return: 0, also when it was stopped; or a negative errno. */
static int copy_pass(struct qcow2_merge *merge)
{
	u64 granule = 0;
	int error = 0;

	while (!error && !READ_ONCE(merge->stop)) {
		granule = find_next_bit(merge->left, merge->nr_granules, granule);
		if (granule >= merge->nr_granules)
			break;
		if (test_and_clear_bit(granule, merge->left))
			error = copy_granule(merge, granule);
		granule++;
	}
	return error;
}

static void fail(struct qcow2_merge *merge, int error)
{
	WRITE_ONCE(merge->error, error);
	WRITE_ONCE(merge->state, QCOW2_MERGE_FAILED);
	DMERR("%s: the image below the top can not be written (%d): nothing is merged",
	      dm_table_device_name(merge->target->ti->table), error);
	dm_table_event(merge->target->ti->table);
}

static void run(struct work_struct *work)
{
	struct qcow2_merge *merge = container_of(to_delayed_work(work), struct qcow2_merge, work);
	unsigned int flags = qcow2_thread_begin();
	int error = copy_pass(merge);

	qcow2_thread_end(flags);
	if (READ_ONCE(merge->stop))
		return;
	if (error) {
		fail(merge, error);
		return;
	}
	merge->passes++;
	if (merge->state == QCOW2_MERGE_COPYING &&
	    (qcow2_merge_left(merge) <= QCOW2_READY_BYTES || merge->passes >= QCOW2_READY_PASSES)) {
		WRITE_ONCE(merge->state, QCOW2_MERGE_READY);
		dm_table_event(merge->target->ti->table);
	}
	queue_delayed_work(merge->thread, &merge->work,
			   merge->state == QCOW2_MERGE_READY ? QCOW2_MERGE_PAUSE : 0);
}

static int begin_writing(struct qcow2_writer *writer, const char **reason)
{
	unsigned int flags;
	int error;

	*reason = "another device writes the image below the top";
	error = qcow2_writer_own(writer);
	if (error)
		return error;
	flags = qcow2_thread_begin();
	error = qcow2_writer_start(writer, reason);
	qcow2_thread_end(flags);
	if (error)
		qcow2_writer_disown(writer);
	return error;
}

/* What the last cluster has behind the disk's end would be seen: there was a larger disk. Return: 0 or a negative errno. */
static int check_tail(struct qcow2_merge *merge, const char **reason)
{
	struct qcow2_image *image = &merge->below.images[0];
	u64 at = image->size, end = round_up(at, qcow2_cluster_bytes(&image->header));

	while (at < end) {
		u32 bytes = min_t(u64, end - at, merge->buffer.bytes);
		int ticket = qcow2_grace_enter(merge->target->grace);
		int error = qcow2_target_read_behind(&merge->below, &merge->buffer, at, bytes);

		qcow2_grace_leave(merge->target->grace, ticket);
		*reason = "what its last cluster has behind the disk's end can not be read";
		if (error)
			return error;
		*reason = "its last cluster holds what is left of a larger disk";
		if (memchr_inv(merge->buffer.data, 0, bytes))
			return -EOPNOTSUPP;
		at += bytes;
	}
	return 0;
}

int qcow2_merge_grow(struct qcow2_merge *merge, const char **reason)
{
	struct qcow2_writer *writer = merge->below.writer;
	u64 size = top_of(merge)->size;
	unsigned int flags;
	int error;

	*reason = "a merge has begun already, or has failed";
	if (merge->state != QCOW2_MERGE_IDLE)
		return -EBUSY;
	error = qcow2_grow_check(writer, size, reason);
	if (!error)
		error = check_tail(merge, reason);
	if (!error)
		error = begin_writing(writer, reason);
	if (error)
		return error;
	flags = qcow2_thread_begin();
	*reason = "it can not be written";
	error = qcow2_commit_grow(writer, size);
	qcow2_writer_stop(writer);
	qcow2_thread_end(flags);
	qcow2_writer_disown(writer);
	return error;
}

int qcow2_merge_start(struct qcow2_merge *merge, const char **reason)
{
	struct qcow2_writer *writer = merge->below.writer;
	int error;

	*reason = "a merge has begun already, or has failed";
	if (merge->state != QCOW2_MERGE_IDLE)
		return -EBUSY;
	*reason = "the device has failed";
	if (READ_ONCE(merge->target->writer->failed) || READ_ONCE(writer->failed))
		return -EIO;
	*reason = "the top has internal snapshots, which would be lost with it";
	if (top_of(merge)->header.nr_snapshots)
		return -EOPNOTSUPP;
	*reason = "the top has grown since the table was loaded";
	if (top_of(merge)->size >> merge->granule_bits >= merge->nr_granules)
		return -ESTALE;
	*reason = "the image below is smaller than the disk";
	if (merge->below.images[0].size < top_of(merge)->size)
		return -EFBIG;
	error = begin_writing(writer, reason);
	if (error)
		return error;
	bitmap_fill(merge->left, merge->nr_granules);
	merge->passes = 0;
	WRITE_ONCE(merge->stop, false);
	WRITE_ONCE(merge->state, QCOW2_MERGE_COPYING);
	queue_delayed_work(merge->thread, &merge->work, 0);
	return 0;
}

int qcow2_merge_finish(struct qcow2_merge *merge, const char **reason)
{
	*reason = "it is not ready";
	if (READ_ONCE(merge->state) != QCOW2_MERGE_READY)
		return -EBUSY;
	merge->finish = true;
	return 0;
}

/* The image below is durable: whatever part of the table is zeros after a loss of power, the chain reads as before. */
static int empty_top(struct qcow2_writer *writer)
{
	struct qcow2_image *top = writer->top;
	u64 bytes = (u64)top->header.l1_entries * sizeof(u64);
	int error = qcow2_write_zeros(writer, &top->file, round_up(bytes, top->slice_bytes), top->header.l1_at);

	return error ? error : vfs_fsync(top->file.file, 1);
}

/* Return: 0 or a negative errno, after which the top still has all. */
static int finish(struct qcow2_merge *merge)
{
	int error = READ_ONCE(merge->target->writer->failed) ? -EIO : copy_pass(merge);

	if (!error)
		error = qcow2_commit_all(merge->below.writer);
	return error ? error : empty_top(merge->target->writer);
}

void qcow2_merge_suspend(struct qcow2_merge *merge)
{
	struct qcow2_writer *writer = merge->below.writer;

	if (list_empty(&writer->in_writers))
		return;
	WRITE_ONCE(merge->stop, true);
	cancel_delayed_work_sync(&merge->work);
	WRITE_ONCE(merge->stop, false);
	if (merge->finish && merge->state == QCOW2_MERGE_READY) {
		int error = finish(merge);

		if (error)
			fail(merge, error);
		else
			WRITE_ONCE(merge->state, QCOW2_MERGE_DONE);
	}
	qcow2_writer_stop(writer);
	qcow2_writer_disown(writer);
}
