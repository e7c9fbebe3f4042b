// SPDX-License-Identifier: GPL-2.0-only
#include "frontend.h"

#include <errno.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "descriptors.h"
#include "report.h"

#define BIT(n) (1ull << (n))
#define WAIT_MS 20

bool frontend_send(int fd, uint32_t request, uint32_t flags, const void *payload, uint32_t size, const int *fds,
		   unsigned int nr_fds)
{
	struct vu_header header = { request, VU_VERSION | flags, size };
	struct iovec iov[2] = { { &header, sizeof(header) }, { (void *)(uintptr_t)payload, size } };

	return descriptors_send(fd, iov, 2, fds, nr_fds);
}

/* The bridge is gone, or may go at any time; whoever uses the connection starts anew. */
static bool lost(struct frontend *frontend)
{
	if (frontend->fd >= 0)
		close(frontend->fd);
	frontend->fd = -1;
	return false;
}

static bool receive(struct frontend *frontend, uint32_t request, void *payload, uint32_t room, uint32_t *size)
{
	struct vu_header header;

	if (recv(frontend->fd, &header, sizeof(header), MSG_WAITALL) != sizeof(header))
		return lost(frontend);
	if (header.request != request || header.flags != (VU_VERSION | VU_FLAG_REPLY) || header.size > room)
		fail("message %u was answered by %u, flags %#x, %u bytes", request, header.request, header.flags,
		     header.size);
	if (header.size && recv(frontend->fd, payload, header.size, MSG_WAITALL) != (ssize_t)header.size)
		return lost(frontend);
	*size = header.size;
	return true;
}

uint32_t frontend_ask(struct frontend *frontend, uint32_t request, const void *payload, uint32_t size, void *answer,
		      uint32_t room)
{
	uint32_t got = 0;

	if (frontend->fd < 0 || !frontend_send(frontend->fd, request, 0, payload, size, NULL, 0))
		lost(frontend);
	else
		receive(frontend, request, answer, room, &got);
	return got;
}

uint64_t frontend_ask_value(struct frontend *frontend, uint32_t request)
{
	uint64_t value = 0;

	frontend_ask(frontend, request, NULL, 0, &value, sizeof(value));
	return value;
}

uint64_t frontend_tell(struct frontend *frontend, uint32_t request, const void *payload, uint32_t size, const int *fds,
		       unsigned int nr_fds)
{
	uint64_t result = 0;
	uint32_t got;

	if (frontend->fd < 0 || !frontend_send(frontend->fd, request, VU_FLAG_NEED_REPLY, payload, size, fds, nr_fds))
		lost(frontend);
	else
		receive(frontend, request, &result, sizeof(result), &got);
	return result;
}

static void must(struct frontend *frontend, uint32_t request, const void *payload, uint32_t size, const int *fds,
		 unsigned int nr_fds)
{
	if (frontend_tell(frontend, request, payload, size, fds, nr_fds))
		fail("the bridge refused message %u", request);
}

static void must_value(struct frontend *frontend, uint32_t request, uint64_t value, int fd)
{
	must(frontend, request, &value, sizeof(value), &fd, fd >= 0);
}

static void must_state(struct frontend *frontend, uint32_t request, unsigned int index, unsigned int num)
{
	struct vhost_vring_state state = { index, num };

	must(frontend, request, &state, sizeof(state), NULL, 0);
}

struct vu_region frontend_region(const struct frontend *frontend, unsigned int number)
{
	uint64_t bytes = GUEST_BYTES / frontend->regions, at = number * bytes;

	return (struct vu_region){ at, bytes, frontend->uaddr + at, at };
}

static void give_memory(struct guest *guest)
{
	struct frontend *frontend = guest->own;

	for (unsigned int i = 0; i < frontend->regions; i++) {
		struct vu_one_region one = { 0, frontend_region(frontend, i) };

		must(frontend, VU_ADD_MEM_REG, &one, sizeof(one), &guest->memory_fd, 1);
	}
}

void frontend_start_ring(struct guest *guest, unsigned int index, unsigned int base, uint32_t flags)
{
	struct frontend *frontend = guest->own;
	struct queue *queue = &guest->queue[index];
	struct vhost_vring_addr addr = {
		.index = index,
		.flags = flags,
		.desc_user_addr = frontend->uaddr + queue->desc,
		.avail_user_addr = frontend->uaddr + queue->avail,
		.used_user_addr = frontend->uaddr + queue->used,
		.log_guest_addr = queue->used,
	};

	must_state(frontend, VU_SET_VRING_NUM, index, GUEST_ENTRIES);
	must_state(frontend, VU_SET_VRING_BASE, index, base);
	must(frontend, VU_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0);
	must_value(frontend, VU_SET_VRING_CALL, index, frontend->call[index]);
	must_value(frontend, VU_SET_VRING_KICK, index, frontend->kick[index]);
	must_state(frontend, VU_SET_VRING_ENABLE, index, 1);
}

static uint16_t used_idx(const struct guest *guest, unsigned int index)
{
	const struct vring_used *used = (const void *)(guest->memory + guest->queue[index].used);

	return __atomic_load_n(&used->idx, __ATOMIC_ACQUIRE);
}

static void connect_to(struct frontend *frontend)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	long long end = now_ms() + GUEST_PATIENCE_MS;

	strncpy(address.sun_path, frontend->socket, sizeof(address.sun_path) - 1);
	while (frontend->fd < 0) {
		frontend->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (!connect(frontend->fd, (struct sockaddr *)&address, sizeof(address)))
			return;
		lost(frontend);
		if (now_ms() > end)
			fail_errno("nobody listens at %s", frontend->socket);
		sleep_ms(2);
	}
}

