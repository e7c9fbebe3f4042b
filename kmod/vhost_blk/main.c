// SPDX-License-Identifier: GPL-2.0-only
/* /dev/vhost-blk: serves the virtqueues of a virtio-blk device from a host disk, without a way through user space. */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "device.h"
#include "io.h"
#include "kick.h"
#include "message.h"
#include "stats.h"

static int vblk_open(struct inode *inode, struct file *file)
{
	struct vblk_dev *dev = kvzalloc(sizeof(*dev), GFP_KERNEL_ACCOUNT);
	unsigned int i;

	if (!dev)
		return -ENOMEM;
	mutex_init(&dev->lock);
	vblk_resize_init(&dev->resize);
	ratelimit_state_init(&dev->log_limit, DEFAULT_RATELIMIT_INTERVAL, DEFAULT_RATELIMIT_BURST);
	vblk_iotlb_init(&dev->iotlb);
	vblk_budget_init(&dev->budget);
	vblk_pool_init(&dev->pool);
	vblk_watchdog_init(&dev->watchdog);
	vblk_kick_init(dev);
	for (i = 0; i < VHOST_BLK_MAX_VQS; i++)
		vblk_vq_init(&dev->vqs[i], dev, i);
	/* misc_open() left its own pointer here. */
	file->private_data = dev;
	return nonseekable_open(inode, file);
}

static int vblk_release(struct inode *inode, struct file *file)
{
	struct vblk_dev *dev = file->private_data;

	/* Against the work that watches the capacity: it looks at what is put here. */
	mutex_lock(&dev->lock);
	vblk_watchdog_begin(dev);
	vblk_dev_reset(dev);
	vblk_watchdog_end(dev);
	mutex_unlock(&dev->lock);
	mutex_destroy(&dev->lock);
	kvfree(dev);
	return 0;
}

static long vblk_ioctl(struct file *file, unsigned int request, unsigned long argument)
{
	struct vblk_dev *dev = file->private_data;
	long ret;

	if (mutex_lock_killable(&dev->lock))
		return -EINTR;
	vblk_watchdog_begin(dev);
	ret = vblk_dev_ioctl(dev, request, (void __user *)argument);
	vblk_watchdog_end(dev);
	mutex_unlock(&dev->lock);
	return ret;
}

static ssize_t vblk_read(struct kiocb *iocb, struct iov_iter *to)
{
	bool nonblocking = iocb->ki_filp->f_flags & O_NONBLOCK || iocb->ki_flags & IOCB_NOWAIT;

	return vblk_dev_read(iocb->ki_filp->private_data, to, nonblocking);
}

static ssize_t vblk_write(struct kiocb *iocb, struct iov_iter *from)
{
	return vblk_dev_write(iocb->ki_filp->private_data, from);
}

static __poll_t vblk_poll(struct file *file, poll_table *table)
{
	return vblk_dev_poll(file->private_data, file, table);
}

static const struct file_operations vblk_fops = {
	.owner		= THIS_MODULE,
	.open		= vblk_open,
	.release	= vblk_release,
	.read_iter	= vblk_read,
	.write_iter	= vblk_write,
	.poll		= vblk_poll,
	.unlocked_ioctl	= vblk_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.llseek		= noop_llseek,
};

static struct miscdevice vblk_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "vhost-blk",
	.fops	= &vblk_fops,
	.mode	= 0600,
};

static int __init vblk_module_init(void)
{
	int ret = vblk_io_init();

	if (ret)
		return ret;
	ret = vblk_watchdog_start();
	if (ret)
		goto err_io;
	vblk_stats_init();
	ret = misc_register(&vblk_misc);
	if (ret)
		goto err_stats;
	return 0;

err_stats:
	vblk_stats_exit();
	vblk_watchdog_stop();
err_io:
	vblk_io_exit();
	return ret;
}

static void __exit vblk_module_exit(void)
{
	misc_deregister(&vblk_misc);
	vblk_kick_exit();
	vblk_stats_exit();
	vblk_watchdog_stop();
	vblk_io_exit();
}

module_init(vblk_module_init);
module_exit(vblk_module_exit);

MODULE_DESCRIPTION("Host kernel accelerator for virtio-blk");
MODULE_AUTHOR("blkfleet maintainers");
MODULE_LICENSE("GPL");
MODULE_VERSION(VHOST_BLK_VERSION);
