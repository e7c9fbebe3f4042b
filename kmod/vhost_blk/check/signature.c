// SPDX-License-Identifier: GPL-2.0-only
#include "signature.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

#define LOOKED_AT (1024u * 1024u)

static const struct {
	unsigned offset;
	const char *magic;
	unsigned length;
	const char *name;
} known[] = {
	{ 512, "EFI PART", 8, "a GPT partition table" },
	{ 4096, "EFI PART", 8, "a GPT partition table" },
	{ 1080, "\x53\xef", 2, "an ext file system" },
	{ 0, "XFSB", 4, "an XFS file system" },
	{ 65600, "_BHRfS_M", 8, "a Btrfs file system" },
	{ 1024, "\x10\x20\xf5\xf2", 4, "an F2FS file system" },
	{ 512, "LABELONE", 8, "an LVM physical volume" },
	{ 0, "LUKS\xba\xbe", 6, "a LUKS volume" },
	{ 4086, "SWAPSPACE2", 10, "swap space" },
	{ 4096, "\xfc\x4e\x2b\xa9", 4, "an md array" },
	{ 0, "QFI\xfb", 4, "a qcow2 image" },
	{ 0, "hsqs", 4, "a squashfs file system" },
	{ 32769, "CD001", 5, "an ISO 9660 file system" },
	{ 510, "\x55\xaa", 2, "a partition table or boot sector" },
};

static bool blank(const struct disk *disk, const char *data, uint64_t at, char *reason, size_t size)
{
	for (unsigned i = 0; i < LOOKED_AT; i++) {
		if (!data[i])
			continue;
		snprintf(reason, size, "holds data (first at byte %llu of %llu)", (unsigned long long)(at + i),
			 (unsigned long long)disk->bytes);
		return false;
	}
	return true;
}

bool signature_found(const struct disk *disk, char *reason, size_t size)
{
	uint64_t tail = disk->bytes - LOOKED_AT;
	char *data = malloc(LOOKED_AT);
	bool found;

	if (!data)
		fail("out of memory");
	disk_read(disk, 0, data, LOOKED_AT);
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (memcmp(data + known[i].offset, known[i].magic, known[i].length))
			continue;
		snprintf(reason, size, "holds %s", known[i].name);
		free(data);
		return true;
	}
	found = !blank(disk, data, 0, reason, size);
	if (!found) {
		disk_read(disk, tail, data, LOOKED_AT);
		found = !blank(disk, data, tail, reason, size);
	}
	free(data);
	return found;
}
