// SPDX-License-Identifier: GPL-2.0-only
/*
 * qcow2-order: writes that begin and end at random times, on a file with blocks of 4096 bytes. No two that share a block are
 * in flight together when one of them is of a part of it; all others are, and each has its turn in the end.
 *
 * usage: qcow2-order SEED STEPS
 */
#include "use.h"

#define BLOCK 4096
#define NR 48
/* So few that most have neighbours. */
#define SECTORS 96

static struct qcow2_request requests[NR];
static bool is_known[NR], is_running[NR];
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

	for (i = 0; i < NR; i++)
		fuzz_assert(!is_running[i] || !conflict(&requests[i], request));
	is_running[request - requests] = true;
}

static void begin(struct qcow2_target *target, unsigned int i, u64 *state)
{
	u64 unit = use_draw(state, 2) ? 512 : BLOCK, units = SECTORS * 512 / unit;
	u64 first = use_draw(state, units), nr = 1 + use_draw(state, min(units - first, (u64)12));
	bool is_free = true;
	unsigned int j;

	requests[i] = (struct qcow2_request){
		.target = target, .op = QCOW2_OP_WRITE, .at = first * unit, .bytes = nr * unit,
	};
	for (j = 0; j < NR; j++)
		is_free = is_free && !(is_known[j] && conflict(&requests[j], &requests[i]));
	is_known[i] = true;
	if (qcow2_partial_begin(&requests[i]))
		run(&requests[i]);
	else
		nr_waited++;
	/* Who is in nobody's way does not wait. */
	fuzz_assert(is_running[i] == is_free);
}

static void end(unsigned int i)
{
	is_known[i] = is_running[i] = false;
	qcow2_partial_end(&requests[i]);
}

int main(int argc, char **argv)
{
	struct qcow2_file file = { .block = BLOCK };
	struct qcow2_writer writer = { .data = &file };
	struct qcow2_target target = { .writer = &writer };
	unsigned int steps, i;
	u64 state;

	if (argc != 3) {
		fprintf(stderr, "usage: %s SEED STEPS\n", argv[0]);
		return 2;
	}
	state = strtoull(argv[1], NULL, 10);
	INIT_LIST_HEAD(&writer.writes);
	INIT_LIST_HEAD(&writer.parked);
	emulate_queued = run;
	for (steps = strtoul(argv[2], NULL, 10); steps; steps--) {
		i = use_draw(&state, NR);
		if (is_running[i])
			end(i);
		else if (!is_known[i])
			begin(&target, i, &state);
	}
	for (steps = 0; steps < NR; steps++)
		for (i = 0; i < NR; i++)
			if (is_running[i])
				end(i);
	for (i = 0; i < NR; i++)
		fuzz_assert(!is_known[i]);
	fuzz_assert(list_empty(&writer.writes) && list_empty(&writer.parked) && !writer.nr_partial);
	printf("%u waited\n", nr_waited);
	return nr_waited ? 0 : 1;
}
