/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef REASON_H
#define REASON_H

/* Why something was refused, for people. */
struct reason {
	char text[256];
};

/* Writes down why. Return: -1. */
int refuse(struct reason *reason, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As refuse(), with the text of the negative errno @error behind it. */
int refuse_error(struct reason *reason, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
