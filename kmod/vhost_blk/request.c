// SPDX-License-Identifier: GPL-2.0-only
#include "request.h"

#include <linux/blkdev.h>
#include <linux/uaccess.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_byteorder.h>

#include "device.h"
#include "kick.h"
#include "range.h"
#include "stats.h"
#include "trace.h"
#include "vq.h"

static struct vblk_cursor readable_part(const struct vblk_chain *chain)
{
	return (struct vblk_cursor) { chain->seg, chain->readable };
}

static struct vblk_cursor writable_part(const struct vblk_chain *chain)
{
	return (struct vblk_cursor) { chain->seg + chain->readable, chain->writable, .writable = true };
}

static void __user *find_byte(const struct vblk_mem *mem, struct vblk_cursor *cursor)
{
	void __user *at = vblk_mem_whole(mem, cursor, 1);

	return at || vblk_mem_next(mem, cursor, 1, &at) == 1 ? at : NULL;
}

/* The last writable byte is the status, wherever descriptors are cut. */
static int find_status(struct vblk_request *request, struct vblk_order *order)
{
	struct vblk_cursor cursor = writable_part(order->chain);
	u64 length = order->chain->writable_bytes;

	if (!length)
		return vblk_vq_broken(request->vq, "a request has no place for its status");
	/* A descriptor of its own, mostly. */
	if (cursor.seg[cursor.nr - 1].len == 1)
		cursor = (struct vblk_cursor) { &cursor.seg[cursor.nr - 1], 1, .writable = cursor.writable };
	else
		vblk_mem_skip(&cursor, length - 1);
	request->status = find_byte(request->vq->mem, &cursor);
	if (!request->status)
		return vblk_vq_broken(request->vq, "the status of a request is outside of guest memory");
	order->writable = length - 1;
	return 0;
}

static int copy_header(const struct vblk_mem *mem, struct vblk_cursor *cursor, struct virtio_blk_outhdr *header)
{
	const void __user *from = vblk_mem_whole(mem, cursor, sizeof(*header));

	if (from)
		return vblk_user_read_units(header, from, sizeof(*header) / VBLK_UNIT_BYTES);
	return vblk_mem_read(mem, cursor, header, sizeof(*header));
}

static bool read_header(const struct vblk_request *request, struct vblk_order *order)
{
	struct vblk_cursor cursor = readable_part(order->chain);
	bool little_endian = request->vq->vring.little_endian;
	struct virtio_blk_outhdr header;
	u64 length = order->chain->readable_bytes;

	if (length < sizeof(header) || copy_header(request->vq->mem, &cursor, &header))
		return false;
	order->type = __virtio32_to_cpu(little_endian, header.type);
	order->sector = __virtio64_to_cpu(little_endian, header.sector);
	order->readable = length - sizeof(header);
	return true;
}

/* Any context, also within the submission of the last bio. */
static void request_done(struct vblk_io *io)
{
	struct vblk_request *request = container_of(io, struct vblk_request, io);

	vblk_vq_done(request->vq, &request->done);
}

struct vblk_cursor vblk_request_readable(const struct vblk_order *order)
{
	struct vblk_cursor cursor = readable_part(order->chain);

	/* It is a descriptor of its own, mostly. */
	if (cursor.seg->len == sizeof(struct virtio_blk_outhdr))
		return (struct vblk_cursor) { cursor.seg + 1, cursor.nr - 1 };
	vblk_mem_skip(&cursor, sizeof(struct virtio_blk_outhdr));
	return cursor;
}

void vblk_request_enter_flight(struct vblk_request *request, u32 bytes, u32 written)
{
	request->in_flight = true;
	request->bytes = bytes;
	request->written = written;
	request->vq->in_flight++;
	request->vq->bytes_in_flight += bytes;
	request->vq->turn_bytes += bytes;
	vblk_stats_enter_flight(request);
	vblk_io_begin(&request->io, request_done);
}

