/* SPDX-License-Identifier: GPL-2.0-only */
/* The images of a chain, each a QCOW2 or a raw file. */
#ifndef DM_QCOW2_IMAGE_H
#define DM_QCOW2_IMAGE_H

#include <linux/types.h>

#include "cache.h"
#include "file.h"
#include "format/entry.h"
#include "format/header.h"

/* Images in a chain. */
#define QCOW2_MAX_CHAIN 64

/* Memory for all L1 tables of a chain: what the largest image with clusters of 64 KiB takes is 32 MiB for 2 PiB. */
#define QCOW2_MAX_L1_MEMORY (128U << 20)

struct qcow2_image {
	struct qcow2_file file;
	/* Where the clusters are: the file itself, or an external data file. */
	struct qcow2_file data_file;
	bool has_data_file;
	bool is_raw;
	/* Of the disk, in bytes. */
	u64 size;

	/* Of a QCOW2 image: */
	struct qcow2_header header;
	u32 slice_bytes;
	/* The active L1 table as far as the disk needs it, in the CPU's byte order. */
	u64 *l1;
	u32 l1_entries;
};

/* What a part of a disk is, and where. */
struct qcow2_extent {
	/* Never QCOW2_UNALLOCATED when it is of a whole chain. */
	enum qcow2_kind kind;
	u64 bytes;
	const struct qcow2_image *image;
	/* For QCOW2_DATA in image's data file, and whether it may be written in place. */
	u64 host;
	bool copied;
	/* For QCOW2_PACKED: place of the compressed cluster, and where the extent begins in what it unpacks to. */
	u64 packed_at;
	u32 packed_bytes;
	u32 skip;
};

/**
 * qcow2_image_load() - reads what is kept of an image in memory
 * @image: with its files open
 * @write: whether it shall be written
 * @is_last: whether there is no image below it
 * @l1_memory: bytes that its L1 table may take; what it takes is subtracted
 * @reason: a constant string for people, set on error
 *
 * Return: 0 or a negative errno. Ends with qcow2_image_close(), also after an error.
 */
int qcow2_image_load(struct qcow2_image *image, bool write, bool is_last, u64 *l1_memory, const char **reason);

/* Frees all, and closes the files. Takes one that is all zeros. */
void qcow2_image_close(struct qcow2_image *image);

/* The file that has the clusters' data. */
static inline const struct qcow2_file *qcow2_image_data(const struct qcow2_image *image)
{
	return image->has_data_file ? &image->data_file : &image->file;
}

/**
 * qcow2_image_map() - tells what a part of an image's disk is
 * @at: where it begins; behind the disk's end it is unallocated
 * @bytes: at most that much of it; at least one
 * @wait: whether it may wait for metadata
 * @extent: what is there from @at on, contiguous and of one kind
 *
 * Return: 0; -EAGAIN: it would have to wait; -EIO and others: the metadata is not valid or can not be read.
 */
int qcow2_image_map(struct qcow2_cache *cache, const struct qcow2_image *image, u64 at, u64 bytes, bool wait,
		    struct qcow2_extent *extent);

/* Reads the L2 entry of an index in a slice, whose lock is held, so that both halves are of one time. As qcow2_decode_l2(). */
int qcow2_image_entry(const struct qcow2_image *image, const struct qcow2_slice *slice, u32 index,
		      struct qcow2_cluster *cluster);

#endif
