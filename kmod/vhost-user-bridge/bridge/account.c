// SPDX-License-Identifier: GPL-2.0-only
#include "account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

int account_user(const char *name, uid_t *user, gid_t *group, struct reason *reason)
{
	FILE *file = fopen("/etc/passwd", "re");
	struct passwd *entry = NULL;

	if (!file)
		return refuse_error(reason, -errno, "/etc/passwd");
	while ((entry = fgetpwent(file)) && strcmp(entry->pw_name, name))
		;
	if (entry) {
		*user = entry->pw_uid;
		*group = entry->pw_gid;
	}
	fclose(file);
	return entry ? 0 : refuse(reason, "there is no user %s", name);
}

int account_group(const char *name, gid_t *group, struct reason *reason)
{
	FILE *file = fopen("/etc/group", "re");
	struct group *entry = NULL;

	if (!file)
		return refuse_error(reason, -errno, "/etc/group");
	while ((entry = fgetgrent(file)) && strcmp(entry->gr_name, name))
		;
	if (entry)
		*group = entry->gr_gid;
	fclose(file);
	return entry ? 0 : refuse(reason, "there is no group %s", name);
}
