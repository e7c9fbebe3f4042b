// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "iommu.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "report.h"

union message {
	struct vhost_msg v1;
	struct vhost_msg_v2 v2;
};

void iommu_add(struct iommu *iommu, uint64_t iova, uint64_t size, char *hva)
{
	if (iommu->ranges == IOMMU_RANGES)
		fail("the check itself is wrong: too many ranges");
	iommu->range[iommu->ranges++] = (struct iommu_range){ iova, size, hva };
}

void iommu_init(struct iommu *iommu, const struct guest *guest)
{
	memset(iommu, 0, sizeof(*iommu));
	iommu->guest = guest;
	for (unsigned i = 0; i < MEMORY_REGIONS; i++) {
		const struct memory_region *region = &guest->memory.region[i];

		iommu_add(iommu, region->gpa, region->bytes, region->hva);
	}
	/* Rings are registered at their host addresses, which are the driver's here. */
	iommu_add(iommu, (uintptr_t)guest->memory.region[0].hva, RING_BYTES, guest->memory.region[0].hva);
}

long iommu_send(const struct guest *guest, uint32_t type, const struct vhost_iotlb_msg *message)
{
	union message whole;

	memset(&whole, 0, sizeof(whole));
	if (type == VHOST_IOTLB_MSG)
		whole.v1.type = (int)type;
	else
		whole.v2.type = type;
	whole.v1.iotlb = *message;
	return write(guest->vhost, &whole, sizeof(whole));
}

static void send_or_fail(const struct guest *guest, const struct vhost_iotlb_msg *message)
{
	long sent = iommu_send(guest, VHOST_IOTLB_MSG_V2, message);

	if (sent < 0)
		fail_errno("IOTLB message %u of %#llx, %#llx bytes", message->type, (unsigned long long)message->iova,
			   (unsigned long long)message->size);
	if (sent != sizeof(union message))
		fail("IOTLB message: expected %zu bytes to be taken, saw %ld", sizeof(union message), sent);
}

void iommu_update(const struct guest *guest, uint64_t iova, uint64_t size, const void *hva, uint8_t perm)
{
	send_or_fail(guest, &(struct vhost_iotlb_msg){ .iova = iova, .size = size, .uaddr = (uintptr_t)hva,
						       .perm = perm, .type = VHOST_IOTLB_UPDATE });
}

void iommu_invalidate(const struct guest *guest, uint64_t iova, uint64_t size)
{
	send_or_fail(guest, &(struct vhost_iotlb_msg){ .iova = iova, .size = size, .type = VHOST_IOTLB_INVALIDATE });
}

void iommu_map_all(const struct iommu *iommu, uint8_t perm)
{
	for (unsigned i = 0; i < iommu->ranges; i++)
		iommu_update(iommu->guest, iommu->range[i].iova, iommu->range[i].size, iommu->range[i].hva, perm);
}

bool iommu_miss(const struct guest *guest, int ms, struct vhost_iotlb_msg *message)
{
	struct pollfd wait_for = { .fd = guest->vhost, .events = POLLIN };
	union message whole;
	long size;

	if (poll(&wait_for, 1, ms) < 0 && errno != EINTR)
		fail_errno("poll of the device");
	if (!(wait_for.revents & POLLIN))
		return false;
	size = read(guest->vhost, &whole, sizeof(whole));
	/* Another reader, or a miss that was answered in the meantime. */
	if (size < 0 && errno == EAGAIN)
		return false;
	if (size != sizeof(whole))
		fail("read of the device: expected %zu bytes, saw %ld", sizeof(whole), size);
	if (whole.v2.type != VHOST_IOTLB_MSG && whole.v2.type != VHOST_IOTLB_MSG_V2)
		fail("message of the device: expected an IOTLB message, saw type %u", whole.v2.type);
	*message = whole.v1.iotlb;
	if (message->type != VHOST_IOTLB_MISS || (message->perm != VHOST_ACCESS_RO && message->perm != VHOST_ACCESS_WO))
		fail("message of the device: expected a miss of one permission, saw type %u, permission %u",
		     message->type, message->perm);
	return true;
}

