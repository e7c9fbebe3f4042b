/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Faults that a kernel built for it makes on purpose (Documentation/fault-injection/fault-injection.rst), here only where
 * the module's code is on the stack. Nothing is left switched on when a case ends.
 */
#ifndef VHOST_BLK_CHECK_INJECT_H
#define VHOST_BLK_CHECK_INJECT_H

#include <stdbool.h>

enum inject_kind {
	/* Small allocations, and pages. */
	INJECT_SLAB,
	INJECT_PAGES,
	/* Copies from and to the owner's memory. */
	INJECT_COPIES,
	/* Bios, on their way to a disk. */
	INJECT_BIOS,
};

const char *inject_name(enum inject_kind kind);

/* Makes the module, and it alone, one that such faults can hit; none does yet. Skips the case where the kernel can not. */
void inject_prepare(enum inject_kind kind);

/* From here on each @interval-th chance is a fault, in whatever thread. */
void inject_each(enum inject_kind kind, unsigned interval);

/* No more of them. Returns how many there were since inject_prepare(). */
unsigned long inject_stop(enum inject_kind kind);

/* Bios for the block device of @path may fail, or no longer: INJECT_BIOS needs it. */
void inject_allow_disk(const char *path, bool allowed);

/* The @nth chance from here on in the calling thread is a fault. */
void inject_nth(unsigned nth);

/* Takes that back. Returns whether there was a fault. */
bool inject_nth_stop(void);

#endif
