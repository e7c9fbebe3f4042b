// SPDX-License-Identifier: GPL-2.0-only
/* Threads that kick and do not come back to user mode in time, or not before the device has gone. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "counters.h"
#include "hostile.h"
#include "kicker.h"
#include "known.h"
#include "owner.h"
#include "suite.h"

/* The longest that a kick may wait for its thread, with what a busy machine adds. */
#define LATEST_MS 1000

enum end { DETACH, STOP, RESET, CLOSE, NR_ENDS };

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The request is answered although the thread that kicked is still in the kernel, and those behind it are, too. */
static void run_kept(const struct disk *disk, const struct check_case *self)
{
	struct kicker_kept kept;
	struct request request;
	struct guest guest;
	int64_t began, took, longest = 0;

	kicker_require();
	kicker_allow(1);
	kicker_guest(&guest, &self->options, disk->fd);
	known_prepare(disk, &guest, &request);
	known_read(&guest, &request, 0);
	for (unsigned i = 0; i < self->count; i++) {
		struct kicker_seen seen;

		/* Behind the time for which the worker has them, which is longer if none is served by its thread meanwhile. */
		usleep(1100000);
		known_read(&guest, &request, 0);
		kicker_look(0, &seen);
		request_add(&request, &guest.ring[0], &guest.memory);
		began = now_ms();
		kicker_keep(&kept, &guest.ring[0]);
		ring_wait_first(&guest.ring[0]);
		took = now_ms() - began;
		longest = took > longest ? took : longest;
		if (took > LATEST_MS)
			fail("expected an answer within %d ms, saw it after %lld", LATEST_MS, (long long)took);
		if (request_pop(&guest.ring[0], &guest.memory) != &request)
			fail("expected the request, saw another thing");
		request_expect(&request, VIRTIO_BLK_S_OK);
		kicker_let_go(&kept);
		known_read(&guest, &request, 0);
	}
	note("answered after at most %lld ms", (long long)longest);
	guest_close(&guest);
}

static unsigned references(void)
{
	FILE *file = fopen("/sys/module/vhost_blk/refcnt", "re");
	unsigned count = 0;

	if (!file || fscanf(file, "%u", &count) != 1)
		skip("the module can not be unloaded");
	fclose(file);
	return count;
}

static void end_guest(struct guest *guest, enum end how)
{
	switch (how) {
	case DETACH:
		guest_detach(guest);
		break;
	case STOP:
		guest_stop_queue(guest, 0);
		break;
	case RESET:
		if (ioctl(guest->vhost, VHOST_RESET_OWNER))
			fail_errno("VHOST_RESET_OWNER");
		break;
	default:
		close(guest->vhost);
		guest->vhost = -1;
	}
}

/* While the thread is kept: a stop does not wait for it, and the module stays for as long as it may come back. */
static void run_ended(const struct disk *disk, const struct check_case *self)
{
	for (unsigned i = 0; i < self->count; i++) {
		struct kicker_kept kept;
		struct request request;
		struct guest guest;
		int64_t began;

		at("end %u", i % NR_ENDS);
		kicker_guest(&guest, &self->options, disk->fd);
		known_prepare(disk, &guest, &request);
		known_read(&guest, &request, 0);
		usleep(1000);
		request_add(&request, &guest.ring[0], &guest.memory);
		kicker_keep(&kept, &guest.ring[0]);
		began = now_ms();
		end_guest(&guest, i % NR_ENDS);
		if (now_ms() - began > LATEST_MS * 10)
			fail("expected an end, saw it wait for the thread for %lld ms", (long long)(now_ms() - began));
		if (i % NR_ENDS == RESET && ioctl(guest.vhost, VHOST_SET_OWNER))
			fail_errno("VHOST_SET_OWNER");
		if (i % NR_ENDS == CLOSE) {
			if (!references())
				fail("expected a reference to the module while a thread is to come back, saw none");
			if (!syscall(__NR_delete_module, "vhost_blk", O_NONBLOCK))
				fail("expected the module to be busy, saw it unloaded");
			if (errno != EAGAIN)
				fail_errno("unloading: expected EAGAIN, saw");
		}
		kicker_let_go(&kept);
		if (guest.vhost >= 0)
			close(guest.vhost);
		for (unsigned waited = 0; references(); waited++) {
			if (waited > LATEST_MS)
				fail("expected no reference to the module, saw %u", references());
			usleep(1000);
		}
		guest.vhost = -1;
		guest_close(&guest);
	}
	hostile_expect_good_device(disk);
}

static void run_kept_and_ended(const struct disk *disk, const struct check_case *self)
{
	kicker_require();
	kicker_allow(1);
	run_ended(disk, self);
}

struct owned {
	const struct disk *disk;
	struct guest guest;
	struct request request;
};

static void own(void *argument)
{
	struct owned *owned = argument;
	struct kicker_kept kept;

	guest_adopt(&owned->guest);
	guest_attach(&owned->guest, owned->disk->fd);
	usleep(2000);
	request_add(&owned->request, &owned->guest.ring[0], &owned->guest.memory);
	kicker_keep(&kept, &owned->guest.ring[0]);
	owner_ready();
	for (;;)
		pause();
}

