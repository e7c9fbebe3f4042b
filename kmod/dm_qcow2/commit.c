// SPDX-License-Identifier: GPL-2.0-only
/*
 * Commits: what was changed in memory becomes durable in an order in which no crash leaves more than leaked clusters.
 *
 *	1. L2 slices and parts of the L1 table are copied as they are: all data that they lead to has been written.
 *	2. Refcounts are written. A sync makes them and the data durable, and new L2 tables.
 *	3. The copied L2 slices are written, and after another sync the parts of the L1 table.
 *	4. A sync. Who waits for the commit ends.
 *	5. Nothing durable leads to what was unmapped before 1: its references are dropped, in memory.
 *
 * There is one commit at a time. A request that waits for one that runs already waits for the next, too.
 */

#include "request.h"
#include "thread.h"
#include "writer.h"

/* Slices of refcounts written at once: all that the copy has room for. */
#define QCOW2_BATCH (QCOW2_BUFFER_BYTES / QCOW2_SLICE_BYTES)

/* Changes that nobody waits for are committed after that time. */
#define QCOW2_COMMIT_DELAY (5 * HZ)

static int sync_file(struct qcow2_writer *writer)
{
	int error = writer->top->has_data_file ? vfs_fsync(writer->data->file, 1) : 0;

	return error ? error : vfs_fsync(writer->top->file.file, 1);
}

/* Slices as they are now; their content changes while the copies are written. */
static void copy_slices(struct qcow2_buffer *copy, struct qcow2_slice **slices, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		spin_lock(&slices[i]->lock);
		memcpy(copy->data + i * QCOW2_SLICE_BYTES, slices[i]->data, slices[i]->bytes);
		spin_unlock(&slices[i]->lock);
	}
}

/* Slices that lie one behind the other go in one transfer. */
static int write_slices(struct qcow2_buffer *copy, struct qcow2_slice **slices, unsigned int nr)
{
	unsigned int i, run;
	int error = 0;

	/* A vector of the buffer, one a page, is a slice. */
	BUILD_BUG_ON(PAGE_SIZE != QCOW2_SLICE_BYTES);
	for (i = 0; i < nr && !error; i += run) {
		run = 1;
		while (i + run < nr && slices[i]->bytes == QCOW2_SLICE_BYTES &&
		       slices[i + run]->at == slices[i]->at + run * QCOW2_SLICE_BYTES)
			run++;
		error = qcow2_file_write(slices[i]->file, &copy->vecs[i], run * slices[i]->bytes, slices[i]->at);
	}
	return error;
}

static void put_slices(struct qcow2_writer *writer, struct qcow2_slice **slices, unsigned int nr)
{
	while (nr--)
		qcow2_cache_put(&writer->target->cache, slices[nr]);
}

/* Whatever a count is when it is written: it is never below what the file's metadata needs. */
static int write_refcounts(struct qcow2_writer *writer)
{
	struct qcow2_slice *slices[QCOW2_BATCH];
	int error = 0;

	while (!error) {
		unsigned int nr = qcow2_cache_take(&writer->target->cache, QCOW2_REFCOUNTS, slices, QCOW2_BATCH);

		if (!nr)
			break;
		copy_slices(&writer->copy, slices, nr);
		error = write_slices(&writer->copy, slices, nr);
		put_slices(writer, slices, nr);
	}
	return error;
}

int qcow2_commit_counts(struct qcow2_writer *writer)
{
	int error = write_refcounts(writer);

	return error ? error : sync_file(writer);
}

/* The next dirty part of the L1 table as it is now; -1: there is none. */
static int copy_l1_part(struct qcow2_writer *writer, struct qcow2_buffer *buffer)
{
	u32 per_part = writer->top->slice_bytes / sizeof(u64);
	unsigned long part;
	u32 i;

	mutex_lock(&writer->l1_lock);
	part = find_first_bit(writer->l1_dirty, writer->l1_parts);
	if (part < writer->l1_parts) {
		__clear_bit(part, writer->l1_dirty);
		for (i = 0; i < per_part; i++) {
			u32 index = part * per_part + i;
			u64 entry = index < writer->top->l1_entries ? writer->top->l1[index] : 0;

			qcow2_put_be64(buffer->data + i * sizeof(u64), entry);
		}
	}
	mutex_unlock(&writer->l1_lock);
	return part < writer->l1_parts ? (int)part : -1;
}

