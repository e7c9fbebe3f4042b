// SPDX-License-Identifier: GPL-2.0-only
#include "rings.h"

#include <endian.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "dirty_log.h"
#include "ring_place.h"
#include "say.h"

static struct device *device_of(const struct session *session)
{
	return &session->bridge->device;
}

void ring_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/*
 * Where the ring goes on. All that was taken from it has been answered before, also when a process died over it, and so the
 * used index says it; a frontend that lost the process in the middle can not know.
 */
static int find_base(struct session *session, unsigned int index, const struct vhost_vring_addr *addr,
		     struct reason *reason)
{
	const struct vring_used *used = (const void *)(uintptr_t)addr->used_user_addr;
	struct ring *ring = &session->ring[index];
	uint16_t idx;

	if (mapping_read(&used->idx, &idx, sizeof(idx)))
		return refuse(reason, "the used ring of queue %u can not be read", index);
	idx = le16toh(idx);
	if (idx != ring->base)
		say("queue %u goes on at %u, not %u: so far it has been answered", index, idx, ring->base);
	ring->base = idx;
	return 0;
}

void ring_nudge(const struct ring *ring)
{
	struct pollfd room = { .fd = ring->call, .events = POLLOUT };
	uint64_t one = 1;

	if (ring->call >= 0 && poll(&room, 1, 0) == 1 && room.revents == POLLOUT)
		if (write(ring->call, &one, sizeof(one)) < 0)
			return;
}

static int start(struct session *session, unsigned int index, struct reason *reason)
{
	struct ring *ring = &session->ring[index];
	struct device *device = device_of(session);
	struct vhost_vring_addr addr;
	int error;

	if (!ring->num || !ring->placed)
		return refuse(reason, "queue %u has no size or no addresses", index);
	if (ring_locate(session, &session->memory, index, &addr, reason) || dirty_log_check_start(session, reason) ||
	    ring_check_log(ring, index, session->log_bytes, reason) || find_base(session, index, &addr, reason))
		return -1;
	error = device_set_vring_num(device, index, ring->num);
	if (!error)
		error = device_set_vring_base(device, index, ring->base);
	if (!error)
		error = device_set_vring_addr(device, &addr);
	if (!error)
		error = device_set_vring_call(device, index, ring->call);
	if (!error)
		error = device_set_vring_err(device, index, ring->err);
	if (!error)
		error = device_set_vring_kick(device, index, ring->kick);
	if (!error)
		error = device_start(device, index, session->bridge->disk);
	if (error)
		return refuse_error(reason, error, "queue %u can not be started", index);
	ring->running = true;
	ring->here = addr;
	ring_nudge(ring);
	/* Frontends look at the configuration only while they use the device. */
	session_tell_missed(session);
	return 0;
}

static int stop(struct session *session, unsigned int index, struct reason *reason)
{
	struct ring *ring = &session->ring[index];
	int error = device_get_vring_base(device_of(session), index, &ring->base);

	if (error)
		return refuse_error(reason, error, "queue %u can not be stopped", index);
	ring->running = false;
	return 0;
}

int ring_settle(struct session *session, unsigned int index, struct reason *reason)
{
	struct ring *ring = &session->ring[index];
	bool wanted = ring->kick >= 0 && (ring->enabled || !session->enabling);

	if (wanted == ring->running)
		return 0;
	return wanted ? start(session, index, reason) : stop(session, index, reason);
}

int rings_settle(struct session *session, struct reason *reason)
{
	for (unsigned int i = 0; i < SESSION_RINGS; i++)
		if (ring_settle(session, i, reason))
			return -1;
	return 0;
}

void rings_begin(struct session *session)
{
	for (unsigned int i = 0; i < SESSION_RINGS; i++)
		session->ring[i] = (struct ring){ .kick = -1, .call = -1, .err = -1 };
}

static void forget_fds(struct ring *ring)
{
	ring_close_fd(&ring->kick);
	ring_close_fd(&ring->call);
	ring_close_fd(&ring->err);
}

void rings_end(struct session *session)
{
	for (unsigned int i = 0; i < SESSION_RINGS; i++)
		forget_fds(&session->ring[i]);
	rings_begin(session);
}

bool rings_run(const struct session *session)
{
	for (unsigned int i = 0; i < SESSION_RINGS; i++)
		if (session->ring[i].running)
			return true;
	return false;
}

int rings_reset(struct session *session, struct reason *reason)
{
	for (unsigned int i = 0; i < SESSION_RINGS; i++) {
		struct ring *ring = &session->ring[i];

		ring_close_fd(&ring->kick);
		if (ring_settle(session, i, reason))
			return -1;
		/*
		 * Frontends give the eventfds once, before the guest's driver comes. QEMU 7.2 resets the device before it
		 * asks for the index that a migration takes along.
		 */
		*ring = (struct ring){ .base = ring->base, .kick = -1, .call = ring->call, .err = ring->err };
	}
	return 0;
}

int rings_check_memory(const struct session *session, const struct memory *memory, bool *move, struct reason *reason)
{
	for (unsigned int i = 0; i < SESSION_RINGS; i++) {
		const struct vhost_vring_addr *here = &session->ring[i].here;
		struct vhost_vring_addr then;

		if (!session->ring[i].running)
			continue;
		if (ring_locate(session, memory, i, &then, reason))
			return -1;
		if (then.desc_user_addr != here->desc_user_addr || then.avail_user_addr != here->avail_user_addr ||
		    then.used_user_addr != here->used_user_addr)
			*move = true;
	}
	return 0;
}

int rings_pause(struct session *session, struct reason *reason)
{
	for (unsigned int i = 0; i < SESSION_RINGS; i++) {
		int error = session->ring[i].running ? device_stop(device_of(session), i) : 0;

		if (error)
			return refuse_error(reason, error, "queue %u can not be paused", i);
	}
	return 0;
}

static int resume(struct session *session, unsigned int index, struct reason *reason)
{
	struct vhost_vring_addr addr;
	int error;

	if (ring_locate(session, &session->memory, index, &addr, reason))
		return -1;
	error = device_set_vring_addr(device_of(session), &addr);
	if (!error)
		error = device_start(device_of(session), index, session->bridge->disk);
	if (error)
		return refuse_error(reason, error, "queue %u can not go on", index);
	session->ring[index].here = addr;
	return 0;
}

int rings_resume(struct session *session, struct reason *reason)
{
	int ret = 0;

	for (unsigned int i = 0; i < SESSION_RINGS; i++) {
		if (session->ring[i].running && resume(session, i, reason)) {
			session->ring[i].running = false;
			ret = -1;
		}
	}
	return ret;
}

int rings_check_log(const struct session *session, uint64_t bytes, struct reason *reason)
{
	for (unsigned int i = 0; i < SESSION_RINGS; i++)
		if (session->ring[i].running && ring_check_log(&session->ring[i], i, bytes, reason))
			return -1;
	return 0;
}
