/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SAY_H
#define SAY_H

/* Writes a line for people to standard error. What can not be printed in it, as names in images may hold, is '?'. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
