/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_STATS_H
#define VHOST_BLK_STATS_H

#include <linux/types.h>

struct vblk_dev;
struct vblk_request;
struct vblk_vq;

enum vblk_request_type {
	VBLK_TYPE_IN,
	VBLK_TYPE_OUT,
	VBLK_TYPE_FLUSH,
	VBLK_TYPE_GET_ID,
	VBLK_TYPE_DISCARD,
	VBLK_TYPE_WRITE_ZEROES,
	VBLK_TYPE_SECURE_ERASE,
	/* Unknown, or without a header that can be read. */
	VBLK_TYPE_OTHER,
	VBLK_NR_TYPES
};

/* Of latencies: less than 1 us, then from each power of two on, up to 2^22 us, about four seconds, and more. */
#define VBLK_LATENCY_BUCKETS 24

/* What happened on a virtqueue since its owner came. Protected by vblk_vq.lock: only turns count. */
struct vblk_stats {
	/* Answered, in whatever way. */
	u64 requests[VBLK_NR_TYPES];
	/* Data of those answered with success. */
	u64 bytes_in;
	u64 bytes_out;
	u64 errors;
	u64 unsupported;
	/* Of requests that went to the disk, between the turns that took and that answered them. */
	u64 latency[VBLK_LATENCY_BUCKETS];
	unsigned int max_in_flight;
	/* Times that answers were told with a signal, and that the guest had not asked for one. */
	u64 signals;
	u64 signals_suppressed;
	/* Turns in which there was something to do, and idle times that polling ended, or did not. */
	u64 turns;
	/* Of these, turns in which a thread that kicked started requests. */
	u64 kick_turns;
	u64 poll_hits;
	u64 poll_misses;
};

/* Counters in /sys/kernel/debug/vhost_blk; do nothing where the kernel has no debugfs. */
void vblk_stats_init(void);
void vblk_stats_exit(void);

/* vblk_stats_show() - make the folder of a device with an owner; dev->lock held */
void vblk_stats_show(struct vblk_dev *dev);

/* vblk_stats_show_vq() - make the file of a virtqueue, if it is not there yet; dev->lock held */
void vblk_stats_show_vq(struct vblk_vq *vq);

/* vblk_stats_hide() - remove what vblk_stats_show() made, after the last one who reads in it; no vblk_vq.lock held */
void vblk_stats_hide(struct vblk_dev *dev);

/* The rest runs in turns of the virtqueue. */

/* vblk_stats_type() - @type: VIRTIO_BLK_T_* */
enum vblk_request_type vblk_stats_type(u32 type);

/* vblk_stats_turn() - there was something to do in the turn that began at @now */
void vblk_stats_turn(struct vblk_vq *vq, u64 now);

void vblk_stats_enter_flight(struct vblk_request *request);
void vblk_stats_leave_flight(struct vblk_request *request);

/* vblk_stats_answer() - @status: VIRTIO_BLK_S_* */
void vblk_stats_answer(const struct vblk_request *request, u8 status);

#endif
