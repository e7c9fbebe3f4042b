// SPDX-License-Identifier: GPL-2.0-only
/* Memory that is one piece for the CPU and pages for a transfer. */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "buffer.h"

int qcow2_buffer_alloc(struct qcow2_buffer *buffer, u32 bytes)
{
	u32 pages = DIV_ROUND_UP(bytes, PAGE_SIZE);
	u32 i;

	buffer->bytes = bytes;
	buffer->data = vzalloc(pages * PAGE_SIZE);
	buffer->vecs = kvcalloc(pages, sizeof(*buffer->vecs), GFP_KERNEL);
	if (!buffer->data || !buffer->vecs) {
		qcow2_buffer_free(buffer);
		return -ENOMEM;
	}
	for (i = 0; i < pages; i++) {
		buffer->vecs[i].bv_page = vmalloc_to_page(buffer->data + i * PAGE_SIZE);
		buffer->vecs[i].bv_len = PAGE_SIZE;
	}
	return 0;
}

void qcow2_buffer_free(struct qcow2_buffer *buffer)
{
	vfree(buffer->data);
	kvfree(buffer->vecs);
	memset(buffer, 0, sizeof(*buffer));
}
