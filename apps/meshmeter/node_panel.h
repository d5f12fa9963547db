// SPDX-License-Identifier: Apache-2.0
#ifndef MM_NODE_PANEL_H
#define MM_NODE_PANEL_H

#include "linux/linux_actions.h"
#include "linux/linux_control.h"
#include "meshmeter/node.h"
#include "meshmeter/panel.h"

/// Display and button of a node process: what the node knows becomes the panel's model, what the person wants is done.
/// The display is a person's, so its time is real time, however fast the node's clock runs.

/// A picture as 2,048 hexadecimal digits, byte by byte as in mm_canvas_t.
#define NODE_PANEL_HEX_CHARS (2 * MM_CANVAS_BYTES)

/// What the panel cannot see in the node itself.
typedef struct {
    mm_life_state_t state;
    bool has_number;
    uint32_t number;
    uint32_t number_left_s;
    uint32_t wait_s;
    const char *address; ///< or NULL
    bool is_asking;
    const char *heard; ///< or NULL
    const char *fault; ///< of the configuration, or NULL
    /// The person wants to configure; NULL: this node's configuration is its file.
    void (*configure)(void *context);
    void *context;
} node_panel_life_t;

typedef struct {
    uint32_t interval_no;
    uint64_t life_pulses[MM_CHANNELS]; ///< when it began
    mm_us_t at;                        ///< that instant; 0 = none yet
    uint32_t power_w[MM_CHANNELS];
} node_panel_power_t;

typedef struct {
    mm_node_t *node;
    const mm_linux_actions_t *actions;
    const char *path; ///< of the picture's file, "" = none
    const char *version;
    mm_panel_t panel;
    mm_panel_model_t model;
    mm_canvas_t canvas;
    bool written;
    int64_t opened_us;
    // wait: something changed that the display shows | until PERIOD_US | then it is drawn anew
    int64_t draw_due_us;
    uint32_t done_count; ///< commands that were shown
    // no wait: a copy of the actions', to notice that it changed
    int64_t display_until_us;
    // no wait: likewise
    int64_t find_until_us;
    node_panel_power_t power;
} node_panel_t;

/// Everything is borrowed.
void node_panel_open(node_panel_t *self, mm_node_t *node, const mm_linux_actions_t *actions, const char *path,
                     const char *version, int64_t real_now_us);
/// Draw, write the file if the picture changed, do what the person wants. Returns when it is due again, in real time.
int64_t node_panel_poll(node_panel_t *self, const node_panel_life_t *life, bool router_up, mm_us_t now,
                        int64_t real_now_us);
/// The control lines "oled" and "button short|long|down|up". False: it is none of them.
bool node_panel_handle(node_panel_t *self, const char *line, const node_panel_life_t *life, bool router_up, mm_us_t now,
                       int64_t real_now_us, mm_linux_answer_t *answer);

/// Words for the display: at most three lines of 21 characters.
void node_panel_say_typed(const mm_typed_answer_t *typed, char text[MM_PANEL_NOTICE_CHARS_MAX + 1]);
void node_panel_hex(const mm_canvas_t *canvas, char text[NODE_PANEL_HEX_CHARS + 1]);

#endif
