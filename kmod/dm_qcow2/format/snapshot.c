// SPDX-License-Identifier: GPL-2.0-only
/* Entries of the snapshot table. */
#include "snapshot.h"

#define AT_ID_BYTES 12
#define AT_NAME_BYTES 14
#define AT_EXTRA_BYTES 36

int qcow2_parse_snapshot(const struct qcow2_header *header, const u8 *entry, struct qcow2_snapshot *snapshot,
			 const char **reason)
{
	u32 extra = qcow2_be32(entry + AT_EXTRA_BYTES);

	snapshot->l1_at = qcow2_be64(entry);
	snapshot->l1_entries = qcow2_be32(entry + 8);
	*reason = "extra data of a snapshot above 1 KiB";
	if (extra > QCOW2_MAX_SNAPSHOT_EXTRA)
		return -EINVAL;
	snapshot->bytes = QCOW2_SNAPSHOT_BYTES + extra + qcow2_be16(entry + AT_ID_BYTES) +
			  qcow2_be16(entry + AT_NAME_BYTES);
	snapshot->bytes = (snapshot->bytes + 7) & ~7U;
	*reason = "L1 table of a snapshot";
	if (snapshot->l1_entries > QCOW2_MAX_L1_BYTES / sizeof(u64))
		return -EINVAL;
	if (!snapshot->l1_entries)
		return 0;
	return qcow2_table_fits(header, snapshot->l1_at, (u64)snapshot->l1_entries * sizeof(u64)) ? 0 : -EINVAL;
}
