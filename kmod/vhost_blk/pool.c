// SPDX-License-Identifier: GPL-2.0-only
/* The workers of a device: how many there are, and which virtqueue each serves. */
#include "pool.h"

#include <linux/err.h>
#include <linux/nospec.h>
#include <linux/rcupdate.h>
#include <linux/uaccess.h>

#include "device.h"
#include "params.h"
#include "worker.h"

static struct vblk_worker *find_worker(struct vblk_pool *pool, unsigned int id)
{
	if (id >= VHOST_BLK_MAX_WORKERS)
		return NULL;
	return pool->workers[array_index_nospec(id, VHOST_BLK_MAX_WORKERS)];
}

static void place_worker(struct vblk_pool *pool, unsigned int id, struct vblk_worker *worker)
{
	spin_lock(&pool->lock);
	pool->workers[id] = worker;
	spin_unlock(&pool->lock);
}

void vblk_pool_init(struct vblk_pool *pool)
{
	spin_lock_init(&pool->lock);
}

void vblk_pool_cut_off(struct vblk_pool *pool)
{
	unsigned int id;

	spin_lock(&pool->lock);
	for (id = 0; id < VHOST_BLK_MAX_WORKERS; id++)
		if (pool->workers[id])
			vblk_worker_cut_off(pool->workers[id]);
	spin_unlock(&pool->lock);
}

/* With the lowest id that is free. */
static struct vblk_worker *add_worker(struct vblk_dev *dev)
{
	struct vblk_pool *pool = &dev->pool;
	struct vblk_worker *worker;
	unsigned int id = 0;

	while (id < VHOST_BLK_MAX_WORKERS && pool->workers[id])
		id++;
	if (id == VHOST_BLK_MAX_WORKERS)
		return ERR_PTR(-ENOSPC);
	worker = vblk_worker_create(dev->mm, dev->owner_pid, id);
	if (IS_ERR(worker))
		return worker;
	place_worker(pool, id, worker);
	pool->nr++;
	return worker;
}

/* A worker that serves no virtqueue: each that it served was stopped or went to another, which waited for it. */
static void remove_worker(struct vblk_pool *pool, struct vblk_worker *worker)
{
	place_worker(pool, worker->id, NULL);
	pool->nr--;
	vblk_worker_destroy(worker);
}

static struct vblk_worker *worker_of(const struct vblk_vq *vq)
{
	return rcu_dereference_protected(vq->worker, lockdep_is_held(&vq->dev->lock));
}

/* @worker: NULL for none, when the virtqueue does not run */
static void set_worker(struct vblk_vq *vq, struct vblk_worker *worker)
{
	struct vblk_worker *old = worker_of(vq);

	if (old == worker)
		return;
	mutex_lock(&vq->lock);
	rcu_assign_pointer(vq->worker, worker);
	mutex_unlock(&vq->lock);
	if (worker)
		worker->vqs++;
	if (!old)
		return;
	old->vqs--;
	if (!vblk_vq_running(vq))
		return;
	/* Whoever saw the old one has queued, and the old one has done it, before it may be freed or the virtqueue stop. */
	synchronize_rcu();
	vblk_worker_flush(old);
}

static struct vblk_worker *least_busy(const struct vblk_pool *pool)
{
	struct vblk_worker *best = NULL;
	unsigned int id;

	for (id = 0; id < VHOST_BLK_MAX_WORKERS; id++) {
		struct vblk_worker *worker = pool->workers[id];

		if (worker && (!best || worker->vqs < best->vqs))
			best = worker;
	}
	return best;
}

int vblk_pool_assign(struct vblk_vq *vq)
{
	struct vblk_dev *dev = vq->dev;
	struct vblk_worker *worker;

	if (worker_of(vq))
		return 0;
	worker = least_busy(&dev->pool);
	if (!worker || (worker->vqs && !dev->pool.managed && dev->pool.nr < vblk_param_workers()))
		worker = add_worker(dev);
	if (IS_ERR(worker))
		return PTR_ERR(worker);
	set_worker(vq, worker);
	return 0;
}

