// SPDX-License-Identifier: GPL-2.0-only
/* Memory that goes away or changes while the device looks at it, and guests that never stop. */
#define _GNU_SOURCE
#include <endian.h>
#include <linux/vhost.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "hostile.h"
#include "suite.h"
#include "watch.h"

#define HUGE_GPA 0x400000000ull
#define HUGE_BYTES (3ull << 30)
#define RUSH_MS 700

static bool stop_now(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_RELAXED);
}

static void sleep_ms(unsigned ms)
{
	struct timespec time = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&time, NULL);
}

/* Data in memory whose file was truncated: touching it is SIGBUS for a process, an error for the device. */
static void run_truncated(const struct disk *disk, const struct check_case *self)
{
	struct request request;
	struct guest guest;

	watch_begin(disk);
	guest_create(&guest, &self->options);
	guest_attach(&guest, disk->fd);
	request_build(&request, &guest.memory, &self->shape);
	/* Data, then header and status: only the data's pages are beyond the new end. */
	for (unsigned i = 0; i < request.readable + request.writable; i++)
		if (request.spans[i].len == self->shape.bytes)
			request.spans[i].gpa = DATA_GPA + 16 * MIB;
	if (ftruncate(guest.memory.memfd, RING_BYTES + 8 * MIB))
		fail_errno("ftruncate");
	request_add(&request, &guest.ring[0], &guest.memory);
	ring_kick(&guest.ring[0]);
	if (hostile_expect_answer(&guest.ring[0]) == RING_USED) {
		request_pop(&guest.ring[0], &guest.memory);
		if (request.status != VIRTIO_BLK_S_IOERR)
			fail("expected status IOERR, saw %s", request_status_name(request.status));
	}
	guest_detach(&guest);
	watch_expect(disk);
	guest_close(&guest);
	hostile_expect_good_device(disk);
}

