// SPDX-License-Identifier: GPL-2.0-only
/* Guest memory: the table that translates, and copies through it. */
#include "mem.h"

#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/uaccess.h>

#include "iotlb.h"
#include "uapi/vhost_blk.h"

static int compare_regions(const void *a, const void *b)
{
	const struct vblk_region *left = a, *right = b;

	return left->gpa < right->gpa ? -1 : left->gpa > right->gpa;
}

static int read_region(struct vblk_region *region, const struct vhost_memory_region __user *from)
{
	struct vhost_memory_region raw;
	u64 end;

	if (copy_from_user(&raw, from, sizeof(raw)))
		return -EFAULT;
	if (!raw.memory_size || check_add_overflow((u64)raw.guest_phys_addr, (u64)raw.memory_size, &end))
		return -EINVAL;
	/* Neither may be cut off where pointers have 32 bits. */
	if (raw.userspace_addr > ULONG_MAX || raw.memory_size > ULONG_MAX)
		return -EFAULT;
	if (!access_ok((void __user *)(unsigned long)raw.userspace_addr, (unsigned long)raw.memory_size))
		return -EFAULT;
	region->gpa = raw.guest_phys_addr;
	region->size = raw.memory_size;
	region->uaddr = raw.userspace_addr;
	return 0;
}

static int read_regions(struct vblk_mem *mem, const struct vhost_memory __user *table)
{
	unsigned int i;

	for (i = 0; i < mem->nr; i++) {
		int ret = read_region(&mem->region[i], &table->regions[i]);

		if (ret)
			return ret;
	}
	sort(mem->region, mem->nr, sizeof(mem->region[0]), compare_regions, NULL);
	for (i = 1; i < mem->nr; i++)
		if (mem->region[i].gpa - mem->region[i - 1].gpa < mem->region[i - 1].size)
			return -EINVAL;
	return 0;
}

struct vblk_mem *vblk_mem_create(const struct vhost_memory __user *table)
{
	struct vhost_memory head;
	struct vblk_mem *mem;
	int ret;

	if (copy_from_user(&head, table, sizeof(head)))
		return ERR_PTR(-EFAULT);
	if (head.padding)
		return ERR_PTR(-EINVAL);
	if (head.nregions > VHOST_BLK_MAX_MEM_REGIONS)
		return ERR_PTR(-E2BIG);
	mem = kvzalloc(struct_size(mem, region, head.nregions), GFP_KERNEL_ACCOUNT);
	if (!mem)
		return ERR_PTR(-ENOMEM);
	mem->nr = head.nregions;
	ret = read_regions(mem, table);
	if (ret) {
		kvfree(mem);
		return ERR_PTR(ret);
	}
	return mem;
}

static inline const struct vblk_region *find_region(const struct vblk_mem *mem, u64 gpa)
{
	const struct vblk_region *region;
	unsigned int nr;

	if (!mem || !mem->nr)
		return NULL;
	/* The last one that does not begin behind gpa, or the first of all. */
	region = mem->region;
	for (nr = mem->nr; nr > 1;) {
		unsigned int half = nr / 2;

		if (region[half].gpa <= gpa) {
			region += half;
			nr -= half;
		} else {
			nr = half;
		}
	}
	/* Before the first the difference wraps to more than any size, as no region does. */
	return gpa - region->gpa < region->size ? region : NULL;
}

static int by_region(const struct vblk_mem *mem, u64 gpa, size_t *len, void __user **uaddr)
{
	const struct vblk_region *region = find_region(mem, gpa);
	u64 into;

	if (!region)
		return -EFAULT;
	into = gpa - region->gpa;
	*len = min_t(u64, *len, region->size - into);
	*uaddr = (void __user *)(unsigned long)(region->uaddr + into);
	return 0;
}

ssize_t vblk_mem_next(const struct vblk_mem *mem, struct vblk_cursor *cursor, size_t max, void __user **uaddr)
{
	size_t len;
	u64 gpa;
	int ret;

	while (cursor->nr && cursor->offset == cursor->seg->len) {
		cursor->seg++;
		cursor->nr--;
		cursor->offset = 0;
	}
	if (!cursor->nr || !max)
		return 0;
	/* A sum that wraps is below any region that the piece's start can be in. */
	if (check_add_overflow(cursor->seg->gpa, (u64)cursor->offset, &gpa))
		return -EFAULT;
	len = min_t(size_t, cursor->seg->len - cursor->offset, max);
	if (mem && mem->iotlb)
		ret = vblk_iotlb_translate(mem->iotlb, gpa, cursor->writable, &len, uaddr);
	else
		ret = by_region(mem, gpa, &len, uaddr);
	if (ret)
		return ret;
	cursor->offset += len;
	return len;
}

/* Apart, so that those who have no IOTLB do not pay for its variables. */
static noinline void __user *translate_whole(const struct vblk_iotlb *iotlb, u64 gpa, bool writable, size_t len)
{
	void __user *uaddr;
	size_t found = len;

	if (vblk_iotlb_translate(iotlb, gpa, writable, &found, &uaddr))
		return NULL;
	return found == len ? uaddr : NULL;
}

void __user *vblk_mem_whole(const struct vblk_mem *mem, const struct vblk_cursor *cursor, size_t len)
{
	const struct vblk_region *region;
	u64 gpa, into;

	if (!mem || !cursor->nr || cursor->seg->len - cursor->offset < len ||
	    check_add_overflow(cursor->seg->gpa, (u64)cursor->offset, &gpa))
		return NULL;
	if (mem->iotlb)
		return translate_whole(mem->iotlb, gpa, cursor->writable, len);
	region = find_region(mem, gpa);
	if (!region)
		return NULL;
	into = gpa - region->gpa;
	return len <= region->size - into ? (void __user *)(unsigned long)(region->uaddr + into) : NULL;
}

int vblk_mem_read(const struct vblk_mem *mem, struct vblk_cursor *cursor, void *to, size_t len)
{
	while (len) {
		void __user *uaddr;
		ssize_t n = vblk_mem_next(mem, cursor, len, &uaddr);

		if (n == -EAGAIN)
			return n;
		if (n <= 0 || copy_from_user(to, uaddr, n))
			return -EFAULT;
		to += n;
		len -= n;
	}
	return 0;
}

int vblk_mem_write(const struct vblk_mem *mem, struct vblk_cursor *cursor, const void *from, size_t len)
{
	while (len) {
		void __user *uaddr;
		ssize_t n = vblk_mem_next(mem, cursor, len, &uaddr);

		if (n == -EAGAIN)
			return n;
		if (n <= 0 || copy_to_user(uaddr, from, n))
			return -EFAULT;
		from += n;
		len -= n;
	}
	return 0;
}

void vblk_mem_skip(struct vblk_cursor *cursor, u64 len)
{
	while (cursor->nr && len) {
		u32 n = min_t(u64, len, cursor->seg->len - cursor->offset);

		cursor->offset += n;
		len -= n;
		if (cursor->offset == cursor->seg->len) {
			cursor->seg++;
			cursor->nr--;
			cursor->offset = 0;
		}
	}
}
