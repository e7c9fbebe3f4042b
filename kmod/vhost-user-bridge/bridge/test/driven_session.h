/* SPDX-License-Identifier: GPL-2.0-only */
/* A session of the bridge in this process, whose frontend is the test: without the module, message by message. */
#ifndef DRIVEN_SESSION_H
#define DRIVEN_SESSION_H

#include "../session.h"

#define BIT(n) (1ull << (n))
#define MEMORY_BYTES (1u << 20)
#define UADDR 0x7f0000000000ull
#define PROTOCOL (BIT(VU_F_MQ) | BIT(VU_F_LOG_SHMFD) | BIT(VU_F_BACKEND_REQ) | BIT(VU_F_CONFIG) | BIT(VU_F_STATUS) | \
		  BIT(VU_F_RESET_DEVICE) | BIT(VU_F_CONFIGURE_MEM_SLOTS))

extern struct bridge bridge;
extern struct kept kept;
extern struct session session;
/* The frontend's end of the socket; a file of MEMORY_BYTES; an eventfd. */
extern int frontend, memory_fd, event_fd;
/* What was said since the last message. */
extern char said[1024];
extern unsigned int cases, failures;

void driven_prepare(void);

/* A session that agrees upon features of the protocol, and its end. */
void driven_begin(uint64_t protocol);
void driven_end(void);

/* A message that must be accepted. @fd: goes with it; -1: none */
void driven_good(uint32_t request, const void *payload, uint32_t size, int fd);

/* Ring 0 has 128 entries, at the begin of memory at UADDR then; with VHOST_VRING_F_LOG in @flags it is logged. */
void driven_place_ring(unsigned int flags);

/* Ring 0 runs then, in memory at guest physical address 0. */
void driven_start_ring(void);

/* The message that was sent is refused, and @text is part of what is said. */
void driven_expect(const char *name, const char *text);

#endif
