// SPDX-License-Identifier: GPL-2.0-only
/* A driver behind an IOMMU: what it may access is told by messages, and only what is told is accessed. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hostile.h"
#include "iommu.h"
#include "owner.h"
#include "suite.h"

#define SALT 41u
#define DATA_AT IOMMU_DATA

static char *data_at(const struct guest *guest, uint64_t gpa)
{
	return memory_at(&guest->memory, gpa, IOMMU_PAGE);
}

/* One page at @gpa. */
static void build(struct request *request, struct guest *guest, uint32_t type, uint64_t sector, uint64_t gpa)
{
	request_build(request, &guest->memory,
		      &(struct request_shape){ .type = type, .bytes = IOMMU_PAGE, .sector = sector });
	request->spans[1].gpa = gpa;
}

static void submit(struct request *request, struct guest *guest, unsigned queue)
{
	request_add(request, &guest->ring[queue], &guest->memory);
	ring_kick_always(&guest->ring[queue]);
}

static void expect_answer(struct request *request, struct guest *guest, unsigned queue, uint8_t status)
{
	ring_wait(&guest->ring[queue]);
	if (request_pop(&guest->ring[queue], &guest->memory) != request)
		fail("expected the answer to the only request, saw another");
	request_expect(request, status);
}

/* All that the guest uses is asked for page by page. count: the structure of messages, VHOST_IOTLB_MSG or _V2. */
static void run_misses(const struct disk *disk, const struct check_case *self)
{
	uint64_t backend = self->count == VHOST_IOTLB_MSG_V2 ? 1ull << VHOST_BACKEND_F_IOTLB_MSG_V2 : 0;
	struct request request;
	struct iommu iommu;
	struct guest guest;
	char *data = malloc(self->shape.bytes);

	if (!data)
		fail("out of memory");
	iommu_create(&iommu, &guest, &self->options);
	if (ioctl(guest.vhost, VHOST_SET_BACKEND_FEATURES, &backend))
		fail_errno("VHOST_SET_BACKEND_FEATURES");
	iommu_begin(&iommu);
	guest_attach(&guest, disk->fd);
	for (uint32_t type = VIRTIO_BLK_T_IN; type <= VIRTIO_BLK_T_OUT; type++) {
		struct request_shape shape = self->shape;

		shape.type = type;
		pattern_fill(data, shape.bytes, shape.sector, SALT + type);
		request_build(&request, &guest.memory, &shape);
		if (type == VIRTIO_BLK_T_IN)
			disk_write(disk, shape.sector * SECTOR, data, shape.bytes);
		else
			request_set_data(&request, &guest.memory, data, shape.bytes);
		request_run(&request, &guest, 0);
		request_expect(&request, VIRTIO_BLK_S_OK);
		if (type == VIRTIO_BLK_T_IN)
			request_get_data(&request, &guest.memory, data, shape.bytes);
		else
			disk_read(disk, shape.sector * SECTOR, data, shape.bytes);
		pattern_expect(type ? "disk after a write" : "data read", data, shape.bytes, shape.sector, SALT + type);
		request_free(&request);
	}
	guest_detach(&guest);
	iommu_end(&iommu);
	/* Three parts of the ring, two headers, two statuses, and the data of both. */
	if (iommu.misses < 2 * (uint64_t)(self->shape.bytes / IOMMU_PAGE) + 3)
		fail("expected a miss for each page, saw %llu", (unsigned long long)iommu.misses);
	note("%llu misses", (unsigned long long)iommu.misses);
	free(data);
	guest_close(&guest);
}

