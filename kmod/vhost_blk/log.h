/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_LOG_H
#define VHOST_BLK_LOG_H

#include <linux/types.h>

struct eventfd_ctx;
struct vblk_cursor;
struct vblk_mem;

/* Why a ring is stopped when its guest's writes can not be logged: a migration would lose them. */
#define VBLK_NO_LOG "the dirty log can not be written"

/*
 * The dirty log of a live migration: a bitmap in the owner's memory with a bit for each VHOST_PAGE_SIZE bytes of guest
 * physical address space. Each virtqueue has a copy, protected by its lock; the device's is protected by vblk_dev.lock.
 */
struct vblk_log {
	/* VHOST_F_LOG_ALL: what requests write to guest memory is logged. */
	bool all;
	/* A place for the bitmap was given. */
	bool based;
	void __user *base;
	/* Signalled after a turn that has logged something; or NULL. */
	struct eventfd_ctx *ctx;
	/* Something was logged since the last signal. */
	bool wrote;
	/* Guest memory, to find the pages that a user address belongs to. */
	const struct vblk_mem *mem;
};

/**
 * vblk_log_check() - whether a bitmap can hold these pages, as far as addresses tell
 * @gpa: first guest physical address
 * @len: bytes from there on; not 0
 *
 * Return: 0, or -EFAULT: there is no bitmap, or a part of it is not in user space.
 */
int vblk_log_check(const struct vblk_log *log, u64 gpa, u64 len);

/* vblk_log_check_mem() - the same for all of guest memory */
int vblk_log_check_mem(const struct vblk_log *log, const struct vblk_mem *mem);

/*
 * Mark pages that have been written. In the owner's address space; after the write, before the guest hears of it.
 * Return: 0, or -EFAULT when the bitmap can not be written.
 */

/* vblk_log_gpa() - by guest physical address, whatever @log->all says */
int vblk_log_gpa(struct vblk_log *log, u64 gpa, u64 len);

/* vblk_log_uaddr() - by user address, whatever @log->all says; what is not guest memory (any more) is nothing to log */
int vblk_log_uaddr(struct vblk_log *log, const void __user *uaddr, u64 len);

/* vblk_log_written() - @len bytes at @uaddr, if requests are logged */
static inline int vblk_log_written(struct vblk_log *log, const void __user *uaddr, u64 len)
{
	return log->all ? vblk_log_uaddr(log, uaddr, len) : 0;
}

/* vblk_log_pieces() - the first @len bytes at a cursor, if requests are logged */
int vblk_log_pieces(struct vblk_log *log, const struct vblk_mem *mem, struct vblk_cursor cursor, u32 len);

/* vblk_log_signal() - tell who reads the log, if there is something new */
void vblk_log_signal(struct vblk_log *log);

#endif
