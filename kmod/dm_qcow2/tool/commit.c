// SPDX-License-Identifier: GPL-2.0-only
/* Merging a chain's top down: the target copies, this says when, and holds the locks of who writes the image below. */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
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

struct run {
	const char *name;
	/* Its files as this run opened them. */
	const struct chain *chain;
	/* Whether the device's table is one that merges, and the image below the top in it is this run's. */
	bool merges;
	bool is_ours;
};

/* What ends the run: asked for where it can, so that no call to the kernel is cut. */
static sigset_t ending;

static void block_signals(void)
{
	sigemptyset(&ending);
	sigaddset(&ending, SIGINT);
	sigaddset(&ending, SIGTERM);
	sigaddset(&ending, SIGHUP);
	sigprocmask(SIG_BLOCK, &ending, NULL);
}

/* Keeps other runs from the same device while this one lives. Return: 0 or -1. */
static int be_alone(const struct dm_state *state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* A name without a file: it goes with the process. */
	snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "blkfleet-qcow2-commit-%llx",
		 (unsigned long long)state->dev);
	if (fd >= 0 && !bind(fd, (struct sockaddr *)&address, sizeof(address)))
		return 0;
	say("%s: %s", state->name, errno == EADDRINUSE ? "another commit of it is under way" : strerror(errno));
	return -1;
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

/* Whether the device has these files as its uppermost. Its table is FILES FORMAT:INODE[:INODE]... */
static bool has_files(const char *name, const struct chain_file *files, unsigned int nr)
{
	struct dm_state state;
	const char *at;

	if (dm_table_of(name, &state))
		return false;
	at = state.text;
	while (nr--) {
		at = strchr(at, ' ');
		at = at ? strchr(at, ':') : NULL;
		if (!at || !has_inode(at + 1, files++->fd))
			return false;
	}
	return true;
}

static int check_files(const char *name, const struct chain *chain)
{
	if (has_files(name, chain->files, 2))
		return 0;
	say("%s: it does not show %s over %s", name, chain->files[0].path, chain->files[1].path);
	return -1;
}

static int check_device(const char *name)
{
	struct progress progress;
	struct dm_state state;

	if (dm_state_of(name, &state) || look(name, &progress) || be_alone(&state))
		return -1;
	if (!strncmp(state.text, "failed", 6)) {
		say("%s: it has failed: 'blkfleet-qcow2 message %s errors' tells why", name, name);
		return -1;
	}
	if (state.read_only) {
		say("%s: it is read only", name);
		return -1;
	}
	/* But where a run was killed just before its end. */
	if (state.suspended && strcmp(progress.state, "done")) {
		say("%s: it is suspended: 'blkfleet-qcow2 resume %s' first", name, name);
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

/* Loads a table that can merge, with the image below as this run opened it. Return: 0 or -1. */
static int load_merge(struct run *run)
{
	const struct chain_file *below = &run->chain->files[1];
	char table[64];

	snprintf(table, sizeof(table), below->data_fd >= 0 ? "merge %d:%d" : "merge %d", below->fd, below->data_fd);
	/* Who forbids others to write does so all the time. */
	if (lock_reading(below->path, below->fd) || (below->data_fd >= 0 && lock_reading(below->path, below->data_fd)) ||
	    dm_reload(run->name, table))
		return -1;
	run->merges = true;
	run->is_ours = true;
	return 0;
}

/* The device goes on with the files that it has, the image below as who only reads it. */
static void give_up(struct run *run)
{
	const struct chain_file *below = &run->chain->files[1];
	struct dm_state state;

	if (!run->merges)
		return;
	/* Else a killed run's locks of who writes would stay. */
	if ((run->is_ours || !load_merge(run)) && !dm_reload(run->name, "live")) {
		unlock_writing(below->fd);
		if (below->data_fd >= 0)
			unlock_writing(below->data_fd);
	} else if (!dm_state_of(run->name, &state) && state.suspended) {
		dm_resume(run->name);
	}
}

/* Takes the locks of who writes the image below: only now, since the device's former table held those that forbid it. */
static int lock_below(const struct run *run)
{
	const struct chain_file *below = &run->chain->files[1];

	if (lock_image(below->path, below->fd, true))
		return -1;
	return below->data_fd >= 0 ? lock_image(below->path, below->data_fd, true) : 0;
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
		if (strcmp(progress.state, "copying")) {
			say("%s: the merge is %s: %s", name, progress.state, strerror(-progress.error));
			return -1;
		}
		if (sigtimedwait(&ending, NULL, &pause) > 0) {
			say("%s: interrupted; it goes on as before", name);
			return -1;
		}
	}
}

/* Suspends the device, with all in the image below. Return: 0 or -1. */
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
		return 0;
	say("%s: what is left can not be merged: %s", name, strerror(-progress.error));
	return -1;
}

/* Gives the device the image below as its top. Return: 0 or -1. */
static int switch_over(const struct run *run)
{
	if (dm_reload(run->name, "merged"))
		return -1;
	/* Another table could have been loaded in between. */
	if (has_files(run->name, &run->chain->files[1], 1))
		return 0;
	say("%s: it was given another table meanwhile, and still has %s", run->name, run->chain->files[0].path);
	return -1;
}

static int merge(struct run *run)
{
	struct progress progress;
	bool is_done, goes_on;

	if (look(run->name, &progress))
		return -1;
	run->merges = strcmp(progress.state, "none");
	is_done = !strcmp(progress.state, "done");
	/* What another run began, before it was killed. */
	goes_on = is_done || !strcmp(progress.state, "copying") || !strcmp(progress.state, "ready");
	if (!goes_on && (load_merge(run) || lock_below(run) || start(run->name)))
		return -1;
	if (!is_done && (wait_until_ready(run->name) || finish(run->name)))
		return -1;
	return switch_over(run);
}

int commit_top(const char *name, const char *path, const struct chain_options *options)
{
	struct chain_options opened = *options;
	struct chain chain;
	struct run run = { .name = name, .chain = &chain };
	int error;

	opened.read_only = true;
	opened.write_below = true;
	/* The device has the top's locks. */
	opened.lock = false;
	block_signals();
	if (check_device(name))
		return -1;
	error = chain_open(path, &opened, &chain);
	if (!error)
		error = check_chain(&chain) || check_files(name, &chain) ? -1 : 0;
	if (!error) {
		error = merge(&run);
		if (error)
			give_up(&run);
		else
			printf("%s\tis the top of %s now\n%s\tis empty\n", chain.files[1].path, name, chain.files[0].path);
	}
	chain_close(&chain);
	return error;
}
