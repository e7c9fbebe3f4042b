// SPDX-License-Identifier: GPL-2.0-only
/* Devices that come and go: loops, close and kill with requests in flight, owners and backends that change. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "hostile.h"
#include "owner.h"
#include "suite.h"

#define IN_FLIGHT 64u
#define BIG_BYTES 262144u

static void read_once(struct guest *guest, unsigned queue)
{
	struct request request;

	request_build(&request, &guest->memory, &(struct request_shape){ .type = VIRTIO_BLK_T_IN, .bytes = 4096 });
	request_run(&request, guest, queue);
	request_expect(&request, VIRTIO_BLK_S_OK);
	request_free(&request);
}

/* Many requests for the same big buffer: only how long they take matters. */
static void fill_queue(struct guest *guest, uint32_t type)
{
	struct request_shape shape = { .type = type, .sector = 16384, .bytes = BIG_BYTES };
	struct request request;

	request_build(&request, &guest->memory, &shape);
	while (guest->ring[0].free_count >= request.readable + request.writable)
		request_add(&request, &guest->ring[0], &guest->memory);
	ring_kick(&guest->ring[0]);
	request_free(&request);
}

static void drain_queue(struct guest *guest)
{
	uint32_t len;

	while (ring_in_flight(&guest->ring[0])) {
		ring_wait(&guest->ring[0]);
		while (ring_pop(&guest->ring[0], &len))
			;
	}
}

static void run_open_close(const struct disk *disk, const struct check_case *self)
{
	for (unsigned i = 0; i < self->count; i++) {
		int fd = open(VHOST_BLK_DEVICE, O_RDWR | O_CLOEXEC);

		if (fd < 0)
			fail_errno("open %u of " VHOST_BLK_DEVICE, i + 1);
		if (i % 2 && ioctl(fd, VHOST_SET_OWNER))
			fail_errno("VHOST_SET_OWNER %u", i + 1);
		close(fd);
	}
	hostile_expect_good_device(disk);
}

static void run_start_stop(const struct disk *disk, const struct check_case *self)
{
	for (unsigned i = 0; i < self->count; i++) {
		struct guest guest;

		guest_create(&guest, &self->options);
		guest_attach(&guest, disk->fd);
		read_once(&guest, i % guest.queues);
		if (i % 3 == 0)
			guest_detach(&guest);
		if (i % 3 == 1)
			guest_stop_queue(&guest, 0);
		guest_close(&guest);
	}
}

static void run_close_in_flight(const struct disk *disk, const struct check_case *self)
{
	for (unsigned i = 0; i < self->count; i++) {
		struct guest guest;

		guest_create(&guest, &self->options);
		guest_attach(&guest, disk->fd);
		fill_queue(&guest, i % 2 ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN);
		guest_close(&guest);
	}
	hostile_expect_good_device(disk);
}

/* One device, its backend taken away and given back; another descriptor of the disk is as good as the first. */
static void run_reattach(const struct disk *disk, const struct check_case *self)
{
	struct guest guest;

	guest_create(&guest, &self->options);
	for (unsigned i = 0; i < self->count; i++) {
		int fd = disk_open(disk, O_RDWR);

		guest_attach(&guest, fd);
		if (!guest_set_backend(&guest, 0, disk->fd) || errno != EBUSY)
			fail("replacing a backend: expected EBUSY, saw %s", strerror(errno));
		/* The device keeps the disk open by itself. */
		close(fd);
		read_once(&guest, 0);
		guest_detach(&guest);
		memory_data_reset(&guest.memory);
	}
	guest_close(&guest);
}

static void run_detach_twice(const struct disk *disk, const struct check_case *self)
{
	struct guest guest;

	guest_create(&guest, &self->options);
	guest_detach(&guest);
	guest_attach(&guest, disk->fd);
	guest_detach(&guest);
	guest_detach(&guest);
	guest_attach(&guest, disk->fd);
	read_once(&guest, 0);
	guest_close(&guest);
}

static void run_reset_owner(const struct disk *disk, const struct check_case *self)
{
	struct guest guest;

	guest_create(&guest, &self->options);
	for (unsigned i = 0; i < self->count; i++) {
		guest_attach(&guest, disk->fd);
		fill_queue(&guest, VIRTIO_BLK_T_IN);
		if (ioctl(guest.vhost, VHOST_RESET_OWNER))
			fail_errno("VHOST_RESET_OWNER");
		if (!guest_set_backend(&guest, 0, disk->fd))
			fail("SET_BACKEND after RESET_OWNER: expected an error, saw success");
		if (ioctl(guest.vhost, VHOST_SET_OWNER) || ioctl(guest.vhost, VHOST_SET_FEATURES, &guest.features) ||
		    memory_register(&guest.memory, guest.vhost))
			fail_errno("set-up after VHOST_RESET_OWNER");
		ring_restart(&guest.ring[0], 0);
		memory_data_reset(&guest.memory);
		if (ring_register(&guest.ring[0], guest.vhost))
			fail_errno("ring set-up after VHOST_RESET_OWNER");
	}
	guest_attach(&guest, disk->fd);
	read_once(&guest, 0);
	guest_close(&guest);
}

struct busy_owner {
	const struct disk *disk;
	const struct guest_options *options;
};

