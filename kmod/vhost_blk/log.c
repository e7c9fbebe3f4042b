// SPDX-License-Identifier: GPL-2.0-only
/* Dirty log: bits of pages that were written, set where the owner wants them. */
#include "log.h"

#include <linux/bitops.h>
#include <linux/eventfd.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/uaccess.h>
#include <linux/vhost_types.h>

#include "mem.h"

/* What a bit stands for, whatever the host's pages are. */
#define VBLK_LOG_SHIFT 12

/* Bytes of guest memory whose bits are in one byte. */
#define VBLK_LOG_BYTE_SHIFT (VBLK_LOG_SHIFT + 3)

int vblk_log_check(const struct vblk_log *log, u64 gpa, u64 len)
{
	unsigned long base = (unsigned long)log->base;
	u64 last, from, to;

	if (!log->based || check_add_overflow(gpa, len - 1, &last))
		return -EFAULT;
	from = gpa >> VBLK_LOG_BYTE_SHIFT;
	to = last >> VBLK_LOG_BYTE_SHIFT;
	if (to >= ULONG_MAX - base || !access_ok((void __user *)(base + (unsigned long)from), to - from + 1))
		return -EFAULT;
	return 0;
}

int vblk_log_check_mem(const struct vblk_log *log, const struct vblk_mem *mem)
{
	unsigned int i;

	for (i = 0; mem && i < mem->nr; i++) {
		int ret = vblk_log_check(log, mem->region[i].gpa, mem->region[i].size);

		if (ret)
			return ret;
	}
	return log->based ? 0 : -EFAULT;
}

/* Sets bits of one page of the bitmap, which others may write at the same time. */
static int set_bits(unsigned long uaddr, unsigned int first, unsigned int count)
{
	struct page *page;
	void *bits;

	if (pin_user_pages_fast(uaddr & PAGE_MASK, 1, FOLL_WRITE, &page) != 1)
		return -EFAULT;
	bits = kmap_local_page(page);
	while (count--)
		set_bit_le(first++, bits);
	kunmap_local(bits);
	unpin_user_pages_dirty_lock(&page, 1, true);
	return 0;
}

int vblk_log_gpa(struct vblk_log *log, u64 gpa, u64 len)
{
	u64 nr = gpa >> VBLK_LOG_SHIFT, last;

	if (!len)
		return 0;
	if (vblk_log_check(log, gpa, len))
		return -EFAULT;
	last = (gpa + len - 1) >> VBLK_LOG_SHIFT;
	/* The data before the bit: who sees and clears the bit copies the page then. */
	smp_wmb();
	while (nr <= last) {
		unsigned long uaddr = (unsigned long)log->base + (unsigned long)(nr / 8);
		unsigned int first = offset_in_page(uaddr) * 8 + nr % 8;
		unsigned int count = min_t(u64, last - nr + 1, PAGE_SIZE * 8 - first);

		if (set_bits(uaddr, first, count))
			return -EFAULT;
		nr += count;
	}
	log->wrote = true;
	return 0;
}

int vblk_log_uaddr(struct vblk_log *log, const void __user *uaddr, u64 len)
{
	u64 first = (unsigned long)uaddr;
	unsigned int i;

	if (!len)
		return 0;
	/* The same memory may be in several places of the guest. */
	for (i = 0; log->mem && i < log->mem->nr; i++) {
		const struct vblk_region *region = &log->mem->region[i];
		u64 from = max(first, region->uaddr);
		u64 to = min(first + len - 1, region->uaddr + region->size - 1);

		if (from <= to && vblk_log_gpa(log, region->gpa + (from - region->uaddr), to - from + 1))
			return -EFAULT;
	}
	return 0;
}

int vblk_log_pieces(struct vblk_log *log, const struct vblk_mem *mem, struct vblk_cursor cursor, u32 len)
{
	if (!log->all)
		return 0;
	while (len) {
		void __user *uaddr;
		ssize_t n = vblk_mem_next(mem, &cursor, len, &uaddr);

		if (n <= 0 || vblk_log_uaddr(log, uaddr, n))
			return -EFAULT;
		len -= n;
	}
	return 0;
}

void vblk_log_signal(struct vblk_log *log)
{
	if (!log->wrote)
		return;
	log->wrote = false;
	if (log->ctx)
		eventfd_signal(log->ctx);
}
