// SPDX-License-Identifier: GPL-2.0-only
#include "effort.h"

struct effort effort = { .factor = 1 };

unsigned long effort_requests(unsigned long own)
{
	return effort.requests ? effort.requests : own * effort.factor;
}

unsigned effort_times(unsigned own)
{
	return own * effort.factor;
}

uint64_t effort_seed(uint64_t own)
{
	uint64_t seed = effort.seed ? effort.seed : own;

	return seed ? seed : 1;
}

uint64_t chance(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

unsigned chance_below(uint64_t *state, unsigned below)
{
	return (unsigned)((chance(state) >> 32) * below >> 32);
}
