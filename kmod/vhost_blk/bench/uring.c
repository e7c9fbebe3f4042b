// SPDX-License-Identifier: GPL-2.0-only
/* io_uring on the device: plain, or with file and buffers registered. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "engine.h"
#include "report.h"

struct uring_lane {
	int fd;
	char *buffers;
	/* In shared memory. */
	unsigned *sq_tail, sq_mask, *sq_array, *cq_head, *cq_tail, cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	/* Entries written and not yet submitted. */
	unsigned pending;
};

struct uring {
	int disk;
	bool fixed;
	struct uring_lane lane[MAX_QUEUES];
};

static void *map(int fd, size_t bytes, uint64_t offset)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, (off_t)offset);

	if (at == MAP_FAILED)
		fail_errno("can not map an io_uring");
	return at;
}

static void open_lane(struct uring_lane *own, const struct job *job)
{
	struct io_uring_params params = { 0 };
	char *sq, *cq;

	own->fd = (int)syscall(SYS_io_uring_setup, job->depth, &params);
	if (own->fd < 0 && (errno == ENOSYS || errno == EPERM))
		skip("this kernel has no io_uring, or does not let it be used");
	if (own->fd < 0)
		fail_errno("io_uring_setup");
	sq = map(own->fd, params.sq_off.array + params.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
	cq = map(own->fd, params.cq_off.cqes + params.cq_entries * sizeof(*own->cqes), IORING_OFF_CQ_RING);
	own->sqes = map(own->fd, params.sq_entries * sizeof(*own->sqes), IORING_OFF_SQES);
	own->sq_tail = (unsigned *)(sq + params.sq_off.tail);
	own->sq_mask = *(unsigned *)(sq + params.sq_off.ring_mask);
	own->sq_array = (unsigned *)(sq + params.sq_off.array);
	own->cq_head = (unsigned *)(cq + params.cq_off.head);
	own->cq_tail = (unsigned *)(cq + params.cq_off.tail);
	own->cq_mask = *(unsigned *)(cq + params.cq_off.ring_mask);
	own->cqes = (struct io_uring_cqe *)(cq + params.cq_off.cqes);
	own->buffers = job_buffers(job->depth);
}

static void register_all(struct uring_lane *own, const struct job *job, int disk)
{
	struct iovec buffers[MAX_DEPTH];

	for (unsigned i = 0; i < job->depth; i++)
		buffers[i] = (struct iovec) { own->buffers + (size_t)i * BLOCK_BYTES, BLOCK_BYTES };
	if (syscall(SYS_io_uring_register, own->fd, IORING_REGISTER_BUFFERS, buffers, job->depth) ||
	    syscall(SYS_io_uring_register, own->fd, IORING_REGISTER_FILES, &disk, 1))
		fail_errno("io_uring_register");
}

static void *uring_open(const struct job *job, bool fixed)
{
	struct uring *uring = calloc(1, sizeof(*uring));

	if (!uring)
		fail("out of memory");
	uring->disk = job_open_direct(job);
	uring->fixed = fixed;
	for (unsigned i = 0; i < job->queues; i++) {
		open_lane(&uring->lane[i], job);
		if (fixed)
			register_all(&uring->lane[i], job, uring->disk);
	}
	return uring;
}

static void *open_plain(const struct job *job)
{
	return uring_open(job, false);
}

static void *open_fixed(const struct job *job)
{
	return uring_open(job, true);
}

static void add(const struct uring *uring, struct uring_lane *own, struct lane *lane, unsigned i)
{
	const struct job *job = lane->job;
	unsigned at = (*own->sq_tail + own->pending) & own->sq_mask;
	struct io_uring_sqe *sqe = &own->sqes[at];

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = job->write ? IORING_OP_WRITE : IORING_OP_READ;
	sqe->fd = uring->disk;
	if (uring->fixed) {
		sqe->opcode = job->write ? IORING_OP_WRITE_FIXED : IORING_OP_READ_FIXED;
		sqe->flags = IOSQE_FIXED_FILE;
		sqe->fd = 0;
		sqe->buf_index = (uint16_t)i;
	}
	sqe->addr = (uintptr_t)(own->buffers + (size_t)i * BLOCK_BYTES);
	sqe->len = BLOCK_BYTES;
	sqe->off = lane_next_block(lane) * BLOCK_BYTES;
	sqe->user_data = i;
	own->sq_array[at] = at;
	own->pending++;
}

/* Submits what was added, and sleeps until one has ended. */
static void enter(struct uring_lane *own)
{
	__atomic_store_n(own->sq_tail, *own->sq_tail + own->pending, __ATOMIC_RELEASE);
	while (syscall(SYS_io_uring_enter, own->fd, own->pending, 1, IORING_ENTER_GETEVENTS, NULL, 0) !=
	       (long)own->pending)
		if (errno != EINTR)
			fail_errno("io_uring_enter");
	own->pending = 0;
}

static unsigned reap(const struct uring *uring, struct uring_lane *own, struct lane *lane, bool again)
{
	unsigned head = *own->cq_head, tail = __atomic_load_n(own->cq_tail, __ATOMIC_ACQUIRE);
	unsigned count = tail - head;

	for (; head != tail; head++) {
		const struct io_uring_cqe *cqe = &own->cqes[head & own->cq_mask];

		if (cqe->res != (int)BLOCK_BYTES)
			fail("io_uring: expected %u, saw %d", BLOCK_BYTES, cqe->res);
		if (again)
			add(uring, own, lane, (unsigned)cqe->user_data);
	}
	__atomic_store_n(own->cq_head, head, __ATOMIC_RELEASE);
	return count;
}

static void uring_run(struct lane *lane)
{
	struct uring *uring = lane->state;
	struct uring_lane *own = &uring->lane[lane->index];
	unsigned in_flight = lane->job->depth;

	for (unsigned i = 0; i < lane->job->depth; i++)
		add(uring, own, lane, i);
	while (!lane_stopped(lane)) {
		enter(own);
		lane_count(lane, reap(uring, own, lane, true));
	}
	/* What was added last is not submitted yet. */
	in_flight -= own->pending;
	own->pending = 0;
	while (in_flight) {
		enter(own);
		in_flight -= reap(uring, own, lane, false);
	}
}

static void uring_close(void *state)
{
	struct uring *uring = state;

	for (unsigned i = 0; i < MAX_QUEUES; i++)
		if (uring->lane[i].buffers)
			close(uring->lane[i].fd);
	close(uring->disk);
	free(uring);
}

const struct engine engine_io_uring = {
	"io_uring", "io_uring on the host's device", open_plain, uring_run, uring_close,
};

const struct engine engine_io_uring_fixed = {
	"io_uring-fixed", "the same with file and buffers registered", open_fixed, uring_run, uring_close,
};
