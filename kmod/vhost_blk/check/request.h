/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One virtio-blk request (virtio 1.3, 5.2.6) in guest memory. It is a stream of bytes the device reads (header, data to
 * write) and one that it writes (data read, status); where descriptors cut the streams is the guest's choice.
 */
#ifndef VHOST_BLK_CHECK_REQUEST_H
#define VHOST_BLK_CHECK_REQUEST_H

#include <linux/virtio_blk.h>
#include <stdbool.h>
#include <stdint.h>

#include "disk.h"
#include "guest.h"

#define REQUEST_HEADER_BYTES 16u
#define REQUEST_MAX_CUTS 8u
#define STATUS_NONE 0xff

/* Of specification 1.2; older headers do not name it. */
#define REQUEST_SECURE_ERASE 14u
#define REQUEST_F_SECURE_ERASE 16u

/* Feature bits of the requests that a disk need not know. */
#define REQUEST_RANGE_FEATURES \
	(1ull << VIRTIO_BLK_F_DISCARD | 1ull << VIRTIO_BLK_F_WRITE_ZEROES | 1ull << REQUEST_F_SECURE_ERASE)

struct request_shape {
	uint32_t type;
	uint64_t sector;
	uint32_t bytes;
	/* Lengths of the data descriptors, used again from the start until @bytes are covered; none: one descriptor. */
	uint32_t data_cuts[REQUEST_MAX_CUTS];
	/* Lengths of the header's descriptors; none: one of 16. */
	uint32_t header_cuts[REQUEST_MAX_CUTS];
	/* The header's last piece and the first data to write are one descriptor. */
	bool share_header;
	/* The last data read and the status are one descriptor. */
	bool share_status;
	/* Every data descriptor starts this many bytes past a sector boundary. */
	uint32_t misalign;
	/* Data lies where one memory region ends and the next begins. */
	bool across_regions;
	bool indirect;
};

struct request {
	struct request_shape shape;
	struct span *spans;
	unsigned readable, writable, capacity;
	uint64_t readable_bytes, writable_bytes;
	uint64_t table;
	/* Answer: the used element's length and the status byte. */
	uint32_t used_len;
	uint8_t status;
};

/* Places the request in guest memory and fills in header and status (STATUS_NONE). */
void request_build(struct request *request, struct memory *memory, const struct request_shape *shape);

/* Aims a built request at another sector with a fresh status. */
void request_aim(struct request *request, const struct memory *memory, uint64_t sector);

void request_free(struct request *request);

/* Whether the device reads what is between header and status (OUT and ranges) rather than writes it. */
bool request_writes(const struct request *request);

/* Bytes between header and status of a request of @type: @bytes of data, or @segments of a range. */
uint32_t request_body(uint32_t type, uint32_t bytes, unsigned segments);

/* Data of the request in guest memory. */
void request_set_data(const struct request *request, const struct memory *memory, const void *from, size_t bytes);
void request_get_data(const struct request *request, const struct memory *memory, void *to, size_t bytes);

/* Makes it available without a notification. */
void request_add(struct request *request, struct ring *ring, const struct memory *memory);

/* Next answered request with its status and length filled in; NULL when there is none yet. */
struct request *request_pop(struct ring *ring, const struct memory *memory);

/* Makes it available on @queue, notifies, and waits for its answer. */
void request_run(struct request *request, struct guest *guest, unsigned queue);

/* Fails the case unless the status is @status and, for OK, the used length is exact. */
void request_expect(const struct request *request, uint8_t status);

/* Builds, runs and frees a request on the first queue whose data does not matter; request_expect() of @status. */
void request_once(struct guest *guest, const struct request_shape *shape, uint8_t status);

const char *request_status_name(uint8_t status);

#endif
