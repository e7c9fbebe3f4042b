/* SPDX-License-Identifier: GPL-2.0-only */
/* Bios on their way. */
#ifndef DM_QCOW2_REQUEST_H
#define DM_QCOW2_REQUEST_H

#include <linux/bio.h>
#include <linux/uio.h>
#include <linux/workqueue.h>

#include "target.h"

enum qcow2_op {
	QCOW2_OP_READ,
	QCOW2_OP_WRITE,
	QCOW2_OP_DISCARD,
	QCOW2_OP_ZERO,
	QCOW2_OP_FLUSH,
};

/* A bio's own data. */
struct qcow2_request {
	struct qcow2_target *target;
	enum qcow2_op op;
	/* Whether it ends only when all that it changed is durable. */
	bool durable;
	/* For QCOW2_OP_ZERO: whether the space may go, too. */
	bool unmap;
	/* Whether it is no bio, but a block that another request changes a part of. */
	bool is_block;
	/* Whether it is in a list of its writer's, that who shares a block with it goes before or after it. */
	bool is_ordered;
	struct list_head in_writes;
	/* In a lane, later among those that wait for a commit. */
	struct list_head in_list;
	struct work_struct work;
	/* As it was when the bio came: the disk's offset in bytes, the length, the memory and where in it that begins. */
	u64 at;
	u64 bytes;
	const struct bio_vec *vecs;
	struct bvec_iter memory;
	/* What was begun so far, and by which ticket the next piece is looked up. */
	u64 done;
	int ticket;
	/* Parts in flight, and one for who begins them. */
	atomic_t pending;
	blk_status_t status;
};

/* Takes what parts and threads of a table need. Return: 0 or a negative errno; qcow2_requests_exit() also after one. */
int qcow2_requests_init(struct qcow2_target *target);
/* No bio is left. Takes a target that is all zeros, too. */
void qcow2_requests_exit(struct qcow2_target *target);

/* Takes a bio over; it ends by bio_endio(). Does not wait. */
void qcow2_request_submit(struct qcow2_target *target, struct bio *bio);

/* Lets a bio's work begin, or begin again. Any context. */
void qcow2_request_queue(struct qcow2_request *request);

/* Notes an error; the request goes on until its parts have ended. Any context. */
void qcow2_request_fail(struct qcow2_request *request, int error);

/* Ends the requests of a list that waited for a commit, with its error or 0. */
void qcow2_requests_end(struct list_head *requests, int error);

/**
 * qcow2_part_start() - begins to move the next bytes of a request
 * @file: takes them past the page cache
 * @at: where in the file
 *
 * What a transfer leaves over is moved in a thread that may wait. The part shares the request's ticket.
 */
void qcow2_part_start(struct qcow2_request *request, const struct qcow2_file *file, u32 bytes, u64 at);

/* memory.c: a request's memory; offsets are in the request. */

void qcow2_memory_iter(struct qcow2_request *request, u32 skip, u32 bytes, unsigned int direction,
		       struct iov_iter *iter);
void qcow2_memory_zero(struct qcow2_request *request, u32 skip, u32 bytes);
void qcow2_memory_copy_in(struct qcow2_request *request, u32 skip, const u8 *from, u32 bytes);
void qcow2_memory_copy_out(struct qcow2_request *request, u32 skip, u8 *to, u32 bytes);
/* Whether direct I/O on the file takes the memory as it is. */
bool qcow2_memory_fits(struct qcow2_request *request, const struct qcow2_file *file, u32 skip, u32 bytes);

/*
 * Each does or begins the next piece of a request, and adds it to done. With @wait it may wait.
 * Return: 0; -EAGAIN: it would have to wait; other errors.
 */
int qcow2_read_piece(struct qcow2_request *request, bool wait);
int qcow2_write_piece(struct qcow2_request *request, bool wait);
int qcow2_zero_piece(struct qcow2_request *request, bool wait);

/* As qcow2_write_piece(), up to an offset of the disk; a request without data writes zeros. */
int qcow2_write_range(struct qcow2_request *request, u64 end, bool wait);

/* partial.c */

/*
 * Takes a bio that may be the write of a part of a block, and one that shares a block with such a write, into order. Return:
 * whether it can begin now; else qcow2_request_queue() is called for it later. Ends with qcow2_partial_end(). Any context.
 */
bool qcow2_partial_begin(struct qcow2_request *request);
void qcow2_partial_end(struct qcow2_request *request);

/* Writes, waiting, what of a request lies in the block of its next byte, up to an offset of the disk. Adds it to done. */
int qcow2_partial_write(struct qcow2_request *request, u64 end);

/* Writes zeros, waiting. Return: 0 or a negative errno. */
int qcow2_write_zeros(struct qcow2_writer *writer, const struct qcow2_file *file, u64 bytes, u64 at);

/* Moves bytes of a request, waiting. What is behind a file's end reads as zeros. Return: 0 or a negative errno. */
int qcow2_read_waiting(struct qcow2_request *request, const struct qcow2_file *file, u32 skip, u32 bytes, u64 at);
int qcow2_write_waiting(struct qcow2_request *request, const struct qcow2_file *file, u32 skip, u32 bytes, u64 at);

#endif
