// SPDX-License-Identifier: GPL-2.0-only
#include "descriptors.h"

#include <dirent.h>
#include <string.h>
#include <sys/socket.h>

#include "report.h"

bool descriptors_send(int socket, struct iovec *iov, unsigned int nr_iov, const int *fds, unsigned int nr_fds)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = nr_iov };
	size_t room = nr_fds * sizeof(*fds), wanted = 0;
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(*fds))];
	} control = { .head = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(room) } };

	for (unsigned int i = 0; i < nr_iov; i++)
		wanted += iov[i].iov_len;
	if (nr_fds) {
		memcpy(CMSG_DATA(&control.head), fds, room);
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(room);
	}
	return sendmsg(socket, &msg, MSG_NOSIGNAL) == (ssize_t)wanted;
}

unsigned int descriptors_count(const char *path)
{
	DIR *folder = opendir(path);
	unsigned int nr = 0;

	if (!folder)
		fail_errno("%s", path);
	while (readdir(folder))
		nr++;
	closedir(folder);
	return nr;
}
