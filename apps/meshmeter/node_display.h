// SPDX-License-Identifier: Apache-2.0
#ifndef MM_NODE_DISPLAY_H
#define MM_NODE_DISPLAY_H

#include "linux/linux_actions.h"
#include "linux/linux_control.h"
#include "meshmeter/node_panel.h"

/// Display and button of a node process, over the node's panel (node_panel.h). The display is a person's, so its time
/// is real time, however fast the node's clock runs. Of facts, the update and the uptime are filled in here.

/// A picture as 2,048 hexadecimal digits, byte by byte as in mm_canvas_t.
#define NODE_DISPLAY_HEX_CHARS (2 * MM_CANVAS_BYTES)

typedef struct {
    mm_node_panel_t panel;
    const mm_linux_actions_t *actions;
    const char *path; ///< of the picture's file, "" = none
    mm_canvas_t canvas;
    bool written;
    int64_t opened_us;
    // wait: something changed that the display shows | until PERIOD_US | then it is drawn anew
    int64_t draw_due_us;
    // no wait: a copy of the actions', to notice that it changed
    int64_t display_until_us;
    // no wait: likewise
    int64_t find_until_us;
} node_display_t;

/// Everything is borrowed.
void node_display_open(node_display_t *self, mm_node_t *node, const mm_linux_actions_t *actions, const char *path,
                       const char *version, int64_t real_now_us);
/// Draw, write the file if the picture changed, do what the person wants. Returns when it is due again, in real time.
int64_t node_display_poll(node_display_t *self, const mm_node_panel_facts_t *facts, mm_us_t now, int64_t real_now_us);
/// The control lines "oled" and "button short|long|down|up". False: it is none of them.
bool node_display_handle(node_display_t *self, const char *line, const mm_node_panel_facts_t *facts, mm_us_t now,
                         int64_t real_now_us, mm_linux_answer_t *answer);

void node_display_hex(const mm_canvas_t *canvas, char text[NODE_DISPLAY_HEX_CHARS + 1]);

#endif
