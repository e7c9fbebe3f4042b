// SPDX-License-Identifier: GPL-2.0-only
/* Messages that can not be, and too many of them. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/vhost.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "expect.h"
#include "hostile.h"
#include "iommu.h"
#include "suite.h"

static void create(struct guest *guest, const struct check_case *self)
{
	struct guest_options options = self->options;

	options.features = ACCESS_PLATFORM;
	guest_create(guest, &options);
}

static void run_bad_messages(const struct disk *disk, const struct check_case *self)
{
	static char page[IOMMU_PAGE] __attribute__((aligned(4096)));
	const struct vhost_iotlb_msg good = { .iova = 0x1000, .size = IOMMU_PAGE, .uaddr = (uintptr_t)page,
					      .perm = VHOST_ACCESS_RW, .type = VHOST_IOTLB_UPDATE };
	static const struct {
		const char *what;
		uint64_t iova, size, uaddr;
		uint8_t perm, type;
		int wanted;
	} bad[] = {
		{ "no byte", 0, 0, 0, VHOST_ACCESS_RW, VHOST_IOTLB_UPDATE, EINVAL },
		{ "range that wraps", UINT64_MAX - 4094, 8192, 0, VHOST_ACCESS_RW, VHOST_IOTLB_UPDATE, EINVAL },
		{ "kernel address", 0, 4096, 0xffff888000000000ull, VHOST_ACCESS_RW, VHOST_IOTLB_UPDATE, EFAULT },
		{ "range that ends in the kernel", 0, 1ull << 63, 0, VHOST_ACCESS_RW, VHOST_IOTLB_UPDATE, EFAULT },
		{ "whole address space", 0, UINT64_MAX, 0, VHOST_ACCESS_RW, VHOST_IOTLB_UPDATE, EFAULT },
		{ "no permission", 0, 4096, 0, 0, VHOST_IOTLB_UPDATE, EINVAL },
		{ "unknown permission", 0, 4096, 0, 4, VHOST_IOTLB_UPDATE, EINVAL },
		{ "invalidation of no byte", 0, 0, 0, 0, VHOST_IOTLB_INVALIDATE, EINVAL },
		{ "invalidation that wraps", 4096, UINT64_MAX, 0, 0, VHOST_IOTLB_INVALIDATE, EINVAL },
		{ "miss", 0, 4096, 0, VHOST_ACCESS_RW, VHOST_IOTLB_MISS, EINVAL },
		{ "access failure", 0, 4096, 0, VHOST_ACCESS_RW, VHOST_IOTLB_ACCESS_FAIL, EINVAL },
		{ "type 0", 0, 4096, 0, VHOST_ACCESS_RW, 0, EINVAL },
		{ "type 255", 0, 4096, 0, VHOST_ACCESS_RW, 255, EINVAL },
	};
	uint64_t features = 1ull << VHOST_BACKEND_F_IOTLB_MSG_V2, offered, unknown = 1ull << 63;
	/* Not known to the compiler, which would warn. */
	const void *volatile bad_address = (void *)8;
	struct guest guest;
	pid_t pid;
	int status;

	guest_create(&guest, &self->options);
	expect_errno("message without the feature", iommu_send(&guest, VHOST_IOTLB_MSG_V2, &good), EFAULT);
	guest_close(&guest);
	create(&guest, self);
	if (ioctl(guest.vhost, VHOST_GET_BACKEND_FEATURES, &offered) || offered != features)
		fail("expected backend features %#llx, saw %#llx", (unsigned long long)features,
		     (unsigned long long)offered);
	expect_errno("unknown backend feature", ioctl(guest.vhost, VHOST_SET_BACKEND_FEATURES, &unknown), EOPNOTSUPP);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct vhost_iotlb_msg message = { bad[i].iova, bad[i].size, bad[i].uaddr, bad[i].perm, bad[i].type };

		for (uint32_t type = VHOST_IOTLB_MSG; type <= VHOST_IOTLB_MSG_V2; type++)
			expect_errno(bad[i].what, iommu_send(&guest, type, &message), bad[i].wanted);
	}
	expect_errno("message of type 0", iommu_send(&guest, 0, &good), EINVAL);
	expect_errno("message of type 3", iommu_send(&guest, 3, &good), EINVAL);
	expect_errno("short message", write(guest.vhost, page, 8), EINVAL);
	expect_errno("message at a bad address", write(guest.vhost, bad_address, 72), EFAULT);
	expect_errno("read without room", read(guest.vhost, page, 71), EINVAL);
	pid = fork();
	if (pid < 0)
		fail_errno("fork");
	if (pid == 0) {
		expect_errno("message of a process that is not the owner",
			       iommu_send(&guest, VHOST_IOTLB_MSG_V2, &good), EPERM);
		expect_errno("read of a process that is not the owner", read(guest.vhost, page, 72), EPERM);
		_exit(9);
	}
	if (waitpid(pid, &status, 0) != pid)
		fail_errno("waitpid");
	/* It has said why as this case's verdict. */
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 9)
		_exit(0);
	for (uint32_t type = VHOST_IOTLB_MSG; type <= VHOST_IOTLB_MSG_V2; type++)
		if (iommu_send(&guest, type, &good) != 72)
			fail_errno("a good message");
	guest_close(&guest);
	hostile_expect_good_device(disk);
}

