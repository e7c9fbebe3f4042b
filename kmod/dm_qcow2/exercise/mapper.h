/* SPDX-License-Identifier: GPL-2.0-only */
/* Device-mapper devices of any target, for tests: what lies under images' file systems. */
#ifndef MAPPER_H
#define MAPPER_H

#include <stdbool.h>
#include <stdint.h>

/* Each says on standard error why it fails, and returns -1 then, else 0. */

/**
 * mapper_create() - makes a device of one target, and /dev/mapper/NAME
 * @sectors: its size in sectors of 512 bytes
 * @type: the target's name
 * @arguments: the target's arguments
 */
int mapper_create(const char *name, uint64_t sectors, const char *type, const char *arguments);

/* Gives a device another table at once: a file system above is not asked to write what it has first. */
int mapper_replace(const char *name, uint64_t sectors, const char *type, const char *arguments);

int mapper_remove(const char *name);

/* Sends a target its message; the device has one target. */
int mapper_message(const char *name, const char *text);

/* Lets a device write all it has and wait; and go on again. */
int mapper_suspend(const char *name);
int mapper_resume(const char *name);

#endif
