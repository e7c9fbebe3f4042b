// SPDX-License-Identifier: GPL-2.0-only
/* Depth, index wrap, several queues at once, notifications. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suite.h"

#define SLOT_BYTES 4096u
#define SLOT_SECTORS (SLOT_BYTES / SECTOR)

/* A queue's own part of the disk and guest memory, so that queues need no lock between them. */
struct stream_load {
	struct guest *guest;
	unsigned queue, depth, requests;
	uint64_t first_sector;
	struct request *slots;
	uint64_t salt;
};

static void prepare_load(struct stream_load *load, bool indirect)
{
	load->slots = calloc(load->depth, sizeof(*load->slots));
	if (!load->slots)
		fail("out of memory");
	for (unsigned i = 0; i < load->depth; i++)
		request_build(&load->slots[i], &load->guest->memory,
			      &(struct request_shape){ .type = VIRTIO_BLK_T_OUT, .bytes = SLOT_BYTES, .indirect = indirect });
}

static void submit(struct stream_load *load, struct request *slot, uint32_t type)
{
	struct memory *memory = &load->guest->memory;
	uint64_t sector = load->first_sector + (uint64_t)(slot - load->slots) * SLOT_SECTORS;
	char data[SLOT_BYTES];

	if (type != slot->shape.type) {
		/* The same spans serve the other direction once header, data and status change places. */
		struct span status = slot->spans[slot->readable + slot->writable - 1];
		struct span header = slot->spans[0];
		struct span body = slot->spans[1];

		slot->spans[0] = header;
		slot->spans[1] = body;
		slot->spans[2] = status;
		slot->readable = type == VIRTIO_BLK_T_OUT ? 2 : 1;
		slot->writable = 3 - slot->readable;
		slot->writable_bytes = type == VIRTIO_BLK_T_OUT ? 1 : SLOT_BYTES + 1;
		slot->shape.type = type;
	}
	pattern_fill(data, sizeof(data), sector, type == VIRTIO_BLK_T_OUT ? load->salt : ~load->salt);
	request_set_data(slot, memory, data, sizeof(data));
	request_aim(slot, memory, sector);
	request_add(slot, &load->guest->ring[load->queue], memory);
}

static void verify(struct stream_load *load, struct request *slot)
{
	char data[SLOT_BYTES];

	request_expect(slot, VIRTIO_BLK_S_OK);
	if (request_writes(slot))
		return;
	request_get_data(slot, &load->guest->memory, data, sizeof(data));
	pattern_expect("data read", data, sizeof(data), slot->shape.sector, load->salt);
}

/* Writes every slot, then keeps the queue full: each slot reads back what it wrote, then writes it again, and so on. */
static void *drive(void *argument)
{
	struct stream_load *load = argument;
	struct ring *ring = &load->guest->ring[load->queue];
	unsigned submitted = 0, done = 0;

	for (; submitted < load->depth && submitted < load->requests; submitted++)
		submit(load, &load->slots[submitted], VIRTIO_BLK_T_OUT);
	ring_kick(ring);
	while (done < load->requests) {
		struct request *slot;

		ring_wait(ring);
		while ((slot = request_pop(ring, &load->guest->memory))) {
			verify(load, slot);
			done++;
			if (submitted < load->requests) {
				submit(load, slot, request_writes(slot) ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT);
				submitted++;
			}
		}
		ring_kick(ring);
	}
	if (ring_in_flight(ring))
		fail("queue %u: expected nothing in flight, saw %u", load->queue, ring_in_flight(ring));
	return NULL;
}

static void expect_on_disk(const struct disk *disk, const struct stream_load *load)
{
	size_t bytes = (size_t)load->depth * SLOT_BYTES;
	char *data = malloc(bytes);

	if (!data)
		fail("out of memory");
	disk_read(disk, load->first_sector * SECTOR, data, bytes);
	pattern_expect("disk", data, bytes, load->first_sector, load->salt);
	free(data);
}

static void run_load(const struct disk *disk, const struct check_case *self)
{
	unsigned queues = self->options.queues ? self->options.queues : 1;
	unsigned num = self->options.num ? self->options.num : 256;
	unsigned depth = self->shape.indirect ? num : num / 3;
	struct stream_load loads[GUEST_MAX_QUEUES];
	pthread_t threads[GUEST_MAX_QUEUES];
	unsigned long kicks = 0, signals = 0;
	struct guest guest;

	if (SLOT_BYTES % disk->block)
		skip("the disk's blocks are %u bytes", disk->block);
	guest_create(&guest, &self->options);
	guest_attach(&guest, disk->fd);
	for (unsigned i = 0; i < queues; i++) {
		loads[i] = (struct stream_load){
			.guest = &guest, .queue = i, .depth = depth, .requests = self->count,
			.first_sector = 256 + (uint64_t)i * num * SLOT_SECTORS, .salt = 100 + i,
		};
		prepare_load(&loads[i], self->shape.indirect);
	}
	for (unsigned i = 0; i < queues; i++)
		if (pthread_create(&threads[i], NULL, drive, &loads[i]))
			fail("can not start a thread");
	for (unsigned i = 0; i < queues; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < queues; i++) {
		expect_on_disk(disk, &loads[i]);
		kicks += guest.ring[i].kicks;
		signals += guest.ring[i].signals;
	}
	note("%u requests, %lu kicks, %lu signals", queues * self->count, kicks, signals);
	guest_close(&guest);
}

