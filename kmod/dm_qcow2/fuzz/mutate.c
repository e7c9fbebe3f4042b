// SPDX-License-Identifier: GPL-2.0-only
/*
 * qcow2-mutate: images with changed metadata, opened, read and written. Nothing is asked of the answers; the sanitizers, the
 * locks of the shim and the limits of the disk are what can fail.
 *
 * usage: qcow2-mutate SEED ROUNDS FILE...
 * Each FILE is an image without a backing file.
 */
#include <unistd.h>

#include "use.h"

static u64 state;

static u32 draw(u32 below)
{
	return use_draw(&state, below);
}

static u64 get64(const struct disk *disk, u64 at)
{
	return at + 8 <= disk->size ? qcow2_be64(disk->data + at) : 0;
}

/* A value that means something: an offset near one of the image's tables, a limit, a flag, a bit of what is there. */
static u64 odd_value(const struct disk *disk, u64 old)
{
	switch (draw(9)) {
	case 0:
		return old ^ 1ULL << draw(64);
	case 1:
		return 1ULL << draw(64);
	case 2:
		return (1ULL << draw(64)) - 1;
	case 3:
		return get64(disk, 40) | QCOW2_COPIED;
	case 4:
		return get64(disk, 48) | QCOW2_COPIED;
	case 5:
		return (get64(disk, get64(disk, 40)) & QCOW2_OFFSET_MASK) | (u64)draw(2) << 63;
	case 6:
		return (disk->size & ~511ULL) | QCOW2_COPIED;
	case 7:
		return QCOW2_COMPRESSED | ((u64)draw(1U << 30) << 32) | draw(1U << 30);
	default:
		return (u64)draw(256) << 16 | QCOW2_COPIED | draw(2);
	}
}

/* Where metadata is: the header, and the tables that it and they lead to. */
static u64 odd_place(const struct disk *disk)
{
	u64 l1 = get64(disk, 40), reftable = get64(disk, 48);

	switch (draw(6)) {
	case 0:
		return draw(112);
	case 1:
		return l1 + draw(4) * 8;
	case 2:
		return reftable + draw(2) * 8;
	case 3:
		return (get64(disk, reftable) & QCOW2_OFFSET_MASK) + draw(512);
	default:
		return (get64(disk, l1 + draw(2) * 8) & QCOW2_OFFSET_MASK) + draw(1024) * 8;
	}
}

static void mutate(struct disk *disk)
{
	unsigned int nr = 1 + draw(6);

	while (nr--) {
		u64 at = odd_place(disk);

		if (at + 8 > disk->size)
			continue;
		if (draw(2))
			qcow2_put_be64(disk->data + at, odd_value(disk, qcow2_be64(disk->data + at)));
		else
			disk->data[at] ^= 1 << draw(8);
	}
	if (!draw(8))
		disk->size = draw(disk->size + 1);
}

int main(int argc, char **argv)
{
	unsigned int rounds, opened[2] = { 0 }, i;

	if (argc < 4) {
		fprintf(stderr, "usage: %s SEED ROUNDS FILE...\n", argv[0]);
		return 2;
	}
	fuzz_verbose = getenv("VERBOSE");
	rounds = strtoul(argv[2], NULL, 10);
	for (i = 0; i < rounds; i++) {
		struct disk *disk = disk_load(argv[3 + i % (argc - 3)]);

		/* So that a round can be repeated alone. */
		state = (strtoull(argv[1], NULL, 10) + i) * 0x9e3779b97f4a7c15ULL + 1;
		if (fuzz_verbose)
			fprintf(stderr, "round of seed %llu\n", strtoull(argv[1], NULL, 10) + i);
		mutate(disk);
		disk->block = draw(2) ? 4096 : 512;
		if (!draw(4))
			disk->fail_after = draw(40);
		opened[0] += use_image(disk, false, &state);
		opened[1] += use_image(disk, true, &state);
		disk_free(disk);
	}
	printf("%u rounds, %u opened to be read, %u to be written\n", rounds, opened[0], opened[1]);
	return 0;
}
