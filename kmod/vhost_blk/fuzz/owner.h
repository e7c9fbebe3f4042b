/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_FUZZ_OWNER_H
#define VHOST_BLK_FUZZ_OWNER_H

#include "shim.h"

/*
 * The owner's address space: one range of pages at an address that is not ours, so that the parsers can reach it by the
 * functions of the shim alone. Another thread that changes it is part of the input: after an access the hook may.
 */
#define OWNER_SIZE (8 * PAGE_SIZE)
#define OWNER_BASE 0x200000000000UL
#define OWNER_END (OWNER_BASE + OWNER_SIZE)

/* What is in OWNER_BASE. */
extern u8 *owner_memory;

/* Called after each access of the module, NULL: nobody. */
extern void (*owner_hook)(void);

/* An argument of an ioctl, which the module may read at OWNER_ARGUMENT until it is set to NULL. */
#define OWNER_ARGUMENT 0x300000000000UL
void owner_set_argument(const void *bytes, size_t len);

/* Zero the memory, forget what may be accessed. */
void owner_reset(void);

/* Let the module read, or read and write, this range, mapped or not; all else is a bug of the module. */
void owner_allow(u64 address, u64 len, bool write);

/* Whether all of a range lies in one that owner_allow() was given. */
bool owner_may_access(u64 address, u64 len, bool write);

/* The same for a page of which the range is only a part. */
bool owner_may_pin(u64 page, bool write);

/* Whether all of a range is mapped. */
bool owner_mapped(u64 address, u64 len);

#endif
