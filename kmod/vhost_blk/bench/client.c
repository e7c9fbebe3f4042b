// SPDX-License-Identifier: GPL-2.0-only
#include "client.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_scsi.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

#define CHAIN 3u
#define TABLE_BYTES (CHAIN * sizeof(struct vring_desc))
/* Header and answer of a request, each on cache lines of its own. */
#define HEADER_ROOM 64u
#define ANSWER_ROOM 192u
#define NO_ANSWER 0xff
#define SECTORS_PER_BLOCK (BLOCK_BYTES / 512u)
#define SCSI_READ_10 0x28
#define SCSI_WRITE_10 0x2a
#define LOOKS_PER_CLOCK 16u

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

static unsigned stride_of(const struct job *job)
{
	return job->direct ? CHAIN : 1;
}

unsigned client_ring_num(const struct job *job)
{
	unsigned num = 16;

	while (num < job->depth * stride_of(job))
		num *= 2;
	return num;
}

static void write_desc(struct vring_desc *desc, uint64_t gpa, uint32_t len, uint16_t flags, unsigned next)
{
	desc->addr = htole64(gpa);
	desc->len = htole32(len);
	desc->flags = htole16(flags);
	desc->next = htole16((uint16_t)next);
}

/* Header, then what the device reads, then what it writes: data before a block's status, behind a SCSI response. */
static void write_chain(const struct client *client, const struct job *job, struct vring_desc *desc, unsigned first,
			uint64_t header, uint64_t data)
{
	bool scsi = client->kind == CLIENT_SCSI;
	unsigned answer_at = scsi && !job->write ? 1 : 2, data_at = 3 - answer_at;
	uint32_t answer_bytes = scsi ? sizeof(struct virtio_scsi_cmd_resp) : 1;
	uint16_t next[CHAIN] = { VRING_DESC_F_NEXT, VRING_DESC_F_NEXT, 0 };

	write_desc(desc, header, scsi ? sizeof(struct virtio_scsi_cmd_req) : sizeof(struct virtio_blk_outhdr), next[0],
		   first + 1);
	write_desc(desc + data_at, data, BLOCK_BYTES, next[data_at] | (job->write ? 0 : VRING_DESC_F_WRITE),
		   first + data_at + 1);
	write_desc(desc + answer_at, header + HEADER_ROOM, answer_bytes, next[answer_at] | VRING_DESC_F_WRITE,
		   first + answer_at + 1);
}

static void write_header(const struct client *client, const struct job *job, char *header)
{
	if (client->kind == CLIENT_SCSI) {
		struct virtio_scsi_cmd_req request = { .lun = { 1, 1, 0x40, 0 } };

		request.cdb[0] = job->write ? SCSI_WRITE_10 : SCSI_READ_10;
		request.cdb[8] = SECTORS_PER_BLOCK;
		memcpy(header, &request, sizeof(request));
	} else {
		struct virtio_blk_outhdr request = {
			.type = htole32(job->write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN),
		};

		memcpy(header, &request, sizeof(request));
	}
}

void client_create(struct client *client, enum client_kind kind, const struct job *job, struct memory *memory,
		   struct ring *ring)
{
	client->ring = ring;
	client->kind = kind;
	client->no_event_idx = job->no_event_idx;
	client->halt_poll_us = job->halt_poll_us;
	client->stride = stride_of(job);
	for (unsigned i = 0; i < job->depth; i++) {
		uint64_t header = memory_ring(memory, HEADER_ROOM + ANSWER_ROOM, 64);
		uint64_t data = memory_data(memory, BLOCK_BYTES, BLOCK_BYTES);
		struct client_slot *slot = &client->slot[i];

		memset(memory_at(memory, data, BLOCK_BYTES), (int)i, BLOCK_BYTES);
		slot->header = memory_at(memory, header, HEADER_ROOM);
		slot->answer = memory_at(memory, header + HEADER_ROOM, ANSWER_ROOM);
		write_header(client, job, slot->header);
		if (job->direct) {
			write_chain(client, job, &ring->desc[i * CHAIN], i * CHAIN, header, data);
		} else {
			uint64_t table = memory_ring(memory, TABLE_BYTES, 64);

			write_chain(client, job, memory_at(memory, table, TABLE_BYTES), 0, header, data);
			write_desc(&ring->desc[i], table, TABLE_BYTES, VRING_DESC_F_INDIRECT, 0);
		}
	}
}

