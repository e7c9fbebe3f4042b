// SPDX-License-Identifier: GPL-2.0-only
#include "vring.h"

#include <linux/nospec.h>
#include <linux/uaccess.h>
#include <linux/virtio_byteorder.h>

#include "iotlb.h"

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

/* Where @len bytes of an area are; NULL when they are cut. @whole: the area, if it is in one piece. */
static void __user *locate(const struct vblk_vring *vring, void __user *whole, unsigned int which, size_t offset,
			   size_t len)
{
	return likely(whole) ? whole + offset : vblk_area_find(&vring->area[which], offset, len);
}

static int read_avail(const struct vblk_vring *vring, size_t offset, u16 *value)
{
	__virtio16 __user *at = locate(vring, vring->avail, VBLK_AREA_AVAIL, offset, sizeof(*at));
	__virtio16 raw;

	if (!at || get_user(raw, at))
		return -EFAULT;
	*value = from_guest16(vring, raw);
	return 0;
}

static int write_used16(const struct vblk_vring *vring, size_t offset, u16 value)
{
	__virtio16 __user *at = locate(vring, vring->used, VBLK_AREA_USED, offset, sizeof(*at));

	return at && !put_user(to_guest16(vring, value), at) ? 0 : -EFAULT;
}

static int put_element(struct vring_used_elem __user *to, const struct vring_used_elem *elem)
{
	if (!user_write_access_begin(to, sizeof(*to)))
		return -EFAULT;
	unsafe_put_user(elem->id, &to->id, fault);
	unsafe_put_user(elem->len, &to->len, fault);
	user_write_access_end();
	return 0;
fault:
	user_write_access_end();
	return -EFAULT;
}

/* Half of it may be on another page. */
static int put_element_in_parts(const struct vblk_vring *vring, size_t offset, const struct vring_used_elem *elem)
{
	const struct vblk_area *area = &vring->area[VBLK_AREA_USED];
	void __user *id = vblk_area_find(area, offset, sizeof(elem->id));
	void __user *len = vblk_area_find(area, offset + sizeof(elem->id), sizeof(elem->len));

	if (!id || !len || copy_to_user(id, &elem->id, sizeof(elem->id)) ||
	    copy_to_user(len, &elem->len, sizeof(elem->len)))
		return -EFAULT;
	return 0;
}

static inline int write_element(struct vblk_vring *vring, const struct vring_used_elem *elem)
{
	size_t offset = offsetof(struct vring_used, ring[vring->used_idx & (vring->num - 1)]);
	void __user *at = locate(vring, vring->used, VBLK_AREA_USED, offset, sizeof(*elem));

	if (at ? put_element(at, elem) : put_element_in_parts(vring, offset, elem))
		return broken(vring, "the used ring can not be written");
	vring->used_idx++;
	return 0;
}

/* used_event and avail_event lie behind the rings' last entries. */
static size_t used_event(const struct vblk_vring *vring)
{
	return offsetof(struct vring_avail, ring[vring->num]);
}

static size_t avail_event(const struct vblk_vring *vring)
{
	return offsetof(struct vring_used, ring[vring->num]);
}

static bool in_user_space(const struct vblk_vring *vring, unsigned int which, size_t bytes)
{
	unsigned long addr = vring->addr[which];

	return addr == vring->addr[which] && access_ok((void __user *)addr, bytes);
}

int vblk_vring_check(const struct vblk_vring *vring)
{
	size_t num = vring->num;

	if (!num || !vring->placed)
		return -EINVAL;
	if (vring->translated)
		return 0;
	if (!vring->addr[VBLK_AREA_DESC] || !vring->addr[VBLK_AREA_AVAIL] || !vring->addr[VBLK_AREA_USED])
		return -EINVAL;
	if (!in_user_space(vring, VBLK_AREA_DESC, num * sizeof(struct vring_desc)) ||
	    !in_user_space(vring, VBLK_AREA_AVAIL, used_event(vring) + sizeof(__virtio16)) ||
	    !in_user_space(vring, VBLK_AREA_USED, vblk_vring_used_bytes(vring)))
		return -EFAULT;
	return 0;
}

int vblk_vring_start(struct vblk_vring *vring)
{
	int ret = vblk_vring_check(vring);

	if (ret)
		return ret;
	vring->avail_idx = vring->last_avail;
	vring->signalled_valid = false;
	vring->wants_kick = false;
	vring->kick_told = false;
	vring->reason = NULL;
	vring->resumed = false;
	vring->nr_deferred = 0;
	vring->mapped = !vring->translated;
	if (vring->translated)
		return 0;
	vring->desc = (void __user *)(unsigned long)vring->addr[VBLK_AREA_DESC];
	vring->avail = (void __user *)(unsigned long)vring->addr[VBLK_AREA_AVAIL];
	vring->used = (void __user *)(unsigned long)vring->addr[VBLK_AREA_USED];
	return vblk_vring_resume(vring) ? -EFAULT : 0;
}

