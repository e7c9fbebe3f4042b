// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many requests of every kind at once on several queues, made by chance, with a model that knows what each sector must
 * hold. Where requests overlap, one waits for the other, as a guest's file system does it; all else is in any order.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "effort.h"
#include "model.h"
#include "slots.h"
#include "suite.h"

#define FIRST_SECTOR 8192u
#define AREA_SECTORS (8u * 1024 * 1024 / SECTOR)
#define MAX_BLOCKS_BYTES 65536u
#define SLOTS 96u
#define MAX_RANGES 4u
/* A queue is stopped and started again once in so many bursts. */
#define STOP_ONE_IN 40u

struct range {
	uint32_t sector, sectors;
};

struct running {
	struct range range[MAX_RANGES];
	unsigned nr_ranges;
	uint32_t salt;
};

struct mix {
	const struct disk *disk;
	struct guest guest;
	struct vhost_blk_limits limits;
	struct slots slots;
	struct model model;
	struct running running[SLOTS];
	uint64_t seed, state;
	uint32_t next_salt;
	unsigned long submitted, done, stops, of_type[16];
	char *data;
};

static bool is_write(uint32_t type)
{
	return type == VIRTIO_BLK_T_OUT || type == VIRTIO_BLK_T_WRITE_ZEROES || type == VIRTIO_BLK_T_DISCARD;
}

static bool may(const struct mix *mix, unsigned feature, uint32_t sectors, uint32_t segments)
{
	return mix->guest.features >> feature & 1 && sectors >= MAX_BLOCKS_BYTES / SECTOR && segments >= MAX_RANGES;
}

static uint32_t choose_type(struct mix *mix)
{
	unsigned roll = chance_below(&mix->state, 100);

	if (roll < 4)
		return VIRTIO_BLK_T_FLUSH;
	if (roll < 6)
		return VIRTIO_BLK_T_GET_ID;
	if (roll < 14 && may(mix, VIRTIO_BLK_F_WRITE_ZEROES, mix->limits.max_write_zeroes_sectors,
			     mix->limits.max_write_zeroes_seg))
		return VIRTIO_BLK_T_WRITE_ZEROES;
	if (roll < 18 && may(mix, VIRTIO_BLK_F_DISCARD, mix->limits.max_discard_sectors, mix->limits.max_discard_seg))
		return VIRTIO_BLK_T_DISCARD;
	return roll < 60 ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN;
}

/* Small ones more often; the model's area is small enough that they meet all the time. */
static struct range choose_range(struct mix *mix)
{
	uint32_t block = mix->disk->block / SECTOR, most = MAX_BLOCKS_BYTES / mix->disk->block;
	uint32_t blocks = chance_below(&mix->state, 2) ? most : 8;
	struct range range = { .sectors = block * (1 + chance_below(&mix->state, blocks < most ? blocks : most)) };

	range.sector = chance_below(&mix->state, (AREA_SECTORS - range.sectors) / block + 1) * block;
	return range;
}

static void cancel(struct mix *mix, const struct running *running, uint32_t type)
{
	for (unsigned i = 0; i < running->nr_ranges; i++)
		model_cancel(&mix->model, running->range[i].sector, running->range[i].sectors, is_write(type));
}

/* False when one of them overlaps with what is in flight; then none is taken. */
static bool begin(struct mix *mix, struct running *running, uint32_t type)
{
	unsigned wanted = 1;

	running->nr_ranges = 0;
	if (type == VIRTIO_BLK_T_FLUSH || type == VIRTIO_BLK_T_GET_ID)
		return true;
	if (type == VIRTIO_BLK_T_WRITE_ZEROES || type == VIRTIO_BLK_T_DISCARD)
		wanted = 1 + chance_below(&mix->state, MAX_RANGES);
	while (running->nr_ranges < wanted) {
		struct range range = choose_range(mix);

		if (!model_begin(&mix->model, range.sector, range.sectors, is_write(type)))
			break;
		running->range[running->nr_ranges++] = range;
	}
	if (running->nr_ranges == wanted)
		return true;
	cancel(mix, running, type);
	return false;
}

