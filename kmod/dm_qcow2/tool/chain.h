/* SPDX-License-Identifier: GPL-2.0-only */
/* An image and all files below it, opened and locked. */
#ifndef CHAIN_H
#define CHAIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* As many as the target takes. */
#define CHAIN_MAX 64
#define CHAIN_MAX_BASES 16

/* A file of the chain. */
struct chain_file {
	int fd;
	/* The external data file's; -1 without one. */
	int data_fd;
	bool is_raw;
	/* As it was found, for people. */
	char *path;
};

struct chain {
	struct chain_file files[CHAIN_MAX];
	unsigned int nr;
	/* Size of the top's disk in bytes. */
	uint64_t size;
};

/* How to open a chain. */
struct chain_options {
	bool read_only;
	/* Folders beside those of the images themselves in which files that images name may be. */
	const char *bases[CHAIN_MAX_BASES];
	unsigned int nr_bases;
	/* Whether the image below the top shall be opened for writing, too. */
	bool write_below;
	/* Whether files shall be locked as QEMU does. */
	bool lock;
};

/**
 * chain_open() - opens an image and what it names
 * @path: the top, which is qcow2
 * @chain: what is filled in; ends with chain_close(), also after an error
 *
 * Names in images are not trusted: a file is opened only if it is in the folder of the image that names it, or in one of
 * the bases, by way of no symbolic link that leads out of it. Says on standard error why it fails.
 *
 * Return: 0 or -1.
 */
int chain_open(const char *path, const struct chain_options *options, struct chain *chain);
void chain_close(struct chain *chain);

#endif
