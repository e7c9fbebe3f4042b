// SPDX-License-Identifier: GPL-2.0-only
/* 5.12: BIO_MAX_VECS, before it BIO_MAX_PAGES. */
#include <linux/bio.h>

int probe = BIO_MAX_VECS;
