// SPDX-License-Identifier: GPL-2.0-only
/* The device mapper's ioctls (linux/dm-ioctl.h). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "dm.h"
#include "node.h"
#include "say.h"

/* The version whose interface is used; any of the same major number has it. */
#define INTERFACE_MINOR 27
#define ANSWER_BYTES 65536

#define UUID_PREFIX "BLKFLEET-QCOW2-"

/* A call and room for its answer, as one piece of memory. */
union call {
	struct dm_ioctl head;
	char bytes[ANSWER_BYTES];
};

static int control = -1;

static int open_control(void)
{
	if (control >= 0)
		return 0;
	control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	if (control >= 0)
		return 0;
	say("/dev/mapper/control: %s", strerror(errno));
	return -1;
}

static union call *new_call(const char *name)
{
	union call *call = open_control() ? NULL : calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->head.version[0] = DM_VERSION_MAJOR;
	call->head.version[1] = INTERFACE_MINOR;
	call->head.data_size = sizeof(*call);
	call->head.data_start = sizeof(call->head);
	snprintf(call->head.name, sizeof(call->head.name), "%s", name);
	return call;
}

/* Ends a call that needs no answer. */
static int finish(union call *call, const char *name, unsigned long request, const char *what)
{
	int error = ioctl(control, request, call);

	if (error)
		say("%s: %s: %s", name, what, strerror(errno));
	free(call);
	return error;
}

static int create(const char *name)
{
	union call *call = new_call(name);

	if (!call)
		return -1;
	snprintf(call->head.uuid, sizeof(call->head.uuid), UUID_PREFIX "%s", name);
	return finish(call, name, DM_DEV_CREATE, "can not be created");
}

static int load(const char *name, uint64_t sectors, const char *table, bool read_only)
{
	union call *call = new_call(name);
	struct dm_target_spec *spec;

	if (!call)
		return -1;
	spec = (struct dm_target_spec *)(call->bytes + call->head.data_start);
	call->head.target_count = 1;
	if (read_only)
		call->head.flags |= DM_READONLY_FLAG;
	spec->length = sectors;
	strcpy(spec->target_type, DM_TARGET);
	if (strlen(table) >= sizeof(call->bytes) - call->head.data_start - sizeof(*spec)) {
		say("%s: the table is too long", name);
		free(call);
		return -1;
	}
	strcpy((char *)(spec + 1), table);
	return finish(call, name, DM_TABLE_LOAD, "the kernel refuses the image, dmesg tells why");
}

/* A call after which udev makes or removes the device file. */
static int change(const char *name, unsigned long request, const char *what, uint64_t *dev)
{
	union call *call = new_call(name);
	struct node_wait wait;
	int error;

	if (!call)
		return -1;
	node_wait_begin(&wait);
	call->head.event_nr = wait.event_nr;
	error = ioctl(control, request, call);
	if (error)
		say("%s: %s: %s", name, what, strerror(errno));
	else if (dev)
		*dev = call->head.dev;
	node_wait_end(&wait, !error && call->head.flags & DM_UEVENT_GENERATED_FLAG);
	free(call);
	return error;
}

int dm_attach(const char *name, uint64_t sectors, const char *table, bool read_only, char *path, size_t room)
{
	uint64_t dev;

	if (create(name))
		return -1;
	if (load(name, sectors, table, read_only) || change(name, DM_DEV_SUSPEND, "can not be started", &dev)) {
		change(name, DM_DEV_REMOVE, "can not be removed", NULL);
		return -1;
	}
	if (!node_find(name, dev, path, room))
		return 0;
	change(name, DM_DEV_REMOVE, "can not be removed", NULL);
	return -1;
}

/* The state of a device, its text as @flags ask for; 1: it is none of ours. */
static int read_text(const char *name, uint32_t flags, struct dm_state *state)
{
	union call *call = new_call(name);
	struct dm_target_spec *spec;
	int ret = 1;

	if (!call)
		return -1;
	call->head.flags |= flags;
	if (ioctl(control, DM_TABLE_STATUS, call)) {
		say("%s: %s", name, strerror(errno));
		free(call);
		return -1;
	}
	spec = (struct dm_target_spec *)(call->bytes + call->head.data_start);
	if (call->head.target_count == 1 && !(call->head.flags & DM_BUFFER_FULL_FLAG) &&
	    !strncmp(spec->target_type, DM_TARGET, sizeof(spec->target_type))) {
		*state = (struct dm_state){
			.dev = call->head.dev,
			.sectors = spec->length,
			.read_only = call->head.flags & DM_READONLY_FLAG,
			.suspended = call->head.flags & DM_SUSPEND_FLAG,
			.open_count = call->head.open_count,
		};
		snprintf(state->name, sizeof(state->name), "%s", name);
		snprintf(state->text, sizeof(state->text), "%s", (char *)(spec + 1));
		ret = 0;
	}
	free(call);
	return ret;
}

