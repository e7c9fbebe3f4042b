// SPDX-License-Identifier: GPL-2.0-only
#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/log2.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>

#include "device.h"
#include "kick.h"
#include "message.h"
#include "migration.h"
#include "stats.h"

/*
 * Beside the ring's, the features of the configuration space that are the VMM's alone to provide, and those that need
 * something done here: FLUSH, CONFIG_WCE, MQ, RO, DISCARD, WRITE_ZEROES, SECURE_ERASE.
 */
#define VBLK_FEATURES                                                                                              \
	(BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_F_ANY_LAYOUT) | BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) |       \
	 BIT_ULL(VIRTIO_RING_F_EVENT_IDX) | BIT_ULL(VIRTIO_BLK_F_SIZE_MAX) | BIT_ULL(VIRTIO_BLK_F_SEG_MAX) |       \
	 BIT_ULL(VIRTIO_BLK_F_BLK_SIZE) | BIT_ULL(VIRTIO_BLK_F_TOPOLOGY) | BIT_ULL(VIRTIO_BLK_F_FLUSH) |           \
	 BIT_ULL(VIRTIO_BLK_F_MQ) | BIT_ULL(VIRTIO_BLK_F_RO) | BIT_ULL(VIRTIO_BLK_F_CONFIG_WCE) |                 \
	 BIT_ULL(VIRTIO_BLK_F_DISCARD) | BIT_ULL(VIRTIO_BLK_F_WRITE_ZEROES) |                                      \
	 BIT_ULL(VIRTIO_BLK_F_SECURE_ERASE) | BIT_ULL(VHOST_F_LOG_ALL) | BIT_ULL(VIRTIO_F_ACCESS_PLATFORM))

#define VBLK_ALL_VQS ((vblk_vq_set)GENMASK_ULL(VHOST_BLK_MAX_VQS - 1, 0))

u64 vblk_dev_features(void)
{
	return VBLK_FEATURES;
}

struct vblk_vq *vblk_dev_running(struct vblk_dev *dev)
{
	unsigned int i;

	for (i = 0; i < VHOST_BLK_MAX_VQS; i++)
		if (vblk_vq_running(&dev->vqs[i]))
			return &dev->vqs[i];
	return NULL;
}

static long get_features(u64 __user *argument)
{
	u64 features = VBLK_FEATURES;

	return copy_to_user(argument, &features, sizeof(features)) ? -EFAULT : 0;
}

static long set_features(struct vblk_dev *dev, const u64 __user *argument)
{
	u64 features;
	long ret;

	if (copy_from_user(&features, argument, sizeof(features)))
		return -EFAULT;
	if (features & ~VBLK_FEATURES)
		return -EOPNOTSUPP;
	if ((features ^ dev->features) & ~BIT_ULL(VHOST_F_LOG_ALL) && vblk_dev_running(dev))
		return -EBUSY;
	ret = vblk_dev_switch_log(dev, features & BIT_ULL(VHOST_F_LOG_ALL));
	if (ret)
		return ret;
	if ((features ^ dev->features) & BIT_ULL(VIRTIO_F_ACCESS_PLATFORM))
		vblk_dev_use_iotlb(dev, features & BIT_ULL(VIRTIO_F_ACCESS_PLATFORM));
	dev->features = features;
	return 0;
}

static long set_owner(struct vblk_dev *dev)
{
	if (dev->mm)
		return -EBUSY;
	dev->mm = get_task_mm(current);
	if (!dev->mm)
		return -EINVAL;
	dev->owner_pid = task_tgid_nr(current);
	dev->owner = get_task_pid(current, PIDTYPE_TGID);
	vblk_stats_show(dev);
	return 0;
}

static void use_mem(struct vblk_dev *dev, struct vblk_mem *mem)
{
	struct vblk_mem *old = dev->mem;
	unsigned int i;

	dev->mem = mem;
	dev->log.mem = mem;
	for (i = 0; i < VHOST_BLK_MAX_VQS; i++) {
		mutex_lock(&dev->vqs[i].lock);
		dev->vqs[i].mem = mem;
		dev->vqs[i].log = dev->log;
		mutex_unlock(&dev->vqs[i].lock);
	}
	/* Requests in flight keep pages and addresses, not the map. */
	kvfree(old);
	/* A translated ring may have been kicked before there was any. */
	for (i = 0; i < VHOST_BLK_MAX_VQS; i++)
		if (vblk_vq_running(&dev->vqs[i]))
			vblk_vq_queue(&dev->vqs[i]);
}

