// SPDX-License-Identifier: GPL-2.0-only
/* blkfleet-qcow2: attaches QCOW2 images as block devices by the device-mapper target "qcow2". */
#define _GNU_SOURCE
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain.h"
#include "commit.h"
#include "dm.h"
#include "say.h"

static const char usage[] =
	"usage: blkfleet-qcow2 attach IMAGE [--name NAME] [--ro] [--base DIR]... [--cache-kib KIB]\n"
	"       blkfleet-qcow2 detach|suspend|resume NAME\n"
	"       blkfleet-qcow2 grow NAME SIZE\n"
	"       blkfleet-qcow2 commit NAME IMAGE [--base DIR]...\n"
	"       blkfleet-qcow2 message NAME cache|allocation|errors|stats|merge|flush\n"
	"       blkfleet-qcow2 status [NAME]\n"
	"       blkfleet-qcow2 check IMAGE [--base DIR]...\n"
	"\n"
	"attach prints the path of the block device; NAME is the image's file name without its suffix. A file that an image\n"
	"names is opened only in the folder of the image that names it or below, or below a --base.\n"
	"grow makes the disk in the image larger, and the device; SIZE is in bytes, or with K, M, G or T.\n"
	"commit merges IMAGE, the device's top, into the image below it while the device is in use; that is its top then.\n"
	"A suspended device has all in its image, which may be changed until it is resumed.\n"
	"check opens the whole chain as attach does, and prints it, the top first.\n";

struct options {
	struct chain_options chain;
	const char *name;
	const char *cache_kib;
	const char *argument;
	/* Behind it: a size, or a message. */
	const char *second;
};

/* Return: 0, or 2 when the command line is wrong. */
static int parse(int argc, char **argv, struct options *options)
{
	static const struct option known[] = {
		{ "name", required_argument, NULL, 'n' },
		{ "ro", no_argument, NULL, 'r' },
		{ "base", required_argument, NULL, 'b' },
		{ "cache-kib", required_argument, NULL, 'c' },
		{ 0 },
	};
	int option;

	*options = (struct options){ .chain.lock = true };
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 'n':
			options->name = optarg;
			break;
		case 'r':
			options->chain.read_only = true;
			break;
		case 'c':
			options->cache_kib = optarg;
			break;
		case 'b':
			if (options->chain.nr_bases == CHAIN_MAX_BASES)
				return 2;
			options->chain.bases[options->chain.nr_bases++] = optarg;
			break;
		default:
			return 2;
		}
	}
	if (optind < argc)
		options->argument = argv[optind++];
	if (optind < argc)
		options->second = argv[optind++];
	return optind < argc ? 2 : 0;
}

/* A name as udev and the device mapper take it without quoting. */
static int check_name(const char *name)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-";
	size_t length = strlen(name);

	if (length && length < 100 && strspn(name, good) == length && strcmp(name, ".") && strcmp(name, "..") &&
	    strcmp(name, "control"))
		return 0;
	say("'%s' can not be a device's name: --name NAME", name);
	return -1;
}

static char *name_of(const char *image)
{
	const char *base = strrchr(image, '/');
	char *name = strdup(base ? base + 1 : image);
	char *dot = name ? strrchr(name, '.') : NULL;

	if (dot && dot != name)
		*dot = '\0';
	return name;
}

/* The table's arguments; NULL: no memory. */
static char *table_of(const struct chain *chain, const char *cache_kib)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	if (!out)
		return NULL;
	fprintf(out, "%u", chain->nr);
	for (unsigned int i = 0; i < chain->nr; i++) {
		const struct chain_file *file = &chain->files[i];

		fprintf(out, " %s:%d", file->is_raw ? "raw" : "qcow2", file->fd);
		if (file->data_fd >= 0)
			fprintf(out, ":%d", file->data_fd);
	}
	if (cache_kib)
		fprintf(out, " 1 cache_kib:%s", cache_kib);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