static void open_backend_channel(struct frontend *frontend)
{
	int pair[2];

	if (frontend->backend_fd >= 0)
		close(frontend->backend_fd);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		fail_errno("socketpair");
	must(frontend, VU_SET_BACKEND_REQ_FD, NULL, 0, &pair[1], 1);
	close(pair[1]);
	frontend->backend_fd = pair[0];
}

/* What a frontend says before any ring; a bridge that is killed meanwhile is met again. */
static void shake_hands(struct guest *guest)
{
	struct frontend *frontend = guest->own;
	uint64_t wanted = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_RING_F_INDIRECT_DESC) |
			  BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_MQ) | BIT(VIRTIO_BLK_F_DISCARD) |
			  BIT(VIRTIO_BLK_F_WRITE_ZEROES) | BIT(VIRTIO_BLK_F_CONFIG_WCE) | BIT(VIRTIO_BLK_F_RO);
	uint64_t offered = frontend_ask_value(frontend, VU_GET_FEATURES), protocol;

	if (frontend->fd >= 0 && !(offered & BIT(VU_FEATURE_PROTOCOL_FEATURES)))
		fail("no protocol features are offered: %#llx", (unsigned long long)offered);
	guest->features = offered & wanted;
	protocol = frontend_ask_value(frontend, VU_GET_PROTOCOL_FEATURES);
	if (frontend->fd >= 0)
		frontend_send(frontend->fd, VU_SET_PROTOCOL_FEATURES, 0, &protocol, sizeof(protocol), NULL, 0);
	must(frontend, VU_SET_OWNER, NULL, 0, NULL, 0);
	if (frontend->fd >= 0)
		open_backend_channel(frontend);
	must_value(frontend, VU_SET_FEATURES,
		   guest->features | frontend->log_features | BIT(VU_FEATURE_PROTOCOL_FEATURES), -1);
	give_memory(guest);
}

static void start(struct guest *guest)
{
	struct frontend *frontend = guest->own;

	do {
		uint16_t base[GUEST_QUEUES];

		/* As soon as the old connection is gone: who was killed may be answering still, as QEMU meets it, too. */
		for (unsigned int i = 0; i < GUEST_QUEUES; i++)
			base[i] = used_idx(guest, i);
		connect_to(frontend);
		shake_hands(guest);
		for (unsigned int i = 0; i < GUEST_QUEUES && frontend->fd >= 0; i++)
			frontend_start_ring(guest, i, base[i], 0);
	} while (frontend->fd < 0);
}

static void kick(struct guest *guest, unsigned int index)
{
	struct frontend *frontend = guest->own;
	uint64_t one = 1;

	if (write(frontend->kick[index], &one, sizeof(one)) != sizeof(one))
		fail_errno("kick");
}

static void look(struct guest *guest)
{
	struct frontend *frontend = guest->own;
	struct pollfd gone = { .fd = frontend->fd, .events = POLLIN };
	char byte;

	if (frontend->fd >= 0 && (!poll(&gone, 1, 0) || recv(frontend->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0))
		return;
	lost(frontend);
	frontend->reconnects++;
	start(guest);
}

static bool wait_for(struct guest *guest, unsigned int index)
{
	struct frontend *frontend = guest->own;
	struct pollfd events[2] = {
		{ .fd = frontend->call[index], .events = POLLIN },
		{ .fd = frontend->fd, .events = POLLIN },
	};
	uint64_t count;

	poll(events, 2, WAIT_MS);
	look(guest);
	if (read(frontend->call[index], &count, sizeof(count)) != sizeof(count))
		return false;
	frontend->called[index] = true;
	return true;
}

static bool interrupted(struct guest *guest, unsigned int index)
{
	struct frontend *frontend = guest->own;
	uint64_t count;
	bool called;

	if (read(frontend->call[index], &count, sizeof(count)) == sizeof(count))
		frontend->called[index] = true;
	called = frontend->called[index];
	frontend->called[index] = false;
	return called;
}

static void restart(struct guest *guest)
{
	struct frontend *frontend = guest->own;

	for (unsigned int i = 0; i < GUEST_QUEUES; i++) {
		struct vhost_vring_state state = { i, 0 }, answer;

		frontend_ask(frontend, VU_GET_VRING_BASE, &state, sizeof(state), &answer, sizeof(answer));
		if (answer.index != i || answer.num != used_idx(guest, i))
			fail("queue %u ended at %u, and was answered up to %u", i, answer.num, used_idx(guest, i));
	}
	must(frontend, VU_RESET_DEVICE, NULL, 0, NULL, 0);
	guest_clear_queues(guest);
	for (unsigned int i = 0; i < GUEST_QUEUES; i++)
		frontend_start_ring(guest, i, 0, 0);
}

static void read_config(struct guest *guest, struct virtio_blk_config *config)
{
	struct vu_config part = { .size = sizeof(*config) }, answer;
	uint32_t bytes = VU_CONFIG_HEAD + part.size;

	if (frontend_ask(guest->own, VU_GET_CONFIG, &part, bytes, &answer, sizeof(answer)) != bytes)
		fail("the configuration space was not told");
	memcpy(config, answer.data, sizeof(*config));
}

static const struct transport transport = { kick, wait_for, restart, interrupted, read_config, look, NULL };

void frontend_open(struct guest *guest, struct frontend *frontend, const char *socket)
{
	*frontend = (struct frontend){ .socket = socket, .fd = -1, .backend_fd = -1, .regions = 2, .uaddr = 0x7f0000000000 };
	guest->transport = &transport;
	guest->own = frontend;
	for (unsigned int i = 0; i < GUEST_QUEUES; i++) {
		frontend->kick[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		frontend->call[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
	start(guest);
}
