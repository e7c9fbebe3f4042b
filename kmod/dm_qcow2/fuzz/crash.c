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
#include <unistd.h>

#include "modelled.h"

/* Up to there disks grow. */
#define MAX_SIZE (24ULL << 20)

/* The disk gets larger, with losses of power meanwhile; behind its old end it is zeros. */
static void grow(unsigned int crashes)
{
	u64 size = run.size + 512 * (u64)(1 + modelled_draw(modelled_draw(2) ? 100 : 8000));
	u64 old = run.size;
	unsigned int from = modelled_now();

	if (size > MAX_SIZE || emulate_grow(&run.device, size))
		return;
	/* All before was committed, too. */
	modelled_crash(from, crashes);
	emulate_close(&run.device, true);
	modelled_resume();
	if (run.size != size)
		modelled_die("the size after growing", size);
	run.model = realloc(run.model, size);
	run.flushed = realloc(run.flushed, size);
	memset(run.model + old, 0, size - old);
	modelled_forget_done();
	modelled_do_read(0, size);
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
	modelled_resume();
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
	before = modelled_now();
	is = malloc(run.size);
	has = malloc(run.size);
	if (qcow2_target_resume(target) || !target->writer->failed ||
	    emulate_request(&run.device, QCOW2_OP_READ, false, 0, run.size, is) ||
	    emulate_open(&other, run.disks, run.nr, run.data, run.is_raw, false, &reason) ||
	    emulate_request(&other, QCOW2_OP_READ, false, 0, run.size, has) || memcmp(is, has, run.size) ||
	    !emulate_request(&run.device, QCOW2_OP_WRITE, false, 0, 512, is) || !emulate_flush(&run.device) ||
	    modelled_now() != before) {
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
	struct disk *image = modelled_copy(run.disks[0]), *data = modelled_copy(run.data);
	struct disk *failing = run.data && modelled_draw(2) ? run.data : run.disks[0];
	u8 *model = malloc(run.size);
	unsigned int i;

	memcpy(model, run.model, run.size);
	run.is_failing = true;
	failing->fail_after = modelled_draw(operations);
	for (i = 0; i < operations; i++)
		modelled_do_one();
	emulate_flush(&run.device);
	failing->fail_after = modelled_draw(2) ? -1 : failing->fail_after;
	emulate_flush(&run.device);
	resume_failed();
	emulate_close(&run.device, true);
	modelled_check_image(run.disks[0], true, "after a failure");
	modelled_check_content(run.disks[0], NULL, run.data, modelled_now());
	modelled_check_crash(modelled_now(), "after a failure and a loss of power");
	memcpy(run.model, model, run.size);
	modelled_forget_done();
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
			modelled_die("raw data file", at);
}

static void round_of(unsigned int operations, unsigned int crashes)
{
	unsigned int from, flushes = 1 + modelled_draw(4), i;

	while (flushes--) {
		from = modelled_now();
		for (i = 0; i < operations; i++)
			modelled_do_one();
		/* The flush is in the log, but who crashes in it has no promise yet. */
		if (emulate_flush(&run.device))
			modelled_die("flush failed", 0);
		modelled_crash(from, crashes);
		modelled_forget_done();
	}
	modelled_do_read(0, run.size);
	if (!modelled_draw(3))
		grow(crashes);
	if (modelled_draw(3))
		return;
	emulate_close(&run.device, true);
	modelled_check_image(run.disks[0], false, "after a round");
	check_raw_data();
	restart(modelled_copy(run.disks[0]), modelled_copy(run.data));
	modelled_do_read(0, run.size);
	fail(operations);
}

int main(int argc, char **argv)
{
	unsigned int rounds, i;

	fuzz_verbose = getenv("VERBOSE");
	if (argc < 6 || argc - 5 > QCOW2_MAX_CHAIN) {
		fprintf(stderr, "usage: %s SEED ROUNDS OPERATIONS CRASHES FORMAT:FILE...\n", argv[0]);
		return 2;
	}
	modelled_state = strtoull(argv[1], NULL, 10) * 0x9e3779b97f4a7c15ULL + 1;
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
	modelled_resume();
	run.model = malloc(run.size);
	run.flushed = malloc(run.size);
	modelled_read_at(0, run.size, run.model);
	memcpy(run.flushed, run.model, run.size);
	for (i = 0; i < rounds; i++)
		round_of(strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
	emulate_close(&run.device, true);
	modelled_check_image(run.disks[0], false, "in the end");
	if (run.nr > 1)
		merge_down(strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
	return 0;
}
