// SPDX-License-Identifier: GPL-2.0-only
/* Device IOTLB: translations that the owner gives, and what relies on them. */
#include "iotlb.h"

#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/poll.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vhost_types.h>

#include "mem.h"
#include "vring.h"

/* Each byte is in at most one. All but @users changes only while the entry is made and when it leaves the tree. */
struct vblk_iotlb_entry {
	struct rb_node node;
	struct list_head age;
	u64 first;
	u64 last;
	u64 uaddr;
	u8 perm;
	/* The tree and each request in flight. */
	refcount_t users;
};

void vblk_iotlb_init(struct vblk_iotlb *iotlb)
{
	init_rwsem(&iotlb->lock);
	iotlb->entries = RB_ROOT;
	INIT_LIST_HEAD(&iotlb->by_age);
	init_waitqueue_head(&iotlb->gone);
	spin_lock_init(&iotlb->miss_lock);
	INIT_LIST_HEAD(&iotlb->unread);
	INIT_LIST_HEAD(&iotlb->asked);
	init_waitqueue_head(&iotlb->readers);
	/* What has never been translated is of no generation. */
	iotlb->generation = 1;
}

static struct vblk_iotlb_entry *entry_of(struct rb_node *node)
{
	return rb_entry(node, struct vblk_iotlb_entry, node);
}

/* The entry with the lowest addresses that end at @iova or behind it. */
static struct vblk_iotlb_entry *first_from(const struct vblk_iotlb *iotlb, u64 iova)
{
	struct rb_node *node = iotlb->entries.rb_node;
	struct vblk_iotlb_entry *found = NULL;

	while (node) {
		struct vblk_iotlb_entry *entry = entry_of(node);

		if (entry->last < iova) {
			node = node->rb_right;
		} else {
			found = entry;
			node = node->rb_left;
		}
	}
	return found;
}

static struct vblk_iotlb_entry *find(const struct vblk_iotlb *iotlb, u64 iova)
{
	struct vblk_iotlb_entry *entry = first_from(iotlb, iova);

	return entry && entry->first <= iova ? entry : NULL;
}

static void insert(struct vblk_iotlb *iotlb, struct vblk_iotlb_entry *added)
{
	struct rb_node **link = &iotlb->entries.rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = added->first < entry_of(parent)->first ? &parent->rb_left : &parent->rb_right;
	}
	rb_link_node(&added->node, parent, link);
	rb_insert_color(&added->node, &iotlb->entries);
	list_add_tail(&added->age, &iotlb->by_age);
	iotlb->nr++;
}

static void put_entry(struct vblk_iotlb *iotlb, struct vblk_iotlb_entry *entry)
{
	if (!refcount_dec_and_test(&entry->users))
		return;
	kfree(entry);
	if (atomic_dec_and_test(&iotlb->lingering) && wq_has_sleeper(&iotlb->gone))
		wake_up_all(&iotlb->gone);
}

static void remove(struct vblk_iotlb *iotlb, struct vblk_iotlb_entry *entry)
{
	rb_erase(&entry->node, &iotlb->entries);
	list_del(&entry->age);
	iotlb->nr--;
	atomic_inc(&iotlb->lingering);
	put_entry(iotlb, entry);
}

static void remove_range(struct vblk_iotlb *iotlb, u64 first, u64 last)
{
	struct vblk_iotlb_entry *entry = first_from(iotlb, first);

	while (entry && entry->first <= last) {
		struct rb_node *next = rb_next(&entry->node);

		remove(iotlb, entry);
		entry = next ? entry_of(next) : NULL;
	}
	iotlb->generation++;
}

void vblk_iotlb_enable(struct vblk_iotlb *iotlb, const struct mm_struct *owner)
{
	down_write(&iotlb->lock);
	iotlb->owner = owner;
	remove_range(iotlb, 0, U64_MAX);
	up_write(&iotlb->lock);
}

/* The caller may have been the owner when it began. */
static bool is_owner(const struct vblk_iotlb *iotlb)
{
	return iotlb->owner && iotlb->owner == current->mm;
}

/* Until no request in flight relies on what has been removed. */
static int wait_for_users(struct vblk_iotlb *iotlb)
{
	return wait_event_killable(iotlb->gone, !atomic_read(&iotlb->lingering)) ? -EINTR : 0;
}

