/* SPDX-License-Identifier: GPL-2.0-only */
/* Reads of one block whose content is known: that a queue is served is all that matters. */
#ifndef VHOST_BLK_CHECK_KNOWN_H
#define VHOST_BLK_CHECK_KNOWN_H

#include "disk.h"
#include "guest.h"
#include "request.h"

/* Where the block is. */
#define KNOWN_SECTOR 4096u

/* Lays the block and builds a request for it, which may be read many times. */
void known_prepare(const struct disk *disk, struct guest *guest, struct request *request);

/* Reads it through @queue; fails the case when it is not what was laid. */
void known_read(struct guest *guest, struct request *request, unsigned queue);

/* Fails the case when an answered request is not what was laid. */
void known_expect(const struct guest *guest, const struct request *request);

/* known_prepare() and known_read(), once through each queue. */
void known_read_all(const struct disk *disk, struct guest *guest);

#endif
