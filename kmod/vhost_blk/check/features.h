/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_CHECK_FEATURES_H
#define VHOST_BLK_CHECK_FEATURES_H

/* Prints every feature bit that the loaded module offers, by name. Ends the program with 2 when it can not be asked. */
void features_print(void);

#endif
