// SPDX-License-Identifier: GPL-2.0-only
/* Messages to a device: what it tells of itself, and what it is told to do while it runs. */
#include "merge.h"
#include "message.h"
#include "writer.h"

/* What a message of one word is answered with; names and numbers in turn. */
static void show_cache(const struct qcow2_target *target, char *result, unsigned int maxlen)
{
	const struct qcow2_cache *cache = &target->cache;
	unsigned int sz = 0;

	DMEMIT("slices %u limit %u dirty %u hits %llu misses %llu", READ_ONCE(cache->nr), cache->limit,
	       READ_ONCE(cache->nr_dirty), READ_ONCE(cache->hits), READ_ONCE(cache->misses));
}

static void show_allocation(const struct qcow2_target *target, char *result, unsigned int maxlen)
{
	const struct qcow2_writer *writer = target->writer;
	unsigned int sz = 0;

	DMEMIT("cluster %llu", writer ? qcow2_cluster_bytes(&writer->top->header) : 0);
	if (writer)
		DMEMIT(" allocated %llu freed %llu to_be_freed %u end %llu space %llu",
		       (u64)atomic64_read(&writer->allocated), (u64)atomic64_read(&writer->freed),
		       READ_ONCE(writer->frees.nr), READ_ONCE(writer->fresh), READ_ONCE(writer->space));
}

static void show_errors(const struct qcow2_target *target, char *result, unsigned int maxlen)
{
	const struct qcow2_writer *writer = target->writer;
	unsigned int sz = 0;

	DMEMIT("requests %llu failed %u", (u64)atomic64_read(&target->stats.errors),
	       writer && READ_ONCE(writer->failed));
	/* Pairs with qcow2_writer_fail(): the error is there when the reason is. */
	if (writer && smp_load_acquire(&writer->reason))
		DMEMIT(" error %d %s", writer->error, writer->reason);
}

static void show_stats(const struct qcow2_target *target, char *result, unsigned int maxlen)
{
	unsigned int sz = 0;

	DMEMIT("requests %llu slow %llu at_once %llu commits %llu", (u64)atomic64_read(&target->stats.requests),
	       (u64)atomic64_read(&target->stats.slow), (u64)atomic64_read(&target->stats.at_once),
	       target->writer ? (u64)atomic64_read(&target->writer->nr_commits) : 0);
}

static void show_merge(const struct qcow2_target *target, char *result, unsigned int maxlen)
{
	const struct qcow2_merge *merge = target->merge;
	unsigned int sz = 0;

	DMEMIT("state %s", merge ? qcow2_merge_state_name(merge) : "none");
	if (merge)
		DMEMIT(" left %llu of %llu error %d", min(qcow2_merge_left(merge), target->images[0].size),
		       target->images[0].size, READ_ONCE(merge->error));
}

static int flush(struct qcow2_target *target)
{
	return target->writer ? qcow2_commit_all(target->writer) : 0;
}

static int grow_top(struct qcow2_target *target, const char *sectors)
{
	struct qcow2_writer *writer = target->writer;
	const char *reason = "not a number of sectors";
	u64 number;
	int error = kstrtou64(sectors, 10, &number);

	if (!error && !writer)
		return -EROFS;
	/* Nor may the image below get smaller than its top. */
	if (target->merge)
		return -EBUSY;
	if (!error)
		error = number > U64_MAX >> SECTOR_SHIFT ? -EFBIG : qcow2_grow_check(writer, number << SECTOR_SHIFT, &reason);
	if (error) {
		DMERR("%s: grow: %s", dm_table_device_name(target->ti->table), reason);
		return error;
	}
	return qcow2_commit_grow(writer, number << SECTOR_SHIFT);
}

static int merge_top(struct qcow2_target *target, const char *what)
{
	const char *reason = "the table is not one that merges";
	int error = -EINVAL;

	if (target->merge && !strcmp(what, "grow"))
		error = qcow2_merge_grow(target->merge, &reason);
	else if (target->merge && !strcmp(what, "start"))
		error = qcow2_merge_start(target->merge, &reason);
	else if (target->merge && !strcmp(what, "finish"))
		error = qcow2_merge_finish(target->merge, &reason);
	if (error)
		DMERR("%s: merge %s: %s", dm_table_device_name(target->ti->table), what, reason);
	return error;
}

/* Messages that need the images to be ours for as long as they run. */
static int act(struct qcow2_target *target, unsigned int argc, char **argv)
{
	int error = -EINVAL;

	mutex_lock(&target->life);
	if (!target->is_running)
		error = -EBUSY;
	else if (argc == 1 && !strcmp(argv[0], "flush"))
		error = flush(target);
	else if (argc == 2 && !strcmp(argv[0], "grow"))
		error = grow_top(target, argv[1]);
	else if (argc == 2 && !strcmp(argv[0], "merge"))
		error = merge_top(target, argv[1]);
	mutex_unlock(&target->life);
	return error;
}

int qcow2_message(struct dm_target *ti, unsigned int argc, char **argv, char *result, unsigned int maxlen)
{
	static const struct {
		const char *name;
		void (*show)(const struct qcow2_target *target, char *result, unsigned int maxlen);
	} shown[] = {
		{ "cache", show_cache },
		{ "allocation", show_allocation },
		{ "errors", show_errors },
		{ "stats", show_stats },
		{ "merge", show_merge },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(shown) && argc == 1; i++) {
		if (strcmp(argv[0], shown[i].name))
			continue;
		shown[i].show(ti->private, result, maxlen);
		return 1;
	}
	return act(ti->private, argc, argv);
}
