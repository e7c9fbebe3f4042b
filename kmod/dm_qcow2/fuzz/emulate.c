// SPDX-License-Identifier: GPL-2.0-only
/* What stands in for request.c, memory.c, buffer.c, unpack.c and table.c. */
#include <sanitizer/asan_interface.h>
#include <sys/mman.h>
#ifdef HAVE_ZLIB
#include <zlib.h>
#endif

#include "emulate.h"

bool fuzz_verbose;

static struct task_struct thread;
struct task_struct *current = &thread;

/* In the order in which they came; one of a device's writer, and one of the writer below it when it merges. */
static struct delayed_work *due[8];
static unsigned int nr_due;

void fuzz_failed(const char *condition, const char *file, int line)
{
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
	abort();
}

bool fuzz_cancel_work(struct delayed_work *work)
{
	unsigned int i, kept = 0, before = nr_due;

	for (i = 0; i < nr_due; i++)
		if (due[i] != work)
			due[kept++] = due[i];
	nr_due = kept;
	return kept < before;
}

void fuzz_flush_work(struct delayed_work *work)
{
	if (fuzz_cancel_work(work))
		work->work.run(&work->work);
}

void fuzz_queue_work(struct delayed_work *work)
{
	fuzz_cancel_work(work);
	fuzz_assert(nr_due < ARRAY_SIZE(due));
	due[nr_due++] = work;
}

bool fuzz_run_work(void)
{
	struct delayed_work *work = nr_due ? due[0] : NULL;

	if (!work)
		return false;
	fuzz_cancel_work(work);
	work->work.run(&work->work);
	return true;
}

/*
 * buffer.h: pages between two that nobody may touch. A device has many, and the system takes its time to give them: those
 * that are freed are kept for the next device, and are poisoned until then.
 */

static struct kept {
	u8 *data;
	u32 bytes;
} kept[64];
static unsigned int nr_kept;

