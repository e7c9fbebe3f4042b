// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "dirty_log.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "report.h"

void dirty_log_create(struct dirty_log *log)
{
	log->room = mmap(NULL, LOG_BYTES + 2 * LOG_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (log->room == MAP_FAILED)
		fail_errno("can not map a log");
	log->bits = log->room + LOG_PAGE;
	log->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (log->event < 0)
		fail_errno("eventfd");
}

bool dirty_log_is_set(const struct dirty_log *log, uint64_t gpa)
{
	return log->bits[gpa / LOG_PAGE / 8] >> (gpa / LOG_PAGE % 8) & 1;
}

unsigned dirty_log_count(const struct dirty_log *log)
{
	unsigned count = 0;

	for (size_t i = 0; i < LOG_BYTES; i++)
		count += (unsigned)__builtin_popcount(log->bits[i]);
	return count;
}

void snapshot_take(struct snapshot *snapshot, const struct memory *memory)
{
	for (unsigned i = 0; i < MEMORY_REGIONS; i++) {
		snapshot->region[i] = malloc(memory->region[i].bytes);
		if (!snapshot->region[i])
			fail("out of memory");
		memcpy(snapshot->region[i], memory->region[i].hva, memory->region[i].bytes);
	}
}

void snapshot_free(struct snapshot *snapshot)
{
	for (unsigned i = 0; i < MEMORY_REGIONS; i++)
		free(snapshot->region[i]);
}

static bool is_used_ring(const struct guest *guest, const char *page)
{
	const char *from = (const char *)guest->ring[0].used;
	const char *to = from + sizeof(struct vring_used) + guest->ring[0].num * sizeof(struct vring_used_elem) + 2;

	return page < to && from < page + LOG_PAGE;
}

unsigned dirty_log_expect_changes(const struct guest *guest, const struct snapshot *before, const struct dirty_log *log,
				  bool rings)
{
	unsigned changes = 0, marked = dirty_log_count(log), expected = 0;

	for (unsigned i = 0; i < MEMORY_REGIONS; i++) {
		const struct memory_region *region = &guest->memory.region[i];

		for (size_t at = 0; at < region->bytes; at += LOG_PAGE) {
			bool changed = memcmp(region->hva + at, before->region[i] + at, LOG_PAGE) != 0;
			bool wanted = changed && (rings || !is_used_ring(guest, region->hva + at));

			if (dirty_log_is_set(log, region->gpa + at) != wanted)
				fail("page %#llx %s, expected it to be %s, saw the opposite",
				     (unsigned long long)(region->gpa + at), changed ? "changed" : "did not change",
				     wanted ? "marked" : "left alone");
			changes += changed;
			expected += wanted;
		}
	}
	if (marked != expected)
		fail("expected %u bits, saw %u: some are of no page of the guest", expected, marked);
	for (unsigned i = 0; i < LOG_PAGE; i++)
		if (log->room[i] || log->bits[LOG_BYTES + i])
			fail("expected the memory round the log to be left alone, saw it written");
	return changes;
}

void dirty_log_expect_event(const struct dirty_log *log)
{
	struct pollfd wait_for = { .fd = log->event, .events = POLLIN };
	uint64_t count;

	if (poll(&wait_for, 1, COMPLETION_MS) != 1 || read(log->event, &count, sizeof(count)) != sizeof(count))
		fail("expected the log's eventfd to be signalled, saw nothing");
}
