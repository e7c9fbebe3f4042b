// SPDX-License-Identifier: GPL-2.0-only
/*
 * Places of the image's own tables. Few are large: those are kept as extents. L2 tables and refcount blocks are many, and
 * each write asks: a filter (Bloom) tells of nearly all places that none is there, and for the rest the tables that lead to
 * them are looked through.
 */
#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "format/refcount.h"
#include "format/snapshot.h"
#include "overlap.h"

/* Of the filter, log2 of its bits: for each table that there can be 64, within limits. */
#define QCOW2_MIN_FILTER_ORDER 15
#define QCOW2_MAX_FILTER_ORDER 25
#define QCOW2_FILTER_BITS_EACH 64ULL

static bool overlaps(u64 at, u64 bytes, u64 other, u64 other_bytes)
{
	return at < other + other_bytes && other < at + bytes;
}

/* Whether a snapshot's table, or that of all of them, is in an extent: the places are in order and apart from each other. */
static bool has_snapshot(const struct qcow2_writer *writer, u64 at, u64 bytes)
{
	u32 low = 0, high = writer->nr_places;

	while (low < high) {
		u32 middle = (low + high) / 2;
		const struct qcow2_place *place = &writer->places[middle];

		if (overlaps(at, bytes, place->at, place->bytes))
			return true;
		if (place->at < at)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

bool qcow2_place_is_table(const struct qcow2_writer *writer, u64 at, u64 bytes)
{
	const struct qcow2_header *header = &writer->top->header;

	return at < qcow2_cluster_bytes(header) ||
	       overlaps(at, bytes, READ_ONCE(header->l1_at), (u64)READ_ONCE(header->l1_entries) * sizeof(u64)) ||
	       overlaps(at, bytes, READ_ONCE(header->reftable_at),
			(u64)READ_ONCE(header->reftable_clusters) << header->cluster_bits) ||
	       has_snapshot(writer, at, bytes);
}

/* The two bits of the filter that a cluster has. */
static void filter_bits(const struct qcow2_writer *writer, u64 cluster, u32 bits[2])
{
	u64 hash = cluster * GOLDEN_RATIO_64;

	bits[0] = hash >> (64 - writer->filter_order);
	bits[1] = hash >> (64 - 2 * writer->filter_order) & ((1U << writer->filter_order) - 1);
}

void qcow2_overlap_note(struct qcow2_writer *writer, u64 at)
{
	u32 bits[2];

	filter_bits(writer, at >> writer->top->header.cluster_bits, bits);
	set_bit(bits[0], writer->filter);
	set_bit(bits[1], writer->filter);
}

/* Whether the filter does not tell that no L2 table and no refcount block is there. */
static bool may_lead_into(const struct qcow2_writer *writer, u64 at, u64 bytes)
{
	u32 cluster_bits = writer->top->header.cluster_bits;
	u64 cluster = at >> cluster_bits, last = (at + bytes - 1) >> cluster_bits;

	for (; cluster <= last; cluster++) {
		u32 bits[2];

		filter_bits(writer, cluster, bits);
		if (test_bit(bits[0], writer->filter) && test_bit(bits[1], writer->filter))
			return true;
	}
	return false;
}

/* Whether one of the tables that these entries lead to is in an extent of the file. */
static bool leads_into(const struct qcow2_writer *writer, const u64 *entries, u32 nr, u64 mask, u64 at, u64 bytes)
{
	u64 cluster = qcow2_cluster_bytes(&writer->top->header);
	u32 i;

	for (i = 0; i < nr; i++) {
		u64 table = READ_ONCE(entries[i]) & mask;

		if (table && overlaps(at, bytes, table, cluster))
			return true;
	}
	return false;
}

static bool is_led_to(const struct qcow2_writer *writer, u64 at, u64 bytes)
{
	return leads_into(writer, writer->top->l1, writer->top->l1_entries, QCOW2_OFFSET_MASK, at, bytes) ||
	       leads_into(writer, writer->reftable, writer->reftable_entries, QCOW2_REFTABLE_OFFSET_MASK, at, bytes);
}

bool qcow2_place_is_in_use(const struct qcow2_writer *writer, u64 at, u64 bytes)
{
	return qcow2_place_is_table(writer, at, bytes) ||
	       (may_lead_into(writer, at, bytes) && is_led_to(writer, at, bytes));
}

int qcow2_place_check(struct qcow2_writer *writer, u64 guest, u64 at, u64 bytes, bool wait)
{
	bool is_table;

	if (writer->top->has_data_file && at == guest)
		return 0;
	if (writer->top->has_data_file)
		return qcow2_writer_corrupt(writer, "an L2 entry points at another cluster's place in the data file");
	is_table = qcow2_place_is_table(writer, at, bytes);
	/* Space that was asked of the file system ahead is no part of the image yet. */
	if (at + bytes > READ_ONCE(writer->fresh))
		return qcow2_writer_corrupt(writer, "an L2 entry points behind the end of what is in use");
	if (!is_table && may_lead_into(writer, at, bytes)) {
		if (!wait)
			return -EAGAIN;
		mutex_lock(&writer->refs_lock);
		is_table = is_led_to(writer, at, bytes);
		mutex_unlock(&writer->refs_lock);
	}
	return is_table ? qcow2_writer_corrupt(writer, "an L2 entry points at metadata") : 0;
}

static int compare_places(const void *a, const void *b)
{
	const struct qcow2_place *one = a, *other = b;

	return one->at < other->at ? -1 : one->at > other->at;
}

/* Puts the places in order, and those that touch or overlap together. */
static void order_places(struct qcow2_writer *writer)
{
	struct qcow2_place *places = writer->places;
	u32 nr = 0, i;

	sort(places, writer->nr_places, sizeof(*places), compare_places, NULL);
	for (i = 0; i < writer->nr_places; i++) {
		u64 end = places[i].at + places[i].bytes;

		if (!places[i].bytes)
			continue;
		if (nr && places[i].at <= places[nr - 1].at + places[nr - 1].bytes) {
			end = max(end, places[nr - 1].at + places[nr - 1].bytes);
			places[nr - 1].bytes = end - places[nr - 1].at;
			continue;
		}
		places[nr++] = places[i];
	}
	writer->nr_places = nr;
}

/* A part of the snapshot table in memory. */
struct window {
	u64 at;
	long bytes;
};

/* Return: the entry's fixed part; NULL: it can not be read. */
static const u8 *entry_at(struct qcow2_writer *writer, struct window *window, u64 at)
{
	if (at < window->at || at + QCOW2_SNAPSHOT_BYTES > window->at + window->bytes) {
		window->at = round_down(at, PAGE_SIZE);
		window->bytes = qcow2_file_read(&writer->top->file, writer->copy.vecs, writer->copy.bytes, window->at);
		cond_resched();
		if (window->bytes < 0 || at + QCOW2_SNAPSHOT_BYTES > window->at + window->bytes) {
			window->bytes = 0;
			return NULL;
		}
	}
	return writer->copy.data + (at - window->at);
}

/* The snapshots' L1 tables, and the table of snapshots itself. */
static int load_snapshots(struct qcow2_writer *writer, const char **reason)
{
	const struct qcow2_header *header = &writer->top->header;
	struct window window = { .bytes = 0 };
	u64 at = header->snapshots_at;
	u32 i;

	for (i = 0; i < header->nr_snapshots; i++) {
		const u8 *entry = entry_at(writer, &window, at);
		struct qcow2_snapshot snapshot;
		int error;

		if (!entry) {
			*reason = "the snapshot table can not be read";
			return -EINVAL;
		}
		error = qcow2_parse_snapshot(header, entry, &snapshot, reason);
		if (error)
			return error;
		writer->places[writer->nr_places++] =
			(struct qcow2_place){ snapshot.l1_at, (u64)snapshot.l1_entries * sizeof(u64) };
		at += snapshot.bytes;
		if (at - header->snapshots_at > QCOW2_MAX_SNAPSHOTS_BYTES) {
			*reason = "snapshot table above 64 MiB";
			return -EFBIG;
		}
	}
	if (header->nr_snapshots)
		writer->places[writer->nr_places++] =
			(struct qcow2_place){ header->snapshots_at, at - header->snapshots_at };
	return 0;
}

static void note_all(struct qcow2_writer *writer, const u64 *entries, u32 nr, u64 mask)
{
	u32 i;

	for (i = 0; i < nr; i++) {
		if (entries[i] & mask)
			qcow2_overlap_note(writer, entries[i] & mask);
		if (!(i % 4096))
			cond_resched();
	}
}

int qcow2_overlap_load(struct qcow2_writer *writer, const char **reason)
{
	const struct qcow2_header *header = &writer->top->header;
	u64 bits = QCOW2_FILTER_BITS_EACH * (writer->top->l1_entries + 1024ULL);
	int error;

	qcow2_overlap_free(writer);
	*reason = "no memory";
	writer->places = kvcalloc(header->nr_snapshots + 2, sizeof(*writer->places), GFP_KERNEL);
	writer->filter_order = clamp_t(u32, ilog2(bits), QCOW2_MIN_FILTER_ORDER, QCOW2_MAX_FILTER_ORDER);
	writer->filter = kvcalloc(BITS_TO_LONGS(1UL << writer->filter_order), sizeof(long), GFP_KERNEL);
	if (!writer->places || !writer->filter)
		return -ENOMEM;
	writer->places[writer->nr_places++] = (struct qcow2_place){ header->bitmaps_at, header->bitmaps_bytes };
	note_all(writer, writer->top->l1, writer->top->l1_entries, QCOW2_OFFSET_MASK);
	note_all(writer, writer->reftable, writer->reftable_entries, QCOW2_REFTABLE_OFFSET_MASK);
	error = load_snapshots(writer, reason);
	order_places(writer);
	return error;
}

void qcow2_overlap_free(struct qcow2_writer *writer)
{
	kvfree(writer->places);
	writer->places = NULL;
	writer->nr_places = 0;
	kvfree(writer->filter);
	writer->filter = NULL;
}
