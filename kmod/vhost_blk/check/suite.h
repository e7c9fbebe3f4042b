/* SPDX-License-Identifier: GPL-2.0-only */
/* The cases, and how one is run: in a process of its own, with a time limit, so that none can hang the others. */
#ifndef VHOST_BLK_CHECK_SUITE_H
#define VHOST_BLK_CHECK_SUITE_H

#include <stdbool.h>

#include "disk.h"
#include "report.h"
#include "request.h"

enum group { GROUP_QUICK = 1, GROUP_FULL = 2, GROUP_HOSTILE = 4, GROUP_LIFECYCLE = 8 };

struct check_case {
	unsigned groups;
	char name[96];
	void (*run)(const struct disk *disk, const struct check_case *self);
	/* What the function is told; each uses what it needs. */
	struct request_shape shape;
	struct guest_options options;
	unsigned count;
};

struct suite {
	struct check_case *cases;
	unsigned count, capacity;
};

/* Adds a case and returns it for further fields; the pointer is valid until the next call. */
struct check_case *suite_add(struct suite *suite, unsigned groups,
			     void (*run)(const struct disk *, const struct check_case *), const char *name, ...)
	PRINTF_LIKE(4, 5);

void suite_add_data(struct suite *suite);
void suite_add_layouts(struct suite *suite);
void suite_add_requests(struct suite *suite);
void suite_add_ranges(struct suite *suite);
void suite_add_limits(struct suite *suite);
void suite_add_file_backend(struct suite *suite);
/* Those that want a file in a file system of its own. */
void suite_add_file_system(struct suite *suite);
void suite_add_queues(struct suite *suite);
void suite_add_bases(struct suite *suite);
void suite_add_hostile_rings(struct suite *suite);
void suite_add_hostile_requests(struct suite *suite);
void suite_add_hostile_memory(struct suite *suite);
void suite_add_hostile_ioctls(struct suite *suite);
void suite_add_lifecycle(struct suite *suite);

/* Runs @self in a child; @verdict says how it ended. @seconds is the limit after which the child is killed. */
void suite_run(const struct check_case *self, const struct disk *disk, unsigned seconds, struct verdict *verdict);

#endif