static void aim(const struct client *client, const struct client_slot *slot, uint64_t block)
{
	uint64_t sector = block * SECTORS_PER_BLOCK;

	if (client->kind == CLIENT_SCSI) {
		struct virtio_scsi_cmd_req *request = (void *)slot->header;
		struct virtio_scsi_cmd_resp *response = (void *)slot->answer;
		uint32_t address = htobe32((uint32_t)sector);

		memcpy(&request->cdb[2], &address, sizeof(address));
		response->status = response->response = NO_ANSWER;
	} else {
		struct virtio_blk_outhdr *request = (void *)slot->header;

		request->sector = htole64(sector);
		*slot->answer = (char)NO_ANSWER;
	}
}

static void make_available(struct client *client, struct lane *lane, unsigned i)
{
	struct ring *ring = client->ring;

	aim(client, &client->slot[i], lane_next_block(lane));
	ring->avail->ring[ring->avail_idx & (ring->num - 1)] = htole16((uint16_t)(i * client->stride));
	ring->avail_idx++;
}

static void publish(struct ring *ring)
{
	ring_publish(ring, ring->avail_idx);
	ring_kick(ring);
}

static void expect_success(const struct client *client, const struct client_slot *slot)
{
	const struct virtio_scsi_cmd_resp *response = (const void *)slot->answer;

	if (client->kind == CLIENT_BLK && *slot->answer)
		fail("queue %u: expected status 0, saw %#x", client->ring->index, (unsigned char)*slot->answer);
	if (client->kind == CLIENT_SCSI && (response->status || response->response))
		fail("queue %u: expected response and status 0, saw %#x and %#x", client->ring->index,
		     response->response, response->status);
}

/* Takes everything that is used; with @again it is made available anew. */
static unsigned reap(struct client *client, struct lane *lane, bool again)
{
	struct ring *ring = client->ring;
	uint16_t used_idx = ring_used_idx(ring);
	unsigned count = 0;

	for (; ring->last_used != used_idx; ring->last_used++, count++) {
		unsigned i = le32toh(ring->used->ring[ring->last_used & (ring->num - 1)].id) / client->stride;

		if (i >= lane->job->depth)
			fail("queue %u: expected a head in flight, saw another", ring->index);
		expect_success(client, &client->slot[i]);
		if (again)
			make_available(client, lane, i);
	}
	return count;
}

/* Looks for an answer for a while, as a host does for a virtual CPU that halts. Returns whether there is one. */
static bool halt_poll(const struct client *client)
{
	const struct ring *ring = client->ring;
	uint64_t end;

	if (!client->halt_poll_us)
		return false;
	end = now_ns() + client->halt_poll_us * 1000ull;
	do {
		for (unsigned i = 0; i < LOOKS_PER_CLOCK; i++) {
			if (ring_used_idx(ring) != ring->last_used)
				return true;
			relax();
		}
	} while (now_ns() < end);
	return false;
}

/* Asks for a signal and sleeps until one comes, unless something is used already. */
static void wait_used(struct client *client)
{
	struct ring *ring = client->ring;
	uint64_t count;

	for (;;) {
		if (client->no_event_idx)
			__atomic_store_n(&ring->avail->flags, 0, __ATOMIC_RELAXED);
		else
			__atomic_store_n(&ring->avail->ring[ring->num], htole16(ring->last_used), __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (ring_used_idx(ring) != ring->last_used || halt_poll(client))
			break;
		if (read(ring->call, &count, sizeof(count)) < 0 && errno != EINTR)
			fail_errno("can not read an eventfd");
		ring->signals++;
	}
	if (client->no_event_idx)
		__atomic_store_n(&ring->avail->flags, htole16(VRING_AVAIL_F_NO_INTERRUPT), __ATOMIC_RELAXED);
}

void client_run(struct client *client, struct lane *lane)
{
	struct ring *ring = client->ring;
	unsigned in_flight = lane->job->depth;

	/* Unlike the check's driver this one sleeps in read(), also when a device that shares the eventfd does not. */
	if (fcntl(ring->call, F_SETFL, 0))
		fail_errno("fcntl");
	for (unsigned i = 0; i < lane->job->depth; i++)
		make_available(client, lane, i);
	publish(ring);
	while (!lane_stopped(lane)) {
		wait_used(client);
		lane_count(lane, reap(client, lane, true));
		publish(ring);
	}
	while (in_flight) {
		wait_used(client);
		in_flight -= reap(client, lane, false);
	}
	lane->kicks = ring->kicks;
	lane->signals = ring->signals;
}
