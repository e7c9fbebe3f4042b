// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest made by chance, right and wrong, by the ten thousand. Each round starts a ring anew: a good request must be
 * answered, then many come of which some are damaged, also by a second thread while the device looks at them. The
 * device answers them or stops the ring and says so. The owner's memory beside the guest's never changes.
 */
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "effort.h"
#include "fuzz.h"
#include "hostile.h"
#include "suite.h"

#define ENTRIES 256u
#define SLOTS 96u
#define WRECK_ONE_IN 6
/* The device has this long to go on with a ring that says nothing sensible about what there is to do. */
#define STALL_MS 4
#define LOOK_AT_CANARIES_ONE_IN 32

/* How a round is damaged: not at all, so that what is available stays known, or anyhow. */
enum damage { NONE, CONFINED, ANY };

/* What a case does beside good requests. */
enum { WRECK = 1, MUTATE = 2, IOCTLS = 4 };

struct fuzz {
	const struct disk *disk;
	struct guest guest;
	struct slots slots;
	unsigned what;
	uint64_t seed, state;
	unsigned long rounds, requests, answers, good, broken, stalled, mutations;
	/* The second thread works while @turn is odd, and tells by @seen which even one it last rested in. */
	unsigned long turn, seen;
	bool stop;
	uint64_t mutator_state;
	/* Counted by both threads. */
	unsigned long ioctls, accepted;
};

static void odd_ioctl(struct fuzz *fuzz, uint64_t *state)
{
	bool accepted = fuzz_ioctl(state, &fuzz->guest, fuzz->disk->fd);

	__atomic_fetch_add(&fuzz->ioctls, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&fuzz->accepted, accepted, __ATOMIC_RELAXED);
}

static void *mutate(void *argument)
{
	struct fuzz *fuzz = argument;

	at("seed %#llx, second thread", (unsigned long long)fuzz->seed);
	while (!__atomic_load_n(&fuzz->stop, __ATOMIC_ACQUIRE)) {
		unsigned long turn = __atomic_load_n(&fuzz->turn, __ATOMIC_ACQUIRE);

		if (turn % 2 == 0) {
			__atomic_store_n(&fuzz->seen, turn, __ATOMIC_RELEASE);
			usleep(50);
			continue;
		}
		fuzz_wreck_word(&fuzz->mutator_state, &fuzz->slots);
		fuzz->mutations++;
		if (fuzz->what & IOCTLS && !chance_below(&fuzz->mutator_state, 64))
			odd_ioctl(fuzz, &fuzz->mutator_state);
	}
	return NULL;
}

static void mutator_begin(struct fuzz *fuzz)
{
	__atomic_fetch_add(&fuzz->turn, 1, __ATOMIC_RELEASE);
}

static void mutator_end(struct fuzz *fuzz)
{
	unsigned long turn = __atomic_add_fetch(&fuzz->turn, 1, __ATOMIC_ACQ_REL);

	while (__atomic_load_n(&fuzz->seen, __ATOMIC_ACQUIRE) != turn)
		sched_yield();
}

static void empty(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		fail_errno("can not read an eventfd");
}

/* Whatever state calls by chance have left the device in, what is asked for properly must work. */
static void start(struct fuzz *fuzz)
{
	struct guest *guest = &fuzz->guest;
	struct ring *ring = &guest->ring[0];

	if (!chance_below(&fuzz->state, 8)) {
		close(guest->vhost);
		guest->vhost = open_vhost();
	}
	if (ioctl(guest->vhost, VHOST_SET_OWNER) && errno != EBUSY)
		fail_errno("VHOST_SET_OWNER");
	guest_detach(guest);
	if (fuzz->what & IOCTLS)
		for (unsigned i = chance_below(&fuzz->state, 16); i; i--)
			odd_ioctl(fuzz, &fuzz->state);
	if (ioctl(guest->vhost, VHOST_SET_OWNER) && errno != EBUSY)
		fail_errno("VHOST_SET_OWNER");
	guest_detach(guest);
	if (ioctl(guest->vhost, VHOST_SET_FEATURES, &guest->features))
		fail_errno("VHOST_SET_FEATURES");
	if (memory_register(&guest->memory, guest->vhost))
		fail_errno("VHOST_SET_MEM_TABLE");
	ring_restart(ring, (uint16_t)chance(&fuzz->state));
	empty(ring->call);
	empty(ring->error);
	if (ring_register(ring, guest->vhost))
		fail_errno("the ring can not be set up");
	guest_attach(guest, fuzz->disk->fd);
}

static void count_answer(struct fuzz *fuzz, const struct request *request)
{
	fuzz->answers++;
	fuzz->good += request->status == VIRTIO_BLK_S_OK;
	if (request->status != VIRTIO_BLK_S_OK && request->status != VIRTIO_BLK_S_IOERR &&
	    request->status != VIRTIO_BLK_S_UNSUPP)
		fail("expected status OK, IOERR or UNSUPP, saw %s", request_status_name(request->status));
}

