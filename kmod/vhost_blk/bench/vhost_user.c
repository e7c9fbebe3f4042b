// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "vhost_user.h"

#include <linux/vhost.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "report.h"

/* Numbers of the protocol (qemu.org, "Vhost-user Protocol"). */
enum message {
	GET_FEATURES = 1, SET_FEATURES = 2, SET_OWNER = 3, SET_MEM_TABLE = 5, SET_VRING_NUM = 8, SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10, SET_VRING_KICK = 12, SET_VRING_CALL = 13, GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16, SET_VRING_ENABLE = 18,
};

#define PROTOCOL_VERSION 1u
#define MAX_PAYLOAD 512u
#define FEATURE_PROTOCOL_FEATURES (1ull << 30)

struct header {
	uint32_t message, flags, size;
};

struct user_region {
	uint64_t gpa, bytes, uaddr, offset;
};

struct user_memory {
	uint32_t nregions, padding;
	struct user_region region[MEMORY_REGIONS];
};

static void send_message(int fd, enum message message, const void *payload, uint32_t size, const int *fds, unsigned nr)
{
	struct header header = { message, PROTOCOL_VERSION, size };
	struct iovec iov[2] = { { &header, sizeof(header) }, { (void *)(uintptr_t)payload, size } };
	union {
		char room[CMSG_SPACE(MEMORY_REGIONS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	if (nr) {
		struct cmsghdr *cmsg;

		memset(&control, 0, sizeof(control));
		msg.msg_control = control.room;
		msg.msg_controllen = CMSG_SPACE(nr * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(nr * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, nr * sizeof(int));
	}
	if (sendmsg(fd, &msg, MSG_NOSIGNAL) != (ssize_t)(sizeof(header) + size))
		fail_errno("vhost-user: message %d can not be sent", message);
}

static uint64_t ask(int fd, enum message message)
{
	struct { struct header header; uint64_t value; } __attribute__((packed)) reply;

	send_message(fd, message, NULL, 0, NULL, 0);
	if (recv(fd, &reply, sizeof(reply), MSG_WAITALL) != (ssize_t)sizeof(reply) ||
	    reply.header.message != (uint32_t)message || reply.header.size != sizeof(reply.value))
		fail("vhost-user: message %d was not answered as it should be", message);
	return reply.value;
}

static void tell(int fd, enum message message, uint64_t value)
{
	send_message(fd, message, &value, sizeof(value), NULL, 0);
}

uint64_t vhost_user_begin(int fd, uint64_t features)
{
	uint64_t offered = ask(fd, GET_FEATURES);

	/* Rings start as soon as they have a kick, unless both sides know the features of the protocol. */
	if (!(offered & FEATURE_PROTOCOL_FEATURES))
		fail("vhost-user: expected protocol features to be offered");
	features = (features & offered) | FEATURE_PROTOCOL_FEATURES;
	ask(fd, GET_PROTOCOL_FEATURES);
	tell(fd, SET_PROTOCOL_FEATURES, 0);
	send_message(fd, SET_OWNER, NULL, 0, NULL, 0);
	tell(fd, SET_FEATURES, features);
	return features;
}

void vhost_user_set_memory(int fd, const struct memory *memory)
{
	struct user_memory table = { .nregions = MEMORY_REGIONS };
	uint64_t offset = 0;
	int fds[MEMORY_REGIONS];

	for (unsigned i = 0; i < MEMORY_REGIONS; i++) {
		const struct memory_region *region = &memory->region[i];

		table.region[i] = (struct user_region) { region->gpa, region->bytes, (uintptr_t)region->hva, offset };
		offset += region->bytes;
		fds[i] = memory->memfd;
	}
	send_message(fd, SET_MEM_TABLE, &table, sizeof(table), fds, MEMORY_REGIONS);
}

static void tell_state(int fd, enum message message, unsigned index, unsigned num)
{
	struct vhost_vring_state state = { index, num };

	send_message(fd, message, &state, sizeof(state), NULL, 0);
}

static void give_eventfd(int fd, enum message message, unsigned index, int eventfd)
{
	uint64_t value = index;

	send_message(fd, message, &value, sizeof(value), &eventfd, 1);
}

void vhost_user_start_ring(int fd, const struct ring *ring)
{
	struct vhost_vring_addr addresses = {
		.index = ring->index,
		.desc_user_addr = (uintptr_t)ring->desc,
		.avail_user_addr = (uintptr_t)ring->avail,
		.used_user_addr = (uintptr_t)ring->used,
	};

	tell_state(fd, SET_VRING_NUM, ring->index, ring->num);
	tell_state(fd, SET_VRING_BASE, ring->index, ring->avail_idx);
	send_message(fd, SET_VRING_ADDR, &addresses, sizeof(addresses), NULL, 0);
	give_eventfd(fd, SET_VRING_CALL, ring->index, ring->call);
	give_eventfd(fd, SET_VRING_KICK, ring->index, ring->kick);
	tell_state(fd, SET_VRING_ENABLE, ring->index, 1);
}

void vhost_user_sync(int fd)
{
	ask(fd, GET_FEATURES);
}
