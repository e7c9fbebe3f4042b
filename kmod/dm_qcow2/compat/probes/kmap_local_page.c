// SPDX-License-Identifier: GPL-2.0-only
/* 5.11: mappings of the CPU at hand that may be preempted. */
#include <linux/highmem.h>

void *probe(struct page *page)
{
	return kmap_local_page(page);
}