/* One part of the L1 table after the other: its tables' content and counts first, then itself. */
static int commit_l1(struct qcow2_writer *writer)
{
	struct qcow2_spare_buffer *spare = qcow2_buffer_get(writer);
	int error = 0;

	while (!error) {
		int part = copy_l1_part(writer, &spare->buffer);

		if (part < 0)
			break;
		error = qcow2_commit_counts(writer);
		if (!error)
			error = qcow2_file_write(&writer->top->file, spare->buffer.vecs, writer->top->slice_bytes,
						 writer->top->header.l1_at + (u64)part * writer->top->slice_bytes);
	}
	qcow2_buffer_put(writer, spare);
	return error;
}

static int commit_l2(struct qcow2_writer *writer)
{
	int error = 0;

	while (!error) {
		unsigned int nr = qcow2_cache_take(&writer->target->cache, QCOW2_L2, writer->slices, QCOW2_L2_BATCH);

		if (!nr)
			break;
		copy_slices(&writer->l2_copy, writer->slices, nr);
		error = qcow2_commit_counts(writer);
		if (!error)
			error = write_slices(&writer->l2_copy, writer->slices, nr);
		put_slices(writer, writer->slices, nr);
	}
	return error;
}

static int drop_frees(struct qcow2_writer *writer)
{
	unsigned int i;
	int error = 0;

	if (!writer->freeing.nr)
		return 0;
	/* Who has looked a mapping up before it went may still read or write there. */
	qcow2_grace_wait(writer->target->grace);
	for (i = 0; i < writer->freeing.nr && !error; i++) {
		/* Each may make another slice dirty, and only this thread makes them clean. */
		if (qcow2_cache_is_full(&writer->target->cache))
			error = write_refcounts(writer);
		if (!error)
			error = qcow2_refs_drop(writer, writer->freeing.list[i].at, writer->freeing.list[i].bytes);
	}
	writer->freeing.nr = 0;
	return error;
}

static int commit(struct qcow2_writer *writer)
{
	int error = commit_l2(writer);

	/* A table that was copied or made gets its place in the L1 table last. */
	if (!error)
		error = commit_l1(writer);
	return error ? error : qcow2_commit_counts(writer);
}

static int set_corrupt_bit(struct qcow2_writer *writer)
{
	u32 bytes = max_t(u32, writer->top->file.block, SECTOR_SIZE);
	struct qcow2_buffer *buffer = &writer->copy;
	u64 bits;
	long ret;

	writer->is_corrupt = false;
	if (writer->top->header.version < 3)
		return 0;
	ret = qcow2_file_read(&writer->top->file, buffer->vecs, bytes, 0);
	if (ret < (long)bytes)
		return -EIO;
	bits = qcow2_be64(buffer->data + QCOW2_AT_INCOMPAT) | QCOW2_INCOMPAT_CORRUPT;
	qcow2_put_be64(buffer->data + QCOW2_AT_INCOMPAT, bits);
	ret = qcow2_file_write(&writer->top->file, buffer->vecs, bytes, 0);
	return ret ? ret : sync_file(writer);
}

/* Return: whether all that was changed before is durable: 0 or a negative errno. */
static int try_commit(struct qcow2_writer *writer)
{
	int error;

	if (READ_ONCE(writer->failed))
		return -EIO;
	/* What is unmapped from now on is not freed by this commit. */
	spin_lock_irq(&writer->commit_lock);
	swap(writer->frees, writer->freeing);
	spin_unlock_irq(&writer->commit_lock);
	qcow2_cache_begin_commit(&writer->target->cache);
	error = commit(writer);
	if (error)
		qcow2_writer_fail(writer, "metadata can not be written", error);
	atomic64_inc(&writer->nr_commits);
	return error;
}

