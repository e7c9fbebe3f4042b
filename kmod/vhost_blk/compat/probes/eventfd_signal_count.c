// SPDX-License-Identifier: GPL-2.0-only
/* Until 6.7 eventfd_signal() takes a count. */
#include <linux/eventfd.h>

void probe(struct eventfd_ctx *ctx)
{
	eventfd_signal(ctx, 1);
}
