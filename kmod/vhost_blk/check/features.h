/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_CHECK_FEATURES_H
#define VHOST_BLK_CHECK_FEATURES_H

/*
 * Prints what the loaded module offers: feature bits by name, limits, calls, module parameters with their values, and,
 * where @device is not NULL, the limits with that backend. Ends the program with 2 when it can not be asked.
 */
void features_print(const char *device);

#endif
