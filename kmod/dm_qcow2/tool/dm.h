/* SPDX-License-Identifier: GPL-2.0-only */
/* The device mapper, by its ioctls. */
#ifndef DM_H
#define DM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DM_TARGET "qcow2"

/* A device of ours. */
struct dm_state {
	char name[128];
	/* As dm_ioctl.dev has it. */
	uint64_t dev;
	uint64_t sectors;
	bool read_only;
	bool suspended;
	unsigned int open_count;
	/* What the target says of itself. */
	char text[512];
};

/* Each says on standard error why it fails, and returns -1 then, else 0. */

/**
 * dm_attach() - makes a device of one target
 * @name: that no device has
 * @sectors: its size in sectors of 512 bytes
 * @table: the target's arguments
 * @path: where its device file is
 */
int dm_attach(const char *name, uint64_t sectors, const char *table, bool read_only, char *path, size_t room);

/* Removes a device of ours. */
int dm_detach(const char *name);

/* Lets a device of ours write all it has and wait, and go on again. */
int dm_suspend(const char *name);
int dm_resume(const char *name);

/**
 * dm_grow() - makes the disk of a device of ours larger, and the device
 * @sectors: its new size in sectors of 512 bytes
 */
int dm_grow(const char *name, uint64_t sectors);

/* The state of a device of ours, with the text of its status or of its table. */
int dm_state_of(const char *name, struct dm_state *state);
int dm_table_of(const char *name, struct dm_state *state);

/* Loads another table for a device of ours, of the same length, and lets it go on with that. */
int dm_reload(const char *name, const char *table);

/**
 * dm_send() - sends a message to a device of ours
 * @answer: what it answers, cut to the room; empty when there is none. NULL with no room: nobody asks
 *
 * Says nothing. Return: 0 or a negative errno.
 */
int dm_send(const char *name, const char *text, char *answer, size_t room);

/* Sends a message to a device of ours, and prints what it answers. */
int dm_message(const char *name, const char *text);

/* Calls @show for the devices of ours, or that of a name. */
int dm_each(const char *name, void (*show)(const struct dm_state *state));

#endif
