// SPDX-License-Identifier: GPL-2.0-only
#include "message.h"

#include <stdio.h>
#include <unistd.h>

/* What no feature has to be agreed for, and what only the feature bit of protocol features. */
#define ALWAYS (-1)
#define ENABLING (-2)

enum length {
	EXACT,
	/* The table's head, and as many regions as that says. */
	REGIONS,
	/* The head of a part of the configuration space, and that part. */
	CONFIG,
};

struct rule {
	const char *name;
	enum length length;
	uint32_t size;
	unsigned int min_fds, max_fds;
	/* enum vu_protocol_feature, or one of the above. */
	int feature;
	bool has_answer;
};

#define NOTHING EXACT, 0
#define VALUE EXACT, sizeof(uint64_t)
#define STATE EXACT, sizeof(struct vhost_vring_state)

static const struct rule rules[] = {
	[VU_GET_FEATURES] = { "GET_FEATURES", NOTHING, 0, 0, ALWAYS, true },
	[VU_SET_FEATURES] = { "SET_FEATURES", VALUE, 0, 0, ALWAYS, false },
	[VU_SET_OWNER] = { "SET_OWNER", NOTHING, 0, 0, ALWAYS, false },
	[VU_RESET_OWNER] = { "RESET_OWNER", NOTHING, 0, 0, ALWAYS, false },
	[VU_SET_MEM_TABLE] = { "SET_MEM_TABLE", REGIONS, 0, 0, VU_MAX_REGIONS, ALWAYS, false },
	[VU_SET_LOG_BASE] = { "SET_LOG_BASE", EXACT, sizeof(struct vu_log), 1, 1, VU_F_LOG_SHMFD, true },
	[VU_SET_LOG_FD] = { "SET_LOG_FD", NOTHING, 1, 1, ALWAYS, false },
	[VU_SET_VRING_NUM] = { "SET_VRING_NUM", STATE, 0, 0, ALWAYS, false },
	[VU_SET_VRING_ADDR] = { "SET_VRING_ADDR", EXACT, sizeof(struct vhost_vring_addr), 0, 0, ALWAYS, false },
	[VU_SET_VRING_BASE] = { "SET_VRING_BASE", STATE, 0, 0, ALWAYS, false },
	[VU_GET_VRING_BASE] = { "GET_VRING_BASE", STATE, 0, 0, ALWAYS, true },
	[VU_SET_VRING_KICK] = { "SET_VRING_KICK", VALUE, 0, 1, ALWAYS, false },
	[VU_SET_VRING_CALL] = { "SET_VRING_CALL", VALUE, 0, 1, ALWAYS, false },
	[VU_SET_VRING_ERR] = { "SET_VRING_ERR", VALUE, 0, 1, ALWAYS, false },
	[VU_GET_PROTOCOL_FEATURES] = { "GET_PROTOCOL_FEATURES", NOTHING, 0, 0, ALWAYS, true },
	[VU_SET_PROTOCOL_FEATURES] = { "SET_PROTOCOL_FEATURES", VALUE, 0, 0, ALWAYS, false },
	[VU_GET_QUEUE_NUM] = { "GET_QUEUE_NUM", NOTHING, 0, 0, VU_F_MQ, true },
	[VU_SET_VRING_ENABLE] = { "SET_VRING_ENABLE", STATE, 0, 0, ENABLING, false },
	[VU_SET_BACKEND_REQ_FD] = { "SET_BACKEND_REQ_FD", NOTHING, 1, 1, VU_F_BACKEND_REQ, false },
	[VU_GET_CONFIG] = { "GET_CONFIG", CONFIG, 0, 0, 0, VU_F_CONFIG, true },
	[VU_SET_CONFIG] = { "SET_CONFIG", CONFIG, 0, 0, 0, VU_F_CONFIG, false },
	[VU_RESET_DEVICE] = { "RESET_DEVICE", NOTHING, 0, 0, VU_F_RESET_DEVICE, false },
	[VU_GET_MAX_MEM_SLOTS] = { "GET_MAX_MEM_SLOTS", NOTHING, 0, 0, VU_F_CONFIGURE_MEM_SLOTS, true },
	[VU_ADD_MEM_REG] = { "ADD_MEM_REG", EXACT, sizeof(struct vu_one_region), 1, 1, VU_F_CONFIGURE_MEM_SLOTS, false },
	/* Some frontends give the region's descriptor here, too. */
	[VU_REM_MEM_REG] = { "REM_MEM_REG", EXACT, sizeof(struct vu_one_region), 0, 1, VU_F_CONFIGURE_MEM_SLOTS, false },
	[VU_SET_STATUS] = { "SET_STATUS", VALUE, 0, 0, VU_F_STATUS, false },
	[VU_GET_STATUS] = { "GET_STATUS", NOTHING, 0, 0, VU_F_STATUS, true },
};

