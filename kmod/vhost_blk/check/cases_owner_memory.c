// SPDX-License-Identifier: GPL-2.0-only
/*
 * An owner that provides its guest's memory on demand (userfaultfd) is killed while a worker waits for a page that does not
 * come: it ends all the same, and leaves a device that others can use.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hostile.h"
#include "iommu.h"
#include "owner.h"
#include "suite.h"

#define PAGE 4096ul

/* Of a used ring of so many entries, the page of this one has no other content. */
#define USED_ENTRIES 1024u
#define USED_AT 512u

/* Which page does not come. */
enum missing { DATA, TABLE, USED_RING };

/* Where else the owner is when it is killed. */
enum place { NOWHERE, IN_IOCTL, IN_WRITE };

struct variant {
	const char *name;
	uint32_t type;
	enum missing missing;
	enum place place;
	/* The descriptor that could provide the page is the owner's alone, and older than the device's or younger. */
	bool alone, older;
};

static const struct variant variants[] = {
	{ "data to write, served by itself, first descriptor", VIRTIO_BLK_T_OUT, DATA, NOWHERE, true, true },
	{ "data to write, served by itself, last descriptor", VIRTIO_BLK_T_OUT, DATA, NOWHERE, true, false },
	{ "data to read, served by another", VIRTIO_BLK_T_IN, DATA, NOWHERE, false, true },
	{ "indirect table, served by another", VIRTIO_BLK_T_IN, TABLE, NOWHERE, false, true },
	{ "used ring, served by another", VIRTIO_BLK_T_IN, USED_RING, NOWHERE, false, true },
	{ "data to write, while a queue stops", VIRTIO_BLK_T_OUT, DATA, IN_IOCTL, true, true },
	{ "data to write, while a translation goes", VIRTIO_BLK_T_OUT, DATA, IN_WRITE, true, true },
};

struct owned {
	const struct disk *disk;
	const struct variant *variant;
	struct guest guest;
	int uffd;
};

static int open_uffd(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = (int)syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		skip("no userfaultfd: %s", strerror(errno));
	if (ioctl(fd, UFFDIO_API, &api))
		fail_errno("UFFDIO_API");
	return fd;
}

/* Takes the page at @address out of guest memory: who accesses it waits until it is provided. */
static void take_page(const struct owned *owned, void *address)
{
	uintptr_t page = (uintptr_t)address & ~(PAGE - 1);
	struct uffdio_register missing = { .range = { page, PAGE }, .mode = UFFDIO_REGISTER_MODE_MISSING };

	if (ioctl(owned->uffd, UFFDIO_REGISTER, &missing))
		fail_errno("UFFDIO_REGISTER");
	if (madvise((void *)page, PAGE, MADV_REMOVE))
		fail_errno("MADV_REMOVE");
}

static void expect_wanted(const struct owned *owned)
{
	struct pollfd poll_uffd = { .fd = owned->uffd, .events = POLLIN };

	if (poll(&poll_uffd, 1, HOSTILE_MS) != 1)
		fail("expected a worker to wait for the page, saw none");
}

/* Keeps the descriptor open for as long as the owner exists. */
static void start_server(const struct owned *owned)
{
	if (owner_fork())
		return;
	close(owned->guest.vhost);
	for (;;)
		pause();
}

static void *wait_for_worker(void *argument)
{
	const struct owned *owned = argument;

	if (owned->variant->place == IN_IOCTL)
		guest_stop_queue(&owned->guest, 0);
	else
		iommu_invalidate(&owned->guest, DATA_GPA, DATA_BYTES);
	fail("expected the call to wait for the worker, saw it return");
}

static void create_guest(struct owned *owned)
{
	struct guest_options options = { .num = USED_ENTRIES, .base = USED_AT };
	struct iommu iommu;

	if (owned->variant->place == IN_WRITE)
		options.features = ACCESS_PLATFORM;
	guest_create(&owned->guest, &options);
	if (owned->variant->place != IN_WRITE)
		return;
	iommu_init(&iommu, &owned->guest);
	iommu_map_all(&iommu, VHOST_ACCESS_RW);
}

static void add_request(struct owned *owned)
{
	struct guest *guest = &owned->guest;
	struct request request;

	/* What is taken is on a page of its own. */
	memory_ring(&guest->memory, PAGE, PAGE);
	request_build(&request, &guest->memory,
		      &(struct request_shape){ .type = owned->variant->type, .bytes = PAGE, .sector = 64,
					       .indirect = owned->variant->missing == TABLE });
	request.spans[1].gpa = DATA_GPA + DATA_BYTES / 2;
	request_add(&request, &guest->ring[0], &guest->memory);
	if (owned->variant->missing == DATA)
		take_page(owned, memory_at(&guest->memory, request.spans[1].gpa, PAGE));
	if (owned->variant->missing == TABLE)
		take_page(owned, memory_at(&guest->memory, request.table, 16));
	if (owned->variant->missing == USED_RING)
		take_page(owned, &guest->ring[0].used->ring[USED_AT]);
}

static void own(void *argument)
{
	struct owned *owned = argument;
	const struct variant *variant = owned->variant;
	pthread_t thread;

	if (variant->older)
		owned->uffd = open_uffd();
	create_guest(owned);
	if (!variant->older)
		owned->uffd = open_uffd();
	add_request(owned);
	guest_attach(&owned->guest, owned->disk->fd);
	if (!variant->alone)
		start_server(owned);
	ring_kick_always(&owned->guest.ring[0]);
	expect_wanted(owned);
	if (variant->place != NOWHERE) {
		if (pthread_create(&thread, NULL, wait_for_worker, owned))
			fail("can not start a thread");
		usleep(300000);
	}
	owner_ready();
	for (;;)
		pause();
}

/* count: the variant. */
static void run_killed(const struct disk *disk, const struct check_case *self)
{
	struct owned owned = { .disk = disk, .variant = &variants[self->count] };
	pid_t pid = owner_start(own, &owned);

	kill(pid, SIGKILL);
	owner_expect_gone(pid);
	hostile_expect_good_device(disk);
}

void suite_add_owner_memory(struct suite *suite)
{
	unsigned first = suite->count;

	for (unsigned i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
		suite_add(suite, GROUP_LIFECYCLE, run_killed, "owner killed, page missing: %s", variants[i].name)->count =
			i;
	suite_set_row(suite, first, ROW_OWNER);
}
