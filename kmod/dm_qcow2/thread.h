/* SPDX-License-Identifier: GPL-2.0-only */
/* What a thread may not do while bios wait for it. */
#ifndef DM_QCOW2_THREAD_H
#define DM_QCOW2_THREAD_H

#include <linux/sched.h>

/* Memory that is got by writing would wait for us, as would a writer that is held up for what others have made dirty. */
#define QCOW2_THREAD_FLAGS (PF_MEMALLOC_NOIO | PF_LOCAL_THROTTLE)

/* Return: for qcow2_thread_end(), in the same thread. */
static inline unsigned int qcow2_thread_begin(void)
{
	unsigned int flags = current->flags;

	current->flags |= QCOW2_THREAD_FLAGS;
	return flags;
}

static inline void qcow2_thread_end(unsigned int flags)
{
	current_restore_flags(flags, QCOW2_THREAD_FLAGS);
}

#endif
