// SPDX-License-Identifier: GPL-2.0-only
#include "vring.h"

#include <linux/nospec.h>
#include <linux/uaccess.h>
#include <linux/virtio_byteorder.h>

/* Bytes of an indirect table up to which words are read one by one. */
#define VBLK_SHORT_TABLE 256

static u16 from_guest16(const struct vblk_vring *vring, __virtio16 value)
{
	return __virtio16_to_cpu(vring->little_endian, value);
}

static u32 from_guest32(const struct vblk_vring *vring, __virtio32 value)
{
	return __virtio32_to_cpu(vring->little_endian, value);
}

static u64 from_guest64(const struct vblk_vring *vring, __virtio64 value)
{
	return __virtio64_to_cpu(vring->little_endian, value);
}

static __virtio16 to_guest16(const struct vblk_vring *vring, u16 value)
{
	return __cpu_to_virtio16(vring->little_endian, value);
}

static int broken(struct vblk_vring *vring, const char *reason)
{
	vring->reason = reason;
	return -EPROTO;
}

/* used_event and avail_event lie behind the rings' last entries. */
static __virtio16 __user *used_event(const struct vblk_vring *vring)
{
	return &vring->avail->ring[vring->num];
}

static __virtio16 __user *avail_event(const struct vblk_vring *vring)
{
	return (__virtio16 __user *)&vring->used->ring[vring->num];
}

int vblk_vring_check(const struct vblk_vring *vring)
{
	size_t num = vring->num;

	if (!num || !vring->desc || !vring->avail || !vring->used)
		return -EINVAL;
	if (!access_ok(vring->desc, num * sizeof(*vring->desc)) ||
	    !access_ok(vring->avail, sizeof(*vring->avail) + (num + 1) * sizeof(vring->avail->ring[0])) ||
	    !access_ok(vring->used, sizeof(*vring->used) + num * sizeof(vring->used->ring[0]) + sizeof(__virtio16)))
		return -EFAULT;
	return 0;
}

int vblk_vring_start(struct vblk_vring *vring)
{
	__virtio16 idx;
	int ret = vblk_vring_check(vring);

	if (ret)
		return ret;
	/* A predecessor may have left the queue at any index. */
	if (get_user(idx, &vring->used->idx))
		return -EFAULT;
	vring->avail_idx = vring->last_avail;
	vring->used_idx = from_guest16(vring, idx);
	vring->published = vring->used_idx;
	vring->signalled_valid = false;
	vring->wants_kick = false;
	vring->reason = NULL;
	return 0;
}

int vblk_vring_available(struct vblk_vring *vring)
{
	__virtio16 idx;

	if (vring->avail_idx == vring->last_avail) {
		if (get_user(idx, &vring->avail->idx))
			return broken(vring, "the available index can not be read");
		vring->avail_idx = from_guest16(vring, idx);
		if ((u16)(vring->avail_idx - vring->last_avail) > vring->num)
			return broken(vring, "the available index moved by more than the ring's size");
		/* The index before the entries and descriptors that it covers. */
		smp_rmb();
	}
	return vring->avail_idx != vring->last_avail;
}

static inline int add_seg(struct vblk_vring *vring, struct vblk_chain *chain, const struct vring_desc *desc)
{
	u16 flags = from_guest16(vring, desc->flags);
	struct vblk_seg *seg = &chain->seg[chain->readable + chain->writable];

	if (!(flags & VRING_DESC_F_WRITE) && chain->writable)
		return broken(vring, "a readable descriptor follows a writable one");
	seg->gpa = from_guest64(vring, desc->addr);
	seg->len = from_guest32(vring, desc->len);
	if (flags & VRING_DESC_F_WRITE)
		chain->writable++;
	else
		chain->readable++;
	return 0;
}

static int read_table(const struct vblk_mem *mem, const struct vblk_seg *whole, struct vring_desc *table)
{
	struct vblk_cursor cursor = { whole, 1 };
	u32 len = whole->len;
	void __user *from;
	ssize_t n = vblk_mem_next(mem, &cursor, len, &from);

	if (n == len && len <= VBLK_SHORT_TABLE)
		return vblk_user_read_words(table, from, len / sizeof(u64));
	/* From the start, since where a table crosses regions of memory its entries may be cut anywhere. */
	cursor = (struct vblk_cursor) { whole, 1 };
	return vblk_mem_read(mem, &cursor, table, len);
}

/* Walks the table that @desc refers to, which ends the chain. @left: how many more descriptors the chain may have. */
static int take_indirect(struct vblk_vring *vring, const struct vblk_mem *mem, struct vblk_chain *chain,
			 const struct vring_desc *desc, unsigned int left)
{
	struct vblk_seg whole = { from_guest64(vring, desc->addr), from_guest32(vring, desc->len) };
	unsigned int count = whole.len / sizeof(*desc);
	unsigned int i = 0, found = 0;

	if (!vring->indirect)
		return broken(vring, "indirect descriptor, but the feature was not negotiated");
	if (!whole.len || whole.len % sizeof(*desc))
		return broken(vring, "the length of an indirect table is no multiple of 16");
	if (count > ARRAY_SIZE(chain->table))
		return broken(vring, "indirect table too long");
	if (read_table(mem, &whole, chain->table))
		return broken(vring, "an indirect table can not be read");
	for (;;) {
		const struct vring_desc *entry = &chain->table[array_index_nospec(i, count)];
		u16 flags = from_guest16(vring, entry->flags);

		if (flags & VRING_DESC_F_INDIRECT)
			return broken(vring, "indirect descriptor in an indirect table");
		if (++found > min(count, left))
			return broken(vring, "an indirect chain is a loop or too long");
		if (add_seg(vring, chain, entry))
			return -EPROTO;
		if (!(flags & VRING_DESC_F_NEXT))
			return 0;
		i = from_guest16(vring, entry->next);
		if (i >= count)
			return broken(vring, "next is outside of the indirect table");
	}
}

