/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_CHECK_OPTIONS_H
#define VHOST_BLK_CHECK_OPTIONS_H

#include <stdbool.h>

#include "effort.h"

enum action { ACTION_RUN, ACTION_LIST, ACTION_FEATURES, ACTION_RECORDED };

struct options {
	enum action action;
	/* Groups of cases, see suite.h; GROUP_FULL when the user named none. */
	unsigned groups;
	const char *device;
	/* Folder for a file that is the disk; NULL: a block device is. */
	const char *file;
	/* Only cases whose name contains this; NULL: all. */
	const char *only;
	bool destroy_data, record;
	unsigned timeout;
	struct effort effort;
};

/* Reads argv; --help and --version print and end the program, a wrong option ends it with 2. */
void options_parse(struct options *options, int argc, char **argv);

#endif
