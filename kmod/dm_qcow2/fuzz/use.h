/* SPDX-License-Identifier: GPL-2.0-only */
/* An image opened, read and written at random, whatever it holds. */
#ifndef USE_H
#define USE_H

#include "emulate.h"

/* The next random number below @below. */
static inline u32 use_draw(u64 *state, u32 below)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (*state >> 33) % below;
}

/**
 * use_image() - attaches an image and sends some requests
 * @state: of the random numbers that say which
 *
 * Nothing is asked of the answers; sanitizers and assertions are what can fail. Return: whether it could be opened.
 */
bool use_image(struct disk *disk, bool write, u64 *state);

#endif
