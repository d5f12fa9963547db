// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/panel.h"

#include <string.h>

#include "panel_internal.h"

#define US_PER_MS 1000

static void go_to(mm_panel_t *self, mmi_screen_t screen) {
    self->screen = (uint8_t)screen;
    self->cursor = 0;
    self->digit_count = 0;
    memset(self->digits, 0, sizeof self->digits);
}

static void wish_for(mm_panel_t *self, mm_wish_kind_t kind) {
    self->wish = (mm_panel_wish_t){.kind = kind, .channel = self->channel};
    memcpy(self->wish.digits, self->digits, sizeof self->wish.digits);
}

// --- what is possible -----------------------------------------------------------------------------------------------

bool mmi_meter_is_there(const mm_panel_meter_t *meter) {
    return meter->id[0] != '\0';
}

bool mmi_meter_is_prepaid(const mm_panel_meter_t *meter) {
    return mmi_meter_is_there(meter) && meter->prepaid;
}

bool mmi_meter_has_emergency(const mm_panel_meter_t *meter) {
    return mmi_meter_is_prepaid(meter) && meter->emergency_possible;
}

uint8_t mmi_meter_find(const mm_panel_model_t *model, mmi_meter_test_fn test, unsigned from) {
    for (unsigned i = 0; i < MM_CHANNELS; i++) {
        unsigned channel = (from + i) % MM_CHANNELS;
        if (test(&model->meters[channel])) {
            return (uint8_t)channel;
        }
    }
    return MM_CHANNELS;
}

static bool has_meter(const mm_panel_t *self, const mm_panel_model_t *model) {
    (void)self;
    return mmi_meter_find(model, mmi_meter_is_there, 0) < MM_CHANNELS;
}

static bool has_prepaid(const mm_panel_t *self, const mm_panel_model_t *model) {
    (void)self;
    return mmi_meter_find(model, mmi_meter_is_prepaid, 0) < MM_CHANNELS;
}

static bool has_emergency(const mm_panel_t *self, const mm_panel_model_t *model) {
    (void)self;
    return mmi_meter_find(model, mmi_meter_has_emergency, 0) < MM_CHANNELS;
}

static bool is_prepaid(const mm_panel_t *self, const mm_panel_model_t *model) {
    return mmi_meter_is_prepaid(&model->meters[self->channel]);
}

static bool is_emergency(const mm_panel_t *self, const mm_panel_model_t *model) {
    return mmi_meter_has_emergency(&model->meters[self->channel]);
}

static bool may_configure(const mm_panel_t *self, const mm_panel_model_t *model) {
    (void)self;
    return mmi_panel_can_configure(model);
}

static bool always(const mm_panel_t *self, const mm_panel_model_t *model) {
    (void)self;
    (void)model;
    return true;
}

bool mmi_panel_is_urgent(const mm_panel_model_t *model) {
    return model->fault != NULL || model->ota_percent != MM_PANEL_OTA_NONE || model->has_number || model->wait_s > 0;
}

bool mmi_panel_can_configure(const mm_panel_model_t *model) {
    return !model->has_number &&
           (model->state == MM_LIFE_PROVISIONED || model->state == MM_LIFE_AWAITING || model->state == MM_LIFE_RUNNING);
}

bool mmi_menu_has(const mm_panel_model_t *model, unsigned line) {
    switch (line) {
    case MMI_MENU_TOKEN:
        return has_prepaid(NULL, model);
    case MMI_MENU_EMERGENCY:
        return has_emergency(NULL, model);
    case MMI_MENU_SEND:
        return model->attached || model->is_root;
    case MMI_MENU_CONFIGURE:
        return mmi_panel_can_configure(model);
    default:
        return true;
    }
}

unsigned mmi_menu_line(const mm_panel_t *self, const mm_panel_model_t *model) {
    unsigned line = self->cursor % MMI_MENU_COUNT;
    while (!mmi_menu_has(model, line)) {
        line++; // the last one is always there
    }
    return line;
}

static bool is_token_length(unsigned digit_count) {
    return digit_count == 9 || digit_count == 12 || digit_count == 15 || digit_count == 20;
}

bool mmi_token_has(const mm_panel_t *self, const mm_panel_model_t *model, unsigned symbol) {
    if (symbol == MMI_SYMBOL_OK) {
        return is_token_length(self->digit_count) && model->meters[self->channel].lock_out_s == 0;
    }
    return symbol == MMI_SYMBOL_DELETE || self->digit_count < MM_TOKEN_DIGITS_MAX;
}

