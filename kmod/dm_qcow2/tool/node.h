/* SPDX-License-Identifier: GPL-2.0-only */
/* Device files of the device mapper: udev makes them, and without it we do. */
#ifndef NODE_H
#define NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Waiting for udev: a semaphore that its rules know by the number in an event ("cookie", as libdevmapper has it). */
struct node_wait {
	int semaphore;
	/* For dm_ioctl.event_nr; 0: there is no udev. */
	uint32_t event_nr;
};

/* Before the call that causes an event. */
void node_wait_begin(struct node_wait *wait);
/* After it: waits until udev is through with the event, if there is one. */
void node_wait_end(struct node_wait *wait, bool event);

/**
 * node_find() - tells a device's file, and makes it when there is no udev
 * @dev: as dm_ioctl.dev has it
 *
 * Return: 0 or -1, with a word on standard error.
 */
int node_find(const char *name, uint64_t dev, char *path, size_t room);

/* Removes what node_find() made. */
void node_forget(const char *name);

#endif
