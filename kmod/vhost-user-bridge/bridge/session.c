// SPDX-License-Identifier: GPL-2.0-only
#include "session.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "handlers.h"
#include "rings.h"
#include "say.h"

/* A frontend that sends without end must not keep signals waiting. */
#define MESSAGES_AT_ONCE 64

static int set_owner(struct session *session, struct message *message, struct reason *reason)
{
	/* The device has had its owner since the connection began. */
	(void)session;
	(void)message;
	(void)reason;
	return 0;
}

static handler *const handlers[] = {
	[VU_GET_FEATURES] = get_features,
	[VU_SET_FEATURES] = set_features,
	[VU_SET_OWNER] = set_owner,
	[VU_RESET_OWNER] = reset_owner,
	[VU_SET_MEM_TABLE] = set_mem_table,
	[VU_SET_LOG_BASE] = set_log_base,
	[VU_SET_LOG_FD] = set_log_fd,
	[VU_SET_VRING_NUM] = set_vring_num,
	[VU_SET_VRING_ADDR] = set_vring_addr,
	[VU_SET_VRING_BASE] = set_vring_base,
	[VU_GET_VRING_BASE] = get_vring_base,
	[VU_SET_VRING_KICK] = set_vring_kick,
	[VU_SET_VRING_CALL] = set_vring_call,
	[VU_SET_VRING_ERR] = set_vring_err,
	[VU_GET_PROTOCOL_FEATURES] = get_protocol_features,
	[VU_SET_PROTOCOL_FEATURES] = set_protocol_features,
	[VU_GET_QUEUE_NUM] = get_queue_num,
	[VU_SET_VRING_ENABLE] = set_vring_enable,
	[VU_SET_BACKEND_REQ_FD] = set_backend_req_fd,
	[VU_GET_CONFIG] = get_config,
	[VU_SET_CONFIG] = set_config,
	[VU_RESET_DEVICE] = reset_device,
	[VU_GET_MAX_MEM_SLOTS] = get_max_mem_slots,
	[VU_ADD_MEM_REG] = add_mem_reg,
	[VU_REM_MEM_REG] = rem_mem_reg,
	[VU_SET_STATUS] = set_status,
	[VU_GET_STATUS] = get_status,
};

/* The frontend that comes back after this process was restarted does not tell again what the guest chose. */
static void recall(struct session *session)
{
	struct kept *kept = session->bridge->kept;
	struct ucred peer = { 0 };
	socklen_t size = sizeof(peer);

	if (getsockopt(session->channel.fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		peer.pid = 0;
	if (peer.pid && kept->peer != (uint32_t)peer.pid) {
		kept->write_through = 0;
		kept->capacity = 0;
	}
	kept->peer = peer.pid;
}

static int prepare_device(struct session *session, struct reason *reason)
{
	struct bridge *bridge = session->bridge;
	const struct options *options = &bridge->options;
	struct device *device = &bridge->device;
	int error = device_own(device);

	if (!error && *options->serial)
		error = device_set_serial(device, options->serial);
	if (!error && options->workers)
		error = device_set_workers(device, options->workers);
	for (unsigned int i = 0; !error && options->poll_us != OPTION_UNSET && i < options->queues; i++)
		error = device_set_busyloop(device, i, options->poll_us);
	if (!error)
		error = device_set_write_cache(device, !bridge->kept->write_through);
	if (!error)
		error = device_set_config_call(device, bridge->config_call);
	return error ? refuse_error(reason, error, "the device can not be set up") : 0;
}

int session_begin(struct session *session, struct bridge *bridge, int fd, struct reason *reason)
{
	memset(session, 0, sizeof(*session));
	session->bridge = bridge;
	session->backend_channel = -1;
	channel_open(&session->channel, fd);
	rings_begin(session);
	recall(session);
	return prepare_device(session, reason);
}

int session_answer(struct session *session, const struct message *message, const void *payload, uint32_t size,
		   struct reason *reason)
{
	return channel_answer(&session->channel, message->header.request, payload, size, reason);
}

int session_answer_value(struct session *session, const struct message *message, uint64_t value, struct reason *reason)
{
	return session_answer(session, message, &value, sizeof(value), reason);
}

static bool wants_result(const struct session *session, const struct message *message)
{
	return session->protocol_features & 1ull << VU_F_REPLY_ACK && message->header.flags & VU_FLAG_NEED_REPLY &&
	       !message_has_answer(message->header.request);
}

int session_handle(struct session *session, struct message *message, struct reason *reason)
{
	struct reason why = { "" };
	bool told;
	int ret;

	if (message_check(message, session->protocol_features, session->enabling, reason)) {
		message_drop(message);
		return -1;
	}
	told = wants_result(session, message);
	ret = handlers[message->header.request](session, message, &why);
	message_drop(message);
	if (ret && !told) {
		/* Who is not told that something was not done would go on as if it were. */
		return refuse(reason, "%s: %s", message_name(message->header.request), why.text);
	}
	if (ret)
		say("%s refused: %s", message_name(message->header.request), why.text);
	return told ? session_answer_value(session, message, ret ? 1 : 0, reason) : 0;
}

int session_serve(struct session *session)
{
	struct message message;
	struct reason reason;

	for (unsigned int taken = 0; taken < MESSAGES_AT_ONCE; taken++) {
		switch (channel_receive(&session->channel, &message, &reason)) {
		case CHANNEL_EMPTY:
			return 0;
		case CHANNEL_END:
			return -1;
		case CHANNEL_MESSAGE:
			if (!session_handle(session, &message, &reason))
				continue;
			/* fall through */
		case CHANNEL_REFUSED:
			say("the frontend is disconnected: %s", reason.text);
			return -1;
		}
	}
	return 0;
}

void session_end(struct session *session)
{
	int error = device_reset(&session->bridge->device);

	if (error)
		say("the device can not be reset: %s", strerror(-error));
	rings_end(session);
	memory_clear(&session->memory);
	mapping_remove(&session->log);
	if (session->backend_channel >= 0)
		close(session->backend_channel);
	session->backend_channel = -1;
	channel_close(&session->channel);
}
