/* SPDX-License-Identifier: GPL-2.0-only */
/* What is tried by several messages together: their order, their pieces, what comes between them. */
#ifndef SEQUENCES_H
#define SEQUENCES_H

void sequences(void);

#endif
