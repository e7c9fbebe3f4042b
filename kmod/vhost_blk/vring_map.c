// SPDX-License-Identifier: GPL-2.0-only
/* Where a ring is that its driver addresses through an IOTLB. */
#include <linux/uaccess.h>
#include <linux/vhost_types.h>

#include "iotlb.h"
#include "vring.h"

static size_t area_bytes(const struct vblk_vring *vring, unsigned int which)
{
	switch (which) {
	case VBLK_AREA_DESC:
		return vring->num * sizeof(struct vring_desc);
	case VBLK_AREA_AVAIL:
		return sizeof(struct vring_avail) + (vring->num + 1) * sizeof(__virtio16);
	default:
		return vblk_vring_used_bytes(vring);
	}
}

static int map_area(struct vblk_vring *vring, const struct vblk_mem *mem, unsigned int which, struct vblk_miss *miss)
{
	struct vblk_seg whole = { vring->addr[which], area_bytes(vring, which) };
	struct vblk_cursor cursor = { &whole, 1, .writable = which == VBLK_AREA_USED };
	struct vblk_area *area = &vring->area[which];
	u32 left = whole.len;

	area->nr = 0;
	while (left) {
		void __user *uaddr;
		ssize_t n = vblk_mem_next(mem, &cursor, left, &uaddr);

		if (n == -EAGAIN) {
			if (miss)
				vblk_miss_report(mem->iotlb, miss, whole.gpa + cursor.offset, cursor.writable);
			return n;
		}
		if (n <= 0) {
			vring->reason = "the ring is where its device may not access it";
			return -EPROTO;
		}
		left -= n;
		if (area->nr && area->piece[area->nr - 1].addr + area->piece[area->nr - 1].len == uaddr) {
			area->piece[area->nr - 1].len += n;
			continue;
		}
		if (area->nr == ARRAY_SIZE(area->piece)) {
			vring->reason = "the ring is in too many pieces";
			return -EPROTO;
		}
		area->piece[area->nr++] = (struct vblk_piece) { uaddr, n };
	}
	return 0;
}

static void __user *whole_area(const struct vblk_area *area)
{
	return area->nr == 1 ? area->piece[0].addr : NULL;
}

int vblk_vring_map(struct vblk_vring *vring, const struct vblk_mem *mem, struct vblk_miss *miss)
{
	unsigned int which;

	if (vring->mapped && vring->generation == mem->iotlb->generation)
		return 0;
	vring->mapped = false;
	for (which = 0; which < VBLK_AREAS; which++) {
		int ret = map_area(vring, mem, which, miss);

		if (ret)
			return ret;
	}
	vring->desc = whole_area(&vring->area[VBLK_AREA_DESC]);
	vring->avail = whole_area(&vring->area[VBLK_AREA_AVAIL]);
	vring->used = whole_area(&vring->area[VBLK_AREA_USED]);
	vring->generation = mem->iotlb->generation;
	vring->mapped = true;
	return vblk_vring_resume(vring);
}

void __user *vblk_area_find(const struct vblk_area *area, size_t offset, size_t len)
{
	unsigned int i;

	for (i = 0; i < area->nr; i++) {
		if (offset < area->piece[i].len)
			return len <= area->piece[i].len - offset ? area->piece[i].addr + offset : NULL;
		offset -= area->piece[i].len;
	}
	return NULL;
}

int vblk_area_log(const struct vblk_area *area, struct vblk_log *log, size_t offset, size_t len)
{
	unsigned int i;

	for (i = 0; i < area->nr && len; i++) {
		const struct vblk_piece *piece = &area->piece[i];
		size_t n;

		if (offset >= piece->len) {
			offset -= piece->len;
			continue;
		}
		n = min(len, piece->len - offset);
		if (vblk_log_uaddr(log, piece->addr + offset, n))
			return -EFAULT;
		len -= n;
		offset = 0;
	}
	return 0;
}
