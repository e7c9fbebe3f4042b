// SPDX-License-Identifier: GPL-2.0-only
/* Files in memory, and the module's way to them. */
#include <sys/mman.h>

#include "../file.h"
#include "disk.h"

/* Of address space that each has; memory it takes as it is written. */
#define ROOM (512ULL << 20)

enum event_kind { EVENT_WRITE, EVENT_SYNC, EVENT_PUNCH, EVENT_RESIZE };

struct disk_event {
	enum event_kind kind;
	unsigned int time;
	u64 at;
	u64 bytes;
	u8 *data;
};

struct disk *disk_new(const void *data, uint64_t size)
{
	struct disk *disk = calloc(1, sizeof(*disk));

	disk->fail_after = -1;
	disk->block = 512;
	disk->size = size;
	fuzz_assert(size < ROOM);
	disk->data = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	fuzz_assert(disk->data != MAP_FAILED);
	memcpy(disk->data, data, size);
	return disk;
}

struct disk *disk_load(const char *path)
{
	FILE *file = fopen(path, "r");
	struct disk *disk;
	u8 *data = NULL;
	long size = -1;

	if (file && !fseek(file, 0, SEEK_END))
		size = ftell(file);
	if (size >= 0)
		data = malloc(size + 1);
	if (!data || fseek(file, 0, SEEK_SET) || fread(data, 1, size, file) != (size_t)size) {
		perror(path);
		exit(2);
	}
	fclose(file);
	disk = disk_new(data, size);
	free(data);
	return disk;
}

void disk_free(struct disk *disk)
{
	while (disk->nr_events)
		free(disk->events[--disk->nr_events].data);
	free(disk->events);
	free(disk->base);
	munmap(disk->data, ROOM);
	free(disk);
}

int disk_save(const struct disk *disk, const char *path)
{
	FILE *file = fopen(path, "w");
	bool ok = file && fwrite(disk->data, 1, disk->size, file) == disk->size;

	return file && !fclose(file) && ok ? 0 : -1;
}

/* Whole pages go: a file's space is large, and little of it written. */
static void zero(struct disk *disk, u64 at, u64 end)
{
	u64 first = round_up(at, PAGE_SIZE), last = round_down(end, PAGE_SIZE);

	if (first >= last) {
		memset(disk->data + at, 0, end - at);
		return;
	}
	memset(disk->data + at, 0, first - at);
	memset(disk->data + last, 0, end - last);
	fuzz_assert(!madvise(disk->data + first, last - first, MADV_DONTNEED));
}

static void resize(struct disk *disk, u64 size)
{
	fuzz_assert(size < ROOM);
	if (size < disk->size)
		zero(disk, size, disk->size);
	disk->size = size;
}

static void apply(struct disk *disk, const struct disk_event *event)
{
	switch (event->kind) {
	case EVENT_WRITE:
		if (event->at + event->bytes > disk->size)
			resize(disk, event->at + event->bytes);
		memcpy(disk->data + event->at, event->data, event->bytes);
		break;
	case EVENT_PUNCH:
		if (event->at < disk->size)
			zero(disk, event->at, event->at + min(event->bytes, disk->size - event->at));
		break;
	case EVENT_RESIZE:
		resize(disk, event->bytes);
		break;
	case EVENT_SYNC:
		break;
	}
}

static unsigned int time_now;

unsigned int disk_now(void)
{
	return time_now;
}

static void log_event(struct disk *disk, enum event_kind kind, u64 at, u64 bytes, const u8 *data)
{
	struct disk_event event = { kind, ++time_now, at, bytes, (u8 *)data };

	apply(disk, &event);
	if (!disk->logs)
		return;
	if (data) {
		event.data = malloc(bytes);
		memcpy(event.data, data, bytes);
	}
	if (disk->nr_events == disk->room_events) {
		disk->room_events = disk->room_events * 2 + 64;
		disk->events = realloc(disk->events, disk->room_events * sizeof(event));
	}
	disk->events[disk->nr_events++] = event;
}

void disk_log(struct disk *disk)
{
	disk->logs = true;
	disk->base_size = disk->size;
	disk->base = malloc(disk->size + 1);
	memcpy(disk->base, disk->data, disk->size);
}

bool disk_is_synced(const struct disk *disk)
{
	return !disk->nr_events || disk->events[disk->nr_events - 1].kind == EVENT_SYNC;
}

static u64 next_random(u64 *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 33;
}

