// SPDX-License-Identifier: GPL-2.0-only
/* Kicks that the thread which kicks serves by itself, and those that it leaves to the worker. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "counters.h"
#include "hostile.h"
#include "kicker.h"
#include "known.h"
#include "owner.h"
#include "suite.h"

#define MAX_AT_ONCE 8u

/* A thread that is kept from its way back to user mode for long is not relied on for a second. */
#define REST_US 1100000u

/* How long the disk's only tag is taken. */
#define BUSY_US 50000

/* On a busy machine threads come late at times. */
#define TRIES 20u

static void must_be(const char *what, unsigned long long saw, unsigned long long wanted)
{
	if (saw != wanted)
		fail("%s: expected %llu, saw %llu", what, wanted, saw);
}

/* Makes @count reads of @bytes available at once and kicks once, with @kick. */
static void read_at_once(struct guest *guest, struct request *requests, unsigned count, void (*kick)(struct ring *))
{
	struct ring *ring = &guest->ring[0];
	unsigned answered = 0;

	for (unsigned i = 0; i < count; i++) {
		request_aim(&requests[i], &guest->memory, 8 * i);
		request_add(&requests[i], ring, &guest->memory);
	}
	kick(ring);
	while (answered < count) {
		struct request *request;

		ring_wait(ring);
		for (; (request = request_pop(ring, &guest->memory)); answered++)
			request_expect(request, VIRTIO_BLK_S_OK);
	}
}

static void build_reads(struct guest *guest, struct request *requests, unsigned count, uint32_t bytes)
{
	for (unsigned i = 0; i < count; i++)
		request_build(&requests[i], &guest->memory,
			      &(struct request_shape){ .type = VIRTIO_BLK_T_IN, .bytes = bytes, .indirect = true });
}

/* What a round did to a virtqueue. */
static struct kicker_seen round_of(struct guest *guest, struct request *requests, unsigned at_once, unsigned times,
				   void (*kick)(struct ring *))
{
	struct kicker_seen before, after;

	kicker_look(0, &before);
	for (unsigned i = 0; i < times; i++)
		read_at_once(guest, requests, at_once, kick);
	kicker_look(0, &after);
	return (struct kicker_seen){
		.kick_turns = after.kick_turns - before.kick_turns, .turns = after.turns - before.turns,
		.requests = after.requests - before.requests,
		.worker_switches = after.worker_switches - before.worker_switches,
	};
}

/* Each of the kicks is served by its thread, and the worker is not woken. */
static void expect_by_thread(struct guest *guest, struct request *requests, unsigned at_once, unsigned times)
{
	struct kicker_seen seen;

	for (unsigned round = 0; round < TRIES; round++) {
		seen = round_of(guest, requests, at_once, times, ring_kick_always);
		must_be("requests", seen.requests, (unsigned long long)at_once * times);
		if (seen.kick_turns == times && seen.turns == times && !seen.worker_switches)
			return;
		usleep(REST_US);
	}
	fail("expected %u kicks to be served by who kicked and the worker to sleep, saw %llu of %llu turns, %llu wake-ups",
	     times, seen.kick_turns, seen.turns, seen.worker_switches);
}

static void expect_by_worker(struct guest *guest, struct request *requests, unsigned at_once, unsigned times,
			     void (*kick)(struct ring *))
{
	struct kicker_seen seen = round_of(guest, requests, at_once, times, kick);

	must_be("requests", seen.requests, (unsigned long long)at_once * times);
	must_be("turns of who kicked", seen.kick_turns, 0);
	if (!seen.worker_switches)
		fail("expected the worker to be woken, saw it sleep");
}

/* A guest of one queue on a disk that ends requests at once. */
struct at_once {
	struct nullb nullb;
	struct guest guest;
};

static void begin(struct at_once *own, const struct check_case *self, unsigned allowed)
{
	kicker_require();
	kicker_disk(&own->nullb);
	kicker_allow(allowed);
	kicker_guest(&own->guest, &self->options, own->nullb.disk.fd);
}

static void end(struct at_once *own)
{
	guest_close(&own->guest);
	nullb_destroy(&own->nullb);
}

