// SPDX-License-Identifier: GPL-2.0-only
/* Translations that are taken away from requests in flight. */
#include <linux/vhost.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "counters.h"
#include "hostile.h"
#include "iommu.h"
#include "mapper.h"
#include "suite.h"

/* Long enough for a call that does not wait to return. */
#define HELD_MS 300u

#define FLYING 64u
#define FLYING_BYTES 65536u

static void submit_many(struct request *requests, struct guest *guest, uint64_t gpa)
{
	for (unsigned i = 0; i < FLYING; i++) {
		request_build(&requests[i], &guest->memory,
			      &(struct request_shape){ .type = VIRTIO_BLK_T_IN, .bytes = FLYING_BYTES, .sector = 8 * i,
						       .indirect = true, .misalign = i % 3 == 0 ? 8 : 0 });
		/* The table that the device reads is written by request_add(). */
		requests[i].spans[1].gpa = gpa + i * (FLYING_BYTES + 512) + (i % 3 == 0 ? 8 : 0);
		request_add(&requests[i], &guest->ring[0], &guest->memory);
	}
	ring_kick_always(&guest->ring[0]);
}

/* A disk that holds requests in flight from mapper_suspend() to mapper_resume(). */
static int open_mapped_disk(struct mapper *mapper)
{
	struct mapper_part whole = { .target = "linear" };
	struct disk disk;

	disk_scratch(&disk);
	whole.sectors = disk.bytes / SECTOR;
	snprintf(whole.parameters, sizeof(whole.parameters), "%s 0", disk.path);
	mapper_create(mapper, "held", &whole, 1);
	/* The mapper has it open. */
	close(disk.fd);
	close(disk.content);
	return mapper->fd;
}

static void wait_in_flight(unsigned wanted)
{
	struct counters counters;

	for (unsigned waited = 0;; waited++) {
		counters_read(0, &counters);
		if (counters_get(&counters, "in_flight") == wanted)
			return;
		if (waited > HOSTILE_MS)
			fail("expected %u requests in flight, saw %llu", wanted, counters_get(&counters, "in_flight"));
		usleep(1000);
	}
}

static unsigned take_answers(struct guest *guest)
{
	unsigned answered = 0;

	for (struct request *one; (one = request_pop(&guest->ring[0], &guest->memory)); answered++) {
		request_expect(one, VIRTIO_BLK_S_OK);
		request_free(one);
	}
	return answered;
}

/* Waits for the answers that are left of FLYING. */
static void take_rest(struct guest *guest, unsigned answered)
{
	while (answered < FLYING) {
		ring_wait(&guest->ring[0]);
		answered += take_answers(guest);
	}
}

static void expect_counted(const struct guest *guest, unsigned requests)
{
	if (guest_stop_queue(guest, 0) != requests)
		fail("expected all requests to be counted, saw another base");
}

struct invalidation {
	const struct guest *guest;
	uint64_t iova;
	size_t bytes;
	atomic_bool done;
};

static void *invalidate(void *argument)
{
	struct invalidation *invalidation = argument;

	iommu_invalidate(invalidation->guest, invalidation->iova, invalidation->bytes);
	invalidation->done = true;
	return NULL;
}

/* Data of requests in flight is taken away: that is not answered before they have ended. */
static void run_invalidate_held(const struct disk *unused, const struct check_case *self)
{
	const size_t bytes = FLYING * (FLYING_BYTES + 512);
	struct invalidation invalidation = { .iova = IOMMU_DATA, .bytes = bytes };
	struct request requests[FLYING];
	struct mapper mapper;
	struct iommu iommu;
	struct guest guest;
	pthread_t thread;

	(void)unused;
	counters_require();
	iommu_start(&iommu, &guest, &self->options, open_mapped_disk(&mapper));
	iommu_update(&guest, IOMMU_DATA, bytes, memory_at(&guest.memory, IOMMU_DATA, bytes), VHOST_ACCESS_RW);
	mapper_suspend(&mapper);
	submit_many(requests, &guest, IOMMU_DATA);
	wait_in_flight(FLYING);
	invalidation.guest = &guest;
	if (pthread_create(&thread, NULL, invalidate, &invalidation))
		fail("can not start a thread");
	usleep(HELD_MS * 1000);
	if (invalidation.done)
		fail("expected the invalidation to wait for %u requests in flight, saw it return", FLYING);
	mapper_resume(&mapper);
	pthread_join(thread, NULL);
	take_rest(&guest, 0);
	guest_close(&guest);
	mapper_remove(&mapper);
}

