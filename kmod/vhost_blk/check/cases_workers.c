// SPDX-License-Identifier: GPL-2.0-only
/* Workers: their ioctls, which serves which queue, and queues that change to another one while requests are in flight. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "counters.h"
#include "expect.h"
#include "hostile.h"
#include "known.h"
#include "suite.h"

static int new_worker(const struct guest *guest, unsigned *id)
{
	struct vhost_worker_state state = { 0 };
	int ret = ioctl(guest->vhost, VHOST_NEW_WORKER, &state);

	*id = state.worker_id;
	return ret;
}

static int free_worker(const struct guest *guest, unsigned id)
{
	return ioctl(guest->vhost, VHOST_FREE_WORKER, &(struct vhost_worker_state){ id });
}

static int attach_worker(const struct guest *guest, unsigned queue, unsigned id)
{
	return ioctl(guest->vhost, VHOST_ATTACH_VRING_WORKER, &(struct vhost_vring_worker){ queue, id });
}

/* The worker of @queue or -1 with errno. */
static int worker_of(const struct guest *guest, unsigned queue)
{
	struct vhost_vring_worker vring = { queue, 0xdeadbeef };

	return ioctl(guest->vhost, VHOST_GET_VRING_WORKER, &vring) ? -1 : (int)vring.worker_id;
}

static int set_nworkers(const struct guest *guest, int count)
{
	return ioctl(guest->vhost, VHOST_SET_NWORKERS, &count);
}

static void expect_new_worker(const struct guest *guest, unsigned wanted)
{
	unsigned id;

	if (new_worker(guest, &id))
		fail_errno("VHOST_NEW_WORKER");
	if (id != wanted)
		fail("VHOST_NEW_WORKER: expected id %u, saw %u", wanted, id);
}

static void expect_worker(const struct guest *guest, unsigned queue, int wanted)
{
	int id = worker_of(guest, queue);

	if (id != wanted)
		fail("queue %u: expected worker %d, saw %d", queue, wanted, id);
}

static void run_ioctls(const struct disk *disk, const struct check_case *self)
{
	struct request request;
	struct guest guest;
	unsigned id;

	(void)self;
	guest = (struct guest){ .vhost = open(VHOST_BLK_DEVICE, O_RDWR | O_CLOEXEC) };
	expect_errno("NEW_WORKER without owner", new_worker(&guest, &id), EPERM);
	expect_errno("SET_NWORKERS without owner", set_nworkers(&guest, 2), EPERM);
	expect_errno("GET_VRING_WORKER without owner", worker_of(&guest, 0), EPERM);
	close(guest.vhost);
	guest_create(&guest, &(struct guest_options){ .queues = 2 });
	expect_errno("GET_VRING_WORKER before any start", worker_of(&guest, 0), EINVAL);
	expect_errno("GET_VRING_WORKER of queue 64", worker_of(&guest, VHOST_BLK_MAX_VQS), ENOBUFS);
	expect_errno("ATTACH_VRING_WORKER, no workers", attach_worker(&guest, 0, 0), ENODEV);
	expect_errno("FREE_WORKER, no workers", free_worker(&guest, 0), ENODEV);
	expect_errno("NEW_WORKER, bad address", ioctl(guest.vhost, VHOST_NEW_WORKER, (void *)8), EFAULT);
	expect_errno("FREE_WORKER, bad address", ioctl(guest.vhost, VHOST_FREE_WORKER, (void *)8), EFAULT);
	expect_errno("ATTACH, bad address", ioctl(guest.vhost, VHOST_ATTACH_VRING_WORKER, (void *)8), EFAULT);
	/* What the bad address could not be told is not there either. */
	expect_new_worker(&guest, 0);
	expect_new_worker(&guest, 1);
	must("ATTACH_VRING_WORKER", attach_worker(&guest, 0, 1));
	expect_worker(&guest, 0, 1);
	expect_errno("ATTACH of queue 64", attach_worker(&guest, VHOST_BLK_MAX_VQS, 1), ENOBUFS);
	expect_errno("ATTACH of queue 2^32-1", attach_worker(&guest, 0xffffffff, 1), ENOBUFS);
	expect_errno("ATTACH to worker 64", attach_worker(&guest, 0, VHOST_BLK_MAX_WORKERS), ENODEV);
	expect_errno("ATTACH to worker 2^32-1", attach_worker(&guest, 0, 0xffffffff), ENODEV);
	expect_errno("FREE_WORKER in use", free_worker(&guest, 1), EBUSY);
	must("FREE_WORKER 0", free_worker(&guest, 0));
	expect_errno("FREE_WORKER twice", free_worker(&guest, 0), ENODEV);
	guest_attach(&guest, disk->fd);
	expect_worker(&guest, 0, 1);
	expect_worker(&guest, 1, 1);
	known_prepare(disk, &guest, &request);
	known_read(&guest, &request, 0);
	known_read(&guest, &request, 1);
	expect_errno("FREE_WORKER of running queues", free_worker(&guest, 1), EBUSY);
	guest_detach(&guest);
	expect_errno("FREE_WORKER of stopped queues", free_worker(&guest, 1), EBUSY);
	expect_new_worker(&guest, 0);
	guest_close(&guest);
}

