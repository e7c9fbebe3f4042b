// SPDX-License-Identifier: GPL-2.0-only
/*
 * qcow2-exercise: writes, zeroes and discards at random on a block device, by several threads, with a model of what it has
 * to hold. Each round ends with a flush and a comparison of the whole disk. Destroys what is on the device.
 *
 * usage: qcow2-exercise DEVICE MODEL SEED ROUNDS OPERATIONS THREADS
 * MODEL is a file that gets the disk's content in the end. Exit code 0: all was as it has to be.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SECTOR 512
#define MAX_SECTORS 700
#define MAX_THREADS 32

/* Sectors that belong to one thread before the next's begin, in rounds in which all write the same clusters. */
#define GRAIN 6

struct disk {
	const char *path;
	unsigned char *model;
	uint64_t sectors;
	unsigned int threads;
	unsigned int operations;
};

struct worker {
	const struct disk *disk;
	pthread_t thread;
	uint64_t state;
	unsigned int index;
	/* Whether the threads' sectors lie among each other's; only writes then. */
	bool interleaved;
	int direct;
	int durable;
	unsigned char *buffer;
	int failed;
};

static uint32_t draw(struct worker *worker, uint32_t below)
{
	worker->state = worker->state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (worker->state >> 33) % below;
}

static int complain(const char *what, uint64_t sector, uint64_t sectors)
{
	fprintf(stderr, "%s of %llu sectors at %llu: %s\n", what, (unsigned long long)sectors,
		(unsigned long long)sector, strerror(errno));
	return -1;
}

/* A range of the worker's own. */
static void draw_range(struct worker *worker, uint64_t *sector, uint64_t *sectors)
{
	const struct disk *disk = worker->disk;
	uint64_t share = disk->sectors / disk->threads, first = worker->index * share;

	if (worker->interleaved) {
		uint64_t turns = disk->sectors / (GRAIN * disk->threads);

		*sector = (draw(worker, turns) * disk->threads + worker->index) * GRAIN;
		*sectors = 1 + draw(worker, GRAIN);
		*sector += draw(worker, GRAIN - *sectors + 1);
		return;
	}
	*sectors = 1 + draw(worker, draw(worker, 4) ? 24 : MAX_SECTORS);
	if (*sectors > share)
		*sectors = share;
	*sector = first + draw(worker, share - *sectors + 1);
}

static int do_write(struct worker *worker, uint64_t sector, uint64_t sectors)
{
	size_t bytes = sectors * SECTOR;
	int fd = draw(worker, 8) ? worker->direct : worker->durable;

	for (size_t i = 0; i < bytes; i += 8) {
		uint64_t value = worker->state + i * 0x9e3779b97f4a7c15ULL;

		memcpy(worker->buffer + i, &value, 8);
	}
	if (pwrite(fd, worker->buffer, bytes, sector * SECTOR) != (ssize_t)bytes)
		return complain("write", sector, sectors);
	memcpy(worker->disk->model + sector * SECTOR, worker->buffer, bytes);
	return 0;
}

static int do_zero(struct worker *worker, uint64_t sector, uint64_t sectors)
{
	uint64_t range[2] = { sector * SECTOR, sectors * SECTOR };
	int error;

	if (draw(worker, 2))
		error = ioctl(worker->direct, BLKZEROOUT, range);
	else
		error = fallocate(worker->direct, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, range[0], range[1]);
	if (error)
		return complain("zeroing", sector, sectors);
	memset(worker->disk->model + sector * SECTOR, 0, sectors * SECTOR);
	return 0;
}

/* Each sector is as before or zeros. */
static int do_discard(struct worker *worker, uint64_t sector, uint64_t sectors)
{
	static const unsigned char zeros[SECTOR];
	uint64_t range[2] = { sector * SECTOR, sectors * SECTOR };
	unsigned char *model = worker->disk->model + sector * SECTOR;

	if (ioctl(worker->direct, BLKDISCARD, range))
		return complain("discard", sector, sectors);
	if (pread(worker->direct, worker->buffer, range[1], range[0]) != (ssize_t)range[1])
		return complain("read", sector, sectors);
	for (uint64_t i = 0; i < range[1]; i += SECTOR) {
		if (!memcmp(worker->buffer + i, zeros, SECTOR))
			memset(model + i, 0, SECTOR);
		else if (memcmp(worker->buffer + i, model + i, SECTOR))
			return complain("content after discard", sector + i / SECTOR, 1);
	}
	return 0;
}

static int do_read(struct worker *worker, uint64_t sector, uint64_t sectors)
{
	size_t bytes = sectors * SECTOR;

	if (pread(worker->direct, worker->buffer, bytes, sector * SECTOR) != (ssize_t)bytes)
		return complain("read", sector, sectors);
	errno = 0;
	return memcmp(worker->buffer, worker->disk->model + sector * SECTOR, bytes) ?
		       complain("content", sector, sectors) :
		       0;
}

