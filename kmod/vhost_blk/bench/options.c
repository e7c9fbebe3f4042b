// SPDX-License-Identifier: GPL-2.0-only
#include "options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS_MAX 3600.0
#define BUSY_POLL_US 50u
#define BUSY_POLL_MAX_US 100000u

static const struct engine *const all[] = {
	&engine_vhost_blk, &engine_vhost_blk_poll, &engine_vhost_blk_sleep, &engine_libaio, &engine_io_uring,
	&engine_io_uring_fixed, &engine_vhost_user_blk, &engine_vhost_scsi,
};

#define ALL (sizeof(all) / sizeof(all[0]))

static const char defaults[] = "vhost-blk,libaio,io_uring,vhost-user-blk,vhost-scsi";

static void usage(void)
{
	printf("usage: vhost-blk-bench --device PATH [OPTION]...\n"
	       "Random transfers of 4 KiB on one disk in several ways, in turn, and their ratios.\n\n"
	       "  --device PATH       block device\n"
	       "  --name NAME         what to call it in the results (default: PATH)\n"
	       "  --destroy-data      allow writes, which destroy what the device holds\n"
	       "  --engines LIST      ways to compare (default: %s)\n"
	       "  --ops LIST          read,write (default: read, and write with --destroy-data)\n"
	       "  --depths LIST       transfers in flight on a queue, up to %u (default: 1,32,128)\n"
	       "  --queues LIST       queues, each with a thread, up to %u (default: 1,2,4)\n"
	       "  --rounds N          measurements of each, taken in turn (default: 3)\n"
	       "  --seconds S         time of a measurement (default: 1)\n"
	       "  --warm-up S         time before it (default: 0.2)\n"
	       "  --workers N         workers of a vhost_blk device (default: one a queue)\n"
	       "  --busy-poll US      for vhost-blk-poll (default: %u)\n"
	       "  --halt-poll US      time for which a guest looks for an answer before it sleeps (default: 0)\n"
	       "  --direct            chains in the ring itself, not in indirect tables\n"
	       "  --no-event-idx      flags instead of event indexes\n"
	       "  --storage-daemon P  program for vhost-user-blk (default: qemu-storage-daemon)\n"
	       "  --json FILE         append each result as a line of JSON\n\nengines:\n",
	       defaults, MAX_DEPTH, MAX_QUEUES, BUSY_POLL_US);
	for (unsigned i = 0; i < ALL; i++)
		printf("  %-18s  %s\n", all[i]->name, all[i]->about);
}

static _Noreturn void refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

static _Noreturn void refuse(const char *format, ...)
{
	va_list args;

	fputs("vhost-blk-bench: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs("; see --help\n", stderr);
	exit(2);
}

static unsigned number(const char *option, const char *text, unsigned min, unsigned max)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value < min || value > max)
		refuse("--%s: expected a number from %u to %u, saw '%s'", option, min, max, text);
	return (unsigned)value;
}

static double seconds(const char *option, const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value > 0 && value <= SECONDS_MAX))
		refuse("--%s: expected seconds up to %g, saw '%s'", option, SECONDS_MAX, text);
	return value;
}

static unsigned numbers(const char *option, char *list, unsigned *out, unsigned max)
{
	unsigned count = 0;

	for (char *word = strtok(list, ","); word; word = strtok(NULL, ",")) {
		if (count == MAX_CHOICES)
			refuse("--%s: more than %u values", option, MAX_CHOICES);
		out[count++] = number(option, word, 1, max);
	}
	if (!count)
		refuse("--%s: the list is empty", option);
	return count;
}

static void choose_engines(struct options *options, char *list)
{
	options->engine_count = 0;
	for (char *word = strtok(list, ","); word; word = strtok(NULL, ",")) {
		unsigned i = 0;

		while (i < ALL && strcmp(all[i]->name, word))
			i++;
		if (i == ALL)
			refuse("--engines: no '%s'", word);
		if (options->engine_count == MAX_CHOICES)
			refuse("--engines: more than %u", MAX_CHOICES);
		options->engines[options->engine_count++] = all[i];
	}
	if (!options->engine_count)
		refuse("--engines: the list is empty");
}

static void choose_operations(struct options *options, char *list)
{
	for (char *word = strtok(list, ","); word; word = strtok(NULL, ",")) {
		if (strcmp(word, "read") && strcmp(word, "write"))
			refuse("--ops: no '%s'", word);
		options->operations[!strcmp(word, "write")] = true;
	}
}