static long set_mem_table(struct vblk_dev *dev, const struct vhost_memory __user *argument)
{
	struct vblk_mem *mem = vblk_mem_create(argument);
	int ret;

	if (IS_ERR(mem))
		return PTR_ERR(mem);
	ret = vblk_dev_check_log(dev, mem);
	if (ret) {
		kvfree(mem);
		return ret;
	}
	if (dev->features & BIT_ULL(VIRTIO_F_ACCESS_PLATFORM))
		mem->iotlb = &dev->iotlb;
	use_mem(dev, mem);
	return 0;
}

static long set_vring_num(struct vblk_vq *vq, unsigned int num)
{
	if (vblk_vq_running(vq))
		return -EBUSY;
	if (num > VHOST_BLK_MAX_VRING_NUM || !is_power_of_2(num))
		return -EINVAL;
	vq->vring.num = num;
	return 0;
}

static long set_vring_base(struct vblk_vq *vq, unsigned int base)
{
	if (vblk_vq_running(vq))
		return -EBUSY;
	if (base > U16_MAX)
		return -EINVAL;
	vq->vring.last_avail = base;
	return 0;
}

static long get_vring_base(struct vblk_dev *dev, struct vblk_vq *vq, struct vhost_vring_state __user *argument)
{
	struct vhost_vring_state state = { .index = vq->index };

	vblk_vqs_stop(dev, BIT_ULL(vq->index));
	state.num = vq->vring.last_avail;
	return copy_to_user(argument, &state, sizeof(state)) ? -EFAULT : 0;
}

static long set_busyloop(struct vblk_vq *vq, unsigned int us)
{
	int ret;

	mutex_lock(&vq->lock);
	ret = vblk_poll_set(&vq->poll, us);
	mutex_unlock(&vq->lock);
	return ret;
}

static long get_busyloop(struct vblk_vq *vq, struct vhost_vring_state __user *argument)
{
	struct vhost_vring_state state = { .index = vq->index };

	mutex_lock(&vq->lock);
	state.num = vblk_poll_get(&vq->poll);
	mutex_unlock(&vq->lock);
	return copy_to_user(argument, &state, sizeof(state)) ? -EFAULT : 0;
}

static long vring_state(struct vblk_dev *dev, unsigned int request, struct vhost_vring_state __user *argument)
{
	struct vhost_vring_state state;
	struct vblk_vq *vq;

	if (copy_from_user(&state, argument, sizeof(state)))
		return -EFAULT;
	vq = vblk_dev_vq(dev, state.index);
	if (!vq)
		return -ENOBUFS;
	switch (request) {
	case VHOST_SET_VRING_NUM:
		return set_vring_num(vq, state.num);
	case VHOST_SET_VRING_BASE:
		return set_vring_base(vq, state.num);
	case VHOST_SET_VRING_BUSYLOOP_TIMEOUT:
		return set_busyloop(vq, state.num);
	case VHOST_GET_VRING_BUSYLOOP_TIMEOUT:
		return get_busyloop(vq, argument);
	default:
		return get_vring_base(dev, vq, argument);
	}
}

/* @platform: they are the driver's addresses, which are not cut off where pointers have 32 bits. */
static bool suits(u64 address, u64 align, bool platform)
{
	return !(address & (align - 1)) && (platform || address == (unsigned long)address);
}

