// SPDX-License-Identifier: GPL-2.0-only
#include "cases.h"

#include <stdlib.h>
#include <string.h>

#include "daemon.h"
#include "report.h"

#define BIT(n) (1ull << (n))

static void fill(uint8_t *data, unsigned int seed)
{
	for (unsigned int i = 0; i < GUEST_DATA; i++)
		data[i] = (uint8_t)(i * 7 + seed * 13 + i / 512);
}

static void expect_status(uint8_t status, uint8_t expected, const char *what)
{
	if (status != expected)
		fail("%s: expected status %u, saw %u", what, expected, status);
}

static void write_and_read(struct guest *guest)
{
	uint8_t out[GUEST_DATA], in[GUEST_DATA];

	for (unsigned int i = 0; i < 2 * GUEST_QUEUES; i++) {
		unsigned int writer = i % GUEST_QUEUES, reader = (i + 1) % GUEST_QUEUES;

		fill(out, i);
		expect_status(guest_do(guest, writer, VIRTIO_BLK_T_OUT, 8 * i, out, NULL, GUEST_DATA), 0, "write");
		expect_status(guest_do(guest, reader, VIRTIO_BLK_T_IN, 8 * i, NULL, in, GUEST_DATA), 0, "read");
		if (memcmp(out, in, GUEST_DATA))
			fail("queue %u does not read what queue %u wrote", reader, writer);
	}
	passed("what one queue writes another reads");
}

static void zero_and_discard(struct guest *guest)
{
	struct virtio_blk_discard_write_zeroes range = { .sector = 0, .num_sectors = 8 };
	uint8_t in[GUEST_DATA];

	if (!(guest->features & BIT(VIRTIO_BLK_F_DISCARD)) || !(guest->features & BIT(VIRTIO_BLK_F_WRITE_ZEROES)))
		fail("discard or write zeroes is not offered: %#llx", (unsigned long long)guest->features);
	expect_status(guest_do(guest, 0, VIRTIO_BLK_T_WRITE_ZEROES, 0, &range, NULL, sizeof(range)), 0, "write zeroes");
	expect_status(guest_do(guest, 0, VIRTIO_BLK_T_IN, 0, NULL, in, GUEST_DATA), 0, "read");
	for (unsigned int i = 0; i < GUEST_DATA; i++)
		if (in[i])
			fail("byte %u is %#x after it was zeroed", i, in[i]);
	range.sector = 8;
	expect_status(guest_do(guest, 1, VIRTIO_BLK_T_DISCARD, 0, &range, NULL, sizeof(range)), 0, "discard");
	passed("write zeroes and discard");
}

static void check_config(struct guest *guest, const struct expectation *expected)
{
	struct virtio_blk_config config;

	guest->transport->config(guest, &config);
	if (config.capacity != expected->capacity)
		fail("a capacity of %llu sectors, not %llu", (unsigned long long)config.capacity, expected->capacity);
	if (config.num_queues != GUEST_QUEUES || !config.seg_max || config.blk_size != 512)
		fail("%u queues, %u segments, blocks of %u", config.num_queues, config.seg_max, config.blk_size);
	if (guest->features & BIT(VIRTIO_BLK_F_CONFIG_WCE) && config.wce != 1)
		fail("the write cache is %u", config.wce);
	if (!expected->read_only && (!config.max_discard_sectors || !config.max_write_zeroes_sectors))
		fail("no discard, or no write zeroes, in the configuration space");
	passed("the configuration space: %llu sectors, %u queues, %u segments", (unsigned long long)config.capacity,
	       config.num_queues, config.seg_max);
}

void cases_requests(struct guest *guest, const struct expectation *expected)
{
	uint8_t id[GUEST_DATA] = { 0 }, out[GUEST_DATA], in[GUEST_DATA];

	check_config(guest, expected);
	if (expected->read_only) {
		fill(out, 0);
		expect_status(guest_do(guest, 0, VIRTIO_BLK_T_OUT, 0, out, NULL, GUEST_DATA), VIRTIO_BLK_S_IOERR, "a write");
		passed("a disk that is read-only is not written");
		return;
	}
	write_and_read(guest);
	expect_status(guest_do(guest, 0, VIRTIO_BLK_T_FLUSH, 0, NULL, NULL, 0), 0, "flush");
	expect_status(guest_do(guest, 1, VIRTIO_BLK_T_GET_ID, 0, NULL, id, 20), 0, "id");
	if (strncmp((char *)id, expected->serial, 20))
		fail("the serial is '%.20s', not '%s'", (char *)id, expected->serial);
	passed("flush, and the serial");
	zero_and_discard(guest);
	if (!guest->transport->interrupted(guest, 0))
		fail("the guest was not told of an answer");
	fill(out, 99);
	expect_status(guest_do(guest, 0, VIRTIO_BLK_T_OUT, 800, out, NULL, GUEST_DATA), 0, "write");
	guest->transport->restart(guest);
	expect_status(guest_do(guest, 1, VIRTIO_BLK_T_IN, 800, NULL, in, GUEST_DATA), 0, "read");
	if (memcmp(out, in, GUEST_DATA))
		fail("what was written before a reset is not there after it");
	passed("the driver resets the device and starts it again");
}

void cases_restart(struct guest *guest, char *const *bridge)
{
	uint8_t in[GUEST_DATA], out[GUEST_DATA];
	unsigned int number;

	fill(out, 55);
	expect_status(guest_do(guest, 0, VIRTIO_BLK_T_OUT, 1600, out, NULL, GUEST_DATA), 0, "write");
	daemon_kill();
	/* QEMU shall have seen it. */
	sleep_ms(200);
	number = guest_free_slot(guest, 1);
	guest_submit(guest, 1, number, VIRTIO_BLK_T_IN, 1600, GUEST_DATA);
	guest->transport->kick(guest, 1);
	sleep_ms(100);
	if (guest_answered(guest, 1) != GUEST_NO_SLOT)
		fail("a request was answered while no bridge ran");
	daemon_start(bridge);
	guest_wait(guest, 1);
	memcpy(in, guest_slot(guest, 1, number)->data, GUEST_DATA);
	expect_status(guest_slot(guest, 1, number)->status, 0, "read");
	if (memcmp(out, in, GUEST_DATA))
		fail("what was read after the restart is not what was written before");
	passed("killed and started again, the bridge has the request answered that was made meanwhile");
}

void cases_resize(struct guest *guest, const char *command, unsigned long long sectors)
{
	long long end = now_ms() + GUEST_PATIENCE_MS;
	struct virtio_blk_config config;

	if (system(command))
		fail("'%s' failed", command);
	do {
		if (now_ms() > end)
			fail("the capacity is still %llu sectors", (unsigned long long)config.capacity);
		sleep_ms(20);
		guest->transport->config(guest, &config);
	} while (config.capacity != sectors);
	passed("the disk grew, and the guest sees %llu sectors", sectors);
}
