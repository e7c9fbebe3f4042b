/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SAY_H
#define SAY_H

/* Names the disk in all lines that follow. */
void say_name(const char *name);

/* Writes a line for people to standard error. What can not be printed in it is '?'. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
