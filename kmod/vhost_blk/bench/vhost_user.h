/* SPDX-License-Identifier: GPL-2.0-only */
/* The VMM's side of the vhost-user protocol, as far as a split ring needs it. */
#ifndef VHOST_BLK_BENCH_VHOST_USER_H
#define VHOST_BLK_BENCH_VHOST_USER_H

#include <stdint.h>

#include "memory.h"
#include "ring.h"

/* Makes the process behind the socket @fd serve for us, with those of @features that it offers; returns them. */
uint64_t vhost_user_begin(int fd, uint64_t features);

void vhost_user_set_memory(int fd, const struct memory *memory);

/* Sets one ring up and starts it. */
void vhost_user_start_ring(int fd, const struct ring *ring);

/* Waits until the other side has done all that it was told. */
void vhost_user_sync(int fd);

#endif
