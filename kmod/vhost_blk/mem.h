/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_MEM_H
#define VHOST_BLK_MEM_H

#include <linux/types.h>
#include <linux/uaccess.h>
#include <linux/vhost_types.h>

struct vblk_iotlb;

struct vblk_region {
	u64 gpa;
	u64 size;
	u64 uaddr;
};

/* Guest memory: where guest physical addresses are in the owner's address space. Does not change once it is in use. */
struct vblk_mem {
	/* What the driver uses are no physical addresses, and are translated here; its lock is held. Or NULL. */
	struct vblk_iotlb *iotlb;
	unsigned int nr;
	/* Sorted by gpa, without overlap, each inside user space. */
	struct vblk_region region[];
};

/* A piece of guest memory as a descriptor names it. */
struct vblk_seg {
	u64 gpa;
	u32 len;
};

/* A position in a list of pieces; what lies before it is consumed. */
struct vblk_cursor {
	const struct vblk_seg *seg;
	unsigned int nr;
	u32 offset;
	/* They are for the device to write, else to read. */
	bool writable;
};

/* Bytes of the guest that are contiguous for the host. */
struct vblk_piece {
	void __user *addr;
	size_t len;
};

/* What a descriptor and a request's header are long. */
#define VBLK_UNIT_BYTES 16U

/**
 * vblk_user_read_units() - copy_from_user() for what is short and read often: no call, no loop over bytes
 * @to: @units of VBLK_UNIT_BYTES, aligned for 64 bits
 * @from: in the owner's address space
 *
 * Return: 0 or -EFAULT.
 */
static inline int vblk_user_read_units(void *to, const void __user *from, unsigned int units)
{
	const u64 __user *user = from;
	u64 *word = to;

	if (!user_read_access_begin(user, units * VBLK_UNIT_BYTES))
		return -EFAULT;
	for (; units; units--, word += 2, user += 2) {
		unsafe_get_user(word[0], &user[0], fault);
		unsafe_get_user(word[1], &user[1], fault);
	}
	user_read_access_end();
	return 0;
fault:
	user_read_access_end();
	return -EFAULT;
}

/**
 * vblk_mem_create() - take over a VHOST_SET_MEM_TABLE
 * @table: struct vhost_memory in user space
 *
 * Return: the map, to be freed with kvfree(), or an ERR_PTR: EFAULT, EINVAL (overlap, wrap, empty region), E2BIG, ENOMEM.
 */
struct vblk_mem *vblk_mem_create(const struct vhost_memory __user *table);

/**
 * vblk_mem_next() - the next bytes at a cursor that are contiguous in user space
 * @mem: guest memory, NULL for none
 * @cursor: moved behind the bytes returned
 * @max: not more bytes than these
 * @uaddr: set to where they are
 *
 * Return: how many bytes, 0 at the end of the list, -EFAULT where the guest has no memory or the device may not access
 * it, -EAGAIN where that is not known yet; @cursor is at that place then.
 */
ssize_t vblk_mem_next(const struct vblk_mem *mem, struct vblk_cursor *cursor, size_t max, void __user **uaddr);

/**
 * vblk_mem_whole() - where the next bytes at a cursor are, in the common case: one descriptor and one region hold them
 * @mem: guest memory, NULL for none
 * @cursor: stays
 * @len: how many, not 0
 *
 * Return: NULL where it takes vblk_mem_next() to tell.
 */
void __user *vblk_mem_whole(const struct vblk_mem *mem, const struct vblk_cursor *cursor, size_t len);

/**
 * vblk_mem_read() - copy from guest memory
 * @to: @len bytes
 *
 * Return: 0, -EAGAIN, or -EFAULT, also when the list is shorter than @len. @cursor is behind what was copied.
 */
int vblk_mem_read(const struct vblk_mem *mem, struct vblk_cursor *cursor, void *to, size_t len);

/* vblk_mem_write() - the same, to guest memory */
int vblk_mem_write(const struct vblk_mem *mem, struct vblk_cursor *cursor, const void *from, size_t len);

/* vblk_mem_skip() - move a cursor over @len bytes, or to its end when that comes first */
void vblk_mem_skip(struct vblk_cursor *cursor, u64 len);

#endif
