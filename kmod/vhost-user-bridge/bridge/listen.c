// SPDX-License-Identifier: GPL-2.0-only
#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "account.h"

/* sd_listen_fds(3). */
#define FIRST_INHERITED 3

static int notify_fd = -1;
static struct sockaddr_un notify_address;
static socklen_t notify_length;

int listen_inherited(struct options *options, struct reason *reason)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	struct sockaddr_un address;
	socklen_t length = sizeof(address), size = sizeof(int);
	int fd = FIRST_INHERITED, listening = 0;

	if (!pid || !fds || atoi(pid) != getpid())
		return -1;
	if (strcmp(fds, "1")) {
		refuse(reason, "%s sockets came from systemd, and one is wanted", fds);
		return -2;
	}
	if (getsockname(fd, (struct sockaddr *)&address, &length) || address.sun_family != AF_UNIX ||
	    length <= offsetof(struct sockaddr_un, sun_path) || !*address.sun_path ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) || !listening) {
		refuse(reason, "what came from systemd is not a unix socket with a path that listens");
		return -2;
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	snprintf(options->socket, sizeof(options->socket), "%.*s", (int)(sizeof(options->socket) - 1), address.sun_path);
	return fd;
}

static int set_access(const char *path, const struct options *options, struct reason *reason)
{
	gid_t group = (gid_t)-1;

	if (*options->socket_group && account_group(options->socket_group, &group, reason))
		return -1;
	if (chown(path, (uid_t)-1, group) || chmod(path, *options->socket_group ? 0660 : 0600))
		return refuse_error(reason, -errno, "%s", path);
	return 0;
}

int listen_begin(const struct options *options, struct reason *reason)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char new[sizeof(address.sun_path) + 8];
	int fd;

	snprintf(new, sizeof(new), "%s.new", options->socket);
	if (strlen(new) >= sizeof(address.sun_path))
		return refuse(reason, "%s is too long for a socket", options->socket);
	strcpy(address.sun_path, new);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return refuse_error(reason, -errno, "a socket");
	if (unlink(new) && errno != ENOENT) {
		refuse_error(reason, -errno, "%s", new);
	} else if (bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		refuse_error(reason, -errno, "%s", new);
	} else if (!set_access(new, options, reason)) {
		/* At its place only when it may be connected to, and by whom it may. */
		if (!listen(fd, 1) && !rename(new, options->socket))
			return fd;
		refuse_error(reason, -errno, "%s", options->socket);
	}
	close(fd);
	return -1;
}

int listen_accept(int fd)
{
	return accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

void notify_begin(void)
{
	const char *path = getenv("NOTIFY_SOCKET");

	if (!path || (*path != '/' && *path != '@') || strlen(path) >= sizeof(notify_address.sun_path))
		return;
	notify_address.sun_family = AF_UNIX;
	strcpy(notify_address.sun_path, path);
	notify_length = offsetof(struct sockaddr_un, sun_path) + strlen(path);
	if (*path == '@')
		notify_address.sun_path[0] = '\0';
	notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

void notify(const char *text)
{
	if (notify_fd >= 0)
		sendto(notify_fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&notify_address,
		       notify_length);
}
