/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The vhost-user protocol as its specification has it (QEMU, docs/interop/vhost-user.rst), as far as a block device
 * needs it. Numbers are in the host's byte order: both sides run on one machine.
 */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#include <linux/vhost.h>
#include <stdint.h>

enum vu_request {
	VU_GET_FEATURES = 1,
	VU_SET_FEATURES = 2,
	VU_SET_OWNER = 3,
	VU_RESET_OWNER = 4,
	VU_SET_MEM_TABLE = 5,
	VU_SET_LOG_BASE = 6,
	VU_SET_LOG_FD = 7,
	VU_SET_VRING_NUM = 8,
	VU_SET_VRING_ADDR = 9,
	VU_SET_VRING_BASE = 10,
	VU_GET_VRING_BASE = 11,
	VU_SET_VRING_KICK = 12,
	VU_SET_VRING_CALL = 13,
	VU_SET_VRING_ERR = 14,
	VU_GET_PROTOCOL_FEATURES = 15,
	VU_SET_PROTOCOL_FEATURES = 16,
	VU_GET_QUEUE_NUM = 17,
	VU_SET_VRING_ENABLE = 18,
	VU_SET_BACKEND_REQ_FD = 21,
	VU_GET_CONFIG = 24,
	VU_SET_CONFIG = 25,
	VU_RESET_DEVICE = 34,
	VU_GET_MAX_MEM_SLOTS = 36,
	VU_ADD_MEM_REG = 37,
	VU_REM_MEM_REG = 38,
	VU_SET_STATUS = 39,
	VU_GET_STATUS = 40,
};

/* What a backend sends over the channel of VU_SET_BACKEND_REQ_FD. */
enum vu_backend_request {
	VU_BACKEND_CONFIG_CHANGE = 2,
};

/* Bits of the protocol's own features. */
enum vu_protocol_feature {
	VU_F_MQ = 0,
	VU_F_LOG_SHMFD = 1,
	VU_F_REPLY_ACK = 3,
	VU_F_BACKEND_REQ = 5,
	VU_F_CONFIG = 9,
	VU_F_RESET_DEVICE = 13,
	VU_F_CONFIGURE_MEM_SLOTS = 15,
	VU_F_STATUS = 16,
};

/* Among the virtio features: there are features of the protocol, and rings start disabled. */
#define VU_FEATURE_PROTOCOL_FEATURES 30

#define VU_VERSION 1u
#define VU_VERSION_MASK 3u
#define VU_FLAG_REPLY (1u << 2)
#define VU_FLAG_NEED_REPLY (1u << 3)

/* Regions, and so file descriptors, of one message. */
#define VU_MAX_REGIONS 8
#define VU_MAX_FDS VU_MAX_REGIONS
#define VU_MAX_CONFIG 256

/* In the value of VU_SET_VRING_KICK, _CALL and _ERR: the ring's index, and that no descriptor comes with it. */
#define VU_VRING_INDEX_MASK 0xffu
#define VU_VRING_NO_FD (1u << 8)

/* Flags of VU_SET_CONFIG: the driver wrote it, or a migration restores it. */
#define VU_CONFIG_WRITABLE 0u
#define VU_CONFIG_MIGRATION 1u

struct vu_header {
	uint32_t request;
	uint32_t flags;
	/* Of the payload behind it, in bytes. */
	uint32_t size;
};

/* Guest memory: its guest physical address, its length, where the frontend has it, and where it begins in the file. */
struct vu_region {
	uint64_t gpa;
	uint64_t bytes;
	uint64_t uaddr;
	uint64_t offset;
};

struct vu_memory {
	uint32_t nregions;
	uint32_t padding;
	struct vu_region region[VU_MAX_REGIONS];
};

struct vu_one_region {
	uint64_t padding;
	struct vu_region region;
};

struct vu_log {
	uint64_t bytes;
	uint64_t offset;
};

/* The head of a part of the configuration space, and that part. */
struct vu_config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	uint8_t data[VU_MAX_CONFIG];
};

#define VU_CONFIG_HEAD offsetof(struct vu_config, data)

union vu_payload {
	uint64_t value;
	struct vhost_vring_state state;
	struct vhost_vring_addr addr;
	struct vu_memory memory;
	struct vu_one_region one_region;
	struct vu_log log;
	struct vu_config config;
};

#endif
