// SPDX-License-Identifier: GPL-2.0-only
/*
 * Inputs of the fuzzer without libFuzzer: files that are named, and then as many by chance as are asked for, most of them
 * nearly good; with --write they are kept as files for libFuzzer to start from.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../protocol.h"
#include "fuzz.h"

#define MAX_INPUT 65536
#define MESSAGES 40

static uint8_t input[MAX_INPUT];

static void replay(const char *path)
{
	FILE *file = fopen(path, "re");
	size_t size;

	if (!file) {
		perror(path);
		exit(2);
	}
	size = fread(input, 1, sizeof(input), file);
	fclose(file);
	fuzz_one(input, size);
}

static size_t add(size_t at, uint8_t request, const void *payload, uint16_t size, uint8_t nr_fds, uint32_t kinds)
{
	uint8_t flags = VU_VERSION | (rand() % 2 ? VU_FLAG_NEED_REPLY : 0);
	struct fuzz_message message = { request, flags, nr_fds, 0, size, 0, kinds };

	if (!(rand() % 20))
		message.refuse = rand();
	memcpy(input + at, &message, sizeof(message));
	if (size)
		memcpy(input + at + sizeof(message), payload, size);
	return at + sizeof(message) + size;
}

static size_t add_value(size_t at, uint8_t request, uint64_t value, uint8_t nr_fds, uint32_t kinds)
{
	return add(at, request, &value, sizeof(value), nr_fds, kinds);
}

static size_t add_state(size_t at, uint8_t request, unsigned int index, unsigned int num)
{
	struct vhost_vring_state state = { index, num };

	return add(at, request, &state, sizeof(state), 0, 0);
}

/* What a driver's start is, with parts left out, doubled and moved. */
static size_t add_start(size_t at)
{
	unsigned int index = rand() % 4;
	uint64_t uaddr = 0x100000ull * (rand() % 3), gpa = 0x100000ull * (rand() % 3);
	struct vu_one_region region = { 0, { gpa, 0x10000u << rand() % 5, uaddr, 0x1000u * (rand() % 4) } };
	struct vhost_vring_addr addr = { index, rand() % 4 == 0, uaddr, uaddr + 0x1000, uaddr + 0x2000, gpa };
	struct vu_memory table = { .nregions = 1 + rand() % 2, .region = { region.region, region.region } };
	struct vu_log log = { 1u << rand() % 12, rand() % 2 * 8 };

	table.region[1].gpa += 0x400000;
	table.region[1].uaddr += 0x400000;
	switch (rand() % 12) {
	case 0:
		return add(at, VU_SET_MEM_TABLE, &table, 8 + 32 * table.nregions, table.nregions, 0);
	case 1:
	case 2:
		return add(at, VU_ADD_MEM_REG, &region, sizeof(region), 1, 0);
	case 3:
		return add(at, VU_REM_MEM_REG, &region, sizeof(region), 0, 0);
	case 4:
		return add_state(at, VU_SET_VRING_NUM, index, 1u << rand() % 12);
	case 5:
		return add(at, VU_SET_VRING_ADDR, &addr, sizeof(addr), 0, 0);
	case 6:
		return add_value(at, VU_SET_VRING_KICK, index, 1, 1);
	case 7:
		return add_state(at, VU_SET_VRING_ENABLE, index, rand() % 8 != 0);
	case 8:
		return add_state(at, VU_GET_VRING_BASE, index, 0);
	case 9:
		return add(at, VU_SET_LOG_BASE, &log, sizeof(log), 1, 0);
	case 10:
		return add_value(at, VU_SET_FEATURES, 1ull << 30 | 1ull << 32 | (rand() % 2 ? 1ull << 26 : 0), 0, 0);
	default:
		return add_value(at, VU_SET_STATUS, rand() % 8 ? 15 : 0, 0, 0);
	}
}

/* A ring that runs, and what it does is logged or may be soon. */
static size_t add_running(size_t at)
{
	unsigned int index = rand() % 4;
	struct vu_one_region region = { 0, { 0, 0x40000, 0, 0 } };
	struct vhost_vring_addr addr = { index, rand() % 2, 0, 0x1000, 0x2000, 0 };
	struct vu_log log = { 8u << rand() % 4, 0 };

	at = add(at, VU_ADD_MEM_REG, &region, sizeof(region), 1, 0);
	at = add(at, VU_SET_LOG_BASE, &log, sizeof(log), 1, 0);
	if (rand() % 2)
		at = add_value(at, VU_SET_FEATURES, 1ull << 30 | 1ull << 32 | 1ull << 26, 0, 0);
	at = add_state(at, VU_SET_VRING_NUM, index, 64);
	at = add(at, VU_SET_VRING_ADDR, &addr, sizeof(addr), 0, 0);
	at = add_value(at, VU_SET_VRING_KICK, index, 1, 1);
	return add_state(at, VU_SET_VRING_ENABLE, index, 1);
}

static void keep(const char *folder, unsigned long number, size_t size)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%lu", folder, number);
	file = fopen(path, "we");
	if (!file || fwrite(input, 1, size, file) != size || fclose(file)) {
		perror(path);
		exit(2);
	}
}

/* @folder: where the input is kept in place of being run; NULL: nowhere. */
static void by_chance(const char *folder, unsigned long number)
{
	size_t at = add_value(0, VU_SET_PROTOCOL_FEATURES, 0x1a22b, 0, 0);

	at = add_value(at, VU_SET_FEATURES, 1ull << 30 | 1ull << 32, 0, 0);
	if (rand() % 2)
		at = add_running(at);
	for (unsigned int i = 0; i < MESSAGES; i++)
		at = add_start(at);
	/* Most as they are; others with bytes changed. */
	if (rand() % 3)
		for (unsigned int i = rand() % 8; i; i--)
			input[rand() % at] = (uint8_t)rand();
	if (folder)
		keep(folder, number, at);
	else
		fuzz_one(input, at);
}

int main(int argc, char **argv)
{
	unsigned long runs = 0, seed = 1;
	const char *folder = NULL;
	unsigned int inputs = 0;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--runs") && i + 1 < argc) {
			runs = strtoul(argv[++i], NULL, 10);
		} else if (!strcmp(argv[i], "--seed") && i + 1 < argc) {
			seed = strtoul(argv[++i], NULL, 10);
		} else if (!strcmp(argv[i], "--write") && i + 1 < argc) {
			folder = argv[++i];
		} else {
			replay(argv[i]);
			inputs++;
		}
	}
	srand(seed);
	for (unsigned long run = 0; run < runs; run++, inputs++)
		by_chance(folder, run);
	printf("%u inputs\n", inputs);
	return 0;
}
