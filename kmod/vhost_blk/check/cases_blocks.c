// SPDX-License-Identifier: GPL-2.0-only
/*
 * Disks whose logical blocks are larger than a page: what a request's pages are made into for them must not end within a
 * block.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "suite.h"

#define PAGE 4096u
#define PAGES 512u
#define FIRST_SECTOR 8192u
#define SALT 61u
#define ROUNDS 8u

/* Where the request's memory is for the guest, and which pages of the file behind guest memory it is made of. */
#define DATA_AT (DATA_GPA + 16 * MIB)
#define POOL_OFFSET (RING_BYTES + 4 * MIB)

static void map_page(const struct guest *guest, unsigned page, unsigned of_pool)
{
	char *to = memory_at(&guest->memory, DATA_AT + (uint64_t)page * PAGE, PAGE);

	if (mmap(to, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, guest->memory.memfd,
		 (off_t)(POOL_OFFSET + (uint64_t)of_pool * PAGE)) == MAP_FAILED)
		fail_errno("mmap");
}

/*
 * No two pages are neighbours for the host, apart from two among the first three: of a page, the one behind it, and the
 * former again, whichever way the host hands pages out.
 */
static void scatter(const struct guest *guest, unsigned round)
{
	unsigned first = 2 * PAGES + 8 * round;

	for (unsigned i = 0; i < 3; i++)
		map_page(guest, i, first + i % 2);
	if (round)
		return;
	for (unsigned i = 3; i < PAGES; i++)
		map_page(guest, i, 2 * i);
}

static void run_one(struct guest *guest, uint32_t type)
{
	struct request request;

	request_build(&request, &guest->memory,
		      &(struct request_shape){ .type = type, .bytes = PAGES * PAGE, .sector = FIRST_SECTOR });
	request.spans[1].gpa = DATA_AT;
	request_run(&request, guest, 0);
	request_expect(&request, VIRTIO_BLK_S_OK);
	request_free(&request);
	memory_data_reset(&guest->memory);
}

static void expect_same(const char *what, const char *saw, const char *expected)
{
	for (unsigned i = 0; i < PAGES * PAGE; i++)
		if (saw[i] != expected[i])
			fail("%s: expected byte %u of page %u to be %#04x, saw %#04x", what, i % PAGE, i / PAGE,
			     (unsigned char)expected[i], (unsigned char)saw[i]);
}

static void run_scattered(const struct disk *unused, const struct check_case *self)
{
	char *saw = malloc(PAGES * PAGE), *expected = malloc(PAGES * PAGE), *memory;
	struct guest guest;
	struct disk disk;

	(void)unused;
	if (!saw || !expected)
		fail("out of memory");
	disk_large_blocks(&disk);
	note("blocks of %u bytes", disk.block);
	guest_create(&guest, &self->options);
	guest_attach(&guest, disk.fd);
	memory = memory_at(&guest.memory, DATA_AT, PAGES * PAGE);
	for (unsigned round = 0; round < ROUNDS; round++) {
		at("round %u", round);
		scatter(&guest, round);
		pattern_fill(memory, PAGES * PAGE, FIRST_SECTOR, SALT + round);
		/* Not what was filled in: a page is there twice. */
		memcpy(expected, memory, PAGES * PAGE);
		run_one(&guest, VIRTIO_BLK_T_OUT);
		disk_read(&disk, FIRST_SECTOR * SECTOR, saw, PAGES * PAGE);
		expect_same("disk", saw, expected);
		memset(memory, 0x5a, PAGES * PAGE);
		run_one(&guest, VIRTIO_BLK_T_IN);
		expect_same("guest memory", memory, expected);
	}
	guest_close(&guest);
	close(disk.fd);
	close(disk.content);
	free(saw);
	free(expected);
}

void suite_add_blocks(struct suite *suite)
{
	suite_add(suite, GROUP_FULL, run_scattered, "scattered pages on a disk with the largest blocks")->row = ROW_BIO;
}
