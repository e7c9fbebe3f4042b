/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Regular files as disks. Data moves by asynchronous kiocbs, past the page cache where file and request allow it. A
 * first attempt is made in the virtqueue's worker if it need not wait; what has to wait (for the page cache, a frozen
 * file system, a flush, a hole to be punched) is done by a bounded number of other threads while the virtqueue goes on.
 */
#ifndef VHOST_BLK_FILE_H
#define VHOST_BLK_FILE_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/refcount.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include "backend.h"
#include "io.h"

struct cgroup_subsys_state;
struct mm_struct;

/* What the backends that were made of one descriptor share. Does not change, but for can_direct. */
struct vblk_file {
	refcount_t users;
	struct workqueue_struct *threads;
	/* The owner's; its device keeps a reference to the address space's users for as long as requests are served. */
	struct mm_struct *mm;
	struct cgroup_subsys_state *blkcg;
	/* Whether the page cache may be passed by; cleared for good, by any thread, when the file refuses it. */
	bool can_direct;
	/* What position, length and memory have to be multiples of for that. */
	struct vblk_layout layout;
};

/* One operation, which frees itself when it has ended. */
struct vblk_file_op {
	struct vblk_file *shared;
	struct file *file;
	struct vblk_io *io;
	struct work_struct work;
	/* What the work does. */
	void (*run)(struct vblk_file_op *op);
	unsigned int flags;

	/* A transfer: what is moved from or to where, and how much of it has been. */
	struct kiocb kiocb;
	const struct vblk_data *data;
	loff_t pos;
	u32 done;
	bool direct;
	bool nowait;
	/* The file system's call and its completion; who is the second goes on with result. */
	atomic_t parts;
	long result;

	/* A discard or zeroing. */
	unsigned int nr;
	struct vblk_range ranges[];
};

/**
 * vblk_file_new_op() - begin an operation, which counts as one of @io
 * @run: what a thread does for it, in the owner's address space and with the file's rights
 * @ranges: copied; or NULL
 *
 * Return: NULL, with the error noted, when there is no memory.
 */
struct vblk_file_op *vblk_file_new_op(const struct vblk_backend *backend, struct vblk_io *io,
				      void (*run)(struct vblk_file_op *op), const struct vblk_range *ranges,
				      unsigned int nr);

/* vblk_file_queue_op() - have a thread do it */
void vblk_file_queue_op(struct vblk_file_op *op);

/* vblk_file_end_op() - it has ended; @error: 0 or a negative errno */
void vblk_file_end_op(struct vblk_file_op *op, int error);

/* vblk_file_fits_direct() - whether a transfer may pass the page cache by */
bool vblk_file_fits_direct(const struct vblk_file *shared, loff_t pos, u32 bytes);

/*
 * vblk_file_refused_direct() - whether a transfer past the page cache failed for being one; no other is tried then:
 * mixing both is slow
 */
bool vblk_file_refused_direct(struct vblk_file *shared, long error);

/* vblk_file_prepare_kiocb() - for a transfer at @pos; @flags: VBLK_WRITE, VBLK_DURABLE */
void vblk_file_prepare_kiocb(struct kiocb *kiocb, struct file *file, loff_t pos, unsigned int flags, bool direct);

/* What vblk_backend_ops ask for. */
void vblk_file_transfer(const struct vblk_backend *backend, struct vblk_io *io, struct vblk_data *data, u64 sector,
			unsigned int flags);
void vblk_file_discard(const struct vblk_backend *backend, struct vblk_io *io, const struct vblk_range *ranges,
		       unsigned int nr, bool secure);
void vblk_file_zero(const struct vblk_backend *backend, struct vblk_io *io, const struct vblk_range *range,
		    unsigned int flags);

#endif