static void run_limit(const struct disk *disk, const struct check_case *self)
{
	struct guest guest;
	unsigned id;

	(void)self;
	guest_create(&guest, &(struct guest_options){ .queues = 1 });
	for (id = 0; id < VHOST_BLK_MAX_WORKERS; id++)
		expect_new_worker(&guest, id);
	expect_errno("a 65th worker", new_worker(&guest, &id), ENOSPC);
	must("FREE_WORKER 17", free_worker(&guest, 17));
	expect_new_worker(&guest, 17);
	must("VHOST_RESET_OWNER", ioctl(guest.vhost, VHOST_RESET_OWNER));
	must("VHOST_SET_OWNER", ioctl(guest.vhost, VHOST_SET_OWNER));
	expect_errno("GET_VRING_WORKER after reset", worker_of(&guest, 0), EINVAL);
	expect_new_worker(&guest, 0);
	guest_close(&guest);
	hostile_expect_good_device(disk);
}

/* How many of the guest's queues each worker serves; fails the case for a worker that can not be. */
static unsigned count_workers(const struct guest *guest, unsigned *queues)
{
	unsigned used = 0;

	memset(queues, 0, VHOST_BLK_MAX_WORKERS * sizeof(*queues));
	for (unsigned i = 0; i < guest->queues; i++) {
		int id = worker_of(guest, i);

		if (id < 0 || id >= VHOST_BLK_MAX_WORKERS)
			fail("queue %u: expected a worker, saw %d", i, id);
		used += queues[id]++ == 0;
	}
	return used;
}

static void run_ceiling(const struct disk *disk, const struct check_case *self)
{
	unsigned queues[VHOST_BLK_MAX_WORKERS], id;
	struct guest guest;

	(void)self;
	guest_create(&guest, &(struct guest_options){ .queues = 6, .num = 64 });
	expect_errno("SET_NWORKERS 0", set_nworkers(&guest, 0), EINVAL);
	expect_errno("SET_NWORKERS -1", set_nworkers(&guest, -1), EINVAL);
	expect_errno("SET_NWORKERS, bad address", ioctl(guest.vhost, VHOST_SET_NWORKERS, (void *)8), EFAULT);
	must("SET_NWORKERS 1", set_nworkers(&guest, 1));
	guest_attach(&guest, disk->fd);
	if (count_workers(&guest, queues) != 1)
		fail("expected 1 worker for 6 queues, saw %u", count_workers(&guest, queues));
	must("SET_NWORKERS 3", set_nworkers(&guest, 3));
	if (count_workers(&guest, queues) != 1)
		fail("expected running queues to stay where they are, saw %u workers", count_workers(&guest, queues));
	known_read_all(disk, &guest);
	guest_detach(&guest);
	expect_errno("SET_NWORKERS 2 of 3", set_nworkers(&guest, 2), EINVAL);
	must("SET_NWORKERS 3 again", set_nworkers(&guest, 3));
	guest_attach(&guest, disk->fd);
	if (count_workers(&guest, queues) != 3 || queues[0] != 2 || queues[1] != 2 || queues[2] != 2)
		fail("expected 2 queues for each of 3 workers, saw %u, %u, %u", queues[0], queues[1], queues[2]);
	known_read_all(disk, &guest);
	must("SET_NWORKERS 1000", set_nworkers(&guest, 1000));
	expect_errno("a 65th worker", new_worker(&guest, &id), ENOSPC);
	guest_close(&guest);
}

