/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DESCRIPTORS_H
#define DESCRIPTORS_H

#include <stdbool.h>
#include <sys/uio.h>

/* The most that descriptors_send() takes. */
#define DESCRIPTORS_MAX 16

/* Sends all of @iov, with descriptors. Return: whether the socket took all. */
bool descriptors_send(int socket, struct iovec *iov, unsigned int nr_iov, const int *fds, unsigned int nr_fds);

/* How many a process has open. @path: its folder "/proc/PID/fd" */
unsigned int descriptors_count(const char *path);

#endif