int vblk_vring_resume(struct vblk_vring *vring)
{
	unsigned int i;

	if (!vring->resumed) {
		/* A predecessor may have left the queue at any index. */
		__virtio16 __user *at = locate(vring, vring->used, VBLK_AREA_USED, offsetof(struct vring_used, idx),
					       sizeof(*at));
		__virtio16 idx;

		if (!at || get_user(idx, at))
			return broken(vring, "the used index can not be read");
		vring->used_idx = from_guest16(vring, idx);
		vring->published = vring->used_idx;
		vring->resumed = true;
	}
	for (i = 0; i < vring->nr_deferred; i++)
		if (write_element(vring, &vring->deferred[i]))
			return -EPROTO;
	vring->nr_deferred = 0;
	return 0;
}

int vblk_vring_look(struct vblk_vring *vring)
{
	u16 idx;

	if (read_avail(vring, offsetof(struct vring_avail, idx), &idx))
		return broken(vring, "the available index can not be read");
	if ((u16)(idx - vring->last_avail) > vring->num)
		return broken(vring, "the available index moved by more than the ring's size");
	vring->avail_idx = idx;
	/* The index before the entries and descriptors that it covers. */
	smp_rmb();
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
	if (flags & VRING_DESC_F_WRITE) {
		chain->writable++;
		chain->writable_bytes += seg->len;
	} else {
		chain->readable++;
		chain->readable_bytes += seg->len;
	}
	return 0;
}

/* @cursor: of a whole table; where its memory is not known yet, or not at all, it is there */
static int read_table(const struct vblk_mem *mem, struct vblk_cursor *cursor, u32 len, struct vring_desc *table)
{
	const void __user *from = len <= VBLK_SHORT_TABLE ? vblk_mem_whole(mem, cursor, len) : NULL;

	if (from)
		return vblk_user_read_units(table, from, len / VBLK_UNIT_BYTES);
	/* From the start, since where a table crosses regions of memory its entries may be cut anywhere. */
	return vblk_mem_read(mem, cursor, table, len);
}

