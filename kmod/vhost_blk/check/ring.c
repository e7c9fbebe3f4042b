// SPDX-License-Identifier: GPL-2.0-only
#include "ring.h"

#include <endian.h>
#include <errno.h>
#include <linux/vhost.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

static int make_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		fail_errno("eventfd");
	return fd;
}

static void *allocate(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory)
		fail("out of memory");
	return memory;
}

void ring_create(struct ring *ring, struct memory *memory, unsigned index, unsigned num, uint16_t base,
		 bool event_idx)
{
	size_t desc_bytes = num * sizeof(struct vring_desc);
	size_t avail_bytes = (3 + num) * sizeof(uint16_t);
	size_t used_bytes = 3 * sizeof(uint16_t) + num * sizeof(struct vring_used_elem);

	memset(ring, 0, sizeof(*ring));
	ring->index = index;
	ring->num = num;
	ring->event_idx = event_idx;
	ring->desc = memory_at(memory, memory_ring(memory, desc_bytes, 16), desc_bytes);
	ring->avail = memory_at(memory, memory_ring(memory, avail_bytes, 2), avail_bytes);
	ring->used = memory_at(memory, memory_ring(memory, used_bytes, 4), used_bytes);
	ring->next_free = allocate(num, sizeof(*ring->next_free));
	ring->chain_last = allocate(num, sizeof(*ring->chain_last));
	ring->token = allocate(num, sizeof(*ring->token));
	ring->kick = make_eventfd();
	ring->call = make_eventfd();
	ring->error = make_eventfd();
	ring_restart(ring, base);
}

void ring_restart(struct ring *ring, uint16_t base)
{
	for (unsigned i = 0; i < ring->num; i++)
		ring->next_free[i] = (uint16_t)(i + 1);
	memset(ring->token, 0, ring->num * sizeof(*ring->token));
	ring->free_head = 0;
	ring->free_count = ring->num;
	ring->avail_idx = ring->notified_idx = ring->last_used = base;
	ring->avail->flags = 0;
	ring->avail->idx = htole16(base);
	ring->avail->ring[ring->num] = htole16(base);
	ring->used->flags = 0;
	ring->used->idx = htole16(base);
}

int ring_register_addresses(const struct ring *ring, int vhost)
{
	struct vhost_vring_addr addresses = {
		.index = ring->index,
		.desc_user_addr = (uintptr_t)ring->desc,
		.avail_user_addr = (uintptr_t)ring->avail,
		.used_user_addr = (uintptr_t)ring->used,
	};

	return ioctl(vhost, VHOST_SET_VRING_ADDR, &addresses);
}

int ring_register(const struct ring *ring, int vhost)
{
	struct vhost_vring_state num = { ring->index, ring->num };
	struct vhost_vring_state base = { ring->index, ring->avail_idx };
	struct vhost_vring_file kick = { ring->index, ring->kick };
	struct vhost_vring_file call = { ring->index, ring->call };
	struct vhost_vring_file error = { ring->index, ring->error };

	if (ioctl(vhost, VHOST_SET_VRING_NUM, &num) || ioctl(vhost, VHOST_SET_VRING_BASE, &base) ||
	    ring_register_addresses(ring, vhost) || ioctl(vhost, VHOST_SET_VRING_KICK, &kick) ||
	    ioctl(vhost, VHOST_SET_VRING_CALL, &call) || ioctl(vhost, VHOST_SET_VRING_ERR, &error))
		return -1;
	return 0;
}

static void write_chain(struct vring_desc *at, const uint16_t *slots, const struct span *spans,
			unsigned readable, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct vring_desc *desc = &at[slots ? slots[i] : i];
		uint16_t flags = 0;

		if (i >= readable)
			flags |= VRING_DESC_F_WRITE;
		if (i + 1 < count)
			flags |= VRING_DESC_F_NEXT;
		desc->addr = htole64(spans[i].gpa);
		desc->len = htole32(spans[i].len);
		desc->flags = htole16(flags);
		desc->next = htole16(i + 1 < count ? (slots ? slots[i + 1] : (uint16_t)(i + 1)) : 0);
	}
}

uint16_t ring_add(struct ring *ring, const struct memory *memory, const struct span *spans, unsigned readable,
		  unsigned writable, uint64_t table, void *token)
{
	unsigned count = readable + writable, slots_needed = table ? 1 : count;
	uint16_t *slots = allocate(slots_needed, sizeof(*slots));
	uint16_t head;

	if (slots_needed > ring->free_count)
		fail("the check itself is wrong: chain of %u descriptors, %u free", slots_needed, ring->free_count);
	for (unsigned i = 0; i < slots_needed; i++) {
		slots[i] = ring->free_head;
		ring->free_head = ring->next_free[ring->free_head];
	}
	ring->free_count -= slots_needed;
	if (table) {
		struct span whole = { table, count * (uint32_t)sizeof(struct vring_desc) };

		write_chain(memory_at(memory, table, whole.len), NULL, spans, readable, count);
		write_chain(ring->desc, slots, &whole, 1, 1);
		ring->desc[slots[0]].flags = htole16(VRING_DESC_F_INDIRECT);
	} else {
		write_chain(ring->desc, slots, spans, readable, count);
	}
	head = slots[0];
	ring->chain_last[head] = slots[slots_needed - 1];
	ring->token[head] = token;
	ring->avail->ring[ring->avail_idx & (ring->num - 1)] = htole16(head);
	ring_publish(ring, (uint16_t)(ring->avail_idx + 1));
	free(slots);
	return head;
}

