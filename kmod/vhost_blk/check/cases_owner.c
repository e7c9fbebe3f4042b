// SPDX-License-Identifier: GPL-2.0-only
/*
 * An owner is killed with requests in flight on a slow disk, and another process goes on with the same guest memory at
 * the index that was published: each request is carried out once and answered once.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mapper.h"
#include "owner.h"
#include "suite.h"

#define FIRST_SECTOR 4096u
#define BYTES 4096u
/* In flight when the owner is killed, and made available too late for it. */
#define BEFORE 96u
#define BEHIND 32u
#define ALL (BEFORE + BEHIND)
#define MAX_DELAY_MS 13000u
#define SALT_OLD 31u
#define SALT_NEW 32u

struct takeover {
	struct disk disk;
	struct mapper slow;
	struct guest guest;
	struct request request[ALL];
	uint16_t base;
	char data[BYTES];
};

static uint64_t sector_of(unsigned i)
{
	return FIRST_SECTOR + (uint64_t)i * (BYTES / SECTOR);
}

static bool reads(unsigned i)
{
	return i % 4 == 3;
}

/* The disk with the old data, slow to be read and written through @slow. */
static void make_disk(struct takeover *takeover, unsigned ms)
{
	disk_scratch(&takeover->disk);
	for (unsigned i = 0; i < ALL; i++) {
		pattern_fill(takeover->data, BYTES, sector_of(i), SALT_OLD);
		disk_write(&takeover->disk, sector_of(i) * SECTOR, takeover->data, BYTES);
	}
	mapper_delay(&takeover->slow, &takeover->disk, ms);
}

static void make_available(struct takeover *takeover, unsigned from, unsigned to)
{
	struct guest *guest = &takeover->guest;

	for (unsigned i = from; i < to; i++) {
		struct request *request = &takeover->request[i];

		request_build(request, &guest->memory,
			      &(struct request_shape){ .type = reads(i) ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT,
						       .bytes = BYTES, .indirect = true });
		pattern_fill(takeover->data, BYTES, sector_of(i), SALT_NEW);
		request_set_data(request, &guest->memory, takeover->data, BYTES);
		request_aim(request, &guest->memory, sector_of(i));
		request_add(request, &guest->ring[0], &guest->memory);
	}
}

static void own(void *argument)
{
	struct takeover *takeover = argument;

	guest_adopt(&takeover->guest);
	guest_attach(&takeover->guest, takeover->slow.fd);
	ring_kick_always(&takeover->guest.ring[0]);
	owner_ready();
	for (;;)
		pause();
}

static void nap(void)
{
	nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
}

/* At once with the first: the disk's delay is all the time there is, and on a busy machine that is short. */
static unsigned wait_for_flight(const struct takeover *takeover)
{
	for (unsigned waited = 0; waited < 30000; waited++) {
		unsigned delayed = mapper_delayed(&takeover->slow);

		if (delayed || ring_used_idx(&takeover->guest.ring[0]) != takeover->base)
			return delayed;
		nap();
	}
	fail("expected requests in flight, saw none");
}

/* What the disk did and what the ring tells, when the owner is gone. */
static void expect_published(const struct takeover *takeover)
{
	struct mapper_done done = mapper_done(&takeover->slow);
	unsigned published = (uint16_t)(ring_used_idx(&takeover->guest.ring[0]) - takeover->base);
	unsigned delayed = mapper_delayed(&takeover->slow);

	if (delayed)
		fail("expected nothing in flight behind the owner's end, saw %u", delayed);
	if (done.reads + done.writes != published)
		fail("expected each of the %llu requests carried out to be published, saw used index %u further",
		     (unsigned long long)(done.reads + done.writes), published);
}

static void expect_data(struct takeover *takeover, unsigned i)
{
	request_expect(&takeover->request[i], VIRTIO_BLK_S_OK);
	if (reads(i)) {
		request_get_data(&takeover->request[i], &takeover->guest.memory, takeover->data, BYTES);
		pattern_expect("data read", takeover->data, BYTES, sector_of(i), SALT_OLD);
	}
	disk_read(&takeover->disk, sector_of(i) * SECTOR, takeover->data, BYTES);
	pattern_expect("disk", takeover->data, BYTES, sector_of(i), reads(i) ? SALT_OLD : SALT_NEW);
}

