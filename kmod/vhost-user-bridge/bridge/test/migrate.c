// SPDX-License-Identifier: GPL-2.0-only
#include "migrate.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "qtest.h"
#include "report.h"

#define BLOCKS 64u
#define QUIET_MS 200
/* Bytes a second: it goes over the guest's memory once while there are requests, and does not end before they do. */
#define SLOW "2m"
#define FAST "1g"
/* Of requests. By then the memory of all of them has been sent. */
#define BUSY_MS 3000

static void fill(uint8_t *data, unsigned int block, unsigned int round)
{
	for (unsigned int i = 0; i < GUEST_DATA; i++)
		data[i] = (uint8_t)(i * 3 + block * 31 + round * 101 + i / 512);
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		fail_errno("%s", path);
	return fd;
}

/* Has the monitor do something, and gives what it says until it is quiet. */
static const char *ask(int monitor, const char *command)
{
	static char answer[16384];
	struct pollfd more = { .fd = monitor, .events = POLLIN };
	size_t length = 0;

	if (command && send(monitor, command, strlen(command), MSG_NOSIGNAL) != (ssize_t)strlen(command))
		fail("the monitor is gone");
	while (length < sizeof(answer) - 1 && poll(&more, 1, QUIET_MS) == 1) {
		ssize_t got = recv(monitor, answer + length, sizeof(answer) - 1 - length, 0);

		if (got <= 0)
			fail("the monitor has closed");
		length += got;
	}
	answer[length] = '\0';
	return answer;
}

/* Reads and writes some blocks beside a model. */
static void do_some(struct guest *guest, unsigned int round)
{
	static uint8_t out[GUEST_DATA], in[GUEST_DATA];

	for (unsigned int i = 0; i < 4; i++) {
		unsigned int block = (round * 4 + i) % BLOCKS, index = i % GUEST_QUEUES;

		fill(out, block, round);
		if (guest_do(guest, index, VIRTIO_BLK_T_OUT, block * GUEST_SECTORS, out, NULL, GUEST_DATA) ||
		    guest_do(guest, index, VIRTIO_BLK_T_IN, block * GUEST_SECTORS, NULL, in, GUEST_DATA))
			fail("a request failed while the guest migrates");
		if (memcmp(out, in, GUEST_DATA))
			fail("block %u is not what was written, in round %u", block, round);
	}
}

/* The guest's processor, which this program is, makes no request once it may be stopped: it could not be told. */
static unsigned int make_requests(struct guest *guest, int monitor)
{
	long long end = now_ms() + BUSY_MS;
	unsigned int rounds = 0;

	while (now_ms() < end)
		do_some(guest, rounds++);
	if (!strstr(ask(monitor, "info migrate\n"), "active"))
		fail("the migration has ended before the requests");
	return rounds;
}

static void wait_for_end(int monitor)
{
	long long end = now_ms() + GUEST_PATIENCE_MS;
	const char *status;

	ask(monitor, "migrate_set_parameter max-bandwidth " FAST "\n");
	while (!strstr(status = ask(monitor, "info migrate\n"), "completed"))
		if (strstr(status, "failed") || now_ms() > end)
			fail("the migration does not end: %.400s", status);
}

void migrate(struct guest *guest, const struct migration *migration)
{
	static struct qtest destination;
	int monitor = connect_to(migration->monitor), fd = open(migration->memory, O_RDWR | O_CLOEXEC);
	char *memory = mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), command[256];
	unsigned int rounds;

	if (fd < 0 || memory == MAP_FAILED)
		fail_errno("%s", migration->memory);
	((struct qtest *)guest->own)->tells_writes = true;
	do_some(guest, 0);
	/* What is not zero takes its time, so that there are requests while it lasts. */
	for (size_t i = GUEST_BYTES / 2; i < GUEST_BYTES; i += 64)
		guest->memory[i] = (char)i | 1;
	ask(monitor, NULL);
	ask(monitor, "migrate_set_parameter max-bandwidth " SLOW "\n");
	snprintf(command, sizeof(command), "migrate -d %s\n", migration->to);
	ask(monitor, command);
	rounds = make_requests(guest, monitor);
	wait_for_end(monitor);
	for (size_t i = 0; i < GUEST_BYTES; i++)
		if (memory[i] != guest->memory[i])
			fail("byte %#zx is %#x at the source and %#x at the destination", i, (uint8_t)guest->memory[i],
			     (uint8_t)memory[i]);
	guest->memory = memory;
	qtest_follow(&destination, guest->own, migration->qtest);
	guest->own = &destination;
	do_some(guest, rounds);
	passed("migrated after %u rounds of requests; all that the device wrote came along, and the guest goes on", rounds);
	close(monitor);
	close(fd);
}
