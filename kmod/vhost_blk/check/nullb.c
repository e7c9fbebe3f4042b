// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "nullb.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report.h"

#define CONFIG_FOLDER "/sys/kernel/config/nullb"

/* Returns 0 or -1 with errno. */
static int set(const struct nullb *nullb, const char *name, const char *value)
{
	char path[128];
	int fd, result;

	snprintf(path, sizeof(path), "%s/%s", nullb->folder, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	result = write(fd, value, strlen(value)) == (ssize_t)strlen(value) ? 0 : -1;
	close(fd);
	return result;
}

static void set_all(const struct nullb *nullb, const char *settings)
{
	char *copy = strdup(settings), *rest = NULL;

	for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		char *value = strchr(word, '=');

		*value++ = '\0';
		if (set(nullb, word, value)) {
			int error = errno;

			rmdir(nullb->folder);
			skip("null_blk knows no %s=%s: %s", word, value, strerror(error));
		}
	}
	free(copy);
}

/* Newer kernels name the disk after its folder, older ones by a number. */
static void find_path(struct nullb *nullb)
{
	char path[128], number[16] = "";
	int fd;

	snprintf(nullb->disk.path, sizeof(nullb->disk.path), "/dev/%s", strrchr(nullb->folder, '/') + 1);
	if (!access(nullb->disk.path, F_OK))
		return;
	snprintf(path, sizeof(path), "%s/index", nullb->folder);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, number, sizeof(number) - 1) <= 0)
		fail_errno("can not read %s", path);
	close(fd);
	snprintf(nullb->disk.path, sizeof(nullb->disk.path), "/dev/nullb%d", atoi(number));
}

void nullb_create(struct nullb *nullb, const char *settings)
{
	char path[sizeof(nullb->disk.path)];

	memset(nullb, 0, sizeof(*nullb));
	if (access(CONFIG_FOLDER, F_OK))
		skip("no null_blk with configfs here");
	snprintf(nullb->folder, sizeof(nullb->folder), CONFIG_FOLDER "/check%d", (int)getpid());
	if (mkdir(nullb->folder, 0755))
		fail_errno("can not make %s", nullb->folder);
	set_all(nullb, "memory_backed=1 size=64");
	set_all(nullb, settings);
	if (set(nullb, "power", "1"))
		fail_errno("can not start %s", nullb->folder);
	find_path(nullb);
	memcpy(path, nullb->disk.path, sizeof(path));
	disk_use(&nullb->disk, path, true);
}

void nullb_remove(struct nullb *nullb)
{
	if (set(nullb, "power", "0"))
		fail_errno("can not stop %s", nullb->folder);
}

void nullb_destroy(struct nullb *nullb)
{
	close(nullb->disk.fd);
	close(nullb->disk.content);
	set(nullb, "power", "0");
	rmdir(nullb->folder);
}