static void go_on(struct takeover *takeover)
{
	struct ring *ring = &takeover->guest.ring[0];
	unsigned answered = 0;

	guest_adopt(&takeover->guest);
	guest_attach(&takeover->guest, takeover->slow.fd);
	ring_kick_always(ring);
	while (answered < ALL) {
		struct request *request;

		ring_wait(ring);
		/* A head that was answered before, or was never made available, fails there. */
		while ((request = request_pop(ring, &takeover->guest.memory))) {
			expect_data(takeover, (unsigned)(request - takeover->request));
			answered++;
		}
	}
	if (guest_stop_queue(&takeover->guest, 0) != (uint16_t)(takeover->base + ALL))
		fail("expected base %u at the end, saw another", (uint16_t)(takeover->base + ALL));
}

static void expect_once(const struct takeover *takeover)
{
	struct mapper_done done = mapper_done(&takeover->slow);
	unsigned read = 0;

	for (unsigned i = 0; i < ALL; i++)
		read += reads(i);
	if (done.reads != read || done.writes != ALL - read)
		fail("expected %u reads and %u writes on the disk, saw %llu and %llu", read, ALL - read,
		     (unsigned long long)done.reads, (unsigned long long)done.writes);
}

static void tidy_up(struct takeover *takeover)
{
	guest_close(&takeover->guest);
	mapper_remove(&takeover->slow);
	close(takeover->disk.fd);
	close(takeover->disk.content);
	for (unsigned i = 0; i < ALL; i++)
		request_free(&takeover->request[i]);
}

/* Returns how many requests were in flight when the owner was killed. */
static unsigned kill_owner(struct takeover *takeover, const struct guest_options *options, unsigned ms)
{
	unsigned in_flight;
	pid_t pid;

	memset(takeover, 0, sizeof(*takeover));
	make_disk(takeover, ms);
	guest_create(&takeover->guest, options);
	close(takeover->guest.vhost);
	takeover->base = options->base;
	make_available(takeover, 0, BEFORE);
	pid = owner_start(own, takeover);
	in_flight = wait_for_flight(takeover);
	make_available(takeover, BEFORE, ALL);
	kill(pid, SIGKILL);
	owner_expect_gone(pid);
	expect_published(takeover);
	return in_flight;
}

/* self->count: delay of the disk in ms; on a machine that is too busy to come in time, more. */
static void run_takeover(const struct disk *unused, const struct check_case *self)
{
	struct takeover *takeover = malloc(sizeof(*takeover));
	unsigned in_flight, ms = self->count;

	(void)unused;
	if (!takeover)
		fail("out of memory");
	while (!(in_flight = kill_owner(takeover, &self->options, ms))) {
		tidy_up(takeover);
		ms *= 4;
		if (ms > MAX_DELAY_MS)
			fail("expected requests in flight to kill the owner with, saw all done after %u ms", ms / 4);
	}
	note("killed with %u in flight, then gone on at %u of %u", in_flight,
	     (uint16_t)(ring_used_idx(&takeover->guest.ring[0]) - takeover->base), ALL);
	go_on(takeover);
	expect_once(takeover);
	tidy_up(takeover);
	free(takeover);
}

void suite_add_owner(struct suite *suite)
{
	static const struct { unsigned ms; uint16_t base; bool event_idx; } variants[] = {
		{ 1500, 0, true }, { 1500, 65500, false }, { 800, 65472, true },
	};

	for (unsigned i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		struct check_case *added;

		added = suite_add(suite, GROUP_LIFECYCLE, run_takeover,
				  "owner killed, successor goes on: disk of %u ms, from %u%s",
				  variants[i].ms, variants[i].base, variants[i].event_idx ? ", event_idx" : "");
		added->row = ROW_OWNER;
		added->count = variants[i].ms;
		added->options = (struct guest_options){ .base = variants[i].base, .event_idx = variants[i].event_idx };
	}
}
