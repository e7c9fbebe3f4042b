// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tables:
 *	START LENGTH qcow2 FILES FILE... [OPTIONS OPTION...]
 *	START LENGTH qcow2 live [OPTIONS OPTION...]
 *	START LENGTH qcow2 merge FD[:FD] [OPTIONS OPTION...]
 *	START LENGTH qcow2 merged [OPTIONS OPTION...]
 * FILES is the number of files, the top of the chain first. FILE is raw:FD, qcow2:FD or, with an external data file,
 * qcow2:FD:FD. "live" takes the files of the table that the device has; "merge" does, but the image below the top, which it is
 * given open for writing; "merged" takes those below the top when a merge is done. An OPTION is cache_kib:KIB. Descriptors are the
 * calling process's; what an image says of other files is never opened, and a file's format is never guessed.
 */
#include <linux/slab.h>
#include <linux/string.h>

#include "merge.h"
#include "request.h"
#include "table.h"
#include "writer.h"

struct options {
	u32 cache_kib;
};

static int refuse(struct dm_target *ti, const char *reason, int error)
{
	ti->error = (char *)reason;
	return error;
}

static int open_data_file(struct qcow2_image *image, const char *fd, bool write, const char **reason)
{
	unsigned int number;

	*reason = "a file is not raw:FD, qcow2:FD or qcow2:FD:FD";
	if (image->is_raw || kstrtouint(fd, 10, &number))
		return -EINVAL;
	image->has_data_file = true;
	return qcow2_file_open(&image->data_file, number, write, reason);
}

/* Opens what a FILE argument names. */
static int open_files(struct qcow2_image *image, char *argument, bool write, const char **reason)
{
	char *format = strsep(&argument, ":");
	char *fd = strsep(&argument, ":");
	unsigned int number;
	int error;

	*reason = "a file is not raw:FD, qcow2:FD or qcow2:FD:FD";
	image->is_raw = !strcmp(format, "raw");
	if (!image->is_raw && strcmp(format, "qcow2"))
		return -EINVAL;
	if (!fd || kstrtouint(fd, 10, &number))
		return -EINVAL;
	error = qcow2_file_open(&image->file, number, write, reason);
	if (!error && argument)
		error = open_data_file(image, argument, write, reason);
	return error;
}

static bool uses(const struct qcow2_image *image, const struct qcow2_file *file)
{
	return qcow2_file_same(&image->file, file) ||
	       (image->has_data_file && qcow2_file_same(&image->data_file, file));
}

/* A file that is in a chain twice would be its own backing file. */
static bool has_file_twice(const struct qcow2_target *target, unsigned int nr)
{
	const struct qcow2_image *image = &target->images[nr];
	unsigned int i;

	if (image->has_data_file && qcow2_file_same(&image->file, &image->data_file))
		return true;
	for (i = 0; i < nr; i++)
		if (uses(&target->images[i], &image->file) ||
		    (image->has_data_file && uses(&target->images[i], &image->data_file)))
			return true;
	return false;
}

static int share_image(struct qcow2_image *image, const struct qcow2_image *other, bool write, const char **reason)
{
	int error = qcow2_file_share(&image->file, &other->file, write, reason);

	image->is_raw = other->is_raw;
	image->has_data_file = other->has_data_file;
	if (!error && other->has_data_file)
		error = qcow2_file_share(&image->data_file, &other->data_file, write, reason);
	return error;
}

/* The files of another table from one on, but that at @except. */
static int share_files(struct qcow2_target *target, const struct qcow2_target *live, unsigned int first, unsigned int except,
		       const char **reason)
{
	unsigned int i;
	int error = 0;

	target->images = kvcalloc(live->nr_images - first, sizeof(*target->images), GFP_KERNEL);
	if (!target->images)
		return -ENOMEM;
	target->nr_images = live->nr_images - first;
	for (i = 0; i < target->nr_images && !error; i++)
		if (i != except)
			error = share_image(&target->images[i], &live->images[i + first], target->is_writable && !i, reason);
	return error;
}

static bool is_same_image(const struct qcow2_image *a, const struct qcow2_image *b)
{
	return a->is_raw == b->is_raw && qcow2_file_same(&a->file, &b->file) && a->has_data_file == b->has_data_file &&
	       (!a->has_data_file || qcow2_file_same(&a->data_file, &b->data_file));
}