static int attach(const struct options *options)
{
	char *own = options->name ? NULL : name_of(options->argument);
	const char *name = options->name ? options->name : own;
	struct chain chain;
	char path[256];
	char *table = NULL;
	int error = -1;

	if (!name || check_name(name) || (options->cache_kib && strspn(options->cache_kib, "0123456789") !=
								  strlen(options->cache_kib))) {
		free(own);
		return -1;
	}
	if (!chain_open(options->argument, &options->chain, &chain)) {
		if (chain.size)
			table = table_of(&chain, options->cache_kib);
		else
			say("%s: its disk is empty", options->argument);
		if (table)
			error = dm_attach(name, (chain.size + 511) / 512, table, options->chain.read_only, path,
					  sizeof(path));
		if (!error)
			puts(path);
	}
	/* The target holds the open files, and with them the locks. */
	chain_close(&chain);
	free(table);
	free(own);
	return error;
}

static int check(const struct options *options)
{
	struct chain_options read_only = options->chain;
	struct chain chain;
	int error;

	read_only.read_only = true;
	error = chain_open(options->argument, &read_only, &chain);
	for (unsigned int i = 0; i < chain.nr && !error; i++)
		printf("%s\t%s\n", chain.files[i].is_raw ? "raw" : "qcow2", chain.files[i].path);
	chain_close(&chain);
	return error;
}

/* Sectors of a number of bytes with or without a unit; 0: it is none. */
static uint64_t sectors_of(const char *text)
{
	static const char units[] = "KMGT";
	char *end;
	uint64_t bytes = strtoull(text, &end, 10);
	const char *unit = *end ? strchr(units, *end) : NULL;
	int shift = unit ? 10 * (int)(unit - units + 1) : 0;

	if (*text < '0' || *text > '9' || (*end && (!unit || end[1])) || bytes > UINT64_MAX >> shift)
		return 0;
	bytes <<= shift;
	return bytes % 512 ? 0 : bytes / 512;
}

static int grow(const struct options *options)
{
	uint64_t sectors = sectors_of(options->second);

	if (!sectors) {
		say("'%s' is not a size that is a multiple of 512 bytes", options->second);
		return -1;
	}
	return dm_grow(options->argument, sectors);
}

static void show(const struct dm_state *state)
{
	printf("%s\t%llu\t%s\t%s\topen %u\t%s\n", state->name, (unsigned long long)state->sectors * 512,
	       state->read_only ? "ro" : "rw", state->suspended ? "suspended" : "active", state->open_count,
	       state->text);
}

static int run(const char *command, const struct options *options)
{
	if (!strcmp(command, "grow"))
		return options->second ? grow(options) : 2;
	if (!strcmp(command, "commit"))
		return options->second ? commit_top(options->argument, options->second, &options->chain) : 2;
	if (!strcmp(command, "message"))
		return options->second ? dm_message(options->argument, options->second) : 2;
	if (options->second)
		return 2;
	if (!strcmp(command, "status"))
		return dm_each(options->argument, show);
	if (!options->argument)
		return 2;
	if (!strcmp(command, "attach"))
		return attach(options);
	if (!strcmp(command, "detach"))
		return dm_detach(options->argument);
	if (!strcmp(command, "suspend"))
		return dm_suspend(options->argument);
	if (!strcmp(command, "resume"))
		return dm_resume(options->argument);
	if (!strcmp(command, "check"))
		return check(options);
	return 2;
}

/* Exit codes: 0; 1: it failed; 2: the command line is wrong. */
int main(int argc, char **argv)
{
	struct options options;
	int ret = 2;

	if (argc > 1 && !strcmp(argv[1], "--help")) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc > 1 && !parse(argc - 1, argv + 1, &options))
		ret = run(argv[1], &options);
	if (ret == 2)
		fputs(usage, stderr);
	return ret < 0 ? 1 : ret;
}