void ring_publish(struct ring *ring, uint16_t avail_idx)
{
	ring->avail_idx = avail_idx;
	__atomic_store_n(&ring->avail->idx, htole16(avail_idx), __ATOMIC_RELEASE);
}

void ring_kick_always(struct ring *ring)
{
	uint64_t one = 1;

	if (write(ring->kick, &one, sizeof(one)) != (ssize_t)sizeof(one))
		fail_errno("can not kick");
	ring->kicks++;
}

void ring_kick(struct ring *ring)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (ring->event_idx) {
		const uint16_t *event = (const uint16_t *)&ring->used->ring[ring->num];
		uint16_t wanted = le16toh(__atomic_load_n(event, __ATOMIC_RELAXED));

		uint16_t before = ring->notified_idx;

		/* The device asked to hear when entry @wanted is made available; a batch may have passed it. */
		ring->notified_idx = ring->avail_idx;
		if (!vring_need_event(wanted, ring->avail_idx, before))
			return;
	} else if (le16toh(__atomic_load_n(&ring->used->flags, __ATOMIC_RELAXED)) & VRING_USED_F_NO_NOTIFY) {
		return;
	}
	ring_kick_always(ring);
}

uint16_t ring_used_idx(const struct ring *ring)
{
	return le16toh(__atomic_load_n(&ring->used->idx, __ATOMIC_ACQUIRE));
}

unsigned ring_in_flight(const struct ring *ring)
{
	return (uint16_t)(ring->avail_idx - ring->last_used);
}

void *ring_pop(struct ring *ring, uint32_t *len)
{
	uint16_t used_idx = ring_used_idx(ring);
	const struct vring_used_elem *element;
	uint32_t head;
	void *token;

	if (used_idx == ring->last_used)
		return NULL;
	if ((uint16_t)(used_idx - ring->last_used) > ring_in_flight(ring))
		fail("queue %u: expected at most %u completions, saw used index %u after %u", ring->index,
		     ring_in_flight(ring), used_idx, ring->last_used);
	element = &ring->used->ring[ring->last_used & (ring->num - 1)];
	head = le32toh(element->id);
	if (head >= ring->num || !ring->token[head])
		fail("queue %u: expected a head in flight, saw used element with id %u", ring->index, head);
	*len = le32toh(element->len);
	token = ring->token[head];
	ring->token[head] = NULL;
	for (uint16_t slot = (uint16_t)head;; slot = ring->next_free[slot]) {
		ring->free_count++;
		if (slot == ring->chain_last[head])
			break;
	}
	ring->next_free[ring->chain_last[head]] = ring->free_head;
	ring->free_head = (uint16_t)head;
	ring->last_used++;
	return token;
}

static void drain(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		fail_errno("can not read an eventfd");
}

/* Asks for a signal at the next used element. Returns whether one is there already. */
static bool arm(struct ring *ring)
{
	uint16_t *used_event = &ring->avail->ring[ring->num];

	__atomic_store_n(used_event, htole16(ring->last_used), __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return ring_used_idx(ring) != ring->last_used;
}

void ring_wait(struct ring *ring)
{
	struct pollfd fds[2] = { { .fd = ring->call, .events = POLLIN }, { .fd = ring->error, .events = POLLIN } };

	while (!arm(ring)) {
		int ready = poll(fds, 2, COMPLETION_MS);

		if (ready < 0 && errno != EINTR)
			fail_errno("poll");
		if (ready == 0 && ring_used_idx(ring) != ring->last_used)
			fail("queue %u: expected a signal, saw a used element and none in %d s", ring->index,
			     COMPLETION_MS / 1000);
		if (ready == 0)
			fail("queue %u: expected a completion, saw none in %d s (%u in flight)", ring->index,
			     COMPLETION_MS / 1000, ring_in_flight(ring));
		if (fds[1].revents & POLLIN)
			fail("queue %u: expected a completion, saw the error eventfd (device stopped the ring)",
			     ring->index);
		if (fds[0].revents & POLLIN) {
			drain(ring->call);
			ring->signals++;
		}
	}
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

enum ring_event ring_answer(struct ring *ring, int timeout_ms)
{
	struct pollfd fds[2] = { { .fd = ring->call, .events = POLLIN }, { .fd = ring->error, .events = POLLIN } };
	int64_t end = now_ms() + timeout_ms;

	for (;;) {
		int64_t left = end - now_ms();

		if (arm(ring))
			return RING_USED;
		if (poll(fds, 2, left > 0 ? (int)left : 0) < 0 && errno != EINTR)
			fail_errno("poll");
		if (fds[1].revents & POLLIN)
			return RING_BROKEN;
		if (fds[0].revents & POLLIN)
			drain(ring->call);
		else if (left <= 0)
			return ring_used_idx(ring) != ring->last_used ? RING_USED : RING_NOTHING;
	}
}

void ring_wait_first(const struct ring *ring)
{
	int64_t end = now_ms() + COMPLETION_MS;

	while (ring_used_idx(ring) == ring->last_used) {
		if (now_ms() > end)
			fail("queue %u: expected a completion, saw none in %d s", ring->index, COMPLETION_MS / 1000);
		nanosleep(&(struct timespec){ 0, 50000 }, NULL);
	}
}

void ring_destroy(struct ring *ring)
{
	close(ring->kick);
	close(ring->call);
	close(ring->error);
	free(ring->next_free);
	free(ring->chain_last);
	free(ring->token);
}
