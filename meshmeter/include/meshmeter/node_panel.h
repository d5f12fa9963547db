// SPDX-License-Identifier: Apache-2.0
#ifndef MM_NODE_PANEL_H
#define MM_NODE_PANEL_H

#include "meshmeter/node.h"
#include "meshmeter/panel.h"

/// A node and the person who stands before it: what the node knows becomes the panel's model (panel.h), what the person
/// wants is done, and commands that arrive are said. The owner has the display, the button and the lamp.
///
/// Two clocks: `now` is the person's and the panel's, `node_now` the node's; where time runs at its usual pace they are
/// the same. Only the node's owner calls this.

/// What the panel cannot see in the node itself. Texts are borrowed for the call.
typedef struct {
    mm_life_state_t state;
    bool has_number;
    uint32_t number;        ///< challenge
    uint32_t number_left_s; ///< until there is another one
    uint32_t wait_s;        ///< lock-out of installers
    const char *address;    ///< of the configurator's page, or NULL
    bool is_asking;         ///< parked: it asks for the network
    const char *heard;      ///< site whose root has told HQ of it, or NULL
    const char *fault;      ///< of configuration or platform, or NULL; comes before those of the node
    uint8_t ota_percent;    ///< MM_PANEL_OTA_NONE or 0 to 100
    bool router_up;
    uint32_t uptime_s;
    /// The person wants to configure; NULL: this node's configuration is a file.
    void (*configure)(void *context);
    void *context;
} mm_node_panel_facts_t;

typedef struct {
    uint32_t interval_no;
    uint64_t life_pulses[MM_CHANNELS]; ///< when it began
    mm_us_t at;                        ///< that instant; 0 = none yet
    uint32_t power_w[MM_CHANNELS];
} mm_node_panel_power_t;

typedef struct {
    mm_node_t *node;
    const char *version;
    mm_panel_t panel;
    mm_panel_model_t model;
    uint32_t done_count; ///< commands that were said
    mm_node_panel_power_t power;
} mm_node_panel_t;

/// node: initialised. Everything is borrowed.
void mm_node_panel_init(mm_node_panel_t *self, mm_node_t *node, const char *version, mm_us_t now);
/// Fill the model: before a press is judged, or the picture drawn, outside of poll.
void mm_node_panel_look(mm_node_panel_t *self, const mm_node_panel_facts_t *facts, mm_us_t node_now);
/// Look, say what has arrived, do what the person wants. Returns the panel's next deadline, on the person's clock; what
/// the node does meanwhile is seen when this is called, so call it a few times in a second.
mm_us_t mm_node_panel_poll(mm_node_panel_t *self, const mm_node_panel_facts_t *facts, mm_us_t node_now, mm_us_t now);
/// Somebody looks for the device: light, and say so, for so many seconds. 0: it is found.
void mm_node_panel_find(mm_node_panel_t *self, uint32_t seconds, mm_us_t now);

/// The answer to typed digits, in words for the display: at most three lines of 21 characters.
void mm_node_panel_typed_text(const mm_typed_answer_t *typed, char text[MM_PANEL_NOTICE_CHARS_MAX + 1]);

#endif
