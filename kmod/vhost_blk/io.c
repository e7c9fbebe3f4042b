// SPDX-License-Identifier: GPL-2.0-only
/* Bios: from a request's pages to the disk, and the count of those on their way. */
#include "io.h"

#include <linux/bio.h>
#include <linux/blkdev.h>

#include "backend.h"
#include "data.h"

/* Bios that can be had also when there is no memory; they return as soon as they end, whatever the worker does. */
#define VBLK_RESERVED_BIOS 64

static struct bio_set vblk_bios;

int vblk_io_init(void)
{
	return bioset_init(&vblk_bios, VBLK_RESERVED_BIOS, 0, BIOSET_NEED_BVECS);
}

void vblk_io_exit(void)
{
	bioset_exit(&vblk_bios);
}

void vblk_io_begin(struct vblk_io *io, void (*done)(struct vblk_io *io))
{
	atomic_set(&io->pending, 1);
	io->error = 0;
	io->done = done;
}

void vblk_io_end(struct vblk_io *io)
{
	/* Full barrier: done() sees what each end_io stored. */
	if (atomic_dec_and_test(&io->pending))
		io->done(io);
}

static void end_bio(struct bio *bio)
{
	struct vblk_io *io = bio->bi_private;

	if (bio->bi_status)
		vblk_io_fail(io, blk_status_to_errno(bio->bi_status));
	/* Before the worker hears of it: it may be waiting for this bio's memory. */
	if (bio == &io->small)
		bio_uninit(bio);
	else
		bio_put(bio);
	vblk_io_end(io);
}

static void aim(struct bio *bio, struct vblk_io *io, sector_t sector)
{
	bio->bi_iter.bi_sector = sector;
	bio->bi_private = io;
	bio->bi_end_io = end_bio;
}

static struct bio *alloc_bio(struct vblk_io *io, struct block_device *bdev, unsigned int vecs, sector_t sector,
			     blk_opf_t opf)
{
	/* Does not fail, see mempool_alloc(). */
	struct bio *bio = bio_alloc_bioset(bdev, vecs, opf, GFP_NOIO, &vblk_bios);

	aim(bio, io, sector);
	return bio;
}

static void submit(struct vblk_io *io, struct bio *bio)
{
	vblk_io_add(io);
	submit_bio(bio);
}

/* The pages are those of @data as they are: what is few is not worth a look for neighbours. */
static void transfer_small(struct vblk_io *io, struct vblk_data *data, struct block_device *bdev, sector_t sector,
			   blk_opf_t opf)
{
	struct bio *bio = &io->small;
	unsigned int i;

	bio_init(bio, bdev, data->vecs, data->nr, opf);
	aim(bio, io, sector);
	bio->bi_vcnt = data->nr;
	for (i = 0; i < data->nr; i++)
		bio->bi_iter.bi_size += data->vecs[i].bv_len;
	submit(io, bio);
}

/*
 * A logical block may be of several pages and must not be cut: takes the begin of one back from a bio that is full. @end:
 * behind its last vec. Return: vecs taken back.
 */
static unsigned int leave_whole_blocks(struct bio *bio, const struct bio_vec *end, struct block_device *bdev)
{
	unsigned int in_block = bdev_logical_block_size(bdev) - 1;
	unsigned int size = bio->bi_iter.bi_size, nr = 0;

	while (size & in_block) {
		nr++;
		size -= end[-(int)nr].bv_len;
	}
	/* Blocks that have changed since the request was looked at: the disk refuses what is none. */
	if (!size)
		return 0;
	bio->bi_iter.bi_size = size;
	return nr;
}

void vblk_io_transfer(struct vblk_io *io, struct vblk_data *data, struct block_device *bdev, sector_t sector,
		      blk_opf_t opf)
{
	struct bio *bio = NULL;
	unsigned int i;

	if (data->nr <= VBLK_FEW_PAGES) {
		transfer_small(io, data, bdev, sector, opf);
		return;
	}
	for (i = 0; i < data->nr; i++) {
		const struct bio_vec *vec = &data->vecs[i];

		if (bio && bio_add_page(bio, vec->bv_page, vec->bv_len, vec->bv_offset) == vec->bv_len)
			continue;
		if (bio) {
			i -= leave_whole_blocks(bio, vec, bdev);
			vec = &data->vecs[i];
			sector += bio_sectors(bio);
			submit(io, bio);
		}
		bio = alloc_bio(io, bdev, min_t(unsigned int, data->nr - i, BIO_MAX_VECS), sector, opf);
		/* The first page of a bio always has room. */
		__bio_add_page(bio, vec->bv_page, vec->bv_len, vec->bv_offset);
	}
	if (bio)
		submit(io, bio);
}

void vblk_io_flush(struct vblk_io *io, struct block_device *bdev)
{
	/* A flush is the first half of an empty write: newer kernels refuse bios of REQ_OP_FLUSH. */
	submit(io, alloc_bio(io, bdev, 0, 0, REQ_OP_WRITE | REQ_PREFLUSH));
}

void vblk_io_range(struct vblk_io *io, struct block_device *bdev, const struct vblk_range *range, unsigned int max,
		   blk_opf_t opf)
{
	sector_t sector = range->sector;
	u32 left = range->sectors;

	/* A bio counts bytes in 32 bits. */
	max = round_down(min(max, UINT_MAX >> SECTOR_SHIFT), bdev_logical_block_size(bdev) >> SECTOR_SHIFT);
	if (!max) {
		vblk_io_fail(io, -EOPNOTSUPP);
		return;
	}
	while (left) {
		u32 sectors = min(left, max);
		struct bio *bio = alloc_bio(io, bdev, 0, sector, opf);

		bio->bi_iter.bi_size = sectors << SECTOR_SHIFT;
		submit(io, bio);
		sector += sectors;
		left -= sectors;
	}
}

void vblk_io_zero_pages(struct vblk_io *io, struct block_device *bdev, const struct vblk_range *range)
{
	sector_t sector = range->sector;
	u64 left = (u64)range->sectors << SECTOR_SHIFT;

	while (left) {
		unsigned int vecs = min_t(u64, DIV_ROUND_UP_ULL(left, PAGE_SIZE), BIO_MAX_VECS);
		struct bio *bio = alloc_bio(io, bdev, vecs, sector, REQ_OP_WRITE | REQ_SYNC);

		while (left) {
			unsigned int n = min_t(u64, left, PAGE_SIZE);

			if (bio_add_page(bio, ZERO_PAGE(0), n, 0) != n)
				break;
			left -= n;
		}
		sector += bio_sectors(bio);
		submit(io, bio);
	}
}
