// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes of parts of a block. The disk has sectors of 512 bytes, as the guest that the image was made for knows it; where the
 * file is written past the page cache in larger blocks, the rest of such a block is read first and written with it. Meanwhile
 * nobody else may write there: who shares a block with a write of a part of it is done before or after that one.
 */
#include "request.h"
#include "writer.h"

static u32 block_of(const struct qcow2_writer *writer)
{
	return writer->data->block;
}

static bool is_partial(const struct qcow2_request *request)
{
	return (request->at | request->bytes) & (block_of(request->target->writer) - 1);
}

static bool share_block(const struct qcow2_request *a, const struct qcow2_request *b)
{
	u32 block = block_of(a->target->writer);

	return round_down(a->at, block) < b->at + b->bytes && round_down(b->at, block) < a->at + a->bytes;
}

/* Whether one of those that came before has to be done first. */
static bool waits_for(const struct list_head *requests, const struct qcow2_request *request)
{
	const struct qcow2_request *other;

	list_for_each_entry(other, requests, in_writes)
		if ((is_partial(other) || is_partial(request)) && share_block(other, request))
			return true;
	return false;
}

/* Return: whether it can be done now. The lock is held. */
static bool admit(struct qcow2_writer *writer, struct qcow2_request *request)
{
	/* Without a partial write among them nobody has to be looked for. */
	bool waits = (writer->nr_partial || is_partial(request)) &&
		     (waits_for(&writer->writes, request) || waits_for(&writer->parked, request));

	writer->nr_partial += is_partial(request);
	list_add_tail(&request->in_writes, waits ? &writer->parked : &writer->writes);
	return !waits;
}

bool qcow2_partial_begin(struct qcow2_request *request)
{
	struct qcow2_writer *writer = request->target->writer;
	unsigned long flags;
	bool is_admitted;

	request->is_ordered = writer && request->op != QCOW2_OP_READ && request->op != QCOW2_OP_FLUSH &&
			      block_of(writer) > SECTOR_SIZE;
	if (!request->is_ordered)
		return true;
	spin_lock_irqsave(&writer->writes_lock, flags);
	is_admitted = admit(writer, request);
	spin_unlock_irqrestore(&writer->writes_lock, flags);
	return is_admitted;
}

void qcow2_partial_end(struct qcow2_request *request)
{
	struct qcow2_writer *writer = request->target->writer;
	struct qcow2_request *other, *next;
	LIST_HEAD(parked);
	LIST_HEAD(ready);
	unsigned long flags;

	if (!request->is_ordered)
		return;
	spin_lock_irqsave(&writer->writes_lock, flags);
	list_del(&request->in_writes);
	writer->nr_partial -= is_partial(request);
	list_splice_init(&writer->parked, &parked);
	list_for_each_entry_safe(other, next, &parked, in_writes) {
		list_del(&other->in_writes);
		writer->nr_partial -= is_partial(other);
		if (admit(writer, other))
			list_add_tail(&other->in_list, &ready);
	}
	spin_unlock_irqrestore(&writer->writes_lock, flags);
	list_for_each_entry_safe(other, next, &ready, in_list)
		qcow2_request_queue(other);
}

int qcow2_partial_write(struct qcow2_request *request, u64 end)
{
	struct qcow2_writer *writer = request->target->writer;
	u32 block = block_of(writer);
	u64 at = request->at + request->done, from = round_down(at, block);
	u32 bytes = min(end, from + block) - at;
	/* Comes back without this thread: who has one waits for nobody who waits for one. */
	struct page *page = mempool_alloc(&writer->blocks, GFP_NOIO);
	struct bio_vec vec = { .bv_page = page, .bv_len = block };
	struct qcow2_buffer buffer = { .data = page_address(page), .vecs = &vec, .bytes = block };
	struct qcow2_request whole = {
		.target = request->target,
		.op = QCOW2_OP_WRITE,
		.is_block = true,
		.at = from,
		.bytes = block,
		.vecs = &vec,
		.memory = { .bi_size = block },
	};
	bool is_hole;
	int error = qcow2_target_read(request->target, &buffer, from, block, &is_hole);

	if (!error && request->op == QCOW2_OP_WRITE)
		qcow2_memory_copy_out(request, request->done, buffer.data + (at - from), bytes);
	else
		memset(buffer.data + (at - from), 0, bytes);
	while (!error && whole.done < whole.bytes)
		error = qcow2_write_range(&whole, from + block, true);
	mempool_free(page, &writer->blocks);
	if (!error)
		request->done += bytes;
	return error;
}