/* One virtqueue waits for a translation, says so once, and keeps nobody else from working. */
static void run_parked(const struct disk *disk, const struct check_case *self)
{
	struct request waits, other;
	struct iommu iommu;
	struct guest guest;
	char page[64];

	iommu_create(&iommu, &guest, &self->options);
	iommu_map_rings(&iommu);
	if (fcntl(guest.vhost, F_SETFL, O_RDWR | O_NONBLOCK))
		fail_errno("O_NONBLOCK");
	guest_attach(&guest, disk->fd);
	build(&waits, &guest, VIRTIO_BLK_T_IN, 8, DATA_AT);
	submit(&waits, &guest, 0);
	iommu_expect_miss(&guest, DATA_AT, VHOST_ACCESS_WO);
	for (unsigned i = 0; i < 20; i++) {
		ring_kick_always(&guest.ring[0]);
		build(&other, &guest, VIRTIO_BLK_T_IN, 16, DATA_GPA + 4 * MIB);
		submit(&other, &guest, 1);
		expect_answer(&other, &guest, 1, VIRTIO_BLK_S_OK);
		request_free(&other);
	}
	iommu_expect_no_miss(&guest, 50);
	if (read(guest.vhost, page, sizeof(page)) >= 0 || (errno != EAGAIN && errno != EINVAL))
		fail("read without a message: expected EAGAIN or EINVAL, saw otherwise");
	if (ring_used_idx(&guest.ring[0]))
		fail("expected the request to wait for its translation, saw it answered");
	/* Not what it waits for. */
	iommu_update(&guest, DATA_AT + IOMMU_PAGE, IOMMU_PAGE, data_at(&guest, DATA_AT + IOMMU_PAGE), VHOST_ACCESS_RW);
	iommu_expect_no_miss(&guest, 50);
	/* Asked for anew by who waits, as the owner may have dropped what it would have answered. */
	iommu_invalidate(&guest, DATA_AT, IOMMU_PAGE);
	iommu_expect_miss(&guest, DATA_AT, VHOST_ACCESS_WO);
	iommu_update(&guest, DATA_AT, IOMMU_PAGE, data_at(&guest, DATA_AT), VHOST_ACCESS_WO);
	expect_answer(&waits, &guest, 0, VIRTIO_BLK_S_OK);
	request_free(&waits);
	guest_close(&guest);
}

/* count: the request's type. The page may be accessed the other way only. */
static void run_denied(const struct disk *disk, const struct check_case *self)
{
	uint8_t wrong = self->count == VIRTIO_BLK_T_IN ? VHOST_ACCESS_RO : VHOST_ACCESS_WO;
	char before[IOMMU_PAGE], now[IOMMU_PAGE];
	struct request request;
	struct iommu iommu;
	struct guest guest;

	iommu_start(&iommu, &guest, &self->options, disk->fd);
	pattern_fill(before, sizeof(before), 8, SALT);
	disk_write(disk, 8 * SECTOR, before, sizeof(before));
	memset(data_at(&guest, DATA_AT), 0x5a, IOMMU_PAGE);
	iommu_update(&guest, DATA_AT, IOMMU_PAGE, data_at(&guest, DATA_AT), wrong);
	build(&request, &guest, self->count, 8, DATA_AT);
	submit(&request, &guest, 0);
	expect_answer(&request, &guest, 0, VIRTIO_BLK_S_IOERR);
	request_free(&request);
	disk_read(disk, 8 * SECTOR, now, sizeof(now));
	if (memcmp(now, before, sizeof(now)))
		fail("expected the disk to be left alone, saw it written");
	for (unsigned i = 0; i < IOMMU_PAGE; i++)
		if (data_at(&guest, DATA_AT)[i] != 0x5a)
			fail("expected memory to be left alone, saw byte %u written", i);
	iommu_update(&guest, DATA_AT, IOMMU_PAGE, data_at(&guest, DATA_AT), VHOST_ACCESS_RW);
	build(&request, &guest, self->count, 8, DATA_AT);
	submit(&request, &guest, 0);
	expect_answer(&request, &guest, 0, VIRTIO_BLK_S_OK);
	request_free(&request);
	guest_close(&guest);
}

