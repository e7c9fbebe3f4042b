/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_BENCH_RESULT_H
#define VHOST_BLK_BENCH_RESULT_H

#include <stdio.h>

#include "measure.h"
#include "options.h"

/* What came of the rounds of one engine. */
struct result {
	/* Of each round that gave a sample. */
	double iops[MAX_ROUNDS];
	/* Time of the machine's CPUs for a transfer, of each round; 0 when unknown. */
	double cpu_us[MAX_ROUNDS];
	unsigned rounds;
	double best, median;
	double kicks, signals;
	/* Why there is none of some round, or "". */
	char trouble[sizeof(((struct verdict *)0)->text)];
	bool skipped, failed;
};

void result_add(struct result *result, const struct sample *sample, const struct verdict *verdict);

/* Sets best and median. */
void result_finish(struct result *result);

void result_print_heading(const struct options *options);

/* One row; @first: the result that the ratio in it compares with. */
void result_print(const struct job *job, const struct engine *engine, const struct result *result,
		  const struct result *first);

/* One line of JSON. */
void result_write_json(FILE *file, const struct options *options, const struct job *job, const struct engine *engine,
		       const struct result *result);

#endif
