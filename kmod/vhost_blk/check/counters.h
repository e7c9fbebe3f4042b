/* SPDX-License-Identifier: GPL-2.0-only */
/* What the module tells in debugfs, in its parameters and by tracepoints. */
#ifndef VHOST_BLK_CHECK_COUNTERS_H
#define VHOST_BLK_CHECK_COUNTERS_H

#include <stdbool.h>

/* The text of a virtqueue's file. */
struct counters {
	char text[4096];
};

/* Makes debugfs reachable; skips the case where the kernel has none. */
void counters_require(void);

/* Whether the first device of this process shows @queue; then its counters are read. */
bool counters_find(unsigned queue, struct counters *counters);

/* counters_find() that fails the case when there is no such file. */
void counters_read(unsigned queue, struct counters *counters);

/* The number behind a name; fails the case when it is not there. */
unsigned long long counters_get(const struct counters *counters, const char *name);

/* The word behind a name. */
void counters_word(const struct counters *counters, const char *name, char *word, unsigned size);

/* All latency buckets together. */
unsigned long long counters_latencies(const struct counters *counters);

/* A parameter of the loaded module; setting one returns 0 or -1. */
unsigned parameter_get(const char *name);
int parameter_set(const char *name, const char *value);

/* Records the module's tracepoints in an instance of its own from here on; skips the case where there are none. */
void trace_begin(void);

/* How many lines so far hold both texts. */
unsigned trace_count(const char *event, const char *text);

/* Before the case ends, also with fail(). */
void trace_end(void);

#endif