/* More translations than are kept, overlapping ones, and the ends of the address space; then one that is needed. */
static void run_flood(const struct disk *disk, const struct check_case *self)
{
	struct request request;
	struct iommu iommu;
	struct guest guest;
	char *hva;

	create(&guest, self);
	iommu_init(&iommu, &guest);
	hva = guest.memory.region[2].hva;
	for (unsigned i = 0; i < self->count; i++)
		iommu_update(&guest, 0x8000000000ull + 2ull * i * IOMMU_PAGE, IOMMU_PAGE, hva, VHOST_ACCESS_RW);
	for (unsigned i = 0; i < 2000; i++)
		iommu_update(&guest, 0x8000000000ull + i * 512ull, 3 * IOMMU_PAGE, hva, VHOST_ACCESS_RO);
	iommu_update(&guest, UINT64_MAX - IOMMU_PAGE + 1, IOMMU_PAGE, hva, VHOST_ACCESS_RW);
	iommu_begin(&iommu);
	guest_attach(&guest, disk->fd);
	request_build(&request, &guest.memory,
		      &(struct request_shape){ .type = VIRTIO_BLK_T_IN, .bytes = 65536, .data_cuts = { 4096 } });
	request_run(&request, &guest, 0);
	request_expect(&request, VIRTIO_BLK_S_OK);
	/* The last page of all addresses, and one byte behind it. */
	request.spans[1].gpa = UINT64_MAX - IOMMU_PAGE + 1;
	request_aim(&request, &guest.memory, 0);
	request_run(&request, &guest, 0);
	request_expect(&request, VIRTIO_BLK_S_OK);
	request.spans[1].gpa++;
	request_aim(&request, &guest.memory, 0);
	request_run(&request, &guest, 0);
	request_expect(&request, VIRTIO_BLK_S_IOERR);
	request_free(&request);
	iommu_invalidate(&guest, 0, UINT64_MAX);
	guest_detach(&guest);
	iommu_end(&iommu);
	guest_close(&guest);
	hostile_expect_good_device(disk);
}

/* Translations come and go all the while; a request is answered or waits, but never goes wrong. */
static void run_storm(const struct disk *disk, const struct check_case *self)
{
	char expected[IOMMU_PAGE];
	struct request request;
	struct iommu iommu;
	struct guest guest;

	create(&guest, self);
	iommu_init(&iommu, &guest);
	iommu_begin(&iommu);
	guest_attach(&guest, disk->fd);
	pattern_fill(expected, sizeof(expected), 8, 51);
	disk_write(disk, 8 * SECTOR, expected, sizeof(expected));
	for (unsigned i = 0; i < self->count; i++) {
		struct request_shape shape = { .type = VIRTIO_BLK_T_IN, .bytes = IOMMU_PAGE, .sector = 8,
					       .misalign = i % 2 ? 8 : 0 };

		request_build(&request, &guest.memory, &shape);
		request_add(&request, &guest.ring[0], &guest.memory);
		ring_kick_always(&guest.ring[0]);
		for (unsigned j = 0; j < i % 7; j++)
			iommu_invalidate(&guest, 0, UINT64_MAX);
		ring_wait(&guest.ring[0]);
		if (request_pop(&guest.ring[0], &guest.memory) != &request)
			fail("expected the answer to the only request, saw another");
		request_expect(&request, VIRTIO_BLK_S_OK);
		request_get_data(&request, &guest.memory, expected, sizeof(expected));
		pattern_expect("data read", expected, sizeof(expected), 8, 51);
		request_free(&request);
		memory_data_reset(&guest.memory);
	}
	guest_detach(&guest);
	iommu_end(&iommu);
	note("%llu misses", (unsigned long long)iommu.misses);
	guest_close(&guest);
	hostile_expect_good_device(disk);
}

/* Each descriptor of a chain names the same long stretch, whose pages are a translation each: no request is so long. */
static void run_same_again(const struct disk *disk, const struct check_case *self)
{
	const struct request_shape shape = { .type = VIRTIO_BLK_T_IN, .bytes = 1000 * IOMMU_PAGE,
					     .data_cuts = { IOMMU_PAGE }, .indirect = true };
	const uint64_t stretch = 0x8000000000ull;
	struct request request;
	struct iommu iommu;
	struct guest guest;

	create(&guest, self);
	iommu_init(&iommu, &guest);
	for (unsigned i = 0; i < self->count; i++)
		iommu_update(&guest, stretch + (uint64_t)i * IOMMU_PAGE, IOMMU_PAGE, guest.memory.region[2].hva,
			     VHOST_ACCESS_RW);
	iommu_begin(&iommu);
	guest_attach(&guest, disk->fd);
	request_build(&request, &guest.memory, &shape);
	for (unsigned i = 1; i <= 1000; i++) {
		request.spans[i].gpa = stretch;
		request.spans[i].len = self->count * IOMMU_PAGE;
	}
	request_add(&request, &guest.ring[0], &guest.memory);
	ring_kick_always(&guest.ring[0]);
	if (hostile_expect_answer(&guest.ring[0]) != RING_BROKEN)
		fail("expected the ring to be stopped, saw an answer");
	request_free(&request);
	guest_detach(&guest);
	iommu_end(&iommu);
	guest_close(&guest);
	hostile_expect_good_device(disk);
}

void suite_add_iotlb_hostile(struct suite *suite)
{
	suite_add(suite, GROUP_HOSTILE, run_bad_messages, "iotlb: messages that can not be");
	suite_add(suite, GROUP_HOSTILE, run_flood, "iotlb: 40000 translations")->count = 40000;
	suite_add(suite, GROUP_HOSTILE, run_same_again, "iotlb: 30000 translations in each descriptor")->count = 30000;
	suite_add(suite, GROUP_HOSTILE, run_storm, "iotlb: invalidations all the time")->count = 200;
}