static void set_data(struct mix *mix, struct request *request, const struct running *running)
{
	struct virtio_blk_discard_write_zeroes ranges[MAX_RANGES];
	const struct memory *memory = &mix->guest.memory;
	uint32_t type = request->shape.type, bytes = request->shape.bytes;

	if (type == VIRTIO_BLK_T_OUT) {
		pattern_fill(mix->data, bytes, FIRST_SECTOR + running->range[0].sector, running->salt);
		request_set_data(request, memory, mix->data, bytes);
	} else if (is_write(type)) {
		bool unmap = type == VIRTIO_BLK_T_WRITE_ZEROES && chance_below(&mix->state, 2);

		for (unsigned i = 0; i < running->nr_ranges; i++) {
			ranges[i].sector = htole64(FIRST_SECTOR + running->range[i].sector);
			ranges[i].num_sectors = htole32(running->range[i].sectors);
			ranges[i].flags = htole32(unmap ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0);
		}
		request_set_data(request, memory, ranges, bytes);
	}
}

static unsigned descriptors(const struct request *request)
{
	return request->shape.indirect ? 1 : request->readable + request->writable;
}

static uint32_t content_behind(struct mix *mix, uint32_t type)
{
	switch (type) {
	case VIRTIO_BLK_T_OUT:
		return mix->next_salt++;
	case VIRTIO_BLK_T_DISCARD:
		return MODEL_UNKNOWN;
	default:
		return MODEL_ZERO;
	}
}

/* Returns false when there is no room, or everything chosen overlaps with what runs. */
static bool submit(struct mix *mix)
{
	uint32_t type = choose_type(mix);
	int slot = slots_free(&mix->slots);
	struct request_shape shape;
	struct running *running;
	struct request *request;
	struct ring *ring;

	if (slot < 0)
		return false;
	running = &mix->running[slot];
	if (!begin(mix, running, type))
		return false;
	running->salt = content_behind(mix, type);
	shape = slots_shape(&mix->state, type,
			    request_body(type, running->range[0].sectors * SECTOR, running->nr_ranges));
	ring = &mix->guest.ring[chance_below(&mix->state, mix->guest.queues)];
	request = slots_build(&mix->slots, (unsigned)slot, &shape);
	/* One that does not fit the ring now is as good in a table. */
	if (descriptors(request) > ring->free_count) {
		if (!ring->free_count) {
			cancel(mix, running, type);
			slots_release(&mix->slots, (unsigned)slot);
			return false;
		}
		shape.indirect = true;
		request = slots_build(&mix->slots, (unsigned)slot, &shape);
	}
	request_aim(request, &mix->guest.memory,
		    type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_OUT ? FIRST_SECTOR + running->range[0].sector : 0);
	set_data(mix, request, running);
	request_add(request, ring, &mix->guest.memory);
	mix->submitted++;
	mix->of_type[type % 16]++;
	return true;
}

static void end(struct mix *mix, struct request *request)
{
	unsigned slot = slots_number(&mix->slots, request);
	const struct running *running = &mix->running[slot];
	uint32_t type = request->shape.type;

	request_expect(request, VIRTIO_BLK_S_OK);
	for (unsigned i = 0; i < running->nr_ranges; i++) {
		const struct range *range = &running->range[i];

		if (is_write(type)) {
			model_end_write(&mix->model, range->sector, range->sectors, running->salt);
			continue;
		}
		request_get_data(request, &mix->guest.memory, mix->data, request->shape.bytes);
		model_expect(&mix->model, "data read", range->sector, range->sectors, mix->data);
		model_end_read(&mix->model, range->sector, range->sectors);
	}
	slots_release(&mix->slots, slot);
	mix->done++;
}

static void take(struct mix *mix, struct ring *ring)
{
	struct request *request;

	while ((request = request_pop(ring, &mix->guest.memory)))
		end(mix, request);
}

/* Some go on at once from where they were, some find that requests were made available in the meantime. */
static void stop_and_go(struct mix *mix)
{
	unsigned queue = chance_below(&mix->state, mix->guest.queues);
	uint16_t base = guest_stop_queue(&mix->guest, queue);

	if (base != ring_used_idx(&mix->guest.ring[queue]))
		fail("queue %u: expected a stopped queue to have answered all it took (%u), saw used index %u", queue,
		     base, ring_used_idx(&mix->guest.ring[queue]));
	guest_set_base(&mix->guest, queue, base);
	if (guest_set_backend(&mix->guest, queue, mix->disk->fd))
		fail_errno("VHOST_BLK_SET_BACKEND of queue %u", queue);
	mix->stops++;
}