static void good_request(struct fuzz *fuzz)
{
	struct request_shape shape = slots_shape(&fuzz->state, VIRTIO_BLK_T_IN, 4096);
	struct request *request = slots_build(&fuzz->slots, 0, &shape);

	request_aim(request, &fuzz->guest.memory, 8 * chance_below(&fuzz->state, 1024));
	request_run(request, &fuzz->guest, 0);
	request_expect(request, VIRTIO_BLK_S_OK);
	slots_release(&fuzz->slots, 0);
	fuzz->requests++;
	count_answer(fuzz, request);
}

static uint32_t any_type(uint64_t *state)
{
	static const uint32_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_OUT,
					  VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH,
					  VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES,
					  REQUEST_SECURE_ERASE };

	return types[chance_below(state, sizeof(types) / sizeof(types[0]))];
}

static uint32_t any_body(uint64_t *state, uint32_t type)
{
	switch (type) {
	case VIRTIO_BLK_T_FLUSH:
		return 0;
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
	case VIRTIO_BLK_T_GET_ID:
		return SECTOR * (1 + chance_below(state, chance_below(state, 8) ? 16 : 128));
	default:
		return sizeof(struct virtio_blk_discard_write_zeroes) * chance_below(state, 20) +
		       !chance_below(state, 20);
	}
}

/* Mostly small and on the disk: zeroing large parts of it takes its time. */
static void set_ranges(struct fuzz *fuzz, const struct request *request)
{
	uint32_t count = request->shape.bytes / sizeof(struct virtio_blk_discard_write_zeroes);
	struct virtio_blk_discard_write_zeroes ranges[20];
	uint64_t *state = &fuzz->state;

	for (unsigned i = 0; i < count; i++) {
		bool odd = !chance_below(state, 64);

		ranges[i].sector = htole64(odd ? chance(state) : chance_below(state, 65536));
		ranges[i].num_sectors = htole32(odd ? (uint32_t)chance(state) | 1u << 24 : chance_below(state, 64));
		ranges[i].flags = htole32(chance_below(state, 64) ? chance_below(state, 2) : (uint32_t)chance(state));
	}
	request_set_data(request, &fuzz->guest.memory, ranges, count * sizeof(ranges[0]));
}

/* Returns false when there is no room for more. */
static bool add_any(struct fuzz *fuzz, enum damage damage)
{
	uint32_t type = any_type(&fuzz->state);
	struct request_shape shape = slots_shape(&fuzz->state, type, any_body(&fuzz->state, type));
	struct ring *ring = &fuzz->guest.ring[0];
	int slot = slots_free(&fuzz->slots);
	struct request *request;
	uint16_t head;

	if (slot < 0)
		return false;
	request = slots_build(&fuzz->slots, (unsigned)slot, &shape);
	if ((request->table ? 1 : request->readable + request->writable) > ring->free_count) {
		slots_release(&fuzz->slots, (unsigned)slot);
		return false;
	}
	request_aim(request, &fuzz->guest.memory, chance_below(&fuzz->state, 65536));
	if (request_writes(request) && type != VIRTIO_BLK_T_OUT)
		set_ranges(fuzz, request);
	head = ring_add(ring, &fuzz->guest.memory, request->spans, request->readable, request->writable, request->table,
			request);
	fuzz->requests++;
	if (fuzz->what & WRECK && damage != NONE && !chance_below(&fuzz->state, WRECK_ONE_IN))
		fuzz_wreck_request(&fuzz->state, &fuzz->guest, request, head, damage == CONFINED);
	return true;
}

/* Nothing was damaged: each is answered, and with a status. */
static void take_all(struct fuzz *fuzz)
{
	struct ring *ring = &fuzz->guest.ring[0];
	struct request *request;

	while (ring_in_flight(ring)) {
		ring_wait(ring);
		while ((request = request_pop(ring, &fuzz->guest.memory)))
			count_answer(fuzz, request);
	}
}

/* The number of @requests that were answered, as far as one can tell from memory that anything may have changed. */
static unsigned answered(const struct ring *ring, uint16_t base, unsigned requests)
{
	uint16_t count = (uint16_t)(ring_used_idx(ring) - base);

	return count <= requests ? count : 0;
}

