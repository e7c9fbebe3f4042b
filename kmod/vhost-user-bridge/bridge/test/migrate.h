/* SPDX-License-Identifier: GPL-2.0-only */
/* A migration from one QEMU to another while the device is driven. */
#ifndef MIGRATE_H
#define MIGRATE_H

#include "guest.h"

struct migration {
	/* Of the source: its monitor. Where the destination listens, as "migrate" takes it. */
	const char *monitor, *to;
	/* Of the destination: its qtest socket, and the file of its memory. */
	const char *qtest, *memory;
};

/* What the device wrote to memory meanwhile must have come along; the guest goes on at the destination. */
void migrate(struct guest *guest, const struct migration *migration);

#endif