static void wait_for_one(struct mix *mix)
{
	unsigned first = chance_below(&mix->state, mix->guest.queues);

	for (unsigned i = 0; i < mix->guest.queues; i++) {
		struct ring *ring = &mix->guest.ring[(first + i) % mix->guest.queues];

		if (!ring_in_flight(ring))
			continue;
		ring_wait(ring);
		take(mix, ring);
		return;
	}
}

static void drive(struct mix *mix, unsigned long requests)
{
	while (mix->done < requests) {
		unsigned burst = 1 + chance_below(&mix->state, 24);

		at("seed %#llx, request %lu", (unsigned long long)mix->seed, mix->submitted);
		while (burst-- && mix->submitted < requests && submit(mix))
			;
		for (unsigned i = 0; i < mix->guest.queues; i++)
			ring_kick(&mix->guest.ring[i]);
		if (!chance_below(&mix->state, STOP_ONE_IN))
			stop_and_go(mix);
		for (unsigned i = 0; i < mix->guest.queues; i++)
			take(mix, &mix->guest.ring[i]);
		if (slots_free(&mix->slots) < 0 || mix->submitted == requests || !chance_below(&mix->state, 3))
			wait_for_one(mix);
	}
}

/* self->count: requests; self->shape.sector: seed; self->shape.bytes: workers. */
static void run_mix(const struct disk *disk, const struct check_case *self)
{
	unsigned long requests = effort_requests(self->count);
	uint64_t seed = effort_seed(self->shape.sector);
	struct mix mix = { .disk = disk, .seed = seed, .state = seed, .next_salt = MODEL_FIRST_SALT + 1 };
	unsigned workers = self->shape.bytes;

	if (disk->block > MAX_BLOCKS_BYTES)
		skip("the disk's blocks are %u bytes", disk->block);
	mix.data = malloc(MAX_BLOCKS_BYTES);
	if (!mix.data)
		fail("out of memory");
	at("seed %#llx", (unsigned long long)seed);
	guest_create(&mix.guest, &self->options);
	if (workers && guest_spread(&mix.guest, workers)) {
		if (errno == ENOTTY)
			skip("the module has no VHOST_NEW_WORKER");
		fail_errno("%u workers", workers);
	}
	guest_limits(&mix.guest, disk->fd, &mix.limits);
	model_create(&mix.model, disk, FIRST_SECTOR, AREA_SECTORS);
	slots_create(&mix.slots, &mix.guest, SLOTS);
	guest_attach(&mix.guest, disk->fd);
	drive(&mix, requests);
	guest_detach(&mix.guest);
	model_expect_disk(&mix.model, disk);
	note("seed %#llx: %lu requests (%lu reads, %lu writes, %lu flushes, %lu zeroes, %lu discards), %lu stops",
	     (unsigned long long)seed, mix.done, mix.of_type[VIRTIO_BLK_T_IN], mix.of_type[VIRTIO_BLK_T_OUT],
	     mix.of_type[VIRTIO_BLK_T_FLUSH], mix.of_type[VIRTIO_BLK_T_WRITE_ZEROES], mix.of_type[VIRTIO_BLK_T_DISCARD],
	     mix.stops);
	guest_close(&mix.guest);
	slots_destroy(&mix.slots);
	model_destroy(&mix.model);
	free(mix.data);
}

static void add(struct suite *suite, const char *row, unsigned queues, unsigned num, unsigned workers,
		unsigned requests)
{
	struct check_case *added;

	added = suite_add(suite, GROUP_MODEL, run_mix, "model: %u queue%s of %u%s", queues, queues > 1 ? "s" : "", num,
			  workers ? " on 3 workers" : "");
	added->row = row;
	added->count = requests;
	added->shape.sector = 0x5eed0000u + queues * 16 + workers;
	added->shape.bytes = workers;
	added->options = (struct guest_options){
		.queues = queues, .num = num, .event_idx = queues != 2,
		.wants = REQUEST_RANGE_FEATURES,
	};
}

void suite_add_model(struct suite *suite)
{
	add(suite, ROW_REQUESTS, 1, 256, 0, 3000);
	add(suite, ROW_FEATURES, 2, 128, 0, 2000);
	add(suite, ROW_QUEUES, 8, 64, 0, 3000);
	add(suite, ROW_WORKERS, 8, 64, 3, 3000);
}
