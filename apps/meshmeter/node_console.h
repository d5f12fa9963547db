// SPDX-License-Identifier: Apache-2.0
#ifndef MM_NODE_CONSOLE_H
#define MM_NODE_CONSOLE_H

#include "linux/linux_control.h"
#include "linux/linux_mesh.h"
#include "meshmeter/node.h"
#include "meshmeter/setup.h"

/// What a technician asks a node: lines of the control socket that only read. Each answer is one line of JSON, but for
/// `help` and `log`. Who may open the socket (its owner, mode 0600) may ask. No secret is in any answer: of a password
/// or key it is said whether there is one.

typedef struct {
    const mm_node_t *node;
    const mm_linux_mesh_t *mesh;
    const mm_setup_t *setup;     ///< or NULL: this node's configuration is its file
    const mm_actions_t *actions; ///< or NULL
    const char *broker;          ///< address in use, as configured
} node_console_t;

/// The control lines "config", "install", "mesh", "slot", "journal", "log" and "help". False: it is none of them.
bool node_console_handle(const node_console_t *self, const char *line, mm_us_t now, mm_linux_answer_t *answer);

#endif
