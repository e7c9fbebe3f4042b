/* SPDX-License-Identifier: GPL-2.0-only */
/* What a system call must return. @what: its name in the reason of a failure. */
#ifndef VHOST_BLK_CHECK_EXPECT_H
#define VHOST_BLK_CHECK_EXPECT_H

/* Fails the case unless @result is 0; errno tells why it is not. */
void must(const char *what, int result);

/* Fails the case unless @result is negative and errno is @wanted. */
void expect_errno(const char *what, long result, int wanted);

#endif
