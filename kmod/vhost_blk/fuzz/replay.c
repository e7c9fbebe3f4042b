// SPDX-License-Identifier: GPL-2.0-only
/*
 * usage: fuzz-replay [--mutations N] FILE...
 * Runs inputs without libFuzzer, and of each N variants with some bytes changed, which are the same every time. Prints how
 * many were run.
 */
#include <stdio.h>

#include "target.h"

#define INPUT_ROOM (64 << 10)

static u64 random_state = 0x9e3779b97f4a7c15;

static u64 next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* Bytes near the begin decide most, and values near a limit find most. */
static void change(u8 *bytes, size_t size)
{
	static const u8 values[] = { 0, 1, 2, 3, 4, 5, 0x10, 0x7f, 0x80, 0xff };
	unsigned int count = 1 + next_random() % 8;

	while (count--) {
		size_t limit = next_random() % 2 ? size : min_t(size_t, size, 1024);
		size_t at = next_random() % limit;

		bytes[at] = next_random() % 4 ? values[next_random() % sizeof(values)] : next_random();
	}
}

static int run_file(const char *path, unsigned long mutations, unsigned long *runs)
{
	static u8 original[INPUT_ROOM], changed[INPUT_ROOM];
	FILE *file = fopen(path, "rb");
	size_t size;

	if (!file) {
		perror(path);
		return 1;
	}
	size = fread(original, 1, sizeof(original), file);
	fclose(file);
	LLVMFuzzerTestOneInput(original, size);
	++*runs;
	for (; mutations && size; mutations--, ++*runs) {
		memcpy(changed, original, size);
		change(changed, size);
		LLVMFuzzerTestOneInput(changed, size);
	}
	return 0;
}

int main(int argc, char **argv)
{
	unsigned long mutations = 0, runs = 0;
	int i = 1;

	if (argc > 2 && !strcmp(argv[1], "--mutations")) {
		mutations = strtoul(argv[2], NULL, 10);
		i = 3;
	}
	for (; i < argc; i++)
		if (run_file(argv[i], mutations, &runs))
			return 1;
	printf("%lu inputs\n", runs);
	return runs ? 0 : 64;
}