/* The status may not be written, or the ring not be accessed: nothing can be answered, so the ring stops. */
static void run_denied_ring(const struct disk *disk, const struct check_case *self)
{
	struct request request;
	struct iommu iommu;
	struct guest guest;

	iommu_create(&iommu, &guest, &self->options);
	iommu_map_rings(&iommu);
	build(&request, &guest, VIRTIO_BLK_T_IN, 8, DATA_AT);
	if (self->count == 0) {
		/* A translation that overlaps another takes its place as a whole: the header's must be given anew. */
		iommu_update(&guest, request.spans[2].gpa & ~(uint64_t)(IOMMU_PAGE - 1), IOMMU_PAGE,
			     data_at(&guest, request.spans[2].gpa & ~(uint64_t)(IOMMU_PAGE - 1)), VHOST_ACCESS_RO);
		iommu_update(&guest, request.spans[0].gpa & ~(uint64_t)(IOMMU_PAGE - 1), IOMMU_PAGE,
			     data_at(&guest, request.spans[0].gpa & ~(uint64_t)(IOMMU_PAGE - 1)), VHOST_ACCESS_RW);
	} else {
		iommu_update(&guest, (uintptr_t)guest.memory.region[0].hva, RING_BYTES, guest.memory.region[0].hva,
			     self->count == 1 ? VHOST_ACCESS_RO : VHOST_ACCESS_WO);
	}
	iommu_update(&guest, DATA_AT, IOMMU_PAGE, data_at(&guest, DATA_AT), VHOST_ACCESS_RW);
	guest_attach(&guest, disk->fd);
	submit(&request, &guest, 0);
	if (ring_answer(&guest.ring[0], HOSTILE_MS) != RING_BROKEN)
		fail("expected the error eventfd, saw none");
	request_free(&request);
	guest_close(&guest);
	hostile_expect_good_device(disk);
}

/* After an invalidation the old place is not used any more: the next access asks, and goes to the new one. */
static void run_invalidate(const struct disk *disk, const struct check_case *self)
{
	const uint64_t elsewhere = DATA_AT + 64 * IOMMU_PAGE;
	char expected[IOMMU_PAGE];
	struct request request;
	struct iommu iommu;
	struct guest guest;

	iommu_start(&iommu, &guest, &self->options, disk->fd);
	pattern_fill(expected, sizeof(expected), 8, SALT);
	disk_write(disk, 8 * SECTOR, expected, sizeof(expected));
	for (unsigned i = 0; i < self->count; i++) {
		bool update = i % 2;
		char *old = data_at(&guest, i / 2 % 2 ? elsewhere : DATA_AT);
		char *new = data_at(&guest, i / 2 % 2 ? DATA_AT : elsewhere);

		iommu_update(&guest, DATA_AT, IOMMU_PAGE, old, VHOST_ACCESS_RW);
		build(&request, &guest, VIRTIO_BLK_T_IN, 8, DATA_AT);
		submit(&request, &guest, 0);
		expect_answer(&request, &guest, 0, VIRTIO_BLK_S_OK);
		pattern_expect("data read", old, IOMMU_PAGE, 8, SALT);
		/* Another translation in its place does as well, without a message in between. */
		if (update)
			iommu_update(&guest, DATA_AT, IOMMU_PAGE, new, VHOST_ACCESS_RW);
		else
			iommu_invalidate(&guest, DATA_AT, IOMMU_PAGE);
		memset(old, 0x5a, IOMMU_PAGE);
		memset(new, 0xa5, IOMMU_PAGE);
		request_aim(&request, &guest.memory, 8);
		submit(&request, &guest, 0);
		if (!update) {
			iommu_expect_miss(&guest, DATA_AT, VHOST_ACCESS_WO);
			iommu_update(&guest, DATA_AT, IOMMU_PAGE, new, VHOST_ACCESS_RW);
		}
		expect_answer(&request, &guest, 0, VIRTIO_BLK_S_OK);
		pattern_expect("data read at the new place", new, IOMMU_PAGE, 8, SALT);
		for (unsigned at = 0; at < IOMMU_PAGE; at++)
			if (old[at] != 0x5a)
				fail("expected the old place to be left alone, saw byte %u written", at);
		request_free(&request);
		memory_data_reset(&guest.memory);
	}
	guest_close(&guest);
}

