// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device as the bridge sees it, without the module: it keeps the module's rules (docs/vhost_blk.md), and ends the
 * program where the bridge would have the kernel use what is not there.
 */
#include "fake_device.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../device.h"

#define BIT(n) (1ull << (n))
#define OFFERED                                                                                                      \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX) |                 \
	 BIT(VHOST_F_LOG_ALL) | BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_FLUSH) |   \
	 BIT(VIRTIO_BLK_F_TOPOLOGY) | BIT(VIRTIO_BLK_F_CONFIG_WCE) | BIT(VIRTIO_BLK_F_MQ) |                          \
	 BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES))
#define LOG_BYTE_COVERS (8ull * 4096)

struct fake_device fake_device;

static _Noreturn void wrong(const char *what)
{
	fprintf(stderr, "the device was given what it must not be: %s\n", what);
	abort();
}

/* Ends the program unless all of it is mapped by this process, as far as whole pages tell. */
static void must_be_mapped(uint64_t address, uint64_t bytes, const char *what)
{
	uint64_t page = sysconf(_SC_PAGESIZE), begin = address & ~(page - 1);

	if (address + bytes < address)
		wrong(what);
	/* ENOMEM: a hole in it. What is one mapping is looked at at once, however large. */
	if (msync((void *)(uintptr_t)begin, address + bytes - begin, MS_ASYNC) && errno == ENOMEM)
		wrong(what);
}

static void check_vring(const struct fake_vring *vring)
{
	const struct vhost_vring_addr *addr = &vring->addr;

	must_be_mapped(addr->desc_user_addr, vring->num * sizeof(struct vring_desc), "a descriptor table");
	must_be_mapped(addr->avail_user_addr, 6 + vring->num * 2, "an available ring");
	must_be_mapped(addr->used_user_addr, 6 + vring->num * 8, "a used ring");
	if (addr->flags & 1 << VHOST_VRING_F_LOG)
		must_be_mapped(fake_device.log + addr->log_guest_addr / LOG_BYTE_COVERS, 1, "the log of a used ring");
}

/* As the kernel would use all of it at once; it logs for rings that run only. */
static void check_all(void)
{
	bool running = false;

	for (unsigned int i = 0; i < VHOST_BLK_MAX_VQS; i++) {
		if (!fake_device.vring[i].running)
			continue;
		running = true;
		check_vring(&fake_device.vring[i]);
	}
	for (unsigned int i = 0; i < fake_device.nr_regions; i++) {
		const struct vhost_memory_region *region = &fake_device.region[i];
		uint64_t last = region->guest_phys_addr + region->memory_size - 1;

		must_be_mapped(region->userspace_addr, region->memory_size, "guest memory");
		if (running && fake_device.features & BIT(VHOST_F_LOG_ALL))
			must_be_mapped(fake_device.log + last / LOG_BYTE_COVERS, 1, "the log of guest memory");
	}
}

static struct fake_vring *vring_of(unsigned int index)
{
	return fake_device.owned && index < VHOST_BLK_MAX_VQS ? &fake_device.vring[index] : NULL;
}

int device_open(struct device *device, const char *path)
{
	(void)path;
	device->fd = -1;
	return 0;
}

int device_own(struct device *device)
{
	(void)device;
	if (fake_device.owned)
		return -EBUSY;
	fake_device.owned = true;
	return 0;
}

int device_reset(struct device *device)
{
	(void)device;
	if (!fake_device.owned)
		return -EPERM;
	check_all();
	fake_device = (struct fake_device){ .refuse = fake_device.refuse };
	return 0;
}

int device_get_limits(struct device *device, int fd, struct vhost_blk_limits *limits)
{
	(void)device;
	(void)fd;
	*limits = (struct vhost_blk_limits){
		.features = OFFERED, .capacity = 131072, .flags = VHOST_BLK_LIMIT_WRITE_CACHE, .logical_block_size = 512,
		.physical_block_size = 4096, .max_segments = 1022, .max_vqs = 64, .max_discard_sectors = 8192,
		.max_discard_seg = 256, .max_write_zeroes_sectors = 131072, .max_write_zeroes_seg = 1,
	};
	return 0;
}

int device_set_features(struct device *device, uint64_t features)
{
	(void)device;
	if (features & ~OFFERED)
		return -EOPNOTSUPP;
	for (unsigned int i = 0; i < VHOST_BLK_MAX_VQS; i++)
		if (fake_device.vring[i].running && (features ^ fake_device.features) & ~BIT(VHOST_F_LOG_ALL))
			return -EBUSY;
	fake_device.features = features;
	check_all();
	return 0;
}

static bool in_table(const struct vhost_memory *memory, const struct vhost_memory_region *region)
{
	for (unsigned int i = 0; i < memory->nregions; i++)
		if (memory->regions[i].userspace_addr == region->userspace_addr &&
		    memory->regions[i].memory_size >= region->memory_size)
			return true;
	return false;
}

