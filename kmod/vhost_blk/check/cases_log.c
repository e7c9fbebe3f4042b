// SPDX-License-Identifier: GPL-2.0-only
/* The dirty log of a live migration: the pages that changed are those that are marked, neither fewer nor more. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/vhost.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dirty_log.h"
#include "hostile.h"
#include "iommu.h"
#include "suite.h"

#define LOG_ALL (1ull << VHOST_F_LOG_ALL)

/* Of self->count. */
enum { WITH_RINGS = 1, WITH_IOTLB = 2 };

static int set_base(const struct guest *guest, const void *bits)
{
	uint64_t base = (uintptr_t)bits;

	return ioctl(guest->vhost, VHOST_SET_LOG_BASE, &base);
}

static int set_features(const struct guest *guest, uint64_t features)
{
	return ioctl(guest->vhost, VHOST_SET_FEATURES, &features);
}

static void log_switch(const struct guest *guest, bool on)
{
	if (set_features(guest, guest->features | (on ? LOG_ALL : 0)))
		fail_errno("VHOST_SET_FEATURES with logging %s", on ? "on" : "off");
}

static void log_give(const struct guest *guest, const struct dirty_log *log)
{
	if (set_base(guest, log->bits))
		fail_errno("VHOST_SET_LOG_BASE");
	if (ioctl(guest->vhost, VHOST_SET_LOG_FD, &log->event))
		fail_errno("VHOST_SET_LOG_FD");
}

static uint64_t gpa_of(const struct guest *guest, const void *hva)
{
	const struct memory_region *region = &guest->memory.region[0];

	return region->gpa + (uint64_t)((const char *)hva - region->hva);
}

static int set_ring(const struct guest *guest, unsigned flags, uint64_t log_gpa)
{
	const struct ring *ring = &guest->ring[0];
	struct vhost_vring_addr addresses = {
		.index = ring->index,
		.flags = flags,
		.desc_user_addr = (uintptr_t)ring->desc,
		.avail_user_addr = (uintptr_t)ring->avail,
		.used_user_addr = (uintptr_t)ring->used,
		.log_guest_addr = log_gpa,
	};

	return ioctl(guest->vhost, VHOST_SET_VRING_ADDR, &addresses);
}

/* One request; what was there before differs from what it brings, so that each page that is written changes. */
static void run_exact(const struct disk *disk, const struct check_case *self)
{
	bool rings = self->count & WITH_RINGS, translated = self->count & WITH_IOTLB;
	struct guest_options options = self->options;
	struct snapshot before;
	struct request request;
	struct iommu iommu;
	struct guest guest;
	unsigned changes;
	struct dirty_log log;
	char *data;

	if (self->shape.type != VIRTIO_BLK_T_GET_ID && self->shape.bytes % disk->block)
		skip("the disk's blocks are %u bytes", disk->block);
	options.features = translated ? ACCESS_PLATFORM : 0;
	guest_create(&guest, &options);
	dirty_log_create(&log);
	log_give(&guest, &log);
	if (rings && set_ring(&guest, 1 << VHOST_VRING_F_LOG, gpa_of(&guest, guest.ring[0].used)))
		fail_errno("VHOST_SET_VRING_ADDR with VHOST_VRING_F_LOG");
	log_switch(&guest, true);
	request_build(&request, &guest.memory, &self->shape);
	data = malloc(self->shape.bytes + 1);
	if (!data)
		fail("out of memory");
	pattern_fill(data, self->shape.bytes, self->shape.sector, 31);
	if (self->shape.type == VIRTIO_BLK_T_IN)
		disk_write(disk, self->shape.sector * SECTOR, data, self->shape.bytes);
	pattern_fill(data, self->shape.bytes, self->shape.sector, 32);
	request_set_data(&request, &guest.memory, data, self->shape.bytes);
	request_add(&request, &guest.ring[0], &guest.memory);
	snapshot_take(&before, &guest.memory);
	if (translated) {
		iommu_init(&iommu, &guest);
		iommu_begin(&iommu);
	}
	guest_attach(&guest, disk->fd);
	ring_kick(&guest.ring[0]);
	ring_wait(&guest.ring[0]);
	if (request_pop(&guest.ring[0], &guest.memory) != &request)
		fail("expected the answer to the only request, saw another");
	request_expect(&request, VIRTIO_BLK_S_OK);
	/* The bit of the used index is set behind it. */
	guest_detach(&guest);
	if (translated)
		iommu_end(&iommu);
	changes = dirty_log_expect_changes(&guest, &before, &log, rings);
	dirty_log_expect_event(&log);
	note("%u pages changed", changes);
	snapshot_free(&before);
	free(data);
	request_free(&request);
	guest_close(&guest);
}

