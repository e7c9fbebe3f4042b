// SPDX-License-Identifier: GPL-2.0-only
#include "storm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon.h"
#include "report.h"

#define BLOCKS 512u
#define NOWHERE BLOCKS
#define DEPTH 16u

/* What was last written to a block, 0: nothing by us; and whether a request for it is in flight. */
static uint64_t content[BLOCKS];
static bool busy[BLOCKS];
/* What is in flight. */
static struct { unsigned int block; bool write; } flight[GUEST_QUEUES][GUEST_SLOTS];
static uint64_t sequence;
static unsigned long long writes, reads;

/* Each sector says which write it is of, and where it belongs. */
static void stamp(uint8_t *data, unsigned int block, uint64_t number)
{
	uint64_t *words = (uint64_t *)data;

	for (unsigned int i = 0; i < GUEST_DATA / sizeof(*words); i++)
		words[i] = number << 20 | block << 10 | i;
}

static void check(const uint8_t *data, unsigned int block)
{
	static uint8_t expected[GUEST_DATA] __attribute__((aligned(8)));

	if (!content[block])
		return;
	stamp(expected, block, content[block]);
	if (memcmp(data, expected, GUEST_DATA))
		fail("block %u: expected write %llu, saw %llu", block, (unsigned long long)content[block],
		     (unsigned long long)(*(const uint64_t *)data >> 20));
}

static void submit(struct guest *guest, unsigned int index, unsigned int block, bool write)
{
	unsigned int number = guest_free_slot(guest, index);
	struct place *slot = guest_slot(guest, index, number);

	busy[block] = true;
	flight[index][number].block = block;
	flight[index][number].write = write;
	if (write) {
		content[block] = ++sequence;
		stamp(slot->data, block, content[block]);
		writes++;
	} else {
		memset(slot->data, 0xee, GUEST_DATA);
		reads++;
	}
	guest_submit(guest, index, number, write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, block * GUEST_SECTORS, GUEST_DATA);
}

static void finish(struct guest *guest, unsigned int index, unsigned int number)
{
	struct place *slot = guest_slot(guest, index, number);
	unsigned int block = flight[index][number].block;

	if (slot->status != VIRTIO_BLK_S_OK)
		fail("block %u: status %u", block, slot->status);
	if (flight[index][number].write)
		/* If it were written again, this is what it would find. */
		memset(slot->data, 0xdd, GUEST_DATA);
	else
		check(slot->data, block);
	busy[block] = false;
}

static unsigned int take_all(struct guest *guest, unsigned int index)
{
	unsigned int number, taken = 0;

	for (; (number = guest_answered(guest, index)) != GUEST_NO_SLOT; taken++)
		finish(guest, index, number);
	return taken;
}

static void fill(struct guest *guest, unsigned int index)
{
	while (guest->queue[index].nr_in_flight < DEPTH) {
		unsigned int block = rand() % BLOCKS;

		if (!busy[block])
			submit(guest, index, block, rand() % 4);
	}
	guest->transport->kick(guest, index);
}

static void drain(struct guest *guest)
{
	for (unsigned int i = 0; i < GUEST_QUEUES; i++)
		while (guest->queue[i].nr_in_flight)
			finish(guest, i, guest_wait(guest, i));
}

/* Writes that have reached the disk: those that were merged are counted apart. */
static unsigned long long writes_of(const char *disk)
{
	unsigned long long field[7] = { 0 };
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/block/%s/stat", disk);
	file = fopen(path, "re");
	if (!file)
		fail_errno("%s", path);
	for (unsigned int i = 0; i < 7; i++)
		if (fscanf(file, "%llu", &field[i]) != 1)
			fail("%s can not be read", path);
	fclose(file);
	return field[4] + field[5];
}

void storm(struct guest *guest, const char *disk, unsigned int kills, char *const *bridge, unsigned int pace_ms)
{
	unsigned long long before = disk ? writes_of(disk) : 0, caught = 0, arrived;

	writes = reads = 0;
	for (unsigned int kill = 0; kill < kills; kill++) {
		long long end = now_ms() + rand() % pace_ms, patience = now_ms() + GUEST_PATIENCE_MS;
		unsigned int taken = 0;

		/* At least something is answered between two. */
		while (now_ms() < end || taken < DEPTH) {
			for (unsigned int i = 0; i < GUEST_QUEUES; i++) {
				fill(guest, i);
				taken += take_all(guest, i);
			}
			if (taken < DEPTH) {
				guest->transport->wait(guest, kill % GUEST_QUEUES);
				if (now_ms() > patience)
					fail("after %u kills nothing is answered any more", kill);
			}
		}
		for (unsigned int i = 0; i < GUEST_QUEUES; i++)
			fill(guest, i);
		for (unsigned int i = 0; i < GUEST_QUEUES; i++)
			caught += guest->queue[i].nr_in_flight;
		daemon_kill();
		daemon_start(bridge);
	}
	drain(guest);
	for (unsigned int block = 0; block < BLOCKS; block++) {
		submit(guest, block % GUEST_QUEUES, block, false);
		guest->transport->kick(guest, block % GUEST_QUEUES);
		finish(guest, block % GUEST_QUEUES, guest_wait(guest, block % GUEST_QUEUES));
	}
	arrived = disk ? writes_of(disk) - before : writes;
	if (arrived != writes)
		fail("%llu writes of the guest, and %llu reached the disk", writes, arrived);
	passed("%u kills: %llu writes, %llu reached the disk, %llu reads as the model has it, %llu were in flight at a kill",
	       kills, writes, arrived, reads, caught);
}
