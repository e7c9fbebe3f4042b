// SPDX-License-Identifier: GPL-2.0-only
/* The chain as one disk, and the times at which its images are ours. */
#include "merge.h"
#include "thread.h"
#include "writer.h"

/* Guards targets. */
static DEFINE_MUTEX(targets_lock);
static LIST_HEAD(targets);

/* The images whose metadata the target has itself. */
static unsigned int nr_own(const struct qcow2_target *target)
{
	return target->merge ? 1 : target->nr_images;
}

int qcow2_target_map(struct qcow2_target *target, u64 at, u64 bytes, bool wait, struct qcow2_extent *extent)
{
	unsigned int i;

	for (i = 0; i < nr_own(target); i++) {
		int error = qcow2_image_map(&target->cache, &target->images[i], at, bytes, wait, extent);

		if (error)
			return error;
		if (extent->kind != QCOW2_UNALLOCATED)
			return 0;
		bytes = extent->bytes;
		/* Behind its end an image is zeros, whatever lies below. */
		if (at >= target->images[i].size)
			break;
	}
	/* One level: a chain below has no merge of its own. */
	if (target->merge && at < target->images[0].size)
		return qcow2_target_map(&target->merge->below, at, bytes, wait, extent);
	extent->kind = QCOW2_ZERO;
	return 0;
}

static int read_file(const struct qcow2_extent *extent, struct qcow2_buffer *buffer, u32 skip)
{
	long ret = qcow2_file_read_into(qcow2_image_data(extent->image), buffer->vecs, skip, extent->bytes, extent->host);

	return ret < 0 ? ret : 0;
}

static int read_packed(struct qcow2_target *target, const struct qcow2_extent *extent, u8 *to)
{
	struct qcow2_unpacker *unpacker;
	int error = qcow2_unpack(&target->unpackers, extent, &unpacker);

	if (error)
		return error;
	memcpy(to, unpacker->cluster.data + extent->skip, extent->bytes);
	qcow2_unpack_end(&target->unpackers, unpacker);
	return 0;
}

static int read_extent(struct qcow2_target *target, const struct qcow2_extent *extent, struct qcow2_buffer *buffer, u32 skip)
{
	if (extent->kind == QCOW2_DATA)
		return read_file(extent, buffer, skip);
	if (extent->kind == QCOW2_PACKED)
		return read_packed(target, extent, buffer->data + skip);
	memset(buffer->data + skip, 0, extent->bytes);
	return 0;
}

int qcow2_target_read_behind(struct qcow2_target *target, struct qcow2_buffer *buffer, u64 at, u32 bytes)
{
	struct qcow2_image whole = target->images[0];
	struct qcow2_extent extent;
	u32 done = 0;
	int error = 0;

	whole.size = round_up(whole.size, qcow2_cluster_bytes(&whole.header));
	while (done < bytes && !error) {
		error = qcow2_image_map(&target->cache, &whole, at + done, bytes - done, true, &extent);
		if (error)
			break;
		/* What is kept by it outlives the copy. */
		extent.image = &target->images[0];
		error = read_extent(target, &extent, buffer, done);
		done += extent.bytes;
	}
	return error;
}

int qcow2_target_read(struct qcow2_target *target, struct qcow2_buffer *buffer, u64 at, u32 bytes, bool *is_hole)
{
	u32 done = 0;

	*is_hole = true;
	while (done < bytes) {
		struct qcow2_extent extent;
		int error = qcow2_target_map(target, at + done, bytes - done, true, &extent);

		if (!error)
			error = read_extent(target, &extent, buffer, done);
		if (error)
			return error;
		*is_hole = *is_hole && extent.kind == QCOW2_ZERO;
		done += extent.bytes;
	}
	return 0;
}