static void read_page(struct guest *guest, uint64_t gpa)
{
	struct request request;

	request_build(&request, &guest->memory, &(struct request_shape){ .type = VIRTIO_BLK_T_IN, .bytes = LOG_PAGE });
	request.spans[1].gpa = gpa;
	request_run(&request, guest, 0);
	request_expect(&request, VIRTIO_BLK_S_OK);
	request_free(&request);
}

/* A migration begins and is given up while the virtqueue runs. */
static void run_toggle(const struct disk *disk, const struct check_case *self)
{
	const uint64_t first = DATA_GPA + 8 * MIB, second = first + 64 * LOG_PAGE, third = second + 64 * LOG_PAGE;
	struct guest guest;
	struct dirty_log log;

	guest_create(&guest, &self->options);
	dirty_log_create(&log);
	guest_attach(&guest, disk->fd);
	if (!set_features(&guest, guest.features | LOG_ALL) || errno != EFAULT)
		fail("logging without a log: expected EFAULT, saw %s", strerror(errno));
	log_give(&guest, &log);
	read_page(&guest, first);
	if (dirty_log_count(&log))
		fail("expected nothing to be logged before it is switched on, saw %u bits", dirty_log_count(&log));
	log_switch(&guest, true);
	if (set_ring(&guest, 1 << VHOST_VRING_F_LOG, gpa_of(&guest, guest.ring[0].used)))
		fail_errno("VHOST_SET_VRING_ADDR while running, with only the flag changed");
	read_page(&guest, second);
	if (dirty_log_is_set(&log, first) || !dirty_log_is_set(&log, second))
		fail("expected the second page to be logged only, saw otherwise");
	if (!dirty_log_is_set(&log, gpa_of(&guest, guest.ring[0].used)))
		fail("expected the used ring to be logged, saw that it was not");
	if (!set_features(&guest, guest.features ^ (1ull << VIRTIO_RING_F_EVENT_IDX)) || errno != EBUSY)
		fail("another feature while running: expected EBUSY, saw %s", strerror(errno));
	log_switch(&guest, false);
	if (set_ring(&guest, 0, 0))
		fail_errno("VHOST_SET_VRING_ADDR while running, with the flag taken back");
	read_page(&guest, third);
	/* The one before may have set bits until its used index was logged. */
	memset(log.bits, 0, LOG_BYTES);
	read_page(&guest, third);
	if (dirty_log_count(&log))
		fail("expected nothing to be logged after it is switched off, saw %u bits", dirty_log_count(&log));
	guest_close(&guest);
}

#define FLYING 64u
#define FLYING_BYTES 65536u