static int read_state(const char *name, struct dm_state *state)
{
	return read_text(name, 0, state);
}

/* The same, with a word about what is no device of ours. Return: 0 or -1. */
static int read_ours(const char *name, uint32_t flags, struct dm_state *state)
{
	int ret = read_text(name, flags, state);

	if (ret > 0)
		say("%s: not a device of the target " DM_TARGET, name);
	return ret ? -1 : 0;
}

static int check_ours(const char *name)
{
	struct dm_state state;

	return read_ours(name, 0, &state);
}

int dm_detach(const char *name)
{
	if (check_ours(name) || change(name, DM_DEV_REMOVE, "can not be detached", NULL))
		return -1;
	node_forget(name);
	return 0;
}

int dm_suspend(const char *name)
{
	union call *call = check_ours(name) ? NULL : new_call(name);

	if (!call)
		return -1;
	call->head.flags |= DM_SUSPEND_FLAG;
	return finish(call, name, DM_DEV_SUSPEND, "can not be suspended");
}

int dm_resume(const char *name)
{
	return check_ours(name) || change(name, DM_DEV_SUSPEND, "can not be resumed, dmesg tells why", NULL) ? -1 : 0;
}

int dm_state_of(const char *name, struct dm_state *state)
{
	return read_ours(name, 0, state);
}

int dm_table_of(const char *name, struct dm_state *state)
{
	return read_ours(name, DM_STATUS_TABLE_FLAG, state);
}

int dm_send(const char *name, const char *text, char *answer, size_t room)
{
	union call *call = new_call(name);
	struct dm_target_msg *message;
	int error = 0;

	if (!call)
		return -ENOMEM;
	message = (struct dm_target_msg *)(call->bytes + call->head.data_start);
	message->sector = 0;
	snprintf(message->message, ANSWER_BYTES / 2, "%s", text);
	if (ioctl(control, DM_TARGET_MSG, call))
		error = -errno;
	if (room)
		snprintf(answer, room, "%s",
			 !error && call->head.flags & DM_DATA_OUT_FLAG ? call->bytes + call->head.data_start : "");
	free(call);
	return error;
}

/* A message that has to be taken. */
static int send(const char *name, const char *text, const char *what, char *answer, size_t room)
{
	int error = dm_send(name, text, answer, room);

	if (error)
		say("%s: %s: %s", name, what, strerror(-error));
	return error ? -1 : 0;
}

int dm_message(const char *name, const char *text)
{
	char answer[4096];

	if (check_ours(name) || send(name, text, "the message is refused", answer, sizeof(answer)))
		return -1;
	if (*answer)
		puts(answer);
	return 0;
}

int dm_reload(const char *name, const char *table)
{
	struct dm_state state;

	if (dm_state_of(name, &state) || load(name, state.sectors, table, state.read_only))
		return -1;
	return change(name, DM_DEV_SUSPEND, "can not be resumed, dmesg tells why", NULL);
}

int dm_grow(const char *name, uint64_t sectors)
{
	struct dm_state state;
	char text[64];

	if (dm_state_of(name, &state))
		return -1;
	snprintf(text, sizeof(text), "grow %llu", (unsigned long long)sectors);
	/* The image first, then a table of that length with the files that the device has. */
	if (send(name, text, "its image can not grow, dmesg tells why", NULL, 0) ||
	    load(name, sectors, "live", state.read_only))
		return -1;
	return change(name, DM_DEV_SUSPEND, "can not be resumed, dmesg tells why", NULL);
}

static int show_one(const char *name, bool must, void (*show)(const struct dm_state *state))
{
	struct dm_state state;
	int ret = must ? read_ours(name, 0, &state) : read_state(name, &state);

	if (!ret)
		show(&state);
	return ret < 0 ? -1 : 0;
}

int dm_each(const char *name, void (*show)(const struct dm_state *state))
{
	union call *call;
	struct dm_name_list *entry;
	int error = 0;

	if (name)
		return show_one(name, true, show);
	call = new_call("");
	if (!call)
		return -1;
	error = ioctl(control, DM_LIST_DEVICES, call);
	if (error)
		say("devices can not be listed: %s", strerror(errno));
	entry = (struct dm_name_list *)(call->bytes + call->head.data_start);
	while (!error && entry->dev) {
		error = show_one(entry->name, false, show);
		if (!entry->next)
			break;
		entry = (struct dm_name_list *)((char *)entry + entry->next);
	}
	free(call);
	return error;
}
