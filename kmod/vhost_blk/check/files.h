/* SPDX-License-Identifier: GPL-2.0-only */
/* Regular files that are disks. */
#ifndef VHOST_BLK_CHECK_FILES_H
#define VHOST_BLK_CHECK_FILES_H

#include <sys/types.h>

#include "request.h"

/* A nameless file in memory; @flags: of memfd_create(2). */
int memory_file(off_t bytes, unsigned flags);

/* A file that @prepare has written, on a file system mounted read-only, which goes with the case; open for reading. */
int file_on_read_only_mount(off_t bytes, void (*prepare)(int fd));

off_t size_of(int fd);

/* request_once() of a transfer in one piece. */
void transfer(struct guest *guest, uint32_t type, uint64_t sector, uint32_t bytes, uint8_t status);

#endif