static long set_vring_addr(struct vblk_dev *dev, const struct vhost_vring_addr __user *argument)
{
	bool platform = dev->features & BIT_ULL(VIRTIO_F_ACCESS_PLATFORM);
	struct vhost_vring_addr addr;
	struct vblk_vq *vq;
	long ret;

	if (copy_from_user(&addr, argument, sizeof(addr)))
		return -EFAULT;
	vq = vblk_dev_vq(dev, addr.index);
	if (!vq)
		return -ENOBUFS;
	if (addr.flags & ~BIT(VHOST_VRING_F_LOG))
		return -EOPNOTSUPP;
	/* A migration begins and ends with the rings where they are. */
	if (vblk_vq_running(vq) && (vq->vring.addr[VBLK_AREA_DESC] != addr.desc_user_addr ||
				    vq->vring.addr[VBLK_AREA_AVAIL] != addr.avail_user_addr ||
				    vq->vring.addr[VBLK_AREA_USED] != addr.used_user_addr))
		return -EBUSY;
	if (!suits(addr.desc_user_addr, VRING_DESC_ALIGN_SIZE, platform) ||
	    !suits(addr.avail_user_addr, VRING_AVAIL_ALIGN_SIZE, platform) ||
	    !suits(addr.used_user_addr, VRING_USED_ALIGN_SIZE, platform))
		return -EINVAL;
	ret = vblk_vq_set_log(vq, &addr);
	if (ret || vblk_vq_running(vq))
		return ret;
	vq->vring.addr[VBLK_AREA_DESC] = addr.desc_user_addr;
	vq->vring.addr[VBLK_AREA_AVAIL] = addr.avail_user_addr;
	vq->vring.addr[VBLK_AREA_USED] = addr.used_user_addr;
	vq->vring.placed = true;
	return 0;
}

static long set_kick(struct vblk_vq *vq, int fd)
{
	struct file *kick = fd == VHOST_FILE_UNBIND ? NULL : eventfd_fget(fd);

	if (IS_ERR(kick))
		return PTR_ERR(kick);
	vblk_kick_set(vq, kick);
	return 0;
}

/* @place: vq->call or vq->error */
static long set_signal(struct vblk_vq *vq, struct eventfd_ctx **place, int fd)
{
	struct eventfd_ctx *ctx = fd == VHOST_FILE_UNBIND ? NULL : eventfd_ctx_fdget(fd);

	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	mutex_lock(&vq->lock);
	swap(*place, ctx);
	mutex_unlock(&vq->lock);
	if (ctx)
		eventfd_ctx_put(ctx);
	return 0;
}

static long set_vring_eventfd(struct vblk_dev *dev, unsigned int request, const struct vhost_vring_file __user *argument)
{
	struct vhost_vring_file file;
	struct vblk_vq *vq;

	if (copy_from_user(&file, argument, sizeof(file)))
		return -EFAULT;
	vq = vblk_dev_vq(dev, file.index);
	if (!vq)
		return -ENOBUFS;
	switch (request) {
	case VHOST_SET_VRING_KICK:
		return set_kick(vq, file.fd);
	case VHOST_SET_VRING_CALL:
		return set_signal(vq, &vq->call, file.fd);
	default:
		return set_signal(vq, &vq->error, file.fd);
	}
}

/* Those that are set up. */
static vblk_vq_set ready_vqs(const struct vblk_dev *dev)
{
	vblk_vq_set ready = 0;
	unsigned int i;

	for (i = 0; i < VHOST_BLK_MAX_VQS; i++)
		if (vblk_vring_check(&dev->vqs[i].vring) != -EINVAL)
			ready |= BIT_ULL(i);
	return ready;
}

/* All of @which, or none. */
static long start_vqs(struct vblk_dev *dev, vblk_vq_set which, int fd)
{
	struct vblk_backend backend;
	vblk_vq_set started = 0;
	unsigned int i;
	int ret;

	if (!which)
		return -EINVAL;
	for (i = 0; i < VHOST_BLK_MAX_VQS; i++)
		if (which & BIT_ULL(i) && vblk_vq_running(&dev->vqs[i]))
			return -EBUSY;
	ret = vblk_backend_get(&backend, fd);
	if (ret)
		return ret;
	for (i = 0; i < VHOST_BLK_MAX_VQS && !ret; i++) {
		if (!(which & BIT_ULL(i)))
			continue;
		ret = vblk_vq_start(&dev->vqs[i], &backend);
		if (!ret)
			started |= BIT_ULL(i);
	}
	if (ret)
		vblk_vqs_stop(dev, started);
	else
		vblk_resize_attached(dev);
	vblk_backend_put(&backend);
	return ret;
}

static long set_backend(struct vblk_dev *dev, const struct vhost_vring_file __user *argument)
{
	struct vhost_vring_file file;
	bool all;

	if (copy_from_user(&file, argument, sizeof(file)))
		return -EFAULT;
	all = file.index == VHOST_BLK_ALL_VQS;
	if (!all && !vblk_dev_vq(dev, file.index))
		return -ENOBUFS;
	if (file.fd != VHOST_FILE_UNBIND)
		return start_vqs(dev, all ? ready_vqs(dev) : BIT_ULL(file.index), file.fd);
	vblk_vqs_stop(dev, all ? VBLK_ALL_VQS : BIT_ULL(file.index));
	return 0;
}

