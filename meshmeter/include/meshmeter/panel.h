// SPDX-License-Identifier: Apache-2.0
#ifndef MM_PANEL_H
#define MM_PANEL_H

#include "meshmeter/base.h"
#include "meshmeter/canvas.h"
#include "meshmeter/control.h"
#include "meshmeter/life_cycle.h"
#include "meshmeter/limits.h"

/// Display and button of a node: what is on the picture now, and what a press means. A short press goes on, a long one
/// opens the menu or takes the choice. Only what is asked for is done; everything that destroys or costs asks again.
/// The panel changes nothing itself: it says what the person wants (mm_panel_wish_t), the owner does it.

#define MM_PANEL_LONG_PRESS_MS 800
/// Display off after so long without a press (never while a challenge number, a fault or an update is shown).
#define MM_PANEL_DARK_S 60
/// A command that arrived is shown so long.
#define MM_PANEL_NOTICE_S 5

typedef struct {
    char id[MM_METER_ID_CHARS_MAX + 1]; ///< "" = none
    uint64_t energy_wh;
    uint32_t power_w;
    bool prepaid;
    int64_t balance_wh;
    uint8_t relay_reasons;
    bool low;
    bool emergency_possible;
    uint32_t lock_out_s;
} mm_panel_meter_t;

/// Everything that can be shown; filled by the owner before each draw.
typedef struct {
    mm_life_state_t state;
    bool has_number;
    uint32_t number;        ///< challenge
    uint32_t number_left_s; ///< until there is another one
    uint32_t wait_s;        ///< lock-out of installers
    char site[MM_SITE_CHARS_MAX + 1];
    mm_mac_t mac;
    bool is_root;
    uint8_t layer;
    bool attached;
    bool router_up;
    uint32_t backlog;
    bool time_known;
    int64_t local_s; ///< seconds since 1970 in local time, valid if time_known
    const char *version;
    const char *fault;   ///< or NULL
    uint8_t ota_percent; ///< 0xFF = none
    const char *address; ///< where the configurator's page is, or NULL
    mm_panel_meter_t meters[MM_CHANNELS];
} mm_panel_model_t;

typedef enum {
    MM_WISH_NONE = 0,
    MM_WISH_TOKEN,     ///< digits typed for a meter
    MM_WISH_EMERGENCY, ///< emergency credit for a meter
    MM_WISH_CONFIGURE, ///< show a challenge number: somebody wants to configure (again)
    MM_WISH_SEND_NOW,
} mm_wish_kind_t;

typedef struct {
    mm_wish_kind_t kind;
    uint8_t channel;
    char digits[MM_TOKEN_DIGITS_MAX + 1];
} mm_panel_wish_t;

typedef struct {
    uint8_t screen; ///< of panel.c
    uint8_t cursor;
    uint8_t channel;
    uint8_t digit_count;
    char digits[MM_TOKEN_DIGITS_MAX + 1];
    bool pressed;
    mm_us_t pressed_at;
    bool long_done; ///< this press has been taken as a long one already
    bool dark;
    // wait: somebody presses the button | until MM_PANEL_DARK_S | then the display goes dark
    mm_us_t dark_at;
    char notice[22];
    // wait: a notice has been read | until MM_PANEL_NOTICE_S | then the screen before it is shown again
    mm_us_t notice_until;
    mm_panel_wish_t wish;
} mm_panel_t;

void mm_panel_init(mm_panel_t *self, mm_us_t now);
/// The button went down or up (debounced by the port).
void mm_panel_on_button(mm_panel_t *self, bool down, const mm_panel_model_t *model, mm_us_t now);
/// Say something for a moment: a command that arrived ("LOCK 1-flat-2"), the answer to a token.
void mm_panel_notice(mm_panel_t *self, const char *text, mm_us_t now);
/// Light the display for so many seconds (HQ's DISPLAY_ON, FIND).
void mm_panel_wake(mm_panel_t *self, uint32_t seconds, mm_us_t now);
/// What the person wants, once.
bool mm_panel_take_wish(mm_panel_t *self, mm_panel_wish_t *wish);
/// Draw. All dots off when dark. Pure: the same state, model and second give the same picture.
void mm_panel_draw(const mm_panel_t *self, const mm_panel_model_t *model, mm_us_t now, mm_canvas_t *canvas);
mm_us_t mm_panel_poll(mm_panel_t *self, const mm_panel_model_t *model, mm_us_t now);

#endif
