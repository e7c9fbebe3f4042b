// SPDX-License-Identifier: GPL-2.0-only
/* The vhost-user-blk export of qemu-storage-daemon, driven by the same guest as the module. */
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <stdlib.h>
#include <unistd.h>

#include "client.h"
#include "engine.h"
#include "report.h"
#include "storage_daemon.h"
#include "vhost_user.h"

struct vhost_user_blk {
	struct storage_daemon daemon;
	int fd;
	struct memory memory;
	struct ring ring[MAX_QUEUES];
	struct client client[MAX_QUEUES];
};

static void *vhost_user_blk_open(const struct job *job)
{
	uint64_t features = 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC |
			    1ull << VIRTIO_BLK_F_FLUSH | 1ull << VIRTIO_BLK_F_MQ;
	struct vhost_user_blk *own = calloc(1, sizeof(*own));
	uint64_t agreed;

	if (!own)
		fail("out of memory");
	if (!job->no_event_idx)
		features |= 1ull << VIRTIO_RING_F_EVENT_IDX;
	own->fd = storage_daemon_start(&own->daemon, job);
	memory_create(&own->memory);
	agreed = vhost_user_begin(own->fd, features);
	if (features & ~agreed)
		fail("vhost-user: expected features %#llx, saw only %#llx", (unsigned long long)features,
		     (unsigned long long)agreed);
	vhost_user_set_memory(own->fd, &own->memory);
	for (unsigned i = 0; i < job->queues; i++) {
		ring_create(&own->ring[i], &own->memory, i, client_ring_num(job), 0, !job->no_event_idx);
		client_create(&own->client[i], CLIENT_BLK, job, &own->memory, &own->ring[i]);
		vhost_user_start_ring(own->fd, &own->ring[i]);
	}
	vhost_user_sync(own->fd);
	return own;
}

static void vhost_user_blk_run(struct lane *lane)
{
	struct vhost_user_blk *own = lane->state;

	client_run(&own->client[lane->index], lane);
}

static void vhost_user_blk_close(void *state)
{
	struct vhost_user_blk *own = state;

	close(own->fd);
	storage_daemon_stop(&own->daemon);
	memory_destroy(&own->memory);
	free(own);
}

const struct engine engine_vhost_user_blk = {
	"vhost-user-blk", "qemu-storage-daemon's export, driven by the same guest", vhost_user_blk_open,
	vhost_user_blk_run, vhost_user_blk_close,
};
