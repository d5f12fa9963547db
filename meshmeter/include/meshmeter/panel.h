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
///
/// Screens, and what a press does there ("-" asks, "!" is a wish):
///
///   screen           possible while         short press            long press
///   - HOME             always                 first METER, if any    MENU
///   - METER            there is a meter       next METER, then HOME  MENU
///   - MENU             always                 next line              take the line: a screen, HOME, or ! (send now)
///   - NETWORK          always                 MESH                   HOME
///   - MESH             always                 INFO                   HOME
///   - INFO             always                 NETWORK                HOME
///   - TOKEN_METER      a meter is prepaid     next such meter        TOKEN
///   - TOKEN            the meter is prepaid   next symbol            type it; "<": delete, leave; OK: !, METER
///   - EMERGENCY_METER  some emergency credit  next such meter        - EMERGENCY_SURE
///   - EMERGENCY_SURE   this meter has it      No, Yes                No: HOME; Yes: !, METER
///   - CONFIGURE_SURE   a number can be made   No, Yes                No: HOME; Yes: !, HOME
///
/// A screen that is no longer possible (the model changed) is HOME; a line of the menu that would lead to an impossible
/// screen is not there; OK is not among the symbols unless so many digits are a token and no lock-out runs. So no press
/// leads anywhere illegal. HOME shows the most urgent of: fault, update, lock-out, challenge number, life state. A
/// press while dark only lights the display, one while a notice is shown only ends the notice. After MM_PANEL_DARK_S
/// without a press every screen becomes HOME.

#define MM_PANEL_LONG_PRESS_MS 800
/// Display off after so long without a press (never while a challenge number, a fault or an update is shown).
#define MM_PANEL_DARK_S 60
/// A command that arrived is shown so long.
#define MM_PANEL_NOTICE_S 5
/// Three lines of 21 characters.
#define MM_PANEL_NOTICE_CHARS_MAX 63
/// Changes of the button that are closer together are bounce, whatever the port filtered before.
#define MM_PANEL_BOUNCE_MS 20
/// Characters of the texts of the model, without terminator; of longer ones the beginning is shown. Of the address
/// "http://" is left out and does not count.
#define MM_PANEL_FAULT_CHARS_MAX 63
#define MM_PANEL_ADDRESS_CHARS_MAX 42
#define MM_PANEL_VERSION_CHARS_MAX 13

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

#define MM_PANEL_OTA_NONE 0xFF

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
    uint32_t uptime_s;
    bool time_known;
    int64_t local_s; ///< seconds since 1970 in local time, valid if time_known
    const char *version;
    const char *fault;   ///< or NULL
    uint8_t ota_percent; ///< MM_PANEL_OTA_NONE or 0 to 100
    const char *address; ///< where the configurator's page is, or NULL
    bool is_asking;      ///< parked: it asks for the network (join.h)
    const char *heard;   ///< site whose root has told HQ of it, or NULL
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
    uint8_t screen; ///< of the table above
    uint8_t cursor; ///< line of the menu, symbol of a token, No or Yes
    uint8_t channel;
    uint8_t digit_count;
    char digits[MM_TOKEN_DIGITS_MAX + 1];
    bool pressed;
    mm_us_t pressed_at;
    bool long_done; ///< this press has been taken as a long one already
    bool dark;
    // wait: somebody presses the button | until MM_PANEL_DARK_S | then the display goes dark
    mm_us_t dark_at;
    char notice[MM_PANEL_NOTICE_CHARS_MAX + 1];
    // wait: a notice has been read | until MM_PANEL_NOTICE_S | then the screen before it is shown again
    mm_us_t notice_until;
    // no wait: an instant of the past
    mm_us_t released_at; ///< of the last press
    mm_panel_wish_t wish;
} mm_panel_t;

void mm_panel_init(mm_panel_t *self, mm_us_t now);
/// The button went down or up (debounced by the port, which tells changes only: a button that is held at boot and then
/// let go is not a press).
void mm_panel_on_button(mm_panel_t *self, bool down, const mm_panel_model_t *model, mm_us_t now);
/// Say something for a moment, over what is shown: a command that arrived ("LOCK\n1-flat-2"), the answer to a token.
/// Lines end at '\n' or are broken after 21 characters, at a blank if there is one.
void mm_panel_notice(mm_panel_t *self, const char *text, mm_us_t now);
/// Light the display for so many seconds (HQ's DISPLAY_ON, FIND). 0: dark now, if nothing urgent is shown.
void mm_panel_wake(mm_panel_t *self, uint32_t seconds, mm_us_t now);
/// What the person wants, once.
bool mm_panel_take_wish(mm_panel_t *self, mm_panel_wish_t *wish);
/// Draw. All dots off when dark. Pure: the same state, model and second give the same picture.
void mm_panel_draw(const mm_panel_t *self, const mm_panel_model_t *model, mm_us_t now, mm_canvas_t *canvas);
/// End what is over. Returns the next deadline; a lit display is drawn anew whenever a second has passed.
mm_us_t mm_panel_poll(mm_panel_t *self, const mm_panel_model_t *model, mm_us_t now);

#endif
