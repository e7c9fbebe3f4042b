/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_IOTLB_H
#define VHOST_BLK_IOTLB_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/rbtree.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

#include "mem.h"

struct mm_struct;
struct vblk_chain;
struct vblk_iotlb_entry;

/*
 * Translations that a device keeps: the largest request page by page, several rings, and room. The oldest one that no
 * request in flight relies on makes room for a new one.
 */
#define VBLK_IOTLB_MAX_ENTRIES 32768

/* Entries that a request relies on and that need no allocation. */
#define VBLK_FEW_ENTRIES 4

/*
 * A device's IOTLB: where in the owner's address space the addresses are that its driver uses, as far as the owner has
 * told. A miss is told to the owner by a message. Locks: @lock, then @miss_lock.
 */
struct vblk_iotlb {
	/* Held for reading by a worker for a turn, in which translations do not change; for writing to change them. */
	struct rw_semaphore lock;
	/* Protected by @lock. Whose translations they are; NULL: addresses are not translated here, there are none. */
	const struct mm_struct *owner;
	struct rb_root entries;
	struct list_head by_age;
	unsigned int nr;
	/* Other with each change. */
	u64 generation;

	/* Entries that are out of the tree, but that requests in flight still rely on. */
	atomic_t lingering;
	wait_queue_head_t gone;

	/* Protects the lists and what is on them. */
	spinlock_t miss_lock;
	/* Misses that the owner has not read; that it has read, but not answered. */
	struct list_head unread;
	struct list_head asked;
	/* Woken when there is one unread. */
	wait_queue_head_t readers;
};

/* An address that is missing; a virtqueue waits for one at a time. Protected by vblk_iotlb.miss_lock. */
struct vblk_miss {
	struct list_head node;
	u64 iova;
	/* VHOST_ACCESS_RO or VHOST_ACCESS_WO */
	u8 perm;
	/* Called when it is worth to try again; must not sleep. */
	void (*retry)(struct vblk_miss *miss);
};

/* Entries that a request in flight relies on; the worker's alone. */
struct vblk_hold {
	struct vblk_iotlb *iotlb;
	unsigned int nr;
	unsigned int room;
	struct vblk_iotlb_entry **entries;
	struct vblk_iotlb_entry *few[VBLK_FEW_ENTRIES];
};

void vblk_iotlb_init(struct vblk_iotlb *iotlb);

/* vblk_iotlb_enable() - begin, without a translation, or (@owner is NULL) end to translate; nothing is in flight */
void vblk_iotlb_enable(struct vblk_iotlb *iotlb, const struct mm_struct *owner);

/**
 * vblk_iotlb_update() - add a translation, in place of any that it overlaps
 * @iova: first address
 * @size: bytes; not 0 and no wrap
 * @uaddr: where they are in the owner's address space
 * @perm: VHOST_ACCESS_*
 *
 * Return: 0, -EFAULT (not enabled for the caller, not in user space), -EINVAL (range, permission), -ENOSPC, -ENOMEM;
 * -EINTR: a signal that kills came while requests that rely on a former translation were waited for.
 */
int vblk_iotlb_update(struct vblk_iotlb *iotlb, u64 iova, u64 size, u64 uaddr, u8 perm);

/**
 * vblk_iotlb_invalidate() - forget all translations that a range touches, and wait until nothing uses them
 *
 * Return: as vblk_iotlb_update().
 */
int vblk_iotlb_invalidate(struct vblk_iotlb *iotlb, u64 iova, u64 size);

/**
 * vblk_iotlb_translate() - look an address up; lock held
 * @iova: the address
 * @write: whether the device writes there
 * @len: in: bytes wanted, not 0; out: how many are contiguous there
 * @uaddr: set to where they are
 *
 * Return: 0, -EAGAIN where nothing is known about it, -EFAULT where the access is not allowed.
 */
int vblk_iotlb_translate(const struct vblk_iotlb *iotlb, u64 iova, bool write, size_t *len, void __user **uaddr);

/* vblk_hold_pieces() - the same, where @hold->iotlb says that there is one */
int vblk_hold_pieces(struct vblk_hold *hold, const struct vblk_chain *chain, struct vblk_miss *miss);

/**
 * vblk_hold_chain() - have all translations of a chain stay as they are until vblk_hold_release(); lock held
 * @hold: empty
 * @mem: guest memory; without an IOTLB there is nothing to hold
 * @chain: its pieces; what access is not allowed to is left out
 * @miss: reported if there is one
 *
 * Return: 0, -EAGAIN: something is not known, and nothing is held; -ENOMEM and -E2BIG (it needs more translations than there
 * can be), the same.
 */
static inline int vblk_hold_chain(struct vblk_hold *hold, const struct vblk_mem *mem, const struct vblk_chain *chain,
				  struct vblk_miss *miss)
{
	hold->iotlb = mem ? mem->iotlb : NULL;
	hold->nr = 0;
	return hold->iotlb ? vblk_hold_pieces(hold, chain, miss) : 0;
}

/* vblk_hold_drop() - give back what is held */
void vblk_hold_drop(struct vblk_hold *hold);

/* vblk_hold_release() - @hold is empty then */
static inline void vblk_hold_release(struct vblk_hold *hold)
{
	if (hold->nr)
		vblk_hold_drop(hold);
}

/* vblk_miss_report() - ask the owner for an address, unless that has been done; lock held */
void vblk_miss_report(struct vblk_iotlb *iotlb, struct vblk_miss *miss, u64 iova, bool write);

/* vblk_miss_cancel() - nobody waits any more; retry() is not called and does not run then */
void vblk_miss_cancel(struct vblk_iotlb *iotlb, struct vblk_miss *miss);

/* vblk_miss_read() - take the next message for the owner. Return: false if there is none */
bool vblk_miss_read(struct vblk_iotlb *iotlb, u64 *iova, u8 *perm);

/* vblk_miss_unread() - whether vblk_miss_read() has something to take */
static inline bool vblk_miss_unread(struct vblk_iotlb *iotlb)
{
	return !list_empty_careful(&iotlb->unread);
}

#endif
