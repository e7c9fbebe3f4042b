/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef CONFIG_SPACE_H
#define CONFIG_SPACE_H

#include <linux/virtio_blk.h>

#include "options.h"
#include "uapi/vhost_blk.h"

/* Fills the configuration space of virtio-blk (virtio 1.3, 5.2.4) from what the disk can do. */
void config_space_fill(struct virtio_blk_config *config, const struct vhost_blk_limits *limits,
		       const struct options *options, bool write_cache);

#endif
