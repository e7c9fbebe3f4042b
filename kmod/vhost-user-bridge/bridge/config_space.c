// SPDX-License-Identifier: GPL-2.0-only
#include "config_space.h"

#include <endian.h>
#include <string.h>

#define SECTOR 512u

static unsigned int log2_of(uint32_t value)
{
	unsigned int bits = 0;

	while (value >>= 1)
		bits++;
	return bits;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

void config_space_fill(struct virtio_blk_config *config, const struct vhost_blk_limits *limits,
		       const struct options *options, bool write_cache)
{
	uint32_t block = limits->logical_block_size >= SECTOR ? limits->logical_block_size : SECTOR;

	memset(config, 0, sizeof(*config));
	config->capacity = htole64(limits->capacity);
	config->seg_max = htole32(least(options->segments, limits->max_segments));
	config->blk_size = htole32(block);
	config->physical_block_exp = limits->physical_block_size > block ? log2_of(limits->physical_block_size / block) : 0;
	config->alignment_offset = least(limits->alignment_offset / block, UINT8_MAX);
	config->min_io_size = htole16(least(limits->min_io_size / block, UINT16_MAX));
	config->opt_io_size = htole32(limits->opt_io_size / block);
	config->wce = write_cache;
	config->num_queues = htole16(options->queues);
	config->max_discard_sectors = htole32(limits->max_discard_sectors);
	config->max_discard_seg = htole32(limits->max_discard_seg);
	config->discard_sector_alignment = htole32(limits->discard_sector_alignment);
	config->max_write_zeroes_sectors = htole32(limits->max_write_zeroes_sectors);
	config->max_write_zeroes_seg = htole32(limits->max_write_zeroes_seg);
	config->write_zeroes_may_unmap = !!(limits->flags & VHOST_BLK_LIMIT_WZ_MAY_UNMAP);
}
