// SPDX-License-Identifier: GPL-2.0-only
/* Data of requests: pages of the guest pinned, or pages of ours where those do not suit the disk. */
#include "data.h"

#include <linux/blkdev.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "log.h"

/* Pages that are pinned in one go. */
#define VBLK_PIN_BATCH 32

struct vblk_layout vblk_layout_of(struct block_device *bdev)
{
	unsigned int block = bdev_logical_block_size(bdev);

	return (struct vblk_layout) {
		.addr_mask = (min_t(unsigned int, block, PAGE_SIZE) - 1) | queue_dma_alignment(bdev_get_queue(bdev)),
		.len_mask = block - 1,
	};
}

static bool suits(const struct vblk_layout *layout, const void __user *addr, size_t len)
{
	return !((unsigned long)addr & layout->addr_mask) && !(len & layout->len_mask);
}

static unsigned int pages_of(const void __user *addr, size_t len)
{
	return DIV_ROUND_UP(offset_in_page(addr) + len, PAGE_SIZE);
}

/* Looks each piece up before anything is done to one. Sets how many pieces and pages there are, and whether all suit. */
static int measure(struct vblk_data *data, const struct vblk_mem *mem, struct vblk_cursor cursor, u32 bytes,
		   const struct vblk_layout *layout)
{
	data->bounced = false;
	data->nr = 0;
	data->nr_pieces = 0;
	while (bytes) {
		void __user *addr;
		ssize_t n = vblk_mem_next(mem, &cursor, bytes, &addr);

		if (n <= 0)
			return -EFAULT;
		if (!suits(layout, addr, n))
			data->bounced = true;
		data->nr += pages_of(addr, n);
		if (data->nr_pieces < VBLK_FEW_PAGES)
			data->few_pieces[data->nr_pieces] = (struct vblk_piece) { addr, n };
		data->nr_pieces++;
		bytes -= n;
	}
	return 0;
}

static int alloc_vecs(struct vblk_data *data)
{
	data->vecs = data->few;
	if (data->nr > VBLK_FEW_PAGES)
		data->vecs = kvmalloc_array(data->nr, sizeof(*data->vecs), GFP_KERNEL | __GFP_NOWARN);
	return data->vecs ? 0 : -ENOMEM;
}

static void free_vecs(struct vblk_data *data)
{
	if (data->vecs != data->few)
		kvfree(data->vecs);
	data->vecs = NULL;
}

/*
 * Notes where data to be read goes: the guest memory that the request was made for, also when there is other then, and
 * also for a log that is switched on in the meantime. measure() has noted a few.
 */
static int note_pieces(struct vblk_data *data, const struct vblk_mem *mem, struct vblk_cursor cursor, u32 bytes)
{
	unsigned int i;

	data->pieces = data->few_pieces;
	if (data->nr_pieces <= VBLK_FEW_PAGES)
		return 0;
	data->pieces = kvmalloc_array(data->nr_pieces, sizeof(*data->pieces), GFP_KERNEL | __GFP_NOWARN);
	if (!data->pieces)
		return -ENOMEM;
	for (i = 0; i < data->nr_pieces; i++) {
		ssize_t n = vblk_mem_next(mem, &cursor, bytes, &data->pieces[i].addr);

		if (n <= 0)
			return -EFAULT;
		data->pieces[i].len = n;
		bytes -= n;
	}
	return 0;
}

static void free_pieces(struct vblk_data *data)
{
	if (data->pieces != data->few_pieces)
		kvfree(data->pieces);
	data->pieces = NULL;
}

/* The first data->nr pages. */
static void unpin(struct vblk_data *data)
{
	unsigned int i;

	for (i = 0; i < data->nr; i++) {
		struct page *page = data->vecs[i].bv_page;

		/* Pages of guests mostly are; one cleaned after this look has been written with what it holds now. */
		if (data->to_guest && !PageDirty(page))
			set_page_dirty_lock(page);
		unpin_user_page(page);
	}
	free_vecs(data);
}

/* Appends the pages of a piece to data->vecs, where there is room for them. */
static int pin_piece(struct vblk_data *data, unsigned long addr, size_t len)
{
	unsigned int flags = data->to_guest ? FOLL_WRITE : 0;
	struct page *pages[VBLK_PIN_BATCH];

	while (len) {
		unsigned int offset = offset_in_page(addr);
		int wanted = min_t(size_t, DIV_ROUND_UP(offset + len, PAGE_SIZE), VBLK_PIN_BATCH);
		int i, pinned = pin_user_pages_fast(addr - offset, wanted, flags, pages);

		if (pinned <= 0)
			return -EFAULT;
		for (i = 0; i < pinned; i++) {
			unsigned int n = min_t(size_t, len, PAGE_SIZE - offset);

			data->vecs[data->nr++] = (struct bio_vec) { pages[i], n, offset };
			addr += n;
			len -= n;
			offset = 0;
		}
	}
	return 0;
}

static int pin(struct vblk_data *data, const struct vblk_mem *mem, struct vblk_cursor cursor, u32 bytes)
{
	int ret = alloc_vecs(data);

	if (ret)
		return ret;
	/* From here on the number of pages pinned. */
	data->nr = 0;
	while (bytes) {
		void __user *addr;
		ssize_t n = vblk_mem_next(mem, &cursor, bytes, &addr);

		ret = n > 0 ? pin_piece(data, (unsigned long)addr, n) : -EFAULT;
		if (ret) {
			unpin(data);
			return ret;
		}
		bytes -= n;
	}
	return 0;
}