/* The pages of the ring itself go away (count 0: unmapped, 1: read-only). */
static void run_ring_gone(const struct disk *disk, const struct check_case *self)
{
	struct request request;
	struct guest guest;

	guest_create(&guest, &self->options);
	guest_attach(&guest, disk->fd);
	request_build(&request, &guest.memory, &(struct request_shape){ .type = VIRTIO_BLK_T_IN, .bytes = 4096 });
	request_add(&request, &guest.ring[0], &guest.memory);
	if (self->count == 0 && mmap(guest.memory.region[0].hva, RING_BYTES, PROT_NONE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		fail_errno("mmap");
	if (self->count == 1 && mprotect(guest.memory.region[0].hva, RING_BYTES, PROT_READ))
		fail_errno("mprotect");
	ring_kick_always(&guest.ring[0]);
	/* The used ring can not be looked at any more: what counts is that stopping and closing come to an end. */
	sleep_ms(100);
	guest_detach(&guest);
	guest_close(&guest);
	hostile_expect_good_device(disk);
}

/* 2 GiB in one descriptor, all of it guest memory: refused for the disk's size before a page is touched. */
static void run_huge(const struct disk *disk, const struct check_case *self)
{
	char *hva = mmap(NULL, HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct { struct vhost_memory table; struct vhost_memory_region region[2]; } memory = { .table.nregions = 2 };
	struct request request;
	struct guest guest;

	if (hva == MAP_FAILED)
		skip("no 3 GiB of address space");
	if (disk->bytes >= HUGE_BYTES / 2)
		skip("the disk is too large for it");
	watch_begin(disk);
	guest_create(&guest, &self->options);
	request_build(&request, &guest.memory, &self->shape);
	for (unsigned i = 0; i < 2; i++) {
		struct vhost_memory_region *region = (struct vhost_memory_region *)(&memory.table + 1) + i;

		region->guest_phys_addr = i ? HUGE_GPA : DATA_GPA;
		region->memory_size = i ? HUGE_BYTES : DATA_BYTES;
		region->userspace_addr = (uintptr_t)(i ? hva : guest.memory.region[1].hva);
	}
	if (ioctl(guest.vhost, VHOST_SET_MEM_TABLE, &memory))
		fail_errno("VHOST_SET_MEM_TABLE");
	for (unsigned i = 0; i < request.readable + request.writable; i++)
		if (request.spans[i].len == self->shape.bytes)
			request.spans[i] = (struct span){ HUGE_GPA, 1u << 31 };
	guest_attach(&guest, disk->fd);
	ring_add(&guest.ring[0], &guest.memory, request.spans, request.readable, request.writable, 0, &request);
	ring_kick(&guest.ring[0]);
	note("%s", hostile_expect_answer(&guest.ring[0]) == RING_BROKEN ? "ring stopped" : "answered");
	guest_detach(&guest);
	watch_expect(disk);
	guest_close(&guest);
	hostile_expect_good_device(disk);
}

struct rush {
	struct guest *guest;
	bool stop;
	uint64_t turns;
};

/* Changes descriptors, header and indirect table as fast as it can while the device reads them. */
static void *mutate(void *argument)
{
	struct rush *rush = argument;
	struct ring *ring = &rush->guest->ring[0];
	uint64_t state = 88172645463325252ull;

	while (!stop_now(&rush->stop)) {
		struct vring_desc *desc = &ring->desc[state % ring->num];

		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		desc->len = htole32(state & 1 ? 512 : state & 2 ? 0xffffffffu : 16);
		desc->addr = htole64(state & 4 ? DATA_GPA + (state >> 40 & 0xfffff) : state);
		desc->flags = htole16((uint16_t)(state >> 8 & 7));
		desc->next = htole16((uint16_t)(state >> 16 & 0x1ff));
		rush->turns++;
	}
	return NULL;
}

/* Publishes more and more heads, whether they were used or not, kicking all the time. */
static void *publish_for_ever(void *argument)
{
	struct rush *rush = argument;
	struct ring *ring = &rush->guest->ring[0];

	while (!stop_now(&rush->stop)) {
		ring_publish(ring, (uint16_t)(ring_used_idx(ring) + ring->num));
		ring_kick_always(ring);
		rush->turns++;
	}
	return NULL;
}

static void *kick_for_ever(void *argument)
{
	struct rush *rush = argument;

	while (!stop_now(&rush->stop)) {
		ring_kick_always(&rush->guest->ring[0]);
		rush->turns++;
	}
	return NULL;
}

static void *(*const rushes[])(void *) = { mutate, publish_for_ever, kick_for_ever };

/* While one guest rushes, another gets its work done; then the first is closed in full run. */
static void run_rush(const struct disk *disk, const struct check_case *self)
{
	struct request requests[64];
	struct rush rush = { 0 };
	struct guest guest;
	pthread_t thread;

	guest_create(&guest, &(struct guest_options){ .num = 64 });
	rush.guest = &guest;
	for (unsigned i = 0; i < 64; i++) {
		request_build(&requests[i], &guest.memory,
			      &(struct request_shape){ .type = VIRTIO_BLK_T_IN, .bytes = 512, .sector = i, .indirect = true });
		ring_add(&guest.ring[0], &guest.memory, requests[i].spans, 1, 2, requests[i].table, &requests[i]);
	}
	guest_attach(&guest, disk->fd);
	if (pthread_create(&thread, NULL, rushes[self->count], &rush))
		fail("can not start a thread");
	sleep_ms(RUSH_MS);
	hostile_expect_good_device(disk);
	close(guest.vhost);
	__atomic_store_n(&rush.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	note("%llu turns", (unsigned long long)rush.turns);
	hostile_expect_good_device(disk);
}

void suite_add_hostile_memory(struct suite *suite)
{
	static const char *const rush_names[] = { "descriptors change all the time", "never-ending available ring",
						  "kick storm" };
	struct check_case *added;

	for (unsigned out = 0; out < 2; out++) {
		added = suite_add(suite, GROUP_HOSTILE, run_truncated, "memory: %s truncated memory",
				  out ? "write from" : "read to");
		added->shape = (struct request_shape){ .type = out, .bytes = 65536 };
		added = suite_add(suite, GROUP_HOSTILE, run_huge, "memory: 2 GiB %s in one descriptor",
				  out ? "write" : "read");
		added->shape = (struct request_shape){ .type = out, .bytes = 4096 };
		added = suite_add(suite, GROUP_HOSTILE, run_ring_gone, "memory: ring becomes %s",
				  out ? "read-only" : "unmapped");
		added->count = out;
	}
	for (unsigned i = 0; i < 3; i++)
		suite_add(suite, GROUP_HOSTILE, run_rush, "memory: %s", rush_names[i])->count = i;
}
