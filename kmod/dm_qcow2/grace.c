// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting for those who may still use what is no longer mapped. Unlike SRCU it may be left in an interrupt of another CPU
 * than where it was entered, on every kernel.
 */
#include "grace.h"

void qcow2_grace_init(struct qcow2_grace *grace)
{
	mutex_init(&grace->turn);
	init_waitqueue_head(&grace->left);
}

int qcow2_grace_enter(struct qcow2_grace *grace)
{
	for (;;) {
		int now = READ_ONCE(grace->now);

		atomic_inc(&grace->users[now]);
		/* Pairs with the waiter's barrier: either it sees the user, or the user sees that now has changed. */
		smp_mb__after_atomic();
		if (now == READ_ONCE(grace->now))
			return now;
		qcow2_grace_leave(grace, now);
	}
}

void qcow2_grace_share(struct qcow2_grace *grace, int ticket)
{
	atomic_inc(&grace->users[ticket]);
}

void qcow2_grace_leave(struct qcow2_grace *grace, int ticket)
{
	if (atomic_dec_and_test(&grace->users[ticket]) && wq_has_sleeper(&grace->left))
		wake_up(&grace->left);
}

void qcow2_grace_wait(struct qcow2_grace *grace)
{
	int before;

	mutex_lock(&grace->turn);
	before = grace->now;
	WRITE_ONCE(grace->now, !before);
	/* Pairs with that of qcow2_grace_enter(). */
	smp_mb();
	wait_event(grace->left, !atomic_read(&grace->users[before]));
	mutex_unlock(&grace->turn);
}
