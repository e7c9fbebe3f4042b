// SPDX-License-Identifier: GPL-2.0-only
#include "suite.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How long a killed process may need to leave the kernel: it drains what is in flight. */
#define EXIT_MS 60000

struct check_case *suite_add(struct suite *suite, unsigned groups,
			     void (*run)(const struct disk *, const struct check_case *), const char *name, ...)
{
	struct check_case *added;
	va_list args;

	if (suite->count == suite->capacity) {
		suite->capacity = suite->capacity ? 2 * suite->capacity : 64;
		suite->cases = realloc(suite->cases, suite->capacity * sizeof(*suite->cases));
		if (!suite->cases)
			fail("out of memory");
	}
	added = &suite->cases[suite->count++];
	memset(added, 0, sizeof(*added));
	added->groups = groups;
	added->run = run;
	va_start(args, name);
	vsnprintf(added->name, sizeof(added->name), name, args);
	va_end(args);
	return added;
}

void suite_set_row(struct suite *suite, unsigned first, const char *row)
{
	for (unsigned i = first; i < suite->count; i++)
		if (!suite->cases[i].row)
			suite->cases[i].row = row;
}

const char *suite_row(const struct check_case *self)
{
	if (self->row)
		return self->row;
	if (self->groups & (GROUP_HOSTILE | GROUP_FUZZ | GROUP_INJECT))
		return ROW_SAFETY;
	return self->groups & GROUP_LIFECYCLE ? ROW_CHANGE : ROW_REQUESTS;
}

static _Noreturn void run_child(const struct check_case *self, const struct disk *disk, int fd, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(2);
	report_to(fd);
	self->run(disk, self);
	pass();
}

/* Waits until @pid is gone; false when it is still there after @ms. */
static bool reap(pid_t pid, int ms, int *status)
{
	struct timespec nap = { 0, 200000 };

	for (int64_t waited = 0; waited < (int64_t)ms * 1000000; waited += nap.tv_nsec) {
		if (waitpid(pid, status, WNOHANG) == pid)
			return true;
		nanosleep(&nap, NULL);
		if (nap.tv_nsec < 20000000)
			nap.tv_nsec *= 2;
	}
	return waitpid(pid, status, WNOHANG) == pid;
}

static void describe_death(int status, struct verdict *verdict)
{
	verdict->outcome = OUTCOME_FAILED;
	if (WIFSIGNALED(status))
		snprintf(verdict->text, sizeof(verdict->text), "expected a verdict, saw signal %d (%s)",
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(verdict->text, sizeof(verdict->text), "expected a verdict, saw exit code %d",
			 WEXITSTATUS(status));
}

void suite_run(const struct check_case *self, const struct disk *disk, unsigned seconds, struct verdict *verdict)
{
	int pipe_fds[2], status = 0, ready;
	struct pollfd wait_for;
	pid_t pid, parent = getpid();
	bool told;

	fflush(NULL);
	if (pipe(pipe_fds))
		fail_errno("pipe");
	pid = fork();
	if (pid < 0)
		fail_errno("fork");
	if (pid == 0) {
		close(pipe_fds[0]);
		run_child(self, disk, pipe_fds[1], parent);
	}
	close(pipe_fds[1]);
	wait_for = (struct pollfd){ .fd = pipe_fds[0], .events = POLLIN };
	do
		ready = poll(&wait_for, 1, (int)seconds * 1000);
	while (ready < 0 && errno == EINTR);
	memset(verdict, 0, sizeof(*verdict));
	told = ready > 0 && read(pipe_fds[0], verdict, sizeof(*verdict)) == (ssize_t)sizeof(*verdict);
	close(pipe_fds[0]);
	if (ready == 0) {
		kill(pid, SIGKILL);
		verdict->outcome = OUTCOME_FAILED;
		snprintf(verdict->text, sizeof(verdict->text), "expected an end within %u s, saw none", seconds);
	}
	/* Leaving closes the device, and that drains: only then is the case over. */
	if (!reap(pid, EXIT_MS, &status)) {
		kill(pid, SIGKILL);
		verdict->outcome = OUTCOME_FAILED;
		snprintf(verdict->text, sizeof(verdict->text),
			 "expected the process to end, saw it stuck in the kernel after %d s", EXIT_MS / 1000);
	} else if (!told && ready != 0) {
		describe_death(status, verdict);
	}
}
