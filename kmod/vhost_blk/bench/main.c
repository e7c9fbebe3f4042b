// SPDX-License-Identifier: GPL-2.0-only
/* vhost-blk-bench: what a disk gives through vhost_blk and through everything that it may be compared with. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "measure.h"
#include "options.h"
#include "result.h"

static uint64_t blocks_of(const char *device)
{
	/* O_EXCL on a block device: refused while it is mounted, swapped to, or part of another device. */
	int fd = open(device, O_RDWR | O_CLOEXEC | O_EXCL);
	uint64_t bytes;

	if (fd < 0)
		fail_errno("can not open %s", device);
	if (ioctl(fd, BLKGETSIZE64, &bytes))
		fail_errno("%s is not a block device", device);
	close(fd);
	if (bytes < BLOCK_BYTES)
		fail("%s is too small", device);
	return bytes / BLOCK_BYTES;
}

/* All engines once, then all again: what changes over time hits them alike. Returns whether all went well. */
static bool compare(const struct options *options, const struct job *job, FILE *json)
{
	struct result results[MAX_CHOICES] = { 0 };
	bool ok = true;

	for (unsigned round = 0; round < options->rounds; round++)
		for (unsigned i = 0; i < options->engine_count; i++) {
			struct sample sample;
			struct verdict verdict;

			if (results[i].skipped)
				continue;
			measure(options->engines[i], job, options->warm_up_seconds, options->seconds, &sample,
				&verdict);
			result_add(&results[i], &sample, &verdict);
		}
	for (unsigned i = 0; i < options->engine_count; i++)
		result_finish(&results[i]);
	for (unsigned i = 0; i < options->engine_count; i++) {
		result_print(job, options->engines[i], &results[i], &results[0]);
		if (json)
			result_write_json(json, options, job, options->engines[i], &results[i]);
		ok = ok && !results[i].failed;
	}
	return ok;
}

int main(int argc, char **argv)
{
	struct options options;
	FILE *json = NULL;
	bool ok = true;

	options_parse(&options, argc, argv);
	options.job.blocks = blocks_of(options.job.device);
	if (options.json) {
		json = fopen(options.json, "ae");
		if (!json)
			fail_errno("can not write %s", options.json);
	}
	result_print_heading(&options);
	for (unsigned op = 0; op < 2; op++) {
		if (!options.operations[op])
			continue;
		for (unsigned d = 0; d < options.depth_count; d++)
			for (unsigned q = 0; q < options.queues_count; q++) {
				struct job job = options.job;

				job.write = op;
				job.depth = options.depths[d];
				job.queues = options.queues[q];
				job.workers = options.workers ? options.workers : job.queues;
				ok = compare(&options, &job, json) && ok;
			}
	}
	return ok ? 0 : 1;
}
