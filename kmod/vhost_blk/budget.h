/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_BUDGET_H
#define VHOST_BLK_BUDGET_H

#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>

/*
 * Guest memory that the requests of a whole device may keep pinned or bounced at a time. What is beyond it waits in the
 * ring: virtqueues take turns in the order in which they came to the limit, so that none starves and none holds what
 * another waits for.
 */
#define VBLK_MAX_DEVICE_BYTES (256ULL << 20)

/* Virtqueues reserve multiples of this, and keep one for their next requests. */
#define VBLK_BUDGET_CHUNK (1ULL << 20)

struct vblk_budget {
	/* Protects what follows. */
	spinlock_t lock;
	u64 used;
	struct list_head waiting;
};

/* A virtqueue's place in the order; protected by vblk_budget.lock. */
struct vblk_claim {
	struct list_head node;
	u64 bytes;
	/* Called when it is worth to try again; must not sleep. */
	void (*retry)(struct vblk_claim *claim);
};

void vblk_budget_init(struct vblk_budget *budget);

/**
 * vblk_budget_reserve() - ask for room
 * @bytes: not more than VBLK_MAX_DEVICE_BYTES
 *
 * Return: true, and the room is to be given back by vblk_budget_release(), or false: @claim->retry() will be called.
 */
bool vblk_budget_reserve(struct vblk_budget *budget, struct vblk_claim *claim, u64 bytes);

/* vblk_budget_release() - give room back */
void vblk_budget_release(struct vblk_budget *budget, u64 bytes);

/* vblk_budget_cancel() - wait no more; retry() is not called and does not run then */
void vblk_budget_cancel(struct vblk_budget *budget, struct vblk_claim *claim);

#endif