/* Data and place are those of an earlier attempt, too. */
static void transfer(struct vblk_request *request, unsigned int flags)
{
	const struct vblk_backend *backend = &request->vq->backend;

	request->flags = flags;
	backend->ops->transfer(backend, &request->io, &request->data, request->sector, flags);
	vblk_io_end(&request->io);
}

/* The disk would have had to wait, as it could not be told for certain beforehand. */
static bool transfer_again(struct vblk_request *request)
{
	int error = request->io.error;

	if (error != -EAGAIN && error != -EOPNOTSUPP)
		return false;
	if (!request->has_data || !(request->flags & VBLK_NOWAIT))
		return false;
	vblk_kick_rest(request->vq);
	vblk_io_begin(&request->io, request_done);
	transfer(request, request->flags & ~VBLK_NOWAIT);
	return true;
}

static int start_transfer(struct vblk_request *request, const struct vblk_order *order, bool write)
{
	struct vblk_cursor cursor = write ? vblk_request_readable(order) : writable_part(order->chain);
	u64 bytes = write ? order->readable : order->writable;
	struct vblk_vq *vq = request->vq;
	const struct vblk_backend *backend = &vq->backend;
	struct vblk_layout layout;
	unsigned int flags = 0;
	bool nowait;

	if (bytes > VHOST_BLK_MAX_REQUEST_BYTES || (write && vq->read_only))
		return VIRTIO_BLK_S_IOERR;
	if (!vblk_backend_allows(backend, write, order->sector, bytes)) {
		vblk_resize_suspect(vq, order->sector, bytes);
		return VIRTIO_BLK_S_IOERR;
	}
	if (!bytes)
		return VIRTIO_BLK_S_OK;
	if (write)
		flags = VBLK_WRITE | (vblk_vq_durable(vq) ? VBLK_DURABLE : 0);
	layout = backend->ops->layout(backend, order->sector, bytes);
	nowait = vq->of_kicker;
	if (nowait)
		flags |= VBLK_NOWAIT;
	if (vblk_data_prepare(&request->data, &layout, vq->mem, &cursor, bytes, !write, nowait))
		return VIRTIO_BLK_S_IOERR;
	request->has_data = true;
	request->sector = order->sector;
	vblk_request_enter_flight(request, bytes, write ? 0 : bytes);
	transfer(request, flags);
	return VBLK_IN_FLIGHT;
}

static int start_flush(struct vblk_request *request)
{
	const struct vblk_backend *backend = &request->vq->backend;

	vblk_request_enter_flight(request, 0, 0);
	backend->ops->flush(backend, &request->io);
	vblk_io_end(&request->io);
	return VBLK_IN_FLIGHT;
}

static int get_id(struct vblk_request *request, const struct vblk_order *order)
{
	struct vblk_cursor cursor = writable_part(order->chain);
	u32 len = min_t(u64, order->writable, VIRTIO_BLK_ID_BYTES);
	char id[VIRTIO_BLK_ID_BYTES];

	vblk_vq_serial(request->vq, id);
	if (vblk_mem_write(request->vq->mem, &cursor, id, len))
		return VIRTIO_BLK_S_IOERR;
	if (vblk_log_pieces(&request->vq->log, request->vq->mem, writable_part(order->chain), len))
		return vblk_vq_broken(request->vq, VBLK_NO_LOG);
	request->written = len;
	return VIRTIO_BLK_S_OK;
}

