/* SPDX-License-Identifier: GPL-2.0-only */
/* Metadata of a chain's images in memory: slices of L2 tables and refcount blocks. */
#ifndef DM_QCOW2_CACHE_H
#define DM_QCOW2_CACHE_H

#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/shrinker.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "file.h"

/* A slice is a cluster, or a part of it of that size. */
#define QCOW2_SLICE_BYTES 4096

/* Slices that are never given back: more than all workers together can hold. */
#define QCOW2_CACHE_RESERVE 512
#define QCOW2_CACHE_DEFAULT_KIB 8192U
#define QCOW2_CACHE_MAX_KIB (4U << 20)

/* What is written in which order; docs/dm_qcow2.md tells why. */
enum qcow2_order {
	QCOW2_REFCOUNTS,
	QCOW2_L2,
	QCOW2_ORDERS,
};

/* Part of a table as it is in a file, or shall be. Who has got it with qcow2_cache_get() is a user. */
struct qcow2_slice {
	/* All under the cache's lock. */
	struct hlist_node in_bucket;
	struct list_head in_age;
	unsigned int users;
	bool used_lately;
	bool is_known;
	/* Changed since it was read or last taken to be written. */
	bool is_dirty;
	int error;

	/* What it is of; changes only while nobody uses it. */
	const struct qcow2_file *file;
	u64 at;
	u32 bytes;

	/* Guards the content of data once the slice is loaded. */
	spinlock_t lock;
	struct page *page;
	u8 *data;
	/* Bit QCOW2_SLICE_LOADING: its first user still reads it. */
	unsigned long state;
};

struct qcow2_cache {
	/* Guards everything below but what is said to be constant, and what is said so of a slice. */
	spinlock_t lock;
	struct hlist_head *buckets;
	u32 bucket_bits;		/* constant */
	/* Slices that are of no file, and the others from the one not used for longest on. */
	struct list_head empty;
	struct list_head age;
	/* Slices that are dirty, and those of L2 tables that the commit under way will write. */
	struct list_head dirty[QCOW2_ORDERS];
	struct list_head committing;
	unsigned int nr_dirty;
	unsigned int nr;
	unsigned int limit;		/* constant */
	struct shrinker *shrinker;	/* constant */
	u64 hits;
	u64 misses;
};

/* Makes a cache of at most @kib, at least the reserve. Return: 0 or -ENOMEM. */
int qcow2_cache_init(struct qcow2_cache *cache, u32 kib);
/* No slice has a user any more. Takes one that is all zeros, too. */
void qcow2_cache_exit(struct qcow2_cache *cache);

/**
 * qcow2_cache_get() - finds or reads a slice
 * @at: of the slice in the file: a multiple of @bytes
 * @bytes: a power of two up to QCOW2_SLICE_BYTES; the same for all slices that overlap
 * @wait: whether it may wait for memory and the file
 * @found: the slice, to be given back with qcow2_cache_put()
 *
 * Return: 0; -EAGAIN: it would have to wait; -EIO: it lies behind the end of the file; other errors of reading.
 */
int qcow2_cache_get(struct qcow2_cache *cache, const struct qcow2_file *file, u64 at, u32 bytes, bool wait,
		    struct qcow2_slice **found);
void qcow2_cache_put(struct qcow2_cache *cache, struct qcow2_slice *slice);

/* Forgets all slices, changed ones, too. Nobody uses any. */
void qcow2_cache_drop(struct qcow2_cache *cache);

/* Forgets what is known of a part of a file, which was free until now and gets another content. */
void qcow2_cache_forget(struct qcow2_cache *cache, const struct qcow2_file *file, u64 at, u64 bytes, u32 slice_bytes);

/* Tells that a slice was changed. The caller uses it, and does not hold its lock. */
void qcow2_cache_changed(struct qcow2_cache *cache, struct qcow2_slice *slice, enum qcow2_order order);

/* Whether so much is dirty that it has to be written before more gets so. */
bool qcow2_cache_is_full(struct qcow2_cache *cache);

/* Lets qcow2_cache_take() hand out the L2 slices that are dirty now, once each, and later ones next time. */
void qcow2_cache_begin_commit(struct qcow2_cache *cache);

/*
 * Hands out slices to be written, which count as unchanged from now on and are to be given back with qcow2_cache_put().
 * Return: how many.
 */
unsigned int qcow2_cache_take(struct qcow2_cache *cache, enum qcow2_order order, struct qcow2_slice **slices,
			      unsigned int room);

#endif
