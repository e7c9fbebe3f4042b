// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests while allocations, copies or bios of the module fail on purpose: each is answered with its data or with an error,
 * or its ring stops; and all is well afterwards.
 */
#include <linux/vhost.h>
#include <stdlib.h>
#include <unistd.h>

#include "effort.h"
#include "hostile.h"
#include "inject.h"
#include "slots.h"
#include "suite.h"

#define SLOTS 64u
#define SLOT_BYTES 65536u
#define SLOT_SECTORS (SLOT_BYTES / SECTOR)
#define FIRST_SECTOR 8192u
/* So many chances for one fault: enough that most requests go well. */
#define INTERVAL 97u

struct traffic {
	const struct disk *disk;
	struct guest guest;
	struct slots slots;
	uint64_t state;
	/* What the disk holds where a slot's requests go; 0: a write there has failed. */
	uint32_t salt[SLOTS], next_salt, new_salt[SLOTS];
	unsigned long good, errors, broken;
	char *data;
};

static void fill_ring(struct traffic *traffic, bool write)
{
	struct ring *ring = &traffic->guest.ring[0];

	for (unsigned slot = 0; slot < SLOTS; slot++) {
		uint32_t blocks = 1 + chance_below(&traffic->state, SLOT_BYTES / traffic->disk->block);
		uint32_t bytes = write ? SLOT_BYTES : blocks * traffic->disk->block;
		struct request_shape shape =
			slots_shape(&traffic->state, write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, bytes);
		struct request *request;

		shape.indirect = true;
		request = slots_build(&traffic->slots, slot, &shape);
		request_aim(request, &traffic->guest.memory, FIRST_SECTOR + slot * SLOT_SECTORS);
		if (write) {
			traffic->new_salt[slot] = ++traffic->next_salt;
			pattern_fill(traffic->data, bytes, request->shape.sector, traffic->new_salt[slot]);
			request_set_data(request, &traffic->guest.memory, traffic->data, bytes);
			traffic->salt[slot] = 0;
		}
		request_add(request, ring, &traffic->guest.memory);
	}
	ring_kick_always(ring);
}

static void take(struct traffic *traffic, bool write)
{
	struct request *request;

	while ((request = request_pop(&traffic->guest.ring[0], &traffic->guest.memory))) {
		unsigned slot = slots_number(&traffic->slots, request);

		if (request->status == VIRTIO_BLK_S_IOERR) {
			request_expect(request, VIRTIO_BLK_S_IOERR);
			traffic->errors++;
			continue;
		}
		request_expect(request, VIRTIO_BLK_S_OK);
		traffic->good++;
		if (write) {
			traffic->salt[slot] = traffic->new_salt[slot];
		} else if (traffic->salt[slot]) {
			request_get_data(request, &traffic->guest.memory, traffic->data, request->shape.bytes);
			pattern_expect("data read", traffic->data, request->shape.bytes, request->shape.sector,
				       traffic->salt[slot]);
		}
	}
}

/* The owner starts a ring anew that has stopped; what it held is lost to the guest. */
static void restart(struct traffic *traffic)
{
	struct ring *ring = &traffic->guest.ring[0];
	uint64_t count;

	guest_detach(&traffic->guest);
	ring_restart(ring, ring->avail_idx);
	while (read(ring->error, &count, sizeof(count)) > 0)
		;
	guest_set_base(&traffic->guest, 0, ring->avail_idx);
	guest_attach(&traffic->guest, traffic->disk->fd);
	traffic->broken++;
}

static void round_of(struct traffic *traffic, bool write)
{
	struct ring *ring = &traffic->guest.ring[0];

	fill_ring(traffic, write);
	while (ring_in_flight(ring)) {
		if (hostile_expect_answer(ring) == RING_BROKEN) {
			guest_detach(&traffic->guest);
			take(traffic, write);
			restart(traffic);
			break;
		}
		take(traffic, write);
	}
	for (unsigned slot = 0; slot < SLOTS; slot++)
		slots_release(&traffic->slots, slot);
}

/* self->count: which kind */
static void run_requests(const struct disk *disk, const struct check_case *self)
{
	enum inject_kind kind = self->count;
	struct traffic traffic = { .disk = disk, .state = effort_seed(0xfa17u + kind) };
	unsigned rounds = effort_times(60);
	unsigned long faults, errors;

	if (kind == INJECT_BIOS && disk->file)
		skip("not a block device");
	inject_prepare(kind);
	traffic.data = malloc(SLOT_BYTES);
	if (!traffic.data)
		fail("out of memory");
	guest_create(&traffic.guest, &self->options);
	slots_create(&traffic.slots, &traffic.guest, SLOTS);
	guest_attach(&traffic.guest, disk->fd);
	round_of(&traffic, true);
	if (traffic.good != SLOTS)
		fail("expected %u writes without faults, saw %lu", SLOTS, traffic.good);
	if (kind == INJECT_BIOS)
		inject_allow_disk(disk->path, true);
	inject_each(kind, INTERVAL);
	for (unsigned i = 0; i < rounds; i++) {
		at("%s, round %u", inject_name(kind), i);
		round_of(&traffic, i % 2);
	}
	faults = inject_stop(kind);
	if (kind == INJECT_BIOS)
		inject_allow_disk(disk->path, false);
	at("%s, afterwards", inject_name(kind));
	if (!faults)
		fail("expected faults, saw none");
	errors = traffic.errors;
	if (kind == INJECT_BIOS && !errors)
		fail("expected requests that fail with their bios, saw none");
	restart(&traffic);
	round_of(&traffic, true);
	round_of(&traffic, false);
	if (traffic.errors != errors)
		fail("expected no more errors, saw %lu", traffic.errors - errors);
	note("%lu faults: %lu requests good, %lu with an error, %lu rings stopped", faults, traffic.good, errors,
	     traffic.broken - 1);
	guest_close(&traffic.guest);
	slots_destroy(&traffic.slots);
	free(traffic.data);
	hostile_expect_good_device(disk);
}

void suite_add_inject_requests(struct suite *suite)
{
	static const enum inject_kind kinds[] = { INJECT_SLAB, INJECT_PAGES, INJECT_COPIES, INJECT_BIOS };
	struct check_case *added;

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		added = suite_add(suite, GROUP_INJECT, run_requests, "inject: requests, %s", inject_name(kinds[i]));
		added->count = kinds[i];
		added->options = (struct guest_options){ .num = 256, .event_idx = i % 2 };
	}
}
