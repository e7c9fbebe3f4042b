/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_FUZZ_INPUT_H
#define VHOST_BLK_FUZZ_INPUT_H

#include <linux/types.h>

/* What an input begins with; its steps and the owner's memory, from its start on, follow. Any bytes are an input. */
#define INPUT_MAX_REGIONS 8

struct input_region {
	__u64 gpa;
	__u64 size;
	/* From the start of the owner's memory. */
	__u64 offset;
} __attribute__((packed));

struct input {
	__u16 flags;
	__u8 log_num;
	__u8 nr_regions;
	__u8 log_block;
	__u8 no_memory;
	__u16 last_avail;
	/* From the start of the owner's memory. */
	__u16 desc;
	__u16 avail;
	__u16 used;
	__u16 sectors;
	__u16 log;
	__u64 log_gpa;
	__u16 nr_steps;
	struct input_region region[INPUT_MAX_REGIONS];
} __attribute__((packed));

#define INPUT_EVENT_IDX		(1 << 0)
#define INPUT_INDIRECT		(1 << 1)
#define INPUT_LITTLE_ENDIAN	(1 << 2)
#define INPUT_CAN_FLUSH		(1 << 3)
#define INPUT_READ_ONLY		(1 << 4)
/* After each access of the module a step is taken that may change a byte. */
#define INPUT_MUTATE		(1 << 5)
#define INPUT_RANGES		(1 << 6)
#define INPUT_LOG		(1 << 7)
#define INPUT_LOG_USED		(1 << 8)

/* A step is a byte, of which the lower three bits tell what, and what they say further bytes. */
enum input_step {
	/* Take and start a request, when there is one. */
	STEP_TAKE,
	/* The same, as often as the byte behind it says. */
	STEP_TAKE_MANY,
	/* End a request: which; bit 7: with an error, and bit 6: one that says that the disk can not. */
	STEP_END,
	STEP_PUBLISH,
	/* The driver's index goes on by the byte. */
	STEP_AVAILABLE,
	/* A byte of memory changes: offset, 16 bits, and value. */
	STEP_STORE,
	/*
	 * Where nothing is in flight: as STEP_TAKE and STEP_END by a thread that kicks. Which of its accesses to memory fails,
	 * 0: none; how the request ends, as for STEP_END.
	 */
	STEP_KICK,
	STEP_RESTART,
};

#endif
