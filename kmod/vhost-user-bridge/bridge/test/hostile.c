// SPDX-License-Identifier: GPL-2.0-only
/*
 * Malformed messages, one by one, and what is said of each: that it is refused, for the right reason, and that no descriptor
 * or mapping is left. Runs without the module.
 */
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "descriptors.h"
#include "driven_session.h"
#include "frontend.h"
#include "report.h"
#include "sequences.h"

#define OWN "/proc/self/fd"

struct bad {
	const char *name;
	uint32_t request;
	uint32_t size;
	union vu_payload payload;
	/* Part of what must be said. */
	const char *text;
	/* What comes with it: so many descriptors, of memory, or of an eventfd ('e'), a socket ('s') or a pipe ('p'). */
	unsigned int nr_fds;
	char kind;
	/* While ring 0 runs. */
	bool running;
	/* Features of the protocol that are not agreed upon; bit 30: ring 1 is enabled. */
	uint64_t without;
};

#define REGION(gpa, bytes, uaddr, offset) { .one_region = { 0, { gpa, bytes, uaddr, offset } } }
#define ONE sizeof(struct vu_one_region)
#define STATE(i, n) { .state = { i, n } }
#define STATE_BYTES sizeof(struct vhost_vring_state)
#define ADDR_BYTES sizeof(struct vhost_vring_addr)
#define TABLE_BYTES(n) (8 + (n) * 32)