static const struct rule *rule_of(uint32_t request)
{
	if (request >= sizeof(rules) / sizeof(rules[0]) || !rules[request].name)
		return NULL;
	return &rules[request];
}

const char *message_name(uint32_t request)
{
	static char unknown[32];
	const struct rule *rule = rule_of(request);

	if (rule)
		return rule->name;
	snprintf(unknown, sizeof(unknown), "unknown message %u", request);
	return unknown;
}

bool message_has_answer(uint32_t request)
{
	const struct rule *rule = rule_of(request);

	return rule && rule->has_answer;
}

int message_check_header(const struct vu_header *header, struct reason *reason)
{
	const char *name = message_name(header->request);

	if ((header->flags & VU_VERSION_MASK) != VU_VERSION)
		return refuse(reason, "%s: version %u of the protocol", name, header->flags & VU_VERSION_MASK);
	if (header->flags & VU_FLAG_REPLY)
		return refuse(reason, "%s: it is an answer, and nothing was asked", name);
	if (!rule_of(header->request))
		return refuse(reason, "%s", name);
	if (header->size > sizeof(union vu_payload))
		return refuse(reason, "%s: %u bytes, more than any message has", name, header->size);
	return 0;
}

static int check_length(const struct message *message, const struct rule *rule, struct reason *reason)
{
	uint32_t size = message->header.size, expected = rule->size;
	const union vu_payload *payload = &message->payload;

	switch (rule->length) {
	case EXACT:
		break;
	case REGIONS:
		expected = offsetof(struct vu_memory, region);
		if (size < expected)
			break;
		if (payload->memory.nregions > VU_MAX_REGIONS)
			return refuse(reason, "%s: %u regions, and %u is the most", rule->name, payload->memory.nregions,
				      VU_MAX_REGIONS);
		if (payload->memory.padding)
			return refuse(reason, "%s: the padding is not zero", rule->name);
		expected += payload->memory.nregions * sizeof(struct vu_region);
		break;
	case CONFIG:
		expected = VU_CONFIG_HEAD;
		if (size < expected)
			break;
		if (payload->config.size > VU_MAX_CONFIG || payload->config.offset > VU_MAX_CONFIG - payload->config.size)
			return refuse(reason, "%s: bytes %u + %u of a space of %u", rule->name, payload->config.offset,
				      payload->config.size, VU_MAX_CONFIG);
		expected += payload->config.size;
		break;
	}
	if (size != expected)
		return refuse(reason, "%s: %u bytes, not %u", rule->name, size, expected);
	return 0;
}

static int check_fds(const struct message *message, const struct rule *rule, struct reason *reason)
{
	unsigned int min = rule->min_fds, max = rule->max_fds;

	switch (message->header.request) {
	case VU_SET_MEM_TABLE:
		min = max = message->payload.memory.nregions;
		break;
	case VU_SET_VRING_KICK:
	case VU_SET_VRING_CALL:
	case VU_SET_VRING_ERR:
		min = max = message->payload.value & VU_VRING_NO_FD ? 0 : 1;
		break;
	}
	if (message->nr_fds < min || message->nr_fds > max)
		return refuse(reason, "%s: %u file descriptors, not %s%u", rule->name, message->nr_fds,
			      min == max ? "" : "up to ", max);
	return 0;
}

int message_check(const struct message *message, uint64_t protocol_features, bool enabling, struct reason *reason)
{
	const struct rule *rule = rule_of(message->header.request);

	if (message_check_header(&message->header, reason))
		return -1;
	if (rule->feature == ENABLING ? !enabling :
	    rule->feature != ALWAYS && !(protocol_features & 1ull << rule->feature))
		return refuse(reason, "%s: the feature that it belongs to is not agreed upon", rule->name);
	if (check_length(message, rule, reason))
		return -1;
	return check_fds(message, rule, reason);
}

int message_take_fd(struct message *message)
{
	int fd;

	if (!message->nr_fds)
		return -1;
	fd = message->fds[0];
	message->fds[0] = -1;
	return fd;
}

void message_drop(struct message *message)
{
	for (unsigned int i = 0; i < message->nr_fds; i++)
		if (message->fds[i] >= 0)
			close(message->fds[i]);
	message->nr_fds = 0;
}