static void free_bounce(struct vblk_data *data)
{
	unsigned int i;

	for (i = 0; i < data->nr; i++)
		__free_page(data->vecs[i].bv_page);
	free_vecs(data);
}

static int bounce(struct vblk_data *data, const struct vblk_mem *mem, struct vblk_cursor cursor, u32 bytes)
{
	/* A guest must not make the host kill for memory. Zeroed, so that a disk's bug shows it nothing of the host. */
	gfp_t gfp = GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN | __GFP_ZERO;
	int ret;

	data->nr = DIV_ROUND_UP(bytes, PAGE_SIZE);
	ret = alloc_vecs(data);
	if (ret)
		return ret;
	data->nr = 0;
	while (!ret && bytes) {
		u32 n = min_t(u32, bytes, PAGE_SIZE);
		struct page *page = alloc_page(gfp);

		if (!page) {
			ret = -ENOMEM;
			break;
		}
		data->vecs[data->nr++] = (struct bio_vec) { page, n, 0 };
		if (!data->to_guest)
			ret = vblk_mem_read(mem, &cursor, page_address(page), n);
		bytes -= n;
	}
	if (ret)
		free_bounce(data);
	return ret;
}

/* What most requests are: one piece of a few pages. Return: 1 when @data is not such, else as vblk_data_prepare(). */
static int pin_small(struct vblk_data *data, const struct vblk_mem *mem, const struct vblk_cursor *cursor, u32 bytes,
		     const struct vblk_layout *layout, bool nowait)
{
	unsigned int flags = (data->to_guest ? FOLL_WRITE : 0) | (nowait ? FOLL_NO_WAIT : 0);
	struct page *pages[VBLK_FEW_PAGES];
	void __user *addr = vblk_mem_whole(mem, cursor, bytes);
	unsigned int offset = offset_in_page(addr);
	unsigned int nr = pages_of(addr, bytes);
	int pinned;

	if (!addr || nr > VBLK_FEW_PAGES || !suits(layout, addr, bytes))
		return 1;
	pinned = pin_user_pages_fast((unsigned long)addr - offset, nr, flags, pages);
	if (pinned != nr) {
		if (pinned > 0)
			unpin_user_pages(pages, pinned);
		return -EFAULT;
	}
	data->bounced = false;
	data->few_pieces[0] = (struct vblk_piece) { addr, bytes };
	data->nr_pieces = 1;
	data->pieces = data->few_pieces;
	data->vecs = data->few;
	for (data->nr = 0; data->nr < nr; data->nr++) {
		unsigned int len = min_t(u32, bytes, PAGE_SIZE - offset);

		data->few[data->nr] = (struct bio_vec) { pages[data->nr], len, offset };
		bytes -= len;
		offset = 0;
	}
	return 0;
}

int vblk_data_prepare(struct vblk_data *data, const struct vblk_layout *layout, const struct vblk_mem *mem,
		      const struct vblk_cursor *cursor, u32 bytes, bool to_guest, bool nowait)
{
	int ret;

	data->bytes = bytes;
	data->to_guest = to_guest;
	data->pieces = NULL;
	ret = pin_small(data, mem, cursor, bytes, layout, nowait);
	if (ret <= 0)
		return ret;
	if (nowait)
		return -EAGAIN;
	ret = measure(data, mem, *cursor, bytes, layout);
	if (!ret && to_guest)
		ret = note_pieces(data, mem, *cursor, bytes);
	if (!ret)
		ret = data->bounced ? bounce(data, mem, *cursor, bytes) : pin(data, mem, *cursor, bytes);
	if (ret)
		free_pieces(data);
	return ret;
}

/* Copies from the pages to the pieces, both of which hold the request's bytes in order. */
static int deliver(const struct vblk_data *data)
{
	unsigned int vec = 0, piece = 0;
	size_t from = 0, to = 0;

	while (vec < data->nr && piece < data->nr_pieces) {
		const struct bio_vec *source = &data->vecs[vec];
		const struct vblk_piece *target = &data->pieces[piece];
		size_t n = min_t(size_t, source->bv_len - from, target->len - to);

		if (copy_to_user(target->addr + to, page_address(source->bv_page) + from, n))
			return -EFAULT;
		from += n;
		to += n;
		if (from == source->bv_len) {
			vec++;
			from = 0;
		}
		if (to == target->len) {
			piece++;
			to = 0;
		}
	}
	return 0;
}

/* Pages that the disk reads into have changed, also where it failed; what was bounced, only when it was delivered. */
static int log_pieces(const struct vblk_data *data, struct vblk_log *log)
{
	unsigned int i;

	for (i = 0; i < data->nr_pieces; i++)
		if (vblk_log_written(log, data->pieces[i].addr, data->pieces[i].len))
			return -EPROTO;
	return 0;
}

int vblk_data_finish(struct vblk_data *data, bool valid, struct vblk_log *log)
{
	int ret = 0, logged = 0;

	if (data->bounced && data->to_guest && valid)
		ret = deliver(data);
	if (data->to_guest && (valid || !data->bounced))
		logged = log_pieces(data, log);
	if (data->bounced)
		free_bounce(data);
	else
		unpin(data);
	free_pieces(data);
	return logged ? logged : ret;
}
