// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "inject.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report.h"

#define DEBUGFS "/sys/kernel/debug"
/* The kernel counts down from it. */
#define MANY 1000000000ul

static const char *const folders[] = { "failslab", "fail_page_alloc", "fail_usercopy", "fail_make_request" };

const char *inject_name(enum inject_kind kind)
{
	return folders[kind];
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail_errno("can not write \"%s\" to %s", text, path);
	close(fd);
}

static unsigned long read_number(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		fail_errno("can not read %s", path);
	close(fd);
	return strtoul(text, NULL, 0);
}

static void set(enum inject_kind kind, const char *name, unsigned long long value)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), DEBUGFS "/%s/%s", folders[kind], name);
	snprintf(text, sizeof(text), "%#llx", value);
	write_text(path, text);
}

/* A switch takes a letter, not a number. */
static void set_off(enum inject_kind kind, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), DEBUGFS "/%s/%s", folders[kind], name);
	write_text(path, "N");
}

static unsigned long get(enum inject_kind kind, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), DEBUGFS "/%s/%s", folders[kind], name);
	return read_number(path);
}

/* Where the module's code lies: its other parts lie elsewhere, or behind it, where nothing runs. */
static void find_module(uint64_t *start, uint64_t *end)
{
	FILE *modules = fopen("/proc/modules", "re");
	unsigned long long address;
	unsigned long bytes;
	char line[512];

	while (modules && fgets(line, sizeof(line), modules)) {
		if (sscanf(line, "vhost_blk %lu %*u %*s %*s %llx", &bytes, &address) != 2)
			continue;
		fclose(modules);
		if (!address)
			skip("/proc/modules does not tell where the module is");
		*start = address;
		*end = address + bytes;
		return;
	}
	skip("vhost_blk is not a module here");
}

static bool is_there(enum inject_kind kind)
{
	char path[128];

	snprintf(path, sizeof(path), DEBUGFS "/%s/require-start", folders[kind]);
	return !access(path, W_OK);
}

/* Faults of @kind are off, and once on they are for what runs in this part of the kernel. */
static void confine(enum inject_kind kind, uint64_t start, uint64_t end)
{
	set(kind, "probability", 0);
	set(kind, "require-start", start);
	set(kind, "require-end", end);
}

static void confine_others(enum inject_kind kind, uint64_t start, uint64_t end)
{
	for (unsigned other = 0; other < sizeof(folders) / sizeof(folders[0]); other++)
		if (other != kind && is_there(other))
			confine(other, start, end);
}

static void switch_off(void *argument)
{
	enum inject_kind kind = (uintptr_t)argument;

	confine(kind, 0, UINT64_MAX);
	confine_others(kind, 0, UINT64_MAX);
}

void inject_prepare(enum inject_kind kind)
{
	uint64_t start, end;

	if (!is_there(kind))
		skip("no " DEBUGFS "/%s: this kernel makes no such faults, or debugfs is not mounted", folders[kind]);
	find_module(&start, &end);
	at_end(switch_off, (void *)(uintptr_t)kind);
	confine(kind, start, end);
	/* inject_nth() means any kind, so the others are for where nothing runs. */
	confine_others(kind, 1, 2);
	set(kind, "times", MANY);
	set(kind, "space", 0);
	set(kind, "verbose", 0);
	set_off(kind, "task-filter");
	/* By default only those that may not wait fail, and only large ones. */
	if (kind == INJECT_SLAB || kind == INJECT_PAGES)
		set_off(kind, "ignore-gfp-wait");
	if (kind == INJECT_PAGES) {
		set_off(kind, "ignore-gfp-highmem");
		set(kind, "min-order", 0);
	}
}

void inject_each(enum inject_kind kind, unsigned interval)
{
	set(kind, "interval", interval);
	set(kind, "probability", 100);
}

unsigned long inject_stop(enum inject_kind kind)
{
	set(kind, "probability", 0);
	return MANY - get(kind, "times");
}

void inject_allow_disk(const char *path, bool allowed)
{
	char attribute[128];

	snprintf(attribute, sizeof(attribute), "/sys/block/%s/make-it-fail", strrchr(path, '/') + 1);
	write_text(attribute, allowed ? "1" : "0");
}

#define NTH "/proc/thread-self/fail-nth"

void inject_nth(unsigned nth)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", nth);
	write_text(NTH, text);
}

bool inject_nth_stop(void)
{
	bool done = !read_number(NTH);

	write_text(NTH, "0");
	return done;
}
