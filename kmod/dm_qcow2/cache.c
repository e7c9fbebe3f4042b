// SPDX-License-Identifier: GPL-2.0-only
/*
 * Metadata in memory. Up to its limit the cache takes memory where that is to be had without effort; a number of slices is
 * its own from the start, so that requests go on when there is none. What is used again is kept longer (second chance).
 */
#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "cache.h"

#define QCOW2_SLICE_LOADING 0

static struct qcow2_slice *new_slice(gfp_t gfp)
{
	struct qcow2_slice *slice = kzalloc(sizeof(*slice), gfp);

	if (!slice)
		return NULL;
	slice->page = alloc_page(gfp);
	if (!slice->page) {
		kfree(slice);
		return NULL;
	}
	slice->data = page_address(slice->page);
	spin_lock_init(&slice->lock);
	return slice;
}

static void free_slice(struct qcow2_slice *slice)
{
	__free_page(slice->page);
	kfree(slice);
}

static struct hlist_head *bucket_of(struct qcow2_cache *cache, const struct qcow2_file *file, u64 at)
{
	return &cache->buckets[hash_64(at ^ (unsigned long)file, cache->bucket_bits)];
}

static struct qcow2_slice *find(struct qcow2_cache *cache, const struct qcow2_file *file, u64 at)
{
	struct qcow2_slice *slice;

	hlist_for_each_entry(slice, bucket_of(cache, file, at), in_bucket)
		if (slice->at == at && slice->file == file)
			return slice;
	return NULL;
}

/* Makes a slice that nobody uses one of no file. The caller puts it on a list. */
static void forget(struct qcow2_slice *slice)
{
	if (slice->is_known)
		hlist_del(&slice->in_bucket);
	slice->is_known = false;
	slice->is_dirty = false;
	list_del(&slice->in_age);
	slice->file = NULL;
}

/* The slice not used for longest, which is forgotten; NULL: all are in use. */
static struct qcow2_slice *take_oldest(struct qcow2_cache *cache)
{
	unsigned int turns = 2 * cache->nr;

	while (turns-- && !list_empty(&cache->age)) {
		struct qcow2_slice *slice = list_first_entry(&cache->age, struct qcow2_slice, in_age);

		if (slice->users || slice->used_lately) {
			slice->used_lately = false;
			list_move_tail(&slice->in_age, &cache->age);
			continue;
		}
		forget(slice);
		return slice;
	}
	return NULL;
}

static struct qcow2_slice *take_empty(struct qcow2_cache *cache)
{
	struct qcow2_slice *slice = list_first_entry_or_null(&cache->empty, struct qcow2_slice, in_age);

	if (slice)
		list_del(&slice->in_age);
	return slice;
}

static bool grow(struct qcow2_cache *cache)
{
	struct qcow2_slice *slice = new_slice(GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN);

	if (!slice)
		return false;
	spin_lock(&cache->lock);
	list_add(&slice->in_age, &cache->empty);
	cache->nr++;
	spin_unlock(&cache->lock);
	return true;
}

/*
 * Finds a slice, or makes one that its caller has to read.
 * Return: NULL when there is none to be had now.
 */
static struct qcow2_slice *find_or_begin(struct qcow2_cache *cache, const struct qcow2_file *file, u64 at, u32 bytes,
					 bool begin, bool *begun)
{
	struct qcow2_slice *slice;

	*begun = false;
	spin_lock(&cache->lock);
	slice = find(cache, file, at);
	if (slice) {
		slice->users++;
		slice->used_lately = true;
		cache->hits++;
	} else if (begin) {
		slice = take_empty(cache);
		if (!slice && cache->nr >= cache->limit)
			slice = take_oldest(cache);
		*begun = slice;
	}
	if (*begun) {
		cache->misses++;
		slice->file = file;
		slice->at = at;
		slice->bytes = bytes;
		slice->users = 1;
		slice->used_lately = false;
		slice->error = 0;
		slice->is_known = true;
		__set_bit(QCOW2_SLICE_LOADING, &slice->state);
		hlist_add_head(&slice->in_bucket, bucket_of(cache, file, at));
		list_add_tail(&slice->in_age, &cache->age);
	}
	spin_unlock(&cache->lock);
	return slice;
}

static int read_slice(struct qcow2_slice *slice)
{
	struct bio_vec vec = { .bv_page = slice->page, .bv_len = slice->bytes };
	long ret = qcow2_file_read(slice->file, &vec, slice->bytes, slice->at);

	if (ret < 0)
		return ret;
	/* No table begins behind the end, though the last one may be cut there. */
	return ret ? 0 : -EIO;
}

