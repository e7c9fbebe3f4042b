// SPDX-License-Identifier: GPL-2.0-only
/*
 * qcow2-load: loads a table of the target as it is told, so that the kernel's own checks are what refuses it.
 *
 * usage: qcow2-load NAME SECTORS ro|rw WORD...
 * WORD is one of the table's, with files' paths instead of descriptors: qcow2:PATH, qcow2:PATH:PATH, raw:PATH.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tool/dm.h"

/* Adds a word to a table; paths in it are opened. */
static void add(char *table, size_t room, char *word, int flags)
{
	bool is_file = !strncmp(word, "qcow2:", 6) || !strncmp(word, "raw:", 4);
	size_t used = strlen(table);
	char *rest = NULL;
	char *part = strtok_r(word, ":", &rest);

	used += snprintf(table + used, room - used, "%s%s", used ? " " : "", part);
	while ((part = strtok_r(NULL, ":", &rest))) {
		int fd = is_file ? open(part, flags) : 0;

		if (is_file && fd < 0) {
			perror(part);
			exit(2);
		}
		used += is_file ? snprintf(table + used, room - used, ":%d", fd) :
				  snprintf(table + used, room - used, ":%s", part);
	}
}

int main(int argc, char **argv)
{
	char table[4096] = "", path[256];
	bool read_only;

	if (argc < 5) {
		fprintf(stderr, "usage: %s NAME SECTORS ro|rw WORD...\n", argv[0]);
		return 2;
	}
	read_only = !strcmp(argv[3], "ro");
	for (int i = 4; i < argc; i++)
		add(table, sizeof(table), argv[i], read_only ? O_RDONLY : O_RDWR);
	if (dm_attach(argv[1], strtoull(argv[2], NULL, 10), table, read_only, path, sizeof(path)))
		return 1;
	puts(path);
	return 0;
}
