// SPDX-License-Identifier: GPL-2.0-only
#include "driven_session.h"

#include <linux/virtio_config.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../say.h"
#include "fake_device.h"
#include "frontend.h"
#include "report.h"

struct bridge bridge;
struct kept kept;
struct session session;
int frontend, memory_fd, event_fd;
char said[1024];
unsigned int cases, failures;

void say_name(const char *text)
{
	(void)text;
}

void say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(said, sizeof(said), format, arguments);
	va_end(arguments);
}

void driven_begin(uint64_t protocol)
{
	struct reason reason;
	uint64_t features = BIT(VIRTIO_F_VERSION_1) | BIT(VU_FEATURE_PROTOCOL_FEATURES);
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) || session_begin(&session, &bridge, pair[0], &reason))
		fail("a session can not begin");
	frontend = pair[1];
	frontend_send(frontend, VU_SET_PROTOCOL_FEATURES, 0, &protocol, sizeof(protocol), NULL, 0);
	frontend_send(frontend, VU_SET_FEATURES, 0, &features, sizeof(features), NULL, 0);
	if (session_serve(&session))
		fail("the session does not begin: %s", said);
}

void driven_end(void)
{
	session_end(&session);
	close(frontend);
}

void driven_good(uint32_t request, const void *payload, uint32_t size, int fd)
{
	if (!frontend_send(frontend, request, 0, payload, size, &fd, fd >= 0) || session_serve(&session))
		fail("%s is refused: %s", message_name(request), said);
}

void driven_place_ring(unsigned int flags)
{
	struct vhost_vring_state num = { 0, 128 };
	struct vhost_vring_addr addr = { 0, flags, UADDR, UADDR + 0x8000, UADDR + 0x4000, flags ? 0x4000 : 0 };

	driven_good(VU_SET_VRING_NUM, &num, sizeof(num), -1);
	driven_good(VU_SET_VRING_ADDR, &addr, sizeof(addr), -1);
}

void driven_start_ring(void)
{
	struct vu_one_region region = { 0, { 0, MEMORY_BYTES, UADDR, 0 } };
	struct vhost_vring_state enable = { 0, 1 };
	uint64_t zero = 0;

	driven_good(VU_ADD_MEM_REG, &region, sizeof(region), memory_fd);
	driven_place_ring(0);
	driven_good(VU_SET_VRING_CALL, &zero, sizeof(zero), event_fd);
	driven_good(VU_SET_VRING_KICK, &zero, sizeof(zero), event_fd);
	driven_good(VU_SET_VRING_ENABLE, &enable, sizeof(enable), -1);
	if (!fake_device.vring[0].running)
		fail("the ring does not run");
}

void driven_expect(const char *name, const char *text)
{
	int ret;

	said[0] = '\0';
	ret = session_serve(&session);
	cases++;
	if (ret && strstr(said, text)) {
		printf("ok - %s: %s\n", name, said);
		return;
	}
	failures++;
	printf("not ok - %s: %s, said '%s', expected '%s'\n", name, ret ? "refused" : "accepted", said, text);
}

void driven_prepare(void)
{
	bridge.kept = &kept;
	bridge.options.queues = 4;
	bridge.options.segments = 126;
	bridge.options.discard = true;
	bridge.options.poll_us = OPTION_UNSET;
	memory_fd = memfd_create("memory", MFD_CLOEXEC);
	event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (memory_fd < 0 || ftruncate(memory_fd, MEMORY_BYTES))
		fail_errno("memfd");
}
