/* SPDX-License-Identifier: GPL-2.0-only */
/* What a top image that is written needs: its reference counts, claims on guest clusters, and commits. */
#ifndef DM_QCOW2_WRITER_H
#define DM_QCOW2_WRITER_H

#include <linux/bitmap.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>

#include "target.h"

/* Memory to fill clusters, to copy tables and to write metadata from. */
#define QCOW2_BUFFER_BYTES 65536U
#define QCOW2_BUFFERS 8

/* Blocks of which parts are written at once, whatever memory there is. */
#define QCOW2_BLOCKS 4

/* Requests that are compared with each other for blocks that they share: a device may have any number in flight. */
#define QCOW2_MAX_COMPARED 128U

/* Slices of L2 tables that are written between two syncs. */
#define QCOW2_L2_BATCH 256U

/* Clusters that a single allocation or discard takes. */
#define QCOW2_MAX_RUN 32U

/* Extents that wait to be freed; above half of it writers wait for a commit. */
#define QCOW2_MAX_FREES 8192U

/* A range of guest clusters whose mapping one thread changes. On its stack. */
struct qcow2_claim {
	struct list_head in_claims;
	u64 first;
	u64 last;
};

struct qcow2_spare_buffer {
	struct list_head in_spare;
	struct qcow2_buffer buffer;
};

/* An extent of the file. */
struct qcow2_place {
	u64 at;
	u64 bytes;
};

/* Clusters that lose a reference once nothing durable leads to them. */
struct qcow2_frees {
	struct qcow2_place *list;
	unsigned int nr;
};

struct qcow2_writer {
	struct qcow2_target *target;	/* constant */
	struct qcow2_image *top;	/* constant */
	/* Where guest clusters are: the image, or its external data file. */
	const struct qcow2_file *data;	/* constant */
	/* Among those that write, while this one does; guarded there. */
	struct list_head in_writers;

	/* Guards reference counts, in memory and in slices, and all up to no_fallocate. Never taken with a slice's lock. */
	struct mutex refs_lock;
	u64 *reftable;
	u32 reftable_entries;
	/* Cluster at which the search for a free one begins. */
	u64 hint;
	/* From here on the file was never used: it reads as zeros. */
	u64 fresh;
	/* Up to here the file has its space. */
	u64 space;
	bool no_fallocate;

	/* Where snapshots have their tables, in order: constant while the device runs. overlap.c. */
	struct qcow2_place *places;
	u32 nr_places;
	/* Where L2 tables and refcount blocks may be; bits are set only. */
	unsigned long *filter;
	u32 filter_order;

	/* Guards changes of the L1 table and l1_dirty; taken before refs_lock. */
	struct mutex l1_lock;
	/* A bit for each part of the L1 table that is written at once. */
	unsigned long *l1_dirty;
	u32 l1_parts;

	/* Guards claims. */
	spinlock_t claims_lock;
	struct list_head claims;
	wait_queue_head_t claims_left;

	/* Guards all up to nr_partial. */
	spinlock_t writes_lock;
	/* Requests in flight, and those that wait for some of them, where the file's blocks are larger than sectors. */
	struct list_head writes;
	struct list_head parked;
	/* Those for which both lists had no room when they came, in order. */
	struct list_head queued;
	/* Those of the first two lists, and of these those that begin or end within a block. */
	unsigned int nr_writes;
	unsigned int nr_partial;
	/* Pages, each for a block of which a part is written. */
	mempool_t blocks;

	/* Guards spare. */
	spinlock_t spare_lock;
	struct list_head spare;
	wait_queue_head_t spare_returned;
	struct qcow2_spare_buffer buffers[QCOW2_BUFFERS];

	/* Guards durable, frees and held_back. */
	spinlock_t commit_lock;
	/* Requests that end when all before them is durable. */
	struct list_head durable;
	struct qcow2_frees frees;
	struct workqueue_struct *commits;
	struct delayed_work commit;
	wait_queue_head_t committed;
	/* The commit's alone: what it frees in the end, and copies of the slices that it writes. */
	struct qcow2_frees freeing;
	struct qcow2_slice *slices[QCOW2_L2_BATCH];
	struct qcow2_buffer l2_copy;
	struct qcow2_buffer copy;

	/* Bytes that the next commit shall make the disk large, 0: nothing to do; and how that ended. */
	u64 grow_to;
	int grow_error;

	/* Set once, by anyone: nothing is written any more. Why: reason is set last. */
	bool failed;
	int error;
	const char *reason;
	bool is_corrupt;
	atomic64_t allocated;
	atomic64_t freed;
	atomic64_t nr_commits;
};

/* Takes what a writer needs. Return: 0 or a negative errno; qcow2_writer_exit() also after one. */
int qcow2_writer_init(struct qcow2_target *target);
void qcow2_writer_exit(struct qcow2_target *target);

