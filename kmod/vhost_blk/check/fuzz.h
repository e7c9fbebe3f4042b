/* SPDX-License-Identifier: GPL-2.0-only */
/* What the hostile guest is made of: damage to a request or to any word of its memory, calls that ask for nonsense. */
#ifndef VHOST_BLK_CHECK_FUZZ_H
#define VHOST_BLK_CHECK_FUZZ_H

#include <stdint.h>

#include "guest.h"
#include "request.h"
#include "slots.h"

/*
 * Damages a request that was made available with @head: mostly its header, often an address or a length, seldom what
 * links its descriptors, as after that the device is right to stop the ring. With @spare_ring no address is one at
 * which the device, told to write there, would change what the ring says is available.
 */
void fuzz_wreck_request(uint64_t *state, const struct guest *guest, const struct request *request, uint16_t head,
			bool spare_ring);

/* Makes another head, or another number of heads, available than the guest just did. */
void fuzz_wreck_avail(uint64_t *state, const struct ring *ring);

/* Changes one word of what the device may be looking at: rings, tables, headers. */
void fuzz_wreck_word(uint64_t *state, const struct slots *slots);

/* One ioctl with values by chance. Returns whether the device accepted it. */
bool fuzz_ioctl(uint64_t *state, const struct guest *guest, int disk);

#endif
