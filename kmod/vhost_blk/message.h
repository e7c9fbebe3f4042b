/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_MESSAGE_H
#define VHOST_BLK_MESSAGE_H

#include <linux/poll.h>
#include <linux/types.h>

struct file;
struct iov_iter;
struct vblk_dev;

/* Messages between a device and its owner: struct vhost_msg, or struct vhost_msg_v2. None needs dev->lock. */

/**
 * vblk_dev_write() - take one message: VHOST_IOTLB_UPDATE or VHOST_IOTLB_INVALIDATE, of either structure
 *
 * What is invalidated is not used any more on return. Return: bytes taken, or a negative errno: EPERM for all but the
 * owner, EINVAL, EFAULT, and as vblk_iotlb_update().
 */
ssize_t vblk_dev_write(struct vblk_dev *dev, struct iov_iter *from);

/**
 * vblk_dev_read() - give one message: VHOST_IOTLB_MISS, in the structure that VHOST_SET_BACKEND_FEATURES chose
 * @nonblocking: do not wait for one
 *
 * Return: bytes given, or a negative errno: EPERM for all but the owner, EINVAL where there is no room for a message,
 * EAGAIN, ERESTARTSYS, EFAULT (the message is lost then).
 */
ssize_t vblk_dev_read(struct vblk_dev *dev, struct iov_iter *to, bool nonblocking);

__poll_t vblk_dev_poll(struct vblk_dev *dev, struct file *file, poll_table *table);

/* VHOST_GET_BACKEND_FEATURES, VHOST_SET_BACKEND_FEATURES; dev->lock held */
long vblk_dev_get_backend_features(u64 __user *argument);
long vblk_dev_set_backend_features(struct vblk_dev *dev, const u64 __user *argument);

/* vblk_dev_use_iotlb() - translate addresses by messages, or by the memory table; no virtqueue runs, dev->lock held */
void vblk_dev_use_iotlb(struct vblk_dev *dev, bool on);

#endif
