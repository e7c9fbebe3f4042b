/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory that is one piece for the CPU and pages for a transfer. */
#ifndef DM_QCOW2_BUFFER_H
#define DM_QCOW2_BUFFER_H

#include <linux/bvec.h>
#include <linux/types.h>

struct qcow2_buffer {
	u8 *data;
	struct bio_vec *vecs;
	u32 bytes;
};

/* May wait; zeroed. Return: 0 or -ENOMEM. Ends with qcow2_buffer_free(), which also takes one that is all zeros. */
int qcow2_buffer_alloc(struct qcow2_buffer *buffer, u32 bytes);
void qcow2_buffer_free(struct qcow2_buffer *buffer);

#endif
