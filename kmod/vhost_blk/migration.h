/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_MIGRATION_H
#define VHOST_BLK_MIGRATION_H

#include <linux/types.h>

struct vblk_dev;
struct vblk_mem;
struct vblk_vq;
struct vhost_vring_addr;

/* The ioctls of the dirty log; dev->lock held. All return 0 or a negative errno. */

/* vblk_dev_set_log_base() - VHOST_SET_LOG_BASE; -EFAULT: what is logged now does not fit there */
long vblk_dev_set_log_base(struct vblk_dev *dev, const u64 __user *argument);

/* vblk_dev_set_log_fd() - VHOST_SET_LOG_FD: the eventfd that tells of new bits, or -1 */
long vblk_dev_set_log_fd(struct vblk_dev *dev, const int __user *argument);

/**
 * vblk_dev_switch_log() - set VHOST_F_LOG_ALL, also while virtqueues run
 * @dev: device
 * @on: whether what requests write is logged, from before their start for those in flight
 *
 * Return: 0, -EFAULT when virtqueues run and there is no bitmap that guest memory fits in.
 */
long vblk_dev_switch_log(struct vblk_dev *dev, bool on);

/* vblk_dev_check_log() - whether @mem can be taken over while virtqueues run; -EFAULT: what is logged does not fit */
int vblk_dev_check_log(const struct vblk_dev *dev, const struct vblk_mem *mem);

/* vblk_dev_reset_log() - forget bitmap and eventfd; no virtqueue runs */
void vblk_dev_reset_log(struct vblk_dev *dev);

/* vblk_vq_check_log() - whether what is logged of a virtqueue that is to start fits the bitmap; -EFAULT */
int vblk_vq_check_log(const struct vblk_vq *vq);

/**
 * vblk_vq_set_log() - VHOST_VRING_F_LOG and log_guest_addr of VHOST_SET_VRING_ADDR, also while the virtqueue runs
 *
 * Return: 0, -EINVAL: the address is misaligned or wraps; -EFAULT: the virtqueue runs and its used ring does not fit.
 */
long vblk_vq_set_log(struct vblk_vq *vq, const struct vhost_vring_addr *addr);

#endif
