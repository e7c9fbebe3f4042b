/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VHOST_BLK_FUZZ_TARGET_H
#define VHOST_BLK_FUZZ_TARGET_H

#include "shim.h"

/* LLVMFuzzerTestOneInput() - run one input, by libFuzzer or replay.c; aborts where the module does wrong */
int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#endif
