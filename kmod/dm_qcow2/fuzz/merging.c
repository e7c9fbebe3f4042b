// SPDX-License-Identifier: GPL-2.0-only
/* A top that is merged down while it is written, with losses of power and disks that fail. */
#include "modelled.h"

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
	struct disk *image, *below, *failing = run.disks[modelled_draw(2)];
	u8 *model = malloc(run.size);
	const char *reason;
	unsigned int i;

	/* What was copied may stay, though the merge was given up. */
	emulate_close(&run.device, true);
	modelled_check_image(run.disks[1], false, "the image below after a merge was given up");
	check_chain(run.disks, run.nr, "the chain holds something else after one was given up");
	image = modelled_copy(run.disks[0]);
	below = modelled_copy(run.disks[1]);
	require(begin_merge(), "does not begin again");
	memcpy(model, run.model, run.size);
	run.is_failing = true;
	failing->fail_after = modelled_draw(operations * 4);
	for (i = 0; i < operations; i++)
		modelled_do_one();
	emulate_merge_pass(&run.device);
	emulate_flush(&run.device);
	qcow2_merge_finish(run.device.target.merge, &reason);
	emulate_close(&run.device, true);
	failing->fail_after = -1;
	modelled_check_image(run.disks[0], true, "after a merge that failed");
	modelled_check_image(run.disks[1], true, "after a merge that failed");
	modelled_check_content(run.disks[0], NULL, NULL, modelled_now());
	modelled_check_crash(modelled_now(), "after a merge that failed and a loss of power");
	memcpy(run.model, model, run.size);
	disk_free(run.disks[1]);
	run.disks[1] = below;
	disk_log(below);
	modelled_forget_done();
	disk_free(run.disks[0]);
	run.disks[0] = image;
	disk_log(image);
	free(model);
}

/* The top is merged into the image below it while it is written; then that one alone is the disk. Ends with no device open. */
void merge_down(unsigned int operations, unsigned int crashes)
{
	unsigned int passes = 1 + modelled_draw(4), from, i;
	const char *reason;

	run.disks[1]->block = run.disks[0]->block;
	disk_log(run.disks[1]);
	if (!begin_merge())
		return;
	while (passes--) {
		from = modelled_now();
		for (i = 0; i < operations; i++)
			modelled_do_one();
		require(!emulate_merge_pass(&run.device), "a pass fails");
		for (i = 0; i < operations / 4; i++)
			modelled_do_one();
		require(!emulate_flush(&run.device), "a flush fails");
		modelled_crash(from, crashes);
		modelled_forget_done();
	}
	fail_merge(operations);
	run.is_failing = false;
	require(begin_merge(), "does not begin again");
	require(!emulate_merge_pass(&run.device), "a pass fails");
	for (i = 0; i < operations; i++)
		modelled_do_one();
	require(!qcow2_merge_finish(run.device.target.merge, &reason), "is not ready");
	from = modelled_now();
	qcow2_target_suspend(&run.device.target);
	require(run.device.target.merge->state == QCOW2_MERGE_DONE, "is not done");
	modelled_crash(from, crashes * 2);
	emulate_close(&run.device, true);
	modelled_check_image(run.disks[0], true, "the top after a merge");
	modelled_check_image(run.disks[1], false, "the image below after a merge");
	check_chain(run.disks, run.nr, "the chain holds something else");
	check_chain(run.disks + 1, run.nr - 1, "the image below holds something else");
}
