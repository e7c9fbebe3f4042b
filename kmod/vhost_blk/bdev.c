// SPDX-License-Identifier: GPL-2.0-only
/* Block devices as disks, through bios. */
#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>

#include "backend.h"
#include "io.h"
#include "uapi/vhost_blk.h"

static u64 vblk_bdev_capacity(const struct vblk_backend *backend)
{
	return bdev_nr_sectors(backend->bdev);
}

static unsigned int vblk_bdev_block_size(const struct vblk_backend *backend)
{
	return bdev_logical_block_size(backend->bdev);
}

static bool vblk_bdev_is_read_only(const struct vblk_backend *backend)
{
	return bdev_read_only(backend->bdev);
}

static void vblk_bdev_limits(const struct vblk_backend *backend, struct vhost_blk_limits *limits)
{
	struct block_device *bdev = backend->bdev;

	if (bdev_write_cache(bdev))
		limits->flags |= VHOST_BLK_LIMIT_WRITE_CACHE;
	limits->physical_block_size = bdev_physical_block_size(bdev);
	/* Negative for a stack of disks that has no common alignment. */
	limits->alignment_offset = max(bdev_alignment_offset(bdev), 0);
	limits->min_io_size = bdev_io_min(bdev);
	limits->opt_io_size = bdev_io_opt(bdev);
	limits->max_discard_sectors = bdev_max_discard_sectors(bdev);
	limits->max_secure_erase_sectors = bdev_max_secure_erase_sectors(bdev);
	limits->discard_sector_alignment = max_t(u32, bdev_discard_granularity(bdev), limits->logical_block_size) >>
					   SECTOR_SHIFT;
	limits->secure_erase_sector_alignment = limits->discard_sector_alignment;
	if (limits->max_discard_sectors && bdev_write_zeroes_sectors(bdev))
		limits->flags |= VHOST_BLK_LIMIT_WZ_MAY_UNMAP;
}

static u64 vblk_bdev_number(const struct vblk_backend *backend)
{
	return new_encode_dev(backend->bdev->bd_dev);
}

static struct vblk_layout vblk_bdev_layout(const struct vblk_backend *backend, u64 sector, u32 bytes)
{
	return vblk_layout_of(backend->bdev);
}

static void vblk_bdev_transfer(const struct vblk_backend *backend, struct vblk_io *io, struct vblk_data *data,
			       u64 sector, unsigned int flags)
{
	/* As direct I/O: the guest has a page cache of its own, whose writes are not for the host to throttle. */
	blk_opf_t opf = flags & VBLK_WRITE ? REQ_OP_WRITE | REQ_SYNC | REQ_IDLE : REQ_OP_READ;

	if (flags & VBLK_DURABLE)
		opf |= REQ_FUA;
	if (flags & VBLK_NOWAIT)
		opf |= REQ_NOWAIT;
	vblk_io_transfer(io, data, backend->bdev, sector, opf);
}

static void vblk_bdev_flush(const struct vblk_backend *backend, struct vblk_io *io)
{
	vblk_io_flush(io, backend->bdev);
}

static void vblk_bdev_discard(const struct vblk_backend *backend, struct vblk_io *io, const struct vblk_range *ranges,
			      unsigned int nr, bool secure)
{
	struct block_device *bdev = backend->bdev;
	/* The disk may have changed since they were looked at. */
	unsigned int max = secure ? bdev_max_secure_erase_sectors(bdev) : bdev_max_discard_sectors(bdev);
	unsigned int i;

	for (i = 0; i < nr; i++)
		vblk_io_range(io, bdev, &ranges[i], max, secure ? REQ_OP_SECURE_ERASE : REQ_OP_DISCARD);
}

static void vblk_bdev_zero(const struct vblk_backend *backend, struct vblk_io *io, const struct vblk_range *range,
			   unsigned int flags)
{
	struct block_device *bdev = backend->bdev;

	if (flags & VBLK_BY_WRITING)
		vblk_io_zero_pages(io, bdev, range);
	else
		vblk_io_range(io, bdev, range, bdev_write_zeroes_sectors(bdev),
			      REQ_OP_WRITE_ZEROES | (flags & VBLK_UNMAP ? 0 : REQ_NOUNMAP));
}

static void vblk_bdev_put(struct vblk_backend *backend)
{
	invalidate_bdev(backend->bdev);
}

static const struct vblk_backend_ops vblk_bdev_ops = {
	.capacity	= vblk_bdev_capacity,
	.block_size	= vblk_bdev_block_size,
	.read_only	= vblk_bdev_is_read_only,
	.limits		= vblk_bdev_limits,
	.number		= vblk_bdev_number,
	.layout		= vblk_bdev_layout,
	.transfer	= vblk_bdev_transfer,
	.flush		= vblk_bdev_flush,
	.discard	= vblk_bdev_discard,
	.zero		= vblk_bdev_zero,
	.put		= vblk_bdev_put,
};

int vblk_bdev_open(struct vblk_backend *backend)
{
	struct inode *inode = backend->file->f_mapping->host;
	int ret;

	if (!S_ISBLK(file_inode(backend->file)->i_mode) || !S_ISBLK(inode->i_mode))
		return -ENOTBLK;
	backend->bdev = I_BDEV(inode);
	backend->ops = &vblk_bdev_ops;
	ret = sync_blockdev(backend->bdev);
	if (!ret)
		invalidate_bdev(backend->bdev);
	return ret;
}
