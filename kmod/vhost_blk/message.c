// SPDX-License-Identifier: GPL-2.0-only
/* Messages of the device IOTLB, as reads and writes of the device. */
#include "message.h"

#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "device.h"

/* Both structures are of one size, and have their message at one place. */
union vblk_message {
	struct vhost_msg v1;
	struct vhost_msg_v2 v2;
};

static_assert(sizeof(struct vhost_msg) == sizeof(struct vhost_msg_v2));
static_assert(offsetof(struct vhost_msg, iotlb) == offsetof(struct vhost_msg_v2, iotlb));

#define VBLK_BACKEND_FEATURES BIT_ULL(VHOST_BACKEND_F_IOTLB_MSG_V2)

/* Also while an ioctl waits: only compared, so that a device that is being reset matters to no one. */
static bool is_owner(const struct vblk_dev *dev)
{
	return current->mm && READ_ONCE(dev->mm) == current->mm;
}

ssize_t vblk_dev_write(struct vblk_dev *dev, struct iov_iter *from)
{
	size_t len = min(iov_iter_count(from), sizeof(union vblk_message));
	struct vhost_iotlb_msg *iotlb;
	union vblk_message message;
	int ret;

	if (!is_owner(dev))
		return -EPERM;
	if (len < offsetofend(struct vhost_msg, iotlb))
		return -EINVAL;
	if (!copy_from_iter_full(&message, len, from))
		return -EFAULT;
	if (message.v2.type != VHOST_IOTLB_MSG && message.v2.type != VHOST_IOTLB_MSG_V2)
		return -EINVAL;
	iotlb = &message.v1.iotlb;
	switch (iotlb->type) {
	case VHOST_IOTLB_UPDATE:
		ret = vblk_iotlb_update(&dev->iotlb, iotlb->iova, iotlb->size, iotlb->uaddr, iotlb->perm);
		break;
	case VHOST_IOTLB_INVALIDATE:
		ret = vblk_iotlb_invalidate(&dev->iotlb, iotlb->iova, iotlb->size);
		break;
	default:
		return -EINVAL;
	}
	return ret ? ret : len;
}

static void compose(union vblk_message *message, bool v2, u64 iova, u8 perm)
{
	memset(message, 0, sizeof(*message));
	if (v2)
		message->v2.type = VHOST_IOTLB_MSG_V2;
	else
		message->v1.type = VHOST_IOTLB_MSG;
	message->v1.iotlb.type = VHOST_IOTLB_MISS;
	message->v1.iotlb.iova = iova;
	message->v1.iotlb.perm = perm;
}

ssize_t vblk_dev_read(struct vblk_dev *dev, struct iov_iter *to, bool nonblocking)
{
	struct vblk_iotlb *iotlb = &dev->iotlb;
	union vblk_message message;
	u64 iova;
	u8 perm;

	if (!is_owner(dev))
		return -EPERM;
	if (iov_iter_count(to) < sizeof(message))
		return -EINVAL;
	while (!vblk_miss_read(iotlb, &iova, &perm)) {
		if (nonblocking)
			return -EAGAIN;
		if (wait_event_interruptible(iotlb->readers, vblk_miss_unread(iotlb) || !is_owner(dev)))
			return -ERESTARTSYS;
		/* The device may have been given to another one meanwhile, whose misses these are. */
		if (!is_owner(dev))
			return -EPERM;
	}
	compose(&message, READ_ONCE(dev->backend_features) & VBLK_BACKEND_FEATURES, iova, perm);
	return copy_to_iter(&message, sizeof(message), to) == sizeof(message) ? sizeof(message) : -EFAULT;
}

__poll_t vblk_dev_poll(struct vblk_dev *dev, struct file *file, poll_table *table)
{
	poll_wait(file, &dev->iotlb.readers, table);
	return EPOLLOUT | EPOLLWRNORM | (vblk_miss_unread(&dev->iotlb) ? EPOLLIN | EPOLLRDNORM : 0);
}

long vblk_dev_get_backend_features(u64 __user *argument)
{
	u64 features = VBLK_BACKEND_FEATURES;

	return copy_to_user(argument, &features, sizeof(features)) ? -EFAULT : 0;
}

long vblk_dev_set_backend_features(struct vblk_dev *dev, const u64 __user *argument)
{
	u64 features;

	if (copy_from_user(&features, argument, sizeof(features)))
		return -EFAULT;
	if (features & ~VBLK_BACKEND_FEATURES)
		return -EOPNOTSUPP;
	WRITE_ONCE(dev->backend_features, features);
	return 0;
}

void vblk_dev_use_iotlb(struct vblk_dev *dev, bool on)
{
	unsigned int i;

	vblk_iotlb_enable(&dev->iotlb, on ? dev->mm : NULL);
	if (dev->mem)
		dev->mem->iotlb = on ? &dev->iotlb : NULL;
	for (i = 0; i < VHOST_BLK_MAX_VQS; i++)
		dev->vqs[i].vring.translated = on;
}