static int do_one(struct worker *worker)
{
	uint64_t sector, sectors;
	uint32_t kind = draw(worker, 100);

	draw_range(worker, &sector, &sectors);
	if (kind < 2)
		return fdatasync(worker->direct) ? complain("flush", 0, 0) : 0;
	if (kind < 20)
		return do_read(worker, sector, sectors);
	if (worker->interleaved || kind < 75)
		return do_write(worker, sector, sectors);
	return kind < 90 ? do_zero(worker, sector, sectors) : do_discard(worker, sector, sectors);
}

static void *work(void *argument)
{
	struct worker *worker = argument;

	for (unsigned int i = 0; i < worker->disk->operations && !worker->failed; i++)
		worker->failed = do_one(worker);
	return NULL;
}

static int run_round(const struct disk *disk, uint64_t seed, bool interleaved)
{
	struct worker workers[MAX_THREADS] = { 0 };
	int failed = 0;

	for (unsigned int i = 0; i < disk->threads; i++) {
		struct worker *worker = &workers[i];

		*worker = (struct worker){
			.disk = disk,
			.state = seed * 1000003 + i,
			.index = i,
			.interleaved = interleaved,
			.direct = open(disk->path, O_RDWR | O_DIRECT),
			.durable = open(disk->path, O_RDWR | O_DIRECT | O_DSYNC),
		};
		if (worker->direct < 0 || worker->durable < 0 ||
		    posix_memalign((void **)&worker->buffer, 4096, MAX_SECTORS * SECTOR) ||
		    pthread_create(&worker->thread, NULL, work, worker)) {
			perror(disk->path);
			exit(1);
		}
	}
	for (unsigned int i = 0; i < disk->threads; i++) {
		pthread_join(workers[i].thread, NULL);
		failed |= workers[i].failed;
		close(workers[i].direct);
		close(workers[i].durable);
		free(workers[i].buffer);
	}
	return failed;
}

static int read_disk(const struct disk *disk, unsigned char *to)
{
	size_t bytes = disk->sectors * SECTOR, done = 0;
	int fd = open(disk->path, O_RDONLY | O_DIRECT);

	while (fd >= 0 && done < bytes) {
		ssize_t ret = pread(fd, to + done, bytes - done > 1 << 20 ? 1 << 20 : bytes - done, done);

		if (ret <= 0)
			break;
		done += ret;
	}
	if (fd >= 0)
		close(fd);
	return done == bytes ? 0 : complain("reading of the disk", done / SECTOR, 1);
}

static int compare(const struct disk *disk, unsigned char *scratch)
{
	if (read_disk(disk, scratch))
		return -1;
	for (uint64_t i = 0; i < disk->sectors; i++) {
		if (!memcmp(scratch + i * SECTOR, disk->model + i * SECTOR, SECTOR))
			continue;
		fprintf(stderr, "sector %llu is not what was written\n", (unsigned long long)i);
		return -1;
	}
	return 0;
}

static int save(const struct disk *disk, const char *path)
{
	FILE *file = fopen(path, "w");

	if (!file || fwrite(disk->model, SECTOR, disk->sectors, file) != disk->sectors || fclose(file)) {
		perror(path);
		return -1;
	}
	return 0;
}

static void *allocate(size_t bytes)
{
	void *memory;

	if (posix_memalign(&memory, 4096, bytes)) {
		perror("memory");
		exit(1);
	}
	return memory;
}

int main(int argc, char **argv)
{
	struct disk disk = { 0 };
	unsigned char *scratch;
	uint64_t bytes = 0, seed;
	unsigned int rounds;
	int fd;

	if (argc != 7) {
		fprintf(stderr, "usage: %s DEVICE MODEL SEED ROUNDS OPERATIONS THREADS\n", argv[0]);
		return 2;
	}
	disk.path = argv[1];
	seed = strtoull(argv[3], NULL, 10);
	rounds = strtoul(argv[4], NULL, 10);
	disk.operations = strtoul(argv[5], NULL, 10);
	disk.threads = strtoul(argv[6], NULL, 10);
	fd = open(disk.path, O_RDWR);
	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes) || disk.threads < 1 || disk.threads > MAX_THREADS) {
		perror(disk.path);
		return 2;
	}
	disk.sectors = bytes / SECTOR;
	disk.model = allocate(bytes);
	scratch = allocate(bytes);
	if (read_disk(&disk, disk.model))
		return 1;
	for (unsigned int round = 0; round < rounds; round++) {
		if (run_round(&disk, seed * 1000 + round, round % 2) || fsync(fd) || compare(&disk, scratch)) {
			fprintf(stderr, "round %u of seed %llu failed\n", round, (unsigned long long)seed);
			return 1;
		}
	}
	return save(&disk, argv[2]) ? 1 : 0;
}
