// SPDX-License-Identifier: GPL-2.0-only
/*
 * qcow2-apply: does on a device of the target what a list tells, so that others can do the same to a twin of its image.
 *
 * usage: qcow2-apply NAME LIST [SOURCES IMAGE THREADS [LOG]]
 * NAME is the device mapper's; SOURCES a folder with files 0 to 7, from which what is written is taken; IMAGE the file that
 * the device writes; LOG a device of dm-log-writes below. Lines of LIST; numbers are bytes:
 *
 *   write AT LENGTH SOURCE [fua]   the first bytes of a source
 *   zero AT LENGTH [unmap]
 *   discard AT LENGTH
 *   then           waits for all before
 *   flush
 *   sum PIECE      reads the whole disk in such pieces past the page cache (0: by way of it); prints "@@sum SUM"
 *   save FILE      suspends, copies the image, resumes
 *   mark TEXT      puts a mark into LOG
 *   may-fail       from here on what fails is told as "@@failed", and no reason to end
 *
 * What stands between two lines of the lower kind is done by THREADS at once. Exit code 0: all was done.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mapper.h"

#define MAX_BATCH 4096
#define MAX_THREADS 32
#define NR_SOURCES 8
#define SOURCE_BYTES (1 << 19)
#define COPY_BYTES (1 << 16)
#define ALIGNMENT 4096

struct operation {
	char kind;
	bool flag;
	uint64_t at;
	uint64_t bytes;
	unsigned int source;
};

static struct {
	const char *name;
	char path[256];
	const char *sources;
	const char *image;
	const char *log;
	unsigned int threads;
	int direct;
	int durable;
	void *source[NR_SOURCES];
	bool may_fail;
	struct operation batch[MAX_BATCH];
	unsigned int nr;
	/* Taken by a thread so far. */
	unsigned int taken;
	int failed;
} run;

static void *aligned(size_t bytes)
{
	void *memory;

	if (posix_memalign(&memory, ALIGNMENT, bytes))
		abort();
	return memory;
}

/* Return: -1, or 0 where that may be. */
static int complain(const char *what)
{
	fprintf(run.may_fail ? stdout : stderr, "%s%s: %s\n", run.may_fail ? "@@failed " : "", what, strerror(errno));
	return run.may_fail ? 0 : -1;
}

static int do_one(const struct operation *op)
{
	uint64_t range[2] = { op->at, op->bytes };

	switch (op->kind) {
	case 'w':
		if (pwrite(op->flag ? run.durable : run.direct, run.source[op->source], op->bytes, op->at) ==
		    (ssize_t)op->bytes)
			return 0;
		return complain("write");
	case 'z':
		if (op->flag ? fallocate(run.direct, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, op->at, op->bytes) :
			       ioctl(run.direct, BLKZEROOUT, range))
			return complain("zero");
		return 0;
	default:
		return ioctl(run.direct, BLKDISCARD, range) ? complain("discard") : 0;
	}
}

static void *work(void *unused)
{
	unsigned int i;

	(void)unused;
	while ((i = __atomic_fetch_add(&run.taken, 1, __ATOMIC_RELAXED)) < run.nr)
		if (do_one(&run.batch[i]))
			run.failed = -1;
	return NULL;
}

static int end_batch(void)
{
	pthread_t threads[MAX_THREADS];
	unsigned int nr = run.nr < run.threads ? run.nr : run.threads, i;

	run.taken = 0;
	for (i = 1; i < nr; i++)
		if (pthread_create(&threads[i], NULL, work, NULL))
			abort();
	work(NULL);
	for (i = 1; i < nr; i++)
		pthread_join(threads[i], NULL);
	run.nr = 0;
	return run.failed;
}

/* Two sums of 32 bits each over words of 32 bits; test/kernel/qcow2-sum.ts has the same. */
static void add_sum(uint32_t sum[2], const uint32_t *words, size_t nr)
{
	uint32_t a = sum[0], b = sum[1];

	for (size_t i = 0; i < nr; i++) {
		a = (a ^ words[i]) * 0x01000193;
		b = (b + words[i]) * 0x85ebca6b;
	}
	sum[0] = a;
	sum[1] = b;
}

static int do_sum(size_t piece)
{
	int fd = open(run.path, O_RDONLY | (piece ? O_DIRECT : 0));
	size_t bytes = piece ? piece : COPY_BYTES;
	void *buffer = aligned(bytes);
	uint32_t sum[2] = { 0 };
	uint64_t at = 0;
	ssize_t ret;

	while ((ret = pread(fd, buffer, bytes, at)) > 0) {
		add_sum(sum, buffer, ret / sizeof(uint32_t));
		at += ret;
	}
	free(buffer);
	if (ret < 0)
		ret = complain("read");
	else
		printf("@@sum %08" PRIx32 "%08" PRIx32 "\n", sum[0], sum[1]);
	if (fd >= 0)
		close(fd);
	return ret;
}

