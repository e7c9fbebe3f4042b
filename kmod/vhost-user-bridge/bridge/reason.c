// SPDX-License-Identifier: GPL-2.0-only
#include "reason.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int refuse(struct reason *reason, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reason->text, sizeof(reason->text), format, arguments);
	va_end(arguments);
	return -1;
}

int refuse_error(struct reason *reason, int error, const char *format, ...)
{
	va_list arguments;
	size_t used;

	va_start(arguments, format);
	vsnprintf(reason->text, sizeof(reason->text), format, arguments);
	va_end(arguments);
	used = strlen(reason->text);
	snprintf(reason->text + used, sizeof(reason->text) - used, ": %s", strerror(-error));
	return -1;
}
