// SPDX-License-Identifier: GPL-2.0-only
/* Busy polling: its ioctls, and kicks that it saves. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "counters.h"
#include "expect.h"
#include "known.h"
#include "suite.h"

static int set_busyloop(const struct guest *guest, unsigned queue, unsigned us)
{
	return ioctl(guest->vhost, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &(struct vhost_vring_state){ queue, us });
}

static void expect_busyloop(const struct guest *guest, unsigned queue, unsigned wanted)
{
	struct vhost_vring_state state = { queue, 0xdeadbeef };

	must("VHOST_GET_VRING_BUSYLOOP_TIMEOUT", ioctl(guest->vhost, VHOST_GET_VRING_BUSYLOOP_TIMEOUT, &state));
	if (state.num != wanted || state.index != queue)
		fail("queue %u: expected %u us of polling, saw %u", queue, wanted, state.num);
}

static void run_busyloop_ioctls(const struct disk *disk, const struct check_case *self)
{
	unsigned by_default = parameter_get("busyloop_us");
	struct vhost_vring_state beyond = { VHOST_BLK_MAX_VQS, 0 };
	struct guest guest;

	guest_create(&guest, &self->options);
	expect_busyloop(&guest, 1, by_default);
	must("SET_VRING_BUSYLOOP_TIMEOUT 77", set_busyloop(&guest, 1, 77));
	expect_errno("10001 us of polling", set_busyloop(&guest, 1, VHOST_BLK_MAX_BUSYLOOP_US + 1), EINVAL);
	expect_errno("2^32-1 us of polling", set_busyloop(&guest, 1, 0xffffffff), EINVAL);
	expect_errno("SET_VRING_BUSYLOOP_TIMEOUT of queue 64", set_busyloop(&guest, VHOST_BLK_MAX_VQS, 1), ENOBUFS);
	expect_errno("GET_VRING_BUSYLOOP_TIMEOUT of queue 64",
		     ioctl(guest.vhost, VHOST_GET_VRING_BUSYLOOP_TIMEOUT, &beyond), ENOBUFS);
	expect_busyloop(&guest, 0, by_default);
	expect_busyloop(&guest, 1, 77);
	guest_attach(&guest, disk->fd);
	must("SET_VRING_BUSYLOOP_TIMEOUT while running", set_busyloop(&guest, 0, VHOST_BLK_MAX_BUSYLOOP_US));
	expect_busyloop(&guest, 0, VHOST_BLK_MAX_BUSYLOOP_US);
	guest_detach(&guest);
	expect_busyloop(&guest, 0, VHOST_BLK_MAX_BUSYLOOP_US);
	must("VHOST_RESET_OWNER", ioctl(guest.vhost, VHOST_RESET_OWNER));
	must("VHOST_SET_OWNER", ioctl(guest.vhost, VHOST_SET_OWNER));
	expect_busyloop(&guest, 0, by_default);
	guest_close(&guest);
}

/* Waits until the device would be kicked for the next request: it sleeps, or is about to. */
static void wait_for_sleep(const struct ring *ring)
{
	const uint16_t *event = (const uint16_t *)&ring->used->ring[ring->num];

	for (unsigned waited = 0; waited < COMPLETION_MS; waited++) {
		if (ring->event_idx ? le16toh(__atomic_load_n(event, __ATOMIC_ACQUIRE)) == ring->avail_idx :
				      !(le16toh(__atomic_load_n(&ring->used->flags, __ATOMIC_ACQUIRE)) &
					VRING_USED_F_NO_NOTIFY))
			return;
		usleep(1000);
	}
	fail("queue %u: expected an idle device to ask for kicks, saw none in %d s", ring->index, COMPLETION_MS / 1000);
}

/* A request for which nobody but guest and worker need a CPU. */
static void ask_id(struct guest *guest, struct request *request)
{
	request_aim(request, &guest->memory, 0);
	request_run(request, guest, 0);
	request_expect(request, VIRTIO_BLK_S_OK);
}

/* One request at a time, with pauses until the device sleeps. Returns how many of them wanted a kick. */
static unsigned long read_and_ask(struct guest *guest, struct request *request, struct request *id, unsigned count)
{
	struct ring *ring = &guest->ring[0];
	unsigned long before = ring->kicks;

	for (unsigned i = 0; i < count; i++) {
		if (i % 50 < 25)
			known_read(guest, request, 0);
		else
			ask_id(guest, id);
		if (i % 50 == 49)
			wait_for_sleep(ring);
	}
	return ring->kicks - before;
}

/* With polling no request is lost, and where it can poll, kicks are saved; without, each request wants its kick. */
static void run_busyloop(const struct disk *disk, const struct check_case *self)
{
	unsigned long kicks, fewest = -1ul;
	struct request request, id;
	struct guest guest;
	unsigned rounds = 0;

	guest_create(&guest, &self->options);
	must("SET_VRING_BUSYLOOP_TIMEOUT", set_busyloop(&guest, 0, 3000));
	guest_attach(&guest, disk->fd);
	known_prepare(disk, &guest, &request);
	request_build(&id, &guest.memory,
		      &(struct request_shape){ .type = VIRTIO_BLK_T_GET_ID, .bytes = VIRTIO_BLK_ID_BYTES });
	/* On a machine whose CPUs are all wanted by others, polling gives way; not each time. */
	do {
		kicks = read_and_ask(&guest, &request, &id, self->count);
		fewest = kicks < fewest ? kicks : fewest;
	} while (++rounds < 20 && kicks > self->count / 2);
	note("%lu kicks for %u requests in the best of %u rounds", fewest, self->count, rounds);
	if (get_nprocs() > 1 && fewest > self->count / 10 * 9)
		fail("expected polling to save kicks, saw %lu for %u requests", fewest, self->count);
	must("no polling", set_busyloop(&guest, 0, 0));
	kicks = guest.ring[0].kicks;
	for (unsigned i = 0; i < 20; i++) {
		wait_for_sleep(&guest.ring[0]);
		known_read(&guest, &request, 0);
	}
	if (guest.ring[0].kicks - kicks != 20)
		fail("without polling: expected 20 kicks for 20 requests, saw %lu", guest.ring[0].kicks - kicks);
	guest_close(&guest);
}

void suite_add_polling(struct suite *suite)
{
	static const char *const rings[] = { "without event_idx", "event_idx" };
	unsigned first = suite->count;
	struct check_case *added;

	added = suite_add(suite, GROUP_FULL, run_busyloop_ioctls, "polling: ioctls and their errors");
	added->options = (struct guest_options){ .queues = 2, .num = 64, .event_idx = true };
	for (unsigned event_idx = 0; event_idx < 2; event_idx++) {
		added = suite_add(suite, GROUP_FULL, run_busyloop, "polling: %s", rings[event_idx]);
		added->options = (struct guest_options){ .num = 64, .event_idx = event_idx };
		added->count = 300;
	}
	suite_set_row(suite, first, ROW_TUNE);
}
