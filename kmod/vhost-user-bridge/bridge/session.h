/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A connection of a frontend: what has been agreed upon, its memory, its rings. From the first message on the device is its,
 * and is as new again at its end.
 */
#ifndef SESSION_H
#define SESSION_H

#include "bridge.h"
#include "channel.h"
#include "memory.h"

#define SESSION_RINGS VHOST_BLK_MAX_VQS

struct ring {
	unsigned int num;
	/* The next available index, while it does not run. */
	unsigned int base;
	/* The frontend's addresses; where they are here changes with the memory. */
	struct vhost_vring_addr addr;
	bool placed;
	/* -1: none. A ring that has a kick is started in the protocol's sense. */
	int kick, call, err;
	bool enabled;
	/* The kernel serves it, at these addresses of this process. */
	bool running;
	struct vhost_vring_addr here;
};

struct session {
	struct bridge *bridge;
	struct channel channel;
	/* For messages to the frontend; -1: none. */
	int backend_channel;
	/* Of virtio and VHOST_F_LOG_ALL, as the driver and the frontend chose. */
	uint64_t features;
	uint64_t protocol_features;
	/* The frontend knows of protocol features: rings begin disabled. */
	bool enabling;
	uint8_t status;
	struct memory memory;
	/* The dirty bitmap of a migration, and how much of it may be written. */
	struct mapping log;
	uint64_t log_bytes;
	struct ring ring[SESSION_RINGS];
};

/* Takes the connected socket over and makes the device the caller's. Return: 0, or -1 with @reason. */
int session_begin(struct session *session, struct bridge *bridge, int fd, struct reason *reason);

/*
 * Does what one message asks for, and answers it; its descriptors are gone then.
 * Return: 0, or -1 with @reason: the connection is of no use any more.
 */
int session_handle(struct session *session, struct message *message, struct reason *reason);

/* Takes messages that have come, as many as shall be taken without looking elsewhere. Return: 0, or -1: it is over, which has been said. */
int session_serve(struct session *session);

/* Tells the frontend to read the configuration space anew. */
void session_tell_config(struct session *session);

/* Tells it, too, when the disk has another size than the frontend knows of, since it changed when nobody was here. */
void session_tell_missed(struct session *session);

/* Waits for all requests, and gives everything back. */
void session_end(struct session *session);

/* For handlers: answers @message. Return: 0, or -1 with @reason. */
int session_answer(struct session *session, const struct message *message, const void *payload, uint32_t size,
		   struct reason *reason);
int session_answer_value(struct session *session, const struct message *message, uint64_t value, struct reason *reason);

#endif
