// SPDX-License-Identifier: GPL-2.0-only
#include "features.h"

#include <linux/vhost.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "guest.h"
#include "report.h"

/* Bits of the specification that older headers do not name. */
enum { RING_PACKED = 34, IN_ORDER = 35, RING_RESET = 40, SECURE_ERASE = 16 };

static const struct {
	unsigned bit;
	const char *name;
} names[] = {
	{ VIRTIO_BLK_F_SIZE_MAX, "VIRTIO_BLK_F_SIZE_MAX" },
	{ VIRTIO_BLK_F_SEG_MAX, "VIRTIO_BLK_F_SEG_MAX" },
	{ VIRTIO_BLK_F_RO, "VIRTIO_BLK_F_RO" },
	{ VIRTIO_BLK_F_BLK_SIZE, "VIRTIO_BLK_F_BLK_SIZE" },
	{ VIRTIO_BLK_F_FLUSH, "VIRTIO_BLK_F_FLUSH" },
	{ VIRTIO_BLK_F_TOPOLOGY, "VIRTIO_BLK_F_TOPOLOGY" },
	{ VIRTIO_BLK_F_CONFIG_WCE, "VIRTIO_BLK_F_CONFIG_WCE" },
	{ VIRTIO_BLK_F_MQ, "VIRTIO_BLK_F_MQ" },
	{ VIRTIO_BLK_F_DISCARD, "VIRTIO_BLK_F_DISCARD" },
	{ VIRTIO_BLK_F_WRITE_ZEROES, "VIRTIO_BLK_F_WRITE_ZEROES" },
	{ SECURE_ERASE, "VIRTIO_BLK_F_SECURE_ERASE" },
	{ VIRTIO_F_NOTIFY_ON_EMPTY, "VIRTIO_F_NOTIFY_ON_EMPTY" },
	{ VHOST_F_LOG_ALL, "VHOST_F_LOG_ALL" },
	{ VIRTIO_F_ANY_LAYOUT, "VIRTIO_F_ANY_LAYOUT" },
	{ VIRTIO_RING_F_INDIRECT_DESC, "VIRTIO_RING_F_INDIRECT_DESC" },
	{ VIRTIO_RING_F_EVENT_IDX, "VIRTIO_RING_F_EVENT_IDX" },
	{ VIRTIO_F_VERSION_1, "VIRTIO_F_VERSION_1" },
	{ 33, "VIRTIO_F_ACCESS_PLATFORM" },
	{ RING_PACKED, "VIRTIO_F_RING_PACKED" },
	{ IN_ORDER, "VIRTIO_F_IN_ORDER" },
	{ RING_RESET, "VIRTIO_F_RING_RESET" },
};

static const char *name_of(unsigned bit)
{
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].bit == bit)
			return names[i].name;
	return "(no name known)";
}

void features_print(void)
{
	struct guest guest;
	uint64_t offered;

	guest_open(&guest);
	if (ioctl(guest.vhost, VHOST_GET_FEATURES, &offered))
		fail_errno("VHOST_GET_FEATURES");
	printf("features %#llx\n", (unsigned long long)offered);
	for (unsigned bit = 0; bit < 64; bit++)
		if (offered >> bit & 1)
			printf("  bit %2u  %s\n", bit, name_of(bit));
	close(guest.vhost);
}
