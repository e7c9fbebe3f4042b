/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads that kick, and what shows which thread served a kick. */
#ifndef VHOST_BLK_CHECK_KICKER_H
#define VHOST_BLK_CHECK_KICKER_H

#include <pthread.h>
#include <stdatomic.h>

#include "guest.h"
#include "nullb.h"

/* Skips the case where the kernel gives modules no way to have a thread serve its own kicks. */
void kicker_require(void);

/* A disk each of whose requests has ended when its submission returns; its content is not kept. */
void kicker_disk(struct nullb *nullb);

/* Has a thread that kicks start so many requests; what was is set again when the case ends. */
void kicker_allow(unsigned requests);

/* A guest on @disk whose workers do not poll. */
void kicker_guest(struct guest *guest, const struct guest_options *options, int disk);

/* What a virtqueue has done so far. */
struct kicker_seen {
	unsigned long long kick_turns, turns, requests, worker_switches;
};

/* Read when the worker has gone to sleep. */
void kicker_look(unsigned queue, struct kicker_seen *seen);

/* A thread that kicks and then is kept in the kernel. */
struct kicker_kept {
	int fd;
	pthread_t thread;
	atomic_bool back;
};

/* Starts it; on return it has kicked, or is just about to be kept. */
void kicker_keep(struct kicker_kept *kept, const struct ring *ring);

/* Fails the case when it has come back by itself; else lets it go and waits for it. */
void kicker_let_go(struct kicker_kept *kept);

#endif