/* Requests in flight end where they began: what a ring that runs may have in flight must not go. */
static void check_going(const struct vhost_memory *memory)
{
	for (unsigned int i = 0; i < VHOST_BLK_MAX_VQS; i++)
		for (unsigned int j = 0; fake_device.vring[i].running && j < fake_device.nr_regions; j++)
			if (!in_table(memory, &fake_device.region[j]))
				wrong("a table without memory that requests in flight may be in");
}

int device_set_memory(struct device *device, const struct vhost_memory *memory)
{
	(void)device;
	if (memory->nregions > VHOST_BLK_MAX_MEM_REGIONS)
		wrong("too many regions");
	if (fake_device.refuse)
		return -EINVAL;
	/* Until now all that it had must have been there. */
	check_all();
	check_going(memory);
	fake_device.nr_regions = memory->nregions;
	memcpy(fake_device.region, memory->regions, memory->nregions * sizeof(memory->regions[0]));
	check_all();
	return 0;
}

int device_set_vring_num(struct device *device, unsigned int index, unsigned int num)
{
	struct fake_vring *vring = vring_of(index);

	(void)device;
	if (!vring || vring->running)
		return vring ? -EBUSY : -ENOBUFS;
	if (!num || num > VHOST_BLK_MAX_VRING_NUM || num & (num - 1))
		wrong("the size of a ring");
	vring->num = num;
	return 0;
}

int device_set_vring_base(struct device *device, unsigned int index, unsigned int base)
{
	struct fake_vring *vring = vring_of(index);

	(void)device;
	if (!vring || vring->running)
		return vring ? -EBUSY : -ENOBUFS;
	if (base > UINT16_MAX)
		wrong("an index");
	vring->base = base;
	return 0;
}

int device_set_vring_addr(struct device *device, const struct vhost_vring_addr *addr)
{
	struct fake_vring *vring = vring_of(addr->index);

	(void)device;
	if (!vring)
		return -ENOBUFS;
	if (addr->desc_user_addr & 15 || addr->avail_user_addr & 1 || addr->used_user_addr & 3)
		wrong("a ring that is not aligned");
	vring->addr = *addr;
	if (vring->running)
		check_vring(vring);
	return 0;
}

/* As the kernel tells an eventfd from other files. */
static int set_eventfd(unsigned int index, int fd)
{
	char path[64], target[64] = "";

	if (!vring_of(index))
		return -ENOBUFS;
	if (fd < 0)
		return fd == -1 ? 0 : -EBADF;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (readlink(path, target, sizeof(target) - 1) < 0)
		return -EBADF;
	return strcmp(target, "anon_inode:[eventfd]") ? -EINVAL : 0;
}

int device_set_vring_kick(struct device *device, unsigned int index, int fd)
{
	(void)device;
	return set_eventfd(index, fd);
}

int device_set_vring_call(struct device *device, unsigned int index, int fd)
{
	(void)device;
	return set_eventfd(index, fd);
}

int device_set_vring_err(struct device *device, unsigned int index, int fd)
{
	(void)device;
	return set_eventfd(index, fd);
}

int device_start(struct device *device, unsigned int index, int fd)
{
	struct fake_vring *vring = vring_of(index);

	(void)device;
	(void)fd;
	if (!vring || vring->running)
		return vring ? -EBUSY : -ENOBUFS;
	vring->running = true;
	check_all();
	return 0;
}

int device_stop(struct device *device, unsigned int index)
{
	struct fake_vring *vring = vring_of(index);

	(void)device;
	if (!vring)
		return -ENOBUFS;
	check_all();
	vring->running = false;
	return 0;
}

int device_get_vring_base(struct device *device, unsigned int index, unsigned int *base)
{
	int error = device_stop(device, index);

	*base = error ? 0 : fake_device.vring[index].base;
	return error;
}

int device_set_log_base(struct device *device, const void *bitmap)
{
	(void)device;
	fake_device.log = (uintptr_t)bitmap;
	check_all();
	return 0;
}

int device_set_log_fd(struct device *device, int fd)
{
	(void)device;
	return set_eventfd(0, fd);
}

int device_set_serial(struct device *device, const char *serial)
{
	(void)device;
	(void)serial;
	return 0;
}

int device_set_write_cache(struct device *device, int on)
{
	(void)device;
	if (on != 0 && on != 1)
		wrong("a write cache");
	return 0;
}

int device_set_config_call(struct device *device, int fd)
{
	(void)device;
	(void)fd;
	return 0;
}

int device_set_workers(struct device *device, int workers)
{
	(void)device;
	(void)workers;
	return 0;
}

int device_set_busyloop(struct device *device, unsigned int index, unsigned int us)
{
	(void)device;
	(void)us;
	return vring_of(index) ? 0 : -ENOBUFS;
}
