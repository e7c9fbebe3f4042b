// SPDX-License-Identifier: GPL-2.0-only
#include "channel.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* How long a frontend may take to read an answer. */
#define ANSWER_MS 10000

void channel_open(struct channel *channel, int fd)
{
	memset(channel, 0, sizeof(*channel));
	channel->fd = fd;
}

/* Keeps the descriptors of a control message; those beyond what a message may have are closed. Return: whether all fit. */
static bool keep_fds(struct message *message, const struct cmsghdr *cmsg)
{
	size_t nr = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	bool fits = true;

	for (size_t i = 0; i < nr; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(fd), sizeof(fd));
		if (message->nr_fds < VU_MAX_FDS) {
			message->fds[message->nr_fds++] = fd;
		} else {
			close(fd);
			fits = false;
		}
	}
	return fits;
}

/* Reads @size bytes. Return: as read(); -1 with errno E2BIG: more descriptors than any message has. */
static ssize_t read_some(struct channel *channel, void *to, size_t size)
{
	union {
		/* One more than may be, so that it is told and not only cut off. */
		char room[CMSG_SPACE((VU_MAX_FDS + 1) * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { to, size };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof(control.room),
	};
	bool fits = true;
	ssize_t got = recvmsg(channel->fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	if (got < 0)
		return got;
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg))
		if (cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS)
			fits &= keep_fds(&channel->message, cmsg);
	if (!fits || msg.msg_flags & MSG_CTRUNC) {
		errno = E2BIG;
		return -1;
	}
	return got;
}

static bool is_whole(const struct channel *channel)
{
	size_t head = sizeof(channel->message.header);

	return channel->have >= head && channel->have == head + channel->message.header.size;
}

static enum channel_event refused_read(const struct channel *channel, struct reason *reason)
{
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
		return CHANNEL_EMPTY;
	if (errno == ECONNRESET)
		return CHANNEL_END;
	if (errno == E2BIG)
		refuse(reason, "%s: more than %d file descriptors",
		       channel->have >= sizeof(struct vu_header) ? message_name(channel->message.header.request) :
								    "a message", VU_MAX_FDS);
	else
		refuse_error(reason, -errno, "the socket can not be read");
	return CHANNEL_REFUSED;
}

enum channel_event channel_receive(struct channel *channel, struct message *message, struct reason *reason)
{
	struct message *next = &channel->message;
	size_t head = sizeof(next->header);

	for (;;) {
		bool in_head = channel->have < head;
		char *to = in_head ? (char *)&next->header + channel->have : (char *)&next->payload + channel->have - head;
		size_t missing = in_head ? head - channel->have : head + next->header.size - channel->have;
		ssize_t got = read_some(channel, to, missing);

		if (got < 0)
			return refused_read(channel, reason);
		if (!got) {
			if (!channel->have)
				return CHANNEL_END;
			refuse(reason, "the connection ends within a message");
			return CHANNEL_REFUSED;
		}
		channel->have += got;
		if (in_head && channel->have == head && message_check_header(&next->header, reason))
			return CHANNEL_REFUSED;
		if (!is_whole(channel))
			continue;
		*message = *next;
		memset(next, 0, sizeof(*next));
		channel->have = 0;
		return CHANNEL_MESSAGE;
	}
}

int channel_answer(struct channel *channel, uint32_t request, const void *payload, uint32_t size, struct reason *reason)
{
	struct vu_header header = { request, VU_VERSION | VU_FLAG_REPLY, size };
	char whole[sizeof(header) + sizeof(union vu_payload)];
	size_t bytes = sizeof(header) + size, sent = 0;

	memcpy(whole, &header, sizeof(header));
	if (size)
		memcpy(whole + sizeof(header), payload, size);
	while (sent < bytes) {
		struct pollfd room = { .fd = channel->fd, .events = POLLOUT };
		ssize_t n = send(channel->fd, whole + sent, bytes - sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0)
			sent += n;
		else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
			return refuse_error(reason, -errno, "%s can not be answered", message_name(request));
		else if (!poll(&room, 1, ANSWER_MS))
			return refuse(reason, "%s: the answer is not read", message_name(request));
	}
	return 0;
}

void channel_close(struct channel *channel)
{
	if (channel->fd < 0)
		return;
	message_drop(&channel->message);
	close(channel->fd);
	channel->fd = -1;
}
