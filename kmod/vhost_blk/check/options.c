// SPDX-License-Identifier: GPL-2.0-only
#include "options.h"

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
	"  --lifecycle      open, stop, close, kill in a loop\n"
	"  --only TEXT      only cases whose name contains TEXT\n"
	"  --list           print the cases and end\n"
	"\n"
	"where:\n"
	"  --device DEV     use DEV; refused while DEV is in use or holds data\n"
	"  --destroy-data   overwrite what DEV holds\n"
	"  --file FOLDER    use a nameless file in FOLDER as the disk\n"
	"  --timeout SEC    limit of one case (120)\n"
	"\n"
	"  --record         after a pass, note module and kernel in /var/lib/blkfleet/checked/vhost_blk\n"
	"  --recorded       exit 0 if that note fits the loaded module and running kernel, else 1\n"
	"  --features       print the features the module offers\n"
	"  --version, --help\n"
	"\n"
	"Exit: 0 all passed, 1 a case failed, 2 the check could not run.\n";

enum { OPT_QUICK = 256, OPT_FULL, OPT_HOSTILE, OPT_LIFECYCLE, OPT_ONLY, OPT_LIST, OPT_DEVICE, OPT_DESTROY, OPT_FILE,
       OPT_TIMEOUT, OPT_RECORD, OPT_RECORDED, OPT_FEATURES, OPT_VERSION, OPT_HELP };

static const struct option long_options[] = {
	{ "quick", no_argument, NULL, OPT_QUICK },
	{ "full", no_argument, NULL, OPT_FULL },
	{ "hostile", no_argument, NULL, OPT_HOSTILE },
	{ "lifecycle", no_argument, NULL, OPT_LIFECYCLE },
	{ "only", required_argument, NULL, OPT_ONLY },
	{ "list", no_argument, NULL, OPT_LIST },
	{ "device", required_argument, NULL, OPT_DEVICE },
	{ "destroy-data", no_argument, NULL, OPT_DESTROY },
	{ "file", required_argument, NULL, OPT_FILE },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
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

static unsigned seconds(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end || value == 0 || value > 86400)
		refuse("--timeout wants whole seconds, 1 to 86400");
	return (unsigned)value;
}

void options_parse(struct options *options, int argc, char **argv)
{
	int option;

	memset(options, 0, sizeof(*options));
	options->timeout = DEFAULT_TIMEOUT;
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
			options->timeout = seconds(optarg);
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
