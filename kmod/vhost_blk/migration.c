// SPDX-License-Identifier: GPL-2.0-only
/* The dirty log's settings: checked against what is logged, then handed to the virtqueues. */
#include "migration.h"

#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/uaccess.h>

#include "device.h"

/* More than the bytes of any used ring. */
#define VBLK_MAX_USED (sizeof(struct vring_used_elem) * (VHOST_BLK_MAX_VRING_NUM + 1))

static bool any_running(const struct vblk_dev *dev)
{
	unsigned int i;

	for (i = 0; i < VHOST_BLK_MAX_VQS; i++)
		if (vblk_vq_running(&dev->vqs[i]))
			return true;
	return false;
}

/* dev->log has changed; what it had before is not used any more on return. */
static void share_log(struct vblk_dev *dev)
{
	unsigned int i;

	for (i = 0; i < VHOST_BLK_MAX_VQS; i++) {
		mutex_lock(&dev->vqs[i].lock);
		dev->vqs[i].log = dev->log;
		mutex_unlock(&dev->vqs[i].lock);
	}
}

/* Whether what is logged of a virtqueue's ring fits @log. Through an IOTLB that is found out when it is written. */
static int check_ring(const struct vblk_vq *vq, const struct vblk_log *log)
{
	const struct vblk_vring *vring = &vq->vring;

	if (!vring->log_used)
		return 0;
	if (vring->translated)
		return log->based ? 0 : -EFAULT;
	return vblk_log_check(log, vring->log_gpa, vblk_vring_used_bytes(vring));
}

static int check_all(const struct vblk_dev *dev, const struct vblk_log *log, const struct vblk_mem *mem)
{
	unsigned int i;
	int ret = 0;

	if (!any_running(dev))
		return 0;
	if (log->all)
		ret = vblk_log_check_mem(log, mem);
	for (i = 0; i < VHOST_BLK_MAX_VQS && !ret; i++)
		if (vblk_vq_running(&dev->vqs[i]))
			ret = check_ring(&dev->vqs[i], log);
	return ret;
}

/* Has other settings used from now on, unless what is logged does not fit them. */
static int use_log(struct vblk_dev *dev, const struct vblk_log *log)
{
	int ret = check_all(dev, log, dev->mem);

	if (ret)
		return ret;
	dev->log = *log;
	share_log(dev);
	return 0;
}

int vblk_dev_check_log(const struct vblk_dev *dev, const struct vblk_mem *mem)
{
	return check_all(dev, &dev->log, mem);
}

int vblk_vq_check_log(const struct vblk_vq *vq)
{
	const struct vblk_log *log = &vq->dev->log;
	int ret = log->all ? vblk_log_check_mem(log, vq->dev->mem) : 0;

	return ret ? ret : check_ring(vq, log);
}

long vblk_dev_set_log_base(struct vblk_dev *dev, const u64 __user *argument)
{
	struct vblk_log log = dev->log;
	u64 base;

	if (copy_from_user(&base, argument, sizeof(base)))
		return -EFAULT;
	if (base != (unsigned long)base)
		return -EFAULT;
	log.base = (void __user *)(unsigned long)base;
	log.based = true;
	return use_log(dev, &log);
}

long vblk_dev_set_log_fd(struct vblk_dev *dev, const int __user *argument)
{
	struct eventfd_ctx *ctx = NULL;
	int fd;

	if (copy_from_user(&fd, argument, sizeof(fd)))
		return -EFAULT;
	if (fd != VHOST_FILE_UNBIND)
		ctx = eventfd_ctx_fdget(fd);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	swap(dev->log.ctx, ctx);
	share_log(dev);
	if (ctx)
		eventfd_ctx_put(ctx);
	return 0;
}

long vblk_dev_switch_log(struct vblk_dev *dev, bool on)
{
	struct vblk_log log = dev->log;

	log.all = on;
	return use_log(dev, &log);
}

void vblk_dev_reset_log(struct vblk_dev *dev)
{
	if (dev->log.ctx)
		eventfd_ctx_put(dev->log.ctx);
	memset(&dev->log, 0, sizeof(dev->log));
	share_log(dev);
}

long vblk_vq_set_log(struct vblk_vq *vq, const struct vhost_vring_addr *addr)
{
	bool was = vq->vring.log_used, on = addr->flags & BIT(VHOST_VRING_F_LOG);
	u64 old = vq->vring.log_gpa;
	int ret = 0;

	if (!IS_ALIGNED(addr->log_guest_addr, VRING_USED_ALIGN_SIZE) || addr->log_guest_addr > U64_MAX - VBLK_MAX_USED)
		return -EINVAL;
	mutex_lock(&vq->lock);
	vq->vring.log_used = on;
	vq->vring.log_gpa = addr->log_guest_addr;
	if (vblk_vq_running(vq))
		ret = check_ring(vq, &vq->log);
	if (ret) {
		vq->vring.log_used = was;
		vq->vring.log_gpa = old;
	}
	mutex_unlock(&vq->lock);
	return ret;
}
