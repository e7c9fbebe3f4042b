// SPDX-License-Identifier: GPL-2.0-only
#include "vq.h"

#include <linux/blkdev.h>
#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/poll.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/sched/clock.h>
#include <linux/slab.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>

#include "device.h"
#include "migration.h"
#include "params.h"
#include "request.h"
#include "trace.h"

/* A turn ends after the requests of the module parameter, or this much data for each of them, so that others get theirs. */
#define VBLK_TURN_BYTES_PER_REQUEST (64ULL << 10)

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
	vblk_budget_cancel(&vq->dev->budget, &vq->claim);
	trace_vhost_blk_ring_broken(vq, vq->vring.reason);
	if (__ratelimit(&vq->dev->log_limit))
		pr_warn("vhost-blk: owner %d, virtqueue %u stopped: %s\n", vq->dev->owner_pid, vq->index,
			vq->vring.reason);
	if (vq->error)
		eventfd_signal(vq->error);
}

/* Whether the device has room for the request in vq->chain; if not, it is tried again when it has. */
static bool reserve(struct vblk_vq *vq)
{
	/* What is more is refused. */
	u64 bytes = vq->chain->readable_bytes + vq->chain->writable_bytes;
	u64 wanted = vq->bytes_in_flight + min_t(u64, bytes, VHOST_BLK_MAX_REQUEST_BYTES);
	u64 more;

	if (wanted <= vq->reserved) {
		/* What was waited for is not needed any more: others are behind it. Only this worker adds the claim. */
		if (!list_empty_careful(&vq->claim.node))
			vblk_budget_cancel(&vq->dev->budget, &vq->claim);
		return true;
	}
	more = round_up(wanted - vq->reserved, VBLK_BUDGET_CHUNK);
	if (!vblk_budget_reserve(&vq->dev->budget, &vq->claim, more))
		return false;
	vq->reserved += more;
	return true;
}

static void give_back(struct vblk_vq *vq, u64 keep)
{
	if (vq->reserved <= keep)
		return;
	vblk_budget_release(&vq->dev->budget, vq->reserved - keep);
	vq->reserved = keep;
}

