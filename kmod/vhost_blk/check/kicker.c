// SPDX-License-Identifier: GPL-2.0-only
#include "kicker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "counters.h"
#include "report.h"

/* How long a worker may take to fall asleep. */
#define SLEEP_MS 2000u

void kicker_require(void)
{
	FILE *symbols = fopen("/proc/kallsyms", "re");
	char line[256];
	bool found = false;

	if (!symbols)
		skip("no /proc/kallsyms");
	while (!found && fgets(line, sizeof(line), symbols))
		found = strstr(line, " __ksymtab_task_work_add");
	fclose(symbols);
	if (!found)
		skip("this kernel does not export task_work_add()");
	counters_require();
}

void kicker_disk(struct nullb *nullb)
{
	nullb_create(nullb, "memory_backed=0 irqmode=0");
}

static char allowed[16];

static void restore(void *unused)
{
	(void)unused;
	parameter_set("kick_requests", allowed);
}

void kicker_allow(unsigned requests)
{
	char value[16];

	if (!allowed[0]) {
		snprintf(allowed, sizeof(allowed), "%u", parameter_get("kick_requests"));
		at_end(restore, NULL);
	}
	snprintf(value, sizeof(value), "%u", requests);
	if (parameter_set("kick_requests", value))
		fail_errno("can not set the parameter kick_requests to %u", requests);
}

void kicker_guest(struct guest *guest, const struct guest_options *options, int disk)
{
	guest_create(guest, options);
	for (unsigned i = 0; i < guest->queues; i++)
		if (ioctl(guest->vhost, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &(struct vhost_vring_state){ i, 0 }))
			fail_errno("VHOST_SET_VRING_BUSYLOOP_TIMEOUT");
	guest_attach(guest, disk);
}

/* State and voluntary switches of a task. */
static unsigned long long switches_of(unsigned long long pid, char *state)
{
	unsigned long long switches = 0;
	char path[64], line[256];
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%llu/status", pid);
	status = fopen(path, "re");
	if (!status)
		fail_errno("can not read %s", path);
	while (fgets(line, sizeof(line), status)) {
		sscanf(line, "State: %c", state);
		sscanf(line, "voluntary_ctxt_switches: %llu", &switches);
	}
	fclose(status);
	return switches;
}

void kicker_look(unsigned queue, struct kicker_seen *seen)
{
	struct counters counters;
	char state = '?';

	for (unsigned waited = 0; state != 'S' && waited < SLEEP_MS; waited++) {
		usleep(1000);
		counters_read(queue, &counters);
		seen->worker_switches = switches_of(counters_get(&counters, "worker_pid"), &state);
	}
	if (state != 'S')
		fail("expected the worker to sleep, saw it in state %c", state);
	seen->kick_turns = counters_get(&counters, "kick_turns");
	seen->turns = counters_get(&counters, "turns");
	seen->requests = counters_get(&counters, "requests_in") + counters_get(&counters, "requests_out");
}

/* The first value kicks, the second does not fit behind it before somebody reads. */
static void *kick_and_stay(void *argument)
{
	struct kicker_kept *kept = argument;
	uint64_t values[] = { 1, UINT64_MAX - 1 };
	struct iovec parts[] = { { &values[0], sizeof(values[0]) }, { &values[1], sizeof(values[1]) } };

	if (writev(kept->fd, parts, 2) != sizeof(values))
		fail_errno("can not kick");
	kept->back = true;
	return NULL;
}

static uint64_t take(int fd)
{
	uint64_t value = 0;

	if (read(fd, &value, sizeof(value)) != (ssize_t)sizeof(value))
		fail_errno("can not read an eventfd");
	return value;
}

void kicker_keep(struct kicker_kept *kept, const struct ring *ring)
{
	struct pollfd kicked = { .fd = ring->kick, .events = POLLIN };

	kept->fd = ring->kick;
	kept->back = false;
	if (!poll(&kicked, 1, 0) || take(kept->fd) == 0)
		kicked.revents = 0;
	/* It is to wait where there is no room. */
	if (fcntl(kept->fd, F_SETFL, 0))
		fail_errno("fcntl");
	if (pthread_create(&kept->thread, NULL, kick_and_stay, kept))
		fail("can not start a thread");
	if (poll(&kicked, 1, COMPLETION_MS) != 1)
		fail("expected a kick, saw none");
}

void kicker_let_go(struct kicker_kept *kept)
{
	if (kept->back)
		fail("the check itself is wrong: the thread that kicks was not kept");
	take(kept->fd);
	pthread_join(kept->thread, NULL);
	take(kept->fd);
}
