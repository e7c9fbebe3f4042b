// SPDX-License-Identifier: GPL-2.0-only
/* What every supported kernel has. */
#include <linux/bio.h>
#include <linux/kthread.h>
#include <linux/mm.h>

void probe(struct mm_struct *mm)
{
	kthread_use_mm(mm);
}
