/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether a device holds something that somebody may want to keep. */
#ifndef VHOST_BLK_CHECK_SIGNATURE_H
#define VHOST_BLK_CHECK_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>

#include "disk.h"

/*
 * True when the first or last MiB is not blank; @reason then says what is there ("holds an ext file system"). Blank is
 * stricter than a list of known signatures, which would miss the next one invented.
 */
bool signature_found(const struct disk *disk, char *reason, size_t size);

#endif
