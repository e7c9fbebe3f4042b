/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Included before everything else in each source file of the module. Sources are written for the newest kernel; what older
 * ones lack or call otherwise is supplied here, by what probe.sh found and not by version numbers.
 */
#ifndef DM_QCOW2_COMPAT_H
#define DM_QCOW2_COMPAT_H

#include "probed.h"

#include <linux/blkdev.h>
#include <linux/device-mapper.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/stat.h>
#include <linux/uio.h>

#ifndef HAVE_KMAP_LOCAL_PAGE
#define kmap_local_page kmap_atomic
#define kunmap_local kunmap_atomic
#endif

/* The directions of an iov_iter. */
#ifndef HAVE_ITER_SOURCE
#define ITER_SOURCE WRITE
#define ITER_DEST READ
#endif

/* Whether a table is loaded for a device that may be written. */
static inline bool dm_table_is_writable(struct dm_table *table)
{
#ifdef HAVE_BLK_MODE_T
	return dm_table_get_mode(table) & BLK_OPEN_WRITE;
#else
	return dm_table_get_mode(table) & FMODE_WRITE;
#endif
}

/*
 * What a file's direct I/O has to be aligned to, in bytes; 0: it has none. Where the file system can not tell, it is what
 * its disk asks for.
 */
static inline u32 file_direct_alignment(struct file *file)
{
	struct block_device *bdev = file->f_mapping->host->i_sb->s_bdev;
#ifdef HAVE_STATX_DIOALIGN
	struct kstat stat;

	if (!vfs_getattr(&file->f_path, &stat, STATX_DIOALIGN, 0) && stat.result_mask & STATX_DIOALIGN)
		return max(stat.dio_offset_align, stat.dio_mem_align);
#endif
#ifdef HAVE_FMODE_CAN_ODIRECT
	if (!(file->f_mode & FMODE_CAN_ODIRECT))
		return 0;
#else
	if (!file->f_mapping->a_ops || !file->f_mapping->a_ops->direct_IO)
		return 0;
#endif
	return bdev ? bdev_logical_block_size(bdev) : PAGE_SIZE;
}

/* Limits of a device that zeroes, also by unmapping, and discards. */
static inline void limits_set_discard(struct queue_limits *limits, unsigned int granularity, unsigned int sectors)
{
	limits->discard_granularity = granularity;
	limits->max_discard_sectors = sectors;
	limits->max_hw_discard_sectors = sectors;
	limits->max_write_zeroes_sectors = sectors;
#ifdef HAVE_WZEROES_UNMAP
	limits->max_hw_wzeroes_unmap_sectors = sectors;
#endif
}

/* What a function takes that kiocb.ki_complete points at. */
#ifdef HAVE_KI_COMPLETE_TWO_RESULTS
#define KI_COMPLETE_ARGUMENTS(kiocb, result) struct kiocb *kiocb, long result, long unused
#else
#define KI_COMPLETE_ARGUMENTS(kiocb, result) struct kiocb *kiocb, long result
#endif

/* A shrinker that knows its owner. */
#ifdef HAVE_SHRINKER_ALLOC
#define shrinker_owner(shrinker) ((shrinker)->private_data)
#else
struct compat_shrinker {
	struct shrinker shrinker;
	void *owner;
};
#define shrinker_owner(pointer) (container_of(pointer, struct compat_shrinker, shrinker)->owner)

static inline void shrinker_free(struct shrinker *shrinker)
{
	unregister_shrinker(shrinker);
	kfree(container_of(shrinker, struct compat_shrinker, shrinker));
}
#endif

/* Return: NULL when there is no memory. */
static inline struct shrinker *
shrinker_start(unsigned long (*count)(struct shrinker *shrinker, struct shrink_control *control),
	       unsigned long (*scan)(struct shrinker *shrinker, struct shrink_control *control), void *owner)
{
#ifdef HAVE_SHRINKER_ALLOC
	struct shrinker *shrinker = shrinker_alloc(0, "dm-qcow2");

	if (!shrinker)
		return NULL;
	shrinker->private_data = owner;
	shrinker->count_objects = count;
	shrinker->scan_objects = scan;
	shrinker_register(shrinker);
	return shrinker;
#else
	struct compat_shrinker *own = kzalloc(sizeof(*own), GFP_KERNEL);
	int error;

	if (!own)
		return NULL;
	own->owner = owner;
	own->shrinker.seeks = DEFAULT_SEEKS;
	own->shrinker.count_objects = count;
	own->shrinker.scan_objects = scan;
#ifdef HAVE_SHRINKER_NAME
	error = register_shrinker(&own->shrinker, "dm-qcow2");
#else
	error = register_shrinker(&own->shrinker);
#endif
	if (error) {
		kfree(own);
		return NULL;
	}
	return &own->shrinker;
#endif
}

#endif