/* Data of requests in flight is taken away: when that has been taken note of, nothing is written there any more. */
static void run_invalidate_in_flight(const struct disk *disk, const struct check_case *self)
{
	const size_t bytes = FLYING * (FLYING_BYTES + 512);
	struct request requests[FLYING];
	struct iommu iommu;
	struct guest guest;
	char *place;

	iommu_start(&iommu, &guest, &self->options, disk->fd);
	place = memory_at(&guest.memory, IOMMU_DATA, bytes);
	iommu_update(&guest, IOMMU_DATA, bytes, place, VHOST_ACCESS_RW);
	submit_many(requests, &guest, IOMMU_DATA);
	iommu_invalidate(&guest, IOMMU_DATA, bytes);
	memset(place, 0x5a, bytes);
	/* Those that are left wait for a translation, which is at another place. */
	iommu_update(&guest, IOMMU_DATA, bytes, memory_at(&guest.memory, IOMMU_DATA + bytes, bytes), VHOST_ACCESS_RW);
	take_rest(&guest, 0);
	guest_detach(&guest);
	for (size_t i = 0; i < bytes; i++)
		if (place[i] != 0x5a)
			fail("expected nothing to be written after the invalidation, saw byte %zu of it", i);
	guest_close(&guest);
}

/* Everything is taken away with requests in flight, ring included; nothing waits for itself, and no answer is lost. */
static void run_invalidate_all(const struct disk *disk, const struct check_case *self)
{
	struct request requests[FLYING];
	struct iommu iommu;
	struct guest guest;

	iommu_create(&iommu, &guest, &self->options);
	iommu_map_all(&iommu, VHOST_ACCESS_RW);
	guest_attach(&guest, disk->fd);
	for (unsigned round = 0; round < self->count; round++) {
		submit_many(requests, &guest, IOMMU_DATA);
		for (unsigned i = 0; i < 3; i++) {
			iommu_invalidate(&guest, 0, UINT64_MAX);
			if (i % 2)
				continue;
			iommu_map_all(&iommu, VHOST_ACCESS_RW);
		}
		iommu_invalidate(&guest, 0, UINT64_MAX);
		iommu_map_all(&iommu, VHOST_ACCESS_RW);
		take_rest(&guest, 0);
		memory_data_reset(&guest.memory);
	}
	expect_counted(&guest, self->count * FLYING);
	guest_close(&guest);
}

/* The ring alone is taken away: requests end meanwhile, and are answered when it is given back, each once. */
static void run_answers_deferred(const struct disk *unused, const struct check_case *self)
{
	struct request requests[FLYING];
	struct mapper mapper;
	struct iommu iommu;
	struct guest guest;
	char *rings;

	(void)unused;
	counters_require();
	iommu_create(&iommu, &guest, &self->options);
	iommu_map_all(&iommu, VHOST_ACCESS_RW);
	guest_attach(&guest, open_mapped_disk(&mapper));
	rings = guest.memory.region[0].hva;
	for (unsigned round = 0; round < self->count; round++) {
		mapper_suspend(&mapper);
		submit_many(requests, &guest, IOMMU_DATA);
		wait_in_flight(FLYING);
		iommu_invalidate(&guest, (uintptr_t)rings, RING_BYTES);
		mapper_resume(&mapper);
		wait_in_flight(0);
		if (take_answers(&guest))
			fail("expected no answer in a ring that was taken away, saw some");
		iommu_update(&guest, (uintptr_t)rings, RING_BYTES, rings, VHOST_ACCESS_RW);
		take_rest(&guest, 0);
		memory_data_reset(&guest.memory);
	}
	expect_counted(&guest, self->count * FLYING);
	guest_close(&guest);
	mapper_remove(&mapper);
}

void suite_add_iotlb_flight(struct suite *suite)
{
	suite_add(suite, GROUP_FULL | GROUP_QUICK, run_invalidate_in_flight, "iotlb: data invalidated in flight");
	suite_add(suite, GROUP_FULL, run_invalidate_held, "iotlb: data invalidated while a disk holds the requests");
	suite_add(suite, GROUP_FULL, run_answers_deferred, "iotlb: ring taken away with requests in flight")->count = 3;
	suite_add(suite, GROUP_FULL | GROUP_QUICK, run_invalidate_all, "iotlb: all invalidated in flight")->count = 5;
}
