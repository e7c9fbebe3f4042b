// SPDX-License-Identifier: GPL-2.0-only
#include "mapper.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "disk.h"
#include "report.h"

#define CONTROL "/dev/mapper/control"
#define COMMAND_BYTES 16384u
#define GONE_MS 30000u

struct command {
	struct dm_ioctl head;
	char parts[COMMAND_BYTES - sizeof(struct dm_ioctl)];
};

static int run(const char *name, unsigned long request, unsigned flags, struct command *command)
{
	int fd = open(CONTROL, O_RDWR | O_CLOEXEC), result, error;

	if (fd < 0)
		return -1;
	command->head.version[0] = DM_VERSION_MAJOR;
	command->head.data_size = sizeof(*command);
	command->head.data_start = sizeof(command->head);
	command->head.flags = flags;
	snprintf(command->head.name, sizeof(command->head.name), "%s", name);
	result = ioctl(fd, request, command);
	error = errno;
	close(fd);
	errno = error;
	return result;
}

static int simple(const char *name, unsigned long request, unsigned flags)
{
	struct command command = { 0 };

	return run(name, request, flags, &command);
}

static void fill(struct command *command, const struct mapper_part *parts, unsigned count)
{
	uint64_t start = 0;
	char *to = command->parts;

	command->head.target_count = count;
	for (unsigned i = 0; i < count; i++) {
		struct dm_target_spec *spec = (struct dm_target_spec *)to;
		size_t bytes = (sizeof(*spec) + strlen(parts[i].parameters) + 1 + 7) & ~(size_t)7;

		if (bytes > (size_t)(command->parts + sizeof(command->parts) - to))
			fail("the check itself is wrong: table of %u parts", count);
		spec->sector_start = start;
		spec->length = parts[i].sectors;
		spec->next = (__u32)bytes;
		snprintf(spec->target_type, sizeof(spec->target_type), "%s", parts[i].target);
		strcpy((char *)(spec + 1), parts[i].parameters);
		start += parts[i].sectors;
		to += bytes;
	}
}

static void load(const char *name, const struct mapper_part *parts, unsigned count)
{
	struct command *command = calloc(1, sizeof(*command));

	if (!command)
		fail("out of memory");
	fill(command, parts, count);
	if (run(name, DM_TABLE_LOAD, 0, command)) {
		/* The kernel says so, too, when it has no such target. */
		if (errno == EINVAL)
			skip("the device mapper takes no table with \"%s\"", parts[0].target);
		fail_errno("DM_TABLE_LOAD of %s", name);
	}
	free(command);
}

static void forget(void *argument)
{
	const struct mapper *mapper = argument;

	/* Not suspended: else whoever waits for it waits for ever. */
	simple(mapper->name, DM_DEV_SUSPEND, 0);
	simple(mapper->name, DM_DEV_REMOVE, DM_DEFERRED_REMOVE);
}

void mapper_create(struct mapper *mapper, const char *name, const struct mapper_part *parts, unsigned count)
{
	struct command command;

	memset(mapper, 0, sizeof(*mapper));
	snprintf(mapper->name, sizeof(mapper->name), "vhost-blk-check-%s-%d", name, (int)getpid());
	for (unsigned i = 0; i < count; i++)
		mapper->sectors += parts[i].sectors;
	if (access(CONTROL, F_OK))
		skip("no " CONTROL ": the kernel has no device mapper, or its module is not loaded");
	/* The last user of one that is to go may take a moment. */
	for (unsigned waited = 0;; waited++) {
		memset(&command, 0, sizeof(command));
		if (!run(mapper->name, DM_DEV_CREATE, 0, &command))
			break;
		if (errno != EBUSY || waited > GONE_MS)
			fail_errno("DM_DEV_CREATE of %s", mapper->name);
		usleep(1000);
	}
	mapper->minor = (command.head.dev & 0xff) | (command.head.dev >> 12 & 0xfff00);
	at_end(forget, mapper);
	load(mapper->name, parts, count);
	mapper_resume(mapper);
	snprintf(mapper->path, sizeof(mapper->path), "/dev/dm-%u", mapper->minor);
	mapper->fd = open(mapper->path, O_RDWR | O_CLOEXEC);
	if (mapper->fd < 0)
		fail_errno("can not open %s", mapper->path);
}

void mapper_delay(struct mapper *mapper, const struct disk *disk, unsigned ms)
{
	struct mapper_part part = { .sectors = disk->bytes / SECTOR, .target = "delay" };

	snprintf(part.parameters, sizeof(part.parameters), "%s 0 %u", disk->path, ms);
	mapper_create(mapper, "slow", &part, 1);
}

unsigned mapper_delayed(const struct mapper *mapper)
{
	struct command *command = calloc(1, sizeof(*command));
	unsigned reads, writes;
	const char *status;

	if (!command)
		fail("out of memory");
	if (run(mapper->name, DM_TABLE_STATUS, 0, command))
		fail_errno("DM_TABLE_STATUS of %s", mapper->name);
	status = command->parts + sizeof(struct dm_target_spec);
	command->parts[sizeof(command->parts) - 1] = '\0';
	if (sscanf(status, "%u %u", &reads, &writes) != 2)
		fail("expected \"READS WRITES\" as the status of %s, saw \"%.64s\"", mapper->name, status);
	free(command);
	return reads + writes;
}

void mapper_suspend(const struct mapper *mapper)
{
	if (simple(mapper->name, DM_DEV_SUSPEND, DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG))
		fail_errno("suspending %s", mapper->name);
}

void mapper_replace(const struct mapper *mapper, const struct mapper_part *parts, unsigned count)
{
	load(mapper->name, parts, count);
}

void mapper_resume(const struct mapper *mapper)
{
	if (simple(mapper->name, DM_DEV_SUSPEND, 0))
		fail_errno("resuming %s", mapper->name);
}

static void read_numbers(const struct mapper *mapper, const char *what, uint64_t *numbers, unsigned count)
{
	char path[64], text[256], *at_number = text;
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/sys/block/dm-%u/%s", mapper->minor, what);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail_errno("can not open %s", path);
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[got > 0 ? got : 0] = '\0';
	for (unsigned i = 0; i < count; i++)
		numbers[i] = strtoull(at_number, &at_number, 10);
}

struct mapper_done mapper_done(const struct mapper *mapper)
{
	uint64_t stat[9];

	read_numbers(mapper, "stat", stat, 9);
	return (struct mapper_done){
		.reads = stat[0], .read_sectors = stat[2], .writes = stat[4], .written_sectors = stat[6],
	};
}

void mapper_remove(struct mapper *mapper)
{
	close(mapper->fd);
	not_at_end(forget, mapper);
	forget(mapper);
}