/* Until all is answered or the ring is broken; where memory may say anything, until nothing goes on. */
static void settle(struct fuzz *fuzz, uint16_t base, unsigned requests, bool must)
{
	struct ring *ring = &fuzz->guest.ring[0];
	struct pollfd fds[2] = { { .fd = ring->call, .events = POLLIN }, { .fd = ring->error, .events = POLLIN } };
	unsigned count = 0, before, waited = 0;

	do {
		before = count;
		if (poll(fds, 2, STALL_MS) < 0 && errno != EINTR)
			fail_errno("poll");
		empty(ring->call);
		count = answered(ring, base, requests);
		waited = count == before ? waited + STALL_MS : 0;
		if (must && waited > HOSTILE_MS)
			fail("expected %u answers or the error eventfd, saw %u and nothing more in %d s", requests,
			     count, HOSTILE_MS / 1000);
	} while (!(fds[1].revents & POLLIN) && count < requests && (must || !waited || fds[0].revents & POLLIN));
	fuzz->answers += count;
	if (fds[1].revents & POLLIN)
		fuzz->broken++;
	else if (count < requests)
		fuzz->stalled++;
}

static enum damage choose_damage(struct fuzz *fuzz, bool mutator)
{
	if (!(fuzz->what & WRECK) || !chance_below(&fuzz->state, 8))
		return mutator ? ANY : NONE;
	return mutator || !chance_below(&fuzz->state, 4) ? ANY : CONFINED;
}

static void round_of(struct fuzz *fuzz)
{
	bool mutator = fuzz->what & MUTATE && chance_below(&fuzz->state, 8);
	enum damage damage = choose_damage(fuzz, mutator);
	struct ring *ring = &fuzz->guest.ring[0];
	unsigned wanted = 1 + chance_below(&fuzz->state, SLOTS - 1), added = 0;
	uint16_t base;

	start(fuzz);
	good_request(fuzz);
	base = ring->last_used;
	if (mutator)
		mutator_begin(fuzz);
	while (added < wanted && add_any(fuzz, damage)) {
		added++;
		if (!chance_below(&fuzz->state, 16))
			ring_kick_always(ring);
	}
	if (fuzz->what & WRECK && damage == ANY && !chance_below(&fuzz->state, 16))
		fuzz_wreck_avail(&fuzz->state, ring);
	/* One signal when all is done; a device that stops the ring gives another. */
	ring->avail->ring[ring->num] = htole16((uint16_t)(base + added - 1));
	ring_kick_always(ring);
	if (damage == NONE)
		take_all(fuzz);
	else
		settle(fuzz, base, added, damage == CONFINED);
	if (mutator)
		mutator_end(fuzz);
	for (unsigned i = 0; i < SLOTS; i++)
		slots_release(&fuzz->slots, i);
	if (!chance_below(&fuzz->state, LOOK_AT_CANARIES_ONE_IN))
		memory_expect_untouched(&fuzz->guest.memory);
	fuzz->rounds++;
}

/* self->count: requests; self->shape.type: what to do. */
static void run_fuzz(const struct disk *disk, const struct check_case *self)
{
	uint64_t seed = effort_seed(self->shape.sector);
	struct fuzz fuzz = {
		.disk = disk, .what = self->shape.type, .seed = seed, .state = seed, .mutator_state = ~seed | 1,
	};
	unsigned long requests = effort_requests(self->count);
	pthread_t thread;

	guest_create(&fuzz.guest, &self->options);
	slots_create(&fuzz.slots, &fuzz.guest, SLOTS);
	if (fuzz.what & MUTATE && pthread_create(&thread, NULL, mutate, &fuzz))
		fail("can not start a thread");
	while (fuzz.requests < requests) {
		at("seed %#llx, round %lu", (unsigned long long)seed, fuzz.rounds);
		round_of(&fuzz);
	}
	__atomic_store_n(&fuzz.stop, true, __ATOMIC_RELEASE);
	if (fuzz.what & MUTATE)
		pthread_join(thread, NULL);
	start(&fuzz);
	good_request(&fuzz);
	note("seed %#llx: %lu requests, %lu answers (%lu known good), %lu rings broken, %lu stalled, %lu rounds, "
	     "%lu mutations, %lu ioctls (%lu accepted)", (unsigned long long)seed, fuzz.requests, fuzz.answers,
	     fuzz.good, fuzz.broken, fuzz.stalled, fuzz.rounds, fuzz.mutations, fuzz.ioctls, fuzz.accepted);
	guest_close(&fuzz.guest);
	slots_destroy(&fuzz.slots);
}

static void add(struct suite *suite, const char *name, unsigned what, unsigned requests, bool event_idx)
{
	struct check_case *added = suite_add(suite, GROUP_FUZZ, run_fuzz, "fuzz: %s", name);

	added->count = requests;
	added->shape.type = what;
	added->shape.sector = 0xf00d0000u + what;
	added->options = (struct guest_options){
		.num = ENTRIES, .event_idx = event_idx, .wants = REQUEST_RANGE_FEATURES,
	};
}

void suite_add_fuzz(struct suite *suite)
{
	add(suite, "good requests", 0, 6000, true);
	add(suite, "damaged requests", WRECK, 20000, true);
	add(suite, "memory changes meanwhile", MUTATE, 12000, false);
	add(suite, "damage, changes and calls", WRECK | MUTATE | IOCTLS, 12000, true);
}
