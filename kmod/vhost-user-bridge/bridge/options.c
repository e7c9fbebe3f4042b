// SPDX-License-Identifier: GPL-2.0-only
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "say.h"
#include "uapi/vhost_blk.h"

enum kind { TEXT, NUMBER, YES_NO };

/* Each is an option of the command line, and a key of a disk's file. */
static const struct key {
	const char *name;
	enum kind kind;
	size_t offset;
	/* Of a number: bounds. Of a text: bytes with the end. */
	unsigned int min, max;
	const char *help;
} keys[] = {
#define AT(field) offsetof(struct options, field)
#define ROOM(field) 0, sizeof(((struct options *)0)->field)
	{ "disk", TEXT, AT(disk), ROOM(disk), "PATH  block device or regular file" },
	{ "socket", TEXT, AT(socket), ROOM(socket), "PATH  where frontends connect (" OPTIONS_SOCKETS "/NAME.sock)" },
	{ "device", TEXT, AT(device), ROOM(device), "PATH  (/dev/vhost-blk)" },
	{ "serial", TEXT, AT(serial), ROOM(serial), "TEXT  up to 20 bytes (a name made from the disk)" },
	{ "queues", NUMBER, AT(queues), 1, VHOST_BLK_MAX_VQS, "N  virtqueues: at least as many as the guest has CPUs (64)" },
	{ "workers", NUMBER, AT(workers), 0, VHOST_BLK_MAX_WORKERS, "N  kernel threads; 0: as the module says (0)" },
	{ "segments", NUMBER, AT(segments), 1, VHOST_BLK_MAX_SEGS, "N  segments of a request (126)" },
	{ "poll-us", NUMBER, AT(poll_us), 0, VHOST_BLK_MAX_BUSYLOOP_US, "N  microseconds of polling (as the module says)" },
	{ "read-only", YES_NO, AT(read_only), 0, 0, "yes|no  (no)" },
	{ "discard", YES_NO, AT(discard), 0, 0, "yes|no  discard and write zeroes, where the disk can (yes)" },
	{ "shared", YES_NO, AT(shared), 0, 0, "yes|no  others may use the disk, too (no)" },
	{ "user", TEXT, AT(user), ROOM(user), "NAME  whom to go on as, when started by root (stay root)" },
	{ "group", TEXT, AT(group), ROOM(group), "NAME  the same (the user's)" },
	{ "socket-group", TEXT, AT(socket_group), ROOM(socket_group), "NAME  who may connect (that of the process)" },
};

#define NR_KEYS (sizeof(keys) / sizeof(keys[0]))

static void print_usage(FILE *to)
{
	fputs("usage: vhost-user-bridge --name NAME [--KEY VALUE]...\n"
	      "       vhost-user-bridge --disk PATH --socket PATH [--KEY VALUE]...\n\n"
	      "Lets a hypervisor that speaks vhost-user-blk have a disk served by /dev/vhost-blk. A socket that systemd\n"
	      "listens on is used in place of --socket. --name reads " OPTIONS_DISKS "/NAME.conf first: lines of KEY = VALUE.\n\n"
	      "  --config FILE  such a file\n", to);
	for (size_t i = 0; i < NR_KEYS; i++)
		fprintf(to, "  --%s %s\n", keys[i].name, keys[i].help);
}

static int set_number(unsigned int *to, const struct key *key, const char *value, struct reason *reason)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(value, &end, 10);
	if (!isdigit((unsigned char)*value) || *end || errno || number < key->min || number > key->max)
		return refuse(reason, "%s is '%s': expected a number from %u to %u", key->name, value, key->min, key->max);
	*to = number;
	return 0;
}

int options_set(struct options *options, const char *name, const char *value, struct reason *reason)
{
	const struct key *key = NULL;
	char *at;

	for (size_t i = 0; i < NR_KEYS && !key; i++)
		if (!strcmp(keys[i].name, name))
			key = &keys[i];
	if (!key)
		return refuse(reason, "there is no '%s'", name);
	at = (char *)options + key->offset;
	switch (key->kind) {
	case NUMBER:
		return set_number((unsigned int *)at, key, value, reason);
	case YES_NO:
		if (strcmp(value, "yes") && strcmp(value, "no"))
			return refuse(reason, "%s is '%s': expected yes or no", name, value);
		*(bool *)at = !strcmp(value, "yes");
		return 0;
	default:
		if (strlen(value) >= key->max)
			return refuse(reason, "%s is longer than %u bytes", name, key->max - 1);
		strcpy(at, value);
		return 0;
	}
}

