// SPDX-License-Identifier: GPL-2.0-only
/* Requests for ranges of the disk without data: discard, write zeroes, secure erase (virtio 1.3, 5.2.6). */
#include "range.h"

#include <linux/blkdev.h>
#include <linux/slab.h>
#include <linux/virtio_blk.h>

#include "device.h"
#include "request.h"

/* What a segment that is discarded counts for in flight, so that those are bounded together with data. */
#define VBLK_SEGMENT_BYTES 65536U

/* What a request of a type may ask for. */
struct vblk_range_limit {
	/* 0: the disk can not. */
	u32 sectors;
	u32 segments;
};

/* As the guest, too, could have read in the configuration space. */
static struct vblk_range_limit limit_of(const struct vblk_vq *vq, u32 type)
{
	struct vhost_blk_limits limits;

	vblk_backend_limits(&vq->backend, &limits);
	switch (type) {
	case VIRTIO_BLK_T_DISCARD:
		return (struct vblk_range_limit) { limits.max_discard_sectors, limits.max_discard_seg };
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return (struct vblk_range_limit) { limits.max_write_zeroes_sectors, limits.max_write_zeroes_seg };
	default:
		return (struct vblk_range_limit) { limits.max_secure_erase_sectors, limits.max_secure_erase_seg };
	}
}

static bool is_negotiated(const struct vblk_vq *vq, u32 type)
{
	u64 features = vq->dev->features;

	switch (type) {
	case VIRTIO_BLK_T_DISCARD:
		return features & BIT_ULL(VIRTIO_BLK_F_DISCARD);
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return features & BIT_ULL(VIRTIO_BLK_F_WRITE_ZEROES);
	default:
		return features & BIT_ULL(VIRTIO_BLK_F_SECURE_ERASE);
	}
}

/* Return: a virtio-blk status. */
static int check_segment(struct vblk_vq *vq, u32 type, u32 max, const struct virtio_blk_discard_write_zeroes *segment,
			 struct vblk_range *range)
{
	u32 known = type == VIRTIO_BLK_T_WRITE_ZEROES ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0;
	u64 bytes;

	if (le32_to_cpu(segment->flags) & ~known)
		return VIRTIO_BLK_S_UNSUPP;
	range->sector = le64_to_cpu(segment->sector);
	range->sectors = le32_to_cpu(segment->num_sectors);
	bytes = (u64)range->sectors << SECTOR_SHIFT;
	if (range->sectors > max)
		return VIRTIO_BLK_S_IOERR;
	if (!vblk_backend_allows(&vq->backend, true, range->sector, bytes)) {
		vblk_resize_suspect(vq, range->sector, bytes);
		return VIRTIO_BLK_S_IOERR;
	}
	return VIRTIO_BLK_S_OK;
}

/* The guest's segments are read once; @segments and @ranges have @nr entries. */
static int read_segments(struct vblk_vq *vq, const struct vblk_order *order, u32 max,
			 struct virtio_blk_discard_write_zeroes *segments, struct vblk_range *ranges, unsigned int nr)
{
	struct vblk_cursor cursor = vblk_request_readable(order);
	int status = VIRTIO_BLK_S_OK;
	unsigned int i;

	if (vblk_mem_read(vq->mem, &cursor, segments, nr * sizeof(*segments)))
		return VIRTIO_BLK_S_IOERR;
	for (i = 0; i < nr && status == VIRTIO_BLK_S_OK; i++)
		status = check_segment(vq, order->type, max, &segments[i], &ranges[i]);
	return status;
}

static void attempt_zeroes(struct vblk_request *request)
{
	const struct vblk_backend *backend = &request->vq->backend;

	backend->ops->zero(backend, &request->io, &request->zeroes, request->zero_flags);
	vblk_io_end(&request->io);
}

static void start_zeroes(struct vblk_request *request, const struct vblk_range *range, u32 flags)
{
	request->zeroes = *range;
	request->zero_flags = flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP ? VBLK_UNMAP : 0;
	if (vblk_vq_durable(request->vq))
		request->zero_flags |= VBLK_DURABLE;
	/* It may have to be written. */
	vblk_request_enter_flight(request, range->sectors << SECTOR_SHIFT, 0);
	attempt_zeroes(request);
}

static void start_discard(struct vblk_request *request, const struct vblk_range *ranges, unsigned int nr, bool secure)
{
	const struct vblk_backend *backend = &request->vq->backend;

	vblk_request_enter_flight(request, nr * VBLK_SEGMENT_BYTES, 0);
	backend->ops->discard(backend, &request->io, ranges, nr, secure);
	vblk_io_end(&request->io);
}

int vblk_range_start(struct vblk_request *request, const struct vblk_order *order)
{
	struct virtio_blk_discard_write_zeroes *segments;
	struct vblk_vq *vq = request->vq;
	struct vblk_range_limit limit;
	struct vblk_range *ranges;
	unsigned int nr;
	int status;

	if (!is_negotiated(vq, order->type))
		return VIRTIO_BLK_S_UNSUPP;
	if (vq->read_only)
		return VIRTIO_BLK_S_IOERR;
	limit = limit_of(vq, order->type);
	if (!limit.sectors) {
		/* A disk that can not, or one that may not. */
		return vblk_backend_allows(&vq->backend, true, 0, 0) ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
	}
	if (!order->readable || order->readable % sizeof(*segments) ||
	    order->readable / sizeof(*segments) > limit.segments)
		return VIRTIO_BLK_S_IOERR;
	nr = order->readable / sizeof(*segments);
	segments = kmalloc_array(nr, sizeof(*segments) + sizeof(*ranges), GFP_KERNEL | __GFP_NOWARN);
	if (!segments)
		return VIRTIO_BLK_S_IOERR;
	ranges = (struct vblk_range *)&segments[nr];
	status = read_segments(vq, order, limit.sectors, segments, ranges, nr);
	if (status == VIRTIO_BLK_S_OK) {
		if (order->type != VIRTIO_BLK_T_WRITE_ZEROES)
			start_discard(request, ranges, nr, order->type == VIRTIO_BLK_T_SECURE_ERASE);
		else if (ranges->sectors)
			start_zeroes(request, ranges, le32_to_cpu(segments->flags));
		if (request->in_flight)
			status = VBLK_IN_FLIGHT;
	}
	kfree(segments);
	return status;
}

/* How disks say that they know no command for it. */
static bool must_be_written(int error)
{
	return error == -EOPNOTSUPP || error == -EREMOTEIO;
}

bool vblk_range_goes_on(struct vblk_request *request, int error)
{
	const struct vblk_backend *backend = &request->vq->backend;

	if (must_be_written(error) && !(request->zero_flags & VBLK_BY_WRITING)) {
		request->zero_flags |= VBLK_BY_WRITING;
		vblk_io_begin(&request->io, request->io.done);
		attempt_zeroes(request);
		return true;
	}
	if (!error && request->zero_flags & VBLK_DURABLE) {
		request->zero_flags &= ~VBLK_DURABLE;
		vblk_io_begin(&request->io, request->io.done);
		backend->ops->flush(backend, &request->io);
		vblk_io_end(&request->io);
		return true;
	}
	return false;
}
