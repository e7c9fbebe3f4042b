// SPDX-License-Identifier: GPL-2.0-only
/* A kind of backend, checked for what one may rely on, in place of backend.c, bdev.c, file.c and io.c. */
#include "disk.h"

#include "../backend.h"
#include "../data.h"
#include "../io.h"
#include "../uapi/vhost_blk.h"
#include "owner.h"

#define MAX_RANGE_SECTORS 128

static struct {
	struct vblk_io *io;
	bool submitted;
} waiting[DISK_MAX_IN_FLIGHT];

static unsigned int nr_waiting;
static struct block_device disk;
static u64 disk_sectors;

unsigned int disk_waiting(void)
{
	return nr_waiting;
}

void disk_end(unsigned int which, int error)
{
	struct vblk_io *io = waiting[which].io;

	waiting[which] = waiting[--nr_waiting];
	io->error = error;
	io->done(io);
}

static bool is_within(u64 sector, u64 bytes)
{
	return !(bytes % disk.block) && !(sector % (disk.block >> SECTOR_SHIFT)) && sector <= disk_sectors &&
	       bytes >> SECTOR_SHIFT <= disk_sectors - sector;
}

bool vblk_backend_allows(const struct vblk_backend *backend, bool write, u64 sector, u64 bytes)
{
	return is_within(sector, bytes);
}

void vblk_backend_limits(const struct vblk_backend *backend, struct vhost_blk_limits *limits)
{
	memset(limits, 0, sizeof(*limits));
	limits->max_discard_sectors = MAX_RANGE_SECTORS;
	limits->max_discard_seg = VHOST_BLK_MAX_RANGE_SEGS;
	limits->max_write_zeroes_sectors = MAX_RANGE_SECTORS;
	limits->max_write_zeroes_seg = 1;
}

void vblk_io_begin(struct vblk_io *io, void (*done)(struct vblk_io *io))
{
	fuzz_assert(nr_waiting < DISK_MAX_IN_FLIGHT);
	io->error = 0;
	io->done = done;
	waiting[nr_waiting].io = io;
	waiting[nr_waiting].submitted = false;
	nr_waiting++;
}

static void submit(struct vblk_io *io)
{
	fuzz_assert(nr_waiting && waiting[nr_waiting - 1].io == io && !waiting[nr_waiting - 1].submitted);
	waiting[nr_waiting - 1].submitted = true;
}

void vblk_io_end(struct vblk_io *io)
{
	fuzz_assert(nr_waiting && waiting[nr_waiting - 1].io == io && waiting[nr_waiting - 1].submitted);
}

static struct vblk_layout disk_layout(const struct vblk_backend *backend, u64 sector, u32 bytes)
{
	return vblk_layout_of(&disk);
}

/* One page of a request, as the disk would use it. */
static void transfer_vec(const struct bio_vec *vec, bool write)
{
	const struct page *page = vec->bv_page;
	volatile u8 sum = 0;
	unsigned int i;

	fuzz_assert(vec->bv_len && vec->bv_offset + vec->bv_len <= PAGE_SIZE);
	if (page->address)
		fuzz_assert(owner_may_access(page->address + vec->bv_offset, vec->bv_len, !write));
	if (!write) {
		fuzz_assert(page->writable);
		memset(page->bytes + vec->bv_offset, 'd', vec->bv_len);
		return;
	}
	for (i = 0; i < vec->bv_len; i++)
		sum += page->bytes[vec->bv_offset + i];
}

static void disk_transfer(const struct vblk_backend *backend, struct vblk_io *io, struct vblk_data *data, u64 sector,
			  unsigned int flags)
{
	bool write = flags & VBLK_WRITE;
	u64 bytes = 0;
	unsigned int i;

	submit(io);
	fuzz_assert(data->nr && data->to_guest == !write);
	for (i = 0; i < data->nr; i++) {
		/* What its DMA can not reach has been bounced. */
		if (!data->bounced)
			fuzz_assert(!(data->vecs[i].bv_offset & queue_dma_alignment(&disk)));
		transfer_vec(&data->vecs[i], write);
		bytes += data->vecs[i].bv_len;
	}
	fuzz_assert(bytes == data->bytes && is_within(sector, bytes));
}

static void disk_flush(const struct vblk_backend *backend, struct vblk_io *io)
{
	submit(io);
}

static void disk_discard(const struct vblk_backend *backend, struct vblk_io *io, const struct vblk_range *ranges,
			 unsigned int nr, bool secure)
{
	unsigned int i;

	submit(io);
	fuzz_assert(nr && nr <= VHOST_BLK_MAX_RANGE_SEGS && !secure);
	for (i = 0; i < nr; i++)
		fuzz_assert(ranges[i].sectors <= MAX_RANGE_SECTORS &&
			    is_within(ranges[i].sector, (u64)ranges[i].sectors << SECTOR_SHIFT));
}

static void disk_zero(const struct vblk_backend *backend, struct vblk_io *io, const struct vblk_range *range,
		      unsigned int flags)
{
	submit(io);
	fuzz_assert(range->sectors && range->sectors <= MAX_RANGE_SECTORS &&
		    is_within(range->sector, (u64)range->sectors << SECTOR_SHIFT));
}

void disk_reset(unsigned int block, u64 sectors, struct vblk_backend *backend)
{
	static const struct vblk_backend_ops ops = {
		.layout = disk_layout,
		.transfer = disk_transfer,
		.flush = disk_flush,
		.discard = disk_discard,
		.zero = disk_zero,
	};

	disk.block = block;
	disk_sectors = sectors;
	nr_waiting = 0;
	backend->ops = &ops;
}
