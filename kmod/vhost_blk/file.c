// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regular files as disks. Data moves by asynchronous kiocbs, past the page cache where file and request allow it. A
 * first attempt is made in the virtqueue's worker if it need not wait; what has to wait (for the page cache, a frozen
 * file system, a flush, a hole to be punched) is done by a bounded number of other threads while the virtqueue goes on.
 */
#include <linux/atomic.h>
#include <linux/backing-dev.h>
#include <linux/blkdev.h>
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/falloc.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hash.h>
#include <linux/kthread.h>
#include <linux/magic.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include <linux/workqueue.h>

#include "backend.h"
#include "io.h"
#include "uapi/vhost_blk.h"

/* Threads that may wait for one file at a time. */
#define VBLK_FILE_THREADS 16

/* Pages in one write of zeroes. */
#define VBLK_ZERO_PAGES 16

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

static struct inode *vblk_file_host(const struct file *file)
{
	/* Of a file system stacked on another: the one that has the data. */
	return file->f_mapping->host;
}

static void end_op(struct vblk_file_op *op, int error)
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

/* Return: NULL, with the error noted, when there is no memory. */
static struct vblk_file_op *new_op(const struct vblk_backend *backend, struct vblk_io *io,
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

static void queue_op(struct vblk_file_op *op)
{
	queue_work(op->shared->threads, &op->work);
}

static bool fits_direct(const struct vblk_file *shared, loff_t pos, u32 bytes)
{
	return READ_ONCE(shared->can_direct) && !((pos | bytes) & shared->layout.len_mask);
}

/* Whether a transfer past the page cache failed for being one. No other is tried then: mixing both is slow. */
static bool refused_direct(struct vblk_file *shared, long error)
{
	if (error != -EINVAL && error != -EOPNOTSUPP && error != -ENOTBLK)
		return false;
	WRITE_ONCE(shared->can_direct, false);
	return true;
}

static void prepare_kiocb(struct kiocb *kiocb, struct file *file, loff_t pos, unsigned int flags, bool direct)
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
	} else if (op->direct && refused_direct(op->shared, ret)) {
		op->direct = false;
		again = true;
	}
	op->nowait = false;
	if (again)
		queue_op(op);
	else
		end_op(op, ret);
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

	prepare_kiocb(&op->kiocb, op->file, op->pos + op->done, op->flags, op->direct);
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

static void vblk_file_transfer(const struct vblk_backend *backend, struct vblk_io *io, struct vblk_data *data,
			       u64 sector, unsigned int flags)
{
	struct vblk_file_op *op = new_op(backend, io, run_transfer, NULL, 0);
	const struct cred *cred;

	if (!op)
		return;
	op->flags = flags;
	op->data = data;
	op->pos = sector << SECTOR_SHIFT;
	op->direct = fits_direct(backend->shared, op->pos, data->bytes);
	op->nowait = backend->file->f_mode & FMODE_NOWAIT;
	if (!op->nowait) {
		queue_op(op);
		return;
	}
	cred = override_creds(backend->file->f_cred);
	run_transfer(op);
	revert_creds(cred);
}

static void run_flush(struct vblk_file_op *op)
{
	end_op(op, vfs_fsync(op->file, 1));
}

static void vblk_file_flush(const struct vblk_backend *backend, struct vblk_io *io)
{
	struct vblk_file_op *op = new_op(backend, io, run_flush, NULL, 0);

	if (op)
		queue_op(op);
}

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
	end_op(op, ret);
}

