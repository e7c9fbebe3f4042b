// SPDX-License-Identifier: GPL-2.0-only
/* Turns: what is answered, taken and started while a virtqueue's lock is held, and when that goes on. */
#include "turn.h"

#include <linux/blkdev.h>
#include <linux/eventfd.h>
#include <linux/printk.h>
#include <linux/sched/clock.h>
#include <linux/uaccess.h>

#include "device.h"
#include "params.h"
#include "request.h"
#include "trace.h"

/* A turn ends after the requests of the module parameter, or this much data for each of them, so that others get theirs. */
#define VBLK_TURN_BYTES_PER_REQUEST (64ULL << 10)

/* Requests of which the block layer is told beforehand; it allocates no more at a time. */
#define VBLK_EXPECT_REQUESTS 32U

/* No more requests are taken while this much is in flight: bounds what a guest can have pinned or bounced. */
#define VBLK_MAX_BYTES_IN_FLIGHT (64ULL << 20)

/* The ring can not be trusted any more. Requests in flight are still answered, but nothing is taken until a new start. */
void vblk_turn_give_up(struct vblk_vq *vq)
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

/* Something has failed. To a kicker this may be for what is not there at once: the worker tries again, and tells. */
static void fail(struct vblk_vq *vq)
{
	if (!vq->of_kicker) {
		vblk_turn_give_up(vq);
		return;
	}
	vq->left_over = true;
	vq->vring.reason = NULL;
}

/* Whether the device has room for the request in vq->chain; if not, it is tried again when it has. */
static bool reserve(struct vblk_vq *vq)
{
	/* What is more is refused. */
	u64 bytes = vq->chain->readable_bytes + vq->chain->writable_bytes;
	u64 wanted = vq->bytes_in_flight + min_t(u64, bytes, VHOST_BLK_MAX_REQUEST_BYTES);
	u64 more;

	if (wanted <= vq->reserved) {
		/* What was waited for is not needed any more: others are behind it. Only turns add the claim. */
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

void vblk_turn_give_back(struct vblk_vq *vq, u64 keep)
{
	if (vq->reserved <= keep)
		return;
	vblk_budget_release(&vq->dev->budget, vq->reserved - keep);
	vq->reserved = keep;
}

/* Keeps what is in flight, and a little for the next request. */
static void give_back_unused(struct vblk_vq *vq)
{
	vblk_turn_give_back(vq, round_up(vq->bytes_in_flight, VBLK_BUDGET_CHUNK) + VBLK_BUDGET_CHUNK);
}

/* Return: whether there was something to finish. */
static bool finish_done(struct vblk_vq *vq)
{
	struct llist_node *first = llist_reverse_order(llist_del_all(&vq->done));
	struct vblk_request *request, *next;

	llist_for_each_entry_safe(request, next, first, done) {
		if (!vblk_request_finish(request))
			continue;
		fail(vq);
		if (vq->of_kicker)
			llist_add(&request->done, &vq->done);
	}
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

	if (ret && (ret == -EAGAIN || ret == -EBUSY || vq->of_kicker))
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

/* How many requests this turn may take: for a kicker none at all where there are so many that the worker is wanted anyway. */
static unsigned int weight_of_turn(struct vblk_vq *vq)
{
	unsigned int most;

	if (!vq->of_kicker)
		return vblk_param_weight();
	most = vblk_param_kick_requests();
	return vblk_vring_available(&vq->vring) > 0 && vblk_vring_known(&vq->vring) > most ? 0 : most;
}

static enum vblk_end take_some(struct vblk_vq *vq, unsigned int *taken)
{
	enum vblk_end end = VBLK_END_BUDGET;
	struct blk_plug plug;
	unsigned int weight;
	int ret = 0;

	if (vq->stopping || vq->broken || !vq->vring.mapped)
		return VBLK_END_CLOSED;
	weight = weight_of_turn(vq);
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
	/* A kicker does not come again. */
	if (vq->of_kicker && *taken == weight && weight)
		end = vblk_vring_available(&vq->vring) ? VBLK_END_BUDGET : VBLK_END_EMPTY;
	if (ret >= 0)
		return end;
	if (ret == -EAGAIN && !vq->of_kicker)
		/* Others need not wait for this owner's answer. */
		vblk_budget_cancel(&vq->dev->budget, &vq->claim);
	else if (ret == -EEXIST)
		vblk_turn_give_up(vq);
	else if (ret != -EBUSY)
		fail(vq);
	return VBLK_END_CLOSED;
}

static void tell_guest(struct vblk_vq *vq)
{
	u16 told = vq->vring.published;
	int ret = vblk_vring_publish(&vq->vring);

	if (ret < 0) {
		fail(vq);
		if (!vq->of_kicker)
			return;
	}
	if (vq->vring.published == told)
		return;
	/* A kicker that can not read whether the guest wants a signal gives one. */
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

	if (vq->of_kicker)
		vblk_poll_pass(&vq->poll, vq->now);
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
		fail(vq);
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
	if (taken && vq->of_kicker) {
		vq->stats.kick_turns++;
		trace_vhost_blk_kick_turn(vq);
	}
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
		vblk_turn_give_up(vq);
}

static void end_turn(struct vblk_vq *vq)
{
	if (iotlb_of(vq))
		up_read(&vq->mem->iotlb->lock);
	if (vq->stopping && !vq->in_flight)
		wake_up(&vq->drained);
	mutex_unlock(&vq->lock);
}

static void run_turn(struct vblk_vq *vq)
{
	bool more;

	vq->left_over = false;
	WRITE_ONCE(vq->in_turn, true);
	more = do_turn(vq);
	vblk_log_signal(&vq->log);
	WRITE_ONCE(vq->in_turn, false);
	/* Before the look for completions; pairs with llist_add() in vblk_vq_done(). */
	smp_mb();
	if (more || vq->left_over || !llist_empty(&vq->done))
		/* At the tail, and before a stop or another worker can come between. */
		vblk_vq_queue(vq);
}

void vblk_turn(struct vblk_work *work)
{
	struct vblk_vq *vq = container_of(work, struct vblk_vq, work);

	begin_turn(vq);
	run_turn(vq);
	end_turn(vq);
}

bool vblk_turn_of_kicker(struct vblk_vq *vq)
{
	bool mine;

	if (!mutex_trylock(&vq->lock))
		return false;
	/* Log and requests of others may want to be waited for. */
	mine = !vq->in_flight && !vq->log.all && !vq->vring.log_used;
	if (mine) {
		vq->of_kicker = true;
		/* What is not there at once fails, and so is left to the worker. */
		pagefault_disable();
		run_turn(vq);
		pagefault_enable();
		vq->of_kicker = false;
	}
	end_turn(vq);
	return mine;
}
