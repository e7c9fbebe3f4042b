// SPDX-License-Identifier: GPL-2.0-only
/* What every supported kernel has. */
#include <linux/device-mapper.h>

sector_t probe(struct dm_target *ti)
{
	return ti->len;
}