enum choice { DEVICE = 1, NAME, DESTROY, ENGINES, OPS, DEPTHS, QUEUES, ROUNDS, SECONDS, WARM_UP, WORKERS, BUSY_POLL,
	      HALT_POLL, DIRECT, NO_EVENT_IDX, STORAGE_DAEMON, JSON, HELP };

static const struct option known[] = {
	{ "device", required_argument, NULL, DEVICE },
	{ "name", required_argument, NULL, NAME },
	{ "destroy-data", no_argument, NULL, DESTROY },
	{ "engines", required_argument, NULL, ENGINES },
	{ "ops", required_argument, NULL, OPS },
	{ "depths", required_argument, NULL, DEPTHS },
	{ "queues", required_argument, NULL, QUEUES },
	{ "rounds", required_argument, NULL, ROUNDS },
	{ "seconds", required_argument, NULL, SECONDS },
	{ "warm-up", required_argument, NULL, WARM_UP },
	{ "workers", required_argument, NULL, WORKERS },
	{ "busy-poll", required_argument, NULL, BUSY_POLL },
	{ "halt-poll", required_argument, NULL, HALT_POLL },
	{ "direct", no_argument, NULL, DIRECT },
	{ "no-event-idx", no_argument, NULL, NO_EVENT_IDX },
	{ "storage-daemon", required_argument, NULL, STORAGE_DAEMON },
	{ "json", required_argument, NULL, JSON },
	{ "help", no_argument, NULL, HELP },
	{ NULL, 0, NULL, 0 },
};

static void take(struct options *options, int option, const char *name)
{
	switch (option) {
	case DEVICE:
		options->job.device = optarg;
		break;
	case NAME:
		options->name = optarg;
		break;
	case DESTROY:
		options->destroy_data = true;
		break;
	case ENGINES:
		choose_engines(options, optarg);
		break;
	case OPS:
		choose_operations(options, optarg);
		break;
	case DEPTHS:
		options->depth_count = numbers(name, optarg, options->depths, MAX_DEPTH);
		break;
	case QUEUES:
		options->queues_count = numbers(name, optarg, options->queues, MAX_QUEUES);
		break;
	case ROUNDS:
		options->rounds = number(name, optarg, 1, MAX_ROUNDS);
		break;
	case SECONDS:
		options->seconds = seconds(name, optarg);
		break;
	case WARM_UP:
		options->warm_up_seconds = seconds(name, optarg);
		break;
	case WORKERS:
		options->workers = number(name, optarg, 1, MAX_QUEUES);
		break;
	case BUSY_POLL:
		options->job.busy_poll_us = number(name, optarg, 1, BUSY_POLL_MAX_US);
		break;
	case HALT_POLL:
		options->job.halt_poll_us = number(name, optarg, 0, BUSY_POLL_MAX_US);
		break;
	case DIRECT:
		options->job.direct = true;
		break;
	case NO_EVENT_IDX:
		options->job.no_event_idx = true;
		break;
	case STORAGE_DAEMON:
		options->job.storage_daemon = optarg;
		break;
	case JSON:
		options->json = optarg;
		break;
	case HELP:
		usage();
		exit(0);
	default:
		refuse("the request is wrong");
	}
}

void options_parse(struct options *options, int argc, char **argv)
{
	char engines[sizeof(defaults)];
	int option, at = 0;

	*options = (struct options) {
		.job = { .busy_poll_us = BUSY_POLL_US, .storage_daemon = "qemu-storage-daemon" },
		.depths = { 1, 32, 128 }, .depth_count = 3, .queues = { 1, 2, 4 }, .queues_count = 3,
		.rounds = 3, .seconds = 1, .warm_up_seconds = 0.2,
	};
	memcpy(engines, defaults, sizeof(defaults));
	choose_engines(options, engines);
	while ((option = getopt_long(argc, argv, "", known, &at)) != -1)
		take(options, option, known[at].name);
	if (optind < argc)
		refuse("it takes options only");
	if (!options->job.device)
		refuse("--device is missing");
	if (!options->name)
		options->name = options->job.device;
	if (!options->operations[0] && !options->operations[1]) {
		options->operations[0] = true;
		options->operations[1] = options->destroy_data;
	}
	if (options->operations[1] && !options->destroy_data)
		refuse("writes belong to --destroy-data");
}