static u8 *get_pages(u32 bytes)
{
	unsigned int i;
	u8 *data;

	for (i = 0; i < nr_kept; i++) {
		if (kept[i].bytes != bytes)
			continue;
		data = kept[i].data;
		kept[i] = kept[--nr_kept];
		ASAN_UNPOISON_MEMORY_REGION(data, bytes);
		memset(data, 0, bytes);
		return data;
	}
	data = mmap(NULL, bytes + 2 * PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (data == MAP_FAILED || mprotect(data + PAGE_SIZE, bytes, PROT_READ | PROT_WRITE))
		return NULL;
	return data + PAGE_SIZE;
}

static void put_pages(u8 *data, u32 bytes)
{
	if (nr_kept == ARRAY_SIZE(kept)) {
		munmap(data - PAGE_SIZE, bytes + 2 * PAGE_SIZE);
		return;
	}
	ASAN_POISON_MEMORY_REGION(data, bytes);
	kept[nr_kept++] = (struct kept){ data, bytes };
}

int qcow2_buffer_alloc(struct qcow2_buffer *buffer, u32 bytes)
{
	u32 pages = DIV_ROUND_UP(bytes, PAGE_SIZE), i;

	buffer->data = get_pages(pages * PAGE_SIZE);
	if (!buffer->data)
		return -ENOMEM;
	buffer->bytes = bytes;
	buffer->vecs = calloc(pages, sizeof(*buffer->vecs));
	for (i = 0; i < pages; i++)
		buffer->vecs[i] = (struct bio_vec){ (struct page *)(buffer->data + i * PAGE_SIZE), PAGE_SIZE, 0 };
	return 0;
}

void qcow2_buffer_free(struct qcow2_buffer *buffer)
{
	if (buffer->data)
		put_pages(buffer->data, DIV_ROUND_UP(buffer->bytes, PAGE_SIZE) * PAGE_SIZE);
	free(buffer->vecs);
	memset(buffer, 0, sizeof(*buffer));
}

/* unpack.h */

static struct qcow2_unpacker only;

#ifdef HAVE_ZLIB
static int inflate_all(u8 *packed, u32 bytes, u8 *to, u32 room)
{
	z_stream stream = { .next_in = packed, .avail_in = bytes, .next_out = to, .avail_out = room };

	if (inflateInit2(&stream, -12) != Z_OK)
		return -EIO;
	inflate(&stream, Z_FINISH);
	inflateEnd(&stream);
	return stream.avail_out ? -EIO : 0;
}
#else
static int inflate_all(u8 *packed, u32 bytes, u8 *to, u32 room)
{
	return -EIO;
}
#endif

int qcow2_unpack(struct qcow2_unpackers *unpackers, const struct qcow2_extent *extent, struct qcow2_unpacker **found)
{
	u32 cluster = qcow2_cluster_bytes(&extent->image->header), bytes = min(extent->packed_bytes, cluster);
	const struct disk *disk = extent->image->file.file->disk;
	u8 *packed = calloc(1, bytes);
	int error;

	qcow2_buffer_free(&only.cluster);
	qcow2_buffer_alloc(&only.cluster, cluster);
	if (extent->packed_at < disk->size)
		memcpy(packed, disk->data + extent->packed_at, min((u64)bytes, disk->size - extent->packed_at));
	error = inflate_all(packed, bytes, only.cluster.data, cluster);
	free(packed);
	*found = &only;
	return error;
}

void qcow2_unpack_end(struct qcow2_unpackers *unpackers, struct qcow2_unpacker *unpacker)
{
}

void qcow2_unpackers_drop(struct qcow2_unpackers *unpackers)
{
}

int qcow2_unpackers_init(struct qcow2_unpackers *unpackers, u32 cluster)
{
	return 0;
}

void qcow2_unpackers_exit(struct qcow2_unpackers *unpackers)
{
}

/* request.h */

static u8 *memory_of(struct qcow2_request *request)
{
	return (u8 *)request->vecs->bv_page;
}

void (*emulate_queued)(struct qcow2_request *request);

void qcow2_request_queue(struct qcow2_request *request)
{
	fuzz_assert(emulate_queued);
	emulate_queued(request);
}

void qcow2_memory_iter(struct qcow2_request *request, u32 skip, u32 bytes, unsigned int direction,
		       struct iov_iter *iter)
{
	*iter = (struct iov_iter){ memory_of(request) + skip, bytes };
}

void qcow2_memory_zero(struct qcow2_request *request, u32 skip, u32 bytes)
{
	memset(memory_of(request) + skip, 0, bytes);
}

void qcow2_memory_copy_in(struct qcow2_request *request, u32 skip, const u8 *from, u32 bytes)
{
	memcpy(memory_of(request) + skip, from, bytes);
}

void qcow2_memory_copy_out(struct qcow2_request *request, u32 skip, u8 *to, u32 bytes)
{
	memcpy(to, memory_of(request) + skip, bytes);
}

bool qcow2_memory_fits(struct qcow2_request *request, const struct qcow2_file *file, u32 skip, u32 bytes)
{
	return true;
}

void qcow2_part_start(struct qcow2_request *request, const struct qcow2_file *file, u32 bytes, u64 at)
{
	u32 skip = request->done;
	struct iov_iter iter = { memory_of(request) + skip, bytes };
	ssize_t ret = qcow2_file_move(file, request->op == QCOW2_OP_WRITE, true, &iter, at);

	if (ret < 0)
		request->status = BLK_STS_IOERR;
	else if (ret < bytes)
		qcow2_memory_zero(request, skip + ret, bytes - ret);
}

void qcow2_requests_end(struct list_head *requests, int error)
{
	struct qcow2_request *request, *next;

	list_for_each_entry_safe(request, next, requests, in_list) {
		/* Not before the sync, and not only after what comes behind it. */
		fuzz_assert(error || disk_is_synced(request->target->images[0].file.file->disk));
		request->status = error ? BLK_STS_IOERR : BLK_STS_OK;
		request->done = 1;
	}
}

static int next_piece(struct qcow2_request *request, bool wait)
{
	struct qcow2_grace *grace = request->target->grace;
	int ticket, error;

	if (wait && request->op != QCOW2_OP_READ)
		qcow2_commit_throttle(request->target->writer);
	ticket = qcow2_grace_enter(grace);
	if (request->op == QCOW2_OP_READ)
		error = qcow2_read_piece(request, wait);
	else if (request->op == QCOW2_OP_WRITE)
		error = qcow2_write_piece(request, wait);
	else
		error = qcow2_zero_piece(request, wait);
	qcow2_grace_leave(grace, ticket);
	return error;
}

int emulate_request(struct emulated *device, enum qcow2_op op, bool unmap, u64 at, u64 bytes, u8 *data)
{
	struct bio_vec vec = { .bv_page = (struct page *)data, .bv_len = bytes };
	struct qcow2_request request = {
		.target = &device->target, .op = op, .unmap = unmap, .at = at, .bytes = bytes, .vecs = &vec,
	};
	bool wait = false;
	int error = 0;

	fuzz_assert(qcow2_partial_begin(&request));
	while (request.done < request.bytes && !error) {
		u64 before = request.done;

		error = next_piece(&request, wait);
		if (error == -EAGAIN && !wait)
			error = next_piece(&request, true);
		wait = before == request.done;
		fuzz_assert(request.done <= request.bytes);
	}
	qcow2_partial_end(&request);
	if (device->target.merge && op != QCOW2_OP_READ)
		qcow2_merge_changed(device->target.merge, at, bytes);
	return request.status ? -EIO : error;
}

int emulate_flush(struct emulated *device)
{
	struct qcow2_request request = { .target = &device->target, .op = QCOW2_OP_FLUSH };

	qcow2_commit_add(device->target.writer, &request.in_list);
	fuzz_run_work();
	fuzz_assert(request.done);
	return request.status ? -EIO : 0;
}

int emulate_grow(struct emulated *device, u64 size)
{
	struct qcow2_writer *writer = device->target.writer;
	const char *reason;
	int error = qcow2_grow_check(writer, size, &reason);

	return error ? error : qcow2_commit_grow(writer, size);
}

static int open_table(struct emulated *device, struct disk **disks, unsigned int nr, struct disk *data, bool is_raw, bool write,
		      bool merges, const char **reason)
{
	static const struct file_operations ops = { true };
	struct qcow2_target *target = &device->target;
	unsigned int i;
	int error;

	memset(device, 0, sizeof(*device));
	target->ti = &device->ti;
	target->is_writable = write;
	target->nr_images = nr;
	target->images = calloc(nr, sizeof(*target->images));
	for (i = 0; i < nr; i++) {
		device->files[i] = (struct file){ .f_op = &ops, .disk = disks[i] };
		device->files[i].f_path.file = &device->files[i];
		target->images[i].file = (struct qcow2_file){ .file = &device->files[i], .block = disks[i]->block };
		target->images[i].is_raw = is_raw && i == nr - 1;
	}
	if (data) {
		device->data = (struct file){ .f_op = &ops, .disk = data };
		target->images[0].data_file = (struct qcow2_file){ .file = &device->data, .block = data->block };
		target->images[0].has_data_file = true;
	}
	qcow2_grace_init(&target->own_grace);
	target->grace = &target->own_grace;
	mutex_init(&target->life);
	qcow2_target_add(target);
	error = merges ? qcow2_merge_alloc(target, reason) : 0;
	if (!error)
		error = qcow2_target_load(target, reason);
	if (!error) {
		target->largest_cluster = qcow2_target_largest_cluster(target);
		error = qcow2_cache_init(&target->cache, 0);
	}
	if (!error && write)
		error = qcow2_writer_init(target);
	if (!error && merges)
		error = qcow2_merge_init(target, 0);
	*reason = error ? *reason : "not resumed";
	return error ? error : qcow2_target_resume(target);
}

int emulate_open(struct emulated *device, struct disk **disks, unsigned int nr, struct disk *data, bool is_raw, bool write,
		 const char **reason)
{
	return open_table(device, disks, nr, data, is_raw, write, false, reason);
}

int emulate_open_merging(struct emulated *device, struct disk **disks, unsigned int nr, bool is_raw, const char **reason)
{
	return open_table(device, disks, nr, NULL, is_raw, true, true, reason);
}

int emulate_merge_pass(struct emulated *device)
{
	struct qcow2_merge *merge = device->target.merge;

	merge->work.work.run(&merge->work.work);
	return merge->error;
}

void emulate_close(struct emulated *device, bool clean)
{
	struct qcow2_target *target = &device->target;
	unsigned int i;

	if (target->writer && !clean)
		target->writer->failed = true;
	qcow2_target_suspend(target);
	qcow2_target_remove(target);
	qcow2_merge_exit(target);
	if (target->writer)
		qcow2_writer_exit(target);
	qcow2_cache_exit(&target->cache);
	for (i = 0; i < target->nr_images; i++)
		qcow2_image_close(&target->images[i]);
	free(target->images);
}