void vblk_pool_reset(struct vblk_dev *dev)
{
	struct vblk_pool *pool = &dev->pool;
	unsigned int i;

	for (i = 0; i < VHOST_BLK_MAX_VQS; i++) {
		RCU_INIT_POINTER(dev->vqs[i].worker, NULL);
		dev->vqs[i].worker_chosen = false;
	}
	for (i = 0; i < VHOST_BLK_MAX_WORKERS; i++)
		if (pool->workers[i])
			remove_worker(pool, pool->workers[i]);
	pool->managed = false;
}

/* All of them or none. */
static int add_workers(struct vblk_dev *dev, unsigned int wanted)
{
	struct vblk_pool *pool = &dev->pool;
	struct vblk_worker *added[VHOST_BLK_MAX_WORKERS];
	unsigned int nr = 0;

	while (pool->nr < wanted) {
		struct vblk_worker *worker = add_worker(dev);

		if (IS_ERR(worker)) {
			while (nr)
				remove_worker(pool, added[--nr]);
			return PTR_ERR(worker);
		}
		added[nr++] = worker;
	}
	return 0;
}

static long set_nworkers(struct vblk_dev *dev, const int __user *argument)
{
	unsigned int i;
	int wanted, ret;

	if (get_user(wanted, argument))
		return -EFAULT;
	if (wanted <= 0 || (unsigned int)wanted < dev->pool.nr)
		return -EINVAL;
	ret = add_workers(dev, min_t(unsigned int, wanted, VHOST_BLK_MAX_WORKERS));
	if (ret)
		return ret;
	dev->pool.managed = true;
	/* The next start gives them new ones. */
	for (i = 0; i < VHOST_BLK_MAX_VQS; i++)
		if (!vblk_vq_running(&dev->vqs[i]) && !dev->vqs[i].worker_chosen)
			set_worker(&dev->vqs[i], NULL);
	return 0;
}

static long new_worker(struct vblk_dev *dev, struct vhost_worker_state __user *argument)
{
	struct vblk_worker *worker = add_worker(dev);
	struct vhost_worker_state state = {};

	if (IS_ERR(worker))
		return PTR_ERR(worker);
	state.worker_id = worker->id;
	if (copy_to_user(argument, &state, sizeof(state))) {
		remove_worker(&dev->pool, worker);
		return -EFAULT;
	}
	dev->pool.managed = true;
	return 0;
}

static long free_worker(struct vblk_dev *dev, const struct vhost_worker_state __user *argument)
{
	struct vhost_worker_state state;
	struct vblk_worker *worker;

	if (copy_from_user(&state, argument, sizeof(state)))
		return -EFAULT;
	worker = find_worker(&dev->pool, state.worker_id);
	if (!worker)
		return -ENODEV;
	if (worker->vqs)
		return -EBUSY;
	remove_worker(&dev->pool, worker);
	return 0;
}

static long attach_worker(struct vblk_dev *dev, struct vblk_vq *vq, unsigned int id)
{
	struct vblk_worker *worker = find_worker(&dev->pool, id);

	if (!worker)
		return -ENODEV;
	set_worker(vq, worker);
	vq->worker_chosen = true;
	return 0;
}

static long vring_worker(struct vblk_dev *dev, unsigned int request, struct vhost_vring_worker __user *argument)
{
	struct vhost_vring_worker vring;
	struct vblk_worker *worker;
	struct vblk_vq *vq;

	if (copy_from_user(&vring, argument, sizeof(vring)))
		return -EFAULT;
	vq = vblk_dev_vq(dev, vring.index);
	if (!vq)
		return -ENOBUFS;
	if (request == VHOST_ATTACH_VRING_WORKER)
		return attach_worker(dev, vq, vring.worker_id);
	worker = worker_of(vq);
	if (!worker)
		return -EINVAL;
	vring.worker_id = worker->id;
	return copy_to_user(argument, &vring, sizeof(vring)) ? -EFAULT : 0;
}

long vblk_pool_ioctl(struct vblk_dev *dev, unsigned int request, void __user *argument)
{
	switch (request) {
	case VHOST_SET_NWORKERS:
		return set_nworkers(dev, argument);
	case VHOST_NEW_WORKER:
		return new_worker(dev, argument);
	case VHOST_FREE_WORKER:
		return free_worker(dev, argument);
	default:
		return vring_worker(dev, request, argument);
	}
}
