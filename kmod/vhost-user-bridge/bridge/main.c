// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhost-user-bridge: lets a hypervisor that speaks the vhost-user protocol have a disk served by /dev/vhost-blk. It
 * hands the guest's memory, rings and eventfds to the kernel; no request comes this way.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "disk.h"
#include "instance.h"
#include "listen.h"
#include "sandbox.h"
#include "say.h"
#include "session.h"

static struct bridge bridge;
static struct session session;

/* Signals as a descriptor: to end, and to look at the disk's size. */
static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Whether the disk is one that can be served, said now and not to the first guest. */
static int check_disk(struct reason *reason)
{
	struct vhost_blk_limits limits;
	int error = device_own(&bridge.device);

	if (!error)
		error = device_get_limits(&bridge.device, bridge.disk, &limits);
	if (!error)
		error = device_reset(&bridge.device);
	if (error)
		return refuse_error(reason, error, "%.100s can not serve %.100s", bridge.options.device,
				    bridge.options.disk);
	if (limits.flags & VHOST_BLK_LIMIT_READ_ONLY)
		bridge.options.discard = false;
	say("%s: %llu sectors of 512 bytes, blocks of %u bytes%s", bridge.options.disk, (unsigned long long)limits.capacity,
	    limits.logical_block_size, limits.flags & VHOST_BLK_LIMIT_READ_ONLY ? ", read-only" : "");
	return 0;
}

/* Gets all that is needed while it may be. Return: the listening socket, or -1 with @reason. */
static int prepare(int *signals, struct reason *reason)
{
	struct options *options = &bridge.options;
	int listening = listen_inherited(options, reason), error;

	if (listening == -2)
		return -1;
	if (listening < 0 && !*options->socket)
		return refuse(reason, "there is no socket: see --help");
	say_name(*options->name ? options->name : options->socket);
	bridge.kept = instance_begin(options->socket, reason);
	if (!bridge.kept)
		return -1;
	error = device_open(&bridge.device, options->device);
	if (error)
		return refuse_error(reason, error, "%.200s", options->device);
	bridge.disk = disk_open(options, reason);
	if (bridge.disk < 0 || check_disk(reason))
		return -1;
	bridge.config_call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (bridge.config_call < 0)
		return refuse_error(reason, -errno, "an eventfd");
	/* Not before there is something to end. */
	*signals = open_signals();
	if (*signals < 0)
		return refuse_error(reason, -errno, "signals");
	notify_begin();
	if (listening < 0)
		listening = listen_begin(options, reason);
	if (listening < 0 || sandbox_become(options, reason) || sandbox_enter(reason))
		return -1;
	return listening;
}

/* Return: whether to go on. */
static bool take_signal(int signals)
{
	struct signalfd_siginfo info;

	if (read(signals, &info, sizeof(info)) != sizeof(info))
		return true;
	if (info.ssi_signo != SIGHUP)
		return false;
	session_tell_config(&session);
	return true;
}

/* Return: whether there is a session. */
static bool begin(int listening)
{
	struct reason reason;
	int fd = listen_accept(listening);

	if (fd < 0)
		return false;
	if (!session_begin(&session, &bridge, fd, &reason)) {
		notify("STATUS=A frontend is connected.");
		return true;
	}
	say("no frontend can be served: %s", reason.text);
	session_end(&session);
	return false;
}

static void serve(int listening, int signals)
{
	bool connected = false;

	for (;;) {
		struct pollfd fds[] = {
			{ .fd = signals, .events = POLLIN },
			/* One guest has the disk; others wait in the queue. */
			{ .fd = connected ? session.channel.fd : listening, .events = POLLIN },
			{ .fd = connected ? bridge.config_call : -1, .events = POLLIN },
		};
		uint64_t changes;

		if (poll(fds, sizeof(fds) / sizeof(fds[0]), -1) < 0 && errno != EINTR)
			break;
		if (fds[0].revents && !take_signal(signals))
			break;
		if (fds[2].revents && read(bridge.config_call, &changes, sizeof(changes)) == sizeof(changes))
			session_tell_config(&session);
		if (!fds[1].revents)
			continue;
		if (!connected) {
			connected = begin(listening);
		} else if (session_serve(&session)) {
			session_end(&session);
			connected = false;
			notify("STATUS=Waiting for a frontend.");
		}
	}
	if (connected)
		session_end(&session);
}

int main(int argc, char **argv)
{
	struct reason reason;
	int listening, signals = -1;

	switch (options_parse(&bridge.options, argc, argv)) {
	case OPTIONS_DONE:
		return EXIT_SUCCESS;
	case OPTIONS_WRONG:
		return 2;
	case OPTIONS_RUN:
		break;
	}
	session.backend_channel = -1;
	signal(SIGPIPE, SIG_IGN);
	listening = prepare(&signals, &reason);
	if (listening < 0) {
		say("%s", reason.text);
		return EXIT_FAILURE;
	}
	notify("READY=1\nSTATUS=Waiting for a frontend.");
	serve(listening, signals);
	return EXIT_SUCCESS;
}
