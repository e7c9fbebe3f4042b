// SPDX-License-Identifier: GPL-2.0-only
#include "sequences.h"

#include <linux/virtio_config.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "driven_session.h"
#include "fake_device.h"
#include "frontend.h"
#include "report.h"

/* A message that comes byte by byte is as good as another. */
static void in_pieces(void)
{
	struct { struct vu_header header; struct vhost_vring_state state; } message = {
		{ VU_SET_VRING_NUM, VU_VERSION, sizeof(struct vhost_vring_state) }, { 1, 256 },
	};

	driven_begin(PROTOCOL);
	for (size_t i = 0; i < sizeof(message); i++)
		if (send(frontend, (char *)&message + i, 1, 0) != 1 || session_serve(&session))
			fail("byte %zu is refused: %s", i, said);
	if (session.ring[1].num != 256)
		fail("the message was not understood");
	driven_end();
	cases++;
	passed("a message that comes byte by byte");
}

/* The disk has grown while the bridge was away: a frontend that comes back is told when its ring runs, once. */
static void grown(uint64_t known, ssize_t told)
{
	struct vu_header header[2];
	int pair[2];

	kept.peer = getpid();
	kept.capacity = known;
	driven_begin(PROTOCOL);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		fail_errno("socketpair");
	driven_good(VU_SET_BACKEND_REQ_FD, NULL, 0, pair[0]);
	driven_start_ring();
	if (recv(pair[1], header, sizeof(header), MSG_DONTWAIT) != told ||
	    (told > 0 && header[0].request != VU_BACKEND_CONFIG_CHANGE))
		fail("a frontend that knows of %llu sectors is told wrongly", (unsigned long long)known);
	driven_end();
	close(pair[0]);
	close(pair[1]);
	cases++;
	passed("what a frontend that comes back is told of the disk's size");
}

/* A frontend that sends more and more does not keep the bridge from its signals. */
static void flood(void)
{
	uint64_t features = BIT(VIRTIO_F_VERSION_1) | BIT(VU_FEATURE_PROTOCOL_FEATURES);
	char left;

	driven_begin(PROTOCOL);
	for (unsigned int i = 0; i < 100; i++)
		if (!frontend_send(frontend, VU_SET_FEATURES, 0, &features, sizeof(features), NULL, 0))
			fail("the socket is full");
	if (session_serve(&session) || recv(session.channel.fd, &left, 1, MSG_PEEK | MSG_DONTWAIT) != 1)
		fail("all messages are taken at once");
	if (session_serve(&session) || recv(session.channel.fd, &left, 1, MSG_PEEK | MSG_DONTWAIT) != -1)
		fail("messages are left: %s", said);
	driven_end();
	cases++;
	passed("a frontend that sends without end");
}

/* With REPLY_ACK what is refused is said so, and the rest goes on. */
static void told(void)
{
	struct vhost_vring_state bad = { 0, 3 };
	struct { struct vu_header header; uint64_t result; } __attribute__((packed)) answer;

	driven_begin(PROTOCOL | BIT(VU_F_REPLY_ACK));
	driven_start_ring();
	fake_device.refuse = true;
	for (unsigned int i = 0; i < 3; i++) {
		struct vu_one_region more = { 0, { BIT(32), 4096, BIT(45), 0 } };

		frontend_send(frontend, i ? VU_ADD_MEM_REG : VU_SET_VRING_NUM, VU_FLAG_NEED_REPLY, i ? (void *)&more : &bad,
			      i ? sizeof(more) : sizeof(bad), &memory_fd, !!i);
		if (session_serve(&session) || recv(frontend, &answer, sizeof(answer), 0) != sizeof(answer) ||
		    answer.header.flags != (VU_VERSION | VU_FLAG_REPLY) || answer.result != 1)
			fail("what is refused was not answered so: %s", said);
	}
	fake_device.refuse = false;
	if (!fake_device.vring[0].running || session.memory.nr != 1)
		fail("a message that was refused has changed something");
	driven_end();
	cases++;
	passed("what is refused is answered so, and nothing has changed");
}

/*
 * A guest starts its disk, or the bridge comes back, when a migration has begun: frontends have memory and rings logged
 * before they say where, and enable the rings last.
 */
static void log_comes_last(bool comes)
{
	struct vu_one_region region = { 0, { 0, MEMORY_BYTES, UADDR, 0 } };
	struct vhost_vring_state enable = { 0, 1 };
	uint64_t zero = 0, features = BIT(VIRTIO_F_VERSION_1) | BIT(VU_FEATURE_PROTOCOL_FEATURES) | BIT(VHOST_F_LOG_ALL);
	struct vu_log log = { 4096, 0 };

	driven_begin(PROTOCOL);
	driven_good(VU_SET_FEATURES, &features, sizeof(features), -1);
	driven_good(VU_ADD_MEM_REG, &region, sizeof(region), memory_fd);
	driven_place_ring(1u << VHOST_VRING_F_LOG);
	driven_good(VU_SET_VRING_KICK, &zero, sizeof(zero), event_fd);
	if (comes)
		driven_good(VU_SET_LOG_BASE, &log, sizeof(log), memory_fd);
	frontend_send(frontend, VU_SET_VRING_ENABLE, 0, &enable, sizeof(enable), NULL, 0);
	if (!comes) {
		driven_expect("a ring is enabled, and its log has not come", "is not in a log of 0 bytes");
	} else {
		if (session_serve(&session) || !fake_device.vring[0].running)
			fail("a ring whose log came last does not run: %s", said);
		cases++;
		passed("a log that comes after memory and rings");
	}
	driven_end();
}

/* The frontend cuts its memory off: the index of the used ring is not there. */
static void cut_off(void)
{
	struct vhost_vring_state enable = { 0, 1 };
	struct vu_one_region region = { 0, { 0, 65536, UADDR, 0 } };
	int fd = memfd_create("cut", MFD_CLOEXEC);
	uint64_t zero = 0;

	if (fd < 0 || ftruncate(fd, 65536))
		fail_errno("memfd");
	driven_begin(PROTOCOL);
	driven_good(VU_ADD_MEM_REG, &region, sizeof(region), fd);
	if (ftruncate(fd, 0))
		fail_errno("ftruncate");
	driven_place_ring(0);
	driven_good(VU_SET_VRING_ENABLE, &enable, sizeof(enable), -1);
	frontend_send(frontend, VU_SET_VRING_KICK, 0, &zero, sizeof(zero), &event_fd, 1);
	driven_expect("memory that was cut off", "the used ring of queue 0 can not be read");
	driven_end();
	close(fd);
}

void sequences(void)
{
	in_pieces();
	flood();
	grown(65536, sizeof(struct vu_header));
	grown(131072, -1);
	grown(0, -1);
	told();
	log_comes_last(true);
	log_comes_last(false);
	cut_off();
}
