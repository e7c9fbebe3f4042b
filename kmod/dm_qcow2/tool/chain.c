// SPDX-License-Identifier: GPL-2.0-only
/* Opening a chain of images. What stands in an image is its writer's: a name is looked up below known folders only. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../format/header.h"
#include "chain.h"
#include "lock.h"
#include "say.h"

/* What is known of a file while the next is looked for. */
struct found {
	struct qcow2_header header;
	char backing_name[QCOW2_MAX_NAME + 1];
	char backing_format[64];
	char data_name[QCOW2_MAX_NAME + 1];
};

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return slash == path ? strdup("/") : strndup(path, slash - path);
}

/* A name of the image's, or NULL with a word to the user: empty, with a NUL in it, or not a file's. */
static const char *check_name(const char *image, char *name, size_t bytes)
{
	name[bytes] = '\0';
	if (strlen(name) != bytes || !bytes) {
		say("%s: it names a file with a name that is none", image);
		return NULL;
	}
	/* As QEMU reads it: a protocol stands before a colon that comes before any slash. "json:" is one of them. */
	if (strcspn(name, ":") < strcspn(name, "/")) {
		if (strncmp(name, "file:", 5)) {
			say("%s: it names '%s', which is no file", image, name);
			return NULL;
		}
		return name + 5;
	}
	return name;
}