/* With the interrupt flag set, completions come without any signal. */
static void run_no_interrupt(const struct disk *disk, const struct check_case *self)
{
	struct request request;
	struct guest guest;
	uint64_t count;

	guest_create(&guest, &self->options);
	guest_attach(&guest, disk->fd);
	guest.ring[0].avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	request_build(&request, &guest.memory, &(struct request_shape){ .type = VIRTIO_BLK_T_IN, .bytes = 4096 });
	request_add(&request, &guest.ring[0], &guest.memory);
	ring_kick(&guest.ring[0]);
	for (unsigned waited = 0; !request_pop(&guest.ring[0], &guest.memory); waited++) {
		if (waited > COMPLETION_MS)
			fail("expected a completion, saw none in %d s", COMPLETION_MS / 1000);
		usleep(1000);
	}
	request_expect(&request, VIRTIO_BLK_S_OK);
	guest_detach(&guest);
	if (read(guest.ring[0].call, &count, sizeof(count)) > 0)
		fail("expected no signal, saw %llu", (unsigned long long)count);
	guest_close(&guest);
}

/* Only one of several queues has a backend: it works, and a kick of another does nothing until it gets one, too. */
static void run_one_queue_started(const struct disk *disk, const struct check_case *self)
{
	struct request request, late;
	struct guest guest;

	guest_create(&guest, &self->options);
	if (guest_set_backend(&guest, 2, disk->fd))
		fail_errno("VHOST_BLK_SET_BACKEND of queue 2");
	request_build(&late, &guest.memory, &(struct request_shape){ .type = VIRTIO_BLK_T_IN, .bytes = 4096 });
	request_add(&late, &guest.ring[1], &guest.memory);
	ring_kick(&guest.ring[1]);
	request_build(&request, &guest.memory, &(struct request_shape){ .type = VIRTIO_BLK_T_IN, .bytes = 4096 });
	request_run(&request, &guest, 2);
	request_expect(&request, VIRTIO_BLK_S_OK);
	if (ring_used_idx(&guest.ring[1]) != 0)
		fail("expected nothing from a queue without backend, saw used index %u", ring_used_idx(&guest.ring[1]));
	if (guest_set_backend(&guest, 1, disk->fd))
		fail_errno("VHOST_BLK_SET_BACKEND of queue 1");
	ring_kick_always(&guest.ring[1]);
	ring_wait(&guest.ring[1]);
	if (request_pop(&guest.ring[1], &guest.memory) != &late)
		fail("expected the late request's answer, saw another");
	request_expect(&late, VIRTIO_BLK_S_OK);
	guest_close(&guest);
}

static void add_load(struct suite *suite, unsigned groups, const char *name, struct guest_options options,
		     bool indirect, unsigned requests)
{
	struct check_case *added = suite_add(suite, groups, run_load, "%s", name);

	added->row = options.queues > 1 ? ROW_QUEUES : NULL;
	added->options = options;
	added->shape.indirect = indirect;
	added->count = requests;
}

void suite_add_queues(struct suite *suite)
{
	unsigned first = suite->count;
	struct check_case *added;

	add_load(suite, GROUP_FULL | GROUP_QUICK, "queue full, direct", (struct guest_options){ .num = 128 }, false, 300);
	add_load(suite, GROUP_FULL, "queue full, direct event_idx", (struct guest_options){ .event_idx = true }, false, 2000);
	add_load(suite, GROUP_FULL, "queue full, indirect", (struct guest_options){ .num = 256 }, true, 2000);
	add_load(suite, GROUP_FULL, "queue of 4 entries full, direct event_idx",
		 (struct guest_options){ .num = 4, .event_idx = true }, false, 200);
	add_load(suite, GROUP_FULL, "queue of 1024 entries full, indirect event_idx",
		 (struct guest_options){ .num = 1024, .event_idx = true }, true, 3000);
	add_load(suite, GROUP_FULL | GROUP_QUICK, "2 queues at once, indirect event_idx",
		 (struct guest_options){ .queues = 2, .num = 64, .event_idx = true }, true, 300);
	add_load(suite, GROUP_FULL, "4 queues at once, direct",
		 (struct guest_options){ .queues = 4, .num = 256 }, false, 1000);
	add_load(suite, GROUP_FULL, "16 queues at once, indirect event_idx",
		 (struct guest_options){ .queues = 16, .num = 64, .event_idx = true }, true, 500);
	add_load(suite, GROUP_FULL, "64 queues at once, indirect event_idx",
		 (struct guest_options){ .queues = 64, .num = 16, .event_idx = true }, true, 60);
	add_load(suite, GROUP_FULL | GROUP_QUICK, "indexes wrap after 65535",
		 (struct guest_options){ .num = 64, .base = 65500, .event_idx = true }, true, 200);
	add_load(suite, GROUP_FULL, "indexes wrap after 65535, without event_idx",
		 (struct guest_options){ .num = 128, .base = 65500 }, false, 500);
	add_load(suite, GROUP_FULL, "70000 requests through one ring",
		 (struct guest_options){ .num = 256, .event_idx = true }, true, 70000);
	suite_add(suite, GROUP_FULL, run_no_interrupt, "no signal when the guest wants none");
	added = suite_add(suite, GROUP_FULL, run_one_queue_started, "only one of 4 queues started, then a second");
	added->row = ROW_QUEUES;
	added->options = (struct guest_options){ .queues = 4, .event_idx = true };
	suite_set_row(suite, first, ROW_FEATURES);
}