static void reset_vq(struct vblk_vq *vq)
{
	vblk_kick_set(vq, NULL);
	set_signal(vq, &vq->call, VHOST_FILE_UNBIND);
	set_signal(vq, &vq->error, VHOST_FILE_UNBIND);
	memset(&vq->vring, 0, sizeof(vq->vring));
	memset(&vq->poll, 0, sizeof(vq->poll));
	memset(&vq->stats, 0, sizeof(vq->stats));
	vq->kicks = 0;
	vq->kick_rest_until = 0;
	vq->kick_rest_ns = 0;
}

void vblk_dev_reset(struct vblk_dev *dev)
{
	unsigned int i;

	vblk_vqs_stop(dev, VBLK_ALL_VQS);
	vblk_kick_reset(dev);
	vblk_stats_hide(dev);
	vblk_pool_reset(dev);
	for (i = 0; i < VHOST_BLK_MAX_VQS; i++)
		reset_vq(&dev->vqs[i]);
	use_mem(dev, NULL);
	vblk_dev_reset_log(dev);
	vblk_dev_use_iotlb(dev, false);
	dev->backend_features = 0;
	vblk_resize_reset(dev);
	memset(dev->serial, 0, sizeof(dev->serial));
	dev->write_through = false;
	dev->features = 0;
	if (dev->mm)
		mmput(dev->mm);
	dev->mm = NULL;
	put_pid(dev->owner);
	dev->owner = NULL;
	dev->owner_pid = 0;
	/* Readers of misses are the owner's: they look whether they still are. */
	wake_up_all(&dev->iotlb.readers);
}

long vblk_dev_ioctl(struct vblk_dev *dev, unsigned int request, void __user *argument)
{
	if (request == VHOST_GET_FEATURES)
		return get_features(argument);
	if (request == VHOST_SET_OWNER)
		return set_owner(dev);
	if (!dev->mm || dev->mm != current->mm)
		return -EPERM;
	switch (request) {
	case VHOST_RESET_OWNER:
		vblk_dev_reset(dev);
		return 0;
	case VHOST_SET_FEATURES:
		return set_features(dev, argument);
	case VHOST_GET_BACKEND_FEATURES:
		return vblk_dev_get_backend_features(argument);
	case VHOST_SET_BACKEND_FEATURES:
		return vblk_dev_set_backend_features(dev, argument);
	case VHOST_SET_LOG_BASE:
		return vblk_dev_set_log_base(dev, argument);
	case VHOST_SET_LOG_FD:
		return vblk_dev_set_log_fd(dev, argument);
	case VHOST_SET_MEM_TABLE:
		return set_mem_table(dev, argument);
	case VHOST_SET_VRING_NUM:
	case VHOST_SET_VRING_BASE:
	case VHOST_GET_VRING_BASE:
	case VHOST_SET_VRING_BUSYLOOP_TIMEOUT:
	case VHOST_GET_VRING_BUSYLOOP_TIMEOUT:
		return vring_state(dev, request, argument);
	case VHOST_SET_VRING_ADDR:
		return set_vring_addr(dev, argument);
	case VHOST_SET_VRING_KICK:
	case VHOST_SET_VRING_CALL:
	case VHOST_SET_VRING_ERR:
		return set_vring_eventfd(dev, request, argument);
	case VHOST_SET_NWORKERS:
	case VHOST_NEW_WORKER:
	case VHOST_FREE_WORKER:
	case VHOST_ATTACH_VRING_WORKER:
	case VHOST_GET_VRING_WORKER:
		return vblk_pool_ioctl(dev, request, argument);
	case VHOST_BLK_SET_BACKEND:
		return set_backend(dev, argument);
	case VHOST_BLK_GET_LIMITS:
		return vblk_dev_get_limits(dev, argument);
	case VHOST_BLK_SET_SERIAL:
		return vblk_dev_set_serial(dev, argument);
	case VHOST_BLK_SET_CONFIG_CALL:
		return vblk_resize_set_call(dev, argument);
	case VHOST_BLK_SET_WRITE_CACHE:
		return vblk_dev_set_write_cache(dev, argument);
	default:
		return -ENOTTY;
	}
}
