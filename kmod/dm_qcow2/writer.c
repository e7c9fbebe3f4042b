// SPDX-License-Identifier: GPL-2.0-only
/* What a top image that is written needs. */
#include <linux/device-mapper.h>
#include <linux/slab.h>

#include "overlap.h"

void qcow2_writer_fail(struct qcow2_writer *writer, const char *what, int error)
{
	if (cmpxchg(&writer->failed, false, true))
		return;
	writer->error = error;
	/* Pairs with show_errors(). */
	smp_store_release(&writer->reason, what);
	DMERR("%s: %s (%d): nothing is written any more", dm_table_device_name(writer->target->ti->table), what, error);
	wake_up_all(&writer->committed);
	dm_table_event(writer->target->ti->table);
}

int qcow2_writer_corrupt(struct qcow2_writer *writer, const char *what)
{
	WRITE_ONCE(writer->is_corrupt, true);
	qcow2_writer_fail(writer, what, -EUCLEAN);
	mod_delayed_work(writer->commits, &writer->commit, 0);
	return -EIO;
}

static bool try_claim(struct qcow2_writer *writer, struct qcow2_claim *claim)
{
	const struct qcow2_claim *other;
	bool is_free = true;

	spin_lock(&writer->claims_lock);
	list_for_each_entry(other, &writer->claims, in_claims)
		if (other->first <= claim->last && claim->first <= other->last)
			is_free = false;
	if (is_free)
		list_add(&claim->in_claims, &writer->claims);
	spin_unlock(&writer->claims_lock);
	return is_free;
}

void qcow2_claim(struct qcow2_writer *writer, struct qcow2_claim *claim, u64 first, u64 last)
{
	claim->first = first;
	claim->last = last;
	wait_event(writer->claims_left, try_claim(writer, claim));
}

void qcow2_claim_end(struct qcow2_writer *writer, struct qcow2_claim *claim)
{
	spin_lock(&writer->claims_lock);
	list_del(&claim->in_claims);
	spin_unlock(&writer->claims_lock);
	wake_up_all(&writer->claims_left);
}

static struct qcow2_spare_buffer *take_spare(struct qcow2_writer *writer)
{
	struct qcow2_spare_buffer *spare;

	spin_lock(&writer->spare_lock);
	spare = list_first_entry_or_null(&writer->spare, struct qcow2_spare_buffer, in_spare);
	if (spare)
		list_del(&spare->in_spare);
	spin_unlock(&writer->spare_lock);
	return spare;
}

struct qcow2_spare_buffer *qcow2_buffer_get(struct qcow2_writer *writer)
{
	struct qcow2_spare_buffer *spare;

	wait_event(writer->spare_returned, (spare = take_spare(writer)));
	return spare;
}

void qcow2_buffer_put(struct qcow2_writer *writer, struct qcow2_spare_buffer *spare)
{
	spin_lock(&writer->spare_lock);
	list_add(&spare->in_spare, &writer->spare);
	spin_unlock(&writer->spare_lock);
	wake_up(&writer->spare_returned);
}

static int init_buffers(struct qcow2_writer *writer)
{
	unsigned int i;

	for (i = 0; i < QCOW2_BUFFERS; i++) {
		int error = qcow2_buffer_alloc(&writer->buffers[i].buffer, QCOW2_BUFFER_BYTES);

		if (error)
			return error;
		list_add(&writer->buffers[i].in_spare, &writer->spare);
	}
	return qcow2_buffer_alloc(&writer->copy, QCOW2_BUFFER_BYTES) ||
			       qcow2_buffer_alloc(&writer->l2_copy, QCOW2_L2_BATCH * QCOW2_SLICE_BYTES) ?
		       -ENOMEM :
		       0;
}

int qcow2_writer_init(struct qcow2_target *target)
{
	struct qcow2_writer *writer = kvzalloc(sizeof(*writer), GFP_KERNEL);

	if (!writer)
		return -ENOMEM;
	target->writer = writer;
	writer->target = target;
	writer->top = &target->images[0];
	writer->data = qcow2_image_data(writer->top);
	INIT_LIST_HEAD(&writer->in_writers);
	mutex_init(&writer->refs_lock);
	mutex_init(&writer->l1_lock);
	spin_lock_init(&writer->claims_lock);
	INIT_LIST_HEAD(&writer->claims);
	init_waitqueue_head(&writer->claims_left);
	spin_lock_init(&writer->writes_lock);
	INIT_LIST_HEAD(&writer->writes);
	INIT_LIST_HEAD(&writer->parked);
	INIT_LIST_HEAD(&writer->queued);
	spin_lock_init(&writer->spare_lock);
	INIT_LIST_HEAD(&writer->spare);
	init_waitqueue_head(&writer->spare_returned);
	spin_lock_init(&writer->commit_lock);
	INIT_LIST_HEAD(&writer->durable);
	INIT_DELAYED_WORK(&writer->commit, qcow2_commit_run);
	init_waitqueue_head(&writer->committed);
	writer->frees.list = kvcalloc(QCOW2_MAX_FREES, sizeof(*writer->frees.list), GFP_KERNEL);
	writer->freeing.list = kvcalloc(QCOW2_MAX_FREES, sizeof(*writer->freeing.list), GFP_KERNEL);
	writer->commits = alloc_workqueue("dm-qcow2-commit", WQ_MEM_RECLAIM | WQ_UNBOUND, 1);
	if (!writer->frees.list || !writer->freeing.list || !writer->commits)
		return -ENOMEM;
	/* A block is a page at most. */
	return mempool_init_page_pool(&writer->blocks, QCOW2_BLOCKS, 0) ?: init_buffers(writer);
}

void qcow2_writer_exit(struct qcow2_target *target)
{
	struct qcow2_writer *writer = target->writer;
	unsigned int i;

	if (!writer)
		return;
	if (writer->commits) {
		cancel_delayed_work_sync(&writer->commit);
		destroy_workqueue(writer->commits);
	}
	for (i = 0; i < QCOW2_BUFFERS; i++)
		qcow2_buffer_free(&writer->buffers[i].buffer);
	mempool_exit(&writer->blocks);
	qcow2_buffer_free(&writer->copy);
	qcow2_buffer_free(&writer->l2_copy);
	kvfree(writer->frees.list);
	kvfree(writer->freeing.list);
	kvfree(writer->reftable);
	qcow2_overlap_free(writer);
	bitmap_free(writer->l1_dirty);
	kvfree(writer);
	target->writer = NULL;
}