unsigned mmi_token_symbol(const mm_panel_t *self, const mm_panel_model_t *model) {
    unsigned symbol = self->cursor % MMI_SYMBOL_COUNT;
    while (!mmi_token_has(self, model, symbol)) {
        symbol = (symbol + 1) % MMI_SYMBOL_COUNT; // '<' is always there
    }
    return symbol;
}

// --- what a press does ----------------------------------------------------------------------------------------------

static void open_home(mm_panel_t *self, const mm_panel_model_t *model) {
    (void)model;
    go_to(self, MMI_SCREEN_HOME);
}

static void open_menu(mm_panel_t *self, const mm_panel_model_t *model) {
    (void)model;
    go_to(self, MMI_SCREEN_MENU);
}

static void open_network(mm_panel_t *self, const mm_panel_model_t *model) {
    (void)model;
    go_to(self, MMI_SCREEN_NETWORK);
}

static void open_mesh(mm_panel_t *self, const mm_panel_model_t *model) {
    (void)model;
    go_to(self, MMI_SCREEN_MESH);
}

static void open_info(mm_panel_t *self, const mm_panel_model_t *model) {
    (void)model;
    go_to(self, MMI_SCREEN_INFO);
}

static void home_short(mm_panel_t *self, const mm_panel_model_t *model) {
    if (has_meter(self, model)) {
        self->channel = mmi_meter_find(model, mmi_meter_is_there, 0);
        go_to(self, MMI_SCREEN_METER);
    }
}

static void meter_short(mm_panel_t *self, const mm_panel_model_t *model) {
    uint8_t shown = mmi_meter_find(model, mmi_meter_is_there, self->channel);
    uint8_t next = mmi_meter_find(model, mmi_meter_is_there, shown + 1U);
    self->channel = next;
    go_to(self, next > shown ? MMI_SCREEN_METER : MMI_SCREEN_HOME);
}

static void menu_short(mm_panel_t *self, const mm_panel_model_t *model) {
    self->cursor = (uint8_t)((mmi_menu_line(self, model) + 1) % MMI_MENU_COUNT);
}

// To the choice of a meter, or past it if there is only one to choose.
static void choose_meter(mm_panel_t *self, const mm_panel_model_t *model, mmi_meter_test_fn test, mmi_screen_t choice,
                         mmi_screen_t behind) {
    self->channel = mmi_meter_find(model, test, 0);
    go_to(self, mmi_meter_find(model, test, self->channel + 1U) == self->channel ? behind : choice);
}

static void menu_long(mm_panel_t *self, const mm_panel_model_t *model) {
    switch (mmi_menu_line(self, model)) {
    case MMI_MENU_NETWORK:
        go_to(self, MMI_SCREEN_NETWORK);
        break;
    case MMI_MENU_MESH:
        go_to(self, MMI_SCREEN_MESH);
        break;
    case MMI_MENU_TOKEN:
        choose_meter(self, model, mmi_meter_is_prepaid, MMI_SCREEN_TOKEN_METER, MMI_SCREEN_TOKEN);
        break;
    case MMI_MENU_EMERGENCY:
        choose_meter(self, model, mmi_meter_has_emergency, MMI_SCREEN_EMERGENCY_METER, MMI_SCREEN_EMERGENCY_SURE);
        break;
    case MMI_MENU_SEND:
        wish_for(self, MM_WISH_SEND_NOW);
        go_to(self, MMI_SCREEN_HOME);
        break;
    case MMI_MENU_INFO:
        go_to(self, MMI_SCREEN_INFO);
        break;
    case MMI_MENU_CONFIGURE:
        go_to(self, MMI_SCREEN_CONFIGURE_SURE);
        break;
    default:
        go_to(self, MMI_SCREEN_HOME);
        break;
    }
}

static MM_APART void next_meter(mm_panel_t *self, const mm_panel_model_t *model, mmi_meter_test_fn test) {
    self->channel = mmi_meter_find(model, test, mmi_meter_find(model, test, self->channel) + 1U);
}

static void token_meter_short(mm_panel_t *self, const mm_panel_model_t *model) {
    next_meter(self, model, mmi_meter_is_prepaid);
}

static void token_meter_long(mm_panel_t *self, const mm_panel_model_t *model) {
    self->channel = mmi_meter_find(model, mmi_meter_is_prepaid, self->channel);
    go_to(self, MMI_SCREEN_TOKEN);
}

