// SPDX-License-Identifier: GPL-2.0-only
#include "guest.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "report.h"

/* Below lies what a firmware may use; the rings, a piece for each queue, and the slots follow. */
#define RINGS_AT (1u << 20)
#define RINGS_BYTES (64u << 10)
#define SLOTS_AT (4u << 20)

void guest_open(struct guest *guest, const char *path)
{
	memset(guest, 0, sizeof(*guest));
	guest->memory_fd = path ? open(path, O_RDWR | O_CLOEXEC) : memfd_create("guest", MFD_CLOEXEC);
	if (guest->memory_fd < 0 || (!path && ftruncate(guest->memory_fd, GUEST_BYTES)))
		fail_errno("the guest's memory");
	guest->memory = mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, guest->memory_fd, 0);
	if (guest->memory == MAP_FAILED)
		fail_errno("the guest's memory can not be mapped");
	guest_clear_queues(guest);
}

void guest_clear_queues(struct guest *guest)
{
	memset(guest->memory + RINGS_AT, 0, GUEST_QUEUES * RINGS_BYTES);
	for (unsigned int i = 0; i < GUEST_QUEUES; i++) {
		uint64_t at = RINGS_AT + i * RINGS_BYTES;

		guest->queue[i] = (struct queue){ .desc = at, .avail = at + 0x4000, .used = at + 0x8000 };
	}
}

static struct vring_desc *desc_of(struct guest *guest, unsigned int index)
{
	return (void *)(guest->memory + guest->queue[index].desc);
}

static struct vring_avail *avail_of(struct guest *guest, unsigned int index)
{
	return (void *)(guest->memory + guest->queue[index].avail);
}

static struct vring_used *used_of(struct guest *guest, unsigned int index)
{
	return (void *)(guest->memory + guest->queue[index].used);
}

struct place *guest_slot(struct guest *guest, unsigned int index, unsigned int slot)
{
	return (struct place *)(guest->memory + SLOTS_AT) + index * GUEST_SLOTS + slot;
}

unsigned int guest_free_slot(const struct guest *guest, unsigned int index)
{
	for (unsigned int i = 0; i < GUEST_SLOTS; i++)
		if (!guest->queue[index].in_flight[i])
			return i;
	return GUEST_NO_SLOT;
}

static uint64_t address_of(const struct guest *guest, const void *at)
{
	return (uint64_t)((const char *)at - guest->memory);
}

static void wrote(struct guest *guest, const void *at, size_t bytes)
{
	if (guest->transport->wrote)
		guest->transport->wrote(guest, at, bytes);
}

void guest_submit(struct guest *guest, unsigned int index, unsigned int number, uint32_t type, uint64_t sector,
		  unsigned int bytes)
{
	struct vring_desc *desc = desc_of(guest, index) + 3 * number;
	struct vring_avail *avail = avail_of(guest, index);
	struct place *slot = guest_slot(guest, index, number);
	struct queue *queue = &guest->queue[index];
	bool in = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
	uint16_t head = 3 * number, last = bytes ? head + 2 : head + 1;

	slot->header = (struct virtio_blk_outhdr){ .type = type, .sector = sector };
	slot->status = 0xff;
	desc[0] = (struct vring_desc){ address_of(guest, &slot->header), sizeof(slot->header), VRING_DESC_F_NEXT, head + 1 };
	if (bytes)
		desc[1] = (struct vring_desc){ address_of(guest, slot->data), bytes,
					       VRING_DESC_F_NEXT | (in ? VRING_DESC_F_WRITE : 0), last };
	desc[last - head] = (struct vring_desc){ address_of(guest, &slot->status), 1, VRING_DESC_F_WRITE, 0 };
	wrote(guest, desc, 3 * sizeof(*desc));
	wrote(guest, slot, sizeof(*slot));
	avail->ring[avail->idx % GUEST_ENTRIES] = head;
	__atomic_store_n(&avail->idx, (uint16_t)(avail->idx + 1), __ATOMIC_SEQ_CST);
	wrote(guest, avail, sizeof(*avail));
	queue->in_flight[number] = true;
	queue->nr_in_flight++;
}

unsigned int guest_answered(struct guest *guest, unsigned int index)
{
	struct vring_used *used = used_of(guest, index);
	struct queue *queue = &guest->queue[index];
	uint16_t idx = __atomic_load_n(&used->idx, __ATOMIC_ACQUIRE);
	unsigned int number;

	if (idx == queue->taken)
		return GUEST_NO_SLOT;
	if ((uint16_t)(idx - queue->taken) > queue->nr_in_flight)
		fail("queue %u: %u answers, and %u requests are in flight", index, (uint16_t)(idx - queue->taken),
		     queue->nr_in_flight);
	number = used->ring[queue->taken % GUEST_ENTRIES].id / 3;
	if (number >= GUEST_SLOTS || !queue->in_flight[number])
		fail("queue %u: an answer to request %u, which is not in flight", index, number);
	/* Events for the next answer. */
	queue->taken++;
	*(volatile uint16_t *)&avail_of(guest, index)->ring[GUEST_ENTRIES] = queue->taken;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	wrote(guest, avail_of(guest, index), sizeof(struct vring_avail));
	queue->in_flight[number] = false;
	queue->nr_in_flight--;
	queue->completed++;
	return number;
}

unsigned int guest_wait(struct guest *guest, unsigned int index)
{
	long long end = now_ms() + GUEST_PATIENCE_MS;
	unsigned int number;

	while ((number = guest_answered(guest, index)) == GUEST_NO_SLOT) {
		while (!guest->transport->wait(guest, index))
			if (now_ms() > end)
				fail("queue %u: nothing was answered for %d s, %u in flight, used index %u, %u seen", index,
				     GUEST_PATIENCE_MS / 1000, guest->queue[index].nr_in_flight,
				     used_of(guest, index)->idx, guest->queue[index].taken);
		if (now_ms() > end)
			fail("queue %u: told of answers that are not there", index);
	}
	return number;
}

uint8_t guest_do(struct guest *guest, unsigned int index, uint32_t type, uint64_t sector, const void *out, void *in,
		 unsigned int bytes)
{
	unsigned int number = guest_free_slot(guest, index);
	struct place *slot = guest_slot(guest, index, number);

	if (out)
		memcpy(slot->data, out, bytes);
	else
		memset(slot->data, 0xee, sizeof(slot->data));
	guest_submit(guest, index, number, type, sector, bytes);
	guest->transport->kick(guest, index);
	guest_wait(guest, index);
	if (in)
		memcpy(in, slot->data, bytes);
	return slot->status;
}
