// SPDX-License-Identifier: GPL-2.0-only
/*
 * qcow2-crash: random requests on an image, losses of power, and disks that fail. After each round the image has to be clean
 * for qemu-img and hold what was written; after a loss of power at any time, or when writes fail from any time on, it may
 * have leaked clusters, but nothing else, and what was flushed before must be there. In the end the top is merged into the image
 * below it, where it has one.
 *
 * usage: qcow2-crash SEED ROUNDS OPERATIONS CRASHES FORMAT:FILE...
 * The chain, the top first; FORMAT is qcow2 or raw, or data for the top's external data file. With an odd SEED the files are
 * on disks with blocks of 4096 bytes. Works in the folder of the images, which it does not change.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "emulate.h"

#define MAX_OPS 4096

/* Up to there disks grow. */
#define MAX_SIZE (24ULL << 20)

static u64 state;

static u32 draw(u32 below)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (state >> 33) % below;
}

/* What was done since the round began: where in the log, and what the disk had there afterwards. */
struct done {
	unsigned int event;
	u64 at;
	u64 bytes;
	u8 *data;
};

static struct {
	struct disk *disks[QCOW2_MAX_CHAIN];
	unsigned int nr;
	struct disk *data;
	bool is_raw;
	char folder[4096];
	struct emulated device;
	u8 *model;
	u64 size;
	/* The disk as it was when the last flush of the round ended. */
	u8 *flushed;
	struct done done[MAX_OPS];
	unsigned int nr_done;
	/* Whether the disk may fail: then requests do, too. */
	bool is_failing;
} run;

static void die(const char *what, u64 at)
{
	if (run.is_failing)
		return;
	fprintf(stderr, "%s at sector %llu\n", what, (unsigned long long)at / 512);
	exit(1);
}

static unsigned int now(void)
{
	return disk_now();
}

static void note(u64 at, u64 bytes, unsigned int event)
{
	struct done *done = &run.done[run.nr_done++];

	*done = (struct done){ event, at, bytes, malloc(bytes) };
	memcpy(done->data, run.model + at, bytes);
}

static void forget_done(void)
{
	while (run.nr_done)
		free(run.done[--run.nr_done].data);
	memcpy(run.flushed, run.model, run.size);
}

static void do_write(u64 at, u64 bytes)
{
	u64 i;

	for (i = 0; i < bytes; i += 8)
		*(u64 *)(run.model + at + i) = state + i * 0x9e3779b97f4a7c15ULL;
	/* Noted first: any part of it may be there after a loss of power. */
	note(at, bytes, now());
	if (emulate_request(&run.device, QCOW2_OP_WRITE, false, at, bytes, run.model + at))
		die("write failed", at);
}

static void do_zero(u64 at, u64 bytes)
{
	memset(run.model + at, 0, bytes);
	note(at, bytes, now());
	if (emulate_request(&run.device, QCOW2_OP_ZERO, draw(2), at, bytes, NULL))
		die("zeroing failed", at);
}

static void read_at(u64 at, u64 bytes, u8 *to)
{
	if (emulate_request(&run.device, QCOW2_OP_READ, false, at, bytes, to))
		die("read failed", at);
}

static void do_discard(u64 at, u64 bytes)
{
	static const u8 zeros[512];
	u8 *is = malloc(bytes);
	unsigned int before = now();
	u64 i;

	if (emulate_request(&run.device, QCOW2_OP_DISCARD, true, at, bytes, NULL))
		die("discard failed", at);
	read_at(at, bytes, is);
	/* Nothing can be read back from a disk that fails: zeros may be there from now on, or what was there. */
	if (run.is_failing)
		memset(run.model + at, 0, bytes);
	for (i = 0; i < bytes && !run.is_failing; i += 512) {
		if (!memcmp(is + i, zeros, 512))
			memset(run.model + at + i, 0, 512);
		else if (memcmp(is + i, run.model + at + i, 512))
			die("content after discard", at + i);
	}
	note(at, bytes, before);
	free(is);
}

static void do_read(u64 at, u64 bytes)
{
	u8 *is = malloc(bytes);

	read_at(at, bytes, is);
	if (!run.is_failing && memcmp(is, run.model + at, bytes))
		die("content", at);
	free(is);
}

static void do_one(void)
{
	u64 sectors = run.size / 512;
	u64 length = 1 + draw(draw(4) ? 24 : 700);
	u64 at = draw(sectors - length + 1) * 512ULL;
	u32 kind = draw(100);

	if (kind < 60)
		do_write(at, length * 512);
	else if (kind < 75)
		do_zero(at, length * 512);
	else if (kind < 85)
		do_discard(at, length * 512);
	else
		do_read(at, length * 512);
}

