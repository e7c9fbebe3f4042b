/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One process at a time for a socket, of which a predecessor counts until the kernel has answered all that it took over for
 * it.
 *
 * The lock is on a file that the process has mapped. The device keeps its owner's address space, and with it the mapping,
 * until every request is answered; so the lock is held until then, even if the process was killed.
 */
#ifndef INSTANCE_H
#define INSTANCE_H

#include "bridge.h"

/*
 * Waits until no predecessor is left. @path: the socket's; the file's is made from it. Return: what the predecessor left,
 * in the mapped file; NULL with @reason.
 */
struct kept *instance_begin(const char *path, struct reason *reason);

#endif
