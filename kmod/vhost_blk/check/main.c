// SPDX-License-Identifier: GPL-2.0-only
/* vhost-blk-check: plays a virtio-blk guest against /dev/vhost-blk and says what it saw. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "effort.h"
#include "features.h"
#include "options.h"
#include "stamp.h"
#include "suite.h"

struct tally {
	unsigned passed, failed, skipped;
};

static void add_all(struct suite *suite)
{
	suite_add_data(suite);
	suite_add_layouts(suite);
	suite_add_blocks(suite);
	suite_add_requests(suite);
	suite_add_ranges(suite);
	suite_add_limits(suite);
	suite_add_settings(suite);
	suite_add_file_backend(suite);
	suite_add_file_kinds(suite);
	suite_add_queues(suite);
	suite_add_bases(suite);
	suite_add_workers(suite);
	suite_add_polling(suite);
	suite_add_parameters(suite);
	suite_add_kick(suite);
	suite_add_kick_kept(suite);
	suite_add_counters(suite);
	suite_add_hostile_rings(suite);
	suite_add_hostile_requests(suite);
	suite_add_hostile_memory(suite);
	suite_add_hostile_ioctls(suite);
	suite_add_lifecycle(suite);
	suite_add_matrix(suite);
	suite_add_model(suite);
	suite_add_fuzz(suite);
	suite_add_restarts(suite);
	suite_add_owner(suite);
	suite_add_owner_memory(suite);
	suite_add_faults(suite);
	suite_add_log(suite);
	suite_add_iotlb(suite);
	suite_add_iotlb_flight(suite);
	suite_add_iotlb_hostile(suite);
	suite_add_budget(suite);
	suite_add_memory_map(suite);
	suite_add_inject_calls(suite);
	suite_add_inject_requests(suite);
}

static bool chosen(const struct options *options, const struct check_case *one)
{
	return (one->groups & options->groups) && (!options->only || strstr(one->name, options->only));
}

static void list(const struct suite *suite, const struct options *options)
{
	static const char *const names[] = { "quick", "full", "hostile", "lifecycle", "matrix", "model",
					     "fuzz", "inject" };

	for (unsigned i = 0; i < suite->count; i++) {
		if (!chosen(options, &suite->cases[i]))
			continue;
		printf("%-44s", suite->cases[i].name);
		for (unsigned bit = 0; bit < sizeof(names) / sizeof(names[0]); bit++)
			if (suite->cases[i].groups >> bit & 1)
				printf(" %s", names[bit]);
		printf(" # row: %s\n", suite_row(&suite->cases[i]));
	}
}

/* The case of a host where the module is not there at all, told before anything is made. */
static void require_device(void)
{
	int fd = open(VHOST_BLK_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0 && (errno == ENOENT || errno == ENXIO || errno == ENODEV))
		fail("no " VHOST_BLK_DEVICE ": is the module vhost_blk loaded?");
	if (fd < 0 && errno == EBUSY)
		fail(VHOST_BLK_DEVICE " is busy");
	if (fd < 0)
		fail_errno("can not open " VHOST_BLK_DEVICE);
	close(fd);
}

static void print_verdict(unsigned number, const char *name, const struct verdict *verdict, struct tally *tally)
{
	switch (verdict->outcome) {
	case OUTCOME_PASSED:
		tally->passed++;
		printf("ok %u %s%s%s\n", number, name, verdict->text[0] ? " # " : "", verdict->text);
		break;
	case OUTCOME_SKIPPED:
		tally->skipped++;
		printf("ok %u %s # skipped: %s\n", number, name, verdict->text);
		break;
	case OUTCOME_FAILED:
		tally->failed++;
		printf("not ok %u %s: %s\n", number, name, verdict->text);
		break;
	}
	fflush(stdout);
}

static void run(const struct suite *suite, const struct options *options, const struct disk *disk,
		struct tally *tally)
{
	const char *row = NULL;
	unsigned number = 0;

	for (unsigned i = 0; i < suite->count; i++) {
		struct verdict verdict;

		if (!chosen(options, &suite->cases[i]))
			continue;
		/* Told where it changes: who reads the lines counts those behind it for this row. */
		if (!row || strcmp(row, suite_row(&suite->cases[i]))) {
			row = suite_row(&suite->cases[i]);
			printf("# row: %s\n", row);
		}
		suite_run(&suite->cases[i], disk, options->timeout, &verdict);
		print_verdict(++number, suite->cases[i].name, &verdict, tally);
	}
	printf("vhost-blk-check: %u passed, %u failed, %u skipped\n", tally->passed, tally->failed, tally->skipped);
	fflush(stdout);
}

/* A stamp is only for what was loaded all the while. */
static int record(const char *before)
{
	char after[STAMP_BYTES];

	if (!stamp_current(after) || strcmp(before, after)) {
		fprintf(stderr, "vhost-blk-check: the module changed during the check; not recorded\n");
		return 2;
	}
	if (stamp_write(after)) {
		fprintf(stderr, "vhost-blk-check: can not write %s: %s\n", STAMP_PATH, strerror(errno));
		return 2;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct options options;
	struct suite suite = { 0 };
	struct tally tally = { 0 };
	char stamp[STAMP_BYTES];
	struct disk disk;

	options_parse(&options, argc, argv);
	effort = options.effort;
	if (options.action == ACTION_RECORDED)
		return stamp_current(stamp) && stamp_matches(stamp) ? 0 : 1;
	if (options.action == ACTION_FEATURES) {
		features_print(options.device);
		return 0;
	}
	add_all(&suite);
	if (options.file) {
		suite_add_file_system(&suite);
		suite_add_file_flags(&suite);
	}
	if (options.action == ACTION_LIST) {
		list(&suite, &options);
		return 0;
	}
	require_device();
	if (options.record && !stamp_current(stamp))
		fail("can not record: /sys/module/vhost_blk/srcversion is missing");
	if (options.device)
		disk_use(&disk, options.device, options.destroy_data);
	else if (options.file)
		disk_file(&disk, options.file, SCRATCH_BYTES);
	else
		disk_scratch(&disk);
	run(&suite, &options, &disk, &tally);
	disk_blank_ends(&disk);
	if (tally.failed)
		return 1;
	if (!tally.passed)
		fail("no case was run");
	return options.record ? record(stamp) : 0;
}
