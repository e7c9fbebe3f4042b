// SPDX-License-Identifier: GPL-2.0-only
/*
 * A frontend of which each byte is an attacker's: messages with descriptors of all kinds, by libFuzzer or from files,
 * through a socket. Beside the sanitizers, the fake device ends the program when it is given what is not
 * there, and so do descriptors and mappings that are left.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../session.h"
#include "descriptors.h"
#include "fake_device.h"
#include "fuzz.h"

/* Of the files that the frontend has to give. */
#define MEMORY_BYTES (1u << 20)
#define OWN "/proc/self/fd"

enum give { GIVE_MEMORY, GIVE_EVENTFD, GIVE_SOCKET, GIVE_PIPE, GIVE_SMALL, GIVE_FOLDER, NR_GIVE };

static struct bridge bridge;
static struct kept kept;
static int files[NR_GIVE];

static void make_files(void)
{
	int pair[2];

	files[GIVE_MEMORY] = memfd_create("memory", MFD_CLOEXEC);
	files[GIVE_SMALL] = memfd_create("small", MFD_CLOEXEC);
	files[GIVE_EVENTFD] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	files[GIVE_FOLDER] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ftruncate(files[GIVE_MEMORY], MEMORY_BYTES) || ftruncate(files[GIVE_SMALL], 100) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		abort();
	files[GIVE_SOCKET] = pair[0];
	if (pipe2(pair, O_CLOEXEC))
		abort();
	files[GIVE_PIPE] = pair[1];
	bridge.kept = &kept;
	bridge.options.queues = 4;
	bridge.options.segments = 126;
	bridge.options.discard = true;
	bridge.options.poll_us = OPTION_UNSET;
	bridge.config_call = -1;
	signal(SIGPIPE, SIG_IGN);
}

/* What of the files of the frontend is mapped. */
static unsigned int mapped_files(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned int nr = 0;
	char line[512];

	while (fgets(line, sizeof(line), maps))
		nr += !!strstr(line, "memfd:");
	fclose(maps);
	return nr;
}

/* Takes @size bytes of the input; what is behind its end is zero. */
static void take(struct fuzz_input *input, void *to, size_t size)
{
	size_t there = input->size < size ? input->size : size;

	memset(to, 0, size);
	memcpy(to, input->data, there);
	input->data += there;
	input->size -= there;
}

static void drain_answers(int fd)
{
	char room[4096];

	while (recv(fd, room, sizeof(room), MSG_DONTWAIT) > 0)
		;
}

/* One message as the input has it. Return: whether the session goes on. */
static bool step(struct session *session, int frontend, struct fuzz_input *input)
{
	struct fuzz_message message;
	char bytes[sizeof(struct vu_header) + FUZZ_MAX_PAYLOAD];
	struct vu_header header;
	struct iovec iov;
	int fds[FUZZ_MAX_FDS];
	unsigned int nr_fds, size;

	take(input, &message, sizeof(message));
	nr_fds = message.nr_fds % (FUZZ_MAX_FDS + 1);
	for (unsigned int i = 0; i < nr_fds; i++)
		fds[i] = files[(message.kinds >> 3 * (i % 10) & 7) % NR_GIVE];
	size = message.size % (FUZZ_MAX_PAYLOAD + 1);
	header = (struct vu_header){ message.request, message.flags, message.lie ? message.lie : size };
	memcpy(bytes, &header, sizeof(header));
	take(input, bytes + sizeof(header), size);
	fake_device.refuse = message.refuse & 1;
	iov = (struct iovec){ bytes, sizeof(header) + size };
	descriptors_send(frontend, &iov, 1, fds, nr_fds);
	if (message.refuse & 2)
		session_tell_config(session);
	if (session_serve(session))
		return false;
	drain_answers(frontend);
	return true;
}

int fuzz_one(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	static struct session session;
	unsigned int before, mapped;
	struct reason reason;
	int pair[2];

	if (!bridge.kept)
		make_files();
	before = descriptors_count(OWN);
	mapped = mapped_files();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		abort();
	if (session_begin(&session, &bridge, pair[0], &reason))
		abort();
	while (input.size && step(&session, pair[1], &input))
		;
	session_end(&session);
	close(pair[1]);
	if (descriptors_count(OWN) != before || mapped_files() != mapped) {
		fprintf(stderr, "left: %d descriptors, %d mappings\n", (int)descriptors_count(OWN) - (int)before,
			(int)mapped_files() - (int)mapped);
		abort();
	}
	return 0;
}
