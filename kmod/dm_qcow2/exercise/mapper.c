// SPDX-License-Identifier: GPL-2.0-only
/* The device mapper's ioctls (linux/dm-ioctl.h) for any target. */
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "mapper.h"

/* A call with what follows its head: a target's type and arguments, or a message. */
struct call {
	struct dm_ioctl head;
	union {
		struct {
			struct dm_target_spec spec;
			char arguments[1024];
		};
		struct {
			struct dm_target_msg to;
			char message[1024];
		};
	};
};

static int run(const char *name, unsigned long request, struct call *call)
{
	static int control = -1;
	int error;

	if (control < 0)
		control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	call->head.version[0] = DM_VERSION_MAJOR;
	call->head.version[1] = 0;
	call->head.data_size = sizeof(*call);
	call->head.data_start = offsetof(struct call, spec);
	snprintf(call->head.name, sizeof(call->head.name), "%s", name);
	error = ioctl(control, request, call);
	if (error)
		fprintf(stderr, "device mapper, call %lu on %s: %s\n", request & 0xff, name, strerror(errno));
	return error ? -1 : 0;
}

static int load(const char *name, uint64_t sectors, const char *type, const char *arguments)
{
	struct call call = { .head.target_count = 1, .spec.length = sectors };

	snprintf(call.spec.target_type, sizeof(call.spec.target_type), "%s", type);
	snprintf(call.arguments, sizeof(call.arguments), "%s", arguments);
	return run(name, DM_TABLE_LOAD, &call);
}

static int node_path(const char *name, char *path, size_t room)
{
	return snprintf(path, room, "/dev/mapper/%s", name) < (int)room ? 0 : -1;
}

int mapper_create(const char *name, uint64_t sectors, const char *type, const char *arguments)
{
	struct call create = { 0 }, start = { 0 };
	char path[256];

	if (node_path(name, path, sizeof(path)) || run(name, DM_DEV_CREATE, &create))
		return -1;
	if (load(name, sectors, type, arguments) || run(name, DM_DEV_SUSPEND, &start)) {
		mapper_remove(name);
		return -1;
	}
	unlink(path);
	if (!mknod(path, S_IFBLK | 0600, makedev(major(start.head.dev), minor(start.head.dev))))
		return 0;
	perror(path);
	return -1;
}

int mapper_replace(const char *name, uint64_t sectors, const char *type, const char *arguments)
{
	struct call stop = { .head.flags = DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG | DM_NOFLUSH_FLAG };

	if (load(name, sectors, type, arguments) || run(name, DM_DEV_SUSPEND, &stop))
		return -1;
	return mapper_resume(name);
}

int mapper_remove(const char *name)
{
	struct call call = { 0 };
	char path[256];

	if (node_path(name, path, sizeof(path)) || run(name, DM_DEV_REMOVE, &call))
		return -1;
	unlink(path);
	return 0;
}

int mapper_message(const char *name, const char *text)
{
	struct call call = { 0 };

	snprintf(call.message, sizeof(call.message), "%s", text);
	return run(name, DM_TARGET_MSG, &call);
}

int mapper_suspend(const char *name)
{
	struct call call = { .head.flags = DM_SUSPEND_FLAG };

	return run(name, DM_DEV_SUSPEND, &call);
}

int mapper_resume(const char *name)
{
	struct call call = { 0 };

	return run(name, DM_DEV_SUSPEND, &call);
}