/* The image below the top is opened anew, to be written. */
static int take_merge(struct qcow2_target *target, const struct qcow2_target *live, const char *fds, const char **reason)
{
	char argument[32];
	int error;

	*reason = "there is no image below the top";
	if (live->nr_images < 2)
		return -ENXIO;
	error = share_files(target, live, 0, 1, reason);
	if (error)
		return error;
	*reason = "a file is not FD or FD:FD";
	if (snprintf(argument, sizeof(argument), "qcow2:%s", fds) >= sizeof(argument))
		return -EINVAL;
	error = open_files(&target->images[1], argument, true, reason);
	if (error)
		return error;
	*reason = "that is not the image below the top";
	if (!is_same_image(&target->images[1], &live->images[1]))
		return -EXDEV;
	return qcow2_merge_alloc(target, reason);
}

static int take_merged(struct qcow2_target *target, const struct qcow2_target *live, const char **reason)
{
	*reason = "nothing was merged";
	if (!live->merge || READ_ONCE(live->merge->state) != QCOW2_MERGE_DONE)
		return -EBUSY;
	target->follows_merge = true;
	return share_files(target, live, 1, UINT_MAX, reason);
}

/* The files of the device's table, and what else that was told. */
static int take_over(struct qcow2_target *target, struct dm_arg_set *args, struct options *options, const char **reason)
{
	const struct qcow2_target *live = qcow2_target_live(target);
	const char *how = dm_shift_arg(args);
	int error;

	if (!live) {
		*reason = "the device has no table of this target";
		return -ENXIO;
	}
	options->cache_kib = live->cache.limit * (QCOW2_SLICE_BYTES / 1024);
	*reason = "a file is not FD or FD:FD";
	if (!strcmp(how, "live"))
		error = share_files(target, live, 0, UINT_MAX, reason);
	else if (!strcmp(how, "merged"))
		error = take_merged(target, live, reason);
	else
		error = args->argc ? take_merge(target, live, dm_shift_arg(args), reason) : -EINVAL;
	qcow2_target_live_end();
	return error;
}

static bool takes_over(const char *word)
{
	return !strcmp(word, "live") || !strcmp(word, "merge") || !strcmp(word, "merged");
}

static int open_chain(struct qcow2_target *target, struct dm_arg_set *args, const char **reason)
{
	static const struct dm_arg count = { 1, QCOW2_MAX_CHAIN, "number of files" };
	char *message = NULL;
	unsigned int nr, i;
	int error;

	error = dm_read_arg_group(&count, args, &nr, &message);
	if (error) {
		*reason = message;
		return error;
	}
	target->images = kvcalloc(nr, sizeof(*target->images), GFP_KERNEL);
	if (!target->images)
		return -ENOMEM;
	target->nr_images = nr;
	for (i = 0; i < nr; i++) {
		error = open_files(&target->images[i], (char *)dm_shift_arg(args), target->is_writable && !i, reason);
		if (error)
			return error;
		if (has_file_twice(target, i)) {
			*reason = "a file is in the chain twice";
			return -ELOOP;
		}
	}
	return 0;
}

static int read_options(struct dm_arg_set *args, struct options *options, const char **reason)
{
	static const struct dm_arg count = { 0, 1, "number of options" };
	char *message = NULL;
	unsigned int nr;
	int error;

	if (!args->argc)
		return 0;
	error = dm_read_arg_group(&count, args, &nr, &message);
	if (error) {
		*reason = message;
		return error;
	}
	while (nr--) {
		const char *option = dm_shift_arg(args);

		*reason = "unknown option";
		if (strncmp(option, "cache_kib:", 10) || kstrtou32(option + 10, 10, &options->cache_kib))
			return -EINVAL;
		if (options->cache_kib > QCOW2_CACHE_MAX_KIB) {
			*reason = "cache_kib is too large";
			return -EINVAL;
		}
	}
	*reason = "more arguments than told";
	return args->argc ? -EINVAL : 0;
}

