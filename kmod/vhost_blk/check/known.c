// SPDX-License-Identifier: GPL-2.0-only
#include "known.h"

#include "report.h"

#define READ_BYTES 4096u
#define READ_SALT 0x3317

void known_prepare(const struct disk *disk, struct guest *guest, struct request *request)
{
	char data[READ_BYTES];

	pattern_fill(data, sizeof(data), KNOWN_SECTOR, READ_SALT);
	disk_write(disk, (uint64_t)KNOWN_SECTOR * SECTOR, data, sizeof(data));
	request_build(request, &guest->memory, &(struct request_shape){
			      .type = VIRTIO_BLK_T_IN, .bytes = READ_BYTES, .sector = KNOWN_SECTOR });
}

void known_read(struct guest *guest, struct request *request, unsigned queue)
{
	char data[READ_BYTES] = { 0 };

	request_set_data(request, &guest->memory, data, sizeof(data));
	request_aim(request, &guest->memory, KNOWN_SECTOR);
	request_run(request, guest, queue);
	known_expect(guest, request);
}

void known_expect(const struct guest *guest, const struct request *request)
{
	char data[READ_BYTES];

	request_expect(request, VIRTIO_BLK_S_OK);
	request_get_data(request, &guest->memory, data, sizeof(data));
	pattern_expect("data read", data, sizeof(data), KNOWN_SECTOR, READ_SALT);
}

void known_read_all(const struct disk *disk, struct guest *guest)
{
	struct request request;

	known_prepare(disk, guest, &request);
	for (unsigned i = 0; i < guest->queues; i++)
		known_read(guest, &request, i);
}
