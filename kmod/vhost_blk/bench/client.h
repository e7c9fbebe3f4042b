/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest's driver of one virtqueue, virtio-blk or virtio-scsi, as lean as one can be: chains are built once, a
 * request only gets a new place and status. The same for every device that serves a ring, so that only the devices differ.
 */
#ifndef VHOST_BLK_BENCH_CLIENT_H
#define VHOST_BLK_BENCH_CLIENT_H

#include "engine.h"
#include "memory.h"
#include "ring.h"

enum client_kind { CLIENT_BLK, CLIENT_SCSI };

struct client_slot {
	char *header;
	char *answer;
};

struct client {
	struct ring *ring;
	enum client_kind kind;
	bool no_event_idx;
	unsigned halt_poll_us;
	/* Descriptors of the ring that one chain takes: a chain's head is its slot's number times this. */
	unsigned stride;
	struct client_slot slot[MAX_DEPTH];
};

/* Entries that a ring needs for a job. */
unsigned client_ring_num(const struct job *job);

/* Builds the chains of @job in @memory for @ring, which is empty. */
void client_create(struct client *client, enum client_kind kind, const struct job *job, struct memory *memory,
		   struct ring *ring);

/* Does what engine.run() says. */
void client_run(struct client *client, struct lane *lane);

#endif
