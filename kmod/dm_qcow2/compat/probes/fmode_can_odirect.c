// SPDX-License-Identifier: GPL-2.0-only
/* 5.19. */
#include <linux/fs.h>

fmode_t probe(void)
{
	return FMODE_CAN_ODIRECT;
}
