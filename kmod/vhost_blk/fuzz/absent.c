// SPDX-License-Identifier: GPL-2.0-only
/* What the parsers call and a fuzzer does without: counters, kicks, resize, and an IOTLB, which no input has. */
#include "../device.h"
#include "../kick.h"
#include "../request.h"

enum vblk_request_type vblk_stats_type(u32 type)
{
	return VBLK_TYPE_OTHER;
}

void vblk_stats_enter_flight(struct vblk_request *request)
{
}

void vblk_stats_leave_flight(struct vblk_request *request)
{
}

void vblk_stats_answer(const struct vblk_request *request, u8 status)
{
}

void vblk_kick_rest(struct vblk_vq *vq)
{
}

void vblk_resize_suspect(struct vblk_vq *vq, u64 sector, u64 bytes)
{
}

int vblk_hold_pieces(struct vblk_hold *hold, const struct vblk_chain *chain, struct vblk_miss *miss)
{
	return 0;
}

void vblk_hold_drop(struct vblk_hold *hold)
{
}

int vblk_iotlb_translate(const struct vblk_iotlb *iotlb, u64 iova, bool write, size_t *len, void __user **uaddr)
{
	fuzz_assert(!iotlb);
	return -EFAULT;
}

void vblk_miss_report(struct vblk_iotlb *iotlb, struct vblk_miss *miss, u64 iova, bool write)
{
	fuzz_assert(!iotlb);
}