static const struct bad bads[] = {
	{ "a number that is none", 0, 0, { 0 }, "unknown message 0" },
	{ "a number beyond all", 4000000000u, 0, { 0 }, "unknown message 4000000000" },
	{ "a message for network devices", 19, 8, { 0 }, "unknown message 19" },
	{ "an IOTLB message", 22, 40, { 0 }, "unknown message 22" },
	{ "a post-copy message", 28, 0, { 0 }, "unknown message 28" },
	{ "too short", VU_SET_FEATURES, 4, { 0 }, "SET_FEATURES: 4 bytes, not 8" },
	{ "too long", VU_SET_FEATURES, 16, { 0 }, "SET_FEATURES: 16 bytes, not 8" },
	{ "a payload where there is none", VU_SET_OWNER, 8, { 0 }, "SET_OWNER: 8 bytes, not 0" },
	{ "a descriptor where there is none", VU_SET_OWNER, 0, { 0 }, "SET_OWNER: 1 file descriptors, not 0", 1 },
	{ "features that are not offered", VU_SET_FEATURES, 8, { .value = BIT(VIRTIO_F_RING_PACKED) },
	  "is not offered" },
	{ "protocol features that are not offered", VU_SET_PROTOCOL_FEATURES, 8, { .value = BIT(12) },
	  "is not offered" },
	{ "other features while a ring runs", VU_SET_FEATURES, 8, { .value = BIT(VU_FEATURE_PROTOCOL_FEATURES) },
	  "busy", 0, 0, true },
	{ "a log without room", VU_SET_FEATURES, 8,
	  { .value = BIT(VIRTIO_F_VERSION_1) | BIT(VU_FEATURE_PROTOCOL_FEATURES) | BIT(VHOST_F_LOG_ALL) },
	  "is not in a log of 0 bytes", 0, 0, true },

	{ "slots that are not agreed upon", VU_ADD_MEM_REG, ONE, REGION(0, 4096, UADDR, 0), "not agreed upon", 1, 0,
	  false, BIT(VU_F_CONFIGURE_MEM_SLOTS) },
	{ "a table of nine", VU_SET_MEM_TABLE, TABLE_BYTES(8), { .memory = { .nregions = 9 } },
	  "9 regions, and 8 is the most", 8 },
	{ "a table with less than it says", VU_SET_MEM_TABLE, TABLE_BYTES(1), { .memory = { .nregions = 2 } },
	  "40 bytes, not 72", 2 },
	{ "a table with padding", VU_SET_MEM_TABLE, TABLE_BYTES(0), { .memory = { .padding = 1 } }, "padding" },
	{ "a table with too few descriptors", VU_SET_MEM_TABLE, TABLE_BYTES(2), { .memory = { .nregions = 2 } },
	  "1 file descriptors, not 2", 1 },
	{ "a table with too many descriptors", VU_SET_MEM_TABLE, TABLE_BYTES(1), { .memory = { .nregions = 1 } },
	  "2 file descriptors, not 1", 2 },
	{ "more descriptors than any message", VU_SET_MEM_TABLE, TABLE_BYTES(8), { .memory = { .nregions = 8 } },
	  "more than 8 file descriptors", 9 },
	{ "a table whose regions overlap", VU_SET_MEM_TABLE, TABLE_BYTES(2), { .memory = { .nregions = 2,
	  .region = { { 0, 8192, UADDR, 0 }, { 4096, 8192, UADDR + 65536, 8192 } } } }, "overlaps", 2 },
	{ "a table without the ring that runs", VU_SET_MEM_TABLE, TABLE_BYTES(0), { .memory = { .nregions = 0 } },
	  "outside of the guest's memory", 0, 0, true },
	{ "an empty region", VU_ADD_MEM_REG, ONE, REGION(0, 0, UADDR, 0), "is empty", 1 },
	{ "a region that wraps", VU_ADD_MEM_REG, ONE, REGION(UINT64_MAX - 4095, 8192, UADDR, 0), "wraps", 1 },
	{ "a region whose address wraps", VU_ADD_MEM_REG, ONE, REGION(0, 8192, UINT64_MAX - 4095, 0), "wraps", 1 },
	{ "a region whose place in the file wraps", VU_ADD_MEM_REG, ONE, REGION(0, 8192, UADDR, UINT64_MAX - 4095),
	  "wraps", 1 },
	{ "a region beyond the file", VU_ADD_MEM_REG, ONE, REGION(0, MEMORY_BYTES, UADDR, 4096),
	  "a file of 1048576 bytes", 1 },
	{ "a region larger than any memory", VU_ADD_MEM_REG, ONE, REGION(0, BIT(63), UADDR, 0), "can not be mapped",
	  1 },
	{ "a region of a socket", VU_ADD_MEM_REG, ONE, REGION(0, 4096, UADDR, 0), "is no file", 1, 's' },
	{ "a region of a pipe", VU_ADD_MEM_REG, ONE, REGION(0, 4096, UADDR, 0), "is no file", 1, 'p' },
	{ "a region without a descriptor", VU_ADD_MEM_REG, ONE, REGION(0, 4096, UADDR, 0), "0 file descriptors" },
	{ "a region over another", VU_ADD_MEM_REG, ONE, REGION(4096, 4096, UADDR + BIT(40), 0), "overlaps", 1, 0,
	  true },
	{ "a region at the address of another", VU_ADD_MEM_REG, ONE, REGION(BIT(40), 4096, UADDR + 4096, 0),
	  "overlaps", 1, 0, true },
	{ "a region that is not there is removed", VU_REM_MEM_REG, ONE, REGION(BIT(40), 4096, UADDR, 0),
	  "no such memory", 0, 0, true },
	{ "the ring's region is removed", VU_REM_MEM_REG, ONE, REGION(0, MEMORY_BYTES, UADDR, 0),
	  "outside of the guest's memory", 0, 0, true },

	{ "a log of nothing", VU_SET_LOG_BASE, 16, { .log = { 0, 0 } }, "can not be mapped", 1 },
	{ "a log beyond its file", VU_SET_LOG_BASE, 16, { .log = { MEMORY_BYTES, 1 } }, "a file of 1048576 bytes",
	  1 },
	{ "a log that wraps", VU_SET_LOG_BASE, 16, { .log = { UINT64_MAX, UINT64_MAX } }, "can not be mapped", 1 },
	{ "a log without a descriptor", VU_SET_LOG_BASE, 16, { .log = { 4096, 0 } }, "0 file descriptors" },
	{ "an event of the log that is none", VU_SET_LOG_FD, 0, { 0 }, "no eventfd", 1 },

	{ "the size of a ring beyond all", VU_SET_VRING_NUM, STATE_BYTES, STATE(4, 128), "queue 4 of 4" },
	{ "the size of a ring far beyond all", VU_SET_VRING_NUM, STATE_BYTES, STATE(UINT32_MAX, 128), "of 4" },
	{ "no entries", VU_SET_VRING_NUM, STATE_BYTES, STATE(0, 0), "a power of two" },
	{ "entries that are no power of two", VU_SET_VRING_NUM, STATE_BYTES, STATE(0, 3), "a power of two" },
	{ "too many entries", VU_SET_VRING_NUM, STATE_BYTES, STATE(0, 2048), "a power of two" },
	{ "entries of a ring that runs", VU_SET_VRING_NUM, STATE_BYTES, STATE(0, 64), "queue 0 runs", 0, 0, true },
	{ "an index beyond 65535", VU_SET_VRING_BASE, STATE_BYTES, STATE(0, 65536), "an index of 65536" },
	{ "an index of a ring beyond all", VU_SET_VRING_BASE, STATE_BYTES, STATE(64, 0), "queue 64 of 4" },
	{ "the index of a ring beyond all is asked for", VU_GET_VRING_BASE, STATE_BYTES, STATE(64, 0),
	  "queue 64 of 4" },
	{ "addresses of a ring beyond all", VU_SET_VRING_ADDR, ADDR_BYTES, { .addr = { .index = 5 } },
	  "queue 5 of 4" },
	{ "an unknown flag", VU_SET_VRING_ADDR, ADDR_BYTES, { .addr = { .flags = 2 } }, "flags 0x2" },
	{ "a descriptor table out of line", VU_SET_VRING_ADDR, ADDR_BYTES, { .addr = { .desc_user_addr = 8 } },
	  "not aligned" },
	{ "an available ring out of line", VU_SET_VRING_ADDR, ADDR_BYTES, { .addr = { .avail_user_addr = 1 } },
	  "not aligned" },
	{ "a used ring out of line", VU_SET_VRING_ADDR, ADDR_BYTES, { .addr = { .used_user_addr = 2 } },
	  "not aligned" },
	{ "addresses that memory puts out of line", VU_SET_MEM_TABLE, TABLE_BYTES(1), { .memory = { .nregions = 1,
	  .region = { { 0, MEMORY_BYTES - 8, UADDR, 8 } } } }, "queue 0 is not aligned", 1, 0, true },
	{ "other addresses of a ring that runs", VU_SET_VRING_ADDR, ADDR_BYTES,
	  { .addr = { .desc_user_addr = 16 } }, "runs elsewhere", 0, 0, true },
	{ "a used ring that is logged nowhere", VU_SET_VRING_ADDR, ADDR_BYTES, { .addr = { 0, 1, UADDR,
	  UADDR + 0x8000, UADDR + 0x4000, 0 } }, "is not in a log of 0 bytes", 0, 0, true },
	{ "a kick of a ring beyond all", VU_SET_VRING_KICK, 8, { .value = 4 }, "queue 4 of 4", 1, 'e' },
	{ "a kick that is a file", VU_SET_VRING_KICK, 8, { .value = 0 }, "no eventfd", 1 },
	{ "a kick that is a pipe", VU_SET_VRING_KICK, 8, { .value = 0 }, "no eventfd", 1, 'p' },
	{ "no kick at all", VU_SET_VRING_KICK, 8, { .value = VU_VRING_NO_FD }, "polled and never kicked" },
	{ "a kick of a ring that is not set up", VU_SET_VRING_KICK, 8, { .value = 1 }, "no size or no addresses", 1,
	  'e', true, BIT(30) },
	{ "a call with bits that mean nothing", VU_SET_VRING_CALL, 8, { .value = BIT(9) }, "a value of 0x200", 1,
	  'e' },
	{ "a call without its descriptor", VU_SET_VRING_CALL, 8, { .value = 0 }, "0 file descriptors, not 1" },
	{ "a call with a descriptor and without", VU_SET_VRING_CALL, 8, { .value = VU_VRING_NO_FD },
	  "1 file descriptors, not 0", 1, 'e' },
	{ "a call that is a socket", VU_SET_VRING_CALL, 8, { .value = 0 }, "no eventfd", 1, 's', true },
	{ "an error event that is a file", VU_SET_VRING_ERR, 8, { .value = 3 }, "no eventfd", 1 },
	{ "a ring beyond all is enabled", VU_SET_VRING_ENABLE, STATE_BYTES, STATE(4, 1), "queue 4 of 4" },
	{ "a ring is enabled twofold", VU_SET_VRING_ENABLE, STATE_BYTES, STATE(0, 2), "a value of 2" },

	{ "a configuration that is not agreed upon", VU_GET_CONFIG, 12, { 0 }, "not agreed upon", 0, 0, false,
	  BIT(VU_F_CONFIG) },
	{ "a configuration beyond its end", VU_GET_CONFIG, 12, { .config = { .offset = 257 } },
	  "of a space of 256" },
	{ "a configuration that wraps", VU_GET_CONFIG, 12, { .config = { .offset = UINT32_MAX, .size = 2 } },
	  "of a space of 256" },
	{ "a configuration of less than it says", VU_GET_CONFIG, 12, { .config = { .size = 8 } },
	  "12 bytes, not 20" },
	{ "the capacity is set", VU_SET_CONFIG, 20, { .config = { .size = 8 } }, "only the write cache" },
	{ "a write cache of 2", VU_SET_CONFIG, 13, { .config = { .offset = 32, .size = 1, .data = { 2 } } },
	  "a write cache of 2" },
	{ "flags of a configuration", VU_SET_CONFIG, 13, { .config = { .offset = 32, .size = 1, .flags = 7 } },
	  "flags 0x7" },
	{ "a channel that is a file", VU_SET_BACKEND_REQ_FD, 0, { 0 }, "no socket", 1 },
	{ "a channel that is not there", VU_SET_BACKEND_REQ_FD, 0, { 0 }, "0 file descriptors, not 1" },
	{ "a status beyond 255", VU_SET_STATUS, 8, { .value = 256 }, "0x100" },
};

