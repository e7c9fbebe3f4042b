// SPDX-License-Identifier: GPL-2.0-only
/* Messages that QEMU sends seldom, and what they do to a device that works. */
#include <linux/vhost.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cases.h"
#include "daemon.h"
#include "report.h"
#include "uapi/vhost_blk.h"

#define BIT(n) (1ull << (n))
#define PAGE 4096ull

static struct frontend *frontend_of(struct guest *guest)
{
	return guest->own;
}

static void expect_result(struct frontend *frontend, bool done, uint32_t request, const void *payload, uint32_t size,
			  const int *fds, unsigned int nr_fds, const char *what)
{
	if (!frontend_tell(frontend, request, payload, size, fds, nr_fds) != done || frontend->fd < 0)
		fail("%s: %s", what, frontend->fd < 0 ? "the bridge has closed" : done ? "refused" : "not refused");
}

static void do_one(struct guest *guest, uint64_t sector)
{
	static uint8_t data[GUEST_DATA];

	memset(data, (int)sector, sizeof(data));
	for (unsigned int i = 0; i < GUEST_QUEUES; i++)
		if (guest_do(guest, i, VIRTIO_BLK_T_OUT, sector, data, NULL, GUEST_DATA))
			fail("a write to sector %llu failed", (unsigned long long)sector);
}

/* Memory that is added and taken away while the rings run. */
static void memory_slots(struct guest *guest)
{
	struct frontend *frontend = frontend_of(guest);
	struct vu_one_region more = { 0, { 1ull << 32, 64 * PAGE, 0x600000000000, 0 } };
	struct vu_one_region rings = { 0, frontend_region(frontend, 0) };
	unsigned int before = daemon_descriptors();
	int fd = memfd_create("more", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, 64 * PAGE))
		fail_errno("memfd");
	if (frontend_ask_value(frontend, VU_GET_MAX_MEM_SLOTS) != VHOST_BLK_MAX_MEM_REGIONS)
		fail("not as many slots as the module has");
	for (unsigned int i = 0; i < 20; i++) {
		expect_result(frontend, true, VU_ADD_MEM_REG, &more, sizeof(more), &fd, 1, "memory is added");
		do_one(guest, 0);
		expect_result(frontend, false, VU_ADD_MEM_REG, &more, sizeof(more), &fd, 1, "memory that is there is added");
		expect_result(frontend, true, VU_REM_MEM_REG, &more, sizeof(more), NULL, 0, "memory is removed");
		do_one(guest, 8);
	}
	expect_result(frontend, false, VU_REM_MEM_REG, &more, sizeof(more), NULL, 0, "memory that is not there is removed");
	expect_result(frontend, false, VU_REM_MEM_REG, &rings, sizeof(rings), NULL, 0, "the rings' memory is removed");
	do_one(guest, 16);
	if (daemon_descriptors() != before)
		fail("%u descriptors, and %u before", daemon_descriptors(), before);
	close(fd);
	passed("memory is added and removed while the rings run");
}

/* A frontend without slots says all of the table again. */
static void whole_table(struct guest *guest)
{
	struct frontend *frontend = frontend_of(guest);
	struct vu_memory table = { .nregions = frontend->regions };
	int fds[VU_MAX_REGIONS];
	uint32_t size = offsetof(struct vu_memory, region) + frontend->regions * sizeof(struct vu_region);

	for (unsigned int i = 0; i < frontend->regions; i++) {
		table.region[i] = frontend_region(frontend, i);
		fds[i] = guest->memory_fd;
	}
	for (unsigned int i = 0; i < 10; i++) {
		expect_result(frontend, true, VU_SET_MEM_TABLE, &table, size, fds, frontend->regions, "the same table");
		do_one(guest, 24);
	}
	/* The frontend's own addresses are others: the rings' are so, too, and it has to say them anew. */
	for (unsigned int i = 0; i < frontend->regions; i++)
		table.region[i].uaddr += 1ull << 40;
	expect_result(frontend, false, VU_SET_MEM_TABLE, &table, size, fds, frontend->regions, "a table without the rings");
	do_one(guest, 32);
	passed("the whole table of memory again, while the rings run");
}

static bool dirty(const uint8_t *log, uint64_t gpa)
{
	return log[gpa / PAGE / 8] & 1 << gpa / PAGE % 8;
}

