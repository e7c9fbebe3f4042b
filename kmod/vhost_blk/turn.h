/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A turn of a virtqueue: answers what has ended and starts what the guest has made available, up to a bound, with the
 * virtqueue's lock held. It is its worker's, or, where that is quick, of the thread that kicked it.
 */
#ifndef VHOST_BLK_TURN_H
#define VHOST_BLK_TURN_H

#include <linux/types.h>

struct vblk_vq;
struct vblk_work;

/* vblk_turn() - vblk_work.run of a virtqueue: a turn of its worker */
void vblk_turn(struct vblk_work *work);

/**
 * vblk_turn_of_kicker() - a turn of the calling thread, in the owner's address space
 *
 * It is short and waits for no memory of the owner and not for the disk: what would have to, or is wrong, is left to the
 * worker, and so is what there is too much of.
 *
 * Return: false when there was none, as others are at the virtqueue: the worker is to look at it.
 */
bool vblk_turn_of_kicker(struct vblk_vq *vq);

/* vblk_turn_give_up() - the ring is broken, by vring.reason: nothing more is taken from it; vq->lock held */
void vblk_turn_give_up(struct vblk_vq *vq);

/* vblk_turn_give_back() - return what the virtqueue has of the device's budget beyond @keep bytes */
void vblk_turn_give_back(struct vblk_vq *vq, u64 keep);

#endif
