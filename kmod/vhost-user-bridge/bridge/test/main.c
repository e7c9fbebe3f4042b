// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhost-user-bridge-guest: tries the bridge as a guest would. It starts and kills the bridge itself; it is the
 * frontend, too, or drives the device of a QEMU that is.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"
#include "daemon.h"
#include "migrate.h"
#include "qtest.h"
#include "report.h"
#include "storm.h"

static const char usage[] =
	"usage: vhost-user-bridge-guest --socket PATH [--qtest PATH --memory FILE] [OPTION]... -- BRIDGE ARGUMENT...\n"
	"  --cases LIST      of requests, restart, protocol, storm, resize, migrate, read-only\n"
	"  --capacity N      sectors of the disk\n"
	"  --serial TEXT     of the disk\n"
	"  --disk NAME       under /sys/block, whose writes are counted\n"
	"  --kills N         of the storm (50)\n"
	"  --pace MS         most between two of them (40)\n"
	"  --grow COMMAND    that makes the disk larger\n"
	"  --grown N         sectors that it has then\n"
	"  --seed N          of what is written where\n"
	"  --monitor PATH    of QEMU, for the case migrate\n"
	"  --to URI          where the destination listens; its --to-qtest PATH and --to-memory FILE\n";

struct plan {
	const char *socket, *qtest, *memory, *cases, *disk, *grow;
	struct expectation expected;
	unsigned long long grown;
	unsigned int kills, pace;
	struct migration migration;
	char **bridge;
};

static bool parse(struct plan *plan, int argc, char **argv)
{
	static const struct option known[] = {
		{ "socket", required_argument, NULL, 's' }, { "qtest", required_argument, NULL, 'q' },
		{ "memory", required_argument, NULL, 'm' }, { "cases", required_argument, NULL, 'c' },
		{ "capacity", required_argument, NULL, 'n' }, { "serial", required_argument, NULL, 'i' },
		{ "disk", required_argument, NULL, 'd' }, { "kills", required_argument, NULL, 'k' },
		{ "pace", required_argument, NULL, 'p' }, { "grow", required_argument, NULL, 'g' },
		{ "grown", required_argument, NULL, 'G' }, { "seed", required_argument, NULL, 'S' },
		{ "monitor", required_argument, NULL, 'M' }, { "to", required_argument, NULL, 't' },
		{ "to-qtest", required_argument, NULL, 'Q' }, { "to-memory", required_argument, NULL, 'R' }, { 0 },
	};
	int option;

	*plan = (struct plan){ .cases = "requests", .kills = 50, .pace = 40, .expected.serial = "" };
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 's':
			plan->socket = optarg;
			break;
		case 'q':
			plan->qtest = optarg;
			break;
		case 'm':
			plan->memory = optarg;
			break;
		case 'c':
			plan->cases = optarg;
			break;
		case 'n':
			plan->expected.capacity = strtoull(optarg, NULL, 10);
			break;
		case 'i':
			plan->expected.serial = optarg;
			break;
		case 'd':
			plan->disk = optarg;
			break;
		case 'k':
			plan->kills = atoi(optarg);
			break;
		case 'p':
			plan->pace = atoi(optarg);
			break;
		case 'g':
			plan->grow = optarg;
			break;
		case 'G':
			plan->grown = strtoull(optarg, NULL, 10);
			break;
		case 'S':
			srand(atoi(optarg));
			break;
		case 'M':
			plan->migration.monitor = optarg;
			break;
		case 't':
			plan->migration.to = optarg;
			break;
		case 'Q':
			plan->migration.qtest = optarg;
			break;
		case 'R':
			plan->migration.memory = optarg;
			break;
		default:
			return false;
		}
	}
	plan->bridge = argv + optind;
	return plan->socket && optind < argc && !plan->qtest == !plan->memory;
}

static void run(const struct plan *plan, struct guest *guest, const char *name)
{
	if (!strcmp(name, "requests"))
		cases_requests(guest, &plan->expected);
	else if (!strcmp(name, "restart"))
		cases_restart(guest, plan->bridge);
	else if (!strcmp(name, "protocol") && !plan->qtest)
		cases_protocol(guest, plan->bridge);
	else if (!strcmp(name, "storm"))
		storm(guest, plan->disk, plan->kills, plan->bridge, plan->pace);
	else if (!strcmp(name, "migrate") && plan->migration.to)
		migrate(guest, &plan->migration);
	else if (!strcmp(name, "resize") && plan->qtest)
		cases_resize(guest, plan->grow, plan->grown);
	else if (!strcmp(name, "resize"))
		cases_config_change(guest, plan->grow, plan->grown);
	else
		fail("there is no case '%s'", name);
}

int main(int argc, char **argv)
{
	static struct frontend frontend;
	static struct qtest qtest;
	struct guest guest;
	struct plan plan;
	char *list, *name;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!parse(&plan, argc, argv)) {
		fputs(usage, stderr);
		return 2;
	}
	/* With QEMU, the bridge that it connected to is started here, as is each that follows. */
	daemon_start(plan.bridge);
	guest_open(&guest, plan.memory);
	if (plan.qtest)
		qtest_open(&guest, &qtest, plan.qtest);
	else
		frontend_open(&guest, &frontend, plan.socket);
	plan.expected.read_only = strstr(plan.cases, "read-only");
	list = strdup(plan.cases);
	for (name = strtok(list, ","); name; name = strtok(NULL, ","))
		run(&plan, &guest, strcmp(name, "read-only") ? name : "requests");
	free(list);
	daemon_stop();
	passed("the bridge ends when it is told to");
	return 0;
}
