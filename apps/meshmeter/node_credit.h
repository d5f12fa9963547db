// SPDX-License-Identifier: Apache-2.0
#ifndef MM_NODE_CREDIT_H
#define MM_NODE_CREDIT_H

#include <cjson/cJSON.h>

#include "linux/linux_control.h"
#include "meshmeter/node.h"

/// What a customer does at a node, and what it shows him: tokens, emergency credit, balances, relays.

/// Characters that node_credit_kwh writes, with the terminator.
#define NODE_CREDIT_KWH_CHARS 32

/// "5.000", "-0.512".
void node_credit_kwh(int64_t wh, char text[NODE_CREDIT_KWH_CHARS]);
/// Channel of "3" (1 to 8) or of a meter's id, which goes first; -1: there is no such meter.
int node_credit_channel(const mm_node_t *node, const char *meter);
/// The answer to typed digits, in words.
void node_credit_say(const mm_typed_answer_t *typed, bool prepaid, mm_linux_answer_t *answer);

/// The control lines "token METER DIGITS", "emergency METER", "credit" and "relays". False: it is none of them.
bool node_credit_handle(mm_node_t *node, char *line, mm_us_t now, mm_linux_answer_t *answer);

/// All zero if the node has no control.
void node_credit_report(const mm_node_t *node, mm_us_t now, mm_control_report_t *report);
/// Add prepaid, balance_wh, relay … of one meter.
void node_credit_add(cJSON *object, const mm_node_t *node, const mm_control_report_t *report, uint8_t channel,
                     mm_us_t now);

#endif