/* What has waited for an address of the range looks again: it may be known now, or is to be asked for anew. */
static void retry_misses(struct vblk_iotlb *iotlb, u64 first, u64 last)
{
	struct list_head *lists[] = { &iotlb->unread, &iotlb->asked };
	struct vblk_miss *miss, *next;
	unsigned int i;

	spin_lock(&iotlb->miss_lock);
	for (i = 0; i < ARRAY_SIZE(lists); i++)
		list_for_each_entry_safe(miss, next, lists[i], node)
			if (first <= miss->iova && miss->iova <= last) {
				list_del_init(&miss->node);
				miss->retry(miss);
			}
	spin_unlock(&iotlb->miss_lock);
}

/* Room for one more; only what no request relies on is given up, as an invalidation has to find the others. */
static int make_room(struct vblk_iotlb *iotlb)
{
	struct vblk_iotlb_entry *entry;

	if (iotlb->nr < VBLK_IOTLB_MAX_ENTRIES)
		return 0;
	list_for_each_entry(entry, &iotlb->by_age, age)
		if (refcount_read(&entry->users) == 1) {
			remove(iotlb, entry);
			return 0;
		}
	return -ENOSPC;
}

static int replace(struct vblk_iotlb *iotlb, struct vblk_iotlb_entry *added)
{
	struct vblk_iotlb_entry *known = find(iotlb, added->first);
	int ret;

	if (!is_owner(iotlb))
		return -EFAULT;
	/* Nothing new; requests that rely on it need not be waited for. */
	if (known && known->first == added->first && known->last == added->last && known->uaddr == added->uaddr &&
	    known->perm == added->perm) {
		retry_misses(iotlb, added->first, added->last);
		return -EEXIST;
	}
	remove_range(iotlb, added->first, added->last);
	ret = make_room(iotlb);
	if (ret)
		return ret;
	insert(iotlb, added);
	retry_misses(iotlb, added->first, added->last);
	return 0;
}

int vblk_iotlb_update(struct vblk_iotlb *iotlb, u64 iova, u64 size, u64 uaddr, u8 perm)
{
	struct vblk_iotlb_entry *added;
	u64 last;
	int ret;

	if (!size || check_add_overflow(iova, size - 1, &last) || !perm || perm & ~VHOST_ACCESS_RW)
		return -EINVAL;
	/* Neither may be cut off where pointers have 32 bits. */
	if (uaddr > ULONG_MAX || size > ULONG_MAX ||
	    !access_ok((void __user *)(unsigned long)uaddr, (unsigned long)size))
		return -EFAULT;
	added = kmalloc(sizeof(*added), GFP_KERNEL_ACCOUNT);
	if (!added)
		return -ENOMEM;
	added->first = iova;
	added->last = last;
	added->uaddr = uaddr;
	added->perm = perm;
	refcount_set(&added->users, 1);
	/* A worker that holds it may be waiting for memory that the caller would have to provide. */
	if (down_write_killable(&iotlb->lock)) {
		kfree(added);
		return -EINTR;
	}
	ret = replace(iotlb, added);
	up_write(&iotlb->lock);
	if (ret)
		kfree(added);
	if (ret == -EEXIST)
		return 0;
	return ret ? ret : wait_for_users(iotlb);
}

int vblk_iotlb_invalidate(struct vblk_iotlb *iotlb, u64 iova, u64 size)
{
	int ret = 0;
	u64 last;

	if (!size || check_add_overflow(iova, size - 1, &last))
		return -EINVAL;
	if (down_write_killable(&iotlb->lock))
		return -EINTR;
	if (is_owner(iotlb))
		remove_range(iotlb, iova, last);
	else
		ret = -EFAULT;
	if (!ret)
		retry_misses(iotlb, iova, last);
	up_write(&iotlb->lock);
	return ret ? ret : wait_for_users(iotlb);
}

static bool allows(const struct vblk_iotlb_entry *entry, bool write)
{
	return entry->perm & (write ? VHOST_ACCESS_WO : VHOST_ACCESS_RO);
}

int vblk_iotlb_translate(const struct vblk_iotlb *iotlb, u64 iova, bool write, size_t *len, void __user **uaddr)
{
	const struct vblk_iotlb_entry *entry = find(iotlb, iova);

	if (!entry)
		return -EAGAIN;
	if (!allows(entry, write))
		return -EFAULT;
	/* The first byte is in; adding 1 for it could wrap. */
	if (*len - 1 > entry->last - iova)
		*len = entry->last - iova + 1;
	*uaddr = (void __user *)(unsigned long)(entry->uaddr + (iova - entry->first));
	return 0;
}

