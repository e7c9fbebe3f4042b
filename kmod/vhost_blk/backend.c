// SPDX-License-Identifier: GPL-2.0-only
#include "backend.h"

#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/string.h>

int vblk_backend_get(struct vblk_backend *backend, int fd)
{
	struct file *file = fget(fd);
	struct inode *inode;
	int ret;

	if (!file)
		return -EBADF;
	inode = file->f_mapping->host;
	if (!S_ISBLK(file_inode(file)->i_mode) || !S_ISBLK(inode->i_mode)) {
		fput(file);
		return -ENOTBLK;
	}
	backend->file = file;
	backend->bdev = I_BDEV(inode);
	ret = sync_blockdev(backend->bdev);
	if (ret) {
		fput(file);
		backend->file = NULL;
		return ret;
	}
	invalidate_bdev(backend->bdev);
	return 0;
}

struct vblk_backend vblk_backend_dup(const struct vblk_backend *backend)
{
	get_file(backend->file);
	return *backend;
}

void vblk_backend_put(struct vblk_backend *backend)
{
	if (!backend->file)
		return;
	invalidate_bdev(backend->bdev);
	fput(backend->file);
	backend->file = NULL;
	backend->bdev = NULL;
}

bool vblk_backend_allows(const struct vblk_backend *backend, bool write, u64 sector, u64 bytes)
{
	struct block_device *bdev = backend->bdev;
	u64 capacity = bdev_nr_sectors(bdev);
	/* A power of two, at least a sector. */
	u64 block = bdev_logical_block_size(bdev);

	if (!(backend->file->f_mode & (write ? FMODE_WRITE : FMODE_READ)))
		return false;
	if (write && bdev_read_only(bdev))
		return false;
	if (bytes & (block - 1) || sector & ((block >> SECTOR_SHIFT) - 1))
		return false;
	return sector <= capacity && bytes >> SECTOR_SHIFT <= capacity - sector;
}

void vblk_backend_id(const struct vblk_backend *backend, char *id, size_t len)
{
	/* Room for more than any @len that virtio-blk knows. */
	char name[32] = "";

	snprintf(name, sizeof(name), "vhost-blk-%x", new_encode_dev(backend->bdev->bd_dev));
	memcpy(id, name, min(len, sizeof(name)));
}
