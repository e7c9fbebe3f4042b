/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * /dev/vhost-blk (docs/vhost_blk.md). Functions return 0 or a negative errno, as the call behind them ended; programs that
 * try the bridge without the module link other ones.
 */
#ifndef DEVICE_H
#define DEVICE_H

#include <linux/vhost.h>
#include <stdint.h>

#include "uapi/vhost_blk.h"

struct device {
	int fd;
};

int device_open(struct device *device, const char *path);

/* Makes this process the owner. */
int device_own(struct device *device);

/* Stops all rings, waits for their requests, forgets all; there is no owner then. */
int device_reset(struct device *device);

/* Of the disk @fd, attached or not. */
int device_get_limits(struct device *device, int fd, struct vhost_blk_limits *limits);

int device_set_features(struct device *device, uint64_t features);
int device_set_memory(struct device *device, const struct vhost_memory *memory);
int device_set_vring_num(struct device *device, unsigned int index, unsigned int num);
int device_set_vring_base(struct device *device, unsigned int index, unsigned int base);
int device_set_vring_addr(struct device *device, const struct vhost_vring_addr *addr);

/* Eventfds; -1: none. */
int device_set_vring_kick(struct device *device, unsigned int index, int fd);
int device_set_vring_call(struct device *device, unsigned int index, int fd);
int device_set_vring_err(struct device *device, unsigned int index, int fd);

/* Starts a ring on the disk @fd; stops it when all that it has taken is answered. */
int device_start(struct device *device, unsigned int index, int fd);
int device_stop(struct device *device, unsigned int index);

/* As device_stop(), and tells the next available index. */
int device_get_vring_base(struct device *device, unsigned int index, unsigned int *base);

int device_set_log_base(struct device *device, const void *bitmap);
int device_set_log_fd(struct device *device, int fd);

/* Up to 20 bytes. */
int device_set_serial(struct device *device, const char *serial);
int device_set_write_cache(struct device *device, int on);
int device_set_config_call(struct device *device, int fd);
int device_set_workers(struct device *device, int workers);
int device_set_busyloop(struct device *device, unsigned int index, unsigned int us);

#endif