/* Keeps what is in flight, and a little for the next request. */
static void give_back_unused(struct vblk_vq *vq)
{
	give_back(vq, round_up(vq->bytes_in_flight, VBLK_BUDGET_CHUNK) + VBLK_BUDGET_CHUNK);
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

/* Return: whether there was something to finish. */
static bool finish_done(struct vblk_vq *vq)
{
	struct llist_node *first = llist_reverse_order(llist_del_all(&vq->done));
	struct vblk_request *request, *next;

	llist_for_each_entry_safe(request, next, first, done)
		if (vblk_request_finish(request))
			give_up(vq);
	give_back_unused(vq);
	return first;
}

/* Return: 1 when vq->chain holds the next chain, 0 when the guest has made none available. */
static int next_chain(struct vblk_vq *vq)
{
	int ret = vblk_vring_available(&vq->vring);

	if (ret <= 0)
		return ret;
	ret = vblk_vring_want_kick(&vq->vring, false);
	if (!ret)
		ret = vblk_vring_take(&vq->vring, vq->mem, vq->chain);
	return ret ? ret : 1;
}

/* Starts the request in vq->chain. Return: as vblk_request_start(); -EBUSY: the device has no room for it yet. */
static int start_request(struct vblk_vq *vq)
{
	int ret = reserve(vq) ? vblk_request_start(vq, vq->chain) : -EBUSY;

	if (ret == -EAGAIN || ret == -EBUSY)
		vblk_vring_untake(&vq->vring);
	return ret;
}

/* Why a turn takes no more. */
enum vblk_end {
	/* The guest has made no more available. */
	VBLK_END_EMPTY,
	VBLK_END_BUDGET,
	/* Too much is in flight. */
	VBLK_END_FULL,
	/* It is being stopped, or broken; or it waits for a translation or for room, which then asks for a turn. */
	VBLK_END_CLOSED,
};

static enum vblk_end take_some(struct vblk_vq *vq, unsigned int *taken)
{
	unsigned int weight = vblk_param_weight();
	enum vblk_end end = VBLK_END_BUDGET;
	struct blk_plug plug;
	int ret = 0;

	if (vq->stopping || vq->broken || !vq->vring.mapped)
		return VBLK_END_CLOSED;
	vq->turn_bytes = 0;
	blk_start_plug(&plug);
	while (*taken < weight && vq->turn_bytes < weight * VBLK_TURN_BYTES_PER_REQUEST) {
		if (vq->bytes_in_flight >= VBLK_MAX_BYTES_IN_FLIGHT) {
			end = VBLK_END_FULL;
			break;
		}
		ret = next_chain(vq);
		if (!ret)
			end = VBLK_END_EMPTY;
		if (ret <= 0)
			break;
		if (!(*taken % VBLK_EXPECT_REQUESTS))
			blk_plug_expect(&plug, min(1 + vblk_vring_known(&vq->vring), VBLK_EXPECT_REQUESTS));
		ret = start_request(vq);
		if (ret)
			break;
		++*taken;
	}
	blk_finish_plug(&plug);
	if (ret >= 0)
		return end;
	if (ret == -EAGAIN)
		/* Others need not wait for this owner's answer. */
		vblk_budget_cancel(&vq->dev->budget, &vq->claim);
	else if (ret != -EBUSY)
		give_up(vq);
	return VBLK_END_CLOSED;
}

static void tell_guest(struct vblk_vq *vq)
{
	u16 told = vq->vring.published;
	int ret = vblk_vring_publish(&vq->vring);

	if (ret < 0) {
		give_up(vq);
		return;
	}
	if (vq->vring.published == told)
		return;
	if (!ret || !vq->call) {
		vq->stats.signals_suppressed++;
		return;
	}
	vq->stats.signals++;
	trace_vhost_blk_signal(vq);
	eventfd_signal(vq->call);
}

/* Nothing is available. Return: whether to look again at once, else the guest will kick. */
static bool expect_more(struct vblk_vq *vq)
{
	int ret;

	if (vblk_poll_idle(&vq->poll, vq->now)) {
		ret = vblk_vring_hush(&vq->vring);
		cpu_relax();
		if (!ret)
			return true;
	} else {
		ret = vblk_vring_want_kick(&vq->vring, true);
		if (!ret)
			ret = vblk_vring_available(&vq->vring);
	}
	if (ret < 0)
		give_up(vq);
	return ret > 0;
}

/* Return: whether another turn is to follow without a kick or a completion. */
static bool do_turn(struct vblk_vq *vq)
{
	unsigned int taken = 0;
	u64 began = local_clock();
	enum vblk_end end;
	bool finished;

	vq->now = began;
	finished = finish_done(vq);
	end = take_some(vq, &taken);
	/* Of a fast disk they are back already. */
	if (!llist_empty(&vq->done)) {
		vq->now = local_clock();
		finished |= finish_done(vq);
	}
	/* Also of requests that were answered at once, or wait for a translation. */
	give_back_unused(vq);
	if (taken || finished)
		vblk_stats_turn(vq, began);
	tell_guest(vq);
	switch (end) {
	case VBLK_END_EMPTY:
		return expect_more(vq);
	case VBLK_END_BUDGET:
		return true;
	case VBLK_END_FULL:
		return vq->bytes_in_flight < VBLK_MAX_BYTES_IN_FLIGHT;
	default:
		return false;
	}
}

static struct vblk_iotlb *iotlb_of(const struct vblk_vq *vq)
{
	return vq->mem ? vq->mem->iotlb : NULL;
}

/* Translations stay as they are until the turn ends. */
static void begin_turn(struct vblk_vq *vq)
{
	int ret;

	mutex_lock(&vq->lock);
	if (!iotlb_of(vq))
		return;
	down_read(&vq->mem->iotlb->lock);
	ret = vblk_vring_map(&vq->vring, vq->mem, vq->stopping ? NULL : &vq->miss);
	if (ret == -EAGAIN)
		vblk_budget_cancel(&vq->dev->budget, &vq->claim);
	else if (ret)
		give_up(vq);
}

static void end_turn(struct vblk_vq *vq)
{
	if (iotlb_of(vq))
		up_read(&vq->mem->iotlb->lock);
	if (vq->stopping && !vq->in_flight)
		wake_up(&vq->drained);
	mutex_unlock(&vq->lock);
}

static void turn(struct vblk_work *work)
{
	struct vblk_vq *vq = container_of(work, struct vblk_vq, work);
	bool more;

	begin_turn(vq);
	WRITE_ONCE(vq->in_turn, true);
	more = do_turn(vq);
	vblk_log_signal(&vq->log);
	WRITE_ONCE(vq->in_turn, false);
	/* Before the look for completions; pairs with llist_add() in vblk_vq_done(). */
	smp_mb();
	if (more || !llist_empty(&vq->done))
		/* At the tail, and before a stop or another worker can come between. */
		vblk_vq_queue(vq);
	end_turn(vq);
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

/* Runs under the eventfd's lock. */
static int kicked(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct vblk_vq *vq = container_of(wait, struct vblk_vq, kick_wait);

	if (key_to_poll(key) & EPOLLIN) {
		vq->kicks++;
		WRITE_ONCE(vq->kicked_at, local_clock());
		trace_vhost_blk_kick(vq);
		vblk_vq_queue(vq);
	}
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
	vblk_vq_queue(vq);
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
	vblk_work_init(&vq->work, turn);
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
	listen_to_kicks(vq);
	vblk_vq_queue(vq);
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
		give_up(vq);
		mutex_unlock(&vq->lock);
	}
	give_back(vq, 0);
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