/* Without white space at both ends. */
static char *trim(char *text)
{
	size_t length;

	while (isspace((unsigned char)*text))
		text++;
	for (length = strlen(text); length && isspace((unsigned char)text[length - 1]); length--)
		text[length - 1] = '\0';
	return text;
}

static int read_line(struct options *options, char *line, struct reason *reason)
{
	char *key = trim(line), *equals;

	if (!*key || *key == '#')
		return 0;
	equals = strchr(key, '=');
	if (!equals)
		return refuse(reason, "expected KEY = VALUE");
	*equals = '\0';
	return options_set(options, trim(key), trim(equals + 1), reason);
}

int options_read(struct options *options, const char *path, struct reason *reason)
{
	FILE *file = fopen(path, "re");
	unsigned int number = 0;
	struct reason why;
	char *line = NULL;
	size_t room = 0;
	ssize_t length;
	int ret = 0;

	if (!file)
		return refuse_error(reason, -errno, "%s", path);
	while (!ret && (length = getline(&line, &room, file)) >= 0) {
		number++;
		/* Else another disk than the one that is named would be opened. */
		ret = memchr(line, '\0', length) ? refuse(&why, "a byte of zero") : read_line(options, line, &why);
	}
	free(line);
	if (ret)
		refuse(reason, "%.80s:%u: %.150s", path, number, why.text);
	else if (ferror(file))
		ret = refuse_error(reason, -EIO, "%s", path);
	fclose(file);
	return ret;
}

/* The name becomes part of paths. */
static int set_name(struct options *options, const char *name, struct reason *reason)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:@+";
	char path[OPTION_TEXT];

	if (!*name || *name == '.' || strspn(name, good) != strlen(name) || strlen(name) > 64)
		return refuse(reason, "'%s' is no name: letters, digits and ._-:@+, 64 at most", name);
	strcpy(options->name, name);
	snprintf(options->socket, sizeof(options->socket), OPTIONS_SOCKETS "/%.64s.sock", name);
	snprintf(path, sizeof(path), OPTIONS_DISKS "/%s.conf", name);
	return options_read(options, path, reason);
}

static void set_defaults(struct options *options)
{
	memset(options, 0, sizeof(*options));
	strcpy(options->device, "/dev/vhost-blk");
	options->discard = true;
	options->queues = VHOST_BLK_MAX_VQS;
	/* What fits the queue of 128 that QEMU makes for a device of this kind; a driver may not use longer chains. */
	options->segments = 126;
	options->poll_us = OPTION_UNSET;
}

enum options_result options_parse(struct options *options, int argc, char **argv)
{
	enum { HELP = NR_KEYS, NAME, CONFIG };
	struct option known[NR_KEYS + 4] = {
		[HELP] = { "help", no_argument, NULL, HELP },
		[NAME] = { "name", required_argument, NULL, NAME },
		[CONFIG] = { "config", required_argument, NULL, CONFIG },
	};
	struct reason reason = { "" };
	int option, ret = 0;

	for (size_t i = 0; i < NR_KEYS; i++)
		known[i] = (struct option){ keys[i].name, required_argument, NULL, (int)i };
	set_defaults(options);
	while (!ret && (option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == HELP) {
			print_usage(stdout);
			return OPTIONS_DONE;
		}
		if (option == NAME)
			ret = set_name(options, optarg, &reason);
		else if (option == CONFIG)
			ret = options_read(options, optarg, &reason);
		else if (option >= 0 && (size_t)option < NR_KEYS)
			ret = options_set(options, keys[option].name, optarg, &reason);
		else
			ret = refuse(&reason, "see --help");
	}
	if (!ret && optind < argc)
		ret = refuse(&reason, "'%s' is too much: see --help", argv[optind]);
	/* It would go on as root, whatever the group. */
	if (!ret && *options->group && !*options->user)
		ret = refuse(&reason, "there is a group and no user: see --help");
	if (!ret && !*options->disk)
		ret = refuse(&reason, "there is no disk: see --help");
	if (ret)
		say("%s", reason.text);
	return ret ? OPTIONS_WRONG : OPTIONS_RUN;
}
