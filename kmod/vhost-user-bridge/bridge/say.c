// SPDX-License-Identifier: GPL-2.0-only
#include "say.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static const char *name = "";

void say_name(const char *text)
{
	name = text;
}

void say(const char *format, ...)
{
	char line[1024];
	va_list arguments;
	int used;

	used = snprintf(line, sizeof(line) - 1, "vhost-user-bridge%s%s: ", *name ? " " : "", name);
	va_start(arguments, format);
	used += vsnprintf(line + used, sizeof(line) - 1 - used, format, arguments);
	va_end(arguments);
	if (used > (int)sizeof(line) - 2)
		used = sizeof(line) - 2;
	for (int i = 0; i < used; i++) {
		unsigned char byte = line[i];

		/* An escape sequence would be the terminal's. */
		if (byte < ' ' || byte == 0x7f || (byte >= 0x80 && byte < 0xa0))
			line[i] = '?';
	}
	line[used++] = '\n';
	/* In one piece, and not of importance enough to wait or fail for. */
	if (write(STDERR_FILENO, line, used) < 0)
		return;
}
