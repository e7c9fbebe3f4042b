// SPDX-License-Identifier: GPL-2.0-only
/* What both kinds of disks have in common. */
#include "backend.h"

#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/overflow.h>
#include <linux/string.h>

#include "uapi/vhost_blk.h"

int vblk_backend_get(struct vblk_backend *backend, int fd)
{
	int ret;

	memset(backend, 0, sizeof(*backend));
	backend->file = fget(fd);
	if (!backend->file)
		return -EBADF;
	ret = S_ISREG(file_inode(backend->file)->i_mode) ? vblk_file_open(backend) : vblk_bdev_open(backend);
	if (ret) {
		fput(backend->file);
		backend->file = NULL;
	}
	return ret;
}

struct vblk_backend vblk_backend_dup(const struct vblk_backend *backend)
{
	get_file(backend->file);
	if (backend->shared)
		vblk_file_share(backend->shared);
	return *backend;
}

void vblk_backend_put(struct vblk_backend *backend)
{
	if (!backend->file)
		return;
	backend->ops->put(backend);
	fput(backend->file);
	memset(backend, 0, sizeof(*backend));
}

bool vblk_backend_ends_before(const struct vblk_backend *backend, u64 sector, u64 bytes)
{
	u64 capacity = backend->ops->capacity(backend);

	return sector > capacity || bytes >> SECTOR_SHIFT > capacity - sector;
}

static bool is_read_only(const struct vblk_backend *backend)
{
	return !(backend->file->f_mode & FMODE_WRITE) || backend->ops->read_only(backend);
}

bool vblk_backend_allows(const struct vblk_backend *backend, bool write, u64 sector, u64 bytes)
{
	u64 block = backend->ops->block_size(backend);

	if (write ? is_read_only(backend) : !(backend->file->f_mode & FMODE_READ))
		return false;
	if (bytes & (block - 1) || sector & ((block >> SECTOR_SHIFT) - 1))
		return false;
	return !vblk_backend_ends_before(backend, sector, bytes);
}

bool vblk_backend_has_nowait(const struct vblk_backend *backend)
{
	return backend->bdev && bdev_nowait(backend->bdev);
}

u64 vblk_backend_capacity(const struct vblk_backend *backend)
{
	return round_down(backend->ops->capacity(backend), backend->ops->block_size(backend) >> SECTOR_SHIFT);
}

void vblk_backend_limits(const struct vblk_backend *backend, struct vhost_blk_limits *limits)
{
	memset(limits, 0, sizeof(*limits));
	limits->capacity = vblk_backend_capacity(backend);
	limits->logical_block_size = backend->ops->block_size(backend);
	limits->max_segments = VHOST_BLK_MAX_SEGS;
	limits->max_request_bytes = VHOST_BLK_MAX_REQUEST_BYTES;
	limits->max_vqs = VHOST_BLK_MAX_VQS;
	limits->max_vring_num = VHOST_BLK_MAX_VRING_NUM;
	/* One range: it is bounded, also where it must be written, and more would be of no use to a driver. */
	limits->max_write_zeroes_sectors = VHOST_BLK_MAX_REQUEST_BYTES >> SECTOR_SHIFT;
	limits->max_write_zeroes_seg = 1;
	backend->ops->limits(backend, limits);
	if (is_read_only(backend)) {
		limits->flags |= VHOST_BLK_LIMIT_READ_ONLY;
		limits->flags &= ~VHOST_BLK_LIMIT_WZ_MAY_UNMAP;
		limits->max_write_zeroes_sectors = 0;
		limits->max_discard_sectors = 0;
		limits->max_secure_erase_sectors = 0;
	}
	if (!limits->max_write_zeroes_sectors)
		limits->max_write_zeroes_seg = 0;
	limits->max_discard_seg = limits->max_discard_sectors ? VHOST_BLK_MAX_RANGE_SEGS : 0;
	limits->max_secure_erase_seg = limits->max_secure_erase_sectors ? VHOST_BLK_MAX_RANGE_SEGS : 0;
}

void vblk_backend_id(const struct vblk_backend *backend, char *id, size_t len)
{
	/* Room for more than any @len that virtio-blk knows. */
	char name[32] = "";

	snprintf(name, sizeof(name), "vhost-blk-%llx", backend->ops->number(backend));
	memcpy(id, name, min(len, sizeof(name)));
}
