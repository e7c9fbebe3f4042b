// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "storage_daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

#define CONNECT_ATTEMPTS 6000
#define CONNECT_PAUSE_NS 10000000
/* Not what the loader ends with when a library is missing. */
#define NOT_FOUND 125

/* In an I/O thread and with the kernel's native asynchronous I/O: what an operator who cares for speed sets. */
static _Noreturn void run(const struct storage_daemon *daemon, const struct job *job)
{
	char disk[512], export[256];

	snprintf(disk, sizeof(disk), "driver=host_device,node-name=disk,filename=%s,cache.direct=on,aio=native",
		 job->device);
	snprintf(export, sizeof(export),
		 "type=vhost-user-blk,id=export,node-name=disk,addr.type=unix,addr.path=%s,writable=on,num-queues=%u,"
		 "iothread=io",
		 daemon->socket, job->queues);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execlp(job->storage_daemon, job->storage_daemon, "--object", "iothread,id=io", "--blockdev", disk, "--export",
	       export, (char *)NULL);
	_exit(NOT_FOUND);
}

static void expect_running(struct storage_daemon *daemon, const struct job *job)
{
	int status;

	if (waitpid(daemon->pid, &status, WNOHANG) != daemon->pid)
		return;
	rmdir(daemon->folder);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND)
		skip("no %s", job->storage_daemon);
	fail("%s ended before it served", job->storage_daemon);
}

int storage_daemon_start(struct storage_daemon *daemon, const struct job *job)
{
	const struct timespec pause = { 0, CONNECT_PAUSE_NS };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(daemon->folder, "/tmp/vhost-blk-bench-XXXXXX");
	if (fd < 0 || !mkdtemp(daemon->folder))
		fail_errno("can not make a socket");
	snprintf(daemon->socket, sizeof(daemon->socket), "%s/socket", daemon->folder);
	memcpy(address.sun_path, daemon->socket, strlen(daemon->socket));
	daemon->pid = fork();
	if (daemon->pid < 0)
		fail_errno("fork");
	if (!daemon->pid)
		run(daemon, job);
	for (int i = 0; connect(fd, (struct sockaddr *)&address, sizeof(address)); i++) {
		expect_running(daemon, job);
		if (i == CONNECT_ATTEMPTS || (errno != ENOENT && errno != ECONNREFUSED))
			fail_errno("can not connect to %s", job->storage_daemon);
		nanosleep(&pause, NULL);
	}
	return fd;
}

void storage_daemon_stop(struct storage_daemon *daemon)
{
	/* Asked to end just when its client has gone, some versions wait for themselves forever. */
	kill(daemon->pid, SIGKILL);
	waitpid(daemon->pid, NULL, 0);
	unlink(daemon->socket);
	rmdir(daemon->folder);
}