int qcow2_target_load(struct qcow2_target *target, const char **reason)
{
	/* What has failed is read only until another table takes its place. */
	bool write = target->is_writable && !(target->writer && target->writer->failed);
	u64 l1_memory = QCOW2_MAX_L1_MEMORY;
	unsigned int i;

	for (i = 0; i < nr_own(target); i++) {
		bool is_last = i == target->nr_images - 1;
		int error = qcow2_image_load(&target->images[i], write && !i, is_last, &l1_memory, reason);

		if (error) {
			DMERR("file %u of the chain: %s", i + target->nr_above, *reason);
			return error;
		}
	}
	if (target->merge) {
		int error = qcow2_target_load(&target->merge->below, reason);

		if (error)
			return error;
	}
	*reason = "longer than the image's disk";
	return !target->nr_above && target->ti->len > DIV_ROUND_UP_ULL(target->images[0].size, SECTOR_SIZE) ? -EINVAL : 0;
}

static int reload(struct qcow2_target *target, const char **reason)
{
	int error;

	qcow2_cache_drop(&target->cache);
	qcow2_unpackers_drop(&target->unpackers);
	if (target->merge)
		qcow2_merge_drop(target->merge);
	error = qcow2_target_load(target, reason);
	if (error)
		return error;
	*reason = "it has larger clusters than before";
	if (qcow2_target_largest_cluster(target) > target->largest_cluster)
		return -EINVAL;
	return target->writer && !target->writer->failed ? qcow2_writer_start(target->writer, reason) : 0;
}

struct qcow2_target *qcow2_target_live(struct qcow2_target *target)
{
	struct qcow2_target *other;

	mutex_lock(&targets_lock);
	list_for_each_entry(other, &targets, in_targets)
		if (other->was_resumed && dm_table_get_md(other->ti->table) == dm_table_get_md(target->ti->table))
			return other;
	mutex_unlock(&targets_lock);
	return NULL;
}

void qcow2_target_live_end(void)
{
	mutex_unlock(&targets_lock);
}

void qcow2_target_add(struct qcow2_target *target)
{
	mutex_lock(&targets_lock);
	list_add(&target->in_targets, &targets);
	mutex_unlock(&targets_lock);
}

void qcow2_target_remove(struct qcow2_target *target)
{
	mutex_lock(&targets_lock);
	list_del_init(&target->in_targets);
	mutex_unlock(&targets_lock);
}

static void set_running(struct qcow2_target *target, bool is_running)
{
	mutex_lock(&target->life);
	target->is_running = is_running;
	mutex_unlock(&target->life);
}

/* The table that merged may have gone on since this one was loaded: then its top has what this one lacks. */
static int check_merged(struct qcow2_target *target, const char **reason)
{
	const struct qcow2_target *live;
	bool is_done;

	if (!target->follows_merge || target->was_resumed)
		return 0;
	live = qcow2_target_live(target);
	is_done = live && live->merge && READ_ONCE(live->merge->state) == QCOW2_MERGE_DONE;
	if (live)
		qcow2_target_live_end();
	*reason = "the table that merged has gone on since";
	return is_done ? 0 : -EBUSY;
}

int qcow2_target_resume(struct qcow2_target *target)
{
	unsigned int flags = qcow2_thread_begin();
	const char *reason = "another device writes the image";
	int error = target->writer ? qcow2_writer_own(target->writer) : 0;

	if (!error) {
		error = check_merged(target, &reason);
		if (!error)
			error = reload(target, &reason);
		if (error && target->writer)
			qcow2_writer_disown(target->writer);
	}
	qcow2_thread_end(flags);
	if (error) {
		DMERR("%s: %s", dm_table_device_name(target->ti->table), reason);
		return error;
	}
	WRITE_ONCE(target->was_resumed, true);
	set_running(target, true);
	return 0;
}

void qcow2_target_suspend(struct qcow2_target *target)
{
	struct qcow2_writer *writer = target->writer;
	unsigned int flags;

	set_running(target, false);
	/* Never resumed, or suspended already. */
	if (!writer || list_empty(&writer->in_writers))
		return;
	flags = qcow2_thread_begin();
	qcow2_writer_stop(writer);
	if (target->merge)
		qcow2_merge_suspend(target->merge);
	qcow2_thread_end(flags);
	qcow2_writer_disown(writer);
}

u32 qcow2_target_largest_cluster(const struct qcow2_target *target)
{
	u32 bytes = 0;
	unsigned int i;

	for (i = 0; i < target->nr_images; i++)
		if (!target->images[i].is_raw)
			bytes = max_t(u32, bytes, qcow2_cluster_bytes(&target->images[i].header));
	return bytes;
}
