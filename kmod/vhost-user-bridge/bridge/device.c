// SPDX-License-Identifier: GPL-2.0-only
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

/* The kernel takes pointers only; what it does not ask for is NULL. */
static int call(struct device *device, unsigned long request, const void *argument)
{
	return ioctl(device->fd, request, argument) < 0 ? -errno : 0;
}

int device_open(struct device *device, const char *path)
{
	device->fd = open(path, O_RDWR | O_CLOEXEC);
	return device->fd < 0 ? -errno : 0;
}

int device_own(struct device *device)
{
	return call(device, VHOST_SET_OWNER, NULL);
}

int device_reset(struct device *device)
{
	return call(device, VHOST_RESET_OWNER, NULL);
}

int device_get_limits(struct device *device, int fd, struct vhost_blk_limits *limits)
{
	memset(limits, 0, sizeof(*limits));
	limits->size = sizeof(*limits);
	limits->fd = fd;
	return call(device, VHOST_BLK_GET_LIMITS, limits);
}

int device_set_features(struct device *device, uint64_t features)
{
	return call(device, VHOST_SET_FEATURES, &features);
}

int device_set_memory(struct device *device, const struct vhost_memory *memory)
{
	return call(device, VHOST_SET_MEM_TABLE, memory);
}

static int set_state(struct device *device, unsigned long request, unsigned int index, unsigned int num)
{
	struct vhost_vring_state state = { index, num };

	return call(device, request, &state);
}

int device_set_vring_num(struct device *device, unsigned int index, unsigned int num)
{
	return set_state(device, VHOST_SET_VRING_NUM, index, num);
}

int device_set_vring_base(struct device *device, unsigned int index, unsigned int base)
{
	return set_state(device, VHOST_SET_VRING_BASE, index, base);
}

int device_set_vring_addr(struct device *device, const struct vhost_vring_addr *addr)
{
	return call(device, VHOST_SET_VRING_ADDR, addr);
}

static int set_file(struct device *device, unsigned long request, unsigned int index, int fd)
{
	struct vhost_vring_file file = { index, fd };

	return call(device, request, &file);
}

int device_set_vring_kick(struct device *device, unsigned int index, int fd)
{
	return set_file(device, VHOST_SET_VRING_KICK, index, fd);
}

int device_set_vring_call(struct device *device, unsigned int index, int fd)
{
	return set_file(device, VHOST_SET_VRING_CALL, index, fd);
}

int device_set_vring_err(struct device *device, unsigned int index, int fd)
{
	return set_file(device, VHOST_SET_VRING_ERR, index, fd);
}

int device_start(struct device *device, unsigned int index, int fd)
{
	return set_file(device, VHOST_BLK_SET_BACKEND, index, fd);
}

int device_stop(struct device *device, unsigned int index)
{
	return set_file(device, VHOST_BLK_SET_BACKEND, index, -1);
}

int device_get_vring_base(struct device *device, unsigned int index, unsigned int *base)
{
	struct vhost_vring_state state = { index, 0 };
	int error = call(device, VHOST_GET_VRING_BASE, &state);

	*base = state.num;
	return error;
}

int device_set_log_base(struct device *device, const void *bitmap)
{
	uint64_t base = (uintptr_t)bitmap;

	return call(device, VHOST_SET_LOG_BASE, &base);
}

int device_set_log_fd(struct device *device, int fd)
{
	return call(device, VHOST_SET_LOG_FD, &fd);
}

int device_set_serial(struct device *device, const char *serial)
{
	struct vhost_blk_serial raw = { 0 };

	memcpy(raw.serial, serial, strnlen(serial, sizeof(raw.serial)));
	return call(device, VHOST_BLK_SET_SERIAL, &raw);
}

int device_set_write_cache(struct device *device, int on)
{
	return call(device, VHOST_BLK_SET_WRITE_CACHE, &on);
}

int device_set_config_call(struct device *device, int fd)
{
	return call(device, VHOST_BLK_SET_CONFIG_CALL, &fd);
}

int device_set_workers(struct device *device, int workers)
{
	return call(device, VHOST_SET_NWORKERS, &workers);
}

int device_set_busyloop(struct device *device, unsigned int index, unsigned int us)
{
	return set_state(device, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, index, us);
}
