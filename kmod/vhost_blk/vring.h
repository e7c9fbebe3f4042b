/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_VRING_H
#define VHOST_BLK_VRING_H

#include <linux/types.h>
#include <linux/virtio_ring.h>

#include "log.h"
#include "mem.h"
#include "uapi/vhost_blk.h"

struct vblk_miss;

/* Parts of a ring, and the pieces of user space that one may be in. */
enum { VBLK_AREA_DESC, VBLK_AREA_AVAIL, VBLK_AREA_USED, VBLK_AREAS };

struct vblk_area {
	unsigned int nr;
	struct vblk_piece piece[8];
};

/*
 * A split virtqueue (virtio 1.3, 2.7) as its device sees it. Where it lies and how it is read is set while it does not
 * run; the indexes are the worker's then. Each thing in guest memory is read once, into memory of ours, and checked there.
 */
struct vblk_vring {
	/* 0: not set up. A power of two. */
	unsigned int num;
	/* Where its areas are, as the VMM told: user addresses, or, if @translated, those that the driver uses. */
	u64 addr[VBLK_AREAS];
	bool placed;
	bool translated;
	/* Where they are in user space; NULL: in several pieces, see @area. To be used only while it is mapped. */
	bool mapped;
	struct vring_desc __user *desc;
	struct vring_avail __user *avail;
	struct vring_used __user *used;
	/* Of a translated ring: its pieces, and the generation of the IOTLB that they are of. */
	struct vblk_area area[VBLK_AREAS];
	u64 generation;
	/* Who waits for a translation. */
	struct vblk_miss *miss;
	/* used_idx has been read from the ring. */
	bool resumed;
	/* Used elements that wait for the ring to be mapped; room for @num. */
	struct vring_used_elem *deferred;
	unsigned int nr_deferred;
	bool event_idx;
	bool indirect;
	bool little_endian;
	/* Writes to the used ring are logged at this guest physical address; like @log protected by vblk_vq.lock. */
	bool log_used;
	u64 log_gpa;
	struct vblk_log *log;

	/* Next entry of the available ring to take, and the guest's index when it was last read. */
	u16 last_avail;
	u16 avail_idx;
	/* Next entry of the used ring to write, and the index that the guest was told. */
	u16 used_idx;
	u16 published;
	/* used_idx when it was last decided whether to signal. */
	u16 signalled;
	bool signalled_valid;
	/* The guest has been asked to kick when it makes more available; until it was told anything, it may kick or not. */
	bool wants_kick;
	bool kick_told;
	/* Why the last call failed. */
	const char *reason;
};

/* One descriptor chain, flattened: first the pieces that the device reads, then those that it writes. */
struct vblk_chain {
	u16 head;
	unsigned int readable;
	unsigned int writable;
	/* In all of these, header and status included. */
	u64 readable_bytes;
	u64 writable_bytes;
	struct vblk_seg seg[VHOST_BLK_MAX_CHAIN];
	/* The chain's indirect table. */
	struct vring_desc table[VHOST_BLK_MAX_CHAIN];
};

/*
 * All return 0 unless told otherwise, or a negative errno when the ring is broken; @vring->reason says why then.
 * -EAGAIN is none of these: a translation is missing and has been asked for.
 */

/* vblk_vring_check() - whether size and addresses are set and addresses are in user space; -EINVAL, -EFAULT */
int vblk_vring_check(const struct vblk_vring *vring);

/* vblk_vring_used_bytes() - how long the used ring is */
static inline size_t vblk_vring_used_bytes(const struct vblk_vring *vring)
{
	return sizeof(struct vring_used) + vring->num * sizeof(struct vring_used_elem) + sizeof(__virtio16);
}

/* vblk_vring_start() - begin to run; in the owner's address space */
int vblk_vring_start(struct vblk_vring *vring);

/**
 * vblk_vring_map() - find the ring for a turn
 * @vring: is translated
 * @mem: its iotlb's lock is held for the turn
 * @miss: reported if there is one; NULL: do not ask
 */
int vblk_vring_map(struct vblk_vring *vring, const struct vblk_mem *mem, struct vblk_miss *miss);

/* vblk_vring_resume() - the ring has been mapped: go on where it stands, write what had to wait */
int vblk_vring_resume(struct vblk_vring *vring);

/* vblk_area_find() - Return: where @len bytes are, NULL when they are not in one piece */
void __user *vblk_area_find(const struct vblk_area *area, size_t offset, size_t len);

/* vblk_area_log() - log that @len bytes were written; -EFAULT as vblk_log_uaddr() */
int vblk_area_log(const struct vblk_area *area, struct vblk_log *log, size_t offset, size_t len);

/* vblk_vring_look() - look again; Return: as vblk_vring_available() */
int vblk_vring_look(struct vblk_vring *vring);

/* vblk_vring_available() - Return: 1 when a chain can be taken, 0 when the guest has made none available */
static inline int vblk_vring_available(struct vblk_vring *vring)
{
	return vring->avail_idx != vring->last_avail ? 1 : vblk_vring_look(vring);
}

/* vblk_vring_known() - how many chains the guest had made available when it was last looked at */
static inline unsigned int vblk_vring_known(const struct vblk_vring *vring)
{
	return (u16)(vring->avail_idx - vring->last_avail);
}

/* vblk_vring_take() - take the next chain; only after vblk_vring_available() returned 1 */
int vblk_vring_take(struct vblk_vring *vring, const struct vblk_mem *mem, struct vblk_chain *chain);

/* vblk_vring_untake() - the chain that was taken last is to be taken again later; it must not have been started */
static inline void vblk_vring_untake(struct vblk_vring *vring)
{
	vring->last_avail--;
}

/* vblk_vring_tell_kick() - tell the guest whether to notify */
int vblk_vring_tell_kick(struct vblk_vring *vring, bool want);

/* vblk_vring_want_kick() - ask to be notified, or not; look for available chains again after asking */
static inline int vblk_vring_want_kick(struct vblk_vring *vring, bool want)
{
	return vring->kick_told && vring->wants_kick == want ? 0 : vblk_vring_tell_kick(vring, want);
}

/* vblk_vring_hush() - take back that it was asked to notify, while nothing is available and this is looked at anyway */
int vblk_vring_hush(struct vblk_vring *vring);

/* vblk_vring_use() - write a used element, or keep it until the ring is mapped; vblk_vring_publish() shows it */
int vblk_vring_use(struct vblk_vring *vring, u16 head, u32 len);

/* vblk_vring_publish() - Return: 1 when the guest is to be signalled, 0 when it need not be */
int vblk_vring_publish(struct vblk_vring *vring);

#endif
