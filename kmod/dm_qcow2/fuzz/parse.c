// SPDX-License-Identifier: GPL-2.0-only
/*
 * The entry point of libFuzzer: an input is eight bytes that say which requests are sent, and an image. Seeds are images that
 * qemu-img made, small ones with clusters of 512 bytes, each behind eight bytes.
 */
#include "use.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct disk *disk;
	u64 state;

	if (size < sizeof(state))
		return 0;
	memcpy(&state, data, sizeof(state));
	disk = disk_new(data + sizeof(state), size - sizeof(state));
	disk->block = data[0] & 1 ? 4096 : 512;
	use_image(disk, false, &state);
	use_image(disk, true, &state);
	disk_free(disk);
	return 0;
}