/* Walks the table that @desc refers to, which ends the chain. @left: how many more descriptors the chain may have. */
static int take_indirect(struct vblk_vring *vring, const struct vblk_mem *mem, struct vblk_chain *chain,
			 const struct vring_desc *desc, unsigned int left)
{
	struct vblk_seg whole = { from_guest64(vring, desc->addr), from_guest32(vring, desc->len) };
	struct vblk_cursor cursor = { &whole, 1 };
	unsigned int count = whole.len / sizeof(*desc);
	unsigned int i = 0, found = 0;
	int ret;

	if (!vring->indirect)
		return broken(vring, "indirect descriptor, but the feature was not negotiated");
	if (!whole.len || whole.len % sizeof(*desc))
		return broken(vring, "the length of an indirect table is no multiple of 16");
	if (count > ARRAY_SIZE(chain->table))
		return broken(vring, "indirect table too long");
	ret = read_table(mem, &cursor, whole.len, chain->table);
	if (ret == -EAGAIN) {
		vblk_miss_report(mem->iotlb, vring->miss, whole.gpa + cursor.offset, false);
		return ret;
	}
	if (ret)
		return broken(vring, "an indirect table can not be read");
	left = min(left, count);
	for (;;) {
		const struct vring_desc *entry = &chain->table[array_index_nospec(i, count)];
		u16 flags = from_guest16(vring, entry->flags);

		if (flags & VRING_DESC_F_INDIRECT)
			return broken(vring, "indirect descriptor in an indirect table");
		if (++found > left)
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
		const void __user *at = locate(vring, vring->desc, VBLK_AREA_DESC, i * sizeof(desc), sizeof(desc));
		u16 flags;

		if (!at || vblk_user_read_units(&desc, at, sizeof(desc) / VBLK_UNIT_BYTES))
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
	int ret;

	if (read_avail(vring, offsetof(struct vring_avail, ring[vring->last_avail & (vring->num - 1)]), &chain->head))
		return broken(vring, "the available ring can not be read");
	if (chain->head >= vring->num)
		return broken(vring, "head is outside of the descriptor table");
	chain->head = array_index_nospec(chain->head, vring->num);
	chain->readable = 0;
	chain->writable = 0;
	chain->readable_bytes = 0;
	chain->writable_bytes = 0;
	ret = take_chain(vring, mem, chain);
	if (!ret)
		vring->last_avail++;
	return ret;
}

/* What was written to the used ring. */
static int log_used(struct vblk_vring *vring, size_t offset, size_t len)
{
	int ret;

	if (!vring->log_used)
		return 0;
	if (vring->translated)
		ret = vblk_area_log(&vring->area[VBLK_AREA_USED], vring->log, offset, len);
	else
		ret = vblk_log_gpa(vring->log, vring->log_gpa + offset, len);
	return ret ? broken(vring, VBLK_NO_LOG) : 0;
}

/* The elements that are about to be published: one stretch of the ring, or two. */
static int log_elements(struct vblk_vring *vring)
{
	unsigned int first = vring->published & (vring->num - 1);
	unsigned int count = (u16)(vring->used_idx - vring->published);
	size_t size = sizeof(struct vring_used_elem);
	unsigned int until_end = min(count, vring->num - first);

	if (!vring->log_used)
		return 0;
	if (log_used(vring, offsetof(struct vring_used, ring) + first * size, until_end * size))
		return -EPROTO;
	return log_used(vring, offsetof(struct vring_used, ring), (count - until_end) * size);
}

int vblk_vring_tell_kick(struct vblk_vring *vring, bool want)
{
	size_t offset = vring->event_idx ? avail_event(vring) : offsetof(struct vring_used, flags);
	u16 value = vring->event_idx ? vring->last_avail : want ? 0 : VRING_USED_F_NO_NOTIFY;

	/* An avail_event asks for one notification only, so nothing need be taken back. */
	if ((want || !vring->event_idx) && write_used16(vring, offset, value))
		return broken(vring, "the used ring can not be written");
	vring->kick_told = true;
	vring->wants_kick = want;
	if (vring->event_idx && !want)
		return 0;
	if (log_used(vring, offset, sizeof(__virtio16)))
		return -EPROTO;
	if (want)
		/* The request before the look for what came in the meantime; pairs with the driver's barrier. */
		smp_mb();
	return 0;
}

int vblk_vring_hush(struct vblk_vring *vring)
{
	if (vring->kick_told && !vring->wants_kick)
		return 0;
	if (!vring->event_idx)
		return vblk_vring_want_kick(vring, false);
	vring->kick_told = true;
	vring->wants_kick = false;
	/* An event that lies behind is not met again before the indexes wrap. */
	if (write_used16(vring, avail_event(vring), vring->last_avail - 1))
		return broken(vring, "the used ring can not be written");
	return log_used(vring, avail_event(vring), sizeof(__virtio16));
}

int vblk_vring_use(struct vblk_vring *vring, u16 head, u32 len)
{
	struct vring_used_elem elem = {
		.id = __cpu_to_virtio32(vring->little_endian, head),
		.len = __cpu_to_virtio32(vring->little_endian, len),
	};

	if (likely(vring->mapped))
		return write_element(vring, &elem);
	/* There is one for each head at most, as nothing is taken in the meantime. */
	if (vring->nr_deferred == vring->num)
		return broken(vring, "more answers than the ring has entries");
	vring->deferred[vring->nr_deferred++] = elem;
	return 0;
}

static int wants_signal(struct vblk_vring *vring)
{
	u16 old = vring->signalled;
	u16 value;

	/* The index before the look at what the driver asks for; pairs with the driver's barrier. */
	smp_mb();
	if (!vring->event_idx) {
		if (read_avail(vring, offsetof(struct vring_avail, flags), &value))
			return broken(vring, "the available ring's flags can not be read");
		return !(value & VRING_AVAIL_F_NO_INTERRUPT);
	}
	vring->signalled = vring->used_idx;
	if (!vring->signalled_valid) {
		vring->signalled_valid = true;
		return 1;
	}
	if (read_avail(vring, used_event(vring), &value))
		return broken(vring, "the used event can not be read");
	return vring_need_event(value, vring->used_idx, old);
}

int vblk_vring_publish(struct vblk_vring *vring)
{
	if (vring->published == vring->used_idx || !vring->mapped)
		return 0;
	if (log_elements(vring))
		return -EPROTO;
	/* Elements and data before the index that covers them. */
	smp_wmb();
	if (write_used16(vring, offsetof(struct vring_used, idx), vring->used_idx))
		return broken(vring, "the used index can not be written");
	vring->published = vring->used_idx;
	if (log_used(vring, offsetof(struct vring_used, idx), sizeof(__virtio16)))
		return -EPROTO;
	return wants_signal(vring);
}
