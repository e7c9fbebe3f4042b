// SPDX-License-Identifier: GPL-2.0-only
#include "budget.h"

void vblk_budget_init(struct vblk_budget *budget)
{
	spin_lock_init(&budget->lock);
	INIT_LIST_HEAD(&budget->waiting);
}

/* The first that waits is asked to look again when there is room for it; the others come after it. */
static void wake_first(struct vblk_budget *budget)
{
	struct vblk_claim *first = list_first_entry_or_null(&budget->waiting, struct vblk_claim, node);

	if (first && first->bytes <= VBLK_MAX_DEVICE_BYTES - budget->used)
		first->retry(first);
}

bool vblk_budget_reserve(struct vblk_budget *budget, struct vblk_claim *claim, u64 bytes)
{
	bool granted;

	spin_lock(&budget->lock);
	granted = bytes <= VBLK_MAX_DEVICE_BYTES - budget->used &&
		  (list_empty(&budget->waiting) || budget->waiting.next == &claim->node);
	if (granted) {
		budget->used += bytes;
		list_del_init(&claim->node);
		wake_first(budget);
	} else {
		claim->bytes = bytes;
		if (list_empty(&claim->node))
			list_add_tail(&claim->node, &budget->waiting);
	}
	spin_unlock(&budget->lock);
	return granted;
}

void vblk_budget_release(struct vblk_budget *budget, u64 bytes)
{
	if (!bytes)
		return;
	spin_lock(&budget->lock);
	budget->used -= bytes;
	wake_first(budget);
	spin_unlock(&budget->lock);
}

void vblk_budget_cancel(struct vblk_budget *budget, struct vblk_claim *claim)
{
	spin_lock(&budget->lock);
	if (!list_empty(&claim->node)) {
		list_del_init(&claim->node);
		wake_first(budget);
	}
	spin_unlock(&budget->lock);
}
