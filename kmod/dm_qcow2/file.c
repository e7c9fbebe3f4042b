// SPDX-License-Identifier: GPL-2.0-only
/*
 * The files of a chain. A file that is written is either always or never passed by the page cache: pages that are written
 * both ways would lose one of the writes where a page holds data and metadata.
 */
#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/uio.h>

#include "file.h"

/* Above it no file system asks for. */
#define QCOW2_MAX_BLOCK 4096

static struct inode *host_of(const struct qcow2_file *file)
{
	/* Of a file system stacked on another: the one that has the data. */
	return file->file->f_mapping->host;
}

static int check_file(struct file *file, bool write, const char **reason)
{
	struct inode *inode = file->f_mapping->host;

	if (!S_ISREG(file_inode(file)->i_mode) || !S_ISREG(inode->i_mode)) {
		*reason = "not a regular file";
		return -EINVAL;
	}
	if (!(file->f_mode & FMODE_READ) || !file->f_op->read_iter) {
		*reason = "file not open for reading";
		return -EBADF;
	}
	if (write && (!(file->f_mode & FMODE_WRITE) || !file->f_op->write_iter || file->f_flags & O_APPEND)) {
		*reason = "file not open for writing at any place";
		return -EBADF;
	}
	return 0;
}

bool qcow2_file_is_swap(const struct qcow2_file *file)
{
	return IS_SWAPFILE(host_of(file));
}

/* Takes a file over, also when it is refused. */
static int take(struct qcow2_file *file, struct file *taken, bool write, const char **reason)
{
	int error = check_file(taken, write, reason);

	file->file = taken;
	if (error) {
		qcow2_file_close(file);
		return error;
	}
	file->block = file_direct_alignment(taken);
	if (file->block > QCOW2_MAX_BLOCK || !is_power_of_2(file->block))
		file->block = 0;
	return 0;
}

int qcow2_file_open(struct qcow2_file *file, unsigned int fd, bool write, const char **reason)
{
	struct file *taken = fget(fd);

	if (taken)
		return take(file, taken, write, reason);
	*reason = "no such file descriptor";
	return -EBADF;
}

int qcow2_file_share(struct qcow2_file *file, const struct qcow2_file *other, bool write, const char **reason)
{
	return take(file, get_file(other->file), write, reason);
}

void qcow2_file_close(struct qcow2_file *file)
{
	if (file->file)
		fput(file->file);
	file->file = NULL;
}

u64 qcow2_file_size(const struct qcow2_file *file)
{
	return i_size_read(host_of(file));
}

bool qcow2_file_same(const struct qcow2_file *a, const struct qcow2_file *b)
{
	return host_of(a) == host_of(b);
}

bool qcow2_file_fits_direct(const struct qcow2_file *file, u64 at, u32 bytes)
{
	return file->block && !((at | bytes) & (file->block - 1));
}

unsigned int qcow2_count_vecs(const struct bio_vec *vecs, u64 bytes)
{
	unsigned int nr = 0;

	while (bytes) {
		bytes -= min_t(u64, bytes, vecs[nr].bv_len);
		nr++;
	}
	return nr;
}

static void zero_part(const struct bio_vec *vec, u32 from, u32 bytes)
{
	while (bytes) {
		u32 at = vec->bv_offset + from;
		struct page *page = vec->bv_page + at / PAGE_SIZE;
		u32 part = min_t(u32, bytes, PAGE_SIZE - at % PAGE_SIZE);
		u8 *data = kmap_local_page(page);

		memset(data + at % PAGE_SIZE, 0, part);
		kunmap_local(data);
		flush_dcache_page(page);
		from += part;
		bytes -= part;
	}
}

void qcow2_zero_vecs(const struct bio_vec *vecs, u32 skip, u32 bytes)
{
	for (; bytes; vecs++) {
		u32 part;

		if (skip >= vecs->bv_len) {
			skip -= vecs->bv_len;
			continue;
		}
		part = min(bytes, vecs->bv_len - skip);
		zero_part(vecs, skip, part);
		bytes -= part;
		skip = 0;
	}
}

