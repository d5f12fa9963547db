// SPDX-License-Identifier: Apache-2.0
#ifndef MM_NODE_CONSOLE_H
#define MM_NODE_CONSOLE_H

#include "linux/linux_control.h"
#include "linux/linux_mesh.h"
#include "meshmeter/console.h"
#include "node_display.h"
#include "node_platform.h"
#include "node_setup.h"

/// Lines of the control socket: the core's (meshmeter/console.h), and those that only a process has. Who may open the
/// socket (its owner, mode 0600) could end the process, so it grants everything; a code is still HQ's.

typedef struct {
    mm_node_t *node;
    node_setup_t *setup;
    node_display_t *display;
    const node_platform_t *platform;
    const mm_linux_mesh_t *mesh;
    const node_config_t *config;
    /// The process's: switch the simulated router, and set the clock (text "": the system's). False: that is no time.
    void (*set_router)(void *process, bool up);
    bool (*set_clock)(void *process, const char *text);
    void *process;
} node_console_options_t;

typedef struct {
    node_console_options_t options;
    bool router_up; ///< the process keeps it up to date
    mm_console_t console;
    mm_console_number_t counters[MM_LINUX_MESH_STAT_COUNT];
    mm_linux_answer_t *answer; ///< of the line under way
} node_console_t;

/// Everything is borrowed; after node_setup_open. *self must stay where it is.
void node_console_open(node_console_t *self, const node_console_options_t *options, mm_us_t now);
/// Answer a line; it is wiped.
void node_console_answer(node_console_t *self, char *line, mm_us_t now, mm_linux_answer_t *answer);
/// The lines that only a process has.
const mm_console_line_t *node_console_lines(size_t *count);

#endif
