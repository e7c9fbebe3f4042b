/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_FUZZ_MODEL_H
#define VHOST_BLK_FUZZ_MODEL_H

#include "../vring.h"

/**
 * model_check_chain() - whether vblk_vring_take() did right, by a second reading of the ring
 * @vring: as it was before
 * @mem: guest memory
 * @chain: what it made, where it returned 0
 * @ret: what it returned
 */
void model_check_chain(const struct vblk_vring *vring, const struct vblk_mem *mem, const struct vblk_chain *chain, int ret);

#endif
