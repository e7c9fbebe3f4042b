// SPDX-License-Identifier: GPL-2.0-only
/* More in flight than a device may have: all of it is done, a virtqueue after the other. */
#include <linux/vhost.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "suite.h"

#define BIG_BYTES (4 * MIB)

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Each virtqueue wants its share of more than there is; the request of another one among them does not starve. */
static void run_crowded(const struct disk *disk, const struct check_case *self)
{
	struct request big[GUEST_MAX_QUEUES], small;
	unsigned done = 0, queues = self->options.queues - 1, each = self->count;
	struct guest guest;
	double begin, end = 0;

	if (disk->bytes < 2 * BIG_BYTES)
		skip("the disk is too small");
	guest_create(&guest, &self->options);
	for (unsigned i = 0; i < queues; i++) {
		/* All into the same memory: only how much of it is in flight counts. */
		request_build(&big[i], &guest.memory,
			      &(struct request_shape){ .type = VIRTIO_BLK_T_IN, .bytes = BIG_BYTES });
		for (unsigned j = 0; j < each; j++)
			request_add(&big[i], &guest.ring[i], &guest.memory);
		memory_data_reset(&guest.memory);
	}
	guest.memory.data_next = DATA_GPA + 2 * BIG_BYTES;
	request_build(&small, &guest.memory, &(struct request_shape){ .type = VIRTIO_BLK_T_IN, .bytes = 4096 });
	guest_attach(&guest, disk->fd);
	begin = now();
	for (unsigned i = 0; i < queues; i++)
		ring_kick_always(&guest.ring[i]);
	request_run(&small, &guest, queues);
	request_expect(&small, VIRTIO_BLK_S_OK);
	end = now();
	for (unsigned i = 0; i < queues; i++)
		for (unsigned left = each; left;) {
			struct request *one;

			ring_wait(&guest.ring[i]);
			while ((one = request_pop(&guest.ring[i], &guest.memory))) {
				request_expect(one, VIRTIO_BLK_S_OK);
				left--;
				done++;
			}
		}
	note("%u of 4 MiB in %.1f s, the small one in %.2f s", done, now() - begin, end - begin);
	request_free(&small);
	guest_close(&guest);
}

#define PIECES 16u

/* Requests as large as one may be, all a device has room for, are answered at once: what they wanted is there for others. */
static void run_refused(const struct disk *disk, const struct check_case *self)
{
	unsigned queues = self->options.queues - 1;
	struct request small;
	struct guest guest;

	guest_create(&guest, &self->options);
	/* A worker that polls would look again, and give back then. */
	for (unsigned i = 0; i <= queues; i++)
		if (ioctl(guest.vhost, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &(struct vhost_vring_state){ i, 0 }))
			fail_errno("VHOST_SET_VRING_BUSYLOOP_TIMEOUT");
	guest_attach(&guest, disk->fd);
	for (unsigned i = 0; i < queues; i++) {
		struct request large;

		memory_data_reset(&guest.memory);
		request_build(&large, &guest.memory,
			      &(struct request_shape){ .type = 3, .bytes = PIECES * SECTOR, .data_cuts = { SECTOR } });
		for (unsigned j = 1; j <= PIECES; j++)
			large.spans[j] = (struct span){ DATA_GPA + BIG_BYTES, BIG_BYTES };
		large.writable_bytes = (uint64_t)PIECES * BIG_BYTES + 1;
		request_run(&large, &guest, i);
		request_expect(&large, VIRTIO_BLK_S_UNSUPP);
		request_free(&large);
	}
	memory_data_reset(&guest.memory);
	request_build(&small, &guest.memory, &(struct request_shape){ .type = VIRTIO_BLK_T_IN, .bytes = MIB });
	request_run(&small, &guest, queues);
	request_expect(&small, VIRTIO_BLK_S_OK);
	request_free(&small);
	guest_close(&guest);
}

void suite_add_budget(struct suite *suite)
{
	struct check_case *added;

	added = suite_add(suite, GROUP_FULL, run_crowded, "480 MiB wanted in flight by 8 virtqueues");
	added->options = (struct guest_options){ .queues = 9, .num = 64 };
	added->count = 15;
	added = suite_add(suite, GROUP_LIFECYCLE, run_crowded, "72 MiB wanted in flight by 1 virtqueue");
	added->options = (struct guest_options){ .queues = 2, .num = 64 };
	added->count = 18;
	added = suite_add(suite, GROUP_FULL, run_refused, "256 MiB refused on 4 virtqueues, a fifth goes on");
	added->options = (struct guest_options){ .queues = 5, .num = 64 };
}
