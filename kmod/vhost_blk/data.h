/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_DATA_H
#define VHOST_BLK_DATA_H

#include <linux/bvec.h>
#include <linux/types.h>

#include "mem.h"

struct block_device;
struct vblk_log;

/* Pages of a small request, which needs no allocation for them. */
#define VBLK_FEW_PAGES 4

/* What must hold of each piece of memory for the disk to use it in place. */
struct vblk_layout {
	unsigned long addr_mask;
	size_t len_mask;
};

/*
 * The bytes of a request as the block layer sees them: the guest's own pages, pinned, or, where their layout does not suit
 * the disk, pages of ours.
 */
struct vblk_data {
	/* One page each. */
	struct bio_vec *vecs;
	unsigned int nr;
	/* In all. */
	u32 bytes;
	/* Flows from the disk to the guest. */
	bool to_guest;
	bool bounced;
	/* Where data that is read goes: what bounced data is copied to, and what a dirty log must hear of. */
	struct vblk_piece *pieces;
	unsigned int nr_pieces;
	struct bio_vec few[VBLK_FEW_PAGES];
	struct vblk_piece few_pieces[VBLK_FEW_PAGES];
};

/* vblk_layout_of() - what a block device asks for */
struct vblk_layout vblk_layout_of(struct block_device *bdev);

/**
 * vblk_data_prepare() - make a request's bytes ready for a disk; in the owner's address space
 * @data: filled in, to be given to vblk_data_finish(); nothing is kept on failure
 * @layout: what the disk asks for
 * @mem: guest memory
 * @cursor: where the bytes begin
 * @bytes: how many; not 0
 * @to_guest: they will come from the disk
 * @nowait: only when they are few, suit the disk and are there at once, and so in the guest's own pages
 *
 * Return: 0, -EFAULT where the guest has no such memory, or @nowait not at once, -ENOMEM, -EAGAIN for @nowait.
 */
int vblk_data_prepare(struct vblk_data *data, const struct vblk_layout *layout, const struct vblk_mem *mem,
		      const struct vblk_cursor *cursor, u32 bytes, bool to_guest, bool nowait);

/**
 * vblk_data_finish() - release the pages, after all bios for them have ended; in the owner's address space
 * @valid: what was read is to be delivered
 * @log: is told what the guest's memory got
 *
 * Return: 0, -EFAULT when it can not be delivered, -EPROTO when it can not be logged.
 */
int vblk_data_finish(struct vblk_data *data, bool valid, struct vblk_log *log);

#endif
