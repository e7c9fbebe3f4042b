/* SPDX-License-Identifier: GPL-2.0-only */
/* Waiting until all have ended who may have seen a mapping that is no more. */
#ifndef DM_QCOW2_GRACE_H
#define DM_QCOW2_GRACE_H

#include <linux/atomic.h>
#include <linux/mutex.h>
#include <linux/wait.h>

struct qcow2_grace {
	/* Guards changes of now: one waits at a time. */
	struct mutex turn;
	/* Users that entered while now was 0, and 1. */
	atomic_t users[2];
	int now;
	wait_queue_head_t left;
};

void qcow2_grace_init(struct qcow2_grace *grace);

/* Before a mapping is looked up. Return: a ticket for qcow2_grace_leave(), when nothing moves by it any more. */
int qcow2_grace_enter(struct qcow2_grace *grace);
/* One user more by a ticket that is held: what it does goes on with the mapping that was looked up. */
void qcow2_grace_share(struct qcow2_grace *grace, int ticket);
/* Any context. */
void qcow2_grace_leave(struct qcow2_grace *grace, int ticket);

/* Waits for all who entered before. */
void qcow2_grace_wait(struct qcow2_grace *grace);

#endif
