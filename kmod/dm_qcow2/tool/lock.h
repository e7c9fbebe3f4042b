/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef LOCK_H
#define LOCK_H

#include <stdbool.h>

/**
 * lock_image() - locks an image as QEMU does while it uses one
 * @path: for messages
 * @fd: the locks are its open file description's and live as long as that does
 * @write: whether the image shall be written
 *
 * Says on standard error why it fails: somebody else uses the image in a way that does not go together with this.
 *
 * Return: 0 or -1.
 */
int lock_image(const char *path, int fd, bool write);

/* Takes the locks of who reads an image, without a look at who else uses it. Return: 0 or -1. */
int lock_reading(const char *path, int fd);

/* Of an image that was locked to be written: it is only read from now on. */
void unlock_writing(int fd);

#endif