/* count: how many the thread may start; 0: none. */
static void run_at_once(const struct disk *unused, const struct check_case *self)
{
	struct request requests[MAX_AT_ONCE];
	struct at_once own;

	(void)unused;
	begin(&own, self, self->count);
	build_reads(&own.guest, requests, MAX_AT_ONCE, 4096);
	/* The pages are there then. */
	read_at_once(&own.guest, requests, MAX_AT_ONCE, ring_kick_always);
	if (self->count) {
		expect_by_thread(&own.guest, requests, 1, 50);
		expect_by_thread(&own.guest, requests, self->count, 20);
	}
	expect_by_worker(&own.guest, requests, self->count + 1, 20, ring_kick_always);
	end(&own);
}

/* Whoever is not a thread of the owner only wakes the worker. */
static void kick_from_outside(struct ring *ring)
{
	pid_t pid = owner_fork();

	if (pid == 0) {
		ring_kick_always(ring);
		_exit(0);
	}
	owner_expect_gone(pid);
}

static void run_from_outside(const struct disk *unused, const struct check_case *self)
{
	struct request request;
	struct at_once own;

	(void)unused;
	begin(&own, self, 1);
	build_reads(&own.guest, &request, 1, 4096);
	expect_by_worker(&own.guest, &request, 1, 10, kick_from_outside);
	expect_by_thread(&own.guest, &request, 1, 10);
	end(&own);
}

/* Requests that take longer, and other kinds, are the worker's. */
static void run_others(const struct disk *unused, const struct check_case *self)
{
	static const struct request_shape shapes[] = {
		{ .type = VIRTIO_BLK_T_FLUSH },
		{ .type = VIRTIO_BLK_T_GET_ID, .bytes = VIRTIO_BLK_ID_BYTES },
		{ .type = VIRTIO_BLK_T_IN, .bytes = 65536 },
		{ .type = VIRTIO_BLK_T_IN, .bytes = 4096, .misalign = 1 },
	};
	struct kicker_seen before, after;
	struct at_once own;

	(void)unused;
	begin(&own, self, 1);
	for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		at("type %u, %u bytes", shapes[i].type, shapes[i].bytes);
		kicker_look(0, &before);
		request_once(&own.guest, &shapes[i], VIRTIO_BLK_S_OK);
		kicker_look(0, &after);
		must_be("turns of who kicked", after.kick_turns - before.kick_turns, 0);
	}
	end(&own);
}

static void unmap(void *address)
{
	uintptr_t page = (uintptr_t)address & ~4095ul;

	if (madvise((void *)page, 4096, MADV_DONTNEED))
		fail_errno("MADV_DONTNEED");
}

/* A page of ring, data or status that is not mapped at the time: the worker has it come, and nothing is lost or wrong. */
static void run_missing(const struct disk *disk, const struct check_case *self)
{
	struct request request;
	struct ring *ring;
	struct guest guest;

	kicker_require();
	kicker_allow(self->count);
	kicker_guest(&guest, &self->options, disk->fd);
	ring = &guest.ring[0];
	known_prepare(disk, &guest, &request);
	for (unsigned i = 0; i < 70; i++) {
		void *places[] = {
			ring->desc, ring->avail, ring->used, &ring->used->ring[ring->num],
			memory_at(&guest.memory, request.spans[0].gpa, 1),
			memory_at(&guest.memory, request.spans[1].gpa, 1),
			memory_at(&guest.memory, request.spans[2].gpa, 1),
		};
		uint16_t used = ring_used_idx(ring);
		char data[4096] = { 0 };

		at("place %u", i % 7);
		request_set_data(&request, &guest.memory, data, sizeof(data));
		request_aim(&request, &guest.memory, KNOWN_SECTOR);
		request_add(&request, ring, &guest.memory);
		unmap(places[i % 7]);
		ring_kick_always(ring);
		ring_wait(ring);
		if (request_pop(ring, &guest.memory) != &request)
			fail("expected the request, saw another thing");
		must_be("used index", (uint16_t)(ring_used_idx(ring) - used), 1);
		known_expect(&guest, &request);
	}
	guest_close(&guest);
}

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Returns how long the kick took. */
static int64_t timed_read(struct guest *guest, struct request *request)
{
	char data[4096] = { 0 };
	int64_t took;

	request_set_data(request, &guest->memory, data, sizeof(data));
	request_aim(request, &guest->memory, KNOWN_SECTOR);
	request_add(request, &guest->ring[0], &guest->memory);
	took = now_us();
	ring_kick_always(&guest->ring[0]);
	took = now_us() - took;
	ring_wait(&guest->ring[0]);
	if (request_pop(&guest->ring[0], &guest->memory) != request)
		fail("expected the request, saw another thing");
	known_expect(guest, request);
	return took;
}

