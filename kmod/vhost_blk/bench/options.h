/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_BENCH_OPTIONS_H
#define VHOST_BLK_BENCH_OPTIONS_H

#include "engine.h"

#define MAX_CHOICES 8u
#define MAX_ROUNDS 32u

struct options {
	/* Device, layout of rings, workers, busy polling and daemon; the rest is set for each measurement. */
	struct job job;
	const struct engine *engines[MAX_CHOICES];
	unsigned engine_count;
	bool operations[2];
	unsigned depths[MAX_CHOICES], depth_count;
	unsigned queues[MAX_CHOICES], queues_count;
	unsigned rounds;
	/* 0: as many as there are queues. */
	unsigned workers;
	double seconds, warm_up_seconds;
	/* How the device is called in the results. */
	const char *name;
	const char *json;
	bool destroy_data;
};

/* Reads argv; --help prints and ends the program, a wrong option ends it with 2. */
void options_parse(struct options *options, int argc, char **argv);

#endif
