/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef LISTEN_H
#define LISTEN_H

#include "options.h"

/*
 * The socket that systemd listens on for this process (sd_listen_fds(3)); its path goes to options->socket.
 * Return: the descriptor, -1: there is none, -2: not one that can be used, with @reason.
 */
int listen_inherited(struct options *options, struct reason *reason);

/*
 * Makes options->socket, and takes the place of one that nobody listens on any more.
 * Return: the descriptor, or -1 with @reason.
 */
int listen_begin(const struct options *options, struct reason *reason);

/* Accepts a connection, as a socket that does not block. Return: the descriptor, or -1. */
int listen_accept(int fd);

/* Tells systemd how it stands (sd_notify(3)): before notify_begin() and where nobody asks, nobody. */
void notify_begin(void);
void notify(const char *text);

#endif
