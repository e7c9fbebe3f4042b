// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int report_fd = -1;
static char remark[sizeof(((struct verdict *)0)->text)];
static __thread char place[160];

void report_to(int fd)
{
	report_fd = fd;
	remark[0] = '\0';
}

#define MAX_UNDO 8

static struct {
	void (*undo)(void *);
	void *argument;
} undos[MAX_UNDO];

void at_end(void (*undo)(void *), void *argument)
{
	for (unsigned i = 0; i < MAX_UNDO; i++) {
		if (undos[i].undo)
			continue;
		undos[i].undo = undo;
		undos[i].argument = argument;
		return;
	}
	undo(argument);
	fail("the check itself is wrong: too much to undo");
}

void not_at_end(void (*undo)(void *), void *argument)
{
	for (unsigned i = 0; i < MAX_UNDO; i++)
		if (undos[i].undo == undo && undos[i].argument == argument)
			undos[i].undo = NULL;
}

static void undo_all(void)
{
	for (unsigned i = MAX_UNDO; i--;) {
		void (*undo)(void *) = undos[i].undo;

		undos[i].undo = NULL;
		if (undo)
			undo(undos[i].argument);
	}
}

static _Noreturn void end(const struct verdict *verdict)
{
	undo_all();
	if (report_fd < 0) {
		fprintf(stderr, "%s: %s\n", program_invocation_short_name, verdict->text);
		exit(2);
	}
	/* Nothing can be done about a pipe that is gone: the runner was killed, and the case ends either way. */
	if (write(report_fd, verdict, sizeof(*verdict)) < 0)
		_exit(2);
	_exit(0);
}

static void describe(struct verdict *verdict, const char *format, va_list args)
{
	size_t used = (size_t)snprintf(verdict->text, sizeof(verdict->text), "%s%s", place, place[0] ? ": " : "");

	vsnprintf(verdict->text + used, sizeof(verdict->text) - used, format, args);
}

void fail(const char *format, ...)
{
	struct verdict verdict = { .outcome = OUTCOME_FAILED };
	va_list args;

	va_start(args, format);
	describe(&verdict, format, args);
	va_end(args);
	end(&verdict);
}

void fail_errno(const char *format, ...)
{
	struct verdict verdict = { .outcome = OUTCOME_FAILED };
	int error = errno;
	va_list args;
	size_t used;

	va_start(args, format);
	describe(&verdict, format, args);
	va_end(args);
	used = strlen(verdict.text);
	snprintf(verdict.text + used, sizeof(verdict.text) - used, ": %s", strerror(error));
	end(&verdict);
}

void at(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(place, sizeof(place), format, args);
	va_end(args);
}

void skip(const char *format, ...)
{
	struct verdict verdict = { .outcome = OUTCOME_SKIPPED };
	va_list args;

	va_start(args, format);
	vsnprintf(verdict.text, sizeof(verdict.text), format, args);
	va_end(args);
	end(&verdict);
}

void pass(void)
{
	struct verdict verdict = { .outcome = OUTCOME_PASSED };

	memcpy(verdict.text, remark, sizeof(verdict.text));
	end(&verdict);
}

void note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(remark, sizeof(remark), format, args);
	va_end(args);
}
