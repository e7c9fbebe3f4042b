// SPDX-License-Identifier: GPL-2.0-only
#include "vq.h"

#include <linux/blkdev.h>
#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/poll.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>

#include "device.h"
#include "request.h"

/* Requests taken in one turn; after it their answers are told and others of the worker's CPU get theirs. */
#define VBLK_TURN_REQUESTS 128

/* Requests of which the block layer is told beforehand; it allocates no more at a time. */
#define VBLK_EXPECT_REQUESTS 32U

/* No more requests are taken while this much is in flight: bounds what a guest can have pinned or bounced. */
#define VBLK_MAX_BYTES_IN_FLIGHT (64ULL << 20)

int vblk_vq_broken(struct vblk_vq *vq, const char *reason)
{
	vq->vring.reason = reason;
	return -EPROTO;
}

/* The ring can not be trusted any more. Requests in flight are still answered, but nothing is taken until a new start. */
static void give_up(struct vblk_vq *vq)
{
	if (vq->broken)
		return;
	vq->broken = true;
	if (__ratelimit(&vq->dev->log_limit))
		pr_warn("vhost-blk: owner %d, virtqueue %u stopped: %s\n", vq->dev->owner_pid, vq->index,
			vq->vring.reason);
	if (vq->error)
		eventfd_signal(vq->error);
}

static void finish_done(struct vblk_vq *vq)
{
	struct llist_node *first = llist_reverse_order(llist_del_all(&vq->done));
	struct vblk_request *request, *next;

	llist_for_each_entry_safe(request, next, first, done)
		if (vblk_request_finish(request))
			give_up(vq);
}

/* Return: 1 when vq->chain holds the next chain, 0 when the guest has made none available and will kick. */
static int next_chain(struct vblk_vq *vq)
{
	int ret = vblk_vring_available(&vq->vring);

	if (!ret) {
		ret = vblk_vring_want_kick(&vq->vring, true);
		if (!ret)
			ret = vblk_vring_available(&vq->vring);
	}
	if (ret <= 0)
		return ret;
	ret = vblk_vring_want_kick(&vq->vring, false);
	if (!ret)
		ret = vblk_vring_take(&vq->vring, vq->mem, vq->chain);
	return ret ? ret : 1;
}

/* Return: whether there may be more to take at once. */
static bool take_some(struct vblk_vq *vq)
{
	unsigned int taken = 0;
	struct blk_plug plug;
	int ret = 0;

	if (vq->stopping || vq->broken)
		return false;
	blk_start_plug(&plug);
	/* What stops at the limit goes on when requests come back. */
	while (taken < VBLK_TURN_REQUESTS && vq->bytes_in_flight < VBLK_MAX_BYTES_IN_FLIGHT) {
		ret = next_chain(vq);
		if (ret <= 0)
			break;
		if (!(taken % VBLK_EXPECT_REQUESTS))
			blk_plug_expect(&plug, min(1 + vblk_vring_known(&vq->vring), VBLK_EXPECT_REQUESTS));
		ret = vblk_request_start(vq, vq->chain);
		if (ret)
			break;
		taken++;
	}
	blk_finish_plug(&plug);
	if (ret < 0)
		give_up(vq);
	return taken == VBLK_TURN_REQUESTS;
}

static void tell_guest(struct vblk_vq *vq)
{
	int ret = vblk_vring_publish(&vq->vring);

	if (ret < 0)
		give_up(vq);
	else if (ret && vq->call)
		eventfd_signal(vq->call);
}

static void turn(struct vblk_work *work)
{
	struct vblk_vq *vq = container_of(work, struct vblk_vq, work);
	bool more;

	mutex_lock(&vq->lock);
	finish_done(vq);
	more = take_some(vq);
	/* Of a fast disk they are back already. */
	finish_done(vq);
	tell_guest(vq);
	if (vq->stopping && !vq->in_flight)
		wake_up(&vq->drained);
	mutex_unlock(&vq->lock);
	if (more)
		vblk_worker_queue(vq->worker, &vq->work);
}

/* Runs under the eventfd's lock. */
static int kicked(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct vblk_vq *vq = container_of(wait, struct vblk_vq, kick_wait);

	if (key_to_poll(key) & EPOLLIN)
		vblk_worker_queue(vq->worker, &vq->work);
	return 0;
}

struct kick_table {
	poll_table table;
	struct vblk_vq *vq;
};

static void join_kick_queue(struct file *file, wait_queue_head_t *queue, poll_table *table)
{
	struct vblk_vq *vq = container_of(table, struct kick_table, table)->vq;

	vq->kick_queue = queue;
	add_wait_queue(queue, &vq->kick_wait);
}

