/* SPDX-License-Identifier: GPL-2.0-only */
/* The note that this module on this kernel passed, which a later run may believe. */
#ifndef VHOST_BLK_CHECK_STAMP_H
#define VHOST_BLK_CHECK_STAMP_H

#include <stdbool.h>
#include <stddef.h>

#define STAMP_PATH "/var/lib/blkfleet/checked/vhost_blk"
#define STAMP_BYTES 192

/* "<kernel release> <srcversion of the loaded module>"; false when no module with a srcversion is loaded. */
bool stamp_current(char stamp[STAMP_BYTES]);

/* Whether STAMP_PATH holds exactly @stamp. */
bool stamp_matches(const char *stamp);

/* Replaces STAMP_PATH by @stamp atomically (0600, folders 0700). Returns 0 or -1 with errno. */
int stamp_write(const char *stamp);

#endif
