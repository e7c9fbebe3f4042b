/* SPDX-License-Identifier: GPL-2.0-only */
/* How much the cases that try things by chance or by the thousand shall try, and from which seed. */
#ifndef VHOST_BLK_CHECK_EFFORT_H
#define VHOST_BLK_CHECK_EFFORT_H

#include <stdint.h>

struct effort {
	/* 0: each case has its own. */
	uint64_t seed;
	/* Requests of one case; 0: each case has its own number. */
	unsigned long requests;
	/* The numbers that cases have of their own are multiplied by it; at least 1. */
	unsigned factor;
};

/* Set once by main(), before any case runs. */
extern struct effort effort;

/* What --requests, else --long makes of a case's own number. */
unsigned long effort_requests(unsigned long own);

/* @own multiplied as --long says; --requests does not matter. */
unsigned effort_times(unsigned own);

/* What --seed says, else @own. Never 0. */
uint64_t effort_seed(uint64_t own);

/* A sequence that a seed decides (xorshift64*); @state is not 0. */
uint64_t chance(uint64_t *state);

/* 0 to @below - 1. */
unsigned chance_below(uint64_t *state, unsigned below);

#endif
