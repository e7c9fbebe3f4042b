// SPDX-License-Identifier: GPL-2.0-only
/* Counters, and the files in debugfs that show them. */
#include "stats.h"

#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/time64.h>
#include <linux/virtio_blk.h>

#include "device.h"
#include "request.h"

static struct dentry *folder;
/* Tells devices of one owner apart, also those that were. */
static atomic_t devices = ATOMIC_INIT(0);

static const char *const type_names[VBLK_NR_TYPES] = {
	[VBLK_TYPE_IN]		 = "in",
	[VBLK_TYPE_OUT]		 = "out",
	[VBLK_TYPE_FLUSH]	 = "flush",
	[VBLK_TYPE_GET_ID]	 = "get_id",
	[VBLK_TYPE_DISCARD]	 = "discard",
	[VBLK_TYPE_WRITE_ZEROES] = "write_zeroes",
	[VBLK_TYPE_SECURE_ERASE] = "secure_erase",
	[VBLK_TYPE_OTHER]	 = "other",
};

enum vblk_request_type vblk_stats_type(u32 type)
{
	switch (type) {
	case VIRTIO_BLK_T_IN:
		return VBLK_TYPE_IN;
	case VIRTIO_BLK_T_OUT:
		return VBLK_TYPE_OUT;
	case VIRTIO_BLK_T_FLUSH:
		return VBLK_TYPE_FLUSH;
	case VIRTIO_BLK_T_GET_ID:
		return VBLK_TYPE_GET_ID;
	case VIRTIO_BLK_T_DISCARD:
		return VBLK_TYPE_DISCARD;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return VBLK_TYPE_WRITE_ZEROES;
	case VIRTIO_BLK_T_SECURE_ERASE:
		return VBLK_TYPE_SECURE_ERASE;
	default:
		return VBLK_TYPE_OTHER;
	}
}

/*
 * When there was something to do again, for who polls would have seen it then: a turn that a kick has woken the worker for
 * comes later by what waking it took.
 */
static u64 idle_until(const struct vblk_vq *vq, u64 now)
{
	u64 kicked_at = READ_ONCE(vq->kicked_at);

	return kicked_at > vq->poll.idle_since && kicked_at < now ? kicked_at : now;
}

void vblk_stats_turn(struct vblk_vq *vq, u64 now)
{
	struct vblk_stats *stats = &vq->stats;
	bool was_idle = vq->poll.idle_since;

	stats->turns++;
	if (vblk_poll_busy(&vq->poll, idle_until(vq, now)))
		stats->poll_hits++;
	else if (was_idle)
		stats->poll_misses++;
}

void vblk_stats_enter_flight(struct vblk_request *request)
{
	struct vblk_vq *vq = request->vq;

	request->started = vq->now;
	if (vq->in_flight > vq->stats.max_in_flight)
		vq->stats.max_in_flight = vq->in_flight;
}

void vblk_stats_leave_flight(struct vblk_request *request)
{
	struct vblk_vq *vq = request->vq;
	u64 us = vq->now > request->started ? div_u64(vq->now - request->started, NSEC_PER_USEC) : 0;
	unsigned int bucket = us ? ilog2(us) + 1 : 0;

	vq->stats.latency[min_t(unsigned int, bucket, VBLK_LATENCY_BUCKETS - 1)]++;
}

void vblk_stats_answer(const struct vblk_request *request, u8 status)
{
	struct vblk_stats *stats = &request->vq->stats;

	stats->requests[request->type]++;
	if (status == VIRTIO_BLK_S_UNSUPP)
		stats->unsupported++;
	else if (status != VIRTIO_BLK_S_OK)
		stats->errors++;
	else if (request->type == VBLK_TYPE_IN)
		stats->bytes_in += request->bytes;
	else if (request->type == VBLK_TYPE_OUT)
		stats->bytes_out += request->bytes;
}

static const char *state_of(const struct vblk_vq *vq)
{
	if (!READ_ONCE(vq->running))
		return "stopped";
	return vq->broken ? "broken" : "running";
}

static void show_counters(struct seq_file *seq, const struct vblk_stats *stats)
{
	unsigned int i;

	for (i = 0; i < VBLK_NR_TYPES; i++)
		seq_printf(seq, "requests_%s %llu\n", type_names[i], stats->requests[i]);
	seq_printf(seq, "bytes_in %llu\nbytes_out %llu\n", stats->bytes_in, stats->bytes_out);
	seq_printf(seq, "errors %llu\nunsupported %llu\n", stats->errors, stats->unsupported);
	seq_printf(seq, "max_in_flight %u\n", stats->max_in_flight);
	seq_printf(seq, "signals %llu\nsignals_suppressed %llu\n", stats->signals, stats->signals_suppressed);
	seq_printf(seq, "turns %llu\nkick_turns %llu\n", stats->turns, stats->kick_turns);
	seq_printf(seq, "poll_hits %llu\npoll_misses %llu\n", stats->poll_hits, stats->poll_misses);
	/* Each line counts from its name's time on, up to the next one's. */
	for (i = 0; i < VBLK_LATENCY_BUCKETS; i++)
		seq_printf(seq, "latency_us_%lu %llu\n", i ? BIT(i - 1) : 0, stats->latency[i]);
}

static int vq_show(struct seq_file *seq, void *unused)
{
	struct vblk_vq *vq = seq->private;
	const struct vblk_worker *worker;
	const char *reason;

	if (mutex_lock_interruptible(&vq->lock))
		return -ERESTARTSYS;
	seq_printf(seq, "state %s\n", state_of(vq));
	reason = READ_ONCE(vq->vring.reason);
	if (reason)
		seq_printf(seq, "reason %s\n", reason);
	worker = rcu_dereference_protected(vq->worker, lockdep_is_held(&vq->lock));
	if (worker)
		seq_printf(seq, "worker %u\nworker_pid %d\n", worker->id, task_pid_nr(worker->task));
	seq_printf(seq, "busyloop_us %u\n", vblk_poll_get(&vq->poll));
	seq_printf(seq, "kicks %llu\nin_flight %u\n", READ_ONCE(vq->kicks), vq->in_flight);
	show_counters(seq, &vq->stats);
	mutex_unlock(&vq->lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(vq);

void vblk_stats_show(struct vblk_dev *dev)
{
	char name[32];

	snprintf(name, sizeof(name), "%d-%u", dev->owner_pid, (unsigned int)atomic_inc_return(&devices));
	dev->debugfs = debugfs_create_dir(name, folder);
}

void vblk_stats_show_vq(struct vblk_vq *vq)
{
	char name[16];

	if (vq->shown)
		return;
	vq->shown = true;
	snprintf(name, sizeof(name), "vq%u", vq->index);
	debugfs_create_file(name, 0400, vq->dev->debugfs, vq, &vq_fops);
}

void vblk_stats_hide(struct vblk_dev *dev)
{
	unsigned int i;

	/* Waits for those who read. */
	debugfs_remove_recursive(dev->debugfs);
	dev->debugfs = NULL;
	for (i = 0; i < VHOST_BLK_MAX_VQS; i++)
		dev->vqs[i].shown = false;
}

void vblk_stats_init(void)
{
	folder = debugfs_create_dir("vhost_blk", NULL);
}

void vblk_stats_exit(void)
{
	debugfs_remove_recursive(folder);
}
