/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef COMMIT_H
#define COMMIT_H

#include "chain.h"

/**
 * commit_top() - merges the top of a device's chain into the image below it, while the device is in use
 * @name: of the device
 * @path: of its top
 * @options: where files that images name may be
 *
 * In the end the device's top is the image below, and that which was the top is empty: it shows what lies below it. Tells
 * which is which on standard output, how far it is on standard error if that is a terminal, and there why it fails. Then, and
 * when it is interrupted, the device goes on as before. What another run of it has begun it takes to its end.
 *
 * Return: 0 or -1.
 */
int commit_top(const char *name, const char *path, const struct chain_options *options);

#endif
