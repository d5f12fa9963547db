// SPDX-License-Identifier: Apache-2.0
#ifndef MM_CONTROL_CLIENT_H
#define MM_CONTROL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

/// One question to a running node over its control socket: a line there, an answer back until the node closes. At most
/// timeout_ms for everything. False with a reason in `answer` when the node does not answer.
bool control_ask(const char *socket_path, const char *line, int timeout_ms, char *answer, size_t answer_bytes);

/// Control sockets of a demo state directory: node-1, node-2 …; calls back for each in order. Returns how many there
/// were.
typedef void (*control_visit_fn)(const char *node_name, const char *socket_path, void *context);
unsigned control_for_each(const char *state_directory, control_visit_fn visit, void *context);

#endif