/* A migration begins, goes on over a write and a read of the disk, and ends. */
static void dirty_log(struct guest *guest)
{
	struct frontend *frontend = frontend_of(guest);
	struct vu_log log = { GUEST_BYTES / PAGE / 8, PAGE }, small = { GUEST_BYTES / PAGE / 8 / 2, 0 };
	uint64_t logging = guest->features | BIT(VHOST_F_LOG_ALL) | BIT(VU_FEATURE_PROTOCOL_FEATURES);
	uint64_t plain = logging & ~BIT(VHOST_F_LOG_ALL), value;
	int fd = memfd_create("log", MFD_CLOEXEC);
	const struct place *slot = guest_slot(guest, 0, 0);
	uint8_t data[GUEST_DATA], *bits;
	uint64_t at = (uint64_t)((const char *)slot->data - guest->memory);
	struct vhost_vring_addr addr = {
		.flags = 1,
		.desc_user_addr = frontend->uaddr + guest->queue[0].desc,
		.avail_user_addr = frontend->uaddr + guest->queue[0].avail,
		.used_user_addr = frontend->uaddr + guest->queue[0].used,
		.log_guest_addr = guest->queue[0].used,
	};

	if (fd < 0 || ftruncate(fd, 2 * PAGE))
		fail_errno("memfd");
	bits = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	bits += PAGE;
	expect_result(frontend, false, VU_SET_FEATURES, &logging, sizeof(logging), NULL, 0, "logging without a log");
	if (!frontend_send(frontend->fd, VU_SET_LOG_BASE, 0, &small, sizeof(small), &fd, 1) ||
	    recv(frontend->fd, data, sizeof(struct vu_header) + 8, MSG_WAITALL) != sizeof(struct vu_header) + 8)
		fail("a log that nothing is written to is refused");
	expect_result(frontend, false, VU_SET_FEATURES, &logging, sizeof(logging), NULL, 0, "a log that is too small");
	if (!frontend_send(frontend->fd, VU_SET_LOG_BASE, 0, &log, sizeof(log), &fd, 1) ||
	    recv(frontend->fd, data, sizeof(struct vu_header) + 8, MSG_WAITALL) != sizeof(struct vu_header) + 8)
		fail("the log is refused");
	expect_result(frontend, true, VU_SET_FEATURES, &logging, sizeof(logging), NULL, 0, "logging");
	expect_result(frontend, true, VU_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0, "logging of a used ring");
	if (guest_do(guest, 0, VIRTIO_BLK_T_OUT, 0, data, NULL, GUEST_DATA))
		fail("a write while logging");
	if (dirty(bits, at))
		fail("a page that the device only read is dirty");
	if (guest_do(guest, 0, VIRTIO_BLK_T_IN, 0, NULL, data, GUEST_DATA))
		fail("a read while logging");
	if (!dirty(bits, at) || !dirty(bits, guest->queue[0].used))
		fail("dirty: data %d, used ring %d", dirty(bits, at), dirty(bits, guest->queue[0].used));
	addr.flags = 0;
	expect_result(frontend, true, VU_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0, "no logging of a used ring");
	expect_result(frontend, true, VU_SET_FEATURES, &plain, sizeof(plain), NULL, 0, "no logging");
	memset(bits, 0, PAGE);
	if (guest_do(guest, 0, VIRTIO_BLK_T_IN, 0, NULL, &value, sizeof(value)) == VIRTIO_BLK_S_UNSUPP || dirty(bits, at))
		fail("it is logged still");
	munmap(bits - PAGE, 2 * PAGE);
	close(fd);
	passed("what the device writes is in the dirty log, and only while it is wanted");
}

static void set_cache(struct frontend *frontend, uint8_t value, bool done)
{
	struct vu_config config = { offsetof(struct virtio_blk_config, wce), 1, VU_CONFIG_WRITABLE, { value } };

	expect_result(frontend, done, VU_SET_CONFIG, &config, VU_CONFIG_HEAD + 1, NULL, 0, "the write cache is set");
}

static unsigned int cache_of(struct guest *guest)
{
	struct virtio_blk_config config;

	guest->transport->config(guest, &config);
	return config.wce;
}

