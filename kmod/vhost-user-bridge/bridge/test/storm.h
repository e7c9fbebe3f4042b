/* SPDX-License-Identifier: GPL-2.0-only */
/* Writes and reads beside a model of every sector, while the bridge is killed again and again. */
#ifndef STORM_H
#define STORM_H

#include "guest.h"

/*
 * @disk: name under /sys/block whose counters tell how many writes reached it; NULL: not asked
 * @kills: how often; @bridge: command line; @pace_ms: how long it is left alone in between, at most
 */
void storm(struct guest *guest, const char *disk, unsigned int kills, char *const *bridge, unsigned int pace_ms);

#endif
