// SPDX-License-Identifier: GPL-2.0-only
/* Guest memory that moves in the host: requests in flight end where they began, later ones are at the new place. */
#define _GNU_SOURCE
#include <linux/vhost.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "hostile.h"
#include "suite.h"

#define FLYING 64u
#define FLYING_BYTES 65536u
#define SALT 61u

/* Has the data region at @hva instead, the others as they are. */
static void move_data(struct guest *guest, char *hva)
{
	guest->memory.region[1].hva = hva;
	if (memory_register(&guest->memory, guest->vhost))
		fail_errno("VHOST_SET_MEM_TABLE");
}

static char *another_place(const struct guest *guest)
{
	char *hva = mmap(NULL, DATA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (hva == MAP_FAILED)
		fail_errno("mmap");
	memcpy(hva, guest->memory.region[1].hva, DATA_BYTES);
	return hva;
}

static bool holds(const char *place, uint64_t gpa, const char *expected)
{
	return memcmp(place + (gpa - DATA_GPA), expected, FLYING_BYTES) == 0;
}

/* Where the answer to a request is: all of it in one of two places. */
static void expect_in_one(const struct request *request, const char *first, const char *second, const char *expected)
{
	const struct span *status = &request->spans[2];
	bool in_first = first[status->gpa - DATA_GPA] == VIRTIO_BLK_S_OK;
	bool in_second = second[status->gpa - DATA_GPA] == VIRTIO_BLK_S_OK;

	if (in_first == in_second)
		fail("expected a status in one place, saw it in %s", in_first ? "both" : "none");
	if (!holds(in_first ? first : second, request->spans[1].gpa, expected))
		fail("expected the data where the status is, saw other");
	if (holds(in_first ? second : first, request->spans[1].gpa, expected))
		fail("expected the data where the status is only, saw it in both places");
}

static void run_in_flight(const struct disk *disk, const struct check_case *self)
{
	struct request requests[FLYING];
	char *expected = malloc(FLYING_BYTES), *first, *second;
	struct guest guest;
	uint32_t len;

	if (!expected)
		fail("out of memory");
	guest_create(&guest, &self->options);
	pattern_fill(expected, FLYING_BYTES, 0, SALT);
	disk_write(disk, 0, expected, FLYING_BYTES);
	for (unsigned i = 0; i < FLYING; i++) {
		request_build(&requests[i], &guest.memory,
			      &(struct request_shape){ .type = VIRTIO_BLK_T_IN, .bytes = FLYING_BYTES, .indirect = true,
						       .misalign = i % 3 == 0 ? 8 : 0 });
		request_add(&requests[i], &guest.ring[0], &guest.memory);
	}
	first = guest.memory.region[1].hva;
	second = another_place(&guest);
	guest_attach(&guest, disk->fd);
	ring_wait_first(&guest.ring[0]);
	move_data(&guest, second);
	for (unsigned answered = 0; answered < FLYING;) {
		ring_wait(&guest.ring[0]);
		while (ring_pop(&guest.ring[0], &len))
			answered++;
	}
	for (unsigned i = 0; i < FLYING; i++)
		expect_in_one(&requests[i], first, second, expected);
	memset(first, 0x5a, DATA_BYTES);
	request_aim(&requests[0], &guest.memory, 0);
	request_run(&requests[0], &guest, 0);
	request_expect(&requests[0], VIRTIO_BLK_S_OK);
	for (size_t i = 0; i < DATA_BYTES; i++)
		if (first[i] != 0x5a)
			fail("expected the old place to be left alone, saw byte %zu written", i);
	free(expected);
	guest_close(&guest);
}

/* The guest was stopped, its memory moved, and it goes on. */
static void run_between(const struct disk *disk, const struct check_case *self)
{
	char expected[4096], *place;
	struct request request;
	struct guest guest;

	guest_create(&guest, &self->options);
	pattern_fill(expected, sizeof(expected), 0, SALT);
	disk_write(disk, 0, expected, sizeof(expected));
	request_build(&request, &guest.memory,
		      &(struct request_shape){ .type = VIRTIO_BLK_T_IN, .bytes = sizeof(expected) });
	for (unsigned i = 0; i < self->count; i++) {
		place = guest.memory.region[1].hva;
		guest_attach(&guest, disk->fd);
		request_aim(&request, &guest.memory, 0);
		request_run(&request, &guest, 0);
		request_expect(&request, VIRTIO_BLK_S_OK);
		request_get_data(&request, &guest.memory, expected, sizeof(expected));
		pattern_expect("data read", expected, sizeof(expected), 0, SALT);
		if (guest_stop_queue(&guest, 0) != i + 1)
			fail("expected base %u, saw another", i + 1);
		move_data(&guest, another_place(&guest));
		if (munmap(place, DATA_BYTES))
			fail_errno("munmap");
		memset(memory_at(&guest.memory, request.spans[1].gpa, sizeof(expected)), 0x5a, sizeof(expected));
	}
	request_free(&request);
	guest_close(&guest);
	hostile_expect_good_device(disk);
}

void suite_add_memory_map(struct suite *suite)
{
	suite_add(suite, GROUP_LIFECYCLE | GROUP_QUICK, run_in_flight, "memory moved with requests in flight");
	suite_add(suite, GROUP_LIFECYCLE, run_between, "memory moved between 10 runs")->count = 10;
}