static void load(struct qcow2_cache *cache, struct qcow2_slice *slice)
{
	int error = read_slice(slice);

	if (error) {
		spin_lock(&cache->lock);
		slice->error = error;
		/* Who asks next shall try again, unless it has been forgotten already. */
		if (slice->is_known)
			hlist_del(&slice->in_bucket);
		slice->is_known = false;
		spin_unlock(&cache->lock);
	}
	clear_bit_unlock(QCOW2_SLICE_LOADING, &slice->state);
	/* Pairs with the waiter's test of the bit after it has queued itself. */
	smp_mb__after_atomic();
	wake_up_bit(&slice->state, QCOW2_SLICE_LOADING);
}

/* Without a limit reached there is memory to ask for; else a slice becomes free, or the oldest is taken after all. */
static struct qcow2_slice *find_waiting(struct qcow2_cache *cache, const struct qcow2_file *file, u64 at, u32 bytes,
					bool *begun)
{
	struct qcow2_slice *slice;

	for (;;) {
		slice = find_or_begin(cache, file, at, bytes, true, begun);
		if (slice || *begun)
			return slice;
		if (READ_ONCE(cache->nr) < cache->limit && grow(cache))
			continue;
		spin_lock(&cache->lock);
		slice = take_oldest(cache);
		if (slice)
			list_add(&slice->in_age, &cache->empty);
		spin_unlock(&cache->lock);
		/* More workers than the reserve was made for: slices are held for short only. */
		if (!slice)
			schedule_timeout_uninterruptible(1);
	}
}

int qcow2_cache_get(struct qcow2_cache *cache, const struct qcow2_file *file, u64 at, u32 bytes, bool wait,
		    struct qcow2_slice **found)
{
	struct qcow2_slice *slice;
	bool begun;
	int error;

	slice = wait ? find_waiting(cache, file, at, bytes, &begun) :
		       find_or_begin(cache, file, at, bytes, false, &begun);
	if (!slice)
		return -EAGAIN;
	if (begun)
		load(cache, slice);
	if (test_bit(QCOW2_SLICE_LOADING, &slice->state)) {
		if (!wait) {
			qcow2_cache_put(cache, slice);
			return -EAGAIN;
		}
		wait_on_bit(&slice->state, QCOW2_SLICE_LOADING, TASK_UNINTERRUPTIBLE);
	}
	/* Pairs with clear_bit_unlock(). */
	smp_rmb();
	error = READ_ONCE(slice->error);
	if (error) {
		qcow2_cache_put(cache, slice);
		return error;
	}
	*found = slice;
	return 0;
}

void qcow2_cache_put(struct qcow2_cache *cache, struct qcow2_slice *slice)
{
	spin_lock(&cache->lock);
	slice->users--;
	if (!slice->users && !slice->is_known) {
		forget(slice);
		list_add(&slice->in_age, &cache->empty);
	}
	spin_unlock(&cache->lock);
}

static void drop_list(struct qcow2_cache *cache, struct list_head *list)
{
	struct qcow2_slice *slice, *next;

	list_for_each_entry_safe(slice, next, list, in_age) {
		forget(slice);
		list_add(&slice->in_age, &cache->empty);
	}
}

void qcow2_cache_drop(struct qcow2_cache *cache)
{
	unsigned int order;

	spin_lock(&cache->lock);
	drop_list(cache, &cache->age);
	drop_list(cache, &cache->committing);
	for (order = 0; order < QCOW2_ORDERS; order++)
		drop_list(cache, &cache->dirty[order]);
	cache->nr_dirty = 0;
	spin_unlock(&cache->lock);
}

void qcow2_cache_forget(struct qcow2_cache *cache, const struct qcow2_file *file, u64 at, u64 bytes, u32 slice_bytes)
{
	u64 end = at + bytes;

	for (; at < end; at += slice_bytes) {
		struct qcow2_slice *slice;

		spin_lock(&cache->lock);
		slice = find(cache, file, at);
		if (slice && slice->is_dirty) {
			slice->is_dirty = false;
			cache->nr_dirty--;
		}
		if (slice) {
			hlist_del(&slice->in_bucket);
			slice->is_known = false;
			list_move(&slice->in_age, &cache->age);
		}
		/* Who still uses it, with a mapping of before, frees it. */
		if (slice && !slice->users) {
			forget(slice);
			list_add(&slice->in_age, &cache->empty);
		}
		spin_unlock(&cache->lock);
	}
}

