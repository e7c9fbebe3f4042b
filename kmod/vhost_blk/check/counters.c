// SPDX-License-Identifier: GPL-2.0-only
#include "counters.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report.h"

#define DEBUGFS "/sys/kernel/debug"
#define FOLDER DEBUGFS "/vhost_blk"
#define TRACEFS "/sys/kernel/tracing"
#define INSTANCE TRACEFS "/instances/vhost-blk-check"

void counters_require(void)
{
	if (!access(FOLDER, R_OK | X_OK))
		return;
	if (mount("debugfs", DEBUGFS, "debugfs", 0, NULL) && errno != EBUSY)
		skip("debugfs can not be mounted: %s", strerror(errno));
	if (access(FOLDER, R_OK | X_OK))
		fail("expected %s, saw none", FOLDER);
}

static bool read_text(const char *path, char *text, size_t size)
{
	FILE *file = fopen(path, "re");
	size_t got;
	bool whole;

	if (!file)
		return false;
	got = fread(text, 1, size - 1, file);
	whole = !ferror(file);
	fclose(file);
	text[got] = 0;
	return whole;
}

bool counters_find(unsigned queue, struct counters *counters)
{
	char prefix[32], path[512];
	struct dirent *entry;
	bool found = false;
	DIR *folder = opendir(FOLDER);

	if (!folder)
		return false;
	snprintf(prefix, sizeof(prefix), "%d-", getpid());
	while (!found && (entry = readdir(folder))) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)))
			continue;
		snprintf(path, sizeof(path), FOLDER "/%s/vq%u", entry->d_name, queue);
		found = read_text(path, counters->text, sizeof(counters->text));
	}
	closedir(folder);
	return found;
}

void counters_read(unsigned queue, struct counters *counters)
{
	if (!counters_find(queue, counters))
		fail("expected counters of queue %u in " FOLDER ", saw none", queue);
}

static const char *find(const struct counters *counters, const char *name)
{
	size_t length = strlen(name);

	for (const char *line = counters->text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, name, length) && line[length] == ' ')
			return line + length + 1;
	}
	fail("expected a counter %s, saw none", name);
}

unsigned long long counters_get(const struct counters *counters, const char *name)
{
	const char *value = find(counters, name);
	char *end;
	unsigned long long number = strtoull(value, &end, 10);

	if (end == value || *end != '\n')
		fail("expected a number as %s, saw another thing", name);
	return number;
}

void counters_word(const struct counters *counters, const char *name, char *word, unsigned size)
{
	snprintf(word, size, "%.*s", (int)strcspn(find(counters, name), "\n"), find(counters, name));
}

unsigned long long counters_latencies(const struct counters *counters)
{
	unsigned long long sum = counters_get(counters, "latency_us_0");
	char name[32];

	for (unsigned bit = 0; bit <= 22; bit++) {
		snprintf(name, sizeof(name), "latency_us_%lu", 1ul << bit);
		sum += counters_get(counters, name);
	}
	return sum;
}

unsigned parameter_get(const char *name)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), "/sys/module/vhost_blk/parameters/%s", name);
	if (!read_text(path, text, sizeof(text)))
		fail_errno("can not read %s", path);
	return (unsigned)strtoul(text, NULL, 10);
}

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t written;

	if (fd < 0)
		return -1;
	/* An empty value is a line, too. */
	written = text[0] ? write(fd, text, strlen(text)) : write(fd, "\n", 1);
	close(fd);
	return written < 0 ? -1 : 0;
}

int parameter_set(const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/vhost_blk/parameters/%s", name);
	return write_text(path, value);
}

void trace_begin(void)
{
	if (access(TRACEFS "/instances", F_OK) && mount("tracefs", TRACEFS, "tracefs", 0, NULL))
		skip("tracefs can not be mounted: %s", strerror(errno));
	/* One that a check before this left behind. */
	trace_end();
	if (mkdir(INSTANCE, 0700))
		skip("no tracing instance can be made: %s", strerror(errno));
	if (write_text(INSTANCE "/events/vhost_blk/enable", "1"))
		fail_errno("the tracepoints can not be enabled");
}

unsigned trace_count(const char *event, const char *text)
{
	FILE *file = fopen(INSTANCE "/trace", "re");
	unsigned count = 0;
	char line[512];

	if (!file)
		fail_errno("can not read " INSTANCE "/trace");
	while (fgets(line, sizeof(line), file))
		count += strstr(line, event) && strstr(line, text);
	fclose(file);
	return count;
}

void trace_end(void)
{
	write_text(INSTANCE "/events/vhost_blk/enable", "0");
	rmdir(INSTANCE);
}