/* Holes stay holes. */
static int copy(const char *from, const char *to)
{
	static const char zeros[COPY_BYTES];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	char *buffer = aligned(COPY_BYTES);
	uint64_t at = 0;
	ssize_t ret = -1;

	while (in >= 0 && out >= 0 && (ret = pread(in, buffer, COPY_BYTES, at)) > 0) {
		if (memcmp(buffer, zeros, ret) && pwrite(out, buffer, ret, at) != ret)
			ret = -1;
		if (ret < 0)
			break;
		at += ret;
	}
	if (!ret && ftruncate(out, at))
		ret = -1;
	free(buffer);
	close(in);
	close(out);
	return ret < 0 ? complain(to) : 0;
}

static int do_save(const char *to)
{
	int error = mapper_suspend(run.name);

	if (!error)
		error = copy(run.image, to);
	return mapper_resume(run.name) || error ? -1 : 0;
}

static int do_mark(const char *text)
{
	char message[256];

	snprintf(message, sizeof(message), "mark %s", text);
	return run.log ? mapper_message(run.log, message) : -1;
}

/* A line that waits for all before it. */
static int do_alone(const char *word, const char *rest)
{
	if (end_batch())
		return -1;
	if (!strcmp(word, "then"))
		return 0;
	if (!strcmp(word, "flush"))
		return fsync(run.direct) ? complain("flush") : 0;
	if (!strcmp(word, "sum"))
		return do_sum(strtoull(rest, NULL, 10));
	if (!strcmp(word, "save"))
		return do_save(rest);
	if (!strcmp(word, "mark"))
		return do_mark(rest);
	if (!strcmp(word, "may-fail")) {
		run.may_fail = true;
		return 0;
	}
	fprintf(stderr, "unknown word '%s'\n", word);
	return -1;
}

static int do_line(char *line)
{
	struct operation op = { 0 };
	char word[16] = "", flag[16] = "";
	int at = 0, fields;

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "%15s %n", word, &at) != 1)
		return 0;
	if (strcmp(word, "write") && strcmp(word, "zero") && strcmp(word, "discard"))
		return do_alone(word, line + at);
	op.kind = word[0];
	if (op.kind == 'w')
		fields = sscanf(line + at, "%" SCNu64 " %" SCNu64 " %u %15s", &op.at, &op.bytes, &op.source, flag) > 2;
	else
		fields = sscanf(line + at, "%" SCNu64 " %" SCNu64 " %15s", &op.at, &op.bytes, flag) > 1;
	op.flag = !strcmp(flag, "fua") || !strcmp(flag, "unmap");
	if (!fields || op.source >= NR_SOURCES || op.bytes > SOURCE_BYTES || run.nr == MAX_BATCH) {
		fprintf(stderr, "can not be done: %s\n", line);
		return -1;
	}
	run.batch[run.nr++] = op;
	return 0;
}

static int load_sources(void)
{
	char path[512];

	for (unsigned int i = 0; i < NR_SOURCES; i++) {
		int fd;

		snprintf(path, sizeof(path), "%s/%u", run.sources, i);
		fd = open(path, O_RDONLY);
		run.source[i] = aligned(SOURCE_BYTES);
		if (fd < 0 || read(fd, run.source[i], SOURCE_BYTES) != SOURCE_BYTES) {
			fprintf(stderr, "%s: not %d bytes\n", path, SOURCE_BYTES);
			return -1;
		}
		close(fd);
	}
	return 0;
}

int main(int argc, char **argv)
{
	char line[512];
	FILE *list;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 3 && argc != 6 && argc != 7) {
		fprintf(stderr, "usage: %s NAME LIST [SOURCES IMAGE THREADS [LOG]]\n", argv[0]);
		return 2;
	}
	run.name = argv[1];
	snprintf(run.path, sizeof(run.path), "/dev/mapper/%s", run.name);
	list = fopen(argv[2], "r");
	run.direct = open(run.path, (argc > 3 ? O_RDWR : O_RDONLY) | O_DIRECT);
	run.durable = open(run.path, (argc > 3 ? O_RDWR : O_RDONLY) | O_DIRECT | O_DSYNC);
	if (!list || run.direct < 0 || run.durable < 0) {
		perror(argv[2]);
		return 2;
	}
	if (argc > 3) {
		run.sources = argv[3];
		run.image = argv[4];
		run.threads = strtoul(argv[5], NULL, 10);
		run.log = argv[6];
		if (run.threads > MAX_THREADS || load_sources())
			return 2;
	}
	while (fgets(line, sizeof(line), list))
		if (do_line(line))
			return 1;
	return end_batch() ? 1 : 0;
}
