// SPDX-License-Identifier: GPL-2.0-only
#include "expect.h"

#include <errno.h>
#include <string.h>

#include "report.h"

void must(const char *what, int result)
{
	if (result)
		fail_errno("%s", what);
}

void expect_errno(const char *what, long result, int wanted)
{
	if (result >= 0)
		fail("%s: expected \"%s\", saw success", what, strerror(wanted));
	if (errno != wanted)
		fail("%s: expected \"%s\", saw \"%s\"", what, strerror(wanted), strerror(errno));
}
