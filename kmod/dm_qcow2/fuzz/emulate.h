/* SPDX-License-Identifier: GPL-2.0-only */
/* A device of the module in a program: its own sources over files in memory. */
#ifndef EMULATE_H
#define EMULATE_H

#include "../merge.h"
#include "../writer.h"
#include "../request.h"
#include "disk.h"

struct emulated {
	struct qcow2_target target;
	struct dm_target ti;
	struct file files[QCOW2_MAX_CHAIN];
	struct file data;
};

/**
 * emulate_open() - loads a table
 * @disks: the chain's files, the top first
 * @data: the top's external data file; NULL: it has none
 * @is_raw: whether the last of them is a raw image
 *
 * Return: 0 or a negative errno; emulate_close() also after one.
 */
int emulate_open(struct emulated *device, struct disk **disks, unsigned int nr, struct disk *data, bool is_raw, bool write,
		 const char **reason);
/* The same with a table that merges the top down; its lower images have no data files. */
int emulate_open_merging(struct emulated *device, struct disk **disks, unsigned int nr, bool is_raw, const char **reason);
/* Copies what is left, once, as the merge's work does. Return: 0 or a negative errno. */
int emulate_merge_pass(struct emulated *device);
/* Suspends, if it was resumed and @clean, and frees all but the disks. */
void emulate_close(struct emulated *device, bool clean);

/* Called for a request that had to wait and goes on; NULL: none does, as one comes behind the other. */
extern void (*emulate_queued)(struct qcow2_request *request);

/* Does a request as .map and the threads behind it do. Return: 0 or a negative errno. */
int emulate_request(struct emulated *device, enum qcow2_op op, bool unmap, u64 at, u64 bytes, u8 *data);
int emulate_flush(struct emulated *device);

/* As the message "grow" does. Return: 0 or a negative errno. */
int emulate_grow(struct emulated *device, u64 size);

#endif