/* The driver's ring is contiguous for it alone: each page is elsewhere. */
static void run_scattered_ring(const struct disk *disk, const struct check_case *self)
{
	enum { PAGES = 16 };
	struct request request;
	struct iommu iommu;
	struct guest guest;
	ptrdiff_t shift;
	char *view, *hva, *expected = malloc(disk->block);

	if (!expected)
		fail("out of memory");
	iommu_create(&iommu, &guest, &self->options);
	hva = guest.memory.region[0].hva;
	view = mmap(NULL, PAGES * IOMMU_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (view == MAP_FAILED)
		fail_errno("mmap");
	iommu.ranges = 0;
	for (unsigned i = 0; i < PAGES; i++) {
		size_t other = (PAGES - 1 - i) * IOMMU_PAGE;

		if (mmap(view + i * IOMMU_PAGE, IOMMU_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			 guest.memory.memfd, (off_t)other) == MAP_FAILED)
			fail_errno("mmap");
		iommu_add(&iommu, (uintptr_t)view + i * IOMMU_PAGE, IOMMU_PAGE, hva + other);
	}
	/* Indirect tables are taken from behind these pages. */
	iommu_add(&iommu, RING_GPA, RING_BYTES, hva);
	iommu_add(&iommu, DATA_GPA, DATA_BYTES, guest.memory.region[1].hva);
	guest.memory.ring_next = RING_GPA + PAGES * IOMMU_PAGE;
	shift = view - hva;
	guest.ring[0].desc = (void *)((char *)guest.ring[0].desc + shift);
	guest.ring[0].avail = (void *)((char *)guest.ring[0].avail + shift);
	guest.ring[0].used = (void *)((char *)guest.ring[0].used + shift);
	ring_restart(&guest.ring[0], self->options.base);
	if (ring_register(&guest.ring[0], guest.vhost))
		fail_errno("ring set-up");
	iommu_begin(&iommu);
	guest_attach(&guest, disk->fd);
	for (unsigned i = 0; i < guest.ring[0].num + 100; i++) {
		uint64_t sector = i % 64 * (disk->block / SECTOR);

		request_build(&request, &guest.memory,
			      &(struct request_shape){ .type = VIRTIO_BLK_T_OUT, .bytes = disk->block, .sector = sector });
		pattern_fill(expected, disk->block, sector, i);
		request_set_data(&request, &guest.memory, expected, disk->block);
		request_run(&request, &guest, 0);
		request_expect(&request, VIRTIO_BLK_S_OK);
		request_free(&request);
		memory_data_reset(&guest.memory);
		disk_read(disk, sector * SECTOR, expected, disk->block);
		pattern_expect("disk after a write", expected, disk->block, sector, i);
	}
	free(expected);
	guest_detach(&guest);
	iommu_end(&iommu);
	guest_close(&guest);
}

enum { STOP_BASE, STOP_DETACH, STOP_CLOSE, STOP_RESET, STOP_KILL, STOP_WAYS };

struct parked {
	const struct disk *disk;
	const struct check_case *self;
};

static void own_parked(void *argument)
{
	const struct parked *parked = argument;
	struct request request;
	struct iommu iommu;
	struct guest guest;

	iommu_start(&iommu, &guest, &parked->self->options, parked->disk->fd);
	build(&request, &guest, VIRTIO_BLK_T_IN, 8, DATA_AT);
	submit(&request, &guest, 0);
	iommu_expect_miss(&guest, DATA_AT, VHOST_ACCESS_WO);
	owner_ready();
	for (;;)
		pause();
}

/* A virtqueue that waits for a translation is stopped; the request is in the ring still, and taken after a start. */
static void run_stop_parked(const struct disk *disk, const struct check_case *self)
{
	struct request request;
	struct iommu iommu;
	struct guest guest;
	uint16_t base = 0;

	if (self->count == STOP_KILL) {
		pid_t pid = owner_start(own_parked, &(struct parked){ disk, self });

		kill(pid, SIGKILL);
		owner_expect_gone(pid);
		hostile_expect_good_device(disk);
		return;
	}
	iommu_start(&iommu, &guest, &self->options, disk->fd);
	build(&request, &guest, VIRTIO_BLK_T_IN, 8, DATA_AT);
	submit(&request, &guest, 0);
	iommu_expect_miss(&guest, DATA_AT, VHOST_ACCESS_WO);
	if (self->count == STOP_BASE)
		base = guest_stop_queue(&guest, 0);
	else if (self->count == STOP_DETACH)
		guest_detach(&guest);
	else if (self->count == STOP_RESET && ioctl(guest.vhost, VHOST_RESET_OWNER))
		fail_errno("VHOST_RESET_OWNER");
	if (base)
		fail("expected base 0 after a request that was not begun, saw %u", base);
	if (self->count == STOP_BASE || self->count == STOP_DETACH) {
		guest_attach(&guest, disk->fd);
		iommu_expect_miss(&guest, DATA_AT, VHOST_ACCESS_WO);
		iommu_update(&guest, DATA_AT, IOMMU_PAGE, data_at(&guest, DATA_AT), VHOST_ACCESS_RW);
		expect_answer(&request, &guest, 0, VIRTIO_BLK_S_OK);
	}
	request_free(&request);
	guest_close(&guest);
	hostile_expect_good_device(disk);
}

void suite_add_iotlb(struct suite *suite)
{
	static const char *const ways[STOP_WAYS] = { "base asked for", "detached", "closed", "reset", "owner killed" };
	static const char *const denied[] = { "status", "used ring", "descriptors" };
	struct check_case *added;

	for (unsigned v2 = 0; v2 < 2; v2++)
		for (unsigned indirect = 0; indirect < 2; indirect++) {
			added = suite_add(suite, GROUP_FULL | (v2 && indirect ? GROUP_QUICK : 0), run_misses,
					  "iotlb: read and write through misses%s, messages v%u",
					  indirect ? ", indirect" : "", v2 + 1);
			added->count = v2 ? VHOST_IOTLB_MSG_V2 : VHOST_IOTLB_MSG;
			added->shape = (struct request_shape){ .bytes = 65536, .sector = 64, .indirect = indirect,
							       .data_cuts = { 12288 }, .misalign = indirect ? 8 : 0 };
			added->options.event_idx = indirect;
		}
	added = suite_add(suite, GROUP_FULL | GROUP_QUICK, run_parked, "iotlb: one miss, other virtqueues go on");
	added->options.queues = 2;
	suite_add(suite, GROUP_FULL, run_denied, "iotlb: read into what may not be written")->count = VIRTIO_BLK_T_IN;
	suite_add(suite, GROUP_FULL, run_denied, "iotlb: write from what may not be read")->count = VIRTIO_BLK_T_OUT;
	for (unsigned i = 0; i < 3; i++)
		suite_add(suite, GROUP_HOSTILE, run_denied_ring, "iotlb: %s may not be accessed", denied[i])->count = i;
	added = suite_add(suite, GROUP_FULL | GROUP_QUICK, run_invalidate, "iotlb: no access after an invalidation");
	added->count = 20;
	added = suite_add(suite, GROUP_FULL, run_scattered_ring, "iotlb: ring in scattered pages");
	added->options = (struct guest_options){ .num = 1024, .base = 65000, .event_idx = true };
	for (unsigned i = 0; i < STOP_WAYS; i++) {
		added = suite_add(suite, GROUP_LIFECYCLE, run_stop_parked, "iotlb: %s while waiting for a translation",
				  ways[i]);
		added->count = i;
	}
}
