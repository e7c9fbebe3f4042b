/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_BACKEND_H
#define VHOST_BLK_BACKEND_H

#include <linux/bits.h>
#include <linux/types.h>

#include "data.h"

struct block_device;
struct file;
struct vblk_backend;
struct vblk_file;
struct vblk_io;
struct vhost_blk_limits;

/* How a transfer or zeroing is to be done. */
#define VBLK_WRITE	BIT(0)
/* It is durable when it has ended. */
#define VBLK_DURABLE	BIT(1)
/* Zeroing may free the space. */
#define VBLK_UNMAP	BIT(2)
/* Zeroing writes zeroes: the disk has been found to know no better way. */
#define VBLK_BY_WRITING	BIT(3)

/* Fails with -EAGAIN where the caller would have to wait; see vblk_backend_has_nowait(). */
#define VBLK_NOWAIT	BIT(4)

/* A part of a disk; whole logical blocks. */
struct vblk_range {
	u64 sector;
	u32 sectors;
};

/*
 * What the kinds of a backend do each in its own way. Whatever is asked of them lies within the disk, is a multiple of
 * its logical blocks and is allowed; vblk_backend_allows() sees to that. Those that are given a vblk_io return before
 * it has ended and count what they begin there; they run in the virtqueue's worker.
 */
struct vblk_backend_ops {
	/* In sectors, at present. */
	u64 (*capacity)(const struct vblk_backend *backend);
	/* A power of two, at least a sector. */
	unsigned int (*block_size)(const struct vblk_backend *backend);
	/* Apart from the descriptor's mode. */
	bool (*read_only)(const struct vblk_backend *backend);
	/* Fills in what is not the same for all kinds: from flags on, without read-only; the rest is zeroed. */
	void (*limits)(const struct vblk_backend *backend, struct vhost_blk_limits *limits);
	/* What a name for the guest is made of. */
	u64 (*number)(const struct vblk_backend *backend);
	/* What must hold of memory for a transfer. */
	struct vblk_layout (*layout)(const struct vblk_backend *backend, u64 sector, u32 bytes);
	void (*transfer)(const struct vblk_backend *backend, struct vblk_io *io, struct vblk_data *data,
			 u64 sector, unsigned int flags);
	void (*flush)(const struct vblk_backend *backend, struct vblk_io *io);
	/* @ranges need not last. */
	void (*discard)(const struct vblk_backend *backend, struct vblk_io *io, const struct vblk_range *ranges,
			unsigned int nr, bool secure);
	/* Ends with -EOPNOTSUPP where VBLK_BY_WRITING is needed. */
	void (*zero)(const struct vblk_backend *backend, struct vblk_io *io, const struct vblk_range *range,
		     unsigned int flags);
	/* Before the last use of backend->file. */
	void (*put)(struct vblk_backend *backend);
};

/* The disk behind a virtqueue: a block device or a regular file. */
struct vblk_backend {
	/* NULL: none. Keeps the disk open, and its mode bounds what requests may do. */
	struct file *file;
	const struct vblk_backend_ops *ops;
	/* A block device's. */
	struct block_device *bdev;
	/* A regular file's. */
	struct vblk_file *shared;
};

/**
 * vblk_backend_get() - take a reference to an open block device or regular file
 * @backend: filled in
 * @fd: descriptor of the calling process, which is the owner
 *
 * Of a block device, what the page cache holds is written first, since bios go past it.
 *
 * Return: 0, -EBADF, -ENOTBLK, -ENOMEM, or why the page cache can not be written.
 */
int vblk_backend_get(struct vblk_backend *backend, int fd);

/* vblk_backend_dup() - Return: a copy with a reference of its own */
struct vblk_backend vblk_backend_dup(const struct vblk_backend *backend);

/* vblk_backend_put() - drop the reference when nothing is in flight; nothing to do for none */
void vblk_backend_put(struct vblk_backend *backend);

/**
 * vblk_backend_allows() - whether a transfer may be done
 * @write: to the disk
 * @sector: of 512 bytes, as the guest gave it
 * @bytes: as the guest gave them
 *
 * Looks at the descriptor's mode, the disk's read-only flag, its present size and its logical block size: bios alone
 * would pass the first two by.
 */
bool vblk_backend_allows(const struct vblk_backend *backend, bool write, u64 sector, u64 bytes);

/* vblk_backend_ends_before() - whether a range ends behind the disk's present end, or overflows */
bool vblk_backend_ends_before(const struct vblk_backend *backend, u64 sector, u64 bytes);

/* vblk_backend_has_nowait() - whether the disk knows VBLK_NOWAIT, at present: else it ends with -EOPNOTSUPP, or waits */
bool vblk_backend_has_nowait(const struct vblk_backend *backend);

/* vblk_backend_capacity() - Return: sectors in whole logical blocks */
u64 vblk_backend_capacity(const struct vblk_backend *backend);

/**
 * vblk_backend_limits() - what the disk can do
 * @limits: all filled in but size, fd and features
 */
void vblk_backend_limits(const struct vblk_backend *backend, struct vhost_blk_limits *limits);

/**
 * vblk_backend_id() - a name of the disk for the guest: printable, other for each disk of the host
 * @id: @len bytes, filled up with NUL; the last one need not be NUL
 */
void vblk_backend_id(const struct vblk_backend *backend, char *id, size_t len);

/* The kinds. Both are given backend->file, and return -ENOTBLK where it is not theirs. */
int vblk_bdev_open(struct vblk_backend *backend);
int vblk_file_open(struct vblk_backend *backend);

/* vblk_file_share() - one more backend uses the same file; its put() takes that back */
void vblk_file_share(struct vblk_file *shared);

#endif
