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

void report_to(int fd)
{
	report_fd = fd;
	remark[0] = '\0';
}

static _Noreturn void end(const struct verdict *verdict)
{
	if (report_fd < 0) {
		fprintf(stderr, "%s: %s\n", program_invocation_short_name, verdict->text);
		exit(2);
	}
	/* Nothing can be done about a pipe that is gone: the runner was killed, and the case ends either way. */
	if (write(report_fd, verdict, sizeof(*verdict)) < 0)
		_exit(2);
	_exit(0);
}

void fail(const char *format, ...)
{
	struct verdict verdict = { .outcome = OUTCOME_FAILED };
	va_list args;

	va_start(args, format);
	vsnprintf(verdict.text, sizeof(verdict.text), format, args);
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
	vsnprintf(verdict.text, sizeof(verdict.text), format, args);
	va_end(args);
	used = strlen(verdict.text);
	snprintf(verdict.text + used, sizeof(verdict.text) - used, ": %s", strerror(error));
	end(&verdict);
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
