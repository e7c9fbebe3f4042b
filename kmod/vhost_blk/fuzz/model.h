/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_FUZZ_MODEL_H
#define VHOST_BLK_FUZZ_MODEL_H

#include <linux/vhost_types.h>

#include "../vring.h"

/**
 * model_check_mem() - whether vblk_mem_create() was right to accept or to refuse
 * @region: what the owner gave
 * @mem: what it made, NULL: refused
 */
void model_check_mem(const struct vhost_memory_region *region, unsigned int nr, const struct vblk_mem *mem);

/* model_check_answer() - whether the ring's last used element can be that of @head, with @writable bytes to write */
void model_check_answer(const struct vblk_vring *vring, u16 head, u64 writable);

/**
 * model_check_chain() - whether vblk_vring_take() did right, by a second reading of the ring
 * @vring: as it was before
 * @mem: guest memory
 * @chain: what it made, where it returned 0
 * @ret: what it returned
 */
void model_check_chain(const struct vblk_vring *vring, const struct vblk_mem *mem, const struct vblk_chain *chain, int ret);

#endif
