/* SPDX-License-Identifier: GPL-2.0-only */
/* The ways to a disk that are compared: each keeps a number of 4 KiB transfers in flight on a number of queues. */
#ifndef VHOST_BLK_BENCH_ENGINE_H
#define VHOST_BLK_BENCH_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLOCK_BYTES 4096u
#define MAX_DEPTH 256u
#define MAX_QUEUES 8u

/* What is to be done; the same for all engines that are compared. */
struct job {
	const char *device;
	/* Of the device, in units of BLOCK_BYTES. */
	uint64_t blocks;
	bool write;
	unsigned depth, queues;
	/* How virtqueues are used: chains in the ring instead of indirect tables; flags instead of event indexes. */
	bool direct, no_event_idx;
	/* Workers of a vhost_blk device, and how long those of the busy-polling engine look before they sleep. */
	unsigned workers, busy_poll_us;
	/* How long a guest looks for an answer before it sleeps. */
	unsigned halt_poll_us;
	/* Program of the vhost-user-blk engine. */
	const char *storage_daemon;
};

/* One queue with a thread of its own. */
struct lane {
	const struct job *job;
	unsigned index;
	/* The engine's, from its open(). */
	void *state;
	/* Transfers that have ended; written by the thread alone. */
	uint64_t done;
	uint64_t random;
	/* Set when the thread is to end. */
	const bool *stop;
	/* Notifications in both directions, where there are such. */
	uint64_t kicks, signals;
};

struct engine {
	const char *name;
	/* Why it is there, for --help. */
	const char *about;
	/* Makes all ready; skips (see report.h) where this machine has no such thing. */
	void *(*open)(const struct job *job);
	/* Keeps job->depth transfers in flight until *lane->stop; all have ended when it returns. */
	void (*run)(struct lane *lane);
	void (*close)(void *state);
};

extern const struct engine engine_vhost_blk;
extern const struct engine engine_vhost_blk_poll;
extern const struct engine engine_vhost_blk_sleep;
extern const struct engine engine_libaio;
extern const struct engine engine_io_uring;
extern const struct engine engine_io_uring_fixed;
extern const struct engine engine_vhost_user_blk;
extern const struct engine engine_vhost_scsi;

static inline bool lane_stopped(const struct lane *lane)
{
	return __atomic_load_n(lane->stop, __ATOMIC_RELAXED);
}

static inline void lane_count(struct lane *lane, unsigned done)
{
	__atomic_store_n(&lane->done, lane->done + done, __ATOMIC_RELAXED);
}

/* The block that comes next: xorshift64, scaled to the device. */
static inline uint64_t lane_next_block(struct lane *lane)
{
	uint64_t x = lane->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	lane->random = x;
	return (uint64_t)((unsigned __int128)x * lane->job->blocks >> 64);
}

/* The job's device for direct access; fails when it can not be had. */
int job_open_direct(const struct job *job);

/* @count page-aligned blocks of memory that is there already; fails when there is none. */
char *job_buffers(unsigned count);

#endif