/* The only tag of the disk is taken by another queue's request: the thread that kicks does not wait for it. */
static void run_would_block(const struct disk *unused, const struct check_case *self)
{
	struct request busy, request;
	struct kicker_seen before, after;
	int64_t shortest = INT64_MAX;
	struct nullb nullb;
	struct guest guest;
	uint32_t len;

	(void)unused;
	kicker_require();
	nullb_create(&nullb, "irqmode=2 completion_nsec=50000000 hw_queue_depth=1 submit_queues=1");
	kicker_allow(1);
	kicker_guest(&guest, &self->options, nullb.disk.fd);
	known_prepare(&nullb.disk, &guest, &request);
	build_reads(&guest, &busy, 1, 4096);
	known_read(&guest, &request, 0);
	for (unsigned i = 0; i < self->count; i++) {
		int64_t took;

		usleep(REST_US);
		kicker_look(0, &before);
		request_add(&busy, &guest.ring[1], &guest.memory);
		ring_kick_always(&guest.ring[1]);
		took = timed_read(&guest, &request);
		shortest = took < shortest ? took : shortest;
		ring_wait(&guest.ring[1]);
		if (!ring_pop(&guest.ring[1], &len))
			fail("expected the other queue's request, saw none");
		kicker_look(0, &after);
		must_be("requests", after.requests - before.requests, 1);
	}
	note("the shortest kick took %lld us", (long long)shortest);
	if (shortest > BUSY_US / 2)
		fail("expected a kick not to wait for the disk, saw %lld us", (long long)shortest);
	guest_close(&guest);
	nullb_destroy(&nullb);
}

static void run_broken(const struct disk *disk, const struct check_case *self)
{
	struct request request;
	struct counters counters;
	struct guest guest;
	char reason[80];

	kicker_require();
	kicker_allow(4);
	kicker_guest(&guest, &self->options, disk->fd);
	known_prepare(disk, &guest, &request);
	known_read(&guest, &request, 0);
	known_read(&guest, &request, 0);
	guest.ring[0].avail->ring[2] = 0xffff;
	ring_publish(&guest.ring[0], (uint16_t)(guest.ring[0].avail_idx + 1));
	ring_kick_always(&guest.ring[0]);
	if (hostile_expect_answer(&guest.ring[0]) != RING_BROKEN)
		fail("expected the error eventfd for a head that can not be, saw a used element");
	counters_read(0, &counters);
	counters_word(&counters, "reason", reason, sizeof(reason));
	if (!strstr(reason, "head"))
		fail("expected a reason that tells of the head, saw \"%s\"", reason);
	/* A kick of a ring that is broken. */
	ring_kick_always(&guest.ring[0]);
	guest_close(&guest);
	hostile_expect_good_device(disk);
}

void suite_add_kick(struct suite *suite)
{
	unsigned first = suite->count;
	struct check_case *added;

	for (unsigned event_idx = 0; event_idx < 2; event_idx++) {
		static const char *const rings[] = { "", ", event_idx" };
		static const unsigned allowed[] = { 0, 1, 4 };

		for (unsigned i = 0; i < 3; i++) {
			added = suite_add(suite, GROUP_FULL, run_at_once, "kick: %u requests served by the thread, more not%s",
					  allowed[i], rings[event_idx]);
			added->count = allowed[i];
			added->options.event_idx = event_idx;
		}
	}
	suite_add(suite, GROUP_FULL, run_from_outside, "kick: by another process");
	suite_add(suite, GROUP_FULL, run_others, "kick: requests that are the worker's");
	suite_set_row(suite, first, ROW_TUNE);
	first = suite->count;
	added = suite_add(suite, GROUP_FULL, run_missing, "kick: pages that are not there");
	added->count = 4;
	added->options.event_idx = true;
	added = suite_add(suite, GROUP_FULL, run_would_block, "kick: the disk would have to be waited for");
	added->count = 3;
	added->options.queues = 2;
	suite_add(suite, GROUP_HOSTILE | GROUP_FULL, run_broken, "kick: the ring is broken");
	suite_set_row(suite, first, ROW_SAFETY);
}
