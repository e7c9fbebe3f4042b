/* SPDX-License-Identifier: GPL-2.0-only */
/* The socket to a frontend: messages with descriptors in, answers out. */
#ifndef CHANNEL_H
#define CHANNEL_H

#include "message.h"

struct channel {
	/* A connected stream socket that does not block. */
	int fd;
	/* What has come of the next message so far: bytes of header and payload. */
	struct message message;
	size_t have;
};

enum channel_event {
	/* The message is whole: the caller's, with its descriptors. */
	CHANNEL_MESSAGE,
	/* No more for now. */
	CHANNEL_EMPTY,
	/* The frontend has closed. */
	CHANNEL_END,
	/* What comes can not be read on; the reason says why. */
	CHANNEL_REFUSED,
};

void channel_open(struct channel *channel, int fd);

/* Takes what has come. */
enum channel_event channel_receive(struct channel *channel, struct message *message, struct reason *reason);

/* Answers @request with @size bytes of payload. Return: 0, or -1 with @reason: a frontend that does not read is given up. */
int channel_answer(struct channel *channel, uint32_t request, const void *payload, uint32_t size, struct reason *reason);

/* Closes it, and descriptors of a message that did not become whole. */
void channel_close(struct channel *channel);

#endif
