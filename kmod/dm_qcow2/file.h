/* SPDX-License-Identifier: GPL-2.0-only */
/* The files of a chain, and transfers from and to them. */
#ifndef DM_QCOW2_FILE_H
#define DM_QCOW2_FILE_H

#include <linux/atomic.h>
#include <linux/bvec.h>
#include <linux/fs.h>
#include <linux/types.h>

/* A regular file of which a table handed us a descriptor. Does not change after it was opened. */
struct qcow2_file {
	struct file *file;
	/* What position and length of a transfer past the page cache are multiples of; 0: none can pass it by. */
	u32 block;
};

/* A transfer that goes on while its caller does something else. */
struct qcow2_transfer {
	struct kiocb kiocb;
	/* The file system's call, and the completion: who comes second hands the result on. */
	atomic_t parts;
	long result;
	/* Called once, in any context, with bytes moved or a negative errno. */
	void (*done)(struct qcow2_transfer *transfer, long result);
};

/**
 * qcow2_file_open() - takes a descriptor of the calling process
 * @file: what is filled in
 * @fd: of a regular file, opened for reading, and for writing if @write
 * @write: whether it shall be written
 * @reason: a constant string for people, set on error
 *
 * Return: 0 or a negative errno. Ends with qcow2_file_close().
 */
int qcow2_file_open(struct qcow2_file *file, unsigned int fd, bool write, const char **reason);
/* The same for a file that another table has. */
int qcow2_file_share(struct qcow2_file *file, const struct qcow2_file *other, bool write, const char **reason);
void qcow2_file_close(struct qcow2_file *file);

/* Size in bytes, now. */
u64 qcow2_file_size(const struct qcow2_file *file);

/* Whether the system swaps to it. Later the file system refuses writes to such a file, which fail then. */
bool qcow2_file_is_swap(const struct qcow2_file *file);

/* Whether both have their data in one inode. */
bool qcow2_file_same(const struct qcow2_file *a, const struct qcow2_file *b);

/* Whether a transfer can pass the page cache by: only then it does not wait for the data. */
bool qcow2_file_fits_direct(const struct qcow2_file *file, u64 at, u32 bytes);

/* One call of the file system's, waiting. Return: bytes moved, 0 at the end of the file, or a negative errno. */
ssize_t qcow2_file_move(const struct qcow2_file *file, bool write, bool direct, struct iov_iter *iter, u64 at);

/**
 * qcow2_file_read_into() - reads into a part of pages, waiting
 * @vecs: the pages
 * @skip: bytes in them before the part
 * @at: where in the file
 *
 * Passes the page cache by if it can. What lies behind the end of the file is filled with zeros.
 *
 * Return: bytes that were in the file, or a negative errno.
 */
long qcow2_file_read_into(const struct qcow2_file *file, const struct bio_vec *vecs, u32 skip, u32 bytes, u64 at);

/* As above, from the first page's beginning on. */
static inline long qcow2_file_read(const struct qcow2_file *file, const struct bio_vec *vecs, u32 bytes, u64 at)
{
	return qcow2_file_read_into(file, vecs, 0, bytes, at);
}

/* Writes from pages, waiting. Return: 0 or a negative errno. */
int qcow2_file_write(const struct qcow2_file *file, const struct bio_vec *vecs, u32 bytes, u64 at);

/**
 * qcow2_file_start() - begins a transfer
 * @transfer: with its done; stays until that was called
 * @iter: the memory; may go when this returns
 * @at: where in the file; position and length fit direct I/O
 */
void qcow2_file_start(const struct qcow2_file *file, struct qcow2_transfer *transfer, bool write,
		      struct iov_iter *iter, u64 at);

/* Zeros from an offset in a bio's or other pages on. */
void qcow2_zero_vecs(const struct bio_vec *vecs, u32 skip, u32 bytes);

/* Vecs that have that many bytes together. */
unsigned int qcow2_count_vecs(const struct bio_vec *vecs, u64 bytes);

#endif
