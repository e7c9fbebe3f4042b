// SPDX-License-Identifier: GPL-2.0-only
/* Disks that grow or shrink: nothing tells of it, so that it has to be looked for. */
#include "resize.h"

#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/jiffies.h>
#include <linux/uaccess.h>

#include "device.h"

static void look_in(struct vblk_resize *resize, unsigned long delay)
{
	mod_delayed_work(system_power_efficient_wq, &resize->look, delay);
}

static void look(struct work_struct *work)
{
	struct vblk_resize *resize = container_of(work, struct vblk_resize, look.work);
	struct vblk_dev *dev = container_of(resize, struct vblk_dev, resize);
	struct vblk_vq *vq;
	u64 capacity;

	/* Who holds the lock may be waiting for this work to end, or for a disk. */
	if (!mutex_trylock(&dev->lock)) {
		look_in(resize, HZ);
		return;
	}
	vq = vblk_dev_running(dev);
	if (vq && resize->call) {
		capacity = vblk_backend_capacity(&vq->backend);
		if (capacity != resize->known) {
			resize->known = capacity;
			eventfd_signal(resize->call);
		}
	}
	if (resize->call)
		look_in(resize, HZ);
	mutex_unlock(&dev->lock);
}

void vblk_resize_init(struct vblk_resize *resize)
{
	INIT_DELAYED_WORK(&resize->look, look);
}

long vblk_resize_set_call(struct vblk_dev *dev, const int __user *argument)
{
	struct eventfd_ctx *old, *call = NULL;
	int fd;

	if (get_user(fd, argument))
		return -EFAULT;
	if (fd != VHOST_FILE_UNBIND) {
		call = eventfd_ctx_fdget(fd);
		if (IS_ERR(call))
			return PTR_ERR(call);
	}
	old = dev->resize.call;
	WRITE_ONCE(dev->resize.call, call);
	if (old)
		eventfd_ctx_put(old);
	if (call)
		look_in(&dev->resize, 0);
	return 0;
}

void vblk_resize_attached(struct vblk_dev *dev)
{
	struct vblk_vq *vq = vblk_dev_running(dev);

	if (vq)
		dev->resize.known = vblk_backend_capacity(&vq->backend);
}

void vblk_resize_suspect(struct vblk_vq *vq, u64 sector, u64 bytes)
{
	struct vblk_resize *resize = &vq->dev->resize;

	if (READ_ONCE(resize->call) && vblk_backend_ends_before(&vq->backend, sector, bytes))
		look_in(resize, 0);
}

void vblk_resize_reset(struct vblk_dev *dev)
{
	struct eventfd_ctx *call = dev->resize.call;

	WRITE_ONCE(dev->resize.call, NULL);
	cancel_delayed_work_sync(&dev->resize.look);
	if (call)
		eventfd_ctx_put(call);
}