/* Return: how many requests were in flight when logging was switched on. */
static unsigned switch_in_flight(const struct disk *disk, const struct check_case *self)
{
	struct request requests[FLYING];
	unsigned flying = 0, missed = 0;
	bool late[FLYING];
	struct guest guest;
	struct dirty_log log;

	guest_create(&guest, &self->options);
	dirty_log_create(&log);
	log_give(&guest, &log);
	for (unsigned i = 0; i < FLYING; i++) {
		struct request_shape shape = { .type = VIRTIO_BLK_T_IN, .bytes = FLYING_BYTES, .sector = 8 * i,
					       .indirect = true, .misalign = i % 2 ? 8 : 0 };

		request_build(&requests[i], &guest.memory, &shape);
		request_add(&requests[i], &guest.ring[0], &guest.memory);
	}
	guest_attach(&guest, disk->fd);
	log_switch(&guest, true);
	for (unsigned i = 0; i < FLYING; i++) {
		const uint8_t *status = memory_at(&guest.memory, requests[i].spans[2].gpa, 1);

		late[i] = __atomic_load_n(status, __ATOMIC_ACQUIRE) == STATUS_NONE;
		flying += late[i];
	}
	for (unsigned done = 0; done < FLYING;) {
		ring_wait(&guest.ring[0]);
		while (request_pop(&guest.ring[0], &guest.memory))
			done++;
	}
	guest_detach(&guest);
	for (unsigned i = 0; i < FLYING; i++) {
		request_expect(&requests[i], VIRTIO_BLK_S_OK);
		for (uint32_t at = 0; late[i] && at < FLYING_BYTES; at += LOG_PAGE)
			missed += !dirty_log_is_set(&log, requests[i].spans[1].gpa + at);
		missed += late[i] && !dirty_log_is_set(&log, requests[i].spans[2].gpa);
		request_free(&requests[i]);
	}
	if (missed)
		fail("expected %u requests that ended later to be logged, saw %u of their pages missing", flying,
		     missed);
	guest_close(&guest);
	return flying;
}

/* What was started before logging was switched on and ends after it is logged. */
static void run_in_flight(const struct disk *disk, const struct check_case *self)
{
	unsigned flying = 0;

	/* A disk in memory may be through with all of them before the call. */
	for (unsigned i = 0; !flying && i < 100; i++)
		flying = switch_in_flight(disk, self);
	if (!flying)
		skip("the disk is too fast for requests in flight");
	note("%u in flight", flying);
}

static void expect_error(const char *what, int result, int wanted)
{
	if (result >= 0)
		fail("%s: expected an error, saw success", what);
	if (errno != wanted)
		fail("%s: expected \"%s\", saw \"%s\"", what, strerror(wanted), strerror(errno));
}

/* As the log has a byte for each 32 KiB: beyond user space where that has 47 bits, which is not so everywhere. */
#define FAR_GPA 0x4000000000000000ull