/* Each sector of a write gets through or not; writes and holes of the same place keep their order only by a sync. */
static void apply_torn(struct disk *disk, const struct disk_event *event, u64 *random)
{
	u64 chance = next_random(random) % 4, done;

	if (event->kind != EVENT_WRITE) {
		if (chance)
			apply(disk, event);
		return;
	}
	for (done = 0; done < event->bytes; done += 512) {
		struct disk_event part = *event;

		part.at += done;
		part.bytes = min(event->bytes - done, (u64)512);
		part.data += done;
		if (chance == 0 || (chance < 3 && next_random(random) & 1))
			continue;
		apply(disk, &part);
	}
}

struct disk *disk_crash(const struct disk *disk, unsigned int until, uint64_t random)
{
	struct disk *after = disk_new(disk->base, disk->base_size);
	unsigned int events = 0, synced = 0, i;

	while (events < disk->nr_events && disk->events[events].time <= until)
		events++;
	for (i = 0; i < events; i++)
		if (disk->events[i].kind == EVENT_SYNC)
			synced = i;
	for (i = 0; i < synced; i++)
		apply(after, &disk->events[i]);
	for (; i < events; i++)
		apply_torn(after, &disk->events[i], &random);
	return after;
}

/* file.h */

u64 qcow2_file_size(const struct qcow2_file *file)
{
	return file->file->disk->size;
}

bool qcow2_file_same(const struct qcow2_file *a, const struct qcow2_file *b)
{
	return a->file->disk == b->file->disk;
}

bool qcow2_file_fits_direct(const struct qcow2_file *file, u64 at, u32 bytes)
{
	return file->block && !((at | bytes) & (file->block - 1));
}

void qcow2_file_close(struct qcow2_file *file)
{
	file->file = NULL;
}

static int fails(struct disk *disk)
{
	if (disk->fail_after < 0)
		return 0;
	return disk->fail_after-- ? 0 : (disk->fail_after = 0, -EIO);
}

ssize_t qcow2_file_move(const struct qcow2_file *file, bool write, bool direct, struct iov_iter *iter, u64 at)
{
	struct disk *disk = file->file->disk;
	u64 bytes = iter->count;

	if (direct)
		fuzz_assert(qcow2_file_fits_direct(file, at, bytes));
	if (write && fails(disk))
		return -EIO;
	if (write) {
		log_event(disk, EVENT_WRITE, at, bytes, iter->memory);
		return bytes;
	}
	if (at >= disk->size)
		return 0;
	bytes = min(bytes, disk->size - at);
	memcpy(iter->memory, disk->data + at, bytes);
	return bytes;
}

bool qcow2_file_is_swap(const struct qcow2_file *file)
{
	return false;
}

long qcow2_file_read_into(const struct qcow2_file *file, const struct bio_vec *vecs, u32 skip, u32 bytes, u64 at)
{
	u8 *memory = (u8 *)vecs->bv_page + skip;
	struct iov_iter iter = { memory, bytes };
	long ret = qcow2_file_move(file, false, false, &iter, at);

	if (ret >= 0)
		memset(memory + ret, 0, bytes - ret);
	return ret;
}

int qcow2_file_write(const struct qcow2_file *file, const struct bio_vec *vecs, u32 bytes, u64 at)
{
	struct iov_iter iter = { (u8 *)vecs->bv_page, bytes };
	long ret = qcow2_file_move(file, true, file->block, &iter, at);

	return ret < 0 ? ret : 0;
}

void qcow2_zero_vecs(const struct bio_vec *vecs, u32 skip, u32 bytes)
{
	memset((u8 *)vecs->bv_page + skip, 0, bytes);
}

unsigned int qcow2_count_vecs(const struct bio_vec *vecs, u64 bytes)
{
	return DIV_ROUND_UP(bytes, PAGE_SIZE);
}

int vfs_fsync(struct file *file, int datasync)
{
	if (fails(file->disk))
		return -EIO;
	log_event(file->disk, EVENT_SYNC, 0, 0, NULL);
	return 0;
}

int vfs_fallocate(struct file *file, int mode, s64 at, s64 bytes)
{
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		log_event(file->disk, EVENT_PUNCH, at, bytes, NULL);
	else if ((u64)(at + bytes) >= ROOM)
		return -ENOSPC;
	else if ((u64)(at + bytes) > file->disk->size)
		log_event(file->disk, EVENT_RESIZE, 0, at + bytes, NULL);
	return 0;
}

int vfs_truncate(const struct path *path, s64 bytes)
{
	log_event(path->file->disk, EVENT_RESIZE, 0, bytes, NULL);
	return 0;
}
