// SPDX-License-Identifier: GPL-2.0-only
#include "qtest.h"

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "report.h"

#define BIT(n) (1ull << (n))
/* PCI IDs: of a device that also speaks to older drivers, and of one that does not. */
#define OLDER_ID 0x10011af4u
#define MODERN_ID 0x10421af4u
/* In the window of 32-bit PCI memory. */
#define BAR_AT 0xe0000000u
#define BARS 6
#define WAIT_MS 1

static uint64_t command(struct qtest *qtest, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sends a line and reads the answer "OK" or "OK VALUE"; lines about interrupts in between are passed over. */
static uint64_t command(struct qtest *qtest, const char *format, ...)
{
	char line[160];
	va_list arguments;
	size_t length;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line) - 1, format, arguments);
	va_end(arguments);
	strcat(line, "\n");
	if (send(qtest->fd, line, strlen(line), MSG_NOSIGNAL) != (ssize_t)strlen(line))
		fail_errno("QEMU is gone");
	do {
		for (length = 0; length < sizeof(line) - 1; length++) {
			if (recv(qtest->fd, line + length, 1, 0) != 1)
				fail("QEMU has ended");
			if (line[length] == '\n')
				break;
		}
		line[length] = '\0';
	} while (!strncmp(line, "IRQ", 3));
	if (strncmp(line, "OK", 2))
		fail("QEMU: %s", line);
	return line[2] ? strtoull(line + 3, NULL, 0) : 0;
}

static void select_register(struct qtest *qtest, unsigned int at)
{
	command(qtest, "outl 0xcf8 %#x", 0x80000000u | QTEST_SLOT << 11 | (at & 0xfc));
}

static uint32_t pci_read(struct qtest *qtest, unsigned int at)
{
	select_register(qtest, at);
	return command(qtest, "inl 0xcfc") >> 8 * (at & 3);
}

static void pci_write(struct qtest *qtest, unsigned int at, uint32_t value)
{
	select_register(qtest, at);
	command(qtest, "outl 0xcfc %#x", value);
}

