// SPDX-License-Identifier: GPL-2.0-only
/* Until 5.15 a kiocb ends with two results. */
#include <linux/fs.h>

void probe(struct kiocb *kiocb)
{
	kiocb->ki_complete(kiocb, 0, 0);
}
