// SPDX-License-Identifier: GPL-2.0-only
/* Reference counts. Those of less than a byte fill it from its least significant bit on. */
#include "refcount.h"

u64 qcow2_refcount_get(const u8 *block, u32 index, u32 order)
{
	switch (order) {
	case 3:
		return block[index];
	case 4:
		return qcow2_be16(block + index * 2);
	case 5:
		return qcow2_be32(block + index * 4);
	case 6:
		return qcow2_be64(block + index * 8);
	default:
		return block[(index << order) / 8] >> ((index << order) % 8) & qcow2_refcount_max(order);
	}
}

void qcow2_refcount_set(u8 *block, u32 index, u32 order, u64 count)
{
	u32 shift = (index << order) % 8;
	u8 *byte = block + (index << order) / 8;

	switch (order) {
	case 3:
		block[index] = count;
		break;
	case 4:
		qcow2_put_be16(block + index * 2, count);
		break;
	case 5:
		qcow2_put_be32(block + index * 4, count);
		break;
	case 6:
		qcow2_put_be64(block + index * 8, count);
		break;
	default:
		*byte = (*byte & ~(qcow2_refcount_max(order) << shift)) | count << shift;
	}
}
