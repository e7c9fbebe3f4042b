// SPDX-License-Identifier: GPL-2.0-only
/* Devices started and stopped a thousand times beside one at work, or with other memory each time. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "effort.h"
#include "hostile.h"
#include "suite.h"

#define LOAD_DEPTH 8u
#define LOAD_BYTES 4096u
#define LOAD_SECTOR 32768u
#define IN_FLIGHT 6u

/* A guest that writes and reads back the same few blocks all the time. */
struct load {
	const struct disk *disk;
	bool stop;
	unsigned long requests;
};

static void *work(void *argument)
{
	struct load *load = argument;
	struct request request[2 * LOAD_DEPTH];
	struct guest guest;
	char data[LOAD_BYTES];

	at("guest at work");
	guest_create(&guest, &(struct guest_options){ .event_idx = true });
	guest_attach(&guest, load->disk->fd);
	for (unsigned i = 0; i < 2 * LOAD_DEPTH; i++)
		request_build(&request[i], &guest.memory,
			      &(struct request_shape){ .type = i < LOAD_DEPTH ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
						       .bytes = LOAD_BYTES });
	for (unsigned salt = 1; !__atomic_load_n(&load->stop, __ATOMIC_RELAXED); salt++) {
		for (unsigned i = 0; i < 2 * LOAD_DEPTH; i++) {
			uint64_t sector = LOAD_SECTOR + i % LOAD_DEPTH * (LOAD_BYTES / SECTOR);

			pattern_fill(data, sizeof(data), sector, salt);
			if (i < LOAD_DEPTH)
				request_set_data(&request[i], &guest.memory, data, sizeof(data));
			request_aim(&request[i], &guest.memory, sector);
			request_run(&request[i], &guest, 0);
			request_expect(&request[i], VIRTIO_BLK_S_OK);
			request_get_data(&request[i], &guest.memory, data, sizeof(data));
			pattern_expect("data read under load", data, sizeof(data), sector, salt);
			load->requests++;
		}
	}
	guest_close(&guest);
	return NULL;
}

static void take(struct guest *guest, unsigned count)
{
	struct request *answered;

	while (count) {
		ring_wait(&guest->ring[0]);
		while ((answered = request_pop(&guest->ring[0], &guest->memory))) {
			request_expect(answered, VIRTIO_BLK_S_OK);
			count--;
		}
	}
}

/* Memory and rings are those of one guest for all of them: making those takes longer than all the rest. */
static void once(struct guest *guest, struct request *request, const struct disk *disk, unsigned round)
{
	ring_restart(&guest->ring[0], (uint16_t)(round * 257));
	guest_adopt(guest);
	guest_attach(guest, disk->fd);
	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		request_aim(&request[i], &guest->memory, i * 64);
		request_add(&request[i], &guest->ring[0], &guest->memory);
	}
	ring_kick_always(&guest->ring[0]);
	switch (round % 4) {
	case 0:
		/* Closed with all that in flight. */
		break;
	case 1:
		guest_stop_queue(guest, 0);
		break;
	case 2:
		guest_detach(guest);
		break;
	default:
		take(guest, IN_FLIGHT);
	}
	close(guest->vhost);
}

static void run_under_load(const struct disk *disk, const struct check_case *self)
{
	struct load load = { .disk = disk };
	struct request request[IN_FLIGHT];
	struct guest guest;
	pthread_t thread;

	if (LOAD_BYTES % disk->block)
		skip("the disk's blocks are %u bytes", disk->block);
	guest_create(&guest, &self->options);
	close(guest.vhost);
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		request_build(&request[i], &guest.memory,
			      &(struct request_shape){ .type = VIRTIO_BLK_T_IN, .bytes = 8192, .indirect = i % 2 });
	if (pthread_create(&thread, NULL, work, &load))
		fail("can not start a thread");
	for (unsigned round = 0; round < effort_times(self->count); round++) {
		at("round %u", round);
		once(&guest, request, disk, round);
	}
	__atomic_store_n(&load.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	if (!load.requests)
		fail("expected the guest at work to get on, saw it stand still");
	note("%u times, %lu requests of the other guest", effort_times(self->count), load.requests);
	memory_expect_untouched(&guest.memory);
	hostile_expect_good_device(disk);
}

static void *map_data(void)
{
	void *data = mmap(NULL, DATA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (data == MAP_FAILED)
		fail_errno("can not map %lu bytes", DATA_BYTES);
	return data;
}

/*
 * Each time it starts, a device gets other memory for the same guest addresses, while that of the last time is gone: it
 * uses nothing but the new. The very first is kept to be looked at.
 */
static void run_other_memory(const struct disk *disk, const struct check_case *self)
{
	static const char untouched[4 * 8192];
	struct request request;
	struct memory *memory;
	struct guest guest;
	char data[8192], *first, *last = NULL;

	guest_create(&guest, &self->options);
	memory = &guest.memory;
	first = memory->region[1].hva;
	for (unsigned i = 0; i < self->count; i++) {
		at("round %u", i);
		memory->region[1].hva = map_data();
		if (memory_register(memory, guest.vhost))
			fail_errno("VHOST_SET_MEM_TABLE");
		if (last && munmap(last, DATA_BYTES))
			fail_errno("munmap");
		last = memory->region[1].hva;
		pattern_fill(data, sizeof(data), LOAD_SECTOR, i);
		disk_write(disk, LOAD_SECTOR * SECTOR, data, sizeof(data));
		memory_data_reset(memory);
		request_build(&request, memory, &(struct request_shape){
			.type = VIRTIO_BLK_T_IN, .bytes = sizeof(data), .data_cuts = { 4096 }, .sector = LOAD_SECTOR });
		guest_attach(&guest, disk->fd);
		request_run(&request, &guest, 0);
		request_expect(&request, VIRTIO_BLK_S_OK);
		request_get_data(&request, memory, data, sizeof(data));
		pattern_expect("data read to new memory", data, sizeof(data), LOAD_SECTOR, i);
		request_free(&request);
		guest_detach(&guest);
	}
	if (memcmp(first, untouched, sizeof(untouched)))
		fail("expected memory that was taken away before the start to stay as it was");
	memory->region[1].hva = first;
	guest_close(&guest);
}

static void run_unload(const struct disk *disk, const struct check_case *self)
{
	struct guest guest;

	(void)self;
	guest_create(&guest, &(struct guest_options){ 0 });
	guest_attach(&guest, disk->fd);
	if (!syscall(SYS_delete_module, "vhost_blk", O_NONBLOCK))
		fail("expected the module to stay while its device is open, saw it unload");
	if (errno == ENOENT)
		skip("the driver is not a module of the name vhost_blk");
	if (errno != EWOULDBLOCK)
		fail_errno("unloading the module while its device is open: expected EWOULDBLOCK, saw another error");
	guest_close(&guest);
	hostile_expect_good_device(disk);
}

void suite_add_restarts(struct suite *suite)
{
	struct check_case *added;
	unsigned first = suite->count;

	added = suite_add(suite, GROUP_LIFECYCLE, run_under_load, "open, start, stop, close under load");
	added->count = 250;
	added->options.event_idx = true;
	suite_add(suite, GROUP_LIFECYCLE, run_other_memory, "other guest memory each time it starts")->count = 10;
	suite_add(suite, GROUP_LIFECYCLE, run_unload, "module stays while its device is open")->row = ROW_SAFETY;
	suite_set_row(suite, first, ROW_CHANGE);
}
