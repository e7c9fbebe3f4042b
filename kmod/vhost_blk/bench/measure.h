/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_BENCH_MEASURE_H
#define VHOST_BLK_BENCH_MEASURE_H

#include "engine.h"
#include "report.h"

/* What was counted between two looks at the clock, and notifications of the whole run. */
struct sample {
	uint64_t done, nanoseconds;
	/* Of all CPUs of the machine, whoever used it, in clock ticks; 0 where /proc/stat does not say. */
	uint64_t cpu_ticks;
	uint64_t all_done, kicks, signals;
};

/*
 * Runs one engine in a process of its own, so that nothing is left of one for the next, and one that fails or hangs
 * ends only itself. @verdict says whether there is a sample, else why not.
 */
void measure(const struct engine *engine, const struct job *job, double warm_up_seconds, double seconds,
	     struct sample *sample, struct verdict *verdict);

#endif