/* The guest turns the cache off, and nobody tells the next bridge. */
static void write_cache(struct guest *guest, char *const *bridge)
{
	struct vu_config other = { offsetof(struct virtio_blk_config, capacity), 8, VU_CONFIG_WRITABLE, { 1 } };
	struct frontend *frontend = frontend_of(guest);

	set_cache(frontend, 2, false);
	expect_result(frontend, false, VU_SET_CONFIG, &other, VU_CONFIG_HEAD + 8, NULL, 0, "the capacity is set");
	set_cache(frontend, 0, true);
	if (cache_of(guest))
		fail("the write cache is on still");
	daemon_kill();
	daemon_start(bridge);
	do_one(guest, 0);
	if (cache_of(guest))
		fail("the write cache is on again after the bridge was restarted");
	set_cache(frontend, 1, true);
	passed("a write cache that the guest turned off stays off when the bridge is restarted");
}

static void status(struct guest *guest)
{
	struct frontend *frontend = frontend_of(guest);
	uint64_t ready = 15, zero = 0, wrong = 256;

	expect_result(frontend, true, VU_SET_STATUS, &ready, sizeof(ready), NULL, 0, "status");
	if (frontend_ask_value(frontend, VU_GET_STATUS) != ready)
		fail("the status is not what was set");
	expect_result(frontend, false, VU_SET_STATUS, &wrong, sizeof(wrong), NULL, 0, "a status of 256");
	expect_result(frontend, true, VU_SET_STATUS, &zero, sizeof(zero), NULL, 0, "a status of 0");
	if (frontend_ask_value(frontend, VU_GET_STATUS))
		fail("the status is not 0 after a reset");
	for (unsigned int i = 0; i < GUEST_QUEUES; i++) {
		struct vhost_vring_state state = { i, 0 }, answer = { 0, 0 };

		frontend_ask(frontend, VU_GET_VRING_BASE, &state, sizeof(state), &answer, sizeof(answer));
		if (answer.num != guest->queue[i].taken)
			fail("queue %u ended at %u after a reset, and %u are answered", i, answer.num, guest->queue[i].taken);
	}
	guest_clear_queues(guest);
	for (unsigned int i = 0; i < GUEST_QUEUES; i++)
		frontend_start_ring(guest, i, 0, 0);
	do_one(guest, 0);
	expect_result(frontend, true, VU_RESET_OWNER, NULL, 0, NULL, 0, "RESET_OWNER");
	for (unsigned int i = 0; i < GUEST_QUEUES; i++) {
		struct vhost_vring_state enable = { i, 1 };

		expect_result(frontend, true, VU_SET_VRING_ENABLE, &enable, sizeof(enable), NULL, 0, "enable");
	}
	do_one(guest, 0);
	passed("status, and the resets");
}

static void refused_ring(struct guest *guest)
{
	struct frontend *frontend = frontend_of(guest);
	struct vhost_vring_state num = { 0, 64 }, none = { GUEST_QUEUES, 64 };

	expect_result(frontend, false, VU_SET_VRING_NUM, &num, sizeof(num), NULL, 0, "another size of a ring that runs");
	expect_result(frontend, false, VU_SET_VRING_BASE, &num, sizeof(num), NULL, 0, "another index of a ring that runs");
	expect_result(frontend, false, VU_SET_VRING_NUM, &none, sizeof(none), NULL, 0, "the size of a ring beyond all");
	do_one(guest, 0);
	passed("what is refused leaves a ring that runs as it is");
}

void cases_config_change(struct guest *guest, const char *command, unsigned long long sectors)
{
	struct pollfd told = { .fd = frontend_of(guest)->backend_fd, .events = POLLIN };
	struct vu_header header;

	cases_resize(guest, command, sectors);
	if (poll(&told, 1, GUEST_PATIENCE_MS) != 1 || recv(told.fd, &header, sizeof(header), 0) != sizeof(header) ||
	    header.request != VU_BACKEND_CONFIG_CHANGE)
		fail("the frontend was not told");
	passed("the frontend is told that the disk grew");
}

void cases_protocol(struct guest *guest, char *const *bridge)
{
	memory_slots(guest);
	whole_table(guest);
	dirty_log(guest);
	write_cache(guest, bridge);
	status(guest);
	refused_ring(guest);
}
