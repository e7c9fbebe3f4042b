// SPDX-License-Identifier: GPL-2.0-only
/* usage: fuzz-seeds FOLDER: writes inputs that are valid rings, one a file, for a fuzzer to start from. */
#include <stdio.h>
#include <unistd.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>

#include "input.h"
#include "shim.h"

#define MEMORY 0x8000
#define GPA 0x100000
#define LOG_NUM 4
#define NUM (1 << LOG_NUM)
#define DESC 0x0
#define AVAIL 0x400
#define USED 0x800
#define TABLE 0x1000
#define HEADER 0x2000
#define STATUS 0x2100
#define DATA 0x3000
#define LOG 0x6000

struct seed {
	struct input input;
	u8 steps[64];
	u8 memory[MEMORY];
	bool little;
	unsigned int nr_desc;
	/* Where the next descriptor goes: the ring's table or an indirect one. */
	unsigned int table;
};

static void put(struct seed *seed, unsigned int at, u64 value, unsigned int size)
{
	unsigned int i;

	for (i = 0; i < size; i++)
		seed->memory[at + i] = value >> 8 * (seed->little ? i : size - 1 - i);
}

static void desc(struct seed *seed, u64 gpa, u32 len, u16 flags)
{
	unsigned int at = seed->table + 16 * seed->nr_desc++;

	put(seed, at, gpa, 8);
	put(seed, at + 8, len, 4);
	put(seed, at + 12, flags, 2);
	put(seed, at + 14, flags & VRING_DESC_F_NEXT ? seed->nr_desc : 0, 2);
}

static void begin(struct seed *seed, u16 flags)
{
	memset(seed, 0, sizeof(*seed));
	seed->little = flags & INPUT_LITTLE_ENDIAN;
	seed->input = (struct input) {
		.flags = flags,
		.log_num = LOG_NUM,
		.nr_regions = 1,
		.desc = DESC,
		.avail = AVAIL,
		.used = USED,
		.sectors = 1024,
		.log = LOG,
		.region[0] = { GPA, MEMORY, 0 },
	};
	seed->table = DESC;
}

/* Two regions where there was one. */
static void cut_memory(struct seed *seed, unsigned int at)
{
	seed->input.nr_regions = 2;
	seed->input.region[0].size = at;
	seed->input.region[1] = (struct input_region) { GPA + at, MEMORY - at, at };
}

static void header(struct seed *seed, u32 type, u64 sector)
{
	put(seed, HEADER, type, 4);
	put(seed, HEADER + 8, sector, 8);
	/* A segment, should it be one for ranges; those are always little-endian. */
	seed->memory[DATA] = 16;
	seed->memory[DATA + 8] = 8;
}

/* The chains from head 0 to @count are made available, taken, ended and told. */
static void script(struct seed *seed, unsigned int count)
{
	const u8 steps[] = {
		STEP_AVAILABLE, count, STEP_TAKE_MANY, 255, STEP_END, 0, STEP_END, 0, STEP_PUBLISH,
		STEP_RESTART, STEP_AVAILABLE, 1, STEP_TAKE, STEP_END, 0, STEP_PUBLISH,
		STEP_RESTART, STEP_AVAILABLE, 1, STEP_KICK, 0, 0, STEP_PUBLISH,
		STEP_RESTART, STEP_AVAILABLE, 1, STEP_KICK, 9, 0, STEP_TAKE, STEP_PUBLISH,
	};

	memcpy(seed->steps, steps, sizeof(steps));
	seed->input.nr_steps = seed->input.flags & INPUT_MUTATE ? sizeof(seed->steps) : sizeof(steps);
	/* A hook's byte that does nothing. */
	if (seed->input.flags & INPUT_MUTATE)
		memset(seed->steps + sizeof(steps), 3, sizeof(seed->steps) - sizeof(steps));
}

static int write_seed(const char *folder, const char *name, const struct seed *seed)
{
	char path[512];
	FILE *file;
	int ret;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "wb");
	if (!file) {
		perror(path);
		return -1;
	}
	fwrite(&seed->input, sizeof(seed->input), 1, file);
	fwrite(seed->steps, seed->input.nr_steps, 1, file);
	fwrite(seed->memory, sizeof(seed->memory), 1, file);
	ret = ferror(file);
	return fclose(file) || ret ? -1 : 0;
}

/* How a request is cut into descriptors. */
enum layout { PLAIN, SPLIT_HEADER, STATUS_IN_DATA, MANY_PIECES, ODD_PIECES, NR_LAYOUTS };

static void pieces(struct seed *seed, u64 gpa, u32 len, u32 each, u16 flags)
{
	u32 n;

	for (; len; len -= n, gpa += n) {
		n = min_t(u32, len, each);
		desc(seed, gpa, n, flags | VRING_DESC_F_NEXT);
	}
}

