// SPDX-License-Identifier: GPL-2.0-only
/* Backend and I/O that the request parser calls, checked for what a disk may rely on. */
#include "disk.h"

#include "../backend.h"
#include "../data.h"
#include "../io.h"
#include "../worker.h"
#include "owner.h"

struct block_device disk;

static struct {
	struct vblk_io *io;
	bool submitted;
} waiting[DISK_MAX_IN_FLIGHT];

static unsigned int nr_waiting;

void disk_reset(unsigned int block, u64 sectors)
{
	disk.block = block;
	disk.sectors = sectors;
	nr_waiting = 0;
}

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

bool vblk_backend_allows(const struct vblk_backend *backend, bool write, u64 sector, u64 bytes)
{
	u64 block = backend->bdev->block;

	if (bytes % block || sector % (block >> SECTOR_SHIFT))
		return false;
	return sector <= disk.sectors && bytes >> SECTOR_SHIFT <= disk.sectors - sector;
}

void vblk_backend_id(const struct vblk_backend *backend, char *id, size_t len)
{
	memset(id, 'i', len);
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

void vblk_io_transfer(struct vblk_io *io, const struct vblk_data *data, struct block_device *bdev, sector_t sector,
		      blk_opf_t opf)
{
	bool write = opf & REQ_OP_WRITE;
	u64 bytes = 0;
	unsigned int i;

	submit(io);
	fuzz_assert(data->nr && data->to_guest == !write);
	for (i = 0; i < data->nr; i++) {
		/* A disk takes whole blocks, and in place only what its DMA can reach. */
		if (!data->bounced)
			fuzz_assert(!(data->vecs[i].bv_offset & queue_dma_alignment(bdev)));
		transfer_vec(&data->vecs[i], write);
		bytes += data->vecs[i].bv_len;
	}
	fuzz_assert(!(bytes % bdev->block) && !(sector % (bdev->block >> SECTOR_SHIFT)));
	fuzz_assert(sector <= disk.sectors && bytes >> SECTOR_SHIFT <= disk.sectors - sector);
}

void vblk_io_flush(struct vblk_io *io, struct block_device *bdev)
{
	submit(io);
}

void vblk_io_end(struct vblk_io *io)
{
	fuzz_assert(nr_waiting && waiting[nr_waiting - 1].io == io && waiting[nr_waiting - 1].submitted);
}

void vblk_worker_queue(struct vblk_worker *worker, struct vblk_work *work)
{
}