static void emergency_meter_short(mm_panel_t *self, const mm_panel_model_t *model) {
    next_meter(self, model, mmi_meter_has_emergency);
}

static void emergency_meter_long(mm_panel_t *self, const mm_panel_model_t *model) {
    self->channel = mmi_meter_find(model, mmi_meter_has_emergency, self->channel);
    go_to(self, MMI_SCREEN_EMERGENCY_SURE);
}

static void token_short(mm_panel_t *self, const mm_panel_model_t *model) {
    self->cursor = (uint8_t)((mmi_token_symbol(self, model) + 1) % MMI_SYMBOL_COUNT);
}

static void token_long(mm_panel_t *self, const mm_panel_model_t *model) {
    unsigned symbol = mmi_token_symbol(self, model);
    if (symbol == MMI_SYMBOL_OK) {
        wish_for(self, MM_WISH_TOKEN);
        go_to(self, MMI_SCREEN_METER);
    } else if (symbol != MMI_SYMBOL_DELETE) {
        self->digits[self->digit_count++] = (char)('0' + symbol);
        self->cursor = is_token_length(self->digit_count) ? MMI_SYMBOL_OK : 0;
    } else if (self->digit_count > 0) {
        self->digits[--self->digit_count] = '\0'; // the cursor stays: more may have to go
    } else {
        go_to(self, MMI_SCREEN_HOME);
    }
}

static void sure_short(mm_panel_t *self, const mm_panel_model_t *model) {
    (void)model;
    self->cursor = self->cursor == 0 ? 1 : 0;
}

static void emergency_sure_long(mm_panel_t *self, const mm_panel_model_t *model) {
    (void)model;
    if (self->cursor == 1) {
        wish_for(self, MM_WISH_EMERGENCY);
    }
    go_to(self, self->cursor == 1 ? MMI_SCREEN_METER : MMI_SCREEN_HOME);
}

static void configure_sure_long(mm_panel_t *self, const mm_panel_model_t *model) {
    (void)model;
    if (self->cursor == 1) {
        wish_for(self, MM_WISH_CONFIGURE);
    }
    go_to(self, MMI_SCREEN_HOME);
}

typedef void (*press_fn)(mm_panel_t *self, const mm_panel_model_t *model);

// The table of the header. Each screen has an answer to each press, so there is no press that is not legal.
static const struct {
    bool (*is_possible)(const mm_panel_t *self, const mm_panel_model_t *model);
    mmi_draw_fn draw;
    press_fn on_short;
    press_fn on_long;
} SCREENS[MMI_SCREEN_COUNT] = {
    [MMI_SCREEN_HOME] = {always, mmi_draw_home, home_short, open_menu},
    [MMI_SCREEN_METER] = {has_meter, mmi_draw_meter, meter_short, open_menu},
    [MMI_SCREEN_MENU] = {always, mmi_draw_menu, menu_short, menu_long},
    [MMI_SCREEN_NETWORK] = {always, mmi_draw_network, open_mesh, open_home},
    [MMI_SCREEN_MESH] = {always, mmi_draw_mesh, open_info, open_home},
    [MMI_SCREEN_INFO] = {always, mmi_draw_info, open_network, open_home},
    [MMI_SCREEN_TOKEN_METER] = {has_prepaid, mmi_draw_token_meter, token_meter_short, token_meter_long},
    [MMI_SCREEN_TOKEN] = {is_prepaid, mmi_draw_token, token_short, token_long},
    [MMI_SCREEN_EMERGENCY_METER] = {has_emergency, mmi_draw_emergency_meter, emergency_meter_short,
                                    emergency_meter_long},
    [MMI_SCREEN_EMERGENCY_SURE] = {is_emergency, mmi_draw_emergency_sure, sure_short, emergency_sure_long},
    [MMI_SCREEN_CONFIGURE_SURE] = {may_configure, mmi_draw_configure_sure, sure_short, configure_sure_long},
};

mmi_screen_t mmi_panel_screen(const mm_panel_t *self, const mm_panel_model_t *model) {
    return SCREENS[self->screen].is_possible(self, model) ? (mmi_screen_t)self->screen : MMI_SCREEN_HOME;
}

static void press(mm_panel_t *self, const mm_panel_model_t *model, bool is_long) {
    mmi_screen_t screen = mmi_panel_screen(self, model);
    if (screen != self->screen) {
        go_to(self, screen);
    }
    (is_long ? SCREENS[screen].on_long : SCREENS[screen].on_short)(self, model);
}

