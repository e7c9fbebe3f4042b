// SPDX-License-Identifier: GPL-2.0-only
/* Merging a chain's top down: the target copies, this says when, and holds the locks of who writes the image below. */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "commit.h"
#include "dm.h"
#include "lock.h"
#include "say.h"

/* Between two looks at how far it is. */
#define LOOK_NS 100000000

/* What the target tells of a merge. */
struct progress {
	char state[16];
	uint64_t left;
	uint64_t bytes;
	int error;
};

static volatile sig_atomic_t interrupted;

static void note_signal(int signal)
{
	interrupted = signal;
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = note_signal };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

static int look(const char *name, struct progress *progress)
{
	char answer[256];
	int error = dm_send(name, "merge", answer, sizeof(answer));

	memset(progress, 0, sizeof(*progress));
	if (!error && sscanf(answer, "state %15s left %" SCNu64 " of %" SCNu64 " error %d", progress->state,
			     &progress->left, &progress->bytes, &progress->error) >= 1)
		return 0;
	say("%s: its target can not merge: %s", name, error ? strerror(-error) : "another version of dm_qcow2 is loaded");
	return -1;
}

static bool has_inode(const char *text, int fd)
{
	struct stat stat;
	char inode[32];

	if (fstat(fd, &stat))
		return false;
	snprintf(inode, sizeof(inode), "%llu", (unsigned long long)stat.st_ino);
	return !strncmp(text, inode, strlen(inode)) && strspn(text, "0123456789") == strlen(inode);
}

/* Whether the device has these two files as its uppermost. Its table is FILES FORMAT:INODE[:INODE]... */
static int check_files(const char *name, const struct chain *chain)
{
	struct dm_state state;
	const char *top, *below;

	if (dm_table_of(name, &state))
		return -1;
	top = strchr(state.text, ':');
	below = top ? strchr(top, ' ') : NULL;
	below = below ? strchr(below, ':') : NULL;
	if (top && below && has_inode(top + 1, chain->files[0].fd) && has_inode(below + 1, chain->files[1].fd))
		return 0;
	say("%s: it does not show %s over %s", name, chain->files[0].path, chain->files[1].path);
	return -1;
}

static int check_device(const char *name)
{
	struct dm_state state;

	if (dm_state_of(name, &state))
		return -1;
	if (state.read_only || state.suspended) {
		say("%s: it is %s", name, state.read_only ? "read only" : "suspended");
		return -1;
	}
	return 0;
}

static int check_chain(const struct chain *chain)
{
	if (chain->nr < 2) {
		say("%s: there is no image below it", chain->files[0].path);
		return -1;
	}
	if (chain->files[1].is_raw) {
		say("%s: it is raw, and only a qcow2 image can be merged into while it is in use", chain->files[1].path);
		return -1;
	}
	return 0;
}

/* Locks an image and its data file. */
static int lock_both(const struct chain_file *file, bool write)
{
	if (lock_image(file->path, file->fd, write))
		return -1;
	return file->data_fd >= 0 ? lock_image(file->path, file->data_fd, write) : 0;
}

/* The device goes on with the files that it has, and the image below is only read. */
static int give_up(const char *name, const struct chain_file *below)
{
	int error = dm_reload(name, "live");

	unlock_writing(below->fd);
	if (below->data_fd >= 0)
		unlock_writing(below->data_fd);
	return error;
}

/* Gives the device a table that can merge. The locks of who reads the image below are held all the time. */
static int prepare(const char *name, const struct chain_file *below)
{
	char table[64];

	snprintf(table, sizeof(table), below->data_fd >= 0 ? "merge %d:%d" : "merge %d", below->fd, below->data_fd);
	if (lock_both(below, false) || dm_reload(name, table))
		return -1;
	/* Only now: the device's former table held the locks of who forbids others to write. */
	if (!lock_both(below, true))
		return 0;
	give_up(name, below);
	return -1;
}

static int start(const char *name)
{
	int error = dm_send(name, "merge start", NULL, 0);

	if (error == -EFBIG) {
		error = dm_send(name, "merge grow", NULL, 0);
		if (!error && (dm_suspend(name) || dm_resume(name)))
			return -1;
		if (!error)
			error = dm_send(name, "merge start", NULL, 0);
	}
	if (error)
		say("%s: the merge is refused, dmesg tells why: %s", name, strerror(-error));
	return error ? -1 : 0;
}

static void show(const struct progress *progress, bool is_last)
{
	uint64_t done = progress->bytes - progress->left;

	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%3llu %%%s", (unsigned long long)(progress->bytes ? done * 100 / progress->bytes : 0),
			is_last ? "\n" : "");
}

/* Return: 0: little is left; -1. */
static int wait_until_ready(const char *name)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	struct progress progress;

	for (;;) {
		if (look(name, &progress))
			return -1;
		show(&progress, strcmp(progress.state, "copying"));
		if (!strcmp(progress.state, "ready"))
			return 0;
		if (interrupted) {
			say("%s: interrupted; it goes on as before", name);
			return -1;
		}
		if (strcmp(progress.state, "copying")) {
			say("%s: the merge is %s: %s", name, progress.state, strerror(-progress.error));
			return -1;
		}
		nanosleep(&pause, NULL);
	}
}

/* Return: 0; -1: the device goes on as before, or with an empty top. */
static int finish(const char *name)
{
	struct progress progress;
	int error = dm_send(name, "merge finish", NULL, 0);

	if (error) {
		say("%s: the merge can not end: %s", name, strerror(-error));
		return -1;
	}
	if (dm_suspend(name))
		return -1;
	if (!look(name, &progress) && !strcmp(progress.state, "done"))
		return dm_reload(name, "merged");
	say("%s: what is left can not be merged: %s", name, strerror(-progress.error));
	return -1;
}

static int merge(const char *name, const struct chain *chain)
{
	const struct chain_file *below = &chain->files[1];
	struct progress progress;

	if (look(name, &progress))
		return -1;
	if (!strcmp(progress.state, "none") && prepare(name, below))
		return -1;
	if (!strcmp(progress.state, "none") || !strcmp(progress.state, "idle"))
		if (start(name))
			goto failed;
	if (wait_until_ready(name) || finish(name))
		goto failed;
	printf("%s\tis the top of %s now\n%s\tis empty\n", below->path, name, chain->files[0].path);
	return 0;
failed:
	give_up(name, below);
	return -1;
}

int commit_top(const char *name, const char *path, const struct chain_options *options)
{
	struct chain_options opened = *options;
	struct chain chain;
	int error;

	opened.read_only = true;
	opened.write_below = true;
	/* The device has the top's locks. */
	opened.lock = false;
	if (check_device(name))
		return -1;
	catch_signals();
	error = chain_open(path, &opened, &chain);
	if (!error)
		error = check_chain(&chain) || check_files(name, &chain) || merge(name, &chain) ? -1 : 0;
	chain_close(&chain);
	return error;
}
