// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "report.h"

int open_vhost(void)
{
	int fd = open(VHOST_BLK_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fail_errno("can not open " VHOST_BLK_DEVICE);
	return fd;
}

void guest_open(struct guest *guest)
{
	memset(guest, 0, sizeof(*guest));
	guest->vhost = open_vhost();
	if (ioctl(guest->vhost, VHOST_SET_OWNER))
		fail_errno("VHOST_SET_OWNER");
}

void guest_create(struct guest *guest, const struct guest_options *options)
{
	uint64_t offered;
	unsigned num = options->num ? options->num : 256;

	guest_open(guest);
	guest->queues = options->queues ? options->queues : 1;
	guest->features = 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC;
	guest->features |= options->features;
	if (!options->no_flush)
		guest->features |= 1ull << VIRTIO_BLK_F_FLUSH;
	if (guest->queues > 1)
		guest->features |= 1ull << VIRTIO_BLK_F_MQ;
	if (options->event_idx)
		guest->features |= 1ull << VIRTIO_RING_F_EVENT_IDX;
	guest->features |= options->features;
	if (ioctl(guest->vhost, VHOST_GET_FEATURES, &offered))
		fail_errno("VHOST_GET_FEATURES");
	guest->features |= options->wants & offered;
	if (guest->features & ~offered)
		fail("expected features %#llx, saw %#llx offered", (unsigned long long)guest->features,
		     (unsigned long long)offered);
	if (ioctl(guest->vhost, VHOST_SET_FEATURES, &guest->features))
		fail_errno("VHOST_SET_FEATURES %#llx", (unsigned long long)guest->features);
	memory_create(&guest->memory);
	if (memory_register(&guest->memory, guest->vhost))
		fail_errno("VHOST_SET_MEM_TABLE");
	for (unsigned i = 0; i < guest->queues; i++) {
		ring_create(&guest->ring[i], &guest->memory, i, num, options->base, options->event_idx);
		if (ring_register(&guest->ring[i], guest->vhost))
			fail_errno("queue %u can not be set up", i);
	}
}

void guest_adopt(struct guest *guest)
{
	guest->vhost = open_vhost();
	if (ioctl(guest->vhost, VHOST_SET_OWNER))
		fail_errno("VHOST_SET_OWNER");
	if (ioctl(guest->vhost, VHOST_SET_FEATURES, &guest->features))
		fail_errno("VHOST_SET_FEATURES %#llx", (unsigned long long)guest->features);
	if (memory_register(&guest->memory, guest->vhost))
		fail_errno("VHOST_SET_MEM_TABLE");
	for (unsigned i = 0; i < guest->queues; i++) {
		if (ring_register(&guest->ring[i], guest->vhost))
			fail_errno("queue %u can not be set up", i);
		guest_set_base(guest, i, ring_used_idx(&guest->ring[i]));
	}
}

int guest_set_backend(const struct guest *guest, unsigned queue, int fd)
{
	struct vhost_vring_file backend = { queue, fd };

	return ioctl(guest->vhost, VHOST_BLK_SET_BACKEND, &backend);
}

void guest_attach(const struct guest *guest, int fd)
{
	for (unsigned i = 0; i < guest->queues; i++)
		if (guest_set_backend(guest, i, fd))
			fail_errno("VHOST_BLK_SET_BACKEND of queue %u", i);
}

void guest_detach(const struct guest *guest)
{
	if (guest_set_backend(guest, VHOST_BLK_ALL_VQS, -1))
		fail_errno("VHOST_BLK_SET_BACKEND of all queues to -1");
}

uint16_t guest_stop_queue(const struct guest *guest, unsigned queue)
{
	struct vhost_vring_state state = { queue, 0 };

	if (ioctl(guest->vhost, VHOST_GET_VRING_BASE, &state))
		fail_errno("VHOST_GET_VRING_BASE of queue %u", queue);
	return (uint16_t)state.num;
}

void guest_set_base(const struct guest *guest, unsigned queue, uint16_t base)
{
	struct vhost_vring_state state = { queue, base };

	if (ioctl(guest->vhost, VHOST_SET_VRING_BASE, &state))
		fail_errno("VHOST_SET_VRING_BASE %u of queue %u", base, queue);
}

void guest_limits(const struct guest *guest, int fd, struct vhost_blk_limits *limits)
{
	memset(limits, 0, sizeof(*limits));
	limits->size = sizeof(*limits);
	limits->fd = fd;
	if (!ioctl(guest->vhost, VHOST_BLK_GET_LIMITS, limits))
		return;
	if (errno != ENOTTY)
		fail_errno("VHOST_BLK_GET_LIMITS");
	memset(limits, 0, sizeof(*limits));
}

int guest_spread(const struct guest *guest, unsigned workers)
{
	unsigned id[GUEST_MAX_QUEUES];

	for (unsigned i = 0; i < workers; i++) {
		struct vhost_worker_state worker = { 0 };

		if (ioctl(guest->vhost, VHOST_NEW_WORKER, &worker))
			return -1;
		id[i] = worker.worker_id;
	}
	for (unsigned i = 0; i < guest->queues; i++) {
		struct vhost_vring_worker attach = { i, id[i % workers] };

		if (ioctl(guest->vhost, VHOST_ATTACH_VRING_WORKER, &attach))
			return -1;
	}
	return 0;
}

void guest_close(struct guest *guest)
{
	close(guest->vhost);
	memory_expect_untouched(&guest->memory);
	for (unsigned i = 0; i < guest->queues; i++)
		ring_destroy(&guest->ring[i]);
	memory_destroy(&guest->memory);
}
