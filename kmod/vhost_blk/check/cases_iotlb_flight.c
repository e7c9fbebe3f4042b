// SPDX-License-Identifier: GPL-2.0-only
/* Translations that are taken away from requests in flight. */
#include <linux/vhost.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "hostile.h"
#include "iommu.h"
#include "mapper.h"
#include "suite.h"

/* How long they are in flight on a slow disk. */
#define IN_FLIGHT_MS 500u

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

/* A disk on which requests are in flight for a while; goes with the case. */
static int open_slow_disk(struct mapper *slow)
{
	struct disk disk;

	disk_scratch(&disk);
	mapper_delay(slow, &disk, IN_FLIGHT_MS);
	/* The mapper has it open. */
	close(disk.fd);
	close(disk.content);
	return slow->fd;
}

static void expect_in_flight(const struct mapper *slow)
{
	for (unsigned waited = 0; !mapper_done(slow).in_flight; waited++) {
		if (waited > HOSTILE_MS)
			fail("expected requests in flight, saw none");
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

/*
 * Data of requests in flight is taken away: when that has been taken note of, nothing is written there any more. count: 1
 * for a disk that surely still has them in flight.
 */
static void run_invalidate_in_flight(const struct disk *disk, const struct check_case *self)
{
	const size_t bytes = FLYING * (FLYING_BYTES + 512);
	struct request requests[FLYING];
	struct mapper slow;
	struct iommu iommu;
	struct guest guest;
	char *place;

	iommu_start(&iommu, &guest, &self->options, self->count ? open_slow_disk(&slow) : disk->fd);
	place = memory_at(&guest.memory, IOMMU_DATA, bytes);
	iommu_update(&guest, IOMMU_DATA, bytes, place, VHOST_ACCESS_RW);
	submit_many(requests, &guest, IOMMU_DATA);
	if (self->count)
		expect_in_flight(&slow);
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
	if (self->count)
		mapper_remove(&slow);
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
	unsigned answered = 0;
	struct mapper slow;
	struct iommu iommu;
	struct guest guest;
	char *rings;

	(void)unused;
	iommu_create(&iommu, &guest, &self->options);
	iommu_map_all(&iommu, VHOST_ACCESS_RW);
	guest_attach(&guest, open_slow_disk(&slow));
	rings = guest.memory.region[0].hva;
	for (unsigned round = 0; round < self->count; round++) {
		submit_many(requests, &guest, IOMMU_DATA);
		expect_in_flight(&slow);
		iommu_invalidate(&guest, (uintptr_t)rings, RING_BYTES);
		answered = take_answers(&guest);
		while (mapper_done(&slow).in_flight)
			usleep(1000);
		usleep(IN_FLIGHT_MS * 100);
		if (take_answers(&guest))
			fail("expected no answer in a ring that was taken away, saw some");
		iommu_update(&guest, (uintptr_t)rings, RING_BYTES, rings, VHOST_ACCESS_RW);
		take_rest(&guest, answered);
		memory_data_reset(&guest.memory);
	}
	expect_counted(&guest, self->count * FLYING);
	guest_close(&guest);
	mapper_remove(&slow);
}

void suite_add_iotlb_flight(struct suite *suite)
{
	suite_add(suite, GROUP_FULL | GROUP_QUICK, run_invalidate_in_flight, "iotlb: data invalidated in flight");
	suite_add(suite, GROUP_FULL, run_invalidate_in_flight, "iotlb: data invalidated in flight on a slow disk")
		->count = 1;
	suite_add(suite, GROUP_FULL, run_answers_deferred, "iotlb: ring taken away with requests in flight")->count = 3;
	suite_add(suite, GROUP_FULL | GROUP_QUICK, run_invalidate_all, "iotlb: all invalidated in flight")->count = 5;
}