static void prepare(struct kiocb *kiocb, const struct qcow2_file *file, bool write, bool direct, u64 at)
{
	init_sync_kiocb(kiocb, file->file);
	kiocb->ki_pos = at;
	/* The descriptor's own flags are its owner's, who can change them at any time. */
	kiocb->ki_flags = (direct ? IOCB_DIRECT : 0) | (write ? IOCB_WRITE : 0);
}

ssize_t qcow2_file_move(const struct qcow2_file *file, bool write, bool direct, struct iov_iter *iter, u64 at)
{
	struct kiocb kiocb;
	ssize_t ret;

	prepare(&kiocb, file, write, direct, at);
	if (!write)
		return file->file->f_op->read_iter(&kiocb, iter);
	kiocb_start_write(&kiocb);
	ret = file->file->f_op->write_iter(&kiocb, iter);
	kiocb_end_write(&kiocb);
	return ret;
}

/* Return: bytes moved, fewer at the end of the file only, or a negative errno. */
static long move_all(const struct qcow2_file *file, bool write, const struct bio_vec *vecs, u32 skip, u32 bytes, u64 at)
{
	bool is_refused = false;
	u32 done = 0;

	while (done < bytes) {
		bool direct = !is_refused && !((skip + done) % SECTOR_SIZE) &&
			      qcow2_file_fits_direct(file, at + done, bytes - done);
		struct iov_iter iter;
		ssize_t ret;

		iov_iter_bvec(&iter, write ? ITER_SOURCE : ITER_DEST, vecs, qcow2_count_vecs(vecs, (u64)skip + bytes),
			      (size_t)skip + bytes);
		iov_iter_advance(&iter, skip + done);
		ret = qcow2_file_move(file, write, direct, &iter, at + done);
		/* The memory does not suit the file system. What is written comes from whole pages, which suit all. */
		if (ret == -EINVAL && direct && !write) {
			is_refused = true;
			continue;
		}
		if (ret < 0)
			return ret;
		if (!ret)
			break;
		done += min_t(u32, ret, bytes - done);
	}
	return done;
}

long qcow2_file_read_into(const struct qcow2_file *file, const struct bio_vec *vecs, u32 skip, u32 bytes, u64 at)
{
	long ret = move_all(file, false, vecs, skip, bytes, at);

	if (ret >= 0)
		qcow2_zero_vecs(vecs, skip + ret, bytes - ret);
	return ret;
}

int qcow2_file_write(const struct qcow2_file *file, const struct bio_vec *vecs, u32 bytes, u64 at)
{
	long ret = move_all(file, true, vecs, 0, bytes, at);

	if (ret < 0)
		return ret;
	return ret == bytes ? 0 : -EIO;
}

/* File systems look at a kiocb until their call returns, also when it was completed meanwhile. */
static void end_part(struct qcow2_transfer *transfer)
{
	/* Full barrier: the second part sees the result that the completion has stored. */
	if (!atomic_dec_and_test(&transfer->parts))
		return;
	if (transfer->kiocb.ki_flags & IOCB_WRITE)
		kiocb_end_write(&transfer->kiocb);
	transfer->done(transfer, transfer->result);
}

static void end_with(struct kiocb *kiocb, long result)
{
	struct qcow2_transfer *transfer = container_of(kiocb, struct qcow2_transfer, kiocb);

	transfer->result = result;
	end_part(transfer);
}

static void kiocb_ended(KI_COMPLETE_ARGUMENTS(kiocb, result))
{
	end_with(kiocb, result);
}

void qcow2_file_start(const struct qcow2_file *file, struct qcow2_transfer *transfer, bool write,
		      struct iov_iter *iter, u64 at)
{
	struct kiocb *kiocb = &transfer->kiocb;
	ssize_t ret;

	prepare(kiocb, file, write, true, at);
	kiocb->ki_complete = kiocb_ended;
	atomic_set(&transfer->parts, 2);
	if (write)
		kiocb_start_write(kiocb);
	ret = write ? file->file->f_op->write_iter(kiocb, iter) : file->file->f_op->read_iter(kiocb, iter);
	if (ret != -EIOCBQUEUED)
		end_with(kiocb, ret);
	end_part(transfer);
}