// --- time -----------------------------------------------------------------------------------------------------------

void mm_panel_init(mm_panel_t *self, mm_us_t now) {
    memset(self, 0, sizeof *self);
    self->dark_at = mm_us_after_s(now, MM_PANEL_DARK_S);
    self->released_at = now - (mm_us_t)MM_PANEL_BOUNCE_MS * US_PER_MS;
}

static bool notice_is_shown(const mm_panel_t *self, mm_us_t now) {
    return self->notice[0] != '\0' && now < self->notice_until;
}

void mm_panel_on_button(mm_panel_t *self, bool down, const mm_panel_model_t *model, mm_us_t now) {
    if (down == self->pressed) {
        return;
    }
    if (down) {
        if (now - self->released_at < (mm_us_t)MM_PANEL_BOUNCE_MS * US_PER_MS) {
            return;
        }
        // What cannot be seen is not meant.
        self->long_done = self->dark || notice_is_shown(self, now);
        self->pressed = true;
        self->pressed_at = now;
        self->dark = false;
        self->notice[0] = '\0';
        self->dark_at = mm_us_after_s(now, MM_PANEL_DARK_S);
        return;
    }
    mm_us_t held_us = now - self->pressed_at;
    self->pressed = false;
    if (held_us < (mm_us_t)MM_PANEL_BOUNCE_MS * US_PER_MS) {
        self->dark_at = mm_us_after_s(now, MM_PANEL_DARK_S);
        return;
    }
    self->released_at = now;
    if (!self->long_done) {
        press(self, model, held_us >= (mm_us_t)MM_PANEL_LONG_PRESS_MS * US_PER_MS);
    }
}

void mm_panel_notice(mm_panel_t *self, const char *text, mm_us_t now) {
    memset(self->notice, 0, sizeof self->notice);
    for (size_t i = 0; i < MM_PANEL_NOTICE_CHARS_MAX && text[i] != '\0'; i++) {
        self->notice[i] = text[i];
    }
    self->notice_until = mm_us_after_s(now, MM_PANEL_NOTICE_S);
    if (self->dark || self->dark_at < self->notice_until) {
        self->dark_at = self->notice_until;
    }
    self->dark = false;
}

void mm_panel_wake(mm_panel_t *self, uint32_t seconds, mm_us_t now) {
    // no wait: becomes dark_at
    mm_us_t until = mm_us_after_s(now, seconds);
    if (seconds == 0 || self->dark || until > self->dark_at) {
        self->dark_at = until;
    }
    self->dark = self->dark && seconds == 0;
}

bool mm_panel_take_wish(mm_panel_t *self, mm_panel_wish_t *wish) {
    *wish = self->wish;
    self->wish.kind = MM_WISH_NONE;
    return wish->kind != MM_WISH_NONE;
}

mm_us_t mm_panel_poll(mm_panel_t *self, const mm_panel_model_t *model, mm_us_t now) {
    // wait: the button is let go | until MM_PANEL_LONG_PRESS_MS | then the press is a long one
    mm_us_t long_at = self->pressed_at + (mm_us_t)MM_PANEL_LONG_PRESS_MS * US_PER_MS;
    bool urgent = mmi_panel_is_urgent(model);
    if (self->pressed && !self->long_done && now >= long_at) {
        self->long_done = true;
        press(self, model, true);
    }
    if (now >= self->notice_until) {
        self->notice[0] = '\0';
    }
    if (!self->dark && now >= self->dark_at) {
        go_to(self, MMI_SCREEN_HOME);
        self->dark = true;
    }
    if (urgent && (self->dark || mmi_panel_screen(self, model) == MMI_SCREEN_HOME)) {
        self->dark = false;
        self->dark_at = mm_us_after_s(now, MM_PANEL_DARK_S);
    }
    mm_us_t deadline = self->dark ? MM_US_NEVER : self->dark_at;
    if (self->pressed && !self->long_done && long_at < deadline) {
        deadline = long_at;
    }
    return self->notice[0] != '\0' && self->notice_until < deadline ? self->notice_until : deadline;
}

void mm_panel_draw(const mm_panel_t *self, const mm_panel_model_t *model, mm_us_t now, mm_canvas_t *canvas) {
    mm_canvas_clear(canvas);
    if (self->dark) {
        return;
    }
    SCREENS[mmi_panel_screen(self, model)].draw(self, model, canvas);
    if (notice_is_shown(self, now)) {
        mmi_draw_notice(self->notice, canvas);
    }
}
