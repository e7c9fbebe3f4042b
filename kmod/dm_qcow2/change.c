// SPDX-License-Identifier: GPL-2.0-only
/* Changing what guest clusters are. */
#include "change.h"
#include "overlap.h"

static const struct qcow2_header *header_of(const struct qcow2_change *change)
{
	return &change->writer->top->header;
}

int qcow2_change_begin(struct qcow2_writer *writer, u64 at, u32 wanted, struct qcow2_change *change)
{
	const struct qcow2_image *top = writer->top;
	u32 per_slice = top->slice_bytes >> qcow2_l2_entry_bits(&top->header);
	int error;

	change->writer = writer;
	change->first = at >> top->header.cluster_bits;
	change->index = change->first & (per_slice - 1);
	change->nr = min(wanted, per_slice - change->index);
	qcow2_claim(writer, &change->claim, change->first, change->first + change->nr - 1);
	error = qcow2_l2_get(writer, at, &change->slice);
	if (error)
		qcow2_claim_end(writer, &change->claim);
	return error;
}

void qcow2_change_end(struct qcow2_change *change)
{
	qcow2_cache_put(&change->writer->target->cache, change->slice);
	qcow2_claim_end(change->writer, &change->claim);
}

static u64 host_bytes(const struct qcow2_change *change, const struct qcow2_cluster *cluster)
{
	return cluster->kind == QCOW2_PACKED ? cluster->packed_bytes : qcow2_cluster_bytes(header_of(change));
}

int qcow2_change_look(const struct qcow2_change *change, u32 index, struct qcow2_cluster *cluster)
{
	int error;

	spin_lock(&change->slice->lock);
	error = qcow2_image_entry(change->writer->top, change->slice, change->index + index, cluster);
	spin_unlock(&change->slice->lock);
	if (error)
		return qcow2_writer_corrupt(change->writer, "an L2 entry is not valid");
	if (cluster->kind == QCOW2_PACKED && qcow2_place_is_table(change->writer, cluster->host, cluster->packed_bytes))
		return qcow2_writer_corrupt(change->writer, "a compressed cluster lies in metadata");
	if (cluster->kind == QCOW2_PACKED || !cluster->has_host)
		return 0;
	return qcow2_place_check(change->writer, (change->first + index) << header_of(change)->cluster_bits, cluster->host,
				 host_bytes(change, cluster), true);
}

/*
 * What of the file a cluster had and does not need any more; 0 bytes: nothing. Where an entry and the one that takes its place
 * have the same cluster, it stays in use.
 */
static struct qcow2_place freed_by(struct qcow2_change *change, const struct qcow2_cluster *old, u64 entry)
{
	struct qcow2_place none = { 0, 0 };

	if (change->writer->top->has_data_file)
		return none;
	if (old->kind != QCOW2_PACKED && (!old->has_host || old->host == (entry & QCOW2_OFFSET_MASK)))
		return none;
	return (struct qcow2_place){ old->host, host_bytes(change, old) };
}

void qcow2_change_publish(struct qcow2_change *change, const struct qcow2_entry *entries, u32 nr)
{
	u32 bits = qcow2_l2_entry_bits(header_of(change));
	bool is_extended = qcow2_has_extended_l2(header_of(change));
	struct qcow2_slice *slice = change->slice;
	struct qcow2_place freed[QCOW2_MAX_RUN];
	struct qcow2_cluster old;
	u32 i;

	spin_lock(&slice->lock);
	for (i = 0; i < nr; i++) {
		u8 *at = slice->data + ((change->index + i) << bits);

		/* It was valid when it was looked at, and is nobody else's. */
		qcow2_image_entry(change->writer->top, slice, change->index + i, &old);
		freed[i] = freed_by(change, &old, entries[i].entry);
		qcow2_put_be64(at, entries[i].entry);
		if (is_extended)
			qcow2_put_be64(at + 8, entries[i].bitmap);
	}
	spin_unlock(&slice->lock);
	qcow2_cache_changed(&change->writer->target->cache, slice, QCOW2_L2);
	/* Only now: a commit that takes a free also takes the change that caused it. */
	for (i = 0; i < nr; i++)
		if (freed[i].bytes)
			qcow2_commit_free(change->writer, freed[i].at, freed[i].bytes);
	qcow2_commit_soon(change->writer);
}