/* Takes and forgets answers for ever, with the queue always full; ended by a signal. */
static void own(void *argument)
{
	const struct busy_owner *owner = argument;
	struct request request;
	struct guest guest;
	uint32_t len;

	guest_create(&guest, owner->options);
	guest_attach(&guest, owner->disk->fd);
	request_build(&request, &guest.memory,
		      &(struct request_shape){ .type = VIRTIO_BLK_T_OUT, .sector = 16384, .bytes = BIG_BYTES });
	for (bool first = true;; first = false) {
		while (guest.ring[0].free_count >= 3)
			request_add(&request, &guest.ring[0], &guest.memory);
		ring_kick(&guest.ring[0]);
		if (first)
			owner_ready();
		ring_wait(&guest.ring[0]);
		while (ring_pop(&guest.ring[0], &len))
			;
	}
}

static void run_kill_owner(const struct disk *disk, const struct check_case *self)
{
	struct busy_owner owner = { disk, &self->options };

	for (unsigned i = 0; i < self->count; i++) {
		pid_t pid = owner_start(own, &owner);

		nanosleep(&(struct timespec){ 0, (long)i * 3000000 }, NULL);
		kill(pid, SIGKILL);
		owner_expect_gone(pid);
	}
	hostile_expect_good_device(disk);
}

/* A child that inherited the device keeps it open after its owner is gone: nothing may run on, nothing may crash. */
static void run_inherited(const struct disk *disk, const struct check_case *self)
{
	struct guest guest;
	pid_t pid;

	guest_create(&guest, &self->options);
	guest_attach(&guest, disk->fd);
	fill_queue(&guest, VIRTIO_BLK_T_IN);
	pid = fork();
	if (pid < 0)
		fail_errno("fork");
	if (pid == 0) {
		struct vhost_vring_state num = { 0, 256 };

		if (!ioctl(guest.vhost, VHOST_SET_VRING_NUM, &num) || errno != EPERM)
			fail("ioctl of a process that is not the owner: expected EPERM, saw %s", strerror(errno));
		_exit(0);
	}
	owner_expect_gone(pid);
	drain_queue(&guest);
	read_once(&guest, 0);
	guest_close(&guest);
}

static void run_two_devices(const struct disk *disk, const struct check_case *self)
{
	struct guest first, second;

	guest_create(&first, &self->options);
	guest_create(&second, &self->options);
	guest_attach(&first, disk->fd);
	guest_attach(&second, disk->fd);
	for (unsigned i = 0; i < self->count; i++) {
		read_once(&first, 0);
		read_once(&second, 0);
		memory_data_reset(&first.memory);
		memory_data_reset(&second.memory);
	}
	guest_close(&first);
	read_once(&second, 0);
	guest_close(&second);
}

/* The memory table is given anew while requests are in flight: they finish with the old one, new ones use the new. */
static void run_table_in_flight(const struct disk *disk, const struct check_case *self)
{
	struct guest guest;

	guest_create(&guest, &self->options);
	guest_attach(&guest, disk->fd);
	for (unsigned i = 0; i < self->count; i++) {
		fill_queue(&guest, VIRTIO_BLK_T_IN);
		if (memory_register(&guest.memory, guest.vhost) && errno != EBUSY)
			fail_errno("VHOST_SET_MEM_TABLE while running");
		drain_queue(&guest);
		memory_data_reset(&guest.memory);
	}
	read_once(&guest, 0);
	guest_close(&guest);
}

void suite_add_lifecycle(struct suite *suite)
{
	unsigned first = suite->count;
	struct check_case *added;

	suite_add(suite, GROUP_LIFECYCLE, run_open_close, "open and close 300 times")->count = 300;
	added = suite_add(suite, GROUP_LIFECYCLE, run_start_stop, "start, read, stop 150 times");
	added->count = 150;
	added->options = (struct guest_options){ .queues = 4, .num = 64, .event_idx = true };
	added = suite_add(suite, GROUP_LIFECYCLE | GROUP_QUICK, run_start_stop, "start, read, stop 3 times");
	added->count = 3;
	added->options = (struct guest_options){ .queues = 2, .num = 64 };
	suite_add(suite, GROUP_LIFECYCLE, run_close_in_flight, "close with requests in flight 40 times")->count = 40;
	suite_add(suite, GROUP_LIFECYCLE, run_reattach, "detach, attach, EBUSY 40 times")->count = 40;
	suite_add(suite, GROUP_LIFECYCLE, run_detach_twice, "detach without a backend");
	suite_add(suite, GROUP_LIFECYCLE, run_reset_owner, "reset owner with requests in flight 10 times")->count = 10;
	added = suite_add(suite, GROUP_LIFECYCLE, run_kill_owner, "owner killed with requests in flight 12 times");
	added->row = ROW_OWNER;
	added->count = 12;
	added->options.event_idx = true;
	suite_add(suite, GROUP_LIFECYCLE, run_inherited, "ioctl of a process that is not the owner")->row = ROW_SAFETY;
	suite_add(suite, GROUP_LIFECYCLE, run_two_devices, "two devices on one disk")->count = 50;
	suite_add(suite, GROUP_LIFECYCLE, run_table_in_flight, "memory table given anew in flight 20 times")->count = 20;
	suite_set_row(suite, first, ROW_CHANGE);
}