static int take_chain(struct vblk_vring *vring, const struct vblk_mem *mem, struct vblk_chain *chain)
{
	unsigned int i = chain->head, found = 0;
	struct vring_desc desc;

	for (;;) {
		u16 flags;

		if (vblk_user_read_words(&desc, &vring->desc[i], sizeof(desc) / sizeof(u64)))
			return broken(vring, "a descriptor can not be read");
		flags = from_guest16(vring, desc.flags);
		if (++found > vring->num)
			return broken(vring, "a descriptor chain is a loop");
		if (flags & VRING_DESC_F_INDIRECT) {
			if (flags & VRING_DESC_F_NEXT)
				return broken(vring, "indirect descriptor with a next one");
			return take_indirect(vring, mem, chain, &desc, VHOST_BLK_MAX_CHAIN - (found - 1));
		}
		if (add_seg(vring, chain, &desc))
			return -EPROTO;
		if (!(flags & VRING_DESC_F_NEXT))
			return 0;
		i = from_guest16(vring, desc.next);
		if (i >= vring->num)
			return broken(vring, "next is outside of the descriptor table");
	}
}

int vblk_vring_take(struct vblk_vring *vring, const struct vblk_mem *mem, struct vblk_chain *chain)
{
	__virtio16 head;
	int ret;

	if (get_user(head, &vring->avail->ring[vring->last_avail & (vring->num - 1)]))
		return broken(vring, "the available ring can not be read");
	chain->head = from_guest16(vring, head);
	if (chain->head >= vring->num)
		return broken(vring, "head is outside of the descriptor table");
	chain->head = array_index_nospec(chain->head, vring->num);
	chain->readable = 0;
	chain->writable = 0;
	ret = take_chain(vring, mem, chain);
	if (!ret)
		vring->last_avail++;
	return ret;
}

int vblk_vring_want_kick(struct vblk_vring *vring, bool want)
{
	int ret = 0;

	if (vring->wants_kick == want)
		return 0;
	vring->wants_kick = want;
	if (!vring->event_idx)
		ret = put_user(to_guest16(vring, want ? 0 : VRING_USED_F_NO_NOTIFY), &vring->used->flags);
	else if (want)
		/* Asks for one notification only, so nothing need be taken back. */
		ret = put_user(to_guest16(vring, vring->last_avail), avail_event(vring));
	if (ret)
		return broken(vring, "the used ring can not be written");
	/* The request before the look for what came in the meantime; pairs with the driver's barrier. */
	if (want)
		smp_mb();
	return 0;
}

int vblk_vring_use(struct vblk_vring *vring, u16 head, u32 len)
{
	struct vring_used_elem __user *elem = &vring->used->ring[vring->used_idx & (vring->num - 1)];
	__virtio32 id = __cpu_to_virtio32(vring->little_endian, head);
	__virtio32 bytes = __cpu_to_virtio32(vring->little_endian, len);

	if (!user_write_access_begin(elem, sizeof(*elem)))
		goto unwritten;
	unsafe_put_user(id, &elem->id, fault);
	unsafe_put_user(bytes, &elem->len, fault);
	user_write_access_end();
	vring->used_idx++;
	return 0;
fault:
	user_write_access_end();
unwritten:
	return broken(vring, "the used ring can not be written");
}

static int wants_signal(struct vblk_vring *vring)
{
	u16 old = vring->signalled;
	__virtio16 value;

	/* The index before the look at what the driver asks for; pairs with the driver's barrier. */
	smp_mb();
	if (!vring->event_idx) {
		if (get_user(value, &vring->avail->flags))
			return broken(vring, "the available ring's flags can not be read");
		return !(from_guest16(vring, value) & VRING_AVAIL_F_NO_INTERRUPT);
	}
	vring->signalled = vring->used_idx;
	if (!vring->signalled_valid) {
		vring->signalled_valid = true;
		return 1;
	}
	if (get_user(value, used_event(vring)))
		return broken(vring, "the used event can not be read");
	return vring_need_event(from_guest16(vring, value), vring->used_idx, old);
}

int vblk_vring_publish(struct vblk_vring *vring)
{
	if (vring->published == vring->used_idx)
		return 0;
	/* Elements and data before the index that covers them. */
	smp_wmb();
	if (put_user(to_guest16(vring, vring->used_idx), &vring->used->idx))
		return broken(vring, "the used index can not be written");
	vring->published = vring->used_idx;
	return wants_signal(vring);
}
