/* SPDX-License-Identifier: GPL-2.0-only */
/* The device as QEMU has it, reached over its qtest socket: a vhost-user-blk-pci, driven as a guest's processor would. */
#ifndef QTEST_H
#define QTEST_H

#include "guest.h"

/* Where the test puts the device: -device vhost-user-blk-pci,addr=QTEST_SLOT on the root bus. */
#define QTEST_SLOT 4

struct qtest {
	int fd;
	/* Addresses of the modern interface (virtio 1.3, 4.1.4). */
	uint64_t common, notify, isr, device;
	uint32_t notify_step;
	uint16_t notify_at[GUEST_QUEUES];
	/* QEMU is told which memory the program writes, as it knows of a processor. */
	bool tells_writes;
};

/* Waits for QEMU to listen at @socket, finds the device and starts it with the guest's queues. */
void qtest_open(struct guest *guest, struct qtest *qtest, const char *socket);

/* As qtest_open(), of a device that was migrated from that of @before: it runs already. */
void qtest_follow(struct qtest *qtest, const struct qtest *before, const char *socket);

#endif
