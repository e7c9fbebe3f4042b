// SPDX-License-Identifier: GPL-2.0-only
/* What both sides agree upon: features of virtio and of the protocol, the device's status. */
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "dirty_log.h"
#include "handlers.h"
#include "rings.h"

#define BIT(n) (1ull << (n))

/* What can be offered; of the disk's, what the disk gives a reason for. An IOMMU's addresses do not come this way. */
#define RING_FEATURES                                                                                                \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX) |                 \
	 BIT(VHOST_F_LOG_ALL))
#define DISK_FEATURES                                                                                                \
	(BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_RO) | BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_FLUSH) |   \
	 BIT(VIRTIO_BLK_F_TOPOLOGY) | BIT(VIRTIO_BLK_F_CONFIG_WCE) | BIT(VIRTIO_BLK_F_MQ) |                          \
	 BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES))

/*
 * No VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD: nothing is in flight when a process of the bridge has ended, since the kernel
 * answers all that was taken before it lets go (instance.h).
 */
#define PROTOCOL_FEATURES                                                                                            \
	(BIT(VU_F_MQ) | BIT(VU_F_LOG_SHMFD) | BIT(VU_F_REPLY_ACK) | BIT(VU_F_BACKEND_REQ) | BIT(VU_F_CONFIG) |       \
	 BIT(VU_F_RESET_DEVICE) | BIT(VU_F_CONFIGURE_MEM_SLOTS) | BIT(VU_F_STATUS))

/* Return: 0, or -1 with @reason. */
static int offered(const struct session *session, uint64_t *features, struct reason *reason)
{
	struct bridge *bridge = session->bridge;
	struct vhost_blk_limits limits;
	int error = device_get_limits(&bridge->device, bridge->disk, &limits);

	if (error)
		return refuse_error(reason, error, "the disk can not be looked at");
	*features = limits.features & (RING_FEATURES | DISK_FEATURES);
	if (!bridge->options.discard)
		*features &= ~(BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES));
	return 0;
}

int get_features(struct session *session, struct message *message, struct reason *reason)
{
	uint64_t features;

	if (offered(session, &features, reason))
		return -1;
	return session_answer_value(session, message, features | BIT(VU_FEATURE_PROTOCOL_FEATURES), reason);
}

int set_features(struct session *session, struct message *message, struct reason *reason)
{
	uint64_t wanted = message->payload.value, features = wanted & ~BIT(VU_FEATURE_PROTOCOL_FEATURES), known;
	bool enabling = wanted & BIT(VU_FEATURE_PROTOCOL_FEATURES);
	int error;

	if (offered(session, &known, reason))
		return -1;
	if (features & ~known)
		return refuse(reason, "%#llx is not offered", (unsigned long long)(features & ~known));
	if (enabling != session->enabling && rings_run(session))
		return refuse(reason, "a queue runs");
	if (dirty_log_check(session, features, &session->memory, reason))
		return -1;
	error = device_set_features(&session->bridge->device, features);
	if (error)
		return refuse_error(reason, error, "%#llx", (unsigned long long)features);
	session->features = features;
	session->enabling = enabling;
	return rings_settle(session, reason);
}

int get_protocol_features(struct session *session, struct message *message, struct reason *reason)
{
	return session_answer_value(session, message, PROTOCOL_FEATURES, reason);
}

int set_protocol_features(struct session *session, struct message *message, struct reason *reason)
{
	uint64_t unknown = message->payload.value & ~PROTOCOL_FEATURES;

	if (unknown)
		return refuse(reason, "%#llx is not offered", (unsigned long long)unknown);
	session->protocol_features = message->payload.value;
	return 0;
}

int get_queue_num(struct session *session, struct message *message, struct reason *reason)
{
	return session_answer_value(session, message, session->bridge->options.queues, reason);
}

int set_status(struct session *session, struct message *message, struct reason *reason)
{
	if (message->payload.value > UINT8_MAX)
		return refuse(reason, "%#llx", (unsigned long long)message->payload.value);
	/* The driver resets the device. */
	if (!message->payload.value)
		return reset_device(session, message, reason);
	session->status = message->payload.value;
	return 0;
}

int get_status(struct session *session, struct message *message, struct reason *reason)
{
	return session_answer_value(session, message, session->status, reason);
}
