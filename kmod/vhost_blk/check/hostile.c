// SPDX-License-Identifier: GPL-2.0-only
#include "hostile.h"

#include "report.h"
#include "request.h"

#define GOOD_SECTOR 8192u
#define GOOD_BYTES 8192u

enum ring_event hostile_expect_answer(struct ring *ring)
{
	enum ring_event event = ring_answer(ring, HOSTILE_MS);

	if (event == RING_NOTHING)
		fail("expected an answer or the error eventfd, saw neither in %d s", HOSTILE_MS / 1000);
	return event;
}

void hostile_expect_good_device(const struct disk *disk)
{
	struct request_shape shape = { .type = VIRTIO_BLK_T_OUT, .sector = GOOD_SECTOR, .bytes = GOOD_BYTES,
				       .data_cuts = { 4096 } };
	struct request request;
	struct guest guest;
	char data[GOOD_BYTES];

	guest_create(&guest, &(struct guest_options){ .event_idx = true });
	guest_attach(&guest, disk->fd);
	pattern_fill(data, sizeof(data), GOOD_SECTOR, 77);
	request_build(&request, &guest.memory, &shape);
	request_set_data(&request, &guest.memory, data, sizeof(data));
	request_run(&request, &guest, 0);
	request_expect(&request, VIRTIO_BLK_S_OK);
	disk_read(disk, (uint64_t)GOOD_SECTOR * SECTOR, data, sizeof(data));
	pattern_expect("disk after a good write", data, sizeof(data), GOOD_SECTOR, 77);
	shape.type = VIRTIO_BLK_T_IN;
	request_free(&request);
	request_build(&request, &guest.memory, &shape);
	request_run(&request, &guest, 0);
	request_expect(&request, VIRTIO_BLK_S_OK);
	request_get_data(&request, &guest.memory, data, sizeof(data));
	pattern_expect("good read", data, sizeof(data), GOOD_SECTOR, 77);
	if (guest_stop_queue(&guest, 0) != 2)
		fail("expected base 2 after two good requests, saw another");
	request_free(&request);
	guest_close(&guest);
}