void qcow2_commit_run(struct work_struct *work)
{
	struct qcow2_writer *writer = container_of(to_delayed_work(work), struct qcow2_writer, commit);
	unsigned int flags = qcow2_thread_begin();
	LIST_HEAD(durable);
	int error;

	spin_lock_irq(&writer->commit_lock);
	list_splice_init(&writer->durable, &durable);
	spin_unlock_irq(&writer->commit_lock);
	error = try_commit(writer);
	qcow2_requests_end(&durable, error);
	if (!error) {
		error = drop_frees(writer);
		if (error)
			qcow2_writer_fail(writer, "references can not be dropped", error);
	}
	if (!error && READ_ONCE(writer->grow_to)) {
		writer->grow_error = qcow2_grow(writer, writer->grow_to);
		WRITE_ONCE(writer->grow_to, 0);
	}
	if (READ_ONCE(writer->is_corrupt) && set_corrupt_bit(writer))
		DMERR("an image can not be marked as corrupt");
	/* Counts that were lowered in the end. */
	if (!error && READ_ONCE(writer->target->cache.nr_dirty))
		qcow2_commit_soon(writer);
	wake_up_all(&writer->committed);
	qcow2_thread_end(flags);
}

void qcow2_commit_add(struct qcow2_writer *writer, struct list_head *in_durable)
{
	unsigned long flags;

	spin_lock_irqsave(&writer->commit_lock, flags);
	list_add_tail(in_durable, &writer->durable);
	/* Under the lock: once a commit has taken it from the list, the device may go. */
	mod_delayed_work(writer->commits, &writer->commit, 0);
	spin_unlock_irqrestore(&writer->commit_lock, flags);
}

void qcow2_commit_free(struct qcow2_writer *writer, u64 at, u64 bytes)
{
	struct qcow2_frees *frees = &writer->frees;
	struct qcow2_place *last;

	spin_lock_irq(&writer->commit_lock);
	last = frees->nr ? &frees->list[frees->nr - 1] : NULL;
	if (last && last->at + last->bytes == at && !((at | bytes) & (qcow2_cluster_bytes(&writer->top->header) - 1)))
		last->bytes += bytes;
	else if (frees->nr < QCOW2_MAX_FREES)
		frees->list[frees->nr++] = (struct qcow2_place){ at, bytes };
	/* Else it is leaked. */
	spin_unlock_irq(&writer->commit_lock);
}

static bool has_room(struct qcow2_writer *writer)
{
	return READ_ONCE(writer->failed) || (READ_ONCE(writer->frees.nr) < QCOW2_MAX_FREES / 2 &&
					     !qcow2_cache_is_full(&writer->target->cache));
}

void qcow2_commit_throttle(struct qcow2_writer *writer)
{
	/* One commit need not do: what it frees makes counts dirty, and others go on. */
	while (!has_room(writer)) {
		mod_delayed_work(writer->commits, &writer->commit, 0);
		wait_event_timeout(writer->committed, has_room(writer), HZ);
	}
}

void qcow2_commit_soon(struct qcow2_writer *writer)
{
	queue_delayed_work(writer->commits, &writer->commit, QCOW2_COMMIT_DELAY);
}

int qcow2_commit_all(struct qcow2_writer *writer)
{
	/* The first drops references, the second writes the counts; dropping may drop no more. */
	unsigned int turn;

	for (turn = 0; turn < 3 && !READ_ONCE(writer->failed); turn++) {
		mod_delayed_work(writer->commits, &writer->commit, 0);
		flush_delayed_work(&writer->commit);
	}
	return READ_ONCE(writer->failed) ? -EIO : 0;
}

int qcow2_commit_grow(struct qcow2_writer *writer, u64 size)
{
	int error;

	writer->grow_error = -EIO;
	WRITE_ONCE(writer->grow_to, size);
	error = qcow2_commit_all(writer);
	WRITE_ONCE(writer->grow_to, 0);
	return error ? error : writer->grow_error;
}
