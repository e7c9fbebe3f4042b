// SPDX-License-Identifier: GPL-2.0-only
#include "dirty_log.h"

#include "handlers.h"
#include "rings.h"

/* Bytes of guest memory that one byte of the bitmap is for. */
#define BYTE_COVERS (8ull * 4096)

bool dirty_log_covers(uint64_t bytes, uint64_t gpa, uint64_t length)
{
	if (gpa > UINT64_MAX - length)
		return false;
	return (gpa + length - 1) / BYTE_COVERS < bytes;
}

static int check_memory(uint64_t bytes, const struct memory *memory, struct reason *reason)
{
	uint64_t end = memory_end(memory);

	if (!end || dirty_log_covers(bytes, 0, end))
		return 0;
	return refuse(reason, "memory up to %#llx is not in a log of %llu bytes", (unsigned long long)end,
		      (unsigned long long)bytes);
}

static bool logs(uint64_t features)
{
	return features & 1ull << VHOST_F_LOG_ALL;
}

int dirty_log_check_start(const struct session *session, struct reason *reason)
{
	return logs(session->features) ? check_memory(session->log_bytes, &session->memory, reason) : 0;
}

int dirty_log_check(const struct session *session, uint64_t features, const struct memory *memory,
		    struct reason *reason)
{
	return logs(features) && rings_run(session) ? check_memory(session->log_bytes, memory, reason) : 0;
}

int set_log_base(struct session *session, struct message *message, struct reason *reason)
{
	const struct vu_log *log = &message->payload.log;
	bool logging = logs(session->features) && rings_run(session);
	struct mapping mapping;
	int error;

	if (mapping_make(&mapping, message->fds[0], log->offset, log->bytes, reason))
		return -1;
	if ((logging && check_memory(log->bytes, &session->memory, reason)) ||
	    rings_check_log(session, log->bytes, reason)) {
		mapping_remove(&mapping);
		return -1;
	}
	error = device_set_log_base(&session->bridge->device, mapping.at);
	if (error) {
		mapping_remove(&mapping);
		return refuse_error(reason, error, "the log can not be used");
	}
	/* The kernel does not write to the one before any more. */
	mapping_remove(&session->log);
	session->log = mapping;
	session->log_bytes = log->bytes;
	return session_answer_value(session, message, 0, reason);
}

int set_log_fd(struct session *session, struct message *message, struct reason *reason)
{
	int error = device_set_log_fd(&session->bridge->device, message->fds[0]);

	return error ? refuse_error(reason, error, "it is no eventfd") : 0;
}
