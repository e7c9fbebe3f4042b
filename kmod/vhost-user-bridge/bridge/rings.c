// SPDX-License-Identifier: GPL-2.0-only
#include "rings.h"

#include <endian.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "dirty_log.h"
#include "handlers.h"
#include "say.h"

/* Bytes of the parts of a ring of @num entries, with the event indexes at the end (virtio 1.3, 2.7). */
static uint64_t desc_bytes(unsigned int num)
{
	return num * sizeof(struct vring_desc);
}

static uint64_t avail_bytes(unsigned int num)
{
	return offsetof(struct vring_avail, ring) + (num + 1) * sizeof(uint16_t);
}

static uint64_t used_bytes(unsigned int num)
{
	return offsetof(struct vring_used, ring) + num * sizeof(struct vring_used_elem) + sizeof(uint16_t);
}

static struct device *device_of(const struct session *session)
{
	return &session->bridge->device;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int check_aligned(const struct vhost_vring_addr *addr, struct reason *reason)
{
	if (!(addr->desc_user_addr & (VRING_DESC_ALIGN_SIZE - 1) || addr->avail_user_addr & (VRING_AVAIL_ALIGN_SIZE - 1) ||
	      addr->used_user_addr & (VRING_USED_ALIGN_SIZE - 1) || addr->log_guest_addr & (VRING_USED_ALIGN_SIZE - 1)))
		return 0;
	return refuse(reason, "queue %u is not aligned", addr->index);
}

/* Where a ring is in @memory, for the kernel. Return: 0, or -1 with @reason. */
static int locate(const struct session *session, const struct memory *memory, unsigned int index,
		  struct vhost_vring_addr *addr, struct reason *reason)
{
	const struct ring *ring = &session->ring[index];
	const char *desc = memory_at(memory, ring->addr.desc_user_addr, desc_bytes(ring->num));
	const char *avail = memory_at(memory, ring->addr.avail_user_addr, avail_bytes(ring->num));
	const char *used = memory_at(memory, ring->addr.used_user_addr, used_bytes(ring->num));

	if (!desc || !avail || !used)
		return refuse(reason, "the %s of queue %u lies outside of the guest's memory",
			      !desc ? "descriptor table" : !avail ? "available ring" : "used ring", index);
	*addr = ring->addr;
	addr->index = index;
	addr->desc_user_addr = (uintptr_t)desc;
	addr->avail_user_addr = (uintptr_t)avail;
	addr->used_user_addr = (uintptr_t)used;
	/* A region need not begin at a whole page of its file. */
	return check_aligned(addr, reason);
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

/* Whatever was answered when nobody listened: the guest looks. A frontend may have made the eventfd one that blocks. */
static void nudge(const struct ring *ring)
{
	struct pollfd room = { .fd = ring->call, .events = POLLOUT };
	uint64_t one = 1;

	if (ring->call >= 0 && poll(&room, 1, 0) == 1 && room.revents == POLLOUT)
		if (write(ring->call, &one, sizeof(one)) < 0)
			return;
}

/* Whether the log has room for the used ring. Return: 0, or -1 with @reason. */
static int check_log(const struct ring *ring, unsigned int index, uint64_t bytes, struct reason *reason)
{
	if (!(ring->addr.flags & 1u << VHOST_VRING_F_LOG) || dirty_log_covers(bytes, ring->addr.log_guest_addr,
									      used_bytes(ring->num)))
		return 0;
	return refuse(reason, "the used ring of queue %u, logged at %#llx, is not in a log of %llu bytes", index,
		      (unsigned long long)ring->addr.log_guest_addr, (unsigned long long)bytes);
}

static int start(struct session *session, unsigned int index, struct reason *reason)
{
	struct ring *ring = &session->ring[index];
	struct device *device = device_of(session);
	struct vhost_vring_addr addr;
	int error;

	if (!ring->num || !ring->placed)
		return refuse(reason, "queue %u has no size or no addresses", index);
	if (locate(session, &session->memory, index, &addr, reason) || dirty_log_check_start(session, reason) ||
	    check_log(ring, index, session->log_bytes, reason) || find_base(session, index, &addr, reason))
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
	nudge(ring);
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

/* Starts or stops the ring, as the messages so far want it. */
static int settle(struct session *session, unsigned int index, struct reason *reason)
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
		if (settle(session, i, reason))
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
	close_fd(&ring->kick);
	close_fd(&ring->call);
	close_fd(&ring->err);
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

		close_fd(&ring->kick);
		if (settle(session, i, reason))
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
		if (locate(session, memory, i, &then, reason))
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

	if (locate(session, &session->memory, index, &addr, reason))
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
		if (session->ring[i].running && check_log(&session->ring[i], i, bytes, reason))
			return -1;
	return 0;
}

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
	if (check_aligned(addr, reason))
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
	if (check_log(ring, addr->index, session->log_bytes, reason) ||
	    locate(session, &session->memory, addr->index, &here, reason)) {
		*ring = was;
		return -1;
	}
	error = device_set_vring_addr(device_of(session), &here);
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
	close_fd(&ring->kick);
	if (settle(session, state.index, reason))
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
	int fd = message_take_fd(message), error = set(device_of(session), index, fd);

	if (error) {
		close_fd(&fd);
		return refuse_error(reason, error, "what came for queue %u is no eventfd", index);
	}
	close_fd(place);
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
	return settle(session, message->payload.value & VU_VRING_INDEX_MASK, reason);
}

int set_vring_call(struct session *session, struct message *message, struct reason *reason)
{
	struct ring *ring = ring_of_value(session, message, reason);

	if (!ring || exchange(session, message, &ring->call, device_set_vring_call, reason))
		return -1;
	/* The one before may have been signalled when the frontend no longer looked at it. */
	if (ring->running)
		nudge(ring);
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
	return settle(session, state->index, reason);
}

int reset_owner(struct session *session, struct message *message, struct reason *reason)
{
	(void)message;
	/* What the specification advises for a message that nobody should send any more: all rings are disabled. */
	for (unsigned int i = 0; i < SESSION_RINGS; i++) {
		session->ring[i].enabled = false;
		if (!session->enabling)
			close_fd(&session->ring[i].kick);
	}
	return rings_settle(session, reason);
}

int reset_device(struct session *session, struct message *message, struct reason *reason)
{
	(void)message;
	session->status = 0;
	return rings_reset(session, reason);
}
