// SPDX-License-Identifier: GPL-2.0-only
/* Counters in debugfs: that they are right, and that devices may go while they are read. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "counters.h"
#include "hostile.h"
#include "suite.h"

static void do_one(struct guest *guest, struct request_shape shape, uint8_t status)
{
	struct request request;

	request_build(&request, &guest->memory, &shape);
	request_run(&request, guest, 0);
	if (request.status != status)
		fail("type %u: expected %s, saw %s", shape.type, request_status_name(status),
		     request_status_name(request.status));
	request_free(&request);
}

static void expect_count(const struct counters *counters, const char *name, unsigned long long wanted)
{
	if (counters_get(counters, name) != wanted)
		fail("%s: expected %llu, saw %llu", name, wanted, counters_get(counters, name));
}

static void expect_state(const struct counters *counters, const char *wanted)
{
	char state[32];

	counters_word(counters, "state", state, sizeof(state));
	if (strcmp(state, wanted))
		fail("expected the state %s, saw %s", wanted, state);
}

static void run_counts(const struct disk *disk, const struct check_case *self)
{
	struct request_shape id = { .type = VIRTIO_BLK_T_GET_ID, .bytes = VIRTIO_BLK_ID_BYTES };
	struct counters counters;
	struct guest guest;

	counters_require();
	guest_create(&guest, &self->options);
	if (counters_find(0, &counters))
		fail("expected no counters of a queue that was never started, saw some");
	guest_attach(&guest, disk->fd);
	for (unsigned i = 0; i < 3; i++)
		do_one(&guest, (struct request_shape){ .type = VIRTIO_BLK_T_IN, .bytes = 4096 }, VIRTIO_BLK_S_OK);
	for (unsigned i = 0; i < 2; i++)
		do_one(&guest, (struct request_shape){ .type = VIRTIO_BLK_T_OUT, .bytes = 8192 }, VIRTIO_BLK_S_OK);
	do_one(&guest, (struct request_shape){ .type = VIRTIO_BLK_T_FLUSH }, VIRTIO_BLK_S_OK);
	do_one(&guest, id, VIRTIO_BLK_S_OK);
	do_one(&guest, (struct request_shape){ .type = 99, .bytes = 512 }, VIRTIO_BLK_S_UNSUPP);
	do_one(&guest, (struct request_shape){ .type = VIRTIO_BLK_T_IN, .bytes = 4096, .sector = ~0ull >> 9 },
	       VIRTIO_BLK_S_IOERR);
	counters_read(0, &counters);
	expect_state(&counters, "running");
	expect_count(&counters, "requests_in", 4);
	expect_count(&counters, "requests_out", 2);
	expect_count(&counters, "requests_flush", 1);
	expect_count(&counters, "requests_get_id", 1);
	expect_count(&counters, "requests_discard", 0);
	expect_count(&counters, "requests_other", 1);
	expect_count(&counters, "bytes_in", 3 * 4096);
	expect_count(&counters, "bytes_out", 2 * 8192);
	expect_count(&counters, "errors", 1);
	expect_count(&counters, "unsupported", 1);
	expect_count(&counters, "in_flight", 0);
	expect_count(&counters, "max_in_flight", 1);
	expect_count(&counters, "kicks", guest.ring[0].kicks);
	if (counters_latencies(&counters) != 6)
		fail("expected the latencies of 6 requests, saw %llu", counters_latencies(&counters));
	if (!counters_get(&counters, "signals"))
		fail("expected signals, saw none");
	guest_detach(&guest);
	counters_read(0, &counters);
	expect_state(&counters, "stopped");
	expect_count(&counters, "requests_in", 4);
	guest_close(&guest);
	if (counters_find(0, &counters))
		fail("expected the counters to go with the device, saw them still");
}

/* Answers that the guest does not want to hear of are counted as such, and a full queue is seen. */
static void run_suppressed(const struct disk *disk, const struct check_case *self)
{
	struct request request;
	struct counters counters;
	struct guest guest;
	unsigned answered = 0;
	uint32_t len;

	counters_require();
	guest_create(&guest, &self->options);
	guest_attach(&guest, disk->fd);
	guest.ring[0].avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	request_build(&request, &guest.memory,
		      &(struct request_shape){ .type = VIRTIO_BLK_T_IN, .bytes = 65536, .indirect = true });
	while (guest.ring[0].free_count)
		request_add(&request, &guest.ring[0], &guest.memory);
	ring_kick(&guest.ring[0]);
	for (unsigned waited = 0; answered < guest.ring[0].num; waited++) {
		if (waited > COMPLETION_MS)
			fail("expected %u completions, saw %u", guest.ring[0].num, answered);
		usleep(1000);
		for (; ring_pop(&guest.ring[0], &len); answered++)
			;
	}
	counters_read(0, &counters);
	expect_count(&counters, "signals", 0);
	expect_count(&counters, "requests_in", guest.ring[0].num);
	if (!counters_get(&counters, "signals_suppressed"))
		fail("expected suppressed signals, saw none");
	if (counters_get(&counters, "max_in_flight") < 2)
		fail("expected several requests in flight, saw %llu", counters_get(&counters, "max_in_flight"));
	guest_close(&guest);
}