static int load(struct qcow2_target *target, struct dm_arg_set *args, const char **reason)
{
	struct options options = { .cache_kib = QCOW2_CACHE_DEFAULT_KIB };
	int error;

	*reason = "no memory";
	if (args->argc && takes_over(args->argv[0]))
		error = take_over(target, args, &options, reason);
	else
		error = open_chain(target, args, reason);
	if (!error)
		error = read_options(args, &options, reason);
	if (!error)
		error = qcow2_target_load(target, reason);
	if (error)
		return error;
	*reason = "no memory";
	target->largest_cluster = qcow2_target_largest_cluster(target);
	error = qcow2_cache_init(&target->cache, options.cache_kib);
	if (!error)
		error = qcow2_unpackers_init(&target->unpackers, target->largest_cluster);
	if (!error && target->is_writable)
		error = qcow2_writer_init(target);
	if (!error && target->merge)
		error = qcow2_merge_init(target, options.cache_kib);
	return error ? error : qcow2_requests_init(target);
}

static void free_target(struct qcow2_target *target)
{
	unsigned int i;

	qcow2_target_remove(target);
	qcow2_requests_exit(target);
	qcow2_merge_exit(target);
	qcow2_writer_exit(target);
	qcow2_unpackers_exit(&target->unpackers);
	qcow2_cache_exit(&target->cache);
	for (i = 0; i < target->nr_images; i++)
		qcow2_image_close(&target->images[i]);
	kvfree(target->images);
	kvfree(target);
}

int qcow2_table_load(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct qcow2_target *target = kvzalloc(sizeof(*target), GFP_KERNEL);
	struct dm_arg_set args = { .argc = argc, .argv = argv };
	const char *reason = NULL;
	int error;

	if (!target)
		return refuse(ti, "no memory", -ENOMEM);
	target->ti = ti;
	target->is_writable = dm_table_is_writable(ti->table);
	qcow2_grace_init(&target->own_grace);
	target->grace = &target->own_grace;
	mutex_init(&target->life);
	qcow2_target_add(target);
	error = load(target, &args, &reason);
	if (error) {
		free_target(target);
		return refuse(ti, reason, error);
	}
	ti->private = target;
	ti->per_io_data_size = sizeof(struct qcow2_request);
	ti->num_flush_bios = 1;
	if (target->writer) {
		ti->flush_supported = true;
		ti->discards_supported = true;
		ti->num_discard_bios = 1;
		ti->num_write_zeroes_bios = 1;
	}
	return 0;
}

void qcow2_table_free(struct dm_target *ti)
{
	free_target(ti->private);
}

static void show_table(const struct qcow2_target *target, char *result, unsigned int maxlen)
{
	unsigned int sz = 0, i;

	/* A descriptor's number means nothing to who reads this: the inode tells which file it is. */
	DMEMIT("%u", target->nr_images);
	for (i = 0; i < target->nr_images; i++) {
		const struct qcow2_image *image = &target->images[i];

		DMEMIT(" %s:%llu", image->is_raw ? "raw" : "qcow2", (u64)file_inode(image->file.file)->i_ino);
		if (image->has_data_file)
			DMEMIT(":%llu", (u64)file_inode(image->data_file.file)->i_ino);
	}
	DMEMIT(" 1 cache_kib:%u", target->cache.limit * (QCOW2_SLICE_BYTES / 1024));
}

/* STATE FILES SLICES/LIMIT HITS MISSES REQUESTS SLOW ERRORS [ALLOCATED FREED COMMITS] */
static void show_info(struct qcow2_target *target, char *result, unsigned int maxlen)
{
	const struct qcow2_writer *writer = target->writer;
	unsigned int sz = 0;

	DMEMIT("%s %u %u/%u %llu %llu %llu %llu %llu", !writer ? "ro" : READ_ONCE(writer->failed) ? "failed" : "rw",
	       target->nr_images, READ_ONCE(target->cache.nr), target->cache.limit, READ_ONCE(target->cache.hits),
	       READ_ONCE(target->cache.misses), (u64)atomic64_read(&target->stats.requests),
	       (u64)atomic64_read(&target->stats.slow), (u64)atomic64_read(&target->stats.errors));
	if (writer)
		DMEMIT(" %llu %llu %llu", (u64)atomic64_read(&writer->allocated), (u64)atomic64_read(&writer->freed),
		       (u64)atomic64_read(&writer->nr_commits));
}

void qcow2_table_status(struct dm_target *ti, status_type_t type, unsigned int flags, char *result,
			unsigned int maxlen)
{
	if (type == STATUSTYPE_INFO)
		show_info(ti->private, result, maxlen);
	else if (type == STATUSTYPE_TABLE)
		show_table(ti->private, result, maxlen);
	else
		*result = '\0';
}
