/* SPDX-License-Identifier: GPL-2.0-only */
/* Where the parts of a ring are: in the guest's memory, and in the log of a migration. */
#ifndef RING_PLACE_H
#define RING_PLACE_H

#include "session.h"

/* Whether the addresses are aligned as virtio 1.3, 2.7 asks. Return: 0, or -1 with @reason. */
int ring_check_aligned(const struct vhost_vring_addr *addr, struct reason *reason);

/* Where a ring is in @memory, for the kernel. Return: 0, or -1 with @reason. */
int ring_locate(const struct session *session, const struct memory *memory, unsigned int index,
		struct vhost_vring_addr *addr, struct reason *reason);

/* Whether a log of @bytes has room for the used ring, if that is logged. Return: 0, or -1 with @reason. */
int ring_check_log(const struct ring *ring, unsigned int index, uint64_t bytes, struct reason *reason);

#endif
