/* SPDX-License-Identifier: GPL-2.0-only */
/* The driver's side of one split virtqueue (virtio 1.3, 2.7), with its eventfds. */
#ifndef VHOST_BLK_CHECK_RING_H
#define VHOST_BLK_CHECK_RING_H

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>

#include "memory.h"

/* How long a completion may take. Hosts under load are slow; only a lost request takes this long. */
#define COMPLETION_MS 60000

struct ring {
	unsigned index, num;
	bool event_idx;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t avail_idx, notified_idx, last_used;
	/* Driver state: never read back from shared memory. */
	uint16_t *next_free, *chain_last;
	uint16_t free_head;
	unsigned free_count;
	void **token;
	int kick, call, error;
	unsigned long kicks, signals;
};

/* Lays a ring of @num entries out in guest memory, both indexes at @base, and makes its eventfds. */
void ring_create(struct ring *ring, struct memory *memory, unsigned index, unsigned num, uint16_t base,
		 bool event_idx);

/* Forgets what was in flight and starts again at @base, as a driver does after a reset. */
void ring_restart(struct ring *ring, uint16_t base);

/* Closes the eventfds and frees the driver state; guest memory stays. */
void ring_destroy(struct ring *ring);

/* VHOST_SET_VRING_{NUM,BASE,ADDR,KICK,CALL,ERR}. Returns 0 or -1 with errno of the first that failed. */
int ring_register(const struct ring *ring, int vhost);
int ring_register_addresses(const struct ring *ring, int vhost);

/*
 * Makes one chain available: @readable spans, then @writable ones. With @table (guest memory of 16 bytes a span) the
 * chain is one indirect descriptor. Returns the head. Does not notify.
 */
uint16_t ring_add(struct ring *ring, const struct memory *memory, const struct span *spans, unsigned readable,
		  unsigned writable, uint64_t table, void *token);

/* Notifies the device if it asks for it; ring_kick_always does not ask. */
void ring_kick(struct ring *ring);
void ring_kick_always(struct ring *ring);

/* Takes one used element: its token, or NULL when there is none. Fails the case on an element that can not be. */
void *ring_pop(struct ring *ring, uint32_t *len);

/* Sleeps on the call eventfd until a used element is there; fails the case when none comes or no signal does. */
void ring_wait(struct ring *ring);

enum ring_event { RING_NOTHING, RING_USED, RING_BROKEN };

/* Waits for a used element or for the error eventfd, whichever is first; does not consume the element. */
enum ring_event ring_answer(struct ring *ring, int timeout_ms);

/* Sleeps until a used element is there, without asking for a signal: others are in flight then, if there were many. */
void ring_wait_first(const struct ring *ring);

uint16_t ring_used_idx(const struct ring *ring);
void ring_publish(struct ring *ring, uint16_t avail_idx);
unsigned ring_in_flight(const struct ring *ring);

#endif
