/* SPDX-License-Identifier: GPL-2.0-only */
/* A device with a model of what its disk has to hold: one in a program. What is not so ends the program. */
#ifndef MODELLED_H
#define MODELLED_H

#include "emulate.h"

#define MAX_OPS 4096

/* Of the random numbers. */
extern u64 modelled_state;

/* What was done since the round began: where in the log, and what the disk had there afterwards. */
struct done {
	unsigned int event;
	u64 at;
	u64 bytes;
	u8 *data;
};

struct modelled {
	struct disk *disks[QCOW2_MAX_CHAIN];
	unsigned int nr;
	struct disk *data;
	bool is_raw;
	char folder[4096];
	struct emulated device;
	u8 *model;
	u64 size;
	/* The disk as it was when the last flush of the round ended. */
	u8 *flushed;
	struct done done[MAX_OPS];
	unsigned int nr_done;
	/* Whether the disk may fail: then requests do, too. */
	bool is_failing;
};

extern struct modelled run;

/* The next random number below @below. */
u32 modelled_draw(u32 below);
/* Ends the program, but where the disk may fail. */
void modelled_die(const char *what, u64 at);
unsigned int modelled_now(void);

/* What was done is flushed: it has to be there from now on. */
void modelled_forget_done(void);
void modelled_read_at(u64 at, u64 bytes, u8 *to);
/* Reads, and compares with the model. */
void modelled_do_read(u64 at, u64 bytes);
/* A random request, by the model, too. */
void modelled_do_one(void);

/* Has qemu-img check an image; @leaks: whether it may have leaked clusters. */
void modelled_check_image(const struct disk *disk, bool leaks, const char *what);
/* Whether a chain that ended at @crash has what was flushed; @below: instead of the image below the top, or NULL. */
void modelled_check_content(struct disk *after, struct disk *below, struct disk *data, unsigned int crash);
/* Both, for a loss of power at a time. */
void modelled_check_crash(unsigned int at, const char *what);
/* Losses of power since a time, that of the last flush of a round, or while that flush was under way. */
void modelled_crash(unsigned int from, unsigned int count);

/* Opens the device anew. */
void modelled_resume(void);
/* Return: a disk with the same content; NULL for NULL. */
struct disk *modelled_copy(const struct disk *disk);

/* merging.c: merges the top down with so many requests and losses of power. No device is open before and after. */
void merge_down(unsigned int operations, unsigned int crashes);

#endif
