/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ACCOUNT_H
#define ACCOUNT_H

#include <sys/types.h>

#include "reason.h"

/* Look a name up, in /etc/passwd and /etc/group alone. Return: 0, or -1 with @reason. */
int account_user(const char *name, uid_t *user, gid_t *group, struct reason *reason);
int account_group(const char *name, gid_t *group, struct reason *reason);

#endif
