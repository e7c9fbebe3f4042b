// SPDX-License-Identifier: GPL-2.0-only
/* Discards and zeroing of a file. */
#include <linux/blkdev.h>
#include <linux/falloc.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/uio.h>

#include "file.h"

/* Pages in one write of zeroes. */
#define VBLK_ZERO_PAGES 16

static int allocate(struct vblk_file_op *op, int mode, const struct vblk_range *range)
{
	return vfs_fallocate(op->file, mode | FALLOC_FL_KEEP_SIZE, range->sector << SECTOR_SHIFT,
			     (loff_t)range->sectors << SECTOR_SHIFT);
}

static void run_discard(struct vblk_file_op *op)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < op->nr && !ret; i++) {
		if (op->ranges[i].sectors)
			ret = allocate(op, FALLOC_FL_PUNCH_HOLE, &op->ranges[i]);
		cond_resched();
	}
	vblk_file_end_op(op, ret);
}

/* Discards only: no file can be erased securely, as its limits tell. */
void vblk_file_discard(const struct vblk_backend *backend, struct vblk_io *io, const struct vblk_range *ranges,
		       unsigned int nr, bool secure)
{
	struct vblk_file_op *op = vblk_file_new_op(backend, io, run_discard, ranges, nr);

	if (op)
		vblk_file_queue_op(op);
}

static ssize_t write_zero_pages(struct file *file, loff_t pos, size_t bytes, bool direct)
{
	struct super_block *sb = file_inode(file)->i_sb;
	struct bio_vec vecs[VBLK_ZERO_PAGES];
	struct iov_iter iter;
	struct kiocb kiocb;
	unsigned int i;
	ssize_t ret;

	for (i = 0; i < VBLK_ZERO_PAGES; i++)
		vecs[i] = (struct bio_vec) { ZERO_PAGE(0), PAGE_SIZE, 0 };
	iov_iter_bvec(&iter, ITER_SOURCE, vecs, DIV_ROUND_UP(bytes, PAGE_SIZE), bytes);
	vblk_file_prepare_kiocb(&kiocb, file, pos, VBLK_WRITE, direct);
	sb_start_write(sb);
	ret = file->f_op->write_iter(&kiocb, &iter);
	sb_end_write(sb);
	return ret;
}

static int write_zeroes(struct vblk_file_op *op)
{
	loff_t pos = op->ranges[0].sector << SECTOR_SHIFT;
	u64 left = (u64)op->ranges[0].sectors << SECTOR_SHIFT;
	bool direct = true;

	while (left) {
		u32 bytes = min_t(u64, left, VBLK_ZERO_PAGES * PAGE_SIZE);
		ssize_t ret;

		direct = direct && vblk_file_fits_direct(op->shared, pos, bytes);
		ret = write_zero_pages(op->file, pos, bytes, direct);
		if (direct && vblk_file_refused_direct(op->shared, ret)) {
			direct = false;
			continue;
		}
		if (ret <= 0)
			return ret ? ret : -EIO;
		pos += ret;
		left -= ret;
		cond_resched();
	}
	return 0;
}

static void run_zero(struct vblk_file_op *op)
{
	int ret = -EOPNOTSUPP;

	if (op->flags & VBLK_UNMAP)
		ret = allocate(op, FALLOC_FL_PUNCH_HOLE, op->ranges);
	if (ret == -EOPNOTSUPP)
		ret = allocate(op, FALLOC_FL_ZERO_RANGE, op->ranges);
	if (ret == -EOPNOTSUPP)
		ret = write_zeroes(op);
	vblk_file_end_op(op, ret);
}

void vblk_file_zero(const struct vblk_backend *backend, struct vblk_io *io, const struct vblk_range *range,
		    unsigned int flags)
{
	struct vblk_file_op *op = vblk_file_new_op(backend, io, run_zero, range, 1);

	if (!op)
		return;
	op->flags = flags;
	vblk_file_queue_op(op);
}
