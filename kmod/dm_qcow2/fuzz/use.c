// SPDX-License-Identifier: GPL-2.0-only
#include "use.h"

#define REQUESTS 60
#define MAX_SECTORS 1000

static void send_requests(struct emulated *device, bool write, u64 *state)
{
	static u8 data[MAX_SECTORS * 512];
	u64 size = min(device->target.images[0].size, 1ULL << 40), i;

	for (i = 0; i < REQUESTS && size >= 512; i++) {
		u64 bytes = min(size / 512, (u64)(1 + use_draw(state, MAX_SECTORS))) * 512;
		u64 at = ((u64)use_draw(state, 1U << 31) % ((size - bytes) / 512 + 1)) * 512;
		u32 kind = write ? use_draw(state, 10) : 0;

		if (kind < 4)
			emulate_request(device, QCOW2_OP_READ, false, at, bytes, data);
		else if (kind < 8)
			emulate_request(device, QCOW2_OP_WRITE, false, at, bytes, data);
		else if (kind < 9)
			emulate_request(device, use_draw(state, 2) ? QCOW2_OP_ZERO : QCOW2_OP_DISCARD,
					use_draw(state, 2), at, bytes, NULL);
		else
			emulate_flush(device);
	}
}

bool use_image(struct disk *disk, bool write, u64 *state)
{
	static struct emulated device;
	const char *reason = "";
	int error = emulate_open(&device, &disk, 1, NULL, false, write, &reason);

	if (!error)
		send_requests(&device, write, state);
	emulate_close(&device, !error);
	return !error;
}