static int carry_out(struct vblk_request *request, struct vblk_order *order)
{
	if (!read_header(request, order))
		return VIRTIO_BLK_S_IOERR;
	/* Others may have to wait. */
	if (order->type != VIRTIO_BLK_T_IN && order->type != VIRTIO_BLK_T_OUT && request->vq->of_kicker)
		return VIRTIO_BLK_S_UNSUPP;
	request->type = vblk_stats_type(order->type);
	trace_vhost_blk_request_start(request, order->type, order->sector);
	switch (order->type) {
	case VIRTIO_BLK_T_IN:
		return start_transfer(request, order, false);
	case VIRTIO_BLK_T_OUT:
		return start_transfer(request, order, true);
	case VIRTIO_BLK_T_FLUSH:
		return start_flush(request);
	case VIRTIO_BLK_T_GET_ID:
		return get_id(request, order);
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
	case VIRTIO_BLK_T_SECURE_ERASE:
		return vblk_range_start(request, order);
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

/* @written: bytes of guest memory before the status. */
static int answer(struct vblk_request *request, u8 status, u32 written)
{
	int ret;

	if (put_user(status, request->status))
		return vblk_vq_broken(request->vq, "the status of a request can not be written");
	if (vblk_log_written(&request->vq->log, request->status, 1))
		return vblk_vq_broken(request->vq, VBLK_NO_LOG);
	ret = vblk_vring_use(&request->vq->vring, request->head, written + 1);
	if (ret)
		return ret;
	vblk_stats_answer(request, status);
	trace_vhost_blk_request_finish(request, status, written + 1);
	return 0;
}

int vblk_request_start(struct vblk_vq *vq, const struct vblk_chain *chain)
{
	struct vblk_request *request = &vq->requests[chain->head];
	struct vblk_order order = { .chain = chain };
	int status, held, ret;

	/* Its buffers are in use; and there is one vblk_request a head. */
	if (request->in_flight) {
		vblk_vq_broken(vq, "a chain was made available again before it was used");
		return -EEXIST;
	}
	request->vq = vq;
	request->head = chain->head;
	request->written = 0;
	request->bytes = 0;
	request->type = VBLK_TYPE_OTHER;
	request->has_data = false;
	request->zeroes.sectors = 0;
	held = vblk_hold_chain(&request->hold, vq->mem, chain, &vq->miss);
	if (held == -EAGAIN)
		return held;
	if (held == -E2BIG)
		return vblk_vq_broken(vq, "a chain names the same translations again and again");
	ret = find_status(request, &order);
	if (!ret) {
		status = held ? VIRTIO_BLK_S_IOERR : carry_out(request, &order);
		if (status == VBLK_IN_FLIGHT)
			return 0;
		if (vq->of_kicker)
			ret = -EAGAIN;
		else
			ret = status < 0 ? status : answer(request, status, request->written);
	}
	vblk_hold_release(&request->hold);
	return ret;
}

static void leave_flight(struct vblk_request *request)
{
	struct vblk_vq *vq = request->vq;

	request->in_flight = false;
	vblk_stats_leave_flight(request);
	vq->in_flight--;
	vq->bytes_in_flight -= request->bytes;
}

/* What it has started itself: data in the guest's own pages, of which no log is kept. */
static int finish_of_kicker(struct vblk_request *request)
{
	if (request->io.error || answer(request, VIRTIO_BLK_S_OK, request->written))
		return -EAGAIN;
	/* Does nothing that could fail then. */
	vblk_data_finish(&request->data, true, &request->vq->log);
	leave_flight(request);
	vblk_hold_release(&request->hold);
	return 0;
}

int vblk_request_finish(struct vblk_request *request)
{
	struct vblk_vq *vq = request->vq;
	int ret = 0, error = request->io.error;
	u8 status = VIRTIO_BLK_S_OK;

	if (vq->of_kicker)
		return finish_of_kicker(request);
	if (transfer_again(request))
		return 0;
	if (request->zeroes.sectors && vblk_range_goes_on(request, error))
		return 0;
	if (request->has_data)
		ret = vblk_data_finish(&request->data, !error, &vq->log);
	leave_flight(request);
	error = error ? error : ret;
	if (error)
		status = error == -EOPNOTSUPP && !request->has_data ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
	if (ret == -EPROTO)
		ret = vblk_vq_broken(vq, VBLK_NO_LOG);
	else
		ret = answer(request, status, error ? 0 : request->written);
	vblk_hold_release(&request->hold);
	return ret;
}
