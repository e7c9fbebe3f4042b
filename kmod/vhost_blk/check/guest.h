/* SPDX-License-Identifier: GPL-2.0-only */
/* One open of /dev/vhost-blk with guest memory and rings: what a VMM sets up before its guest runs. */
#ifndef VHOST_BLK_CHECK_GUEST_H
#define VHOST_BLK_CHECK_GUEST_H

#include <linux/vhost.h>
#include <stdbool.h>
#include <stdint.h>

#include "memory.h"
#include "ring.h"
#include "uapi/vhost_blk.h"

#define VHOST_BLK_DEVICE "/dev/vhost-blk"
#define GUEST_MAX_QUEUES 64u

struct guest {
	int vhost;
	uint64_t features;
	struct memory memory;
	unsigned queues;
	struct ring ring[GUEST_MAX_QUEUES];
};

/* What differs from one queue of 256 entries, without event_idx, that starts at 0. */
struct guest_options {
	unsigned queues, num;
	uint16_t base;
	bool event_idx;
	/* The guest does not know flush, so each write must be durable when it is answered. */
	bool no_flush;
	/* Further feature bits that are accepted where they are offered; guest->features tells. */
	uint64_t wants;
	/* Further feature bits. */
	uint64_t features;
};

/*
 * Makes @workers workers and spreads the queues of a guest that has no backend yet over them. Returns 0, or -1 with
 * errno: ENOTTY from a module that has no such call.
 */
int guest_spread(const struct guest *guest, unsigned workers);

/* VHOST_BLK_GET_LIMITS of @fd; all 0 from a module that has no such call. Fails the case on any other error. */
void guest_limits(const struct guest *guest, int fd, struct vhost_blk_limits *limits);

/* A descriptor of the device; fails the case when there is none to be had. */
int open_vhost(void);

/* Opens the device and becomes its owner; nothing else is set. */
void guest_open(struct guest *guest);

/* guest_open() plus features, memory and rings, ready for guest_attach(). */
void guest_create(struct guest *guest, const struct guest_options *options);

/*
 * Opens the device for a guest whose memory and rings are those of a predecessor that is gone: each queue goes on at
 * its used index.
 */
void guest_adopt(struct guest *guest);

/* Gives a backend to @queue (or VHOST_BLK_ALL_VQS); fd -1 takes it away. Returns 0 or -1 with errno. */
int guest_set_backend(const struct guest *guest, unsigned queue, int fd);

/* guest_set_backend() for every queue; fails the case when it fails. */
void guest_attach(const struct guest *guest, int fd);
void guest_detach(const struct guest *guest);

/* VHOST_GET_VRING_BASE: stops the queue; fails the case when it fails. */
uint16_t guest_stop_queue(const struct guest *guest, unsigned queue);

/* VHOST_SET_VRING_BASE of a queue that is stopped; fails the case when it fails. */
void guest_set_base(const struct guest *guest, unsigned queue, uint16_t base);

/* Closes the device and releases memory and eventfds. Fails the case when memory beside the guest's has changed. */
void guest_close(struct guest *guest);

#endif
