// SPDX-License-Identifier: GPL-2.0-only
#include "result.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void result_add(struct result *result, const struct sample *sample, const struct verdict *verdict)
{
	if (verdict->outcome != OUTCOME_PASSED) {
		memcpy(result->trouble, verdict->text, sizeof(result->trouble));
		if (verdict->outcome == OUTCOME_SKIPPED)
			result->skipped = true;
		else
			result->failed = true;
		return;
	}
	result->cpu_us[result->rounds] =
		(double)sample->cpu_ticks * 1e6 / (double)sysconf(_SC_CLK_TCK) / (double)sample->done;
	result->iops[result->rounds++] = (double)sample->done * 1e9 / (double)sample->nanoseconds;
	result->kicks = (double)sample->kicks / (double)sample->all_done;
	result->signals = (double)sample->signals / (double)sample->all_done;
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return left < right ? -1 : left > right;
}

void result_finish(struct result *result)
{
	double sorted[MAX_ROUNDS];
	unsigned n = result->rounds;

	if (!n)
		return;
	memcpy(sorted, result->iops, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare);
	result->best = sorted[n - 1];
	result->median = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
}

/* Of one transfer, from its place in a queue to its answer: what depth and rate imply. */
static double latency_us(const struct job *job, const struct result *result)
{
	return result->best ? job->depth * job->queues * 1e6 / result->best : 0;
}

void result_print_heading(const struct options *options)
{
	printf("%s: 4 KiB random transfers, %u rounds of %g s, thousands of transfers a second\n", options->name,
	       options->rounds, options->seconds);
	printf("%-5s %5s %6s  %-14s %9s %9s %10s %8s %8s %7s\n", "op", "depth", "queues", "engine", "best", "median",
	       "latency us", "kicks", "signals", "ratio");
}

void result_print(const struct job *job, const struct engine *engine, const struct result *result,
		  const struct result *first)
{
	printf("%-5s %5u %6u  %-14s ", job->write ? "write" : "read", job->depth, job->queues, engine->name);
	if (!result->rounds) {
		printf("%s: %s\n", result->failed ? "failed" : "skipped", result->trouble);
	} else {
		printf("%9.1f %9.1f %10.1f %8.3f %8.3f ", result->best / 1000, result->median / 1000,
		       latency_us(job, result), result->kicks, result->signals);
		if (first->best)
			printf("%7.2f", first->best / result->best);
		printf("%s%s\n", result->failed ? "  a round failed: " : "", result->failed ? result->trouble : "");
	}
	fflush(stdout);
}

static void write_string(FILE *file, const char *text)
{
	putc('"', file);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putc('\\', file);
		if ((unsigned char)*text >= ' ')
			putc(*text, file);
	}
	putc('"', file);
}

void result_write_json(FILE *file, const struct options *options, const struct job *job, const struct engine *engine,
		       const struct result *result)
{
	fprintf(file, "{\"disk\":");
	write_string(file, options->name);
	fprintf(file, ",\"engine\":\"%s\",\"op\":\"%s\",\"depth\":%u,\"queues\":%u", engine->name,
		job->write ? "write" : "read", job->depth, job->queues);
	fprintf(file, ",\"haltPollUs\":%u,\"direct\":%s,\"eventIdx\":%s", job->halt_poll_us,
		job->direct ? "true" : "false", job->no_event_idx ? "false" : "true");
	fprintf(file, ",\"iops\":[");
	for (unsigned i = 0; i < result->rounds; i++)
		fprintf(file, "%s%.0f", i ? "," : "", result->iops[i]);
	fprintf(file, "],\"cpuUs\":[");
	for (unsigned i = 0; i < result->rounds; i++)
		fprintf(file, "%s%.3f", i ? "," : "", result->cpu_us[i]);
	fprintf(file, "],\"best\":%.0f,\"median\":%.0f,\"latencyUs\":%.2f,\"kicks\":%.4f,\"signals\":%.4f",
		result->best, result->median, latency_us(job, result), result->kicks, result->signals);
	fprintf(file, ",\"outcome\":\"%s\",\"trouble\":",
		result->failed ? "failed" : result->skipped ? "skipped" : "ok");
	write_string(file, result->trouble);
	fprintf(file, "}\n");
	fflush(file);
}