static int hold_entry(struct vblk_hold *hold, struct vblk_iotlb_entry *entry)
{
	/* Neighbouring pieces are often in one. */
	if (hold->nr && hold->entries[hold->nr - 1] == entry)
		return 0;
	if (hold->nr == hold->room) {
		unsigned int room = max(2 * hold->room, 2U * VBLK_FEW_ENTRIES);
		struct vblk_iotlb_entry **more;

		/* It would be more than there are: the chain names the same memory again and again. */
		if (hold->room >= VBLK_IOTLB_MAX_ENTRIES)
			return -E2BIG;
		more = kvmalloc_array(room, sizeof(*more), GFP_KERNEL | __GFP_NOWARN);
		if (!more)
			return -ENOMEM;
		memcpy(more, hold->entries, hold->nr * sizeof(*more));
		if (hold->entries != hold->few)
			kvfree(hold->entries);
		hold->entries = more;
		hold->room = room;
	}
	refcount_inc(&entry->users);
	hold->entries[hold->nr++] = entry;
	return 0;
}

/* Holds what @len bytes at @iova are in, or sets @iova to the first that is missing. */
static int hold_piece(struct vblk_hold *hold, const struct vblk_iotlb *iotlb, u64 *iova, u32 len)
{
	u64 last;

	/* Is found out when the piece is used. */
	if (!len || check_add_overflow(*iova, (u64)len - 1, &last))
		return 0;
	for (;;) {
		struct vblk_iotlb_entry *entry = find(iotlb, *iova);
		int ret;

		if (!entry)
			return -EAGAIN;
		ret = hold_entry(hold, entry);
		if (ret || last <= entry->last)
			return ret;
		*iova = entry->last + 1;
	}
}

int vblk_hold_pieces(struct vblk_hold *hold, const struct vblk_chain *chain, struct vblk_miss *miss)
{
	struct vblk_iotlb *iotlb = hold->iotlb;
	unsigned int i;

	hold->entries = hold->few;
	hold->room = VBLK_FEW_ENTRIES;
	for (i = 0; i < chain->readable + chain->writable; i++) {
		u64 iova = chain->seg[i].gpa;
		int ret = hold_piece(hold, iotlb, &iova, chain->seg[i].len);

		if (!ret)
			continue;
		vblk_hold_release(hold);
		if (ret == -EAGAIN)
			vblk_miss_report(iotlb, miss, iova, i >= chain->readable);
		return ret;
	}
	return 0;
}

void vblk_hold_drop(struct vblk_hold *hold)
{
	while (hold->nr)
		put_entry(hold->iotlb, hold->entries[--hold->nr]);
	if (hold->entries != hold->few)
		kvfree(hold->entries);
	hold->entries = hold->few;
}

void vblk_miss_report(struct vblk_iotlb *iotlb, struct vblk_miss *miss, u64 iova, bool write)
{
	u8 perm = write ? VHOST_ACCESS_WO : VHOST_ACCESS_RO;

	spin_lock(&iotlb->miss_lock);
	/* On one of the lists: is being waited for already. */
	if (list_empty(&miss->node) || miss->iova != iova || miss->perm != perm) {
		miss->iova = iova;
		miss->perm = perm;
		list_move_tail(&miss->node, &iotlb->unread);
		wake_up_interruptible_poll(&iotlb->readers, EPOLLIN | EPOLLRDNORM);
	}
	spin_unlock(&iotlb->miss_lock);
}

void vblk_miss_cancel(struct vblk_iotlb *iotlb, struct vblk_miss *miss)
{
	spin_lock(&iotlb->miss_lock);
	list_del_init(&miss->node);
	spin_unlock(&iotlb->miss_lock);
}

bool vblk_miss_read(struct vblk_iotlb *iotlb, u64 *iova, u8 *perm)
{
	struct vblk_miss *miss;

	spin_lock(&iotlb->miss_lock);
	miss = list_first_entry_or_null(&iotlb->unread, struct vblk_miss, node);
	if (miss) {
		*iova = miss->iova;
		*perm = miss->perm;
		list_move_tail(&miss->node, &iotlb->asked);
	}
	spin_unlock(&iotlb->miss_lock);
	return miss;
}