static int file_of(char kind, int pair[2])
{
	if (kind == 'p' ? pipe2(pair, O_CLOEXEC) : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		fail_errno("files");
	return kind == 'e' ? event_fd : kind ? pair[0] : memory_fd;
}

static void try(const struct bad *bad)
{
	unsigned int before = descriptors_count(OWN);
	int fds[16], pair[2], fd;

	driven_begin(PROTOCOL & ~bad->without);
	if (bad->running)
		driven_start_ring();
	if (bad->without & BIT(30)) {
		struct vhost_vring_state enable = { 1, 1 };

		driven_good(VU_SET_VRING_ENABLE, &enable, sizeof(enable), -1);
	}
	fd = file_of(bad->kind, pair);
	for (unsigned int i = 0; i < bad->nr_fds; i++)
		fds[i] = fd;
	frontend_send(frontend, bad->request, 0, &bad->payload, bad->size, fds, bad->nr_fds);
	driven_expect(bad->name, bad->text);
	close(pair[0]);
	close(pair[1]);
	driven_end();
	if (descriptors_count(OWN) != before)
		fail("%s: %u descriptors are open, and %u were", bad->name, descriptors_count(OWN), before);
}

static void raw(const char *name, const struct vu_header *header, size_t bytes, const char *text)
{
	unsigned int before = descriptors_count(OWN);

	driven_begin(PROTOCOL);
	if (send(frontend, header, bytes, 0) != (ssize_t)bytes)
		fail_errno("send");
	if (bytes < sizeof(*header) || !*text)
		shutdown(frontend, SHUT_WR);
	driven_expect(name, *text ? text : "within a message");
	driven_end();
	if (descriptors_count(OWN) != before)
		fail("%s: descriptors are left", name);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	driven_prepare();
	for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++)
		try(&bads[i]);
	raw("another version", &(struct vu_header){ VU_GET_FEATURES, 2, 0 }, 12, "version 2 of the protocol");
	raw("an answer", &(struct vu_header){ VU_GET_FEATURES, 5, 0 }, 12, "it is an answer");
	raw("a length beyond all", &(struct vu_header){ VU_SET_FEATURES, 1, UINT32_MAX }, 12, "more than any message has");
	raw("half a header", &(struct vu_header){ VU_GET_FEATURES, 1, 0 }, 6, "within a message");
	raw("a header without its payload", &(struct vu_header){ VU_SET_FEATURES, 1, 8 }, 12, "");
	sequences();
	printf("%u cases, %u failed\n", cases, failures);
	return failures ? 1 : 0;
}
