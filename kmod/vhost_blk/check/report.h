/* SPDX-License-Identifier: GPL-2.0-only */
/* How a case ends: it returns (passed), fails with a reason, or is skipped with a reason. */
#ifndef VHOST_BLK_CHECK_REPORT_H
#define VHOST_BLK_CHECK_REPORT_H

#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

enum outcome { OUTCOME_PASSED, OUTCOME_FAILED, OUTCOME_SKIPPED };

/* What a case process tells the runner, as one write to a pipe (below PIPE_BUF, so never torn). */
struct verdict {
	enum outcome outcome;
	char text[512];
};

/* From here on fail(), skip() and pass() report to @fd and end the process; before, fail() means "cannot run". */
void report_to(int fd);

/* Ends the case as failed, or the program with exit code 2 when no case is running. Any thread may call it. */
_Noreturn void fail(const char *format, ...) PRINTF_LIKE(1, 2);

/* fail() with the text of errno added. */
_Noreturn void fail_errno(const char *format, ...) PRINTF_LIKE(1, 2);

/* Ends the case as skipped: this machine or disk can not do it. */
_Noreturn void skip(const char *format, ...) PRINTF_LIKE(1, 2);

/* Ends the case as passed, with whatever note() said. */
_Noreturn void pass(void);

/* What the case is at: put before the reason of a failure. Of the calling thread's failures only. */
void at(const char *format, ...) PRINTF_LIKE(1, 2);

/* Has @undo called when the case ends, however it does short of a signal; the last one given is the first called. */
void at_end(void (*undo)(void *), void *argument);
void not_at_end(void (*undo)(void *), void *argument);

/* Adds a remark to the line of a case that passes; the last one stays. */
void note(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
