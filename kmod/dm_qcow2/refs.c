// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reference counts. A count goes up in memory before anything refers to its cluster, and is written before that is; it goes
 * down after nothing durable refers to it any more.
 */
#include "format/refcount.h"
#include "overlap.h"
#include "space.h"

/* Slices of counts that are searched without a break. */
#define QCOW2_SEARCH_SLICES 64

/* Counts that a slice of a block has. */
static u32 counts_in_slice(const struct qcow2_writer *writer)
{
	return (writer->top->slice_bytes * 8) >> qcow2_header_of(writer)->refcount_order;
}

/* The slice with a cluster's count. Its block exists. */
static int get_counts(struct qcow2_writer *writer, u64 cluster, struct qcow2_slice **slice)
{
	u64 block = writer->reftable[cluster >> qcow2_refblock_bits(qcow2_header_of(writer))] & QCOW2_REFTABLE_OFFSET_MASK;
	u64 index = cluster & (qcow2_counts_in_block(writer) - 1);
	u64 part = div_u64(index, counts_in_slice(writer)) * writer->top->slice_bytes;
	int error;

	/* No offset in a file has more than 56 bits, and none that is signed has 64. */
	if (block & (qcow2_cluster_bytes(qcow2_header_of(writer)) - 1) || block >> 56)
		return qcow2_writer_corrupt(writer, "offset of a refcount block");
	error = qcow2_cache_get(&writer->target->cache, &writer->top->file, block + part, writer->top->slice_bytes, true,
				slice);
	if (error)
		qcow2_writer_fail(writer, "a refcount block can not be read", error);
	return error;
}

/* Free clusters from the hint on, within a slice. Return: how many, 0: none there; or a negative errno. */
static int find_in_slice(struct qcow2_writer *writer, u32 wanted, u64 *first, struct qcow2_slice **found)
{
	u32 order = qcow2_header_of(writer)->refcount_order;
	u32 per_slice = counts_in_slice(writer);
	u32 from = writer->hint & (per_slice - 1);
	u32 nr = 0, i;
	int error = get_counts(writer, writer->hint, found);

	if (error)
		return error;
	/* Counts change under refs_lock only. */
	for (i = from; i < per_slice && nr < wanted; i++) {
		if (qcow2_refcount_get((*found)->data, i, order)) {
			if (nr)
				break;
			continue;
		}
		if (!nr++)
			*first = writer->hint - from + i;
	}
	if (!nr)
		qcow2_cache_put(&writer->target->cache, *found);
	return nr;
}

static void take_counts(struct qcow2_writer *writer, struct qcow2_slice *slice, u64 first, u32 nr)
{
	u32 order = qcow2_header_of(writer)->refcount_order;
	u32 from = first & (counts_in_slice(writer) - 1);
	u32 i;

	spin_lock(&slice->lock);
	for (i = 0; i < nr; i++)
		qcow2_refcount_set(slice->data, from + i, order, 1);
	spin_unlock(&slice->lock);
	qcow2_cache_changed(&writer->target->cache, slice, QCOW2_REFCOUNTS);
}

/* Free clusters from the hint on. Return: how many; 0: searched long enough for now; or a negative errno. */
static int find_free(struct qcow2_writer *writer, u32 wanted, u64 *first, struct qcow2_slice **slice)
{
	u32 per_slice = counts_in_slice(writer);
	unsigned int turn;

	for (turn = 0; turn < QCOW2_SEARCH_SLICES; turn++) {
		int ret;

		if (writer->hint >= 1ULL << (56 - qcow2_cluster_bits_of(writer)))
			return -EFBIG;
		if (!qcow2_reftable_has_block(writer, writer->hint)) {
			ret = qcow2_reftable_make_block(writer, writer->hint);
			if (ret)
				return ret;
			continue;
		}
		ret = find_in_slice(writer, wanted, first, slice);
		if (ret)
			return ret;
		writer->hint = round_down(writer->hint, per_slice) + per_slice;
	}
	return 0;
}

/* Return: 0, also with nothing got when the search has to go on; or a negative errno. */
static int alloc(struct qcow2_writer *writer, u32 wanted, u64 *at, u32 *got, bool *fresh)
{
	u32 bits = qcow2_cluster_bits_of(writer);
	struct qcow2_slice *slice;
	u64 first = 0, end;
	int nr = find_free(writer, wanted, &first, &slice);
	int error;

	*got = 0;
	if (nr <= 0)
		return nr;
	end = (first + nr) << bits;
	if (qcow2_place_is_in_use(writer, first << bits, (u64)nr << bits))
		error = qcow2_writer_corrupt(writer, "the refcount of a table is 0");
	else
		error = qcow2_space_ensure(writer, end);
	if (!error)
		take_counts(writer, slice, first, nr);
	qcow2_cache_put(&writer->target->cache, slice);
	if (error)
		return error;
	*at = first << bits;
	*got = nr;
	*fresh = *at >= writer->fresh;
	WRITE_ONCE(writer->fresh, max(writer->fresh, end));
	writer->hint = first + nr;
	atomic64_add(nr, &writer->allocated);
	return 0;
}

