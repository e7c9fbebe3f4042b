/* SPDX-License-Identifier: GPL-2.0-only */
/* What each message does. They return 0, or -1 with a reason, and may leave descriptors of the message to be closed. */
#ifndef HANDLERS_H
#define HANDLERS_H

#include "session.h"

typedef int handler(struct session *session, struct message *message, struct reason *reason);

/* features.c */
handler get_features, set_features, get_protocol_features, set_protocol_features, get_queue_num, set_status, get_status;

/* config.c */
handler get_config, set_config, set_backend_req_fd;

/* tables.c */
handler set_mem_table, add_mem_reg, rem_mem_reg, get_max_mem_slots;

/* dirty_log.c */
handler set_log_base, set_log_fd;

/* vring_messages.c */
handler set_vring_num, set_vring_addr, set_vring_base, get_vring_base, set_vring_kick, set_vring_call, set_vring_err;
handler set_vring_enable, reset_owner, reset_device;

#endif
