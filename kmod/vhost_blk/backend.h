/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_BACKEND_H
#define VHOST_BLK_BACKEND_H

#include <linux/types.h>

struct block_device;
struct file;

/* The block device behind a virtqueue. */
struct vblk_backend {
	/* NULL: none. Keeps the device open, and its mode bounds what requests may do. */
	struct file *file;
	struct block_device *bdev;
};

/**
 * vblk_backend_get() - take a reference to an open block device
 * @backend: filled in
 * @fd: descriptor of the calling process
 *
 * What the page cache holds of the device is written first, since bios go past it.
 *
 * Return: 0, -EBADF, -ENOTBLK, or why the page cache can not be written.
 */
int vblk_backend_get(struct vblk_backend *backend, int fd);

/* vblk_backend_dup() - Return: a copy with a reference of its own */
struct vblk_backend vblk_backend_dup(const struct vblk_backend *backend);

/* vblk_backend_put() - drop the reference, and what the page cache holds of the device; nothing to do for none */
void vblk_backend_put(struct vblk_backend *backend);

/**
 * vblk_backend_allows() - whether a transfer may be done
 * @write: to the device
 * @sector: of 512 bytes, as the guest gave it
 * @bytes: as the guest gave them
 *
 * Looks at the descriptor's mode, the disk's read-only flag, its present size and its logical block size: bios alone would
 * pass the first two by.
 */
bool vblk_backend_allows(const struct vblk_backend *backend, bool write, u64 sector, u64 bytes);

/**
 * vblk_backend_id() - a name of the disk for the guest: printable, other for each disk of the host
 * @id: @len bytes, filled up with NUL; the last one need not be NUL
 */
void vblk_backend_id(const struct vblk_backend *backend, char *id, size_t len);

#endif
