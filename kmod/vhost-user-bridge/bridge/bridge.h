/* SPDX-License-Identifier: GPL-2.0-only */
/* What lasts from one frontend to the next. */
#ifndef BRIDGE_H
#define BRIDGE_H

#include <stdint.h>

#include "device.h"
#include "options.h"

/* What one process leaves to the next for the same frontend, which does not tell it again. */
struct kept {
	/* Process that the frontend is; 0: not known. */
	uint32_t peer;
	/* The guest has turned the write cache off. */
	uint32_t write_through;
	/* Sectors that the frontend has been told of; 0: none. */
	uint64_t capacity;
};

struct bridge {
	struct options options;
	struct device device;
	/* The open disk. */
	int disk;
	/* Signalled when the disk's size is another one. */
	int config_call;
	struct kept *kept;
};

#endif
