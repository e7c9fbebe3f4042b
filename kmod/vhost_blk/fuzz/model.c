// SPDX-License-Identifier: GPL-2.0-only
/* The rules of split virtqueues (virtio 1.3, 2.7) once more, byte by byte and without a thought for speed. */
#include "model.h"

#include <linux/virtio_ring.h>

#include "owner.h"

struct model_desc {
	u64 addr;
	u32 len;
	u16 flags;
	u16 next;
};

static u64 number(const u8 *bytes, unsigned int size, bool little_endian)
{
	u64 value = 0;
	unsigned int i;

	for (i = 0; i < size; i++)
		value |= (u64)bytes[i] << 8 * (little_endian ? i : size - 1 - i);
	return value;
}

static bool owner_bytes(u64 address, u8 *to, size_t len)
{
	if (!owner_mapped(address, len))
		return false;
	memcpy(to, owner_memory + (address - OWNER_BASE), len);
	return true;
}

static bool is_valid(const struct vhost_memory_region *region)
{
	u64 last = region->memory_size - 1;

	return region->memory_size && region->guest_phys_addr + last >= region->guest_phys_addr &&
	       /* Its end, too, is an address. */
	       region->guest_phys_addr + last != UINT64_MAX &&
	       access_ok((void *)region->userspace_addr, region->memory_size);
}

static bool overlap(const struct vhost_memory_region *a, const struct vhost_memory_region *b)
{
	return a->guest_phys_addr <= b->guest_phys_addr + b->memory_size - 1 &&
	       b->guest_phys_addr <= a->guest_phys_addr + a->memory_size - 1;
}

void model_check_mem(const struct vhost_memory_region *region, unsigned int nr, const struct vblk_mem *mem)
{
	bool valid = true;
	unsigned int i, j;

	for (i = 0; i < nr; i++)
		if (!is_valid(&region[i]))
			valid = false;
	for (i = 0; valid && i < nr; i++)
		for (j = 0; j < i; j++)
			if (overlap(&region[i], &region[j]))
				valid = false;
	fuzz_assert(valid == !!mem);
}

void model_check_answer(const struct vblk_vring *vring, u16 head, u64 writable)
{
	u8 bytes[8];

	if (!owner_bytes((u64)vring->used + 4 + 8 * ((u16)(vring->used_idx - 1) % vring->num), bytes, sizeof(bytes)))
		return;
	fuzz_assert(number(bytes, 4, vring->little_endian) == head);
	fuzz_assert(number(bytes + 4, 4, vring->little_endian) <= writable);
}

static bool guest_byte(const struct vblk_mem *mem, u64 gpa, u8 *to)
{
	unsigned int i;

	for (i = 0; mem && i < mem->nr; i++)
		if (gpa >= mem->region[i].gpa && gpa - mem->region[i].gpa < mem->region[i].size)
			return owner_bytes(mem->region[i].uaddr + (gpa - mem->region[i].gpa), to, 1);
	return false;
}

static void decode(struct model_desc *desc, const u8 *bytes, bool little_endian)
{
	desc->addr = number(bytes, 8, little_endian);
	desc->len = number(bytes + 8, 4, little_endian);
	desc->flags = number(bytes + 12, 2, little_endian);
	desc->next = number(bytes + 14, 2, little_endian);
}

/* All of an indirect table must be there, also what its chain does not use. */
static bool read_table(const struct vblk_mem *mem, const struct model_desc *desc, u8 *table)
{
	u32 i;

	for (i = 0; i < desc->len; i++)
		if (desc->addr + i < desc->addr || !guest_byte(mem, desc->addr + i, table + i))
			return false;
	return true;
}

/* Return: how many pieces the chain has, 0 where it breaks a rule. */
static unsigned int walk(const struct vblk_vring *vring, const struct vblk_mem *mem, struct model_desc *found)
{
	static u8 table[VHOST_BLK_MAX_CHAIN * 16];
	bool indirect = false, little = vring->little_endian;
	unsigned int count = vring->num, limit = vring->num, seen = 0, nr = 0;
	u8 bytes[16];
	u64 i;

	if (!owner_bytes((u64)vring->avail + 4 + 2 * (vring->last_avail % vring->num), bytes, 2))
		return 0;
	i = number(bytes, 2, little);
	for (;;) {
		struct model_desc *desc = &found[nr];

		if (i >= count || seen == limit || nr == VHOST_BLK_MAX_CHAIN)
			return 0;
		if (indirect)
			memcpy(bytes, table + 16 * i, 16);
		else if (!owner_bytes((u64)vring->desc + 16 * i, bytes, 16))
			return 0;
		seen++;
		decode(desc, bytes, little);
		if (desc->flags & VRING_DESC_F_INDIRECT) {
			if (indirect || !vring->indirect || desc->flags & VRING_DESC_F_NEXT || !desc->len ||
			    desc->len % 16 || desc->len / 16 > VHOST_BLK_MAX_CHAIN || !read_table(mem, desc, table))
				return 0;
			indirect = true;
			count = desc->len / 16;
			limit = count;
			seen = 0;
			i = 0;
			continue;
		}
		if (nr && found[nr - 1].flags & VRING_DESC_F_WRITE && !(desc->flags & VRING_DESC_F_WRITE))
			return 0;
		nr++;
		if (!(desc->flags & VRING_DESC_F_NEXT))
			return nr;
		i = desc->next;
	}
}

void model_check_chain(const struct vblk_vring *vring, const struct vblk_mem *mem, const struct vblk_chain *chain, int ret)
{
	static struct model_desc found[VHOST_BLK_MAX_CHAIN];
	unsigned int i, nr = walk(vring, mem, found);

	fuzz_assert(!nr == !!ret);
	if (ret)
		return;
	fuzz_assert(chain->readable + chain->writable == nr);
	for (i = 0; i < nr; i++) {
		fuzz_assert(chain->seg[i].gpa == found[i].addr && chain->seg[i].len == found[i].len);
		fuzz_assert((i >= chain->readable) == !!(found[i].flags & VRING_DESC_F_WRITE));
	}
}
