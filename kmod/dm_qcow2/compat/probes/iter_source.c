// SPDX-License-Identifier: GPL-2.0-only
/* 6.2; in stable kernels also. */
#include <linux/uio.h>

int probe = ITER_SOURCE | ITER_DEST;
