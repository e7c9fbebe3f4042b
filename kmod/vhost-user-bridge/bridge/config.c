// SPDX-License-Identifier: GPL-2.0-only
/* The messages about the configuration space, and the channel that tells of its changes. */
#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_space.h"
#include "handlers.h"
#include "say.h"

/* All that a frontend may read; behind the fields that are known here there are zeros. */
union space {
	struct virtio_blk_config fields;
	uint8_t bytes[VU_MAX_CONFIG];
};

static int read_space(const struct session *session, union space *space, struct reason *reason)
{
	struct bridge *bridge = session->bridge;
	struct vhost_blk_limits limits;
	int error = device_get_limits(&bridge->device, bridge->disk, &limits);

	if (error)
		return refuse_error(reason, error, "the disk can not be looked at");
	memset(space, 0, sizeof(*space));
	config_space_fill(&space->fields, &limits, &bridge->options, !bridge->kept->write_through);
	return 0;
}

int get_config(struct session *session, struct message *message, struct reason *reason)
{
	struct vu_config answer = message->payload.config;
	union space space;

	if (read_space(session, &space, reason)) {
		say("GET_CONFIG: %s", reason->text);
		/* No payload: there is nothing to tell. */
		return session_answer(session, message, NULL, 0, reason);
	}
	session->bridge->kept->capacity = le64toh(space.fields.capacity);
	memcpy(answer.data, space.bytes + answer.offset, answer.size);
	return session_answer(session, message, &answer, VU_CONFIG_HEAD + answer.size, reason);
}

int set_config(struct session *session, struct message *message, struct reason *reason)
{
	const struct vu_config *config = &message->payload.config;
	struct bridge *bridge = session->bridge;
	union space space;
	int error;

	if (config->flags != VU_CONFIG_WRITABLE && config->flags != VU_CONFIG_MIGRATION)
		return refuse(reason, "flags %#x", config->flags);
	/* A migration gives what the source had; all but the cache is this disk's own. */
	if (read_space(session, &space, reason))
		return -1;
	memcpy(space.bytes + config->offset, config->data, config->size);
	if (config->flags == VU_CONFIG_WRITABLE &&
	    (config->offset != offsetof(struct virtio_blk_config, wce) || config->size != sizeof(space.fields.wce)))
		return refuse(reason, "bytes %u + %u: only the write cache's can be written", config->offset, config->size);
	if (space.fields.wce > 1)
		return refuse(reason, "a write cache of %u", space.fields.wce);
	error = device_set_write_cache(&bridge->device, space.fields.wce);
	if (error)
		return refuse_error(reason, error, "the write cache can not be switched");
	bridge->kept->write_through = !space.fields.wce;
	return 0;
}

int set_backend_req_fd(struct session *session, struct message *message, struct reason *reason)
{
	struct stat stat;

	if (fstat(message->fds[0], &stat) || !S_ISSOCK(stat.st_mode))
		return refuse(reason, "it is no socket");
	if (session->backend_channel >= 0)
		close(session->backend_channel);
	session->backend_channel = message_take_fd(message);
	return 0;
}

void session_tell_missed(struct session *session)
{
	struct bridge *bridge = session->bridge;
	struct vhost_blk_limits limits;

	if (!bridge->kept->capacity || device_get_limits(&bridge->device, bridge->disk, &limits) ||
	    limits.capacity == bridge->kept->capacity)
		return;
	bridge->kept->capacity = limits.capacity;
	session_tell_config(session);
}

void session_tell_config(struct session *session)
{
	struct vu_header header = { VU_BACKEND_CONFIG_CHANGE, VU_VERSION, 0 };

	if (session->backend_channel < 0 || !(session->protocol_features & 1ull << VU_F_CONFIG))
		return;
	if (send(session->backend_channel, &header, sizeof(header), MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof(header))
		say("the frontend can not be told that the disk changed: %s", strerror(errno));
}
