/* SPDX-License-Identifier: GPL-2.0-only */
/* The VMM's side of a device IOTLB: messages, and a thread that answers misses from a list of translations. */
#ifndef VHOST_BLK_CHECK_IOMMU_H
#define VHOST_BLK_CHECK_IOMMU_H

#include <linux/vhost_types.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest.h"

#define IOMMU_PAGE 4096u
#define ACCESS_PLATFORM (1ull << 33)

/* A stretch of the driver's addresses. */
struct iommu_range {
	uint64_t iova;
	uint64_t size;
	char *hva;
};

#define IOMMU_RANGES 64u

struct iommu {
	const struct guest *guest;
	struct iommu_range range[IOMMU_RANGES];
	unsigned ranges;
	/* The thread's: misses that it answered; told to end. */
	uint64_t misses;
	bool stop;
	pthread_t thread;
};

/* guest_create() with an empty memory table, so that only messages can say where anything is; then iommu_init(). */
void iommu_create(struct iommu *iommu, struct guest *guest, const struct guest_options *options);

/* Tells the device about all that a guest has below IOMMU_DATA: rings, headers, statuses. */
#define IOMMU_DATA (DATA_GPA + 8 * MIB)
void iommu_map_rings(const struct iommu *iommu);

/* Both, and a disk. */
void iommu_start(struct iommu *iommu, struct guest *guest, const struct guest_options *options, int fd);

/* Addresses of guest memory and of the rings as ring_register() gives them, not yet told to the device. */
void iommu_init(struct iommu *iommu, const struct guest *guest);
void iommu_add(struct iommu *iommu, uint64_t iova, uint64_t size, char *hva);

/* A thread answers each miss with one page until iommu_end(); a miss that is nowhere fails the case. */
void iommu_begin(struct iommu *iommu);
void iommu_end(struct iommu *iommu);

/* Tells the device about all of it. */
void iommu_map_all(const struct iommu *iommu, uint8_t perm);

/* One message; v2 when @type is VHOST_IOTLB_MSG_V2. Return: what write() returned, with errno. */
long iommu_send(const struct guest *guest, uint32_t type, const struct vhost_iotlb_msg *message);

/* They fail the case when the device refuses. */
void iommu_update(const struct guest *guest, uint64_t iova, uint64_t size, const void *hva, uint8_t perm);
void iommu_invalidate(const struct guest *guest, uint64_t iova, uint64_t size);

/* The next miss; false when none comes within @ms. */
bool iommu_miss(const struct guest *guest, int ms, struct vhost_iotlb_msg *message);

/* Fails the case unless the next miss is of this page and permission, and comes soon. */
void iommu_expect_miss(const struct guest *guest, uint64_t iova, uint8_t perm);

/* Fails the case when there is a miss to read within @ms. */
void iommu_expect_no_miss(const struct guest *guest, int ms);

#endif
