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
#include <linux/highmem.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/task_work.h>
#include <linux/uio.h>
#include <linux/virtio_blk.h>

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

#ifndef HAVE_KMAP_LOCAL_PAGE
#define kmap_local_page kmap_atomic
#define kunmap_local kunmap_atomic
#endif

/* Kernels of distributions export it, but not all kernels do: where it is missing it is NULL. */
#pragma weak task_work_add

#ifndef PF_USER_WORKER
#define PF_USER_WORKER 0
#endif

/* For pin_user_pages_fast(): only what is there at once. */
#ifdef FOLL_FAST_ONLY
#define FOLL_NO_WAIT FOLL_FAST_ONLY
#else
#define FOLL_NO_WAIT FOLL_NOFAULT
#endif

#ifndef HAVE_BDEV_NOWAIT
static inline bool bdev_nowait(struct block_device *bdev)
{
	return blk_queue_nowait(bdev_get_queue(bdev));
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

#ifndef HAVE_BDEV_DISCARD_LIMITS
static inline unsigned int bdev_max_discard_sectors(struct block_device *bdev)
{
	struct request_queue *queue = bdev_get_queue(bdev);

	return blk_queue_discard(queue) ? queue->limits.max_discard_sectors : 0;
}

static inline unsigned int bdev_discard_granularity(struct block_device *bdev)
{
	return bdev_get_queue(bdev)->limits.discard_granularity;
}
#endif

#ifndef HAVE_BDEV_SECURE_ERASE
static inline unsigned int bdev_max_secure_erase_sectors(struct block_device *bdev)
{
	struct request_queue *queue = bdev_get_queue(bdev);

	return blk_queue_secure_erase(queue) ? queue->limits.max_discard_sectors : 0;
}
#endif

#ifndef HAVE_BDEV_WRITE_CACHE
static inline bool bdev_write_cache(struct block_device *bdev)
{
	return test_bit(QUEUE_FLAG_WC, &bdev_get_queue(bdev)->queue_flags);
}
#endif

#ifndef VIRTIO_BLK_F_SECURE_ERASE
#define VIRTIO_BLK_F_SECURE_ERASE 16
#define VIRTIO_BLK_T_SECURE_ERASE 14
#endif

/* The directions of an iov_iter. */
#ifndef HAVE_ITER_SOURCE
#define ITER_SOURCE WRITE
#define ITER_DEST READ
#endif

static inline bool file_can_direct(const struct file *file)
{
#ifdef HAVE_FMODE_CAN_ODIRECT
	return file->f_mode & FMODE_CAN_ODIRECT;
#else
	return file->f_mapping->a_ops && file->f_mapping->a_ops->direct_IO;
#endif
}

/* DEFINE_KI_COMPLETE() follows a function (kiocb, long ret), which KI_COMPLETE() then makes fit kiocb.ki_complete. */
#ifdef HAVE_KI_COMPLETE_TWO_RESULTS
#define DEFINE_KI_COMPLETE(name)							\
	static void compat_##name(struct kiocb *kiocb, long ret, long unused)		\
	{										\
		name(kiocb, ret);							\
	}										\
	struct kiocb
#define KI_COMPLETE(name) compat_##name
#else
#define DEFINE_KI_COMPLETE(name) struct kiocb
#define KI_COMPLETE(name) name
#endif

#endif
