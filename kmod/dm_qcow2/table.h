/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DM_QCOW2_TABLE_H
#define DM_QCOW2_TABLE_H

#include "target.h"

/**
 * qcow2_table_load() - the constructor of a table
 *
 * Reads the arguments (docs/dm_qcow2.md), takes the descriptors and loads the images.
 *
 * Return: 0 or a negative errno with ti->error set; nothing is left behind then.
 */
int qcow2_table_load(struct dm_target *ti, unsigned int argc, char **argv);
void qcow2_table_free(struct dm_target *ti);

/* The arguments as dmsetup table prints them, and what dmsetup status does. */
void qcow2_table_status(struct dm_target *ti, status_type_t type, unsigned int flags, char *result,
			unsigned int maxlen);

#endif
