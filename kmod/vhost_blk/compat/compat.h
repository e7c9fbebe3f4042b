/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Included before everything else in each source file. Sources are written for the newest kernel; what older ones lack or
 * call otherwise is supplied here, by what probe.sh found and not by version numbers.
 */
#ifndef VHOST_BLK_COMPAT_H
#define VHOST_BLK_COMPAT_H

#include "probed.h"

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/eventfd.h>

#ifndef HAVE_BLK_OPF_T
typedef unsigned int blk_opf_t;
#endif

#ifndef HAVE_BIO_MAX_VECS
#define BIO_MAX_VECS BIO_MAX_PAGES
#endif

#ifndef HAVE_BIO_ALLOC_BDEV
static inline struct bio *compat_bio_alloc_bioset(struct block_device *bdev, unsigned short nr_vecs, blk_opf_t opf,
						  gfp_t gfp, struct bio_set *set)
{
	struct bio *bio = bio_alloc_bioset(gfp, nr_vecs, set);

	if (bio) {
		bio_set_dev(bio, bdev);
		bio->bi_opf = opf;
	}
	return bio;
}
#define bio_alloc_bioset compat_bio_alloc_bioset

static inline void compat_bio_init(struct bio *bio, struct block_device *bdev, struct bio_vec *vecs,
				   unsigned short nr_vecs, blk_opf_t opf)
{
	bio_init(bio, vecs, nr_vecs);
	bio_set_dev(bio, bdev);
	bio->bi_opf = opf;
}
#define bio_init compat_bio_init
#endif

#ifndef HAVE_BDEV_NR_SECTORS
static inline sector_t bdev_nr_sectors(struct block_device *bdev)
{
	return i_size_read(bdev->bd_inode) >> SECTOR_SHIFT;
}
#endif

/* Says how many requests will come under a plug, so that they can be allocated together where the kernel does so. */
static inline void blk_plug_expect(struct blk_plug *plug, unsigned int requests)
{
#ifdef HAVE_PLUG_NR_IOS
	plug->nr_ios = requests;
#endif
}

#ifdef HAVE_EVENTFD_SIGNAL_COUNT
static inline void compat_eventfd_signal(struct eventfd_ctx *ctx)
{
	eventfd_signal(ctx, 1);
}
#define eventfd_signal compat_eventfd_signal
#endif

#endif