void iommu_expect_miss(const struct guest *guest, uint64_t iova, uint8_t perm)
{
	struct vhost_iotlb_msg message;

	if (!iommu_miss(guest, COMPLETION_MS, &message))
		fail("expected a miss of %#llx, saw none", (unsigned long long)iova);
	if (message.iova / IOMMU_PAGE != iova / IOMMU_PAGE || message.perm != perm)
		fail("expected a miss of %#llx with permission %u, saw one of %#llx with %u",
		     (unsigned long long)iova, perm, (unsigned long long)message.iova, message.perm);
}

void iommu_expect_no_miss(const struct guest *guest, int ms)
{
	struct vhost_iotlb_msg message;

	if (iommu_miss(guest, ms, &message))
		fail("expected no miss, saw one of %#llx", (unsigned long long)message.iova);
}

static void answer(struct iommu *iommu, const struct vhost_iotlb_msg *miss)
{
	uint64_t page = miss->iova & ~(uint64_t)(IOMMU_PAGE - 1);

	for (unsigned i = 0; i < iommu->ranges; i++) {
		const struct iommu_range *range = &iommu->range[i];

		if (page < range->iova || page - range->iova >= range->size)
			continue;
		iommu_update(iommu->guest, page, IOMMU_PAGE, range->hva + (page - range->iova), VHOST_ACCESS_RW);
		return;
	}
	fail("expected misses of the guest's memory only, saw one of %#llx", (unsigned long long)miss->iova);
}

static void *serve(void *argument)
{
	struct iommu *iommu = argument;
	struct vhost_iotlb_msg miss;

	while (!__atomic_load_n(&iommu->stop, __ATOMIC_RELAXED)) {
		if (!iommu_miss(iommu->guest, 20, &miss))
			continue;
		answer(iommu, &miss);
		iommu->misses++;
	}
	return NULL;
}

void iommu_begin(struct iommu *iommu)
{
	/* Several may wait for the one miss there is. */
	if (fcntl(iommu->guest->vhost, F_SETFL, O_RDWR | O_NONBLOCK))
		fail_errno("O_NONBLOCK");
	iommu->stop = false;
	if (pthread_create(&iommu->thread, NULL, serve, iommu))
		fail("can not start a thread");
}

void iommu_end(struct iommu *iommu)
{
	__atomic_store_n(&iommu->stop, true, __ATOMIC_RELAXED);
	pthread_join(iommu->thread, NULL);
}

void iommu_create(struct iommu *iommu, struct guest *guest, const struct guest_options *options)
{
	struct guest_options behind = *options;
	struct vhost_memory empty = { 0 };

	behind.features = ACCESS_PLATFORM;
	guest_create(guest, &behind);
	if (ioctl(guest->vhost, VHOST_SET_MEM_TABLE, &empty))
		fail_errno("VHOST_SET_MEM_TABLE without a region");
	iommu_init(iommu, guest);
}

void iommu_map_rings(const struct iommu *iommu)
{
	const struct guest *guest = iommu->guest;
	char *rings = guest->memory.region[0].hva;

	iommu_update(guest, (uintptr_t)rings, RING_BYTES, rings, VHOST_ACCESS_RW);
	iommu_update(guest, RING_GPA, RING_BYTES, rings, VHOST_ACCESS_RO);
	iommu_update(guest, DATA_GPA, IOMMU_DATA - DATA_GPA, guest->memory.region[1].hva, VHOST_ACCESS_RW);
}

void iommu_start(struct iommu *iommu, struct guest *guest, const struct guest_options *options, int fd)
{
	iommu_create(iommu, guest, options);
	iommu_map_rings(iommu);
	guest_attach(guest, fd);
}
