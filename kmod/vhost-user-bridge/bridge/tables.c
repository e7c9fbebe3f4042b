// SPDX-License-Identifier: GPL-2.0-only
/* The messages that change the guest's memory. */
#include <stdlib.h>

#include "dirty_log.h"
#include "handlers.h"
#include "rings.h"

/* Tells the kernel. Return: 0, or -1 with @reason. */
static int use(struct session *session, const struct memory *memory, struct reason *reason)
{
	struct vhost_memory *table = malloc(sizeof(*table) + MEMORY_SLOTS * sizeof(table->regions[0]));
	int error;

	if (!table)
		return refuse(reason, "out of memory");
	memory_tell(memory, table);
	error = device_set_memory(&session->bridge->device, table);
	free(table);
	return error ? refuse_error(reason, error, "the memory can not be used") : 0;
}

/*
 * Goes over from the session's memory to @next, and unmaps what goes. While parts of the memory go away nothing may be in
 * flight, since the answers of requests are written where they began. Return: 0, or -1 with @reason.
 */
static int go_over(struct session *session, struct memory *next, struct reason *reason)
{
	bool pause = memory_drops(next, &session->memory);
	int ret;

	if (dirty_log_check(session, session->features, next, reason) ||
	    rings_check_memory(session, next, &pause, reason) || (pause && rings_pause(session, reason))) {
		memory_clear(next);
		return -1;
	}
	ret = use(session, next, reason);
	if (!ret)
		memory_replace(next, &session->memory);
	if (pause && rings_resume(session, reason))
		ret = -1;
	memory_clear(next);
	return ret;
}

int set_mem_table(struct session *session, struct message *message, struct reason *reason)
{
	struct memory *next = malloc(sizeof(*next));
	int ret;

	if (!next)
		return refuse(reason, "out of memory");
	ret = memory_make(next, &session->memory, &message->payload.memory, message->fds, reason);
	if (!ret)
		ret = go_over(session, next, reason);
	free(next);
	return ret;
}

int add_mem_reg(struct session *session, struct message *message, struct reason *reason)
{
	struct memory *memory = &session->memory;

	if (memory_add(memory, &message->payload.one_region.region, message->fds[0], reason))
		return -1;
	if (!dirty_log_check(session, session->features, memory, reason) && !use(session, memory, reason))
		return 0;
	memory_remove_last(memory);
	return -1;
}

int rem_mem_reg(struct session *session, struct message *message, struct reason *reason)
{
	const struct vu_region *region = &message->payload.one_region.region;
	struct memory *next = malloc(sizeof(*next));
	int ret;

	if (!next)
		return refuse(reason, "out of memory");
	if (memory_without(next, &session->memory, region))
		ret = go_over(session, next, reason);
	else
		ret = refuse(reason, "there is no such memory at %#llx", (unsigned long long)region->gpa);
	free(next);
	return ret;
}

int get_max_mem_slots(struct session *session, struct message *message, struct reason *reason)
{
	return session_answer_value(session, message, MEMORY_SLOTS, reason);
}
