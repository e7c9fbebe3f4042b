/* SPDX-License-Identifier: GPL-2.0-only */
/* A message of the frontend: what it may look like, before anything of it is believed. */
#ifndef MESSAGE_H
#define MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol.h"
#include "reason.h"

struct message {
	struct vu_header header;
	union vu_payload payload;
	/* Those that came with it; -1: taken by whom it was meant for. */
	int fds[VU_MAX_FDS];
	unsigned int nr_fds;
};

/* The name in the specification; "unknown message N" for others. Good until the next call. */
const char *message_name(uint32_t request);

/* Whether it has an answer of its own, as all that ask for something do. */
bool message_has_answer(uint32_t request);

/*
 * Whether the header is one of a message that may be read on: its version, that it is no answer, its number, its length.
 * Return: 0, or -1 with @reason.
 */
int message_check_header(const struct vu_header *header, struct reason *reason);

/*
 * Whether the whole message is formed as its number says: length, counts in it, descriptors. What its numbers mean is not
 * looked at, but for indexes of arrays in the message itself.
 * @protocol_features: agreed ones; a message that belongs to another is refused
 * @enabling: the frontend knows of protocol features at all
 * Return: 0, or -1 with @reason.
 */
int message_check(const struct message *message, uint64_t protocol_features, bool enabling, struct reason *reason);

/* The first descriptor, which is the caller's then; -1: none came. */
int message_take_fd(struct message *message);

/* Closes the descriptors that nobody took. */
void message_drop(struct message *message);

#endif
