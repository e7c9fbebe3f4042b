/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_CHECK_LIMITS_H
#define VHOST_BLK_CHECK_LIMITS_H

#include "guest.h"

/* How long a resize may take to be noticed: it is looked for each second, on a machine that may be slow. */
#define RESIZE_MS 20000

/* VHOST_BLK_GET_LIMITS of the disk behind @fd, or of the attached one for -1; fails the case when it fails. */
void limits_get(const struct guest *guest, int fd, struct vhost_blk_limits *limits);

/* The same by a device that is only opened for it. */
void limits_of(int fd, struct vhost_blk_limits *limits);

/* Takes what the eventfd of VHOST_BLK_SET_CONFIG_CALL is signalled within @ms; whether that was anything. */
bool resize_signalled(int call, int ms);

#endif
