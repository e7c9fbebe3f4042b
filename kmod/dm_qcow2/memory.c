// SPDX-License-Identifier: GPL-2.0-only
/* The memory of a bio. */
#include <linux/highmem.h>

#include "request.h"

static struct bio *bio_of(struct qcow2_request *request)
{
	return dm_bio_from_per_bio_data(request, sizeof(*request));
}

/* From an offset on: the vecs, and how far into the first it begins. */
static const struct bio_vec *memory_at(struct qcow2_request *request, u32 skip, u32 *into)
{
	struct bio *bio = bio_of(request);
	struct bvec_iter iter = request->memory;
	const struct bio_vec *vec;

	bio_advance_iter(bio, &iter, skip);
	vec = bio->bi_io_vec + iter.bi_idx;
	*into = mp_bvec_iter_bvec(bio->bi_io_vec, iter).bv_offset - vec->bv_offset;
	return vec;
}

void qcow2_memory_iter(struct qcow2_request *request, u32 skip, u32 bytes, unsigned int direction,
		       struct iov_iter *iter)
{
	u32 into;
	const struct bio_vec *vecs = memory_at(request, skip, &into);

	iov_iter_bvec(iter, direction, vecs, qcow2_count_vecs(vecs, (u64)into + bytes), (size_t)into + bytes);
	iov_iter_advance(iter, into);
}

void qcow2_memory_zero(struct qcow2_request *request, u32 skip, u32 bytes)
{
	u32 into;
	const struct bio_vec *vecs = memory_at(request, skip, &into);

	qcow2_zero_vecs(vecs, into, bytes);
}

static void copy(struct qcow2_request *request, u32 skip, u8 *other, u32 bytes, bool in)
{
	struct bio *bio = bio_of(request);
	struct bvec_iter iter = request->memory;

	bio_advance_iter(bio, &iter, skip);
	while (bytes) {
		/* Of a single page. */
		struct bio_vec vec = bio_iter_iovec(bio, iter);
		u32 part = min(bytes, vec.bv_len);
		u8 *data = kmap_local_page(vec.bv_page);

		if (in)
			memcpy(data + vec.bv_offset, other, part);
		else
			memcpy(other, data + vec.bv_offset, part);
		kunmap_local(data);
		if (in)
			flush_dcache_page(vec.bv_page);
		bio_advance_iter(bio, &iter, part);
		other += part;
		bytes -= part;
	}
}

void qcow2_memory_copy_in(struct qcow2_request *request, u32 skip, const u8 *from, u32 bytes)
{
	copy(request, skip, (u8 *)from, bytes, true);
}

void qcow2_memory_copy_out(struct qcow2_request *request, u32 skip, u8 *to, u32 bytes)
{
	copy(request, skip, to, bytes, false);
}

bool qcow2_memory_fits(struct qcow2_request *request, const struct qcow2_file *file, u32 skip, u32 bytes)
{
	u32 into, mask = min_t(u32, file->block, SECTOR_SIZE) - 1;
	const struct bio_vec *vec = memory_at(request, skip, &into);
	u64 left = (u64)into + bytes;

	if (into & mask)
		return false;
	for (; left; vec++) {
		if ((vec->bv_offset | vec->bv_len) & mask)
			return false;
		left -= min_t(u64, left, vec->bv_len);
	}
	return true;
}