/* Addresses of more than 47 bits are given only to those who ask for one. */
static bool has_wide_addresses(void)
{
	void *wide = mmap((void *)(1ul << 50), IOMMU_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (wide == MAP_FAILED)
		fail_errno("mmap");
	munmap(wide, IOMMU_PAGE);
	return (uintptr_t)wide >> 47;
}

static void run_errors(const struct disk *disk, const struct check_case *self)
{
	bool far_is_beyond = !has_wide_addresses();
	int bad_fd = 9999;
	struct guest guest;
	struct dirty_log log;

	guest_create(&guest, &self->options);
	dirty_log_create(&log);
	expect_error("unknown flag of a vring", set_ring(&guest, 2, 0), EOPNOTSUPP);
	expect_error("misaligned log address", set_ring(&guest, 1, 2), EINVAL);
	expect_error("log address that wraps", set_ring(&guest, 1, UINT64_MAX - 3), EINVAL);
	expect_error("log eventfd 9999", ioctl(guest.vhost, VHOST_SET_LOG_FD, &bad_fd), EBADF);
	expect_error("log eventfd: a disk", ioctl(guest.vhost, VHOST_SET_LOG_FD, &disk->fd), EINVAL);
	log_switch(&guest, true);
	expect_error("start without a log", guest_set_backend(&guest, 0, disk->fd), EFAULT);
	if (set_base(&guest, (void *)0xffff888000000000ull))
		expect_error("log at a kernel address", -1, EFAULT);
	else
		expect_error("start with a log at a kernel address", guest_set_backend(&guest, 0, disk->fd), EFAULT);
	log_give(&guest, &log);
	if (far_is_beyond) {
		if (set_ring(&guest, 1, FAR_GPA))
			fail_errno("a far log address of a virtqueue that does not run");
		expect_error("start with a used ring beyond the log", guest_set_backend(&guest, 0, disk->fd), EFAULT);
	}
	if (set_ring(&guest, 1, RING_GPA))
		fail_errno("VHOST_SET_VRING_ADDR");
	guest_attach(&guest, disk->fd);
	expect_error("log at a kernel address while running", set_base(&guest, (void *)0xffff888000000000ull), EFAULT);
	if (far_is_beyond)
		expect_error("used ring beyond the log while running", set_ring(&guest, 1, FAR_GPA), EFAULT);
	read_page(&guest, DATA_GPA + 8 * MIB);
	guest_close(&guest);
	hostile_expect_good_device(disk);
}

/* The log's pages are taken away while it is in use: a migration would lose writes, so the ring stops. */
static void run_gone(const struct disk *disk, const struct check_case *self)
{
	struct request request;
	struct guest guest;
	struct dirty_log log;

	guest_create(&guest, &self->options);
	dirty_log_create(&log);
	log_give(&guest, &log);
	log_switch(&guest, true);
	guest_attach(&guest, disk->fd);
	if (mprotect(log.room, LOG_BYTES + 2 * LOG_PAGE, self->count ? PROT_READ : PROT_NONE))
		fail_errno("mprotect");
	request_build(&request, &guest.memory, &(struct request_shape){ .type = VIRTIO_BLK_T_IN, .bytes = LOG_PAGE });
	request_add(&request, &guest.ring[0], &guest.memory);
	ring_kick(&guest.ring[0]);
	if (ring_answer(&guest.ring[0], HOSTILE_MS) != RING_BROKEN)
		fail("expected the error eventfd, saw none");
	request_free(&request);
	guest_close(&guest);
	hostile_expect_good_device(disk);
}

void suite_add_log(struct suite *suite)
{
	static const struct {
		const char *name;
		struct request_shape shape;
	} shapes[] = {
		{ "read 512", { .type = VIRTIO_BLK_T_IN, .bytes = 512, .sector = 8 } },
		{ "read 64 KiB", { .type = VIRTIO_BLK_T_IN, .bytes = 65536, .sector = 64 } },
		{ "read 64 KiB in 16 pieces",
		  { .type = VIRTIO_BLK_T_IN, .bytes = 65536, .sector = 64, .data_cuts = { 4096 }, .indirect = true } },
		{ "misaligned read", { .type = VIRTIO_BLK_T_IN, .bytes = 16384, .sector = 64, .misalign = 8 } },
		{ "misaligned read in 17 pieces",
		  { .type = VIRTIO_BLK_T_IN, .bytes = 16384, .sector = 64, .misalign = 3, .data_cuts = { 1000 },
		    .share_status = true } },
		{ "read across regions",
		  { .type = VIRTIO_BLK_T_IN, .bytes = 1048576, .sector = 64, .across_regions = true } },
		{ "write", { .type = VIRTIO_BLK_T_OUT, .bytes = 65536, .sector = 64 } },
		{ "flush", { .type = VIRTIO_BLK_T_FLUSH } },
		{ "get-id", { .type = VIRTIO_BLK_T_GET_ID, .bytes = 20 } },
	};
	static const char *const with[] = { "", ", used ring too", "", ", used ring too, through an IOTLB" };
	struct check_case *added;

	for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		for (unsigned j = 0; j < 4; j++) {
			if (j == WITH_IOTLB)
				continue;
			added = suite_add(suite, j == 1 ? GROUP_FULL | GROUP_QUICK : GROUP_FULL, run_exact, "log: %s%s",
					  shapes[i].name, with[j]);
			added->shape = shapes[i].shape;
			added->count = j;
			added->options.event_idx = j == 1;
		}
	suite_add(suite, GROUP_FULL | GROUP_QUICK, run_toggle, "log: switched while running");
	added = suite_add(suite, GROUP_FULL | GROUP_QUICK, run_in_flight, "log: switched on with requests in flight");
	added->options.num = 256;
	suite_add(suite, GROUP_HOSTILE, run_errors, "log: ioctls that can not be");
	suite_add(suite, GROUP_HOSTILE, run_gone, "log: unmapped while in use");
	suite_add(suite, GROUP_HOSTILE, run_gone, "log: read-only while in use")->count = 1;
}
