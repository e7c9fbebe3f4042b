// SPDX-License-Identifier: GPL-2.0-only
/* 6.0 to 6.6: a shrinker is registered with a name. */
#include <linux/mm.h>
#include <linux/shrinker.h>

int probe(struct shrinker *shrinker)
{
	return register_shrinker(shrinker, "probe");
}
