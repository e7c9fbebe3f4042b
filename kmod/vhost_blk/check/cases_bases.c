// SPDX-License-Identifier: GPL-2.0-only
/* Stopping a queue: everything taken is answered, the index told is exact, and the queue goes on from there. */
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "suite.h"

#define IN_FLIGHT 64u
#define READ_BYTES 65536u
#define SETTLE_US 100000

static void run_idle(const struct disk *disk, const struct check_case *self)
{
	struct request request;
	struct guest guest;
	uint16_t base;

	guest_create(&guest, &self->options);
	guest_attach(&guest, disk->fd);
	request_build(&request, &guest.memory, &(struct request_shape){ .type = VIRTIO_BLK_T_IN, .bytes = 4096 });
	for (unsigned i = 0; i < self->count; i++) {
		request_aim(&request, &guest.memory, 8 * i);
		request_run(&request, &guest, 0);
		request_expect(&request, VIRTIO_BLK_S_OK);
	}
	base = guest_stop_queue(&guest, 0);
	if (base != (uint16_t)(self->options.base + self->count))
		fail("expected base %u, saw %u", (uint16_t)(self->options.base + self->count), base);
	guest_close(&guest);
}

static void submit_all(struct guest *guest, struct request *requests)
{
	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		request_build(&requests[i], &guest->memory,
			      &(struct request_shape){ .type = VIRTIO_BLK_T_IN, .sector = i * 128,
						       .bytes = READ_BYTES, .indirect = true });
		request_add(&requests[i], &guest->ring[0], &guest->memory);
	}
	ring_kick(&guest->ring[0]);
}

/* After a stop: used == taken, and it stays so. */
static uint16_t expect_drained(struct guest *guest, uint16_t base)
{
	uint16_t used = ring_used_idx(&guest->ring[0]);

	if (used != base)
		fail("expected every request taken (%u) to be answered, saw used index %u", base, used);
	usleep(SETTLE_US);
	if (ring_used_idx(&guest->ring[0]) != used)
		fail("expected a stopped queue, saw used index go from %u to %u", used, ring_used_idx(&guest->ring[0]));
	return used;
}

static void finish(struct guest *guest, const struct disk *disk, uint16_t base)
{
	unsigned answered = 0;
	struct request *request;

	guest_set_base(guest, 0, base);
	guest_attach(guest, disk->fd);
	ring_kick_always(&guest->ring[0]);
	while (answered < IN_FLIGHT) {
		ring_wait(&guest->ring[0]);
		while ((request = request_pop(&guest->ring[0], &guest->memory))) {
			request_expect(request, VIRTIO_BLK_S_OK);
			answered++;
		}
	}
	if (guest_stop_queue(guest, 0) != IN_FLIGHT)
		fail("expected base %u at the end, saw another", IN_FLIGHT);
}

/* count: 1 to detach the disk first. */
static void run_stop_in_flight(const struct disk *disk, const struct check_case *self)
{
	struct request requests[IN_FLIGHT];
	struct guest guest;
	uint16_t base;

	guest_create(&guest, &self->options);
	guest_attach(&guest, disk->fd);
	submit_all(&guest, requests);
	if (self->count)
		guest_detach(&guest);
	base = guest_stop_queue(&guest, 0);
	note("stopped after %u of %u", expect_drained(&guest, base), IN_FLIGHT);
	finish(&guest, disk, base);
	guest_close(&guest);
}

/* What was made available before the queue had a backend is served at once, without a further kick. */
static void run_available_before_start(const struct disk *disk, const struct check_case *self)
{
	struct request request;
	struct guest guest;

	guest_create(&guest, &self->options);
	request_build(&request, &guest.memory, &(struct request_shape){ .type = VIRTIO_BLK_T_IN, .bytes = 4096 });
	request_add(&request, &guest.ring[0], &guest.memory);
	guest_attach(&guest, disk->fd);
	ring_wait(&guest.ring[0]);
	if (request_pop(&guest.ring[0], &guest.memory) != &request)
		fail("expected the only request's answer, saw another");
	request_expect(&request, VIRTIO_BLK_S_OK);
	guest_close(&guest);
}

void suite_add_bases(struct suite *suite)
{
	unsigned first = suite->count;
	struct check_case *added;

	added = suite_add(suite, GROUP_FULL | GROUP_QUICK, run_idle, "stop tells the exact index");
	added->count = 5;
	added = suite_add(suite, GROUP_FULL, run_idle, "stop tells the exact index after it wrapped");
	added->count = 9;
	added->options = (struct guest_options){ .base = 65531, .event_idx = true };
	for (unsigned event_idx = 0; event_idx < 2; event_idx++) {
		const char *suffix = event_idx ? " event_idx" : "";

		added = suite_add(suite, GROUP_FULL | (event_idx ? GROUP_QUICK : 0), run_stop_in_flight,
				  "stop with requests in flight, then go on%s", suffix);
		added->options.event_idx = event_idx;
		added = suite_add(suite, GROUP_FULL, run_stop_in_flight,
				  "detach with requests in flight, then go on%s", suffix);
		added->options.event_idx = event_idx;
		added->count = 1;
		added = suite_add(suite, GROUP_FULL, run_available_before_start,
				  "requests made available before the start%s", suffix);
		added->options.event_idx = event_idx;
	}
	suite_set_row(suite, first, ROW_CHANGE);
}
