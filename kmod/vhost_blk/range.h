/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_RANGE_H
#define VHOST_BLK_RANGE_H

#include <linux/types.h>

struct vblk_order;
struct vblk_request;

/**
 * vblk_range_start() - carry out a DISCARD, WRITE_ZEROES or SECURE_ERASE
 *
 * Nothing of it reaches the disk unless all its segments are good.
 *
 * Return: a virtio-blk status, or VBLK_IN_FLIGHT.
 */
int vblk_range_start(struct vblk_request *request, const struct vblk_order *order);

/**
 * vblk_range_goes_on() - when an attempt at request->zeroes has ended: begin what is needed next
 * @error: how it ended
 *
 * Return: false when nothing more is needed: the request's answer is due.
 */
bool vblk_range_goes_on(struct vblk_request *request, int error);

#endif
