/* SPDX-License-Identifier: GPL-2.0-only */
/* Processes that own a device and are there to be killed, or to end. */
#ifndef VHOST_BLK_CHECK_OWNER_H
#define VHOST_BLK_CHECK_OWNER_H

#include <sys/types.h>

/* As fork(), for a process that is killed with this one; fails the case when there can be none. */
pid_t owner_fork(void);

/*
 * Starts a process that runs @own and is killed with this one; returns when that has called owner_ready(). When it ends
 * before, so does the case, with what it has reported.
 */
pid_t owner_start(void (*own)(void *argument), void *argument);

/* For @own: all is set up. */
void owner_ready(void);

/* Waits until a process is gone that ends or was killed; fails the case when it is stuck. */
void owner_expect_gone(pid_t pid);

#endif
