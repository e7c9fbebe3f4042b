/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_IO_H
#define VHOST_BLK_IO_H

#include <linux/atomic.h>
#include <linux/bio.h>

struct vblk_data;
struct vblk_range;

/* Bios, or operations on a file, on their way. */
struct vblk_io {
	/* Those not yet ended, and one more until vblk_io_end(). */
	atomic_t pending;
	/* The error of one that failed, else 0; to be read when all have ended. */
	int error;
	/* Called once, when all have ended; in any context. */
	void (*done)(struct vblk_io *io);
	/* The one bio of a small transfer, which needs no allocation. */
	struct bio small;
};

/* The bios' memory, which all devices share. */
int vblk_io_init(void);
void vblk_io_exit(void);

/* vblk_io_begin() - make ready for the calls below */
void vblk_io_begin(struct vblk_io *io, void (*done)(struct vblk_io *io));

/*
 * vblk_io_transfer() - submit bios for @data, which must stay until all have ended, from @sector on; @opf: REQ_OP_READ
 * or REQ_OP_WRITE with flags; once at most after vblk_io_begin()
 */
void vblk_io_transfer(struct vblk_io *io, struct vblk_data *data, struct block_device *bdev, sector_t sector,
		      blk_opf_t opf);

/* vblk_io_flush() - submit a flush of the disk's cache */
void vblk_io_flush(struct vblk_io *io, struct block_device *bdev);

/* vblk_io_range() - submit bios without data for a range, of at most @max sectors each; @opf: discard, erase or zero */
void vblk_io_range(struct vblk_io *io, struct block_device *bdev, const struct vblk_range *range, unsigned int max,
		   blk_opf_t opf);

/* vblk_io_zero_pages() - submit bios that write zeroes to a range */
void vblk_io_zero_pages(struct vblk_io *io, struct block_device *bdev, const struct vblk_range *range);

/* vblk_io_add() - one operation more is on its way; it calls vblk_io_end() when it has ended */
static inline void vblk_io_add(struct vblk_io *io)
{
	atomic_inc(&io->pending);
}

/* vblk_io_fail() - for an operation on its way: it has failed */
static inline void vblk_io_fail(struct vblk_io *io, int error)
{
	WRITE_ONCE(io->error, error);
}

/* vblk_io_end() - nothing more will be submitted; @io may be gone when it returns */
void vblk_io_end(struct vblk_io *io);

#endif
