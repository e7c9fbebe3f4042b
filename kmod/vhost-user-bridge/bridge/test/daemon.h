/* SPDX-License-Identifier: GPL-2.0-only */
/* The bridge as a child of the test. */
#ifndef DAEMON_H
#define DAEMON_H

/* @argv: its command line, NULL at the end. */
void daemon_start(char *const *argv);

/* Kills it, and does not wait for its end. */
void daemon_kill(void);

/* Ends it as systemd does. Fails the program when it does not end well. */
void daemon_stop(void);

/* Descriptors that it has open. */
unsigned int daemon_descriptors(void);

#endif
