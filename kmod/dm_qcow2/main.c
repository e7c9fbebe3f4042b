// SPDX-License-Identifier: GPL-2.0-only
/* The device-mapper target "qcow2": the disk in a QCOW2 image, with all the images below it, as a block device. */
#include <linux/device-mapper.h>
#include <linux/module.h>

#include "message.h"
#include "request.h"
#include "table.h"

static bool is_served(const struct qcow2_target *target, const struct bio *bio)
{
	switch (bio_op(bio)) {
	case REQ_OP_READ:
		return true;
	case REQ_OP_WRITE:
		/* A flush may come to a device that is never written. */
		return target->writer || !bio->bi_iter.bi_size;
	case REQ_OP_DISCARD:
	case REQ_OP_WRITE_ZEROES:
		return target->writer;
	default:
		return false;
	}
}

static int map_bio(struct dm_target *ti, struct bio *bio)
{
	if (!is_served(ti->private, bio))
		return DM_MAPIO_KILL;
	qcow2_request_submit(ti->private, bio);
	return DM_MAPIO_SUBMITTED;
}

static int preresume(struct dm_target *ti)
{
	return qcow2_target_resume(ti->private);
}

static void postsuspend(struct dm_target *ti)
{
	qcow2_target_suspend(ti->private);
}

/* Kernels before 6.2 ask for the limits of targets only that have devices to iterate over. */
static int iterate_devices(struct dm_target *ti, iterate_devices_callout_fn call, void *data)
{
	return 0;
}

/* The most that one discard takes: a bio counts its bytes in 32 bits. */
#define QCOW2_DISCARD_SECTORS ((1U << 30) >> SECTOR_SHIFT)

static void io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	const struct qcow2_target *target = ti->private;
	const struct qcow2_image *top = &target->images[0];
	u32 block = target->writer ? qcow2_image_data(top)->block : 0;
	u32 cluster = top->is_raw ? PAGE_SIZE : qcow2_cluster_bytes(&top->header);

	/* As QEMU's disks have it, also where the file's blocks are larger: the guest's partition table counts in them. */
	limits->logical_block_size = SECTOR_SIZE;
	limits->physical_block_size = max_t(u32, block, PAGE_SIZE);
	limits->io_min = limits->physical_block_size;
	limits->io_opt = max_t(u32, cluster, limits->io_min);
	if (target->writer)
		limits_set_discard(limits, max_t(u32, cluster, block), QCOW2_DISCARD_SECTORS);
}

static struct target_type qcow2_target_type = {
	.name = "qcow2",
	.version = { 1, 0, 0 },
	.features = DM_TARGET_SINGLETON,
	.module = THIS_MODULE,
	.ctr = qcow2_table_load,
	.dtr = qcow2_table_free,
	.map = map_bio,
	.preresume = preresume,
	.postsuspend = postsuspend,
	.status = qcow2_table_status,
	.message = qcow2_message,
	.io_hints = io_hints,
	.iterate_devices = iterate_devices,
};

static int __init qcow2_init(void)
{
	return dm_register_target(&qcow2_target_type);
}

static void __exit qcow2_exit(void)
{
	dm_unregister_target(&qcow2_target_type);
}

module_init(qcow2_init);
module_exit(qcow2_exit);

MODULE_DESCRIPTION("QCOW2 images as block devices");
MODULE_LICENSE("GPL");
MODULE_VERSION(DM_QCOW2_VERSION);
