// SPDX-License-Identifier: GPL-2.0-only
/* The messages about rings. */
#include "handlers.h"
#include "ring_place.h"
#include "rings.h"

/* The ring that a message names; NULL with @reason: there is none. */
static struct ring *ring_of(struct session *session, uint64_t index, struct reason *reason)
{
	if (index < session->bridge->options.queues)
		return &session->ring[index];
	refuse(reason, "queue %llu of %u", (unsigned long long)index, session->bridge->options.queues);
	return NULL;
}

int set_vring_num(struct session *session, struct message *message, struct reason *reason)
{
	unsigned int num = message->payload.state.num;
	struct ring *ring = ring_of(session, message->payload.state.index, reason);

	if (!ring)
		return -1;
	if (ring->running)
		return refuse(reason, "queue %u runs", message->payload.state.index);
	if (!num || num > VHOST_BLK_MAX_VRING_NUM || num & (num - 1))
		return refuse(reason, "%u entries: expected a power of two up to %u", num, VHOST_BLK_MAX_VRING_NUM);
	ring->num = num;
	return 0;
}

int set_vring_base(struct session *session, struct message *message, struct reason *reason)
{
	const struct vhost_vring_state *state = &message->payload.state;
	struct ring *ring = ring_of(session, state->index, reason);

	if (!ring)
		return -1;
	if (ring->running)
		return refuse(reason, "queue %u runs", state->index);
	if (state->num > UINT16_MAX)
		return refuse(reason, "an index of %u", state->num);
	ring->base = state->num;
	return 0;
}

int set_vring_addr(struct session *session, struct message *message, struct reason *reason)
{
	const struct vhost_vring_addr *addr = &message->payload.addr;
	struct ring *ring = ring_of(session, addr->index, reason), was;
	struct vhost_vring_addr here;
	int error;

	if (!ring)
		return -1;
	if (addr->flags & ~(1u << VHOST_VRING_F_LOG))
		return refuse(reason, "flags %#x", addr->flags);
	if (ring_check_aligned(addr, reason))
		return -1;
	was = *ring;
	ring->addr = *addr;
	ring->placed = true;
	if (!ring->running)
		return 0;
	/* A migration begins or ends: only what is logged may be another. */
	if (addr->desc_user_addr != was.addr.desc_user_addr || addr->avail_user_addr != was.addr.avail_user_addr ||
	    addr->used_user_addr != was.addr.used_user_addr) {
		*ring = was;
		return refuse(reason, "queue %u runs elsewhere", addr->index);
	}
	if (ring_check_log(ring, addr->index, session->log_bytes, reason) ||
	    ring_locate(session, &session->memory, addr->index, &here, reason)) {
		*ring = was;
		return -1;
	}
	error = device_set_vring_addr(&session->bridge->device, &here);
	if (error)
		*ring = was;
	return error ? refuse_error(reason, error, "queue %u", addr->index) : 0;
}

int get_vring_base(struct session *session, struct message *message, struct reason *reason)
{
	struct vhost_vring_state state = { .index = message->payload.state.index };
	struct ring *ring = ring_of(session, state.index, reason);

	if (!ring)
		return -1;
	ring_close_fd(&ring->kick);
	if (ring_settle(session, state.index, reason))
		return -1;
	state.num = ring->base;
	return session_answer(session, message, &state, sizeof(state), reason);
}

/* The ring that the value of SET_VRING_KICK, _CALL, _ERR names. */
static struct ring *ring_of_value(struct session *session, const struct message *message, struct reason *reason)
{
	uint64_t value = message->payload.value;

	if (value & ~(uint64_t)(VU_VRING_INDEX_MASK | VU_VRING_NO_FD)) {
		refuse(reason, "a value of %#llx", (unsigned long long)value);
		return NULL;
	}
	return ring_of(session, value & VU_VRING_INDEX_MASK, reason);
}

/*
 * Exchanges one of a ring's eventfds; the kernel says whether it is one.
 * @place: ring->kick, ->call or ->err. @set: tells the kernel
 */
static int exchange(struct session *session, struct message *message, int *place,
		    int (*set)(struct device *, unsigned int, int), struct reason *reason)
{
	unsigned int index = message->payload.value & VU_VRING_INDEX_MASK;
	int fd = message_take_fd(message), error = set(&session->bridge->device, index, fd);

	if (error) {
		ring_close_fd(&fd);
		return refuse_error(reason, error, "what came for queue %u is no eventfd", index);
	}
	ring_close_fd(place);
	*place = fd;
	return 0;
}

int set_vring_kick(struct session *session, struct message *message, struct reason *reason)
{
	struct ring *ring = ring_of_value(session, message, reason);

	if (!ring)
		return -1;
	/* The kernel waits for kicks; it does not look at a ring for ever. */
	if (message->payload.value & VU_VRING_NO_FD)
		return refuse(reason, "a queue that is polled and never kicked is not offered");
	if (exchange(session, message, &ring->kick, device_set_vring_kick, reason))
		return -1;
	return ring_settle(session, message->payload.value & VU_VRING_INDEX_MASK, reason);
}

int set_vring_call(struct session *session, struct message *message, struct reason *reason)
{
	struct ring *ring = ring_of_value(session, message, reason);

	if (!ring || exchange(session, message, &ring->call, device_set_vring_call, reason))
		return -1;
	/* The one before may have been signalled when the frontend no longer looked at it. */
	if (ring->running)
		ring_nudge(ring);
	return 0;
}

int set_vring_err(struct session *session, struct message *message, struct reason *reason)
{
	struct ring *ring = ring_of_value(session, message, reason);

	return ring ? exchange(session, message, &ring->err, device_set_vring_err, reason) : -1;
}

int set_vring_enable(struct session *session, struct message *message, struct reason *reason)
{
	const struct vhost_vring_state *state = &message->payload.state;
	struct ring *ring = ring_of(session, state->index, reason);

	if (!ring)
		return -1;
	if (state->num > 1)
		return refuse(reason, "a value of %u", state->num);
	ring->enabled = state->num;
	return ring_settle(session, state->index, reason);
}

int reset_owner(struct session *session, struct message *message, struct reason *reason)
{
	(void)message;
	/* What the specification advises for a message that nobody should send any more: all rings are disabled. */
	for (unsigned int i = 0; i < SESSION_RINGS; i++) {
		session->ring[i].enabled = false;
		if (!session->enabling)
			ring_close_fd(&session->ring[i].kick);
	}
	return rings_settle(session, reason);
}

int reset_device(struct session *session, struct message *message, struct reason *reason)
{
	(void)message;
	session->status = 0;
	return rings_reset(session, reason);
}
