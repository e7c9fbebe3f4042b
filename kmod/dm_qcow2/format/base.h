/* SPDX-License-Identifier: GPL-2.0-only */
/* What the format's own sources need of their surroundings, which are the kernel or a program. */
#ifndef QCOW2_FORMAT_BASE_H
#define QCOW2_FORMAT_BASE_H

#ifdef __KERNEL__
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/types.h>
#else
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))
#endif

/* Numbers in an image are big endian and may lie at any address. */
static inline u16 qcow2_be16(const u8 *at)
{
	return at[0] << 8 | at[1];
}

static inline u32 qcow2_be32(const u8 *at)
{
	return (u32)qcow2_be16(at) << 16 | qcow2_be16(at + 2);
}

static inline u64 qcow2_be64(const u8 *at)
{
	return (u64)qcow2_be32(at) << 32 | qcow2_be32(at + 4);
}

static inline void qcow2_put_be16(u8 *at, u16 value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static inline void qcow2_put_be32(u8 *at, u32 value)
{
	qcow2_put_be16(at, value >> 16);
	qcow2_put_be16(at + 2, value);
}

static inline void qcow2_put_be64(u8 *at, u64 value)
{
	qcow2_put_be32(at, value >> 32);
	qcow2_put_be32(at + 4, value);
}

#endif
