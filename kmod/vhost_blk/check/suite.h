/* SPDX-License-Identifier: GPL-2.0-only */
/* The cases, and how one is run: in a process of its own, with a time limit, so that none can hang the others. */
#ifndef VHOST_BLK_CHECK_SUITE_H
#define VHOST_BLK_CHECK_SUITE_H

#include <stdbool.h>

#include "disk.h"
#include "report.h"
#include "request.h"

enum group {
	GROUP_QUICK = 1, GROUP_FULL = 2, GROUP_HOSTILE = 4, GROUP_LIFECYCLE = 8,
	GROUP_MATRIX = 16, GROUP_MODEL = 32, GROUP_FUZZ = 64, GROUP_INJECT = 128,
};

/* Rows of the table of features: what a case is evidence for. */
#define ROW_BIO "bio backend"
#define ROW_FILE "file backend"
#define ROW_QUEUES "several virtqueues"
#define ROW_WORKERS "several workers"
#define ROW_REQUESTS "requests"
#define ROW_FEATURES "features"
#define ROW_CONFIG "config"
#define ROW_CHANGE "backend change"
#define ROW_OWNER "owner dies"
#define ROW_SAFETY "safety"
#define ROW_SEE "to see"
#define ROW_TUNE "to tune"

struct check_case {
	unsigned groups;
	/* One of ROW_*; NULL: the one that most of its group belong to. */
	const char *row;
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

/* Gives @row to all cases from number @first on that have none yet. */
void suite_set_row(struct suite *suite, unsigned first, const char *row);

/* The row of a case: its own or its group's. */
const char *suite_row(const struct check_case *self);

/* Adds a case and returns it for further fields; the pointer is valid until the next call. */
struct check_case *suite_add(struct suite *suite, unsigned groups,
			     void (*run)(const struct disk *, const struct check_case *), const char *name, ...)
	PRINTF_LIKE(4, 5);

void suite_add_data(struct suite *suite);
void suite_add_layouts(struct suite *suite);
void suite_add_blocks(struct suite *suite);
void suite_add_requests(struct suite *suite);
void suite_add_ranges(struct suite *suite);
void suite_add_limits(struct suite *suite);
void suite_add_settings(struct suite *suite);
void suite_add_file_backend(struct suite *suite);
void suite_add_file_kinds(struct suite *suite);
/* Those that want a file in a file system of its own. */
void suite_add_file_system(struct suite *suite);
void suite_add_file_flags(struct suite *suite);
void suite_add_queues(struct suite *suite);
void suite_add_bases(struct suite *suite);
void suite_add_hostile_rings(struct suite *suite);
void suite_add_hostile_requests(struct suite *suite);
void suite_add_hostile_memory(struct suite *suite);
void suite_add_hostile_ioctls(struct suite *suite);
void suite_add_workers(struct suite *suite);
void suite_add_polling(struct suite *suite);
void suite_add_parameters(struct suite *suite);
void suite_add_kick(struct suite *suite);
void suite_add_kick_kept(struct suite *suite);
void suite_add_counters(struct suite *suite);
void suite_add_lifecycle(struct suite *suite);
void suite_add_matrix(struct suite *suite);
void suite_add_model(struct suite *suite);
void suite_add_fuzz(struct suite *suite);
void suite_add_restarts(struct suite *suite);
void suite_add_owner(struct suite *suite);
void suite_add_owner_memory(struct suite *suite);
void suite_add_faults(struct suite *suite);
void suite_add_log(struct suite *suite);
void suite_add_iotlb(struct suite *suite);
void suite_add_iotlb_flight(struct suite *suite);
void suite_add_iotlb_hostile(struct suite *suite);
void suite_add_budget(struct suite *suite);
void suite_add_memory_map(struct suite *suite);
void suite_add_inject_calls(struct suite *suite);
void suite_add_inject_requests(struct suite *suite);

/* Runs @self in a child; @verdict says how it ended. @seconds is the limit after which the child is killed. */
void suite_run(const struct check_case *self, const struct disk *disk, unsigned seconds, struct verdict *verdict);

#endif
