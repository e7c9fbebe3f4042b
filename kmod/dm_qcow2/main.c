// SPDX-License-Identifier: GPL-2.0-only
/* The device-mapper target "qcow2": the disk in a QCOW2 image, with all the images below it, as a block device. */
#include <linux/device-mapper.h>
#include <linux/module.h>

#include "request.h"
#include "table.h"

int qcow2_target_map(struct qcow2_target *target, u64 at, u64 bytes, bool wait, struct qcow2_extent *extent)
{
	unsigned int i;

	for (i = 0; i < target->nr_images; i++) {
		int error = qcow2_image_map(&target->cache, &target->images[i], at, bytes, wait, extent);

		if (error)
			return error;
		if (extent->kind != QCOW2_UNALLOCATED)
			return 0;
		bytes = extent->bytes;
	}
	extent->kind = QCOW2_ZERO;
	return 0;
}

static int map_bio(struct dm_target *ti, struct bio *bio)
{
	switch (bio_op(bio)) {
	case REQ_OP_READ:
		qcow2_request_submit(ti->private, bio);
		return DM_MAPIO_SUBMITTED;
	case REQ_OP_WRITE:
		/* A flush: all that could be written is durable. */
		if (!bio->bi_iter.bi_size) {
			bio_endio(bio);
			return DM_MAPIO_SUBMITTED;
		}
		return DM_MAPIO_KILL;
	default:
		return DM_MAPIO_KILL;
	}
}

/* Kernels before 6.2 ask for the limits of targets only that have devices to iterate over. */
static int iterate_devices(struct dm_target *ti, iterate_devices_callout_fn call, void *data)
{
	return 0;
}

static void io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	const struct qcow2_target *target = ti->private;
	const struct qcow2_image *top = &target->images[0];

	limits->logical_block_size = SECTOR_SIZE;
	limits->physical_block_size = PAGE_SIZE;
	limits->io_min = PAGE_SIZE;
	limits->io_opt = top->is_raw ? 0 : qcow2_cluster_bytes(&top->header);
}

static struct target_type qcow2_target_type = {
	.name = "qcow2",
	.version = { 1, 0, 0 },
	.features = DM_TARGET_SINGLETON,
	.module = THIS_MODULE,
	.ctr = qcow2_table_load,
	.dtr = qcow2_table_free,
	.map = map_bio,
	.status = qcow2_table_status,
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
