/* SPDX-License-Identifier: GPL-2.0-only */
/* A driver of virtio-blk in a program: requests and split rings in memory that the device sees, too. */
#ifndef GUEST_H
#define GUEST_H

#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUEST_BYTES (32u << 20)
#define GUEST_QUEUES 2
#define GUEST_ENTRIES 128
/* Requests of a queue that may be in flight, three descriptors each. */
#define GUEST_SLOTS 32
#define GUEST_DATA 4096u
#define GUEST_SECTORS (GUEST_DATA / 512)
#define GUEST_NO_SLOT GUEST_SLOTS

/* Time that anything may take, on a machine with much else to do. */
#define GUEST_PATIENCE_MS 60000

struct place {
	struct virtio_blk_outhdr header;
	uint8_t status;
	uint8_t data[GUEST_DATA] __attribute__((aligned(4096)));
};

struct queue {
	/* Offset in the memory, which is the guest physical address. */
	uint64_t desc, avail, used;
	uint16_t taken;
	bool in_flight[GUEST_SLOTS];
	unsigned int nr_in_flight;
	unsigned long long completed;
};

struct guest;

/* How the device is reached. */
struct transport {
	/* Tells it of new requests; does nothing while nobody is there. */
	void (*kick)(struct guest *guest, unsigned int index);
	/* Waits for a while, and keeps the device connected. Return: whether it has told of a completion, or may have. */
	bool (*wait)(struct guest *guest, unsigned int index);
	/* Resets the device, and has it start with the guest's queues. */
	void (*restart)(struct guest *guest);
	/* Whether the device has told of a completion since last asked. */
	bool (*interrupted)(struct guest *guest, unsigned int index);
	/* Reads the configuration space. */
	void (*config)(struct guest *guest, struct virtio_blk_config *config);
	/* Does what the transport has to when the bridge may have died. */
	void (*look)(struct guest *guest);
	/* Memory that the program has written, for who has to be told; NULL: nobody. */
	void (*wrote)(struct guest *guest, const void *at, size_t bytes);
};

struct guest {
	char *memory;
	int memory_fd;
	struct queue queue[GUEST_QUEUES];
	uint64_t features;
	const struct transport *transport;
	void *own;
};

/* Maps the file of the guest's memory (made when @path is NULL). */
void guest_open(struct guest *guest, const char *path);

/* Empties the rings, as a driver does before it starts the device. */
void guest_clear_queues(struct guest *guest);

struct place *guest_slot(struct guest *guest, unsigned int index, unsigned int slot);

/* A slot that is not in flight; GUEST_NO_SLOT: there is none. */
unsigned int guest_free_slot(const struct guest *guest, unsigned int index);

/* Makes a request available. @bytes: of data; IN and GET_ID have the device write it. Does not kick. */
void guest_submit(struct guest *guest, unsigned int index, unsigned int slot, uint32_t type, uint64_t sector,
		  unsigned int bytes);

/* The next slot that the device has answered; GUEST_NO_SLOT: none. An answer that nobody waits for fails the program. */
unsigned int guest_answered(struct guest *guest, unsigned int index);

/* As guest_answered(), and waits for it. */
unsigned int guest_wait(struct guest *guest, unsigned int index);

/* Submits, kicks, waits. Return: the status. */
uint8_t guest_do(struct guest *guest, unsigned int index, uint32_t type, uint64_t sector, const void *out, void *in,
		 unsigned int bytes);

#endif
