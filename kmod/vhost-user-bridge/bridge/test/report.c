// SPDX-License-Identifier: GPL-2.0-only
#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void print_line(const char *begin, const char *format, va_list arguments, const char *end)
{
	fputs(begin, stdout);
	vprintf(format, arguments);
	printf("%s%s\n", *end ? ": " : "", end);
	fflush(stdout);
}

_Noreturn void fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_line("not ok - ", format, arguments, "");
	va_end(arguments);
	exit(1);
}

_Noreturn void fail_errno(const char *format, ...)
{
	const char *text = strerror(errno);
	va_list arguments;

	va_start(arguments, format);
	print_line("not ok - ", format, arguments, text);
	va_end(arguments);
	exit(1);
}

void passed(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_line("ok - ", format, arguments, "");
	va_end(arguments);
}

long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

void sleep_ms(long ms)
{
	struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}