/* Exit code of qemu-img for a file of the folder. */
static int qemu_img(const char *format, const char *file)
{
	char command[9000];
	int status;

	snprintf(command, sizeof(command), format, run.folder, file, run.folder);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

static void check_image(const struct disk *disk, bool leaks, const char *what)
{
	char path[8192];
	int code;

	snprintf(path, sizeof(path), "%s/after.qcow2", run.folder);
	if (disk_save(disk, path)) {
		perror(path);
		exit(2);
	}
	code = qemu_img("cd '%s' && qemu-img check -f qcow2 %s >check.out 2>&1", "after.qcow2");
	if (code && !(leaks && code == 3)) {
		fprintf(stderr, "%s: qemu-img check ends with %d\n", what, code);
		qemu_img("cd '%s' && head -20 check.out >&2 %s", "");
		exit(1);
	}
}

/* Whether a sector is as flushed, or as something made it that came later and before the crash. */
static bool is_possible(const u8 *is, u64 at, unsigned int crash)
{
	unsigned int i;

	if (!memcmp(is, run.flushed + at, 512))
		return true;
	for (i = 0; i < run.nr_done; i++) {
		const struct done *done = &run.done[i];

		if (done->event <= crash && at >= done->at && at < done->at + done->bytes &&
		    !memcmp(is, done->data + (at - done->at), 512))
			return true;
	}
	return false;
}

static void check_content(struct disk *after, struct disk *below, struct disk *data, unsigned int crash)
{
	struct disk *disks[QCOW2_MAX_CHAIN];
	static struct emulated other;
	const char *reason;
	u8 *is = malloc(run.size);
	u64 at;

	memcpy(disks, run.disks, sizeof(disks));
	disks[0] = after;
	if (below)
		disks[1] = below;
	run.is_failing = false;
	if (emulate_open(&other, disks, run.nr, data, run.is_raw, false, &reason) ||
	    emulate_request(&other, QCOW2_OP_READ, false, 0, run.size, is))
		die("an image can not be read afterwards", 0);
	emulate_close(&other, true);
	for (at = 0; at < run.size; at += 512)
		if (!is_possible(is + at, at, crash))
			die("what was flushed is lost", at);
	free(is);
}

static void check_crash(unsigned int at, const char *what)
{
	struct disk *after = disk_crash(run.disks[0], at, state);
	struct disk *data = run.data ? disk_crash(run.data, at, state / 2) : NULL;
	/* Written while the top is merged into it. */
	struct disk *below = run.nr > 1 && run.disks[1]->logs ? disk_crash(run.disks[1], at, state / 3) : NULL;

	check_image(after, true, what);
	if (below)
		check_image(below, true, what);
	check_content(after, below, data, at);
	disk_free(after);
	if (below)
		disk_free(below);
	if (data)
		disk_free(data);
}

/* Losses of power since the last flush of a round, or while that flush was under way. */
static void crash(unsigned int from, unsigned int count)
{
	while (count--) {
		unsigned int at = from + draw(now() - from + 1);

		check_crash(at, "after a loss of power");
	}
}

static void resume(void)
{
	const char *reason = "";

	if (emulate_open(&run.device, run.disks, run.nr, run.data, run.is_raw, true, &reason)) {
		fprintf(stderr, "can not be opened: %s\n", reason);
		exit(2);
	}
	run.size = run.device.target.images[0].size;
}

/* The disk gets larger, with losses of power meanwhile; behind its old end it is zeros. */
static void grow(unsigned int crashes)
{
	u64 size = run.size + 512 * (u64)(1 + draw(draw(2) ? 100 : 8000));
	u64 old = run.size;
	unsigned int from = now();

	if (size > MAX_SIZE || emulate_grow(&run.device, size))
		return;
	/* All before was committed, too. */
	crash(from, crashes);
	emulate_close(&run.device, true);
	resume();
	if (run.size != size)
		die("the size after growing", size);
	run.model = realloc(run.model, size);
	run.flushed = realloc(run.flushed, size);
	memset(run.model + old, 0, size - old);
	forget_done();
	do_read(0, size);
}

/* The disks begin anew, with the contents of others. */
static void restart(struct disk *image, struct disk *data)
{
	disk_free(run.disks[0]);
	run.disks[0] = image;
	disk_log(image);
	if (data) {
		disk_free(run.data);
		run.data = data;
		disk_log(data);
	}
	resume();
}

static struct disk *copy_of(const struct disk *disk)
{
	struct disk *copy = disk ? disk_new(disk->data, disk->size) : NULL;

	if (copy)
		copy->block = disk->block;
	return copy;
}

/* A device that failed is read only from then on, also when it is resumed: it shows what is in the file, and leaves that. */
static void resume_failed(void)
{
	struct qcow2_target *target = &run.device.target;
	static struct emulated other;
	const char *reason;
	unsigned int before;
	u8 *is, *has;

	if (!target->writer->failed)
		return;
	qcow2_target_suspend(target);
	before = now();
	is = malloc(run.size);
	has = malloc(run.size);
	if (qcow2_target_resume(target) || !target->writer->failed ||
	    emulate_request(&run.device, QCOW2_OP_READ, false, 0, run.size, is) ||
	    emulate_open(&other, run.disks, run.nr, run.data, run.is_raw, false, &reason) ||
	    emulate_request(&other, QCOW2_OP_READ, false, 0, run.size, has) || memcmp(is, has, run.size) ||
	    !emulate_request(&run.device, QCOW2_OP_WRITE, false, 0, 512, is) || !emulate_flush(&run.device) ||
	    now() != before) {
		fprintf(stderr, "a failed device is not as it has to be when it is resumed\n");
		exit(1);
	}
	emulate_close(&other, true);
	free(is);
	free(has);
}

/* Writes and syncs fail from some time on, or a single one does; with no loss of power, and with one. */
static void fail(unsigned int operations)
{
	struct disk *image = copy_of(run.disks[0]), *data = copy_of(run.data);
	struct disk *failing = run.data && draw(2) ? run.data : run.disks[0];
	u8 *model = malloc(run.size);
	unsigned int i;

	memcpy(model, run.model, run.size);
	run.is_failing = true;
	failing->fail_after = draw(operations);
	for (i = 0; i < operations; i++)
		do_one();
	emulate_flush(&run.device);
	failing->fail_after = draw(2) ? -1 : failing->fail_after;
	emulate_flush(&run.device);
	resume_failed();
	emulate_close(&run.device, true);
	check_image(run.disks[0], true, "after a failure");
	check_content(run.disks[0], NULL, run.data, now());
	check_crash(now(), "after a failure and a loss of power");
	memcpy(run.model, model, run.size);
	forget_done();
	restart(image, data);
	free(model);
}

/* A raw data file is the disk itself. */
static void check_raw_data(void)
{
	u64 at;

	if (!run.data || !(run.disks[0]->data[QCOW2_AT_AUTOCLEAR + 7] & QCOW2_AUTOCLEAR_RAW_DATA))
		return;
	for (at = 0; at < run.size; at++)
		if (run.model[at] != (at < run.data->size ? run.data->data[at] : 0))
			die("raw data file", at);
}

static void round_of(unsigned int operations, unsigned int crashes)
{
	unsigned int from, flushes = 1 + draw(4), i;

	while (flushes--) {
		from = now();
		for (i = 0; i < operations; i++)
			do_one();
		/* The flush is in the log, but who crashes in it has no promise yet. */
		if (emulate_flush(&run.device))
			die("flush failed", 0);
		crash(from, crashes);
		forget_done();
	}
	do_read(0, run.size);
	if (!draw(3))
		grow(crashes);
	if (draw(3))
		return;
	emulate_close(&run.device, true);
	check_image(run.disks[0], false, "after a round");
	check_raw_data();
	restart(copy_of(run.disks[0]), copy_of(run.data));
	do_read(0, run.size);
	fail(operations);
}

static void require(bool is_so, const char *what)
{
	if (is_so)
		return;
	fprintf(stderr, "merging: %s\n", what);
	exit(1);
}

/* What a chain that is only read holds has to be the model. */
static void check_chain(struct disk **disks, unsigned int nr, const char *what)
{
	static struct emulated other;
	const char *reason;
	u8 *is = malloc(run.size);

	require(!emulate_open(&other, disks, nr, NULL, run.is_raw, false, &reason) &&
		!emulate_request(&other, QCOW2_OP_READ, false, 0, run.size, is) && !memcmp(is, run.model, run.size), what);
	emulate_close(&other, true);
	free(is);
}

/* Return: whether the chain can be merged and the merge has begun. */
static bool begin_merge(void)
{
	const char *reason = "";
	int error = emulate_open_merging(&run.device, run.disks, run.nr, run.is_raw, &reason);

	if (!error)
		error = qcow2_merge_start(run.device.target.merge, &reason);
	if (error == -EFBIG && !qcow2_merge_grow(run.device.target.merge, &reason)) {
		qcow2_target_suspend(&run.device.target);
		error = qcow2_target_resume(&run.device.target);
		if (!error)
			error = qcow2_merge_start(run.device.target.merge, &reason);
	}
	if (!error)
		return true;
	if (fuzz_verbose)
		fprintf(stderr, "not merged: %s\n", reason);
	emulate_close(&run.device, true);
	return false;
}

/* Copies of both images, whose writes fail from some time on, take the place of their originals and go again. */
static void fail_merge(unsigned int operations)
{
	struct disk *image, *below, *failing = run.disks[draw(2)];
	u8 *model = malloc(run.size);
	const char *reason;
	unsigned int i;

	/* What was copied may stay, though the merge was given up. */
	emulate_close(&run.device, true);
	check_image(run.disks[1], false, "the image below after a merge was given up");
	check_chain(run.disks, run.nr, "the chain holds something else after one was given up");
	image = copy_of(run.disks[0]);
	below = copy_of(run.disks[1]);
	require(begin_merge(), "does not begin again");
	memcpy(model, run.model, run.size);
	run.is_failing = true;
	failing->fail_after = draw(operations * 4);
	for (i = 0; i < operations; i++)
		do_one();
	emulate_merge_pass(&run.device);
	emulate_flush(&run.device);
	qcow2_merge_finish(run.device.target.merge, &reason);
	emulate_close(&run.device, true);
	failing->fail_after = -1;
	check_image(run.disks[0], true, "after a merge that failed");
	check_image(run.disks[1], true, "after a merge that failed");
	check_content(run.disks[0], NULL, NULL, now());
	check_crash(now(), "after a merge that failed and a loss of power");
	memcpy(run.model, model, run.size);
	disk_free(run.disks[1]);
	run.disks[1] = below;
	disk_log(below);
	forget_done();
	disk_free(run.disks[0]);
	run.disks[0] = image;
	disk_log(image);
	free(model);
}

/* The top is merged into the image below it while it is written; then that one alone is the disk. Ends with no device open. */
static void merge_down(unsigned int operations, unsigned int crashes)
{
	unsigned int passes = 1 + draw(4), from, i;
	const char *reason;

	run.disks[1]->block = run.disks[0]->block;
	disk_log(run.disks[1]);
	if (!begin_merge())
		return;
	while (passes--) {
		from = now();
		for (i = 0; i < operations; i++)
			do_one();
		require(!emulate_merge_pass(&run.device), "a pass fails");
		for (i = 0; i < operations / 4; i++)
			do_one();
		require(!emulate_flush(&run.device), "a flush fails");
		crash(from, crashes);
		forget_done();
	}
	fail_merge(operations);
	run.is_failing = false;
	require(begin_merge(), "does not begin again");
	require(!emulate_merge_pass(&run.device), "a pass fails");
	for (i = 0; i < operations; i++)
		do_one();
	require(!qcow2_merge_finish(run.device.target.merge, &reason), "is not ready");
	from = now();
	qcow2_target_suspend(&run.device.target);
	require(run.device.target.merge->state == QCOW2_MERGE_DONE, "is not done");
	crash(from, crashes * 2);
	emulate_close(&run.device, true);
	check_image(run.disks[0], true, "the top after a merge");
	check_image(run.disks[1], false, "the image below after a merge");
	check_chain(run.disks, run.nr, "the chain holds something else");
	check_chain(run.disks + 1, run.nr - 1, "the image below holds something else");
}

int main(int argc, char **argv)
{
	unsigned int rounds, i;

	fuzz_verbose = getenv("VERBOSE");
	if (argc < 6 || argc - 5 > QCOW2_MAX_CHAIN) {
		fprintf(stderr, "usage: %s SEED ROUNDS OPERATIONS CRASHES FORMAT:FILE...\n", argv[0]);
		return 2;
	}
	state = strtoull(argv[1], NULL, 10) * 0x9e3779b97f4a7c15ULL + 1;
	rounds = strtoul(argv[2], NULL, 10);
	for (i = 5; i < (unsigned int)argc; i++) {
		const char *file = strchr(argv[i], ':');

		if (!strncmp(argv[i], "data:", 5)) {
			run.data = disk_load(file + 1);
			continue;
		}
		run.is_raw = !strncmp(argv[i], "raw:", 4);
		run.disks[run.nr++] = disk_load(file ? file + 1 : argv[i]);
	}
	snprintf(run.folder, sizeof(run.folder), "%s", strchr(argv[5], ':') + 1);
	*strrchr(run.folder, '/') = '\0';
	for (i = 0; i < run.nr; i++)
		run.disks[i]->block = atoi(argv[1]) % 2 ? 4096 : 512;
	disk_log(run.disks[0]);
	if (run.data) {
		run.data->block = run.disks[0]->block;
		disk_log(run.data);
	}
	resume();
	run.model = malloc(run.size);
	run.flushed = malloc(run.size);
	read_at(0, run.size, run.model);
	memcpy(run.flushed, run.model, run.size);
	for (i = 0; i < rounds; i++)
		round_of(strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
	emulate_close(&run.device, true);
	check_image(run.disks[0], false, "in the end");
	if (run.nr > 1)
		merge_down(strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
	return 0;
}
