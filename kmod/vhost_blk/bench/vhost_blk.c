// SPDX-License-Identifier: GPL-2.0-only
/* The module, driven by a guest in user space. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client.h"
#include "engine.h"
#include "guest.h"
#include "report.h"

struct vhost_blk {
	struct guest guest;
	struct client client[MAX_QUEUES];
};

static void set_workers(const struct guest *guest, unsigned workers)
{
	int count = (int)workers;

	if (workers && ioctl(guest->vhost, VHOST_SET_NWORKERS, &count) && errno != ENOTTY)
		fail_errno("VHOST_SET_NWORKERS %u", workers);
}

static void set_busy_poll(const struct guest *guest, unsigned microseconds)
{
	for (unsigned i = 0; i < guest->queues; i++) {
		struct vhost_vring_state state = { i, microseconds };

		if (!ioctl(guest->vhost, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &state))
			continue;
		if (errno == ENOTTY)
			skip("the module has no busy polling");
		fail_errno("VHOST_SET_VRING_BUSYLOOP_TIMEOUT %u", microseconds);
	}
}

static struct vhost_blk *prepare(const struct job *job)
{
	struct guest_options options = {
		.queues = job->queues, .num = client_ring_num(job), .event_idx = !job->no_event_idx,
	};
	struct vhost_blk *own = calloc(1, sizeof(*own));

	if (!own)
		fail("out of memory");
	if (access(VHOST_BLK_DEVICE, F_OK))
		skip("no " VHOST_BLK_DEVICE);
	guest_create(&own->guest, &options);
	set_workers(&own->guest, job->workers);
	for (unsigned i = 0; i < job->queues; i++)
		client_create(&own->client[i], CLIENT_BLK, job, &own->guest.memory, &own->guest.ring[i]);
	return own;
}

static void start(struct vhost_blk *own, const struct job *job)
{
	int fd = open(job->device, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fail_errno("can not open %s", job->device);
	guest_attach(&own->guest, fd);
	close(fd);
}

static void *open_default(const struct job *job)
{
	struct vhost_blk *own = prepare(job);

	start(own, job);
	return own;
}

static void *open_busy_poll(const struct job *job, unsigned microseconds)
{
	struct vhost_blk *own = prepare(job);

	set_busy_poll(&own->guest, microseconds);
	start(own, job);
	return own;
}

static void *open_polling(const struct job *job)
{
	return open_busy_poll(job, job->busy_poll_us);
}

static void *open_sleeping(const struct job *job)
{
	return open_busy_poll(job, 0);
}

static void vhost_blk_run(struct lane *lane)
{
	struct vhost_blk *own = lane->state;

	client_run(&own->client[lane->index], lane);
}

static void vhost_blk_close(void *state)
{
	struct vhost_blk *own = state;

	guest_close(&own->guest);
	free(own);
}

const struct engine engine_vhost_blk = {
	"vhost-blk", "the module as it is loaded: its workers poll where that pays", open_default, vhost_blk_run,
	vhost_blk_close,
};

const struct engine engine_vhost_blk_poll = {
	"vhost-blk-poll", "the module, its workers polling for a time that is set before they sleep", open_polling,
	vhost_blk_run, vhost_blk_close,
};

const struct engine engine_vhost_blk_sleep = {
	"vhost-blk-sleep", "the module, its workers never polling", open_sleeping, vhost_blk_run, vhost_blk_close,
};