static void run_broken(const struct disk *disk, const struct check_case *self)
{
	struct counters counters;
	struct guest guest;
	char reason[80];

	counters_require();
	guest_create(&guest, &self->options);
	guest_attach(&guest, disk->fd);
	guest.ring[0].avail->ring[0] = 0xffff;
	ring_publish(&guest.ring[0], (uint16_t)(guest.ring[0].avail_idx + 1));
	ring_kick_always(&guest.ring[0]);
	if (hostile_expect_answer(&guest.ring[0]) != RING_BROKEN)
		fail("expected the error eventfd for a head that can not be, saw a used element");
	counters_read(0, &counters);
	expect_state(&counters, "broken");
	counters_word(&counters, "reason", reason, sizeof(reason));
	if (!strstr(reason, "head"))
		fail("expected a reason that tells of the head, saw \"%s\"", reason);
	guest_close(&guest);
}

static void expect_trace(const char *event, const char *text, unsigned least)
{
	unsigned saw = trace_count(event, text);

	if (saw >= least)
		return;
	trace_end();
	fail("trace: expected %u lines of %s with \"%s\", saw %u", least, event, text, saw);
}

static void run_trace(const struct disk *disk, const struct check_case *self)
{
	unsigned kicks;
	char owner[32];
	struct guest guest;

	trace_begin();
	snprintf(owner, sizeof(owner), "owner=%d vq=0", getpid());
	guest_create(&guest, &self->options);
	guest_attach(&guest, disk->fd);
	for (unsigned i = 0; i < 3; i++)
		do_one(&guest, (struct request_shape){ .type = VIRTIO_BLK_T_IN, .bytes = 4096 }, VIRTIO_BLK_S_OK);
	guest.ring[0].avail->ring[3] = 0xffff;
	ring_publish(&guest.ring[0], (uint16_t)(guest.ring[0].avail_idx + 1));
	ring_kick_always(&guest.ring[0]);
	hostile_expect_answer(&guest.ring[0]);
	kicks = (unsigned)guest.ring[0].kicks;
	guest_close(&guest);
	expect_trace("vhost_blk_request_start:", owner, 3);
	expect_trace("vhost_blk_request_finish:", "bytes=4096 status=0 used_len=4097", 3);
	expect_trace("vhost_blk_kick:", owner, kicks);
	expect_trace("vhost_blk_signal:", owner, 1);
	expect_trace("vhost_blk_ring_broken:", "head", 1);
	trace_end();
}

struct reader {
	atomic_bool stop;
	atomic_uint found;
};

static void *read_on(void *argument)
{
	struct reader *reader = argument;
	struct counters counters;

	while (!reader->stop)
		for (unsigned queue = 0; queue < 4; queue++)
			reader->found += counters_find(queue, &counters);
	return NULL;
}

/* Counters are read all the while devices are made, started, reset and closed. */
static void run_readers(const struct disk *disk, const struct check_case *self)
{
	struct reader reader = { 0 };
	pthread_t threads[2];

	counters_require();
	for (unsigned i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, read_on, &reader))
			fail("can not start a thread");
	for (unsigned i = 0; i < self->count; i++) {
		struct guest guest;

		guest_create(&guest, &self->options);
		guest_attach(&guest, disk->fd);
		do_one(&guest, (struct request_shape){ .type = VIRTIO_BLK_T_IN, .bytes = 4096 }, VIRTIO_BLK_S_OK);
		if (i % 2)
			guest_detach(&guest);
		guest_close(&guest);
	}
	reader.stop = true;
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	if (!reader.found)
		fail("expected counters to be found by who reads on, saw none");
	note("%u devices, %u files read", self->count, reader.found);
	hostile_expect_good_device(disk);
}

void suite_add_counters(struct suite *suite)
{
	unsigned first = suite->count;
	struct check_case *added;

	suite_add(suite, GROUP_FULL | GROUP_QUICK, run_counts, "counters: what was done");
	suite_add(suite, GROUP_FULL, run_suppressed, "counters: suppressed signals, depth")->options.num = 64;
	suite_add(suite, GROUP_FULL, run_broken, "counters: a broken ring");
	suite_add(suite, GROUP_FULL, run_trace, "tracepoints: requests, kicks, signals, a broken ring");
	added = suite_add(suite, GROUP_LIFECYCLE, run_readers, "counters read while 60 devices come and go");
	added->count = 60;
	added->options = (struct guest_options){ .queues = 4, .num = 64, .event_idx = true };
	suite_set_row(suite, first, ROW_SEE);
}
