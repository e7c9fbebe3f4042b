// SPDX-License-Identifier: GPL-2.0-only
/* Device files of the device mapper. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "node.h"
#include "say.h"

/* What udev's rules of the device mapper put before a cookie, and the flag of an event that a tool caused. */
#define COOKIE_MAGIC 0x0d4d0000
#define COOKIE_FLAGS_SHIFT 16
#define COOKIE_PRIMARY_SOURCE 0x0040

#define WAIT_SECONDS 30

static bool has_udev(void)
{
	return !access("/run/udev/control", F_OK);
}

static int semaphore_op(int semaphore, int by, int seconds)
{
	struct sembuf op = { .sem_op = by };
	struct timespec limit = { .tv_sec = seconds };

	return semtimedop(semaphore, &op, 1, &limit);
}

void node_wait_begin(struct node_wait *wait)
{
	struct timespec now;

	*wait = (struct node_wait){ .semaphore = -1 };
	if (!has_udev())
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	for (uint32_t try = 0; try < 1000 && wait->semaphore < 0; try++) {
		uint32_t base = ((uint32_t)now.tv_nsec / 7 + getpid() + try) & 0xffff;

		if (!base)
			continue;
		wait->semaphore = semget(COOKIE_MAGIC | base, 1, 0600 | IPC_CREAT | IPC_EXCL);
		wait->event_nr = base | COOKIE_PRIMARY_SOURCE << COOKIE_FLAGS_SHIFT;
	}
	/* One for the event. */
	if (wait->semaphore < 0 || semaphore_op(wait->semaphore, 1, 1))
		wait->event_nr = 0;
}

void node_wait_end(struct node_wait *wait, bool event)
{
	if (wait->semaphore < 0)
		return;
	if (event && wait->event_nr && semaphore_op(wait->semaphore, 0, WAIT_SECONDS))
		say("udev does not answer");
	semctl(wait->semaphore, 0, IPC_RMID);
}

static int path_of(const char *name, char *path, size_t room)
{
	return snprintf(path, room, "/dev/mapper/%s", name) < (int)room ? 0 : -1;
}

int node_find(const char *name, uint64_t dev, char *path, size_t room)
{
	if (path_of(name, path, room))
		return -1;
	if (!access(path, F_OK) || has_udev())
		return 0;
	/* As the kernel packs a device number. */
	if (mknod(path, S_IFBLK | 0600, makedev(dev >> 8 & 0xfff, (dev & 0xff) | (dev >> 12 & 0xfff00)))) {
		say("%s: %s", path, strerror(errno));
		return -1;
	}
	return 0;
}

void node_forget(const char *name)
{
	char path[256];

	if (!has_udev() && !path_of(name, path, sizeof(path)))
		unlink(path);
}