void qcow2_cache_changed(struct qcow2_cache *cache, struct qcow2_slice *slice, enum qcow2_order order)
{
	spin_lock(&cache->lock);
	if (slice->is_known && !slice->is_dirty) {
		slice->is_dirty = true;
		cache->nr_dirty++;
		list_move_tail(&slice->in_age, &cache->dirty[order]);
	}
	spin_unlock(&cache->lock);
}

bool qcow2_cache_is_full(struct qcow2_cache *cache)
{
	return READ_ONCE(cache->nr_dirty) >= min(cache->limit, READ_ONCE(cache->nr)) / 2;
}

void qcow2_cache_begin_commit(struct qcow2_cache *cache)
{
	spin_lock(&cache->lock);
	list_splice_tail_init(&cache->dirty[QCOW2_L2], &cache->committing);
	spin_unlock(&cache->lock);
}

unsigned int qcow2_cache_take(struct qcow2_cache *cache, enum qcow2_order order, struct qcow2_slice **slices,
			      unsigned int room)
{
	struct list_head *list = order == QCOW2_L2 ? &cache->committing : &cache->dirty[order];
	unsigned int nr = 0;

	spin_lock(&cache->lock);
	while (nr < room && !list_empty(list)) {
		struct qcow2_slice *slice = list_first_entry(list, struct qcow2_slice, in_age);

		slice->is_dirty = false;
		cache->nr_dirty--;
		slice->users++;
		list_move_tail(&slice->in_age, &cache->age);
		slices[nr++] = slice;
	}
	spin_unlock(&cache->lock);
	return nr;
}

static unsigned long count_free(struct shrinker *shrinker, struct shrink_control *control)
{
	struct qcow2_cache *cache = shrinker_owner(shrinker);
	unsigned int nr = READ_ONCE(cache->nr);

	return nr > QCOW2_CACHE_RESERVE ? nr - QCOW2_CACHE_RESERVE : 0;
}

static unsigned long shrink(struct shrinker *shrinker, struct shrink_control *control)
{
	struct qcow2_cache *cache = shrinker_owner(shrinker);
	unsigned long freed = 0;

	while (freed < control->nr_to_scan) {
		struct qcow2_slice *slice = NULL;

		spin_lock(&cache->lock);
		if (cache->nr > QCOW2_CACHE_RESERVE) {
			slice = take_empty(cache);
			if (!slice)
				slice = take_oldest(cache);
			cache->nr -= !!slice;
		}
		spin_unlock(&cache->lock);
		if (!slice)
			break;
		free_slice(slice);
		freed++;
	}
	return freed ? freed : SHRINK_STOP;
}

int qcow2_cache_init(struct qcow2_cache *cache, u32 kib)
{
	unsigned int i;

	spin_lock_init(&cache->lock);
	INIT_LIST_HEAD(&cache->empty);
	INIT_LIST_HEAD(&cache->age);
	INIT_LIST_HEAD(&cache->committing);
	for (i = 0; i < QCOW2_ORDERS; i++)
		INIT_LIST_HEAD(&cache->dirty[i]);
	cache->limit = max_t(u32, kib / (QCOW2_SLICE_BYTES / 1024), QCOW2_CACHE_RESERVE);
	cache->bucket_bits = ilog2(cache->limit);
	cache->buckets = kvcalloc(1UL << cache->bucket_bits, sizeof(*cache->buckets), GFP_KERNEL);
	if (!cache->buckets)
		return -ENOMEM;
	for (i = 0; i < QCOW2_CACHE_RESERVE; i++) {
		struct qcow2_slice *slice = new_slice(GFP_KERNEL);

		if (!slice)
			return -ENOMEM;
		list_add(&slice->in_age, &cache->empty);
		cache->nr++;
	}
	cache->shrinker = shrinker_start(count_free, shrink, cache);
	return cache->shrinker ? 0 : -ENOMEM;
}

void qcow2_cache_exit(struct qcow2_cache *cache)
{
	struct qcow2_slice *slice, *next;

	if (!cache->limit)
		return;
	if (cache->shrinker)
		shrinker_free(cache->shrinker);
	qcow2_cache_drop(cache);
	list_for_each_entry_safe(slice, next, &cache->empty, in_age)
		free_slice(slice);
	kvfree(cache->buckets);
	memset(cache, 0, sizeof(*cache));
}