/* Discards only: no file can be erased securely, as its limits tell. */
static void vblk_file_discard(const struct vblk_backend *backend, struct vblk_io *io, const struct vblk_range *ranges,
			      unsigned int nr, bool secure)
{
	struct vblk_file_op *op = new_op(backend, io, run_discard, ranges, nr);

	if (op)
		queue_op(op);
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
	prepare_kiocb(&kiocb, file, pos, VBLK_WRITE, direct);
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

		direct = direct && fits_direct(op->shared, pos, bytes);
		ret = write_zero_pages(op->file, pos, bytes, direct);
		if (direct && refused_direct(op->shared, ret)) {
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
	end_op(op, ret);
}

static void vblk_file_zero(const struct vblk_backend *backend, struct vblk_io *io, const struct vblk_range *range,
			   unsigned int flags)
{
	struct vblk_file_op *op = new_op(backend, io, run_zero, range, 1);

	if (!op)
		return;
	op->flags = flags;
	queue_op(op);
}

static u64 vblk_file_capacity(const struct vblk_backend *backend)
{
	return i_size_read(vblk_file_host(backend->file)) >> SECTOR_SHIFT;
}

static unsigned int vblk_file_block_size(const struct vblk_backend *backend)
{
	return SECTOR_SIZE;
}

static bool vblk_file_is_read_only(const struct vblk_backend *backend)
{
	struct inode *inode = file_inode(backend->file);

	return IS_RDONLY(inode) || IS_IMMUTABLE(inode);
}

static void vblk_file_limits(const struct vblk_backend *backend, struct vhost_blk_limits *limits)
{
	u32 block = max_t(u32, i_blocksize(vblk_file_host(backend->file)), SECTOR_SIZE);

	limits->flags |= VHOST_BLK_LIMIT_FILE | VHOST_BLK_LIMIT_WRITE_CACHE;
	limits->physical_block_size = block;
	limits->min_io_size = block;
	if (backend->file->f_op->fallocate) {
		limits->flags |= VHOST_BLK_LIMIT_WZ_MAY_UNMAP;
		limits->max_discard_sectors = round_down(UINT_MAX >> SECTOR_SHIFT, block >> SECTOR_SHIFT);
		limits->discard_sector_alignment = block >> SECTOR_SHIFT;
	}
}

static u64 vblk_file_number(const struct vblk_backend *backend)
{
	struct inode *inode = vblk_file_host(backend->file);

	/* As many bits as an id has room for. */
	return (inode->i_ino ^ (u64)inode->i_sb->s_dev << 32) * GOLDEN_RATIO_64 >> 24;
}

static struct vblk_layout vblk_file_layout(const struct vblk_backend *backend, u64 sector, u32 bytes)
{
	if (fits_direct(backend->shared, sector << SECTOR_SHIFT, bytes))
		return backend->shared->layout;
	return (struct vblk_layout) { 0 };
}

static void free_file(struct vblk_file *shared)
{
	if (shared->threads)
		destroy_workqueue(shared->threads);
	if (shared->blkcg)
		css_put(shared->blkcg);
	kfree(shared);
}

static void vblk_file_put(struct vblk_backend *backend)
{
	if (refcount_dec_and_test(&backend->shared->users))
		free_file(backend->shared);
}

static const struct vblk_backend_ops vblk_file_ops = {
	.capacity	= vblk_file_capacity,
	.block_size	= vblk_file_block_size,
	.read_only	= vblk_file_is_read_only,
	.limits		= vblk_file_limits,
	.number		= vblk_file_number,
	.layout		= vblk_file_layout,
	.transfer	= vblk_file_transfer,
	.flush		= vblk_file_flush,
	.discard	= vblk_file_discard,
	.zero		= vblk_file_zero,
	.put		= vblk_file_put,
};

/* Not a file that the kernel makes up (/proc, /sys), that grows at its end, or that the kernel swaps to. */
static bool is_disk(const struct file *file)
{
	const struct inode *host = vblk_file_host(file);

	if (!S_ISREG(host->i_mode) || IS_SWAPFILE(host) || IS_APPEND(host) || file->f_flags & O_APPEND)
		return false;
	if (!file->f_op->read_iter || (file->f_mode & FMODE_WRITE && !file->f_op->write_iter))
		return false;
	return host->i_sb->s_bdi != &noop_backing_dev_info || host->i_sb->s_magic == TMPFS_MAGIC;
}

static struct vblk_layout direct_layout(const struct inode *host)
{
	unsigned int block = i_blocksize(host);

	if (host->i_sb->s_bdev)
		return vblk_layout_of(host->i_sb->s_bdev);
	return (struct vblk_layout) { min_t(unsigned int, block, PAGE_SIZE) - 1, block - 1 };
}

int vblk_file_open(struct vblk_backend *backend)
{
	struct file *file = backend->file;
	struct vblk_file *shared;

	if (!is_disk(file))
		return -ENOTBLK;
	shared = kzalloc(sizeof(*shared), GFP_KERNEL_ACCOUNT);
	if (!shared)
		return -ENOMEM;
	refcount_set(&shared->users, 1);
	shared->mm = current->mm;
#ifdef CONFIG_BLK_CGROUP
	shared->blkcg = task_get_css(current, io_cgrp_id);
#endif
	shared->can_direct = file_can_direct(file);
	shared->layout = direct_layout(vblk_file_host(file));
	/* Frozen as workers are, so that a hibernation image stays true. */
	shared->threads = alloc_workqueue("vblk-file-%d", WQ_UNBOUND | WQ_FREEZABLE, VBLK_FILE_THREADS,
					  task_tgid_nr(current));
	if (!shared->threads) {
		free_file(shared);
		return -ENOMEM;
	}
	backend->shared = shared;
	backend->ops = &vblk_file_ops;
	return 0;
}

void vblk_file_share(struct vblk_file *shared)
{
	refcount_inc(&shared->users);
}
