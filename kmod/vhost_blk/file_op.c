// SPDX-License-Identifier: GPL-2.0-only
/* Operations on a file: what they have in common, and the threads that do what has to wait. */
#include <linux/cred.h>
#include <linux/errno.h>
#include <linux/kthread.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "file.h"

void vblk_file_end_op(struct vblk_file_op *op, int error)
{
	struct vblk_io *io = op->io;

	if (error)
		vblk_io_fail(io, error);
	kfree(op);
	vblk_io_end(io);
}

/* In a thread of the workqueue: as the worker is, with the owner's address space, cgroup and, for the file, rights. */
static void run_op(struct work_struct *work)
{
	struct vblk_file_op *op = container_of(work, struct vblk_file_op, work);
	/* Both stay until the workqueue is destroyed; the operation does not. */
	struct vblk_file *shared = op->shared;
	const struct cred *cred = override_creds(op->file->f_cred);

	kthread_associate_blkcg(shared->blkcg);
	kthread_use_mm(shared->mm);
	op->run(op);
	kthread_unuse_mm(shared->mm);
	kthread_associate_blkcg(NULL);
	revert_creds(cred);
}

struct vblk_file_op *vblk_file_new_op(const struct vblk_backend *backend, struct vblk_io *io,
				      void (*run)(struct vblk_file_op *op), const struct vblk_range *ranges,
				      unsigned int nr)
{
	struct vblk_file_op *op = kzalloc(struct_size(op, ranges, nr), GFP_KERNEL | __GFP_NOWARN);

	if (!op) {
		vblk_io_fail(io, -ENOMEM);
		return NULL;
	}
	op->shared = backend->shared;
	op->file = backend->file;
	op->io = io;
	op->run = run;
	op->nr = nr;
	if (nr)
		memcpy(op->ranges, ranges, nr * sizeof(*ranges));
	INIT_WORK(&op->work, run_op);
	vblk_io_add(io);
	return op;
}

void vblk_file_queue_op(struct vblk_file_op *op)
{
	queue_work(op->shared->threads, &op->work);
}

bool vblk_file_fits_direct(const struct vblk_file *shared, loff_t pos, u32 bytes)
{
	return READ_ONCE(shared->can_direct) && !((pos | bytes) & shared->layout.len_mask);
}

bool vblk_file_refused_direct(struct vblk_file *shared, long error)
{
	if (error != -EINVAL && error != -EOPNOTSUPP && error != -ENOTBLK)
		return false;
	WRITE_ONCE(shared->can_direct, false);
	return true;
}

void vblk_file_prepare_kiocb(struct kiocb *kiocb, struct file *file, loff_t pos, unsigned int flags, bool direct)
{
	init_sync_kiocb(kiocb, file);
	kiocb->ki_pos = pos;
	/* The descriptor's flags can change at any time, but a request has its place. */
	kiocb->ki_flags &= ~(IOCB_APPEND | IOCB_DIRECT);
	if (direct)
		kiocb->ki_flags |= IOCB_DIRECT;
	if (flags & VBLK_WRITE)
		kiocb->ki_flags |= IOCB_WRITE;
	if (flags & VBLK_DURABLE)
		kiocb->ki_flags |= IOCB_DSYNC;
}