/* Nobody asks for workers: the module parameter tells how many there are, and queues are spread evenly. */
static void run_default(const struct disk *disk, const struct check_case *self)
{
	unsigned queues[VHOST_BLK_MAX_WORKERS], limit = parameter_get("workers"), used;
	struct guest guest;

	guest_create(&guest, &self->options);
	if (!limit)
		limit = (unsigned)get_nprocs();
	if (limit > guest.queues)
		limit = guest.queues;
	guest_attach(&guest, disk->fd);
	used = count_workers(&guest, queues);
	if (used != limit)
		fail("expected %u workers for %u queues, saw %u", limit, guest.queues, used);
	for (unsigned id = 0; id < used; id++)
		if (queues[id] < guest.queues / used || queues[id] > guest.queues / used + 1)
			fail("worker %u: expected its share of %u queues, saw %u", id, guest.queues, queues[id]);
	known_read_all(disk, &guest);
	guest_close(&guest);
	note("%u workers", used);
}

/* A queue that is kept busy by a thread of its own. */
struct busy_queue {
	struct guest *guest;
	struct request request;
	unsigned queue;
	atomic_bool stop;
	atomic_uint reads;
};

static void *keep_busy(void *argument)
{
	struct busy_queue *busy = argument;

	while (!busy->stop) {
		known_read(busy->guest, &busy->request, busy->queue);
		busy->reads++;
	}
	return NULL;
}

/* Running queues go from worker to worker, which come and go, too. */
static void run_reattach(const struct disk *disk, const struct check_case *self)
{
	struct busy_queue busy[2] = { 0 };
	pthread_t threads[2];
	struct guest guest;
	unsigned id;

	guest_create(&guest, &self->options);
	expect_new_worker(&guest, 0);
	guest_attach(&guest, disk->fd);
	for (unsigned i = 0; i < 2; i++) {
		busy[i].guest = &guest;
		busy[i].queue = i;
		known_prepare(disk, &guest, &busy[i].request);
	}
	for (unsigned i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, keep_busy, &busy[i]))
			fail("can not start a thread");
	for (unsigned i = 0; i < self->count; i++) {
		unsigned old = (unsigned)worker_of(&guest, 0);

		must("VHOST_NEW_WORKER", new_worker(&guest, &id));
		for (unsigned queue = 0; queue < 2; queue++) {
			must("ATTACH_VRING_WORKER of a running queue", attach_worker(&guest, queue, id));
			expect_worker(&guest, queue, (int)id);
		}
		must("FREE_WORKER of the former one", free_worker(&guest, old));
		usleep(1000);
	}
	for (unsigned i = 0; i < 2; i++) {
		unsigned before = busy[i].reads;

		for (unsigned waited = 0; busy[i].reads == before; waited++) {
			if (waited > COMPLETION_MS)
				fail("queue %u: expected it to go on, saw no read in %d s", i, COMPLETION_MS / 1000);
			usleep(1000);
		}
		busy[i].stop = true;
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	note("%u changes, %u reads", 2 * self->count, busy[0].reads + busy[1].reads);
	guest_close(&guest);
}

/* Idle queues change, too: before the first start, after a stop. */
static void run_reattach_idle(const struct disk *disk, const struct check_case *self)
{
	struct guest guest;

	guest_create(&guest, &self->options);
	expect_new_worker(&guest, 0);
	expect_new_worker(&guest, 1);
	must("ATTACH before the start", attach_worker(&guest, 1, 1));
	guest_attach(&guest, disk->fd);
	expect_worker(&guest, 0, 0);
	expect_worker(&guest, 1, 1);
	known_read_all(disk, &guest);
	guest_detach(&guest);
	must("ATTACH behind the stop", attach_worker(&guest, 1, 0));
	must("FREE_WORKER 1", free_worker(&guest, 1));
	/* The owner's choice is not spread anew. */
	must("SET_NWORKERS 3", set_nworkers(&guest, 3));
	guest_attach(&guest, disk->fd);
	expect_worker(&guest, 1, 0);
	expect_worker(&guest, 0, 1);
	known_read_all(disk, &guest);
	guest_close(&guest);
}

