// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>

#include "say.h"

void say(const char *format, ...)
{
	char line[8192];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	/* An escape sequence would be the terminal's. */
	for (unsigned char *at = (unsigned char *)line; *at; at++)
		if (*at < ' ' || *at == 0x7f || (*at >= 0x80 && *at < 0xa0))
			*at = '?';
	fprintf(stderr, "blkfleet-qcow2: %s\n", line);
}
