/* SPDX-License-Identifier: GPL-2.0-only */
/* A qemu-storage-daemon that exports a device as vhost-user-blk. */
#ifndef VHOST_BLK_BENCH_STORAGE_DAEMON_H
#define VHOST_BLK_BENCH_STORAGE_DAEMON_H

#include <sys/types.h>

#include "engine.h"

struct storage_daemon {
	pid_t pid;
	char folder[32];
	char socket[48];
};

/* Starts it; returns a connection to the export. Skips where the program is not there. It ends with the caller. */
int storage_daemon_start(struct storage_daemon *daemon, const struct job *job);

void storage_daemon_stop(struct storage_daemon *daemon);

#endif
