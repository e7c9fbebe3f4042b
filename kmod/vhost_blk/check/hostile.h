/* SPDX-License-Identifier: GPL-2.0-only */
/* What every hostile case ends with. */
#ifndef VHOST_BLK_CHECK_HOSTILE_H
#define VHOST_BLK_CHECK_HOSTILE_H

#include "disk.h"
#include "guest.h"

/* How long a device has to answer or stop a malformed ring. */
#define HOSTILE_MS 30000

/* Fails the case unless the device used an element or signalled its error eventfd in time. */
enum ring_event hostile_expect_answer(struct ring *ring);

/* A fresh open must write a block, read it back, and drain. */
void hostile_expect_good_device(const struct disk *disk);

#endif
