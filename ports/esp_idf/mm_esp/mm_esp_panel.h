// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_PANEL_H
#define MM_ESP_PANEL_H

#include "meshmeter/node_panel.h"
#include "mm_esp_display.h"

/// The node's panel (node_panel.h) on the display, and the lamp that blinks while somebody looks for the device. Works
/// without a display: then nothing is drawn. Only the owner calls this. 1.2 KB on 32 bit.

/// A changed picture is shown within this; a button is answered at once.
#define MM_ESP_PANEL_PERIOD_MS 250
/// Half a period of the lamp.
#define MM_ESP_PANEL_BLINK_MS 250
/// Longest FIND and DISPLAY_ON.
#define MM_ESP_PANEL_SHOW_S_MAX 3600

typedef struct {
    mm_node_panel_t panel;
    mm_esp_display_t *display;
    int8_t led_pin; ///< negative: none
    // wait: something changed that the display shows | until MM_ESP_PANEL_PERIOD_MS | then it is drawn anew
    mm_us_t draw_at;
    bool led_on;
    // wait: somebody finds the device by its lamp | until MM_ESP_PANEL_SHOW_S_MAX at most | then it is dark
    mm_us_t find_until;
    // wait: the lamp is on or off long enough to be seen | until MM_ESP_PANEL_BLINK_MS | then it changes
    mm_us_t blink_at;
} mm_esp_panel_t;

/// Everything is borrowed. node: initialised.
void mm_esp_panel_open(mm_esp_panel_t *self, mm_node_t *node, mm_esp_display_t *display, int8_t led_pin,
                       const char *version, mm_us_t now);
/// The button went down or up.
void mm_esp_panel_press(mm_esp_panel_t *self, bool down, mm_us_t now);
/// Light the display for so many seconds; blink, and say so.
void mm_esp_panel_wake(mm_esp_panel_t *self, uint32_t seconds, mm_us_t now);
void mm_esp_panel_find(mm_esp_panel_t *self, uint32_t seconds, mm_us_t now);
/// Draw, blink, do what the person wants. Returns the next deadline.
mm_us_t mm_esp_panel_poll(mm_esp_panel_t *self, const mm_node_panel_facts_t *facts, mm_us_t now);

#endif
