// SPDX-License-Identifier: GPL-2.0-only
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"

#ifndef CHECK_VERSION
#error "CHECK_VERSION comes from the Makefile"
#endif

/* Far above what a case needs on a slow and busy machine, far below an operator's patience with a hang. */
#define DEFAULT_TIMEOUT 120

static const char usage[] =
	"usage: vhost-blk-check [OPTION]...\n"
	"Plays a virtio-blk guest against /dev/vhost-blk, checks the data it moved, and says what it saw.\n"
	"Without --device it uses a scratch loop device of its own.\n"
	"\n"
	"which cases (all data and ring cases when none is given; they may be combined):\n"
	"  --quick          the health gate: a few requests of every kind\n"
	"  --full           all data and ring cases\n"
	"  --hostile        malformed rings, requests and ioctls\n"
	"  --lifecycle      open, stop, close, kill in a loop; disks that fail or go away\n"
	"  --matrix         every request type x size x alignment x layout x ring option x queues\n"
	"  --model          many requests of every kind at once, against a model of the disk\n"
	"  --fuzz           rings, requests, memory and ioctls made by chance, right and wrong ones\n"
	"  --inject         memory, copies and bios that fail on purpose; needs a kernel with fault injection\n"
	"  --only TEXT      only cases whose name contains TEXT\n"
	"  --list           print the cases and end\n"
	"\n"
	"where:\n"
	"  --device DEV     use DEV; refused while DEV is in use or holds data\n"
	"  --destroy-data   overwrite what DEV holds\n"
	"  --file FOLDER    use a nameless file in FOLDER as the disk\n"
	"  --timeout SEC    limit of one case (120)\n"
	"\n"
	"how much:\n"
	"  --long N         cases that try things by number try N times as many\n"
	"  --requests N     requests of each such case\n"
	"  --seed N         of what is made by chance; each case prints the one it used\n"
	"\n"
	"  --record         after a pass, note module and kernel in /var/lib/blkfleet/checked/vhost_blk\n"
	"  --recorded       exit 0 if that note fits the loaded module and running kernel, else 1\n"
	"  --features       print what the module offers: features, calls, parameters; with --device the limits of DEV\n"
	"  --version, --help\n"
	"\n"
	"Exit: 0 all passed, 1 a case failed, 2 the check could not run.\n";

enum { OPT_QUICK = 256, OPT_FULL, OPT_HOSTILE, OPT_LIFECYCLE, OPT_MATRIX, OPT_MODEL, OPT_FUZZ, OPT_INJECT, OPT_ONLY,
       OPT_LIST, OPT_DEVICE, OPT_DESTROY, OPT_FILE, OPT_TIMEOUT, OPT_LONG, OPT_REQUESTS, OPT_SEED, OPT_RECORD, OPT_RECORDED,
       OPT_FEATURES, OPT_VERSION, OPT_HELP };

static const struct option long_options[] = {
	{ "quick", no_argument, NULL, OPT_QUICK },
	{ "full", no_argument, NULL, OPT_FULL },
	{ "hostile", no_argument, NULL, OPT_HOSTILE },
	{ "lifecycle", no_argument, NULL, OPT_LIFECYCLE },
	{ "matrix", no_argument, NULL, OPT_MATRIX },
	{ "model", no_argument, NULL, OPT_MODEL },
	{ "fuzz", no_argument, NULL, OPT_FUZZ },
	{ "inject", no_argument, NULL, OPT_INJECT },
	{ "only", required_argument, NULL, OPT_ONLY },
	{ "list", no_argument, NULL, OPT_LIST },
	{ "device", required_argument, NULL, OPT_DEVICE },
	{ "destroy-data", no_argument, NULL, OPT_DESTROY },
	{ "file", required_argument, NULL, OPT_FILE },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "long", required_argument, NULL, OPT_LONG },
	{ "requests", required_argument, NULL, OPT_REQUESTS },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "record", no_argument, NULL, OPT_RECORD },
	{ "recorded", no_argument, NULL, OPT_RECORDED },
	{ "features", no_argument, NULL, OPT_FEATURES },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static _Noreturn void refuse(const char *why)
{
	fprintf(stderr, "vhost-blk-check: %s\nTry 'vhost-blk-check --help'.\n", why);
	exit(2);
}

static unsigned long long number(const char *text, unsigned long long max, const char *complaint)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (text[0] < '0' || text[0] > '9' || *end || errno || value == 0 || value > max)
		refuse(complaint);
	return value;
}

void options_parse(struct options *options, int argc, char **argv)
{
	int option;

	memset(options, 0, sizeof(*options));
	options->timeout = DEFAULT_TIMEOUT;
	options->effort.factor = 1;
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (option) {
		case OPT_QUICK:
			options->groups |= GROUP_QUICK;
			break;
		case OPT_FULL:
			options->groups |= GROUP_FULL;
			break;
		case OPT_HOSTILE:
			options->groups |= GROUP_HOSTILE;
			break;
		case OPT_LIFECYCLE:
			options->groups |= GROUP_LIFECYCLE;
			break;
		case OPT_MATRIX:
			options->groups |= GROUP_MATRIX;
			break;
		case OPT_MODEL:
			options->groups |= GROUP_MODEL;
			break;
		case OPT_FUZZ:
			options->groups |= GROUP_FUZZ;
			break;
		case OPT_INJECT:
			options->groups |= GROUP_INJECT;
			break;
		case OPT_ONLY:
			options->only = optarg;
			break;
		case OPT_LIST:
			options->action = ACTION_LIST;
			break;
		case OPT_DEVICE:
			options->device = optarg;
			break;
		case OPT_DESTROY:
			options->destroy_data = true;
			break;
		case OPT_FILE:
			options->file = optarg;
			break;
		case OPT_TIMEOUT:
			options->timeout = number(optarg, 86400, "--timeout wants whole seconds, 1 to 86400");
			break;
		case OPT_LONG:
			options->effort.factor = number(optarg, 10000, "--long wants 1 to 10000");
			break;
		case OPT_REQUESTS:
			options->effort.requests = number(optarg, 1000000000, "--requests wants 1 to 1000000000");
			break;
		case OPT_SEED:
			options->effort.seed = number(optarg, UINT64_MAX, "--seed wants a number above 0");
			break;
		case OPT_RECORD:
			options->record = true;
			break;
		case OPT_RECORDED:
			options->action = ACTION_RECORDED;
			break;
		case OPT_FEATURES:
			options->action = ACTION_FEATURES;
			break;
		case OPT_VERSION:
			printf("vhost-blk-check %s\n", CHECK_VERSION);
			exit(0);
		case OPT_HELP:
			fputs(usage, stdout);
			exit(0);
		default:
			refuse("the request is wrong");
		}
	}
	if (optind < argc)
		refuse("it takes options only");
	if (options->destroy_data && !options->device)
		refuse("--destroy-data belongs to --device");
	if (options->device && options->file)
		refuse("--device and --file exclude each other");
	if (options->record && options->only)
		refuse("--record wants whole groups, not --only");
	if (!options->groups)
		options->groups = options->action == ACTION_LIST ? ~0u : GROUP_FULL;
}
