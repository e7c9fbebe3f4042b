/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vhost_blk

#if !defined(VHOST_BLK_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define VHOST_BLK_TRACE_H

#include <linux/tracepoint.h>

#include "device.h"
#include "request.h"

TRACE_EVENT(vhost_blk_request_start,
	TP_PROTO(const struct vblk_request *request, u32 type, u64 sector),
	TP_ARGS(request, type, sector),
	TP_STRUCT__entry(
		__field(pid_t, owner)
		__field(unsigned int, vq)
		__field(unsigned int, head)
		__field(u32, type)
		__field(u64, sector)
	),
	TP_fast_assign(
		__entry->owner = request->vq->dev->owner_pid;
		__entry->vq = request->vq->index;
		__entry->head = request->head;
		__entry->type = type;
		__entry->sector = sector;
	),
	TP_printk("owner=%d vq=%u head=%u type=%u sector=%llu", __entry->owner, __entry->vq, __entry->head,
		  __entry->type, __entry->sector)
);

TRACE_EVENT(vhost_blk_request_finish,
	TP_PROTO(const struct vblk_request *request, u8 status, u32 used_len),
	TP_ARGS(request, status, used_len),
	TP_STRUCT__entry(
		__field(pid_t, owner)
		__field(unsigned int, vq)
		__field(unsigned int, head)
		__field(u32, bytes)
		__field(u8, status)
		__field(u32, used_len)
	),
	TP_fast_assign(
		__entry->owner = request->vq->dev->owner_pid;
		__entry->vq = request->vq->index;
		__entry->head = request->head;
		__entry->bytes = request->bytes;
		__entry->status = status;
		__entry->used_len = used_len;
	),
	TP_printk("owner=%d vq=%u head=%u bytes=%u status=%u used_len=%u", __entry->owner, __entry->vq,
		  __entry->head, __entry->bytes, __entry->status, __entry->used_len)
);

DECLARE_EVENT_CLASS(vhost_blk_vq,
	TP_PROTO(const struct vblk_vq *vq),
	TP_ARGS(vq),
	TP_STRUCT__entry(
		__field(pid_t, owner)
		__field(unsigned int, vq)
	),
	TP_fast_assign(
		__entry->owner = vq->dev->owner_pid;
		__entry->vq = vq->index;
	),
	TP_printk("owner=%d vq=%u", __entry->owner, __entry->vq)
);

DEFINE_EVENT(vhost_blk_vq, vhost_blk_kick, TP_PROTO(const struct vblk_vq *vq), TP_ARGS(vq));
DEFINE_EVENT(vhost_blk_vq, vhost_blk_kick_turn, TP_PROTO(const struct vblk_vq *vq), TP_ARGS(vq));
DEFINE_EVENT(vhost_blk_vq, vhost_blk_signal, TP_PROTO(const struct vblk_vq *vq), TP_ARGS(vq));

TRACE_EVENT(vhost_blk_ring_broken,
	TP_PROTO(const struct vblk_vq *vq, const char *reason),
	TP_ARGS(vq, reason),
	TP_STRUCT__entry(
		__field(pid_t, owner)
		__field(unsigned int, vq)
		__array(char, reason, 80)
	),
	TP_fast_assign(
		__entry->owner = vq->dev->owner_pid;
		__entry->vq = vq->index;
		strscpy(__entry->reason, reason, sizeof(__entry->reason));
	),
	TP_printk("owner=%d vq=%u %s", __entry->owner, __entry->vq, __entry->reason)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
