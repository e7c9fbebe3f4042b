/* SPDX-License-Identifier: GPL-2.0-only */
/* Module parameters; they can be changed at any time, and what is outside of their bounds is refused. */
#ifndef VHOST_BLK_PARAMS_H
#define VHOST_BLK_PARAMS_H

/* Requests that a virtqueue may take in one turn of its worker. */
unsigned int vblk_param_weight(void);

/* Requests that a thread which kicks may start by itself; 0: the worker starts all. */
unsigned int vblk_param_kick_requests(void);

/* Microseconds of busy polling of a virtqueue for which nobody set another time. */
unsigned int vblk_param_busyloop_us(void);

/* Workers of a device for which nobody asked for any. */
unsigned int vblk_param_workers(void);

#endif