/* One worker, one queue that is kept full, and one with a request now and then, which must not starve. */
static void run_fairness(const struct disk *disk, const struct check_case *self)
{
	struct request_shape big = { .type = VIRTIO_BLK_T_IN, .sector = 16384, .bytes = 65536 };
	struct busy_queue busy = { 0 };
	struct request flood;
	pthread_t thread;
	struct guest guest;
	unsigned answered = 0;
	uint32_t len;

	guest_create(&guest, &self->options);
	must("SET_NWORKERS 1", set_nworkers(&guest, 1));
	guest_attach(&guest, disk->fd);
	request_build(&flood, &guest.memory, &big);
	busy.guest = &guest;
	busy.queue = 1;
	known_prepare(disk, &guest, &busy.request);
	if (pthread_create(&thread, NULL, keep_busy, &busy))
		fail("can not start a thread");
	for (unsigned waited = 0; busy.reads < self->count; waited++) {
		if (answered > 1000 * self->count)
			fail("expected %u reads of the other queue, saw %u beside %u big ones", self->count, busy.reads,
			     answered);
		while (guest.ring[0].free_count >= flood.readable + flood.writable)
			request_add(&flood, &guest.ring[0], &guest.memory);
		ring_kick(&guest.ring[0]);
		ring_wait(&guest.ring[0]);
		for (; ring_pop(&guest.ring[0], &len); answered++)
			;
	}
	busy.stop = true;
	pthread_join(thread, NULL);
	note("%u reads beside %u big ones", busy.reads, answered);
	guest_close(&guest);
}

/* More data at once than may be in flight: the rest follows by itself, without a kick. */
static void run_more_than_fits(const struct disk *disk, const struct check_case *self)
{
	struct request_shape shape = { .type = VIRTIO_BLK_T_IN, .bytes = 1024 * 1024, .indirect = true };
	struct request request;
	struct guest guest;
	unsigned answered = 0;
	uint32_t len;

	guest_create(&guest, &self->options);
	guest_attach(&guest, disk->fd);
	request_build(&request, &guest.memory, &shape);
	for (unsigned i = 0; i < self->count; i++)
		request_add(&request, &guest.ring[0], &guest.memory);
	ring_kick(&guest.ring[0]);
	while (answered < self->count) {
		ring_wait(&guest.ring[0]);
		for (; ring_pop(&guest.ring[0], &len); answered++)
			if (len != shape.bytes + 1)
				fail("expected a used length of %u, saw %u", shape.bytes + 1, len);
	}
	guest_close(&guest);
}

static struct check_case *add(struct suite *suite, unsigned groups, const char *name,
			      void (*run)(const struct disk *, const struct check_case *), unsigned queues, unsigned num)
{
	struct check_case *added = suite_add(suite, groups, run, "%s", name);

	added->options = (struct guest_options){ .queues = queues, .num = num, .event_idx = true };
	return added;
}

void suite_add_workers(struct suite *suite)
{
	unsigned first = suite->count;

	add(suite, GROUP_FULL | GROUP_QUICK, "workers: ioctls and their errors", run_ioctls, 2, 0);
	add(suite, GROUP_FULL, "workers: 64 and not one more, reset", run_limit, 1, 0);
	add(suite, GROUP_FULL, "workers: SET_NWORKERS, a ceiling", run_ceiling, 6, 0);
	add(suite, GROUP_FULL, "workers: default number for 5 queues", run_default, 5, 64);
	add(suite, GROUP_FULL, "workers: idle queues change", run_reattach_idle, 2, 64);
	add(suite, GROUP_FULL | GROUP_LIFECYCLE, "workers: running queues change 40 times", run_reattach, 2, 64)->count = 40;
	add(suite, GROUP_FULL, "workers: a full queue leaves time for another", run_fairness, 2, 64)->count = 50;
	add(suite, GROUP_FULL, "128 requests of 1 MiB at once", run_more_than_fits, 1, 128)->count = 128;
	suite_set_row(suite, first, ROW_WORKERS);
}