/* Opens a name below a folder; nothing on the way may lead out of it. */
static int open_below(const char *folder, const char *name, int flags)
{
	struct open_how how = {
		.flags = flags,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	int root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd;

	if (root < 0)
		return -1;
	/* The C library of Debian 11 does not name it. */
	fd = syscall(__NR_openat2, root, name, &how, sizeof(how));
	close(root);
	return fd;
}

/* Without "." and "..", by names alone. */
static void simplify(char *path)
{
	char *to = path, *part, *rest = NULL;
	char *copy = strdup(path);

	if (!copy)
		return;
	for (part = strtok_r(copy, "/", &rest); part; part = strtok_r(NULL, "/", &rest)) {
		if (!strcmp(part, "."))
			continue;
		if (!strcmp(part, "..")) {
			while (to > path && *--to != '/')
				;
			continue;
		}
		*to++ = '/';
		to = stpcpy(to, part);
	}
	if (to == path)
		*to++ = '/';
	*to = '\0';
	free(copy);
}

/* The part of a path that is below a folder; NULL: it is not. Both are simple. */
static const char *below(const char *path, const char *folder)
{
	size_t length = strlen(folder);

	if (length == 1)
		return path + 1;
	if (strncmp(path, folder, length) || path[length] != '/')
		return NULL;
	return path + length + 1;
}

static char *absolute(const char *folder, const char *name)
{
	char *path, *real = NULL;
	int ret;

	if (*name == '/') {
		path = strdup(name);
	} else {
		real = realpath(folder, NULL);
		if (!real)
			return NULL;
		ret = asprintf(&path, "%s/%s", real, name);
		free(real);
		if (ret < 0)
			return NULL;
	}
	if (path)
		simplify(path);
	return path;
}

static int open_named(const char *image, const char *name, const struct chain_options *options, int flags, char **path)
{
	char *own = folder_of(image);
	int fd = -1;
	unsigned int i;

	*path = own ? absolute(own, name) : NULL;
	if (!*path) {
		say("%s: '%s': %s", image, name, strerror(errno));
		free(own);
		return -1;
	}
	for (i = 0; i <= options->nr_bases && fd < 0; i++) {
		char *folder = realpath(i ? options->bases[i - 1] : own, NULL);
		const char *rest = folder ? below(*path, folder) : NULL;

		if (rest) {
			fd = open_below(folder, rest, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
			if (fd < 0)
				say("%s: '%s': %s", image, *path, strerror(errno));
			free(folder);
			break;
		}
		free(folder);
	}
	if (i > options->nr_bases)
		say("%s: it names '%s', which is neither in its folder nor in a --base", image, *path);
	free(own);
	return fd;
}

/* A place in the first cluster as text. */
static int read_text(const char *image, int fd, struct qcow2_span span, char *text, size_t room)
{
	if (span.bytes >= room || pread(fd, text, span.bytes, span.at) != (ssize_t)span.bytes) {
		say("%s: a name in its header can not be read", image);
		return -1;
	}
	text[span.bytes] = '\0';
	return 0;
}

static int read_header(const char *path, int fd, struct found *found)
{
	static u8 start[QCOW2_START_BYTES];
	const char *reason = NULL;
	ssize_t bytes = pread(fd, start, sizeof(start), 0);

	if (bytes < 0) {
		say("%s: %s", path, strerror(errno));
		return -1;
	}
	if (qcow2_parse_header(start, bytes, &found->header, &reason)) {
		say("%s: %s", path, reason);
		return -1;
	}
	return 0;
}

static int check_regular(const char *path, int fd)
{
	struct stat stat;

	if (fstat(fd, &stat)) {
		say("%s: %s", path, strerror(errno));
		return -1;
	}
	if (!S_ISREG(stat.st_mode)) {
		say("%s: not a regular file", path);
		return -1;
	}
	return 0;
}

static bool is_same(const struct stat *stat, int fd)
{
	struct stat other;

	return fd >= 0 && !fstat(fd, &other) && other.st_dev == stat->st_dev && other.st_ino == stat->st_ino;
}

/* Refuses a file that is in the chain already, or the data file of an image that is itself: it would be below itself. */
static int check_twice(const struct chain *chain, const char *path, int fd, int image_fd)
{
	struct stat stat;
	bool found;

	if (fstat(fd, &stat))
		return -1;
	found = is_same(&stat, image_fd);
	for (unsigned int i = 0; i < chain->nr; i++)
		found |= is_same(&stat, chain->files[i].fd) || is_same(&stat, chain->files[i].data_fd);
	if (found)
		say("%s: it is in the chain twice", path);
	return found ? -1 : 0;
}

static int open_data_file(const struct chain *chain, struct chain_file *file, const struct found *found,
			  const struct chain_options *options, int flags)
{
	char text[QCOW2_MAX_NAME + 1];
	const char *name;
	char *path = NULL;
	int error = -1;

	if (!found->header.data_file_name.bytes) {
		say("%s: it does not name its data file", file->path);
		return -1;
	}
	if (read_text(file->path, file->fd, found->header.data_file_name, text, sizeof(text)))
		return -1;
	name = check_name(file->path, text, found->header.data_file_name.bytes);
	if (!name)
		return -1;
	file->data_fd = open_named(file->path, name, options, flags, &path);
	if (file->data_fd >= 0 && !check_regular(path, file->data_fd) &&
	    !check_twice(chain, path, file->data_fd, file->fd))
		error = options->lock ? lock_image(path, file->data_fd, (flags & O_ACCMODE) == O_RDWR) : 0;
	free(path);
	return error;
}

/* Reads a QCOW2 file and opens its data file. */
static int look_into(const struct chain *chain, struct chain_file *file, struct found *found,
		     const struct chain_options *options, int flags)
{
	if (read_header(file->path, file->fd, found))
		return -1;
	if (qcow2_has_data_file(&found->header))
		return open_data_file(chain, file, found, options, flags);
	return 0;
}

/* How a file of the chain is opened. */
static int flags_of(const struct chain_options *options, unsigned int nr)
{
	return (!nr && !options->read_only) || (nr == 1 && options->write_below) ? O_RDWR : O_RDONLY;
}

/* Opens the file below one that names it. */
static int open_backing(const struct chain_file *above, const struct found *found, const struct chain_options *options,
			int flags, struct chain_file *file)
{
	char text[QCOW2_MAX_NAME + 1], format[64];
	const char *name;

	if (read_text(above->path, above->fd, found->header.backing_name, text, sizeof(text)))
		return -1;
	name = check_name(above->path, text, found->header.backing_name.bytes);
	if (!name)
		return -1;
	if (!found->header.backing_format.bytes) {
		say("%s: it does not say of which format its backing file is: qemu-img rebase -u -F FORMAT", above->path);
		return -1;
	}
	if (read_text(above->path, above->fd, found->header.backing_format, format, sizeof(format)))
		return -1;
	file->is_raw = !strcmp(format, "raw");
	if (!file->is_raw && strcmp(format, "qcow2")) {
		say("%s: backing file of another format than qcow2 and raw", above->path);
		return -1;
	}
	file->fd = open_named(above->path, name, options, flags, &file->path);
	return file->fd < 0 ? -1 : 0;
}

static int add_file(struct chain *chain, const struct chain_options *options, struct found *found)
{
	struct chain_file *file = &chain->files[chain->nr];
	int flags = flags_of(options, chain->nr);

	if (check_regular(file->path, file->fd) || check_twice(chain, file->path, file->fd, -1))
		return -1;
	if (options->lock && lock_image(file->path, file->fd, flags == O_RDWR))
		return -1;
	if (file->is_raw)
		return 0;
	return look_into(chain, file, found, options, flags);
}

int chain_open(const char *path, const struct chain_options *options, struct chain *chain)
{
	struct chain_file *file = &chain->files[0];
	struct found found = { 0 };

	memset(chain, 0, sizeof(*chain));
	file->data_fd = -1;
	/* As it was given: names in an image are relative to the folder in which it was found, whatever link is there. */
	file->path = strdup(path);
	file->fd = file->path ? open(file->path, flags_of(options, 0) | O_CLOEXEC | O_NONBLOCK) : -1;
	if (file->fd < 0) {
		say("%s: %s", path, strerror(errno));
		free(file->path);
		return -1;
	}
	for (;;) {
		int error = add_file(chain, options, &found);

		if (!chain->nr++)
			chain->size = found.header.size;
		if (error)
			return -1;
		if (file->is_raw || !found.header.backing_name.bytes)
			return 0;
		if (chain->nr == CHAIN_MAX) {
			say("%s: more than %u files in the chain", path, CHAIN_MAX);
			return -1;
		}
		file++;
		file->data_fd = -1;
		if (open_backing(file - 1, &found, options, flags_of(options, chain->nr), file)) {
			free(file->path);
			return -1;
		}
	}
}

void chain_close(struct chain *chain)
{
	while (chain->nr) {
		struct chain_file *file = &chain->files[--chain->nr];

		close(file->fd);
		if (file->data_fd >= 0)
			close(file->data_fd);
		free(file->path);
	}
}
