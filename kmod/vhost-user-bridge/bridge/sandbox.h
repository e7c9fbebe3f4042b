/* SPDX-License-Identifier: GPL-2.0-only */
/* What the process gives up once it has its disk, its device and its socket. */
#ifndef SANDBOX_H
#define SANDBOX_H

#include "options.h"

/* Goes on as the user and group of @options, without capabilities. Return: 0, or -1 with @reason. */
int sandbox_become(const struct options *options, struct reason *reason);

/*
 * From here on only the system calls that serving takes are possible: nothing can be opened, made, connected to or run, and
 * of ioctls only those of vhost. Return: 0, or -1 with @reason.
 */
int sandbox_enter(struct reason *reason);

#endif
