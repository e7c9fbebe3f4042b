// SPDX-License-Identifier: GPL-2.0-only
#include "limits.h"

#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "report.h"

void limits_get(const struct guest *guest, int fd, struct vhost_blk_limits *limits)
{
	memset(limits, 0, sizeof(*limits));
	limits->size = sizeof(*limits);
	limits->fd = fd;
	if (ioctl(guest->vhost, VHOST_BLK_GET_LIMITS, limits))
		fail_errno("VHOST_BLK_GET_LIMITS of descriptor %d", fd);
	if (limits->size != sizeof(*limits))
		fail("VHOST_BLK_GET_LIMITS: expected a size of %zu, saw %u", sizeof(*limits), limits->size);
}

void limits_of(int fd, struct vhost_blk_limits *limits)
{
	struct guest guest;

	guest_open(&guest);
	limits_get(&guest, fd, limits);
	close(guest.vhost);
}

bool resize_signalled(int call, int ms)
{
	struct pollfd wait_for = { .fd = call, .events = POLLIN };
	uint64_t count;

	return poll(&wait_for, 1, ms) > 0 && read(call, &count, sizeof(count)) == sizeof(count);
}