static void place_bars(struct qtest *qtest)
{
	uint32_t at = BAR_AT;

	for (unsigned int i = 0; i < BARS; i++) {
		unsigned int bar = PCI_BASE_ADDRESS_0 + 4 * i;
		uint32_t size;

		pci_write(qtest, bar, UINT32_MAX);
		size = pci_read(qtest, bar);
		if (!size || size & PCI_BASE_ADDRESS_SPACE_IO)
			continue;
		size = ~(size & PCI_BASE_ADDRESS_MEM_MASK) + 1;
		at = (at + size - 1) & ~(size - 1);
		pci_write(qtest, bar, at);
		if ((pci_read(qtest, bar) & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64)
			pci_write(qtest, PCI_BASE_ADDRESS_0 + 4 * ++i, 0);
		at += size;
	}
	pci_write(qtest, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static uint64_t place_of(struct qtest *qtest, unsigned int cap)
{
	unsigned int bar = pci_read(qtest, cap + offsetof(struct virtio_pci_cap, bar)) & 0xff;

	return (pci_read(qtest, PCI_BASE_ADDRESS_0 + 4 * bar) & PCI_BASE_ADDRESS_MEM_MASK) +
	       pci_read(qtest, cap + offsetof(struct virtio_pci_cap, offset));
}

static void find_interface(struct qtest *qtest)
{
	unsigned int cap = pci_read(qtest, PCI_CAPABILITY_LIST) & 0xfc;
	uint32_t id = pci_read(qtest, PCI_VENDOR_ID);

	if (id != OLDER_ID && id != MODERN_ID)
		fail("there is no virtio-blk device in slot %u: %#x", QTEST_SLOT, id);
	place_bars(qtest);
	for (; cap; cap = pci_read(qtest, cap) >> 8 & 0xfc) {
		if ((pci_read(qtest, cap) & 0xff) != PCI_CAP_ID_VNDR)
			continue;
		switch (pci_read(qtest, cap) >> 24) {
		case VIRTIO_PCI_CAP_COMMON_CFG:
			qtest->common = place_of(qtest, cap);
			break;
		case VIRTIO_PCI_CAP_NOTIFY_CFG:
			qtest->notify = place_of(qtest, cap);
			qtest->notify_step = pci_read(qtest, cap + sizeof(struct virtio_pci_cap));
			break;
		case VIRTIO_PCI_CAP_ISR_CFG:
			qtest->isr = place_of(qtest, cap);
			break;
		case VIRTIO_PCI_CAP_DEVICE_CFG:
			qtest->device = place_of(qtest, cap);
			break;
		}
	}
	if (!qtest->common || !qtest->notify || !qtest->isr || !qtest->device)
		fail("the device lacks a part of the modern interface");
}

static void write32(struct qtest *qtest, unsigned int at, uint32_t value)
{
	command(qtest, "writel %#llx %#x", (unsigned long long)qtest->common + at, value);
}

static void write16(struct qtest *qtest, unsigned int at, uint16_t value)
{
	command(qtest, "writew %#llx %#x", (unsigned long long)qtest->common + at, value);
}

static uint16_t read16(struct qtest *qtest, unsigned int at)
{
	return command(qtest, "readw %#llx", (unsigned long long)qtest->common + at);
}

static void write_status(struct qtest *qtest, uint8_t status)
{
	command(qtest, "writeb %#llx %#x", (unsigned long long)qtest->common + VIRTIO_PCI_COMMON_STATUS, status);
}

static uint8_t read_status(struct qtest *qtest)
{
	return command(qtest, "readb %#llx", (unsigned long long)qtest->common + VIRTIO_PCI_COMMON_STATUS);
}

static uint64_t read_features(struct qtest *qtest)
{
	uint64_t low, high;

	write32(qtest, VIRTIO_PCI_COMMON_DFSELECT, 0);
	low = command(qtest, "readl %#llx", (unsigned long long)qtest->common + VIRTIO_PCI_COMMON_DF);
	write32(qtest, VIRTIO_PCI_COMMON_DFSELECT, 1);
	high = command(qtest, "readl %#llx", (unsigned long long)qtest->common + VIRTIO_PCI_COMMON_DF);
	return high << 32 | low;
}

static void write_features(struct qtest *qtest, uint64_t features)
{
	for (unsigned int i = 0; i < 2; i++) {
		write32(qtest, VIRTIO_PCI_COMMON_GFSELECT, i);
		write32(qtest, VIRTIO_PCI_COMMON_GF, (uint32_t)(features >> 32 * i));
	}
}

static void write_address(struct qtest *qtest, unsigned int at, uint64_t address)
{
	write32(qtest, at, (uint32_t)address);
	write32(qtest, at + 4, (uint32_t)(address >> 32));
}

/* As a driver does it (virtio 1.3, 3.1.1). */
static void start(struct guest *guest)
{
	struct qtest *qtest = guest->own;
	uint64_t wanted = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_RING_F_INDIRECT_DESC) |
			  BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_MQ) | BIT(VIRTIO_BLK_F_DISCARD) |
			  BIT(VIRTIO_BLK_F_WRITE_ZEROES) | BIT(VIRTIO_BLK_F_CONFIG_WCE);

	write_status(qtest, 0);
	if (read_status(qtest))
		fail("the device is not reset");
	write_status(qtest, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	guest->features = read_features(qtest) & wanted;
	write_features(qtest, guest->features);
	write_status(qtest, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK);
	if (!(read_status(qtest) & VIRTIO_CONFIG_S_FEATURES_OK))
		fail("the device refuses features %#llx", (unsigned long long)guest->features);
	for (unsigned int i = 0; i < GUEST_QUEUES; i++) {
		struct queue *queue = &guest->queue[i];

		write16(qtest, VIRTIO_PCI_COMMON_Q_SELECT, i);
		if (read16(qtest, VIRTIO_PCI_COMMON_Q_SIZE) < GUEST_ENTRIES)
			fail("queue %u has %u entries", i, read16(qtest, VIRTIO_PCI_COMMON_Q_SIZE));
		write16(qtest, VIRTIO_PCI_COMMON_Q_SIZE, GUEST_ENTRIES);
		write_address(qtest, VIRTIO_PCI_COMMON_Q_DESCLO, queue->desc);
		write_address(qtest, VIRTIO_PCI_COMMON_Q_AVAILLO, queue->avail);
		write_address(qtest, VIRTIO_PCI_COMMON_Q_USEDLO, queue->used);
		qtest->notify_at[i] = read16(qtest, VIRTIO_PCI_COMMON_Q_NOFF);
		write16(qtest, VIRTIO_PCI_COMMON_Q_ENABLE, 1);
	}
	write_status(qtest, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK |
			    VIRTIO_CONFIG_S_DRIVER_OK);
}

static void kick(struct guest *guest, unsigned int index)
{
	struct qtest *qtest = guest->own;

	command(qtest, "writew %#llx %#x",
		(unsigned long long)qtest->notify + (uint64_t)qtest->notify_step * qtest->notify_at[index], index);
}

/* The rings are looked at without waiting for an interrupt, which may be for either queue. */
static bool wait_for(struct guest *guest, unsigned int index)
{
	(void)guest;
	(void)index;
	sleep_ms(WAIT_MS);
	return true;
}

static bool interrupted(struct guest *guest, unsigned int index)
{
	struct qtest *qtest = guest->own;

	(void)index;
	/* Reading takes it back. */
	return command(qtest, "readb %#llx", (unsigned long long)qtest->isr) & 1;
}

static void restart(struct guest *guest)
{
	write_status(guest->own, 0);
	guest_clear_queues(guest);
	start(guest);
}

static void read_config(struct guest *guest, struct virtio_blk_config *config)
{
	struct qtest *qtest = guest->own;

	for (unsigned int i = 0; i < sizeof(*config); i++)
		((uint8_t *)config)[i] = command(qtest, "readb %#llx", (unsigned long long)qtest->device + i);
}

static void look(struct guest *guest)
{
	(void)guest;
}

/* What is written over the memory's file QEMU does not see: it is written again, by QEMU itself. */
static void wrote(struct guest *guest, const void *at, size_t bytes)
{
	struct qtest *qtest = guest->own;
	size_t from = (size_t)((const char *)at - guest->memory);

	for (size_t page = from & ~4095ul; qtest->tells_writes && page < from + bytes; page += 4096) {
		size_t byte = page < from ? from : page;

		command(qtest, "writeb %#zx %#x", byte, (uint8_t)guest->memory[byte]);
	}
}

static const struct transport transport = { kick, wait_for, restart, interrupted, read_config, look, wrote };

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	long long end = now_ms() + GUEST_PATIENCE_MS;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	while (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		if (now_ms() > end)
			fail_errno("QEMU does not listen at %s", path);
		sleep_ms(20);
	}
	return fd;
}

void qtest_open(struct guest *guest, struct qtest *qtest, const char *socket_path)
{
	memset(qtest, 0, sizeof(*qtest));
	qtest->fd = connect_to(socket_path);
	guest->transport = &transport;
	guest->own = qtest;
	find_interface(qtest);
	start(guest);
}

void qtest_follow(struct qtest *qtest, const struct qtest *before, const char *socket_path)
{
	*qtest = *before;
	qtest->fd = connect_to(socket_path);
	qtest->tells_writes = false;
}