/* The owner is killed before its thread comes back: who takes over goes on where the ring tells, and nothing is lost. */
static void run_killed(const struct disk *disk, const struct check_case *self)
{
	unsigned served = 0;

	kicker_require();
	kicker_allow(1);
	for (unsigned i = 0; i < self->count; i++) {
		struct owned owned = { .disk = disk };
		char data[4096] = { 0 };
		pid_t pid;

		guest_create(&owned.guest, &self->options);
		close(owned.guest.vhost);
		known_prepare(disk, &owned.guest, &owned.request);
		request_set_data(&owned.request, &owned.guest.memory, data, sizeof(data));
		pid = owner_start(own, &owned);
		kill(pid, SIGKILL);
		owner_expect_gone(pid);
		/* The child's driver made it available, whose state is not ours. */
		request_add(&owned.request, &owned.guest.ring[0], &owned.guest.memory);
		served += ring_used_idx(&owned.guest.ring[0]) != 0;
		guest_adopt(&owned.guest);
		guest_attach(&owned.guest, disk->fd);
		ring_wait(&owned.guest.ring[0]);
		if (request_pop(&owned.guest.ring[0], &owned.guest.memory) != &owned.request)
			fail("expected the request, saw another thing");
		known_expect(&owned.guest, &owned.request);
		if (guest_stop_queue(&owned.guest, 0) != 1)
			fail("expected base 1, saw another");
		guest_close(&owned.guest);
	}
	note("%u of %u were answered to the one that was killed", served, self->count);
}

/* A queue that is driven by a thread of its own, and those who only kick. */
struct crowd {
	struct guest *guest;
	struct request request[4];
	atomic_bool stop;
	atomic_uint next, reads, kicks;
};

static void *drive(void *argument)
{
	struct crowd *crowd = argument;
	unsigned queue = crowd->next++;

	while (!crowd->stop) {
		known_read(crowd->guest, &crowd->request[queue], queue);
		crowd->reads++;
	}
	return NULL;
}

static void *kick_all(void *argument)
{
	struct crowd *crowd = argument;
	uint64_t one = 1;

	for (unsigned i = 0; !crowd->stop; i++) {
		struct ring *ring = &crowd->guest->ring[i % crowd->guest->queues];

		if (write(ring->kick, &one, sizeof(one)) != (ssize_t)sizeof(one) && errno != EAGAIN)
			fail_errno("can not kick");
		crowd->kicks++;
	}
	return NULL;
}

/* Many threads kick many queues, which start and stop meanwhile: each read is answered once, with what the disk holds. */
static void run_crowd(const struct disk *disk, const struct check_case *self)
{
	struct crowd crowd = { 0 };
	struct counters counters;
	unsigned long long turns = 0;
	pthread_t threads[8];
	struct guest guest;

	kicker_require();
	kicker_allow(2);
	guest_create(&guest, &self->options);
	guest_attach(&guest, disk->fd);
	crowd.guest = &guest;
	for (unsigned i = 0; i < 4; i++)
		known_prepare(disk, &guest, &crowd.request[i]);
	for (unsigned i = 0; i < 8; i++)
		if (pthread_create(&threads[i], NULL, i < 4 ? drive : kick_all, &crowd))
			fail("can not start a thread");
	for (unsigned i = 0; i < self->count; i++) {
		unsigned reads = crowd.reads;

		for (unsigned waited = 0; crowd.reads < reads + 20; waited++) {
			if (waited > COMPLETION_MS)
				fail("expected reads to go on, saw %u in %d s", crowd.reads - reads, COMPLETION_MS / 1000);
			usleep(1000);
		}
		guest_detach(&guest);
		guest_attach(&guest, disk->fd);
	}
	crowd.stop = true;
	for (unsigned i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < 4; i++) {
		counters_read(i, &counters);
		turns += counters_get(&counters, "kick_turns");
	}
	note("%u reads, %llu turns of who kicked, %u kicks beside", crowd.reads, turns, crowd.kicks);
	guest_close(&guest);
}

static void run_crowd_on_null(const struct disk *unused, const struct check_case *self)
{
	struct nullb nullb;

	(void)unused;
	nullb_create(&nullb, "irqmode=0");
	run_crowd(&nullb.disk, self);
	nullb_destroy(&nullb);
}

void suite_add_kick_kept(struct suite *suite)
{
	unsigned first = suite->count;
	struct check_case *added;

	suite_add(suite, GROUP_FULL, run_kept, "kick: its thread stays in the kernel")->count = 3;
	added = suite_add(suite, GROUP_LIFECYCLE, run_kept_and_ended, "kick: stop, reset, close, unload while its thread is kept");
	added->count = 20;
	added = suite_add(suite, GROUP_LIFECYCLE, run_crowd, "kick: many threads, many queues, started and stopped");
	added->options = (struct guest_options){ .queues = 4, .num = 64, .event_idx = true };
	added->count = 30;
	added = suite_add(suite, GROUP_LIFECYCLE, run_crowd_on_null, "kick: many threads, many queues, a disk that ends at once");
	added->options = (struct guest_options){ .queues = 4, .num = 64 };
	added->count = 30;
	suite_set_row(suite, first, ROW_SAFETY);
	suite_add(suite, GROUP_LIFECYCLE, run_killed, "kick: owner killed while its thread is kept")->count = 20;
	suite_set_row(suite, first, ROW_OWNER);
}
