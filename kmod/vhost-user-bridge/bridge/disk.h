/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DISK_H
#define DISK_H

#include "options.h"

/*
 * Opens the disk that @options name, for this process alone unless it is shared: a block device is claimed, so that the host
 * neither mounts it nor has it mounted; a file is locked. Return: the descriptor, or -1 with @reason.
 */
int disk_open(const struct options *options, struct reason *reason);

#endif
