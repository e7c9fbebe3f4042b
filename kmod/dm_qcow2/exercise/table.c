// SPDX-License-Identifier: GPL-2.0-only
/*
 * qcow2-table: makes and changes device-mapper devices of any target where there is no dmsetup.
 *
 * usage: qcow2-table create|replace NAME SECTORS TYPE ARGUMENTS
 *        qcow2-table message NAME TEXT
 *        qcow2-table remove NAME
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mapper.h"

int main(int argc, char **argv)
{
	const char *command = argc > 2 ? argv[1] : "";

	if (argc == 6 && !strcmp(command, "create"))
		return -mapper_create(argv[2], strtoull(argv[3], NULL, 10), argv[4], argv[5]);
	if (argc == 6 && !strcmp(command, "replace"))
		return -mapper_replace(argv[2], strtoull(argv[3], NULL, 10), argv[4], argv[5]);
	if (argc == 4 && !strcmp(command, "message"))
		return -mapper_message(argv[2], argv[3]);
	if (argc == 3 && !strcmp(command, "remove"))
		return -mapper_remove(argv[2]);
	fprintf(stderr, "usage: %s create|replace NAME SECTORS TYPE ARGUMENTS | message NAME TEXT | remove NAME\n", argv[0]);
	return 2;
}
