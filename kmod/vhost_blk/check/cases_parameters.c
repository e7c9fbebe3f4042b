// SPDX-License-Identifier: GPL-2.0-only
/* What the host's operator sets: module parameters, and the nice value that workers have from their owner. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "counters.h"
#include "suite.h"

/* Values that a parameter must not have change nothing. */
static void run_parameters(const struct disk *disk, const struct check_case *self)
{
	static const struct {
		const char *name, *value;
	} bad[] = {
		{ "weight", "0" },   { "weight", "1025" },	 { "weight", "many" },
		{ "weight", "-1" },  { "busyloop_us", "10001" }, { "busyloop_us", "4294967296" },
		{ "workers", "65" }, { "workers", "" },	 { "kick_requests", "33" },
	};

	(void)disk;
	(void)self;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		unsigned before = parameter_get(bad[i].name);

		if (!parameter_set(bad[i].name, bad[i].value))
			fail("parameter %s: expected \"%s\" to be refused, saw success", bad[i].name, bad[i].value);
		if (parameter_get(bad[i].name) != before)
			fail("parameter %s: expected %u to stay, saw %u", bad[i].name, before,
			     parameter_get(bad[i].name));
	}
}

/* The 19th field of /proc/PID/stat; the second one, in parentheses, may hold blanks. */
static int nice_of(unsigned long long pid)
{
	char path[64], text[1024] = "", *field;
	FILE *file;
	int nice;

	snprintf(path, sizeof(path), "/proc/%llu/stat", pid);
	file = fopen(path, "re");
	if (!file || !fgets(text, sizeof(text), file))
		fail_errno("can not read %s", path);
	fclose(file);
	field = strrchr(text, ')');
	if (!field || sscanf(field + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %d", &nice) != 1)
		fail("expected fields of a task, saw \"%s\"", text);
	return nice;
}

static void run_nice(const struct disk *disk, const struct check_case *self)
{
	struct counters counters;
	struct guest guest;

	counters_require();
	if (setpriority(PRIO_PROCESS, 0, 7))
		fail_errno("setpriority");
	guest_create(&guest, &self->options);
	guest_attach(&guest, disk->fd);
	counters_read(0, &counters);
	if (nice_of(counters_get(&counters, "worker_pid")) != 7)
		fail("worker of an owner at nice 7: expected the same, saw %d",
		     nice_of(counters_get(&counters, "worker_pid")));
	guest_close(&guest);
}

void suite_add_parameters(struct suite *suite)
{
	suite_add(suite, GROUP_FULL, run_parameters, "parameters: values that can not be")->row = ROW_TUNE;
	suite_add(suite, GROUP_FULL, run_nice, "workers: nice value of the owner")->row = ROW_WORKERS;
}