/* Puts an end to all writing: what is in the file stays as it is, and reads go on. Any context that may log. */
void qcow2_writer_fail(struct qcow2_writer *writer, const char *what, int error);
/* The same for metadata that contradicts itself; the image gets its corrupt bit. Return: -EIO. */
int qcow2_writer_corrupt(struct qcow2_writer *writer, const char *what);

/* Waits until nobody else has a claim on any of the clusters. */
void qcow2_claim(struct qcow2_writer *writer, struct qcow2_claim *claim, u64 first, u64 last);
void qcow2_claim_end(struct qcow2_writer *writer, struct qcow2_claim *claim);

/* own.c */

/* Makes the image this writer's. Return: 0; -EBUSY: another device writes it. */
int qcow2_writer_own(struct qcow2_writer *writer);
void qcow2_writer_disown(struct qcow2_writer *writer);

/* Reads what a writer needs of its image, which is loaded and its own. Return: 0 or a negative errno. */
int qcow2_writer_start(struct qcow2_writer *writer, const char **reason);
/* Makes all durable. No request is in flight. */
void qcow2_writer_stop(struct qcow2_writer *writer);

/* A buffer of QCOW2_BUFFER_BYTES; waits for it. Nobody holds two. */
struct qcow2_spare_buffer *qcow2_buffer_get(struct qcow2_writer *writer);
void qcow2_buffer_put(struct qcow2_writer *writer, struct qcow2_spare_buffer *spare);

/* reftable.c */

/* Reads the refcount table, and how much space the file has. Return: 0 or a negative errno. */
int qcow2_reftable_load(struct qcow2_writer *writer, const char **reason);

/* refs.c */

/**
 * qcow2_refs_alloc() - finds free clusters and takes them
 * @wanted: at most that many
 * @at: where they are in the file, one behind the other
 * @got: how many
 * @fresh: whether they read as zeros
 *
 * The file has space for them. What is not used stays taken: it is leaked.
 *
 * Return: 0; -ENOSPC; other errors, after which nothing is written any more.
 */
int qcow2_refs_alloc(struct qcow2_writer *writer, u32 wanted, u64 *at, u32 *got, bool *fresh);

/* Takes free clusters one behind the other, behind all that were ever in use. As above; -EFBIG: more than there can be. */
int qcow2_refs_alloc_run(struct qcow2_writer *writer, u32 nr, u64 *at);

/* Takes a reference from each cluster that an extent of the file touches. Return: 0 or a negative errno. */
int qcow2_refs_drop(struct qcow2_writer *writer, u64 at, u64 bytes);

/* space.c */

/**
 * qcow2_space_zero() - makes a part of an external data file read as zeros
 * @unmap: whether its space may go, too
 *
 * Return: 0; -EOPNOTSUPP: the file system can not, zeros have to be written; other errors.
 */
int qcow2_space_zero(struct qcow2_writer *writer, u64 at, u64 bytes, bool unmap);

/* Gives space behind the last cluster in use back to the file system. Nothing is in flight. */
void qcow2_space_trim(struct qcow2_writer *writer);

/* l2.c */

/**
 * qcow2_l2_get() - finds the slice of an L2 table that maps a guest offset, for changes
 * @found: to be given back with qcow2_cache_put()
 *
 * Makes the table, or a copy of one that is shared with a snapshot.
 */
int qcow2_l2_get(struct qcow2_writer *writer, u64 at, struct qcow2_slice **found);

/* grow.c */

/* Whether the disk can get that size in bytes. Return: 0 or a negative errno, with a constant string for people. */
int qcow2_grow_check(const struct qcow2_writer *writer, u64 size, const char **reason);

/**
 * qcow2_grow() - makes the image's disk larger, as qcow2_grow_check() allows
 *
 * In the commit's thread. What requests see stays as it is: the table that follows has the new size.
 *
 * Return: 0; errors after which nothing has changed, or nothing is written any more.
 */
int qcow2_grow(struct qcow2_writer *writer, u64 size);

/* commit.c */

/* Ends a request when all that was done before is durable. Any context. */
void qcow2_commit_add(struct qcow2_writer *writer, struct list_head *in_durable);
/* Notes that an extent shall be freed when the mapping as it is now in memory is durable. */
void qcow2_commit_free(struct qcow2_writer *writer, u64 at, u64 bytes);
/* Waits while too much is waiting to be committed. The caller holds neither claim nor ticket. */
void qcow2_commit_throttle(struct qcow2_writer *writer);
/* Starts a commit soon, for what was changed. */
void qcow2_commit_soon(struct qcow2_writer *writer);
/* The work. */
void qcow2_commit_run(struct work_struct *work);
/* Makes all reference counts durable, and data written before. In the commit's thread. Return: 0 or a negative errno. */
int qcow2_commit_counts(struct qcow2_writer *writer);
/* Commits until nothing is left to be written. Return: 0 or -EIO. */
int qcow2_commit_all(struct qcow2_writer *writer);
/* Makes the image's disk larger, as qcow2_grow_check() allows, and commits. Return: 0 or a negative errno. */
int qcow2_commit_grow(struct qcow2_writer *writer, u64 size);

#endif
