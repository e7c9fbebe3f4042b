/* SPDX-License-Identifier: GPL-2.0-only */
/* Entries of the snapshot table. */
#ifndef QCOW2_FORMAT_SNAPSHOT_H
#define QCOW2_FORMAT_SNAPSHOT_H

#include "base.h"
#include "header.h"

/* What stands before an entry's extra data and texts. */
#define QCOW2_SNAPSHOT_BYTES 40

/* What QEMU refuses, too. */
#define QCOW2_MAX_SNAPSHOT_EXTRA 1024
#define QCOW2_MAX_SNAPSHOTS_BYTES (64ULL << 20)

struct qcow2_snapshot {
	u64 l1_at;
	u32 l1_entries;
	/* Of the whole entry: up to the next. */
	u32 bytes;
};

/**
 * qcow2_parse_snapshot() - reads and checks an entry
 * @entry: its first QCOW2_SNAPSHOT_BYTES
 * @reason: a constant string for people, set on error
 *
 * Return: 0; -EINVAL for what no image may hold.
 */
int qcow2_parse_snapshot(const struct qcow2_header *header, const u8 *entry, struct qcow2_snapshot *snapshot,
			 const char **reason);

#endif
