/* SPDX-License-Identifier: GPL-2.0-only */
/* What the command line and a disk's file say. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <limits.h>
#include <stdbool.h>

#include "reason.h"

#define OPTION_UNSET UINT_MAX
#define OPTION_TEXT 4096

/* Where NAME.conf is looked for, and where NAME.sock is made. */
#define OPTIONS_DISKS "/etc/blkfleet/disks.d"
#define OPTIONS_SOCKETS "/run/vhost-blk"

struct options {
	/* Of the disk, for people; "": none. */
	char name[128];
	char disk[OPTION_TEXT];
	char socket[108];
	char device[OPTION_TEXT];
	/* "": a name made from the disk. */
	char serial[21];
	/* User and group that the process goes on as, when it is started by root; group that may connect. "": as it is. */
	char user[64];
	char group[64];
	char socket_group[64];
	bool read_only;
	/* Others may have the disk open for writing, too: the destination of a migration on this host. */
	bool shared;
	bool discard;
	unsigned int queues;
	/* 0: as many as the module's parameter says. */
	unsigned int workers;
	/* seg_max. */
	unsigned int segments;
	/* OPTION_UNSET: as the module's parameter says. */
	unsigned int poll_us;
};

enum options_result {
	OPTIONS_RUN,
	/* What was asked for has been printed. */
	OPTIONS_DONE,
	OPTIONS_WRONG,
};

/* Reads the command line, and the file of a disk that it names. */
enum options_result options_parse(struct options *options, int argc, char **argv);

/* Takes one setting. Return: 0, or -1 with @reason. */
int options_set(struct options *options, const char *key, const char *value, struct reason *reason);

/* Reads a file of settings. Return: 0, or -1 with @reason, which names file and line. */
int options_read(struct options *options, const char *path, struct reason *reason);

#endif