static void chain(struct seed *seed, u32 type, enum layout layout)
{
	bool write = type == VIRTIO_BLK_T_OUT;
	bool range = type == VIRTIO_BLK_T_DISCARD || type == VIRTIO_BLK_T_WRITE_ZEROES;
	u32 id = layout == ODD_PIECES ? 10 : 20;
	u32 bytes = write || type == VIRTIO_BLK_T_IN ? 4096 : type == VIRTIO_BLK_T_GET_ID ? id : range ? 16 : 0;
	u32 each = layout == MANY_PIECES ? 1024 : layout == ODD_PIECES ? 777 : 4096;

	pieces(seed, GPA + HEADER, 16, layout == SPLIT_HEADER ? 6 : 16, 0);
	if (layout == STATUS_IN_DATA && !write && !range) {
		desc(seed, GPA + DATA, bytes + 1, VRING_DESC_F_WRITE);
		return;
	}
	pieces(seed, GPA + DATA, bytes, each, write || range ? 0 : VRING_DESC_F_WRITE);
	desc(seed, GPA + STATUS, 1, VRING_DESC_F_WRITE);
}

/* Tables of guest memory at the edge of what is allowed, on both sides of it. */
static int write_tables(const char *folder)
{
	static const struct input_region tables[][2] = {
		{ { GPA, 0x4000, 0 }, { GPA + 0x4000, 0x4000, 0x4000 } },
		{ { GPA + 0x3fff, 0x4000, 0x4000 }, { GPA, 0x4000, 0 } },
		{ { GPA, MEMORY, 0 }, { -0x4000ULL, 0x3fff, 0 } },
		{ { GPA, MEMORY, 0 }, { -0x4000ULL, 0x4000, 0 } },
		{ { GPA, MEMORY, 0 }, { -0x4000ULL, 0x4001, 0 } },
		{ { GPA, MEMORY, 0 }, { 0, 1ULL << 46, 0 } },
		{ { GPA, MEMORY, 0 }, { 2 * GPA, 0, 0 } },
		{ { GPA, MEMORY, 0 }, { 2 * GPA, MEMORY, 1ULL << 47 } },
	};
	struct seed seed;
	char name[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tables); i++) {
		begin(&seed, INPUT_LITTLE_ENDIAN);
		seed.input.nr_regions = 2;
		memcpy(seed.input.region, tables[i], sizeof(tables[i]));
		header(&seed, VIRTIO_BLK_T_IN, 8);
		chain(&seed, VIRTIO_BLK_T_IN, PLAIN);
		script(&seed, 1);
		snprintf(name, sizeof(name), "table%u", i);
		if (write_seed(folder, name, &seed))
			return 1;
	}
	return 0;
}

/* Memory that the owner has told of, but of which only a part is mapped. */
static int write_holes(const char *folder)
{
	static const u32 lengths[] = { 4096, 8192, 65536 };
	struct seed seed;
	char name[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		begin(&seed, INPUT_LITTLE_ENDIAN);
		seed.input.region[0].size = 4 * MEMORY;
		header(&seed, VIRTIO_BLK_T_IN, 8);
		desc(&seed, GPA + HEADER, 16, VRING_DESC_F_NEXT);
		desc(&seed, GPA + MEMORY - 2048, lengths[i], VRING_DESC_F_NEXT | VRING_DESC_F_WRITE);
		desc(&seed, GPA + STATUS, 1, VRING_DESC_F_WRITE);
		script(&seed, 1);
		snprintf(name, sizeof(name), "hole%u", lengths[i]);
		if (write_seed(folder, name, &seed))
			return 1;
	}
	return 0;
}

static int write_requests(const char *folder)
{
	static const u32 types[] = {
		VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_DISCARD,
		VIRTIO_BLK_T_WRITE_ZEROES, 77,
	};
	static const u16 flags[] = {
		INPUT_LITTLE_ENDIAN | INPUT_CAN_FLUSH | INPUT_RANGES, INPUT_LOG | INPUT_LOG_USED, INPUT_LITTLE_ENDIAN | INPUT_EVENT_IDX,
		INPUT_LITTLE_ENDIAN | INPUT_INDIRECT, INPUT_INDIRECT | INPUT_EVENT_IDX | INPUT_READ_ONLY,
		INPUT_LITTLE_ENDIAN | INPUT_INDIRECT | INPUT_MUTATE,
	};
	unsigned int type, flag, layout;
	struct seed seed;
	char name[64];

	for (type = 0; type < ARRAY_SIZE(types); type++)
		for (flag = 0; flag < ARRAY_SIZE(flags); flag++)
			for (layout = 0; layout < NR_LAYOUTS; layout++) {
				begin(&seed, flags[flag]);
				if (flags[flag] & INPUT_INDIRECT)
					seed.table = TABLE;
				header(&seed, types[type], 8);
				chain(&seed, types[type], layout);
				if (flags[flag] & INPUT_INDIRECT) {
					u32 len = 16 * seed.nr_desc;

					seed.table = DESC;
					seed.nr_desc = 0;
					desc(&seed, GPA + TABLE, len, VRING_DESC_F_INDIRECT);
				}
				if (layout == MANY_PIECES)
					cut_memory(&seed, DATA + 512);
				script(&seed, 1);
				snprintf(name, sizeof(name), "type%u-flags%u-layout%u", types[type], flags[flag], layout);
				if (write_seed(folder, name, &seed))
					return 1;
			}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 64;
	}
	return write_requests(argv[1]) || write_tables(argv[1]) || write_holes(argv[1]);
}
