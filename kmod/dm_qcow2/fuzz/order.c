// SPDX-License-Identifier: GPL-2.0-only
/*
 * qcow2-order: writes that begin and end at random times, on a file with blocks of 4096 bytes. No two that share a block are
 * in flight together when one of them is of a part of it; all others are, and each has its turn in the end. Of a crowd only
 * so many are compared with each other, however many come.
 *
 * usage: qcow2-order SEED STEPS
 */
#include "use.h"

#define BLOCK 4096
/* Those that begin and end at random, and those of a crowd. */
#define NR 48
#define CROWD 1000
/* So few that most have neighbours. */
#define SECTORS 96

static struct qcow2_request requests[CROWD];
static bool is_known[CROWD], is_running[CROWD];
static unsigned int nr_waited;

static bool is_part(const struct qcow2_request *request)
{
	return (request->at | request->bytes) % BLOCK;
}

static bool conflict(const struct qcow2_request *a, const struct qcow2_request *b)
{
	bool apart = (a->at + a->bytes - 1) / BLOCK < b->at / BLOCK || (b->at + b->bytes - 1) / BLOCK < a->at / BLOCK;

	return !apart && (is_part(a) || is_part(b));
}

static void run(struct qcow2_request *request)
{
	unsigned int i;

	for (i = 0; i < CROWD; i++)
		fuzz_assert(!is_running[i] || !conflict(&requests[i], request));
	is_running[request - requests] = true;
}

static void begin(struct qcow2_target *target, unsigned int i, u64 at, u64 bytes)
{
	requests[i] = (struct qcow2_request){ .target = target, .op = QCOW2_OP_WRITE, .at = at, .bytes = bytes };
	is_known[i] = true;
	if (qcow2_partial_begin(&requests[i]))
		run(&requests[i]);
	else
		nr_waited++;
}

static void begin_any(struct qcow2_target *target, unsigned int i, u64 *state)
{
	u64 unit = use_draw(state, 2) ? 512 : BLOCK, units = SECTORS * 512 / unit;
	u64 first = use_draw(state, units), nr = 1 + use_draw(state, min(units - first, (u64)12));
	struct qcow2_request it = { .at = first * unit, .bytes = nr * unit };
	bool is_free = true;
	unsigned int j;

	for (j = 0; j < NR; j++)
		is_free = is_free && !(is_known[j] && conflict(&requests[j], &it));
	begin(target, i, it.at, it.bytes);
	/* Who is in nobody's way does not wait. */
	fuzz_assert(is_running[i] == is_free);
}

static void end(unsigned int i)
{
	is_known[i] = is_running[i] = false;
	qcow2_partial_end(&requests[i]);
}

static void begin_and_end(struct qcow2_target *target, unsigned int steps, u64 *state)
{
	unsigned int i;

	while (steps--) {
		i = use_draw(state, NR);
		if (is_running[i])
			end(i);
		else if (!is_known[i])
			begin_any(target, i, state);
	}
}

/* Ends what runs until nothing is left; each lets others run. */
static void end_all(const struct qcow2_writer *writer)
{
	unsigned int turn, i;

	for (turn = 0; turn < CROWD; turn++)
		for (i = 0; i < CROWD; i++)
			if (is_running[i])
				end(i);
	for (i = 0; i < CROWD; i++)
		fuzz_assert(!is_known[i]);
	fuzz_assert(list_empty(&writer->writes) && list_empty(&writer->parked) && !writer->nr_partial);
}

static unsigned int length(const struct list_head *list)
{
	const struct list_head *at;
	unsigned int nr = 0;

	for (at = list->next; at != list; at = at->next)
		nr++;
	return nr;
}

/* Many at once: parts of blocks of which each shares one with the next, and whole blocks before and after them. */
static void crowd(struct qcow2_target *target)
{
	struct qcow2_writer *writer = target->writer;
	unsigned int i;

	for (i = 0; i < CROWD; i++)
		begin(target, i, i * BLOCK + BLOCK / 2, BLOCK);
	fuzz_assert(length(&writer->writes) + length(&writer->parked) <= QCOW2_MAX_COMPARED);
	end_all(writer);

	for (i = 0; i < CROWD / 2; i++)
		begin(target, i, i * BLOCK, BLOCK);
	/* With whole blocks only there is nothing to wait for. */
	fuzz_assert(length(&writer->writes) == CROWD / 2);
	begin(target, i++, BLOCK / 2, SECTOR_SIZE);
	for (; i < CROWD; i++)
		begin(target, i, i * BLOCK, BLOCK);
	fuzz_assert(!is_running[CROWD / 2] && !length(&writer->parked));
	end_all(writer);
}

int main(int argc, char **argv)
{
	struct qcow2_file file = { .block = BLOCK };
	struct qcow2_writer writer = { .data = &file };
	struct qcow2_target target = { .writer = &writer };
	u64 state;

	if (argc != 3) {
		fprintf(stderr, "usage: %s SEED STEPS\n", argv[0]);
		return 2;
	}
	state = strtoull(argv[1], NULL, 10);
	INIT_LIST_HEAD(&writer.writes);
	INIT_LIST_HEAD(&writer.parked);
	INIT_LIST_HEAD(&writer.queued);
	emulate_queued = run;
	begin_and_end(&target, strtoul(argv[2], NULL, 10), &state);
	end_all(&writer);
	crowd(&target);
	printf("%u waited\n", nr_waited);
	return nr_waited ? 0 : 1;
}
