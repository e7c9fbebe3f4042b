// SPDX-License-Identifier: GPL-2.0-only
/* Linux' own asynchronous I/O on the device, as libaio does it. */
#define _GNU_SOURCE
#include <linux/aio_abi.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine.h"
#include "report.h"

struct aio_lane {
	aio_context_t context;
	char *buffers;
	struct iocb iocb[MAX_DEPTH];
	struct iocb *batch[MAX_DEPTH];
};

struct aio {
	int fd;
	struct aio_lane lane[MAX_QUEUES];
};

static void *aio_open(const struct job *job)
{
	struct aio *aio = calloc(1, sizeof(*aio));

	if (!aio)
		fail("out of memory");
	aio->fd = job_open_direct(job);
	for (unsigned i = 0; i < job->queues; i++) {
		if (syscall(SYS_io_setup, job->depth, &aio->lane[i].context))
			fail_errno("io_setup");
		aio->lane[i].buffers = job_buffers(job->depth);
	}
	return aio;
}

static void submit(struct aio_lane *own, unsigned count)
{
	unsigned done = 0;

	while (done < count) {
		long submitted = syscall(SYS_io_submit, own->context, (long)(count - done), own->batch + done);

		if (submitted <= 0)
			fail_errno("io_submit");
		done += (unsigned)submitted;
	}
}

static unsigned reap(struct aio_lane *own, struct lane *lane, bool again)
{
	struct io_event events[MAX_DEPTH];
	long count = syscall(SYS_io_getevents, own->context, 1L, (long)lane->job->depth, events, NULL);

	if (count < 0)
		fail_errno("io_getevents");
	for (long i = 0; i < count; i++) {
		struct iocb *iocb = (struct iocb *)(uintptr_t)events[i].obj;

		if (events[i].res != (int64_t)BLOCK_BYTES)
			fail("libaio: expected %u, saw %lld", BLOCK_BYTES, (long long)events[i].res);
		if (again) {
			iocb->aio_offset = (int64_t)(lane_next_block(lane) * BLOCK_BYTES);
			own->batch[i] = iocb;
		}
	}
	return (unsigned)count;
}

static void aio_run(struct lane *lane)
{
	const struct job *job = lane->job;
	struct aio *aio = lane->state;
	struct aio_lane *own = &aio->lane[lane->index];
	unsigned in_flight = job->depth;

	for (unsigned i = 0; i < job->depth; i++) {
		own->iocb[i] = (struct iocb) {
			.aio_fildes = (uint32_t)aio->fd,
			.aio_lio_opcode = job->write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
			.aio_buf = (uintptr_t)(own->buffers + (size_t)i * BLOCK_BYTES),
			.aio_nbytes = BLOCK_BYTES,
			.aio_offset = (int64_t)(lane_next_block(lane) * BLOCK_BYTES),
		};
		own->batch[i] = &own->iocb[i];
	}
	submit(own, job->depth);
	while (!lane_stopped(lane)) {
		unsigned count = reap(own, lane, true);

		lane_count(lane, count);
		submit(own, count);
	}
	while (in_flight)
		in_flight -= reap(own, lane, false);
}

static void aio_close(void *state)
{
	struct aio *aio = state;

	for (unsigned i = 0; i < MAX_QUEUES; i++)
		if (aio->lane[i].context)
			syscall(SYS_io_destroy, aio->lane[i].context);
	close(aio->fd);
	free(aio);
}

const struct engine engine_libaio = {
	"libaio", "io_submit() and io_getevents() on the host's device", aio_open, aio_run, aio_close,
};
