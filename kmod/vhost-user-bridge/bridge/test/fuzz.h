/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

#define FUZZ_MAX_PAYLOAD 600
#define FUZZ_MAX_FDS 12

struct fuzz_input {
	const uint8_t *data;
	size_t size;
};

/* A message in an input, before its payload. */
struct fuzz_message {
	uint8_t request;
	uint8_t flags;
	uint8_t nr_fds;
	/* Bit 0: the device refuses tables of memory. Bit 1: the disk changes its size. */
	uint8_t refuse;
	uint16_t size;
	/* Not 0: what the header says in place of the size. */
	uint16_t lie;
	/* Three bits each: what the descriptors are. */
	uint32_t kinds;
};

int fuzz_one(const uint8_t *data, size_t size);

#endif
