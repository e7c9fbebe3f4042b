/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef CASES_H
#define CASES_H

#include "frontend.h"

struct expectation {
	const char *serial;
	/* In sectors. */
	unsigned long long capacity;
	bool read_only;
};

/* What any device of virtio-blk does, over either transport. */
void cases_requests(struct guest *guest, const struct expectation *expected);

/* A request that is made while no bridge runs. */
void cases_restart(struct guest *guest, char *const *bridge);

/* Messages that QEMU sends seldom; of a frontend alone. */
void cases_protocol(struct guest *guest, char *const *bridge);

/* As cases_resize(), and what a frontend is told of it. */
void cases_config_change(struct guest *guest, const char *command, unsigned long long sectors);

/* The disk grows to @sectors by @command. */
void cases_resize(struct guest *guest, const char *command, unsigned long long sectors);

#endif
