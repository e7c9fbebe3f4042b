// SPDX-License-Identifier: GPL-2.0-only
/* What a disk can do, and what the VMM chooses of it: VHOST_BLK_GET_LIMITS, SET_SERIAL, SET_WRITE_CACHE. */
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "device.h"

/* The feature bits that a disk may give no reason for. */
static u64 features_of(const struct vhost_blk_limits *limits)
{
	u64 features = vblk_dev_features();

	if (!(limits->flags & VHOST_BLK_LIMIT_READ_ONLY))
		features &= ~BIT_ULL(VIRTIO_BLK_F_RO);
	if (!(limits->flags & VHOST_BLK_LIMIT_WRITE_CACHE))
		features &= ~BIT_ULL(VIRTIO_BLK_F_CONFIG_WCE);
	if (!limits->max_discard_sectors)
		features &= ~BIT_ULL(VIRTIO_BLK_F_DISCARD);
	if (!limits->max_write_zeroes_sectors)
		features &= ~BIT_ULL(VIRTIO_BLK_F_WRITE_ZEROES);
	if (!limits->max_secure_erase_sectors)
		features &= ~BIT_ULL(VIRTIO_BLK_F_SECURE_ERASE);
	return features;
}

static long limits_of(struct vblk_dev *dev, int fd, struct vhost_blk_limits *limits)
{
	struct vblk_backend backend;
	struct vblk_vq *vq;
	int ret;

	if (fd == VHOST_FILE_UNBIND) {
		vq = vblk_dev_running(dev);
		if (!vq)
			return -ENODEV;
		vblk_backend_limits(&vq->backend, limits);
		dev->resize.known = limits->capacity;
		return 0;
	}
	ret = vblk_backend_get(&backend, fd);
	if (ret)
		return ret;
	vblk_backend_limits(&backend, limits);
	vblk_backend_put(&backend);
	return 0;
}

long vblk_dev_get_limits(struct vblk_dev *dev, struct vhost_blk_limits __user *argument)
{
	struct vhost_blk_limits limits;
	u32 size;
	s32 fd;
	long ret;

	if (get_user(size, &argument->size) || get_user(fd, &argument->fd))
		return -EFAULT;
	if (size < offsetofend(struct vhost_blk_limits, fd))
		return -EINVAL;
	ret = limits_of(dev, fd, &limits);
	if (ret)
		return ret;
	limits.size = min_t(u32, size, sizeof(limits));
	limits.fd = fd;
	limits.features = features_of(&limits);
	return copy_to_user(argument, &limits, limits.size) ? -EFAULT : 0;
}

long vblk_dev_set_serial(struct vblk_dev *dev, const struct vhost_blk_serial __user *argument)
{
	struct vhost_blk_serial serial;

	BUILD_BUG_ON(sizeof(serial.serial) != sizeof(dev->serial));
	if (copy_from_user(&serial, argument, sizeof(serial)))
		return -EFAULT;
	if (vblk_dev_running(dev))
		return -EBUSY;
	memcpy(dev->serial, serial.serial, sizeof(dev->serial));
	return 0;
}

long vblk_dev_set_write_cache(struct vblk_dev *dev, const int __user *argument)
{
	int on;

	if (get_user(on, argument))
		return -EFAULT;
	if (on != 0 && on != 1)
		return -EINVAL;
	WRITE_ONCE(dev->write_through, !on);
	return 0;
}

void vblk_vq_serial(const struct vblk_vq *vq, char *id)
{
	if (memchr_inv(vq->dev->serial, 0, sizeof(vq->dev->serial)))
		memcpy(id, vq->dev->serial, VIRTIO_BLK_ID_BYTES);
	else
		vblk_backend_id(&vq->backend, id, VIRTIO_BLK_ID_BYTES);
}