int qcow2_refs_alloc(struct qcow2_writer *writer, u32 wanted, u64 *at, u32 *got, bool *fresh)
{
	int error;

	do {
		mutex_lock(&writer->refs_lock);
		error = READ_ONCE(writer->failed) ? -EIO : alloc(writer, wanted, at, got, fresh);
		mutex_unlock(&writer->refs_lock);
		/* In a large file that is full others shall have the lock meanwhile. */
		cond_resched();
	} while (!error && !*got);
	return error;
}

/* Takes one cluster. Return: 1; 0: it is in use; or a negative errno. */
static int take_one(struct qcow2_writer *writer, u64 cluster, bool only_look)
{
	u32 index = cluster & (counts_in_slice(writer) - 1);
	struct qcow2_slice *slice;
	bool is_free;
	int error = get_counts(writer, cluster, &slice);

	if (error)
		return error;
	is_free = !qcow2_refcount_get(slice->data, index, qcow2_header_of(writer)->refcount_order);
	if (is_free && !only_look)
		take_counts(writer, slice, cluster, 1);
	qcow2_cache_put(&writer->target->cache, slice);
	return is_free;
}

/* The first of so many free clusters one behind the other, which all have a block that counts them. */
static int find_run(struct qcow2_writer *writer, u32 nr, u64 *first)
{
	u64 cluster = writer->fresh >> qcow2_cluster_bits_of(writer);
	u64 last = cluster + 3 * qcow2_counts_in_block(writer);
	u32 found = 0;

	while (found < nr) {
		int ret;

		if (cluster > last)
			return -EFBIG;
		if (!qcow2_reftable_has_block(writer, cluster)) {
			ret = qcow2_reftable_make_block(writer, cluster);
			if (ret)
				return ret;
			continue;
		}
		ret = take_one(writer, cluster, true);
		if (ret < 0)
			return ret;
		cluster++;
		found = ret ? found + 1 : 0;
	}
	*first = cluster - nr;
	return 0;
}

static int alloc_run(struct qcow2_writer *writer, u32 nr, u64 *at)
{
	u32 bits = qcow2_cluster_bits_of(writer), i;
	u64 first = 0;
	int error;

	/* Each block is the first of the clusters that it counts. */
	if (nr >= qcow2_counts_in_block(writer))
		return -EFBIG;
	error = find_run(writer, nr, &first);
	if (error)
		return error;
	if (qcow2_place_is_in_use(writer, first << bits, (u64)nr << bits))
		return qcow2_writer_corrupt(writer, "the refcount of a table is 0");
	error = qcow2_space_ensure(writer, (first + nr) << bits);
	for (i = 0; i < nr && !error; i++)
		error = min(take_one(writer, first + i, false), 0);
	if (error)
		return error;
	*at = first << bits;
	WRITE_ONCE(writer->fresh, max(writer->fresh, (first + nr) << bits));
	atomic64_add(nr, &writer->allocated);
	return 0;
}

int qcow2_refs_alloc_run(struct qcow2_writer *writer, u32 nr, u64 *at)
{
	int error;

	mutex_lock(&writer->refs_lock);
	error = READ_ONCE(writer->failed) ? -EIO : alloc_run(writer, nr, at);
	mutex_unlock(&writer->refs_lock);
	return error;
}

static int drop_one(struct qcow2_writer *writer, u64 cluster, bool *is_free)
{
	u32 order = qcow2_header_of(writer)->refcount_order;
	u32 index = cluster & (counts_in_slice(writer) - 1);
	struct qcow2_slice *slice;
	u64 count;
	int error;

	*is_free = false;
	if (!qcow2_reftable_has_block(writer, cluster))
		return qcow2_writer_corrupt(writer, "a cluster in use has no refcount");
	error = get_counts(writer, cluster, &slice);
	if (error)
		return error;
	spin_lock(&slice->lock);
	count = qcow2_refcount_get(slice->data, index, order);
	if (count)
		qcow2_refcount_set(slice->data, index, order, count - 1);
	spin_unlock(&slice->lock);
	if (count)
		qcow2_cache_changed(&writer->target->cache, slice, QCOW2_REFCOUNTS);
	qcow2_cache_put(&writer->target->cache, slice);
	if (!count)
		return qcow2_writer_corrupt(writer, "the refcount of a cluster in use is 0");
	*is_free = count == 1;
	return 0;
}

int qcow2_refs_drop(struct qcow2_writer *writer, u64 at, u64 bytes)
{
	u32 bits = qcow2_cluster_bits_of(writer);
	u64 cluster = at >> bits, last = (at + bytes - 1) >> bits;
	u64 free_at = 0, free_bytes = 0;
	int error = 0;

	mutex_lock(&writer->refs_lock);
	for (; cluster <= last && !error; cluster++) {
		bool is_free;

		error = drop_one(writer, cluster, &is_free);
		if (error || !is_free)
			continue;
		atomic64_inc(&writer->freed);
		writer->hint = min(writer->hint, cluster);
		if (free_bytes && free_at + free_bytes == cluster << bits) {
			free_bytes += 1ULL << bits;
			continue;
		}
		qcow2_space_punch(writer, free_at, free_bytes);
		free_at = cluster << bits;
		free_bytes = 1ULL << bits;
	}
	/* Before somebody else may get them: the lock is still held. */
	qcow2_space_punch(writer, free_at, free_bytes);
	mutex_unlock(&writer->refs_lock);
	return error;
}