static void listen_to_kicks(struct vblk_vq *vq)
{
	struct kick_table table = { .vq = vq };

	if (!vq->kick)
		return;
	init_waitqueue_func_entry(&vq->kick_wait, kicked);
	init_poll_funcptr(&table.table, join_kick_queue);
	vfs_poll(vq->kick, &table.table);
	/* Kicks and requests from before. */
	vblk_worker_queue(vq->worker, &vq->work);
}

static void ignore_kicks(struct vblk_vq *vq)
{
	if (!vq->kick_queue)
		return;
	remove_wait_queue(vq->kick_queue, &vq->kick_wait);
	vq->kick_queue = NULL;
}

void vblk_vq_set_kick(struct vblk_vq *vq, struct file *kick)
{
	ignore_kicks(vq);
	if (vq->kick)
		fput(vq->kick);
	vq->kick = kick;
	if (vblk_vq_running(vq))
		listen_to_kicks(vq);
}

void vblk_vq_init(struct vblk_vq *vq, struct vblk_dev *dev, unsigned int index)
{
	vq->dev = dev;
	vq->index = index;
	mutex_init(&vq->lock);
	init_waitqueue_head(&vq->drained);
	init_llist_head(&vq->done);
}

static void free_requests(struct vblk_vq *vq)
{
	kvfree(vq->requests);
	kvfree(vq->chain);
	vq->requests = NULL;
	vq->chain = NULL;
}

/* As features and ring tell; nothing uses the virtqueue yet. */
static int prepare(struct vblk_vq *vq)
{
	u64 features = vq->dev->features;
	struct vblk_vring *vring = &vq->vring;
	int ret;

	vring->event_idx = features & BIT_ULL(VIRTIO_RING_F_EVENT_IDX);
	vring->indirect = features & BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC);
	vring->little_endian = features & BIT_ULL(VIRTIO_F_VERSION_1) || virtio_legacy_is_little_endian();
	vq->can_flush = features & BIT_ULL(VIRTIO_BLK_F_FLUSH);
	vq->read_only = features & BIT_ULL(VIRTIO_BLK_F_RO);
	ret = vblk_vring_start(vring);
	if (ret)
		return ret;
	vq->stopping = false;
	vq->broken = false;
	vblk_work_init(&vq->work, turn);
	vq->requests = kvcalloc(vring->num, sizeof(*vq->requests), GFP_KERNEL_ACCOUNT);
	vq->chain = kvmalloc(sizeof(*vq->chain), GFP_KERNEL_ACCOUNT);
	if (vq->requests && vq->chain)
		return 0;
	free_requests(vq);
	return -ENOMEM;
}

int vblk_vq_start(struct vblk_vq *vq, const struct vblk_backend *backend)
{
	struct vblk_dev *dev = vq->dev;
	struct vblk_worker *worker;
	int ret = prepare(vq);

	if (ret)
		return ret;
	worker = vblk_worker_create(dev->mm, dev->owner_pid, vq->index);
	if (IS_ERR(worker)) {
		free_requests(vq);
		return PTR_ERR(worker);
	}
	vq->backend = vblk_backend_dup(backend);
	vq->worker = worker;
	listen_to_kicks(vq);
	vblk_worker_queue(worker, &vq->work);
	return 0;
}

static bool is_drained(struct vblk_vq *vq)
{
	return !READ_ONCE(vq->in_flight);
}

static void begin_stop(struct vblk_vq *vq)
{
	ignore_kicks(vq);
	mutex_lock(&vq->lock);
	vq->stopping = true;
	mutex_unlock(&vq->lock);
}

static void end_stop(struct vblk_vq *vq)
{
	vblk_worker_free(vq->worker);
	vq->worker = NULL;
	free_requests(vq);
	vblk_backend_put(&vq->backend);
}

void vblk_vqs_stop(struct vblk_dev *dev, vblk_vq_set which)
{
	unsigned int i;

	for (i = 0; i < VHOST_BLK_MAX_VQS; i++)
		if (!vblk_vq_running(&dev->vqs[i]))
			which &= ~BIT(i);
	if (!which)
		return;
	for (i = 0; i < VHOST_BLK_MAX_VQS; i++)
		if (which & BIT(i))
			begin_stop(&dev->vqs[i]);
	for (i = 0; i < VHOST_BLK_MAX_VQS; i++) {
		struct vblk_vq *vq = &dev->vqs[i];

		if (!(which & BIT(i)))
			continue;
		wait_event(vq->drained, is_drained(vq));
		/* Waits for the turn that answered the last request. */
		vblk_worker_stop(vq->worker);
	}
	/* Bios of the last requests may not yet have returned from queueing work to the workers. */
	synchronize_rcu();
	for (i = 0; i < VHOST_BLK_MAX_VQS; i++)
		if (which & BIT(i))
			end_stop(&dev->vqs[i]);
}
