/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DM_QCOW2_MESSAGE_H
#define DM_QCOW2_MESSAGE_H

#include <linux/device-mapper.h>

/**
 * qcow2_message() - answers dmsetup message
 * @argv: what docs/dm_qcow2.md tells
 * @result: text for who asks
 *
 * Return: 1 with a result; 0; or a negative errno.
 */
int qcow2_message(struct dm_target *ti, unsigned int argc, char **argv, char *result, unsigned int maxlen);

#endif
