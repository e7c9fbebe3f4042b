// SPDX-License-Identifier: GPL-2.0-only
/*
 * qcow2-fill: writes all of an image's disk and saves the image as it is then, whatever failed.
 *
 * usage: qcow2-fill IMAGE OUT
 * Prints how many of how many writes failed. Exit code 2: the image can not be opened.
 */
#include "emulate.h"

#define PIECE 65536

int main(int argc, char **argv)
{
	static struct emulated device;
	static u8 data[PIECE];
	unsigned int failed = 0, nr = 0;
	const char *reason = "";
	struct disk *disk;
	u64 at, size;

	if (argc != 3) {
		fprintf(stderr, "usage: %s IMAGE OUT\n", argv[0]);
		return 2;
	}
	fuzz_verbose = true;
	disk = disk_load(argv[1]);
	if (emulate_open(&device, &disk, 1, NULL, false, true, &reason)) {
		fprintf(stderr, "can not be opened: %s\n", reason);
		return 2;
	}
	size = device.target.images[0].size;
	for (at = 0; at < size; at += PIECE, nr++) {
		memset(data, 0x40 + nr % 64, sizeof(data));
		failed += !!emulate_request(&device, QCOW2_OP_WRITE, false, at, min(size - at, (u64)PIECE), data);
	}
	emulate_flush(&device);
	emulate_close(&device, true);
	printf("%u of %u writes failed\n", failed, nr);
	return disk_save(disk, argv[2]) ? 2 : 0;
}
