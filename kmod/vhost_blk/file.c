// SPDX-License-Identifier: GPL-2.0-only
/* Regular files as disks: which are, and what they can do. */
#include <linux/backing-dev.h>
#include <linux/blkdev.h>
#include <linux/cgroup.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hash.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "file.h"
#include "uapi/vhost_blk.h"

/* Threads that may wait for one file at a time. */
#define VBLK_FILE_THREADS 16

static struct inode *vblk_file_host(const struct file *file)
{
	/* Of a file system stacked on another: the one that has the data. */
	return file->f_mapping->host;
}

static void run_flush(struct vblk_file_op *op)
{
	vblk_file_end_op(op, vfs_fsync(op->file, 1));
}

static void vblk_file_flush(const struct vblk_backend *backend, struct vblk_io *io)
{
	struct vblk_file_op *op = vblk_file_new_op(backend, io, run_flush, NULL, 0);

	if (op)
		vblk_file_queue_op(op);
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
	if (vblk_file_fits_direct(backend->shared, sector << SECTOR_SHIFT, bytes))
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
