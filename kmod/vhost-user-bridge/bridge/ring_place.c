// SPDX-License-Identifier: GPL-2.0-only
#include "ring_place.h"

#include <linux/virtio_ring.h>

#include "dirty_log.h"

/* Bytes of the parts of a ring of @num entries, with the event indexes at the end (virtio 1.3, 2.7). */
static uint64_t desc_bytes(unsigned int num)
{
	return num * sizeof(struct vring_desc);
}

static uint64_t avail_bytes(unsigned int num)
{
	return offsetof(struct vring_avail, ring) + (num + 1) * sizeof(uint16_t);
}

static uint64_t used_bytes(unsigned int num)
{
	return offsetof(struct vring_used, ring) + num * sizeof(struct vring_used_elem) + sizeof(uint16_t);
}

int ring_check_aligned(const struct vhost_vring_addr *addr, struct reason *reason)
{
	if (!(addr->desc_user_addr & (VRING_DESC_ALIGN_SIZE - 1) || addr->avail_user_addr & (VRING_AVAIL_ALIGN_SIZE - 1) ||
	      addr->used_user_addr & (VRING_USED_ALIGN_SIZE - 1) || addr->log_guest_addr & (VRING_USED_ALIGN_SIZE - 1)))
		return 0;
	return refuse(reason, "queue %u is not aligned", addr->index);
}

int ring_locate(const struct session *session, const struct memory *memory, unsigned int index,
		  struct vhost_vring_addr *addr, struct reason *reason)
{
	const struct ring *ring = &session->ring[index];
	const char *desc = memory_at(memory, ring->addr.desc_user_addr, desc_bytes(ring->num));
	const char *avail = memory_at(memory, ring->addr.avail_user_addr, avail_bytes(ring->num));
	const char *used = memory_at(memory, ring->addr.used_user_addr, used_bytes(ring->num));

	if (!desc || !avail || !used)
		return refuse(reason, "the %s of queue %u lies outside of the guest's memory",
			      !desc ? "descriptor table" : !avail ? "available ring" : "used ring", index);
	*addr = ring->addr;
	addr->index = index;
	addr->desc_user_addr = (uintptr_t)desc;
	addr->avail_user_addr = (uintptr_t)avail;
	addr->used_user_addr = (uintptr_t)used;
	/* A region need not begin at a whole page of its file. */
	return ring_check_aligned(addr, reason);
}

int ring_check_log(const struct ring *ring, unsigned int index, uint64_t bytes, struct reason *reason)
{
	if (!(ring->addr.flags & 1u << VHOST_VRING_F_LOG) || dirty_log_covers(bytes, ring->addr.log_guest_addr,
									      used_bytes(ring->num)))
		return 0;
	return refuse(reason, "the used ring of queue %u, logged at %#llx, is not in a log of %llu bytes", index,
		      (unsigned long long)ring->addr.log_guest_addr, (unsigned long long)bytes);
}
