// SPDX-License-Identifier: GPL-2.0-only
/* Reads and writes of a file. */
#include <linux/cred.h>
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/uio.h>

#include "data.h"
#include "file.h"

/*
 * Writing begins in one thread and may end in another, or in an interrupt. Against a file system that freezes it is
 * guarded here and not by vfs_iocb_iter_write(): on some kernels that guards it too, waits for the thaw, and leaves the end
 * to its caller.
 */
static bool begin_write(struct vblk_file_op *op)
{
	struct super_block *sb = file_inode(op->file)->i_sb;

	if (!op->nowait)
		sb_start_write(sb);
	else if (!sb_start_write_trylock(sb))
		return false;
	__sb_writers_release(sb, SB_FREEZE_WRITE);
	return true;
}

static void end_write(struct vblk_file_op *op)
{
	struct super_block *sb = file_inode(op->file)->i_sb;

	__sb_writers_acquired(sb, SB_FREEZE_WRITE);
	sb_end_write(sb);
}

/* Goes on with what has not been moved, or could not be without waiting, where that is allowed. Any context. */
static void end_transfer(struct vblk_file_op *op, long ret)
{
	bool again = false;

	if (ret > 0) {
		op->done += min_t(u32, ret, op->data->bytes - op->done);
		again = op->done < op->data->bytes;
		ret = 0;
	} else if (!ret) {
		/* Behind the end of a file that has been cut. */
		ret = -EIO;
	} else if (op->nowait && (ret == -EAGAIN || ret == -EOPNOTSUPP || (ret == -EINVAL && !op->direct))) {
		/* EINVAL: of file systems that never write to the page cache without waiting. */
		again = true;
	} else if (op->direct && vblk_file_refused_direct(op->shared, ret)) {
		op->direct = false;
		again = true;
	}
	op->nowait = false;
	if (again)
		vblk_file_queue_op(op);
	else
		vblk_file_end_op(op, ret);
}

/*
 * File systems look at a kiocb until their call returns, also when it was completed meanwhile: it must stay, and must not
 * be used for what is left to move, before then.
 */
static void end_part(struct vblk_file_op *op)
{
	/* Full barrier: the second part sees the result that the completion has stored. */
	if (!atomic_dec_and_test(&op->parts))
		return;
	if (op->flags & VBLK_WRITE)
		end_write(op);
	end_transfer(op, op->result);
}

static void kiocb_ended(struct kiocb *kiocb, long ret)
{
	struct vblk_file_op *op = container_of(kiocb, struct vblk_file_op, kiocb);

	op->result = ret;
	end_part(op);
}
DEFINE_KI_COMPLETE(kiocb_ended);

static void run_transfer(struct vblk_file_op *op)
{
	bool write = op->flags & VBLK_WRITE;
	const struct vblk_data *data = op->data;
	struct iov_iter iter;
	ssize_t ret;

	vblk_file_prepare_kiocb(&op->kiocb, op->file, op->pos + op->done, op->flags, op->direct);
	op->kiocb.ki_complete = KI_COMPLETE(kiocb_ended);
	if (op->nowait)
		op->kiocb.ki_flags |= IOCB_NOWAIT;
	if (write && !begin_write(op)) {
		end_transfer(op, -EAGAIN);
		return;
	}
	iov_iter_bvec(&iter, write ? ITER_SOURCE : ITER_DEST, data->vecs, data->nr, data->bytes);
	iov_iter_advance(&iter, op->done);
	atomic_set(&op->parts, 2);
	if (write)
		ret = op->file->f_op->write_iter(&op->kiocb, &iter);
	else
		ret = vfs_iocb_iter_read(op->file, &op->kiocb, &iter);
	if (ret != -EIOCBQUEUED)
		kiocb_ended(&op->kiocb, ret);
	end_part(op);
}

void vblk_file_transfer(const struct vblk_backend *backend, struct vblk_io *io, struct vblk_data *data,
			u64 sector, unsigned int flags)
{
	struct vblk_file_op *op = vblk_file_new_op(backend, io, run_transfer, NULL, 0);
	const struct cred *cred;

	if (!op)
		return;
	op->flags = flags;
	op->data = data;
	op->pos = sector << SECTOR_SHIFT;
	op->direct = vblk_file_fits_direct(backend->shared, op->pos, data->bytes);
	op->nowait = backend->file->f_mode & FMODE_NOWAIT;
	if (!op->nowait) {
		vblk_file_queue_op(op);
		return;
	}
	cred = override_creds(backend->file->f_cred);
	run_transfer(op);
	revert_creds(cred);
}
