// SPDX-License-Identifier: GPL-2.0-only
/* The memory of a request. */
#include <linux/highmem.h>

#include "request.h"

/* From an offset on: the vecs, and how far into the first it begins. */
static const struct bio_vec *memory_at(struct qcow2_request *request, u32 skip, u32 *into)
{
	struct bvec_iter iter = request->memory;
	const struct bio_vec *vec;

	bvec_iter_advance(request->vecs, &iter, skip);
	vec = request->vecs + iter.bi_idx;
	*into = mp_bvec_iter_bvec(request->vecs, iter).bv_offset - vec->bv_offset;
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
	struct bvec_iter iter = request->memory;

	bvec_iter_advance(request->vecs, &iter, skip);
	while (bytes) {
		/* Of a single page. */
		struct bio_vec vec = bvec_iter_bvec(request->vecs, iter);
		u32 part = min(bytes, vec.bv_len);
		u8 *data = kmap_local_page(vec.bv_page);

		if (in)
			memcpy(data + vec.bv_offset, other, part);
		else
			memcpy(other, data + vec.bv_offset, part);
		kunmap_local(data);
		if (in)
			flush_dcache_page(vec.bv_page);
		bvec_iter_advance(request->vecs, &iter, part);
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
