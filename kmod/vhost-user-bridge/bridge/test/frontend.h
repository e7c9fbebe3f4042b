/* SPDX-License-Identifier: GPL-2.0-only */
/* The frontend's side of the vhost-user protocol, for a guest of this program. */
#ifndef FRONTEND_H
#define FRONTEND_H

#include "../protocol.h"
#include "guest.h"

struct frontend {
	const char *socket;
	int fd;
	/* The other end of what the bridge tells by itself; -1: none. */
	int backend_fd;
	int kick[GUEST_QUEUES], call[GUEST_QUEUES];
	/* Times that it had to connect again. */
	unsigned int reconnects;
	/* Of the guest's memory, in pieces, each a region. */
	unsigned int regions;
	/* Where the frontend says that it has the guest's memory. */
	uint64_t uaddr;
	uint64_t log_features;
	/* A request was answered and this side has not looked. */
	bool called[GUEST_QUEUES];
};

/* Reaches the bridge at @socket; the guest's queues run then. */
void frontend_open(struct guest *guest, struct frontend *frontend, const char *socket);

/* Sends a message; need_reply is set where the protocol has no answer, and the result returned: 0 for done. */
uint64_t frontend_tell(struct frontend *frontend, uint32_t request, const void *payload, uint32_t size, const int *fds,
		       unsigned int nr_fds);

/* Sends a message and reads its answer. Return: bytes of the answer. */
uint32_t frontend_ask(struct frontend *frontend, uint32_t request, const void *payload, uint32_t size, void *answer,
		      uint32_t room);

/* As frontend_ask(), for an answer that is a number. */
uint64_t frontend_ask_value(struct frontend *frontend, uint32_t request);

/* Sends a message without waiting for anything. Return: whether the socket took it. */
bool frontend_send(int fd, uint32_t request, uint32_t flags, const void *payload, uint32_t size, const int *fds,
		   unsigned int nr_fds);

/* Starts one ring. @base: the next available index */
void frontend_start_ring(struct guest *guest, unsigned int index, unsigned int base, uint32_t flags);

/* The region of the guest's memory of that number. */
struct vu_region frontend_region(const struct frontend *frontend, unsigned int number);

#endif
