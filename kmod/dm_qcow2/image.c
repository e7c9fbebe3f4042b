// SPDX-License-Identifier: GPL-2.0-only
/* Opening an image: header and L1 table are read, checked and kept. */
#include <linux/mm.h>
#include <linux/slab.h>

#include "buffer.h"
#include "image.h"

static int refuse(const char **reason, const char *text, int error)
{
	*reason = text;
	return error;
}

/* After an error the image has the header that it had: who asks about a device that was not resumed gets an answer. */
static int read_header(struct qcow2_image *image, const char **reason)
{
	struct qcow2_header header;
	struct qcow2_buffer start;
	long ret;

	ret = qcow2_buffer_alloc(&start, QCOW2_START_BYTES);
	if (ret)
		return refuse(reason, "no memory", ret);
	ret = qcow2_file_read(&image->file, start.vecs, start.bytes, 0);
	if (ret < 0)
		*reason = "the header can not be read";
	else
		ret = qcow2_parse_header(start.data, ret, &header, reason);
	qcow2_buffer_free(&start);
	if (!ret)
		image->header = header;
	return ret;
}

static int check_header(const struct qcow2_image *image, bool write, bool is_last, const char **reason)
{
	const struct qcow2_header *header = &image->header;

	if (!header->backing_name.bytes != is_last)
		return refuse(reason, is_last ? "its backing file is missing" : "it has no backing file", -EINVAL);
	if (qcow2_has_data_file(header) != image->has_data_file)
		return refuse(reason, image->has_data_file ? "it has no external data file" : "its data file is missing",
			      -EINVAL);
	if (write && header->incompat & QCOW2_INCOMPAT_CORRUPT)
		return refuse(reason, "it is marked as corrupt: qemu-img check -r all", -EROFS);
	if (write && header->incompat & QCOW2_INCOMPAT_DIRTY)
		return refuse(reason, "it was not closed cleanly: qemu-img check -r all", -EUCLEAN);
	return 0;
}

/* Blocks that hold more than one unit can not be written past the page cache: then nothing is. */
static void limit_block(struct qcow2_file *file, u32 unit, u64 disk)
{
	if (file->block > unit || (file->block && disk % file->block))
		file->block = 0;
}

/* What can not be written, and how the rest is. */
static int check_writable(struct qcow2_image *image, const char **reason)
{
	u32 unit = qcow2_cluster_bytes(&image->header) / (qcow2_has_extended_l2(&image->header) ? QCOW2_SUBCLUSTERS : 1);

	if (image->header.size % SECTOR_SIZE)
		return refuse(reason, "a size that is no multiple of 512 can be read only", -EROFS);
	limit_block(&image->file, unit, image->header.size);
	if (image->has_data_file)
		limit_block(&image->data_file, unit, image->header.size);
	return 0;
}

static int read_l1(struct qcow2_image *image, struct qcow2_buffer *buffer)
{
	u64 left = (u64)image->l1_entries * sizeof(u64);
	u64 at = image->header.l1_at;
	u64 *entry = image->l1;

	while (left) {
		u32 bytes = min_t(u64, left, buffer->bytes);
		/* A multiple of what direct I/O asks for; what is behind the table is not looked at. */
		long ret = qcow2_file_read(&image->file, buffer->vecs, buffer->bytes, at);
		u32 i;

		if (ret < 0)
			return ret;
		if (!ret)
			return -EINVAL;
		for (i = 0; i < bytes; i += sizeof(u64))
			*entry++ = qcow2_be64(buffer->data + i);
		at += bytes;
		left -= bytes;
		cond_resched();
	}
	return 0;
}

static int load_l1(struct qcow2_image *image, bool write, u64 *l1_memory, const char **reason)
{
	struct qcow2_buffer buffer;
	u64 bytes;
	int error;

	/* Who writes the table writes all of it: snapshots' states of machines have entries behind the disk's. */
	image->l1_entries = write ? image->header.l1_entries : qcow2_l1_needed(&image->header);
	kvfree(image->l1);
	image->l1 = NULL;
	bytes = (u64)image->l1_entries * sizeof(u64);
	if (!bytes)
		return 0;
	if (bytes > *l1_memory)
		return refuse(reason, "the L1 tables of the chain are too large", -EFBIG);
	*l1_memory -= bytes;
	image->l1 = kvcalloc(image->l1_entries, sizeof(u64), GFP_KERNEL);
	if (!image->l1)
		return refuse(reason, "no memory", -ENOMEM);
	error = qcow2_buffer_alloc(&buffer, QCOW2_START_BYTES);
	if (error)
		return refuse(reason, "no memory", error);
	error = read_l1(image, &buffer);
	qcow2_buffer_free(&buffer);
	return error ? refuse(reason, "the L1 table can not be read", error) : 0;
}

int qcow2_image_load(struct qcow2_image *image, bool write, bool is_last, u64 *l1_memory, const char **reason)
{
	int error;

	if (qcow2_file_is_swap(&image->file) || (image->has_data_file && qcow2_file_is_swap(&image->data_file)))
		return refuse(reason, "the file is swapped to", -ETXTBSY);
	if (image->is_raw && write)
		return refuse(reason, "a raw image can be read only", -EROFS);
	if (image->is_raw) {
		image->size = round_up(qcow2_file_size(&image->file), SECTOR_SIZE);
		return is_last ? 0 : refuse(reason, "a raw image has no backing file", -EINVAL);
	}
	error = read_header(image, reason);
	if (!error)
		error = check_header(image, write, is_last, reason);
	if (error)
		return error;
	image->size = image->header.size;
	image->slice_bytes = min_t(u64, qcow2_cluster_bytes(&image->header), QCOW2_SLICE_BYTES);
	error = write ? check_writable(image, reason) : 0;
	return error ? error : load_l1(image, write, l1_memory, reason);
}

void qcow2_image_close(struct qcow2_image *image)
{
	kvfree(image->l1);
	image->l1 = NULL;
	qcow2_file_close(&image->file);
	qcow2_file_close(&image->data_file);
}
