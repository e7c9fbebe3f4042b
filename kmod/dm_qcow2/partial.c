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

static bool conflict(const struct qcow2_request *a, const struct qcow2_request *b)
{
	return (is_partial(a) || is_partial(b)) && share_block(a, b);
}

/* Whether one of those that came before has to be done first. */
static bool is_blocked(const struct qcow2_writer *writer, const struct qcow2_request *request)
{
	const struct qcow2_request *other;

	list_for_each_entry(other, &writer->writes, in_writes)
		if (conflict(other, request))
			return true;
	list_for_each_entry(other, &writer->parked, in_writes) {
		if (other == request)
			break;
		if (conflict(other, request))
			return true;
	}
	return false;
}

/* Without a partial write among them nobody has to be looked for. */
static bool is_compared(const struct qcow2_writer *writer, const struct qcow2_request *request)
{
	return writer->nr_partial || is_partial(request);
}

static bool has_room(const struct qcow2_writer *writer, const struct qcow2_request *request)
{
	return writer->nr_writes < QCOW2_MAX_COMPARED || !is_compared(writer, request);
}

/* Return: whether it can be done now. The lock is held. */
static bool admit(struct qcow2_writer *writer, struct qcow2_request *request)
{
	bool waits = is_compared(writer, request) && is_blocked(writer, request);

	writer->nr_writes++;
	writer->nr_partial += is_partial(request);
	list_add_tail(&request->in_writes, waits ? &writer->parked : &writer->writes);
	return !waits;
}

bool qcow2_partial_begin(struct qcow2_request *request)
{
	struct qcow2_writer *writer = request->target->writer;
	bool is_admitted = false;
	unsigned long flags;

	request->is_ordered = writer && request->op != QCOW2_OP_READ && request->op != QCOW2_OP_FLUSH &&
			      block_of(writer) > SECTOR_SIZE;
	if (!request->is_ordered)
		return true;
	spin_lock_irqsave(&writer->writes_lock, flags);
	if (list_empty(&writer->queued) && has_room(writer, request))
		is_admitted = admit(writer, request);
	else
		list_add_tail(&request->in_writes, &writer->queued);
	spin_unlock_irqrestore(&writer->writes_lock, flags);
	return is_admitted;
}

/* Of those that wait for a request that has ended, who need not wait any more. */
static void unpark(struct qcow2_writer *writer, const struct qcow2_request *ended, struct list_head *ready)
{
	struct qcow2_request *other, *next;

	list_for_each_entry_safe(other, next, &writer->parked, in_writes) {
		if (!conflict(other, ended) || is_blocked(writer, other))
			continue;
		list_move_tail(&other->in_writes, &writer->writes);
		list_add_tail(&other->in_list, ready);
	}
}

/* Fills the room that there is: what is let in ends, too, and lets in others. */
static void let_in(struct qcow2_writer *writer, struct list_head *ready)
{
	unsigned int turn;

	for (turn = 0; turn < QCOW2_MAX_COMPARED; turn++) {
		struct qcow2_request *first = list_first_entry_or_null(&writer->queued, struct qcow2_request, in_writes);

		if (!first || !has_room(writer, first))
			break;
		list_del(&first->in_writes);
		if (admit(writer, first))
			list_add_tail(&first->in_list, ready);
	}
}

void qcow2_partial_end(struct qcow2_request *request)
{
	struct qcow2_writer *writer = request->target->writer;
	struct qcow2_request *other, *next;
	unsigned long flags;
	LIST_HEAD(ready);

	if (!request->is_ordered)
		return;
	spin_lock_irqsave(&writer->writes_lock, flags);
	list_del(&request->in_writes);
	writer->nr_writes--;
	writer->nr_partial -= is_partial(request);
	unpark(writer, request, &ready);
	let_in(writer, &ready);
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
