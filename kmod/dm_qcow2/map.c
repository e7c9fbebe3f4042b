// SPDX-License-Identifier: GPL-2.0-only
/* From an offset in an image's disk to what is there: by its L1 table in memory and a slice of an L2 table. */
#include "image.h"

static void set_hole(struct qcow2_extent *extent, enum qcow2_kind kind, u64 bytes)
{
	extent->kind = kind;
	extent->bytes = bytes;
}

int qcow2_image_entry(const struct qcow2_image *image, const struct qcow2_slice *slice, u32 index,
		      struct qcow2_cluster *cluster)
{
	const u8 *entry = slice->data + (index << qcow2_l2_entry_bits(&image->header));
	u64 bitmap = qcow2_has_extended_l2(&image->header) ? qcow2_be64(entry + 8) : 0;

	return qcow2_decode_l2(&image->header, qcow2_be64(entry), bitmap, cluster);
}

/* What an offset within a cluster is, and up to where the rest of the cluster is the same. */
static enum qcow2_kind kind_at(const struct qcow2_header *header, const struct qcow2_cluster *cluster, u32 offset,
			       u32 *end)
{
	u32 bits = header->cluster_bits;
	enum qcow2_kind kind;
	u32 next;

	*end = 1U << bits;
	if (!qcow2_has_extended_l2(header))
		return cluster->kind;
	bits -= ilog2(QCOW2_SUBCLUSTERS);
	next = offset >> bits;
	kind = qcow2_subcluster_kind(cluster, next);
	do {
		next++;
	} while (next < QCOW2_SUBCLUSTERS && qcow2_subcluster_kind(cluster, next) == kind);
	*end = next << bits;
	return kind;
}

/*
 * Adds a cluster's part from an offset on to an extent, which is empty (bytes is 0) or ends there.
 * Return: whether what follows may belong to the extent, too.
 */
static bool add_cluster(const struct qcow2_image *image, const struct qcow2_cluster *cluster, u32 offset,
			struct qcow2_extent *extent)
{
	u32 end;
	enum qcow2_kind kind = kind_at(&image->header, cluster, offset, &end);

	if (!extent->bytes) {
		extent->kind = kind;
		extent->host = cluster->host + offset;
		extent->copied = cluster->copied;
		extent->packed_at = cluster->host;
		extent->packed_bytes = cluster->packed_bytes;
		extent->skip = offset;
	} else if (kind != extent->kind || kind == QCOW2_PACKED) {
		return false;
	} else if (kind == QCOW2_DATA && (cluster->host + offset != extent->host + extent->bytes ||
					  cluster->copied != extent->copied)) {
		return false;
	}
	extent->bytes += end - offset;
	return end == qcow2_cluster_bytes(&image->header);
}

static int map_slice(const struct qcow2_image *image, struct qcow2_slice *slice, u32 index, u32 offset, u64 bytes,
		     struct qcow2_extent *extent)
{
	u32 entries = slice->bytes >> qcow2_l2_entry_bits(&image->header);
	struct qcow2_cluster cluster;
	int error = 0;

	extent->bytes = 0;
	spin_lock(&slice->lock);
	do {
		error = qcow2_image_entry(image, slice, index, &cluster);
		if (error || !add_cluster(image, &cluster, offset, extent))
			break;
		offset = 0;
		index++;
	} while (index < entries && extent->bytes < bytes);
	spin_unlock(&slice->lock);
	if (!extent->bytes)
		return error;
	extent->bytes = min(extent->bytes, bytes);
	return 0;
}

static int map_raw(const struct qcow2_image *image, u64 at, u64 bytes, struct qcow2_extent *extent)
{
	set_hole(extent, QCOW2_DATA, bytes);
	extent->host = at;
	extent->copied = false;
	return 0;
}

int qcow2_image_map(struct qcow2_cache *cache, const struct qcow2_image *image, u64 at, u64 bytes, bool wait,
		    struct qcow2_extent *extent)
{
	const struct qcow2_header *header = &image->header;
	u32 entry_bits = qcow2_l2_entry_bits(header);
	u32 cluster_bits = header->cluster_bits;
	struct qcow2_slice *slice;
	u64 l1_index, table, behind;
	u32 l1_shift, place;
	int error;

	extent->image = image;
	if (at >= image->size) {
		set_hole(extent, QCOW2_UNALLOCATED, bytes);
		return 0;
	}
	bytes = min(bytes, image->size - at);
	if (image->is_raw)
		return map_raw(image, at, bytes, extent);

	l1_shift = cluster_bits + qcow2_l2_bits(header);
	l1_index = at >> l1_shift;
	behind = min(bytes, (1ULL << l1_shift) - (at & ((1ULL << l1_shift) - 1)));
	error = qcow2_decode_l1(header, READ_ONCE(image->l1[l1_index]), &table);
	if (error)
		return error;
	if (!table) {
		set_hole(extent, QCOW2_UNALLOCATED, behind);
		return 0;
	}
	/* The entry's place in its table, in bytes. */
	place = (at >> cluster_bits & ((1ULL << qcow2_l2_bits(header)) - 1)) << entry_bits;
	error = qcow2_cache_get(cache, &image->file, table + round_down(place, image->slice_bytes),
				image->slice_bytes, wait, &slice);
	if (error)
		return error;
	error = map_slice(image, slice, place % image->slice_bytes >> entry_bits,
			  at & (qcow2_cluster_bytes(header) - 1), behind, extent);
	qcow2_cache_put(cache, slice);
	return error;
}
