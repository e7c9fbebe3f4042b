// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>
#include <sys/ioctl.h>

#include "effort.h"
#include "fuzz.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Numbers that are limits of something, or beyond. None is an address at which this process has memory. */
static uint64_t odd_value(uint64_t *state)
{
	static const uint64_t values[] = {
		0, 1, 2, 3, 16, 63, 64, 65, 255, 256, 1023, 1024, 1025, 65535, 65536, 1u << 20, 0x7fffffff, 0x80000000,
		0xfffffffe, 0xffffffff, 1ull << 32, 1ull << 63, 0xffff888000000000ull, UINT64_MAX - 7, UINT64_MAX,
	};

	return values[chance_below(state, COUNT(values))];
}

static unsigned odd_index(uint64_t *state)
{
	return chance_below(state, 3) ? chance_below(state, 2) : (unsigned)odd_value(state);
}

static int odd_fd(uint64_t *state, const struct guest *guest, int disk)
{
	const int fds[] = {
		-1, -1, -2, 0, 9999, 0x7fffffff, guest->vhost, disk, guest->ring[0].kick, guest->ring[0].call,
	};

	return fds[chance_below(state, COUNT(fds))];
}

static int set_file(uint64_t *state, const struct guest *guest, int disk)
{
	static const unsigned long requests[] = {
		VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL, VHOST_SET_VRING_ERR, VHOST_BLK_SET_BACKEND,
	};
	struct vhost_vring_file file = { odd_index(state), odd_fd(state, guest, disk) };

	return ioctl(guest->vhost, requests[chance_below(state, COUNT(requests))], &file);
}

static int set_state(uint64_t *state, const struct guest *guest)
{
	static const unsigned long requests[] = { VHOST_SET_VRING_NUM, VHOST_SET_VRING_BASE, VHOST_GET_VRING_BASE };
	struct vhost_vring_state value = { odd_index(state), (unsigned)odd_value(state) };

	return ioctl(guest->vhost, requests[chance_below(state, COUNT(requests))], &value);
}

static uint64_t odd_address(uint64_t *state, const void *good)
{
	return chance_below(state, 2) ? (uintptr_t)good + chance_below(state, 2) * 2 : odd_value(state);
}

static int set_address(uint64_t *state, const struct guest *guest)
{
	const struct ring *ring = &guest->ring[0];
	struct vhost_vring_addr addresses = {
		.index = odd_index(state), .flags = chance_below(state, 4) ? 0 : (unsigned)odd_value(state),
		.desc_user_addr = odd_address(state, ring->desc), .avail_user_addr = odd_address(state, ring->avail),
		.used_user_addr = odd_address(state, ring->used), .log_guest_addr = odd_value(state),
	};

	return ioctl(guest->vhost, VHOST_SET_VRING_ADDR, &addresses);
}

static int set_table(uint64_t *state, const struct guest *guest)
{
	static const unsigned counts[] = { 0, 1, 2, 4, 4, 513, 65536, 0xffffffff };
	struct { struct vhost_memory head; struct vhost_memory_region room[4]; } table;
	struct vhost_memory_region *region = (struct vhost_memory_region *)(&table.head + 1);

	memset(&table, 0, sizeof(table));
	table.head.nregions = counts[chance_below(state, COUNT(counts))];
	table.head.padding = chance_below(state, 8) ? 0 : 1;
	for (unsigned i = 0; i < 4; i++) {
		const struct memory_region *good = &guest->memory.region[i % MEMORY_REGIONS];

		region[i].guest_phys_addr = chance_below(state, 2) ? good->gpa : odd_value(state);
		region[i].memory_size = chance_below(state, 2) ? good->bytes / 2 : odd_value(state);
		/* What is behind the guest's memory is not to be had by a large region at its begin. */
		region[i].userspace_addr = region[i].memory_size <= good->bytes && chance_below(state, 2) ?
					   (uintptr_t)good->hva : odd_value(state);
	}
	return ioctl(guest->vhost, VHOST_SET_MEM_TABLE, &table);
}

/* Any number of ours, any size, at a buffer of odd values or at an address where there is nothing. */
static int set_anything(uint64_t *state, const struct guest *guest)
{
	static const unsigned dirs[] = { _IOC_NONE, _IOC_READ, _IOC_WRITE, _IOC_READ | _IOC_WRITE };
	static const unsigned sizes[] = { 0, 4, 8, 16, 20, 40, 104, 4095 };
	uint64_t buffer[512];
	unsigned long request;

	for (unsigned i = 0; i < COUNT(buffer); i++)
		buffer[i] = odd_value(state);
	request = _IOC(dirs[chance_below(state, 4)], VHOST_VIRTIO, chance_below(state, 256),
		       sizes[chance_below(state, COUNT(sizes))]);
	if (chance_below(state, 4))
		return ioctl(guest->vhost, request, buffer);
	return ioctl(guest->vhost, request, (void *)(uintptr_t)odd_value(state));
}

bool fuzz_ioctl(uint64_t *state, const struct guest *guest, int disk)
{
	uint64_t features;

	switch (chance_below(state, 16)) {
	case 0 ... 3:
		return set_file(state, guest, disk) >= 0;
	case 4 ... 6:
		return set_state(state, guest) >= 0;
	case 7 ... 8:
		return set_address(state, guest) >= 0;
	case 9 ... 10:
		return set_table(state, guest) >= 0;
	case 11:
		features = chance(state);
		return ioctl(guest->vhost, VHOST_SET_FEATURES, &features) >= 0;
	case 12:
		return ioctl(guest->vhost, chance_below(state, 4) ? VHOST_SET_OWNER : VHOST_RESET_OWNER) >= 0;
	default:
		return set_anything(state, guest) >= 0;
	}
}
