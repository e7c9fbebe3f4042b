// SPDX-License-Identifier: GPL-2.0-only
#include "vq.h"

#include <linux/err.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>

#include "device.h"
#include "kick.h"
#include "migration.h"
#include "request.h"
#include "turn.h"

int vblk_vq_broken(struct vblk_vq *vq, const char *reason)
{
	vq->vring.reason = reason;
	return -EPROTO;
}

void vblk_vq_queue(struct vblk_vq *vq)
{
	rcu_read_lock();
	vblk_worker_queue(rcu_dereference(vq->worker), &vq->work);
	rcu_read_unlock();
}

void vblk_vq_done(struct vblk_vq *vq, struct llist_node *node)
{
	/* The virtqueue stays until the grace period, also when its last request is answered meanwhile. */
	rcu_read_lock();
	/* Full barrier: the turn that is under way sees the request, or this sees its end. */
	if (llist_add(node, &vq->done) && !READ_ONCE(vq->in_turn))
		vblk_vq_queue(vq);
	rcu_read_unlock();
}

/* Runs under the IOTLB's lock. */
static void retry(struct vblk_miss *miss)
{
	vblk_vq_queue(container_of(miss, struct vblk_vq, miss));
}

/* Runs under the budget's lock. */
static void claim_again(struct vblk_claim *claim)
{
	vblk_vq_queue(container_of(claim, struct vblk_vq, claim));
}

void vblk_vq_init(struct vblk_vq *vq, struct vblk_dev *dev, unsigned int index)
{
	vq->dev = dev;
	vq->index = index;
	mutex_init(&vq->lock);
	init_waitqueue_head(&vq->drained);
	init_llist_head(&vq->done);
	INIT_LIST_HEAD(&vq->miss.node);
	vq->miss.retry = retry;
	INIT_LIST_HEAD(&vq->claim.node);
	vq->claim.retry = claim_again;
}

static void free_requests(struct vblk_vq *vq)
{
	kvfree(vq->requests);
	kvfree(vq->chain);
	kvfree(vq->vring.deferred);
	vq->requests = NULL;
	vq->chain = NULL;
	vq->vring.deferred = NULL;
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
	vq->can_flush = features & (BIT_ULL(VIRTIO_BLK_F_FLUSH) | BIT_ULL(VIRTIO_BLK_F_CONFIG_WCE));
	vq->read_only = features & BIT_ULL(VIRTIO_BLK_F_RO);
	vring->log = &vq->log;
	vring->miss = &vq->miss;
	ret = vblk_vq_check_log(vq);
	if (ret)
		return ret;
	ret = vblk_vring_start(vring);
	if (ret)
		return ret;
	vq->stopping = false;
	vq->broken = false;
	vblk_poll_start(&vq->poll);
	vblk_work_init(&vq->work, vblk_turn);
	vq->requests = kvcalloc(vring->num, sizeof(*vq->requests), GFP_KERNEL_ACCOUNT);
	vq->chain = kvmalloc(sizeof(*vq->chain), GFP_KERNEL_ACCOUNT);
	if (vring->translated)
		vring->deferred = kvcalloc(vring->num, sizeof(*vring->deferred), GFP_KERNEL_ACCOUNT);
	if (vq->requests && vq->chain && (vring->deferred || !vring->translated))
		return 0;
	free_requests(vq);
	return -ENOMEM;
}

int vblk_vq_start(struct vblk_vq *vq, const struct vblk_backend *backend)
{
	int ret = prepare(vq);

	if (ret)
		return ret;
	ret = vblk_pool_assign(vq);
	if (ret) {
		free_requests(vq);
		return ret;
	}
	vq->backend = vblk_backend_dup(backend);
	vq->running = true;
	vblk_stats_show_vq(vq);
	vblk_kick_start(vq);
	vblk_vq_queue(vq);
	return 0;
}

static bool is_drained(struct vblk_vq *vq)
{
	return !READ_ONCE(vq->in_flight);
}

static void begin_stop(struct vblk_vq *vq)
{
	vblk_kick_stop(vq);
	mutex_lock(&vq->lock);
	vq->stopping = true;
	mutex_unlock(&vq->lock);
	/* A virtqueue that stops does not ask again. */
	vblk_miss_cancel(&vq->dev->iotlb, &vq->miss);
	vblk_budget_cancel(&vq->dev->budget, &vq->claim);
}

static void end_stop(struct vblk_vq *vq)
{
	/* The turn that answered the last request, and one that came too late to find any. */
	vblk_worker_flush(rcu_dereference_protected(vq->worker, true));
	/* The owner has taken the ring's translation away and given none. */
	if (vq->vring.nr_deferred) {
		mutex_lock(&vq->lock);
		vq->vring.reason = "answers can not be told: the used ring is not mapped";
		vblk_turn_give_up(vq);
		mutex_unlock(&vq->lock);
	}
	vblk_turn_give_back(vq, 0);
	vq->running = false;
	free_requests(vq);
	vblk_backend_put(&vq->backend);
}

void vblk_vqs_stop(struct vblk_dev *dev, vblk_vq_set which)
{
	unsigned int i;

	for (i = 0; i < VHOST_BLK_MAX_VQS; i++)
		if (!vblk_vq_running(&dev->vqs[i]))
			which &= ~BIT_ULL(i);
	if (!which)
		return;
	for (i = 0; i < VHOST_BLK_MAX_VQS; i++)
		if (which & BIT_ULL(i))
			begin_stop(&dev->vqs[i]);
	for (i = 0; i < VHOST_BLK_MAX_VQS; i++)
		if (which & BIT_ULL(i))
			wait_event(dev->vqs[i].drained, is_drained(&dev->vqs[i]));
	/* Bios of the last requests may not yet have returned from queueing work. */
	synchronize_rcu();
	for (i = 0; i < VHOST_BLK_MAX_VQS; i++)
		if (which & BIT_ULL(i))
			end_stop(&dev->vqs[i]);
}
