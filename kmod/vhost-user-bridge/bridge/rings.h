/* SPDX-License-Identifier: GPL-2.0-only */
/* The rings of a session, as the rest of it sees them. */
#ifndef RINGS_H
#define RINGS_H

#include "session.h"

void rings_begin(struct session *session);

/* Forgets them all; the device has been reset. */
void rings_end(struct session *session);

/* Stops all, waits for their requests, and forgets where they are; the guest's driver begins anew. */
int rings_reset(struct session *session, struct reason *reason);

bool rings_run(const struct session *session);

/*
 * Whether the running rings can go on with other memory. @move: set when one of them is at another place then.
 * Return: 0, or -1 with @reason.
 */
int rings_check_memory(const struct session *session, const struct memory *memory, bool *move, struct reason *reason);

/*
 * Waits until no running ring has a request in flight, and has none begin; rings_resume() lets them go on, where
 * session->memory has them.
 */
int rings_pause(struct session *session, struct reason *reason);
int rings_resume(struct session *session, struct reason *reason);

/* Whether what is logged of the used rings has its place in a log of @bytes. Return: 0, or -1 with @reason. */
int rings_check_log(const struct session *session, uint64_t bytes, struct reason *reason);

/* Settles which rings run after what they depend on has changed. Return: 0, or -1 with @reason. */
int rings_settle(struct session *session, struct reason *reason);

/* Starts or stops a ring, as the messages so far want it. Return: 0, or -1 with @reason. */
int ring_settle(struct session *session, unsigned int index, struct reason *reason);

/* Whatever was answered when nobody listened: the guest looks. A frontend may have made the eventfd one that blocks. */
void ring_nudge(const struct ring *ring);

/* Closes one of a ring's eventfds, if it is there. @fd: ring->kick, ->call or ->err */
void ring_close_fd(int *fd);

#endif
