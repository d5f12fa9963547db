// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "meshmeter/challenge.h"
#include "panel_internal.h"
#include "panel_text.h"

#define HINT_Y 56
// Digits of a large number that leave room for "kWh" behind them.
#define LARGE_CHARS_MAX 8
#define SMALL_CHARS_MAX 21

// --- pieces ---------------------------------------------------------------------------------------------------------

void mmi_put(mm_canvas_t *canvas, int y, const char *text) {
    mmi_put_at(canvas, 0, y, text);
}

void mmi_put_at(mm_canvas_t *canvas, int x, int y, const char *text) {
    (void)mm_canvas_text(canvas, x, y, MM_FONT_SMALL, text);
}

void mmi_put_middle(mm_canvas_t *canvas, int y, mm_font_t font, const char *text) {
    int width = mm_canvas_text_width(font, text);
    (void)mm_canvas_text(canvas, (MM_CANVAS_WIDTH - width + 1) / 2, y, font, text);
}

void mmi_put_title(mm_canvas_t *canvas, const char *text) {
    mmi_put_at(canvas, 1, 1, text);
    mmi_put_light(canvas, 0);
}

void mmi_put_light(mm_canvas_t *canvas, int y) {
    mm_canvas_invert(canvas, 0, y, MM_CANVAS_WIDTH, 9);
}

int mmi_put_lines(mm_canvas_t *canvas, int y, int step, int line_count, const char *text) {
    int count = 0;
    for (; count < line_count && *text != '\0'; count++) {
        size_t behind = 0;
        mmi_line_t line = {.chars = mmi_line_break(text, MMI_LINE_CHARS, &behind)};
        memcpy(line.text, text, line.chars);
        mmi_put(canvas, y + count * step, line.text);
        text += behind;
    }
    return count;
}

// From the left to the right edge.
static void put_rule(mm_canvas_t *canvas, int y, int height, bool on) {
    mm_canvas_fill(canvas, 0, y, MM_CANVAS_WIDTH, height, on);
}

static void put_icon(mm_canvas_t *canvas, int x, const uint8_t rows[7]) {
    for (int row = 0; row < 7; row++) {
        for (int column = 0; column < 7; column++) {
            if ((rows[row] >> (6 - column) & 1) != 0) {
                mm_canvas_set(canvas, x + column, row, true);
            }
        }
    }
}

void mmi_put_status(const mm_panel_model_t *model, mm_canvas_t *canvas) {
    static const uint8_t linked[7] = {0x01, 0x01, 0x05, 0x05, 0x15, 0x15, 0x55};
    static const uint8_t alone[7] = {0x00, 0x22, 0x14, 0x08, 0x14, 0x22, 0x00};
    static const uint8_t root[7] = {0x08, 0x1C, 0x3E, 0x7F, 0x36, 0x36, 0x3E};
    static const uint8_t backlog[7] = {0x08, 0x1C, 0x2A, 0x08, 0x08, 0x41, 0x7F};
    mmi_line_t clock;
    mmi_line_begin(&clock, "");
    put_icon(canvas, 73, model->attached || (model->is_root && model->router_up) ? linked : alone);
    if (model->is_root) {
        put_icon(canvas, 81, root);
    }
    if (model->backlog > 0) {
        put_icon(canvas, 89, backlog);
    }
    if (model->time_known && model->local_s >= 0) {
        mmi_line_add_number(&clock, (uint64_t)model->local_s / 3600 % 24, 2);
        mmi_line_add(&clock, ":");
        mmi_line_add_number(&clock, (uint64_t)model->local_s / 60 % 60, 2);
    } else {
        mmi_line_add(&clock, "--:--");
    }
    mmi_put_at(canvas, 98, 0, clock.text);
}

static void put_head(const mm_panel_model_t *model, const char *text, mm_canvas_t *canvas) {
    mmi_put(canvas, 0, text);
    mmi_put_status(model, canvas);
    put_rule(canvas, 9, 1, true);
}

// A frame of this width, filled as far as part is of whole.
static MM_APART void put_bar(mm_canvas_t *canvas, int x, int y, int width, uint32_t part, uint32_t whole) {
    uint32_t most = part < whole ? part : whole;
    mm_canvas_frame(canvas, x, y, width, 6);
    mm_canvas_fill(canvas, x, y, (int)((uint64_t)most * (uint32_t)width / whole), 6, true);
}

static void put_large_number(mm_canvas_t *canvas, int y, uint32_t number) {
    mmi_line_t line;
    mmi_line_begin(&line, "");
    mmi_line_add_count(&line, number, "");
    mmi_put_middle(canvas, y, MM_FONT_LARGE, line.text);
}

// Without meters there is nothing to go on to.
static void put_hint(const mm_panel_model_t *model, mm_canvas_t *canvas) {
    bool has_meter = mmi_meter_find(model, mmi_meter_is_there, 0) < MM_CHANNELS;
    mmi_put(canvas, HINT_Y, has_meter ? "press:next  hold:menu" : "            hold:menu");
}

// --- home -----------------------------------------------------------------------------------------------------------

static void put_address(const mm_panel_model_t *model, int y, int line_count, mm_canvas_t *canvas) {
    if (model->address != NULL) {
        const char *address = model->address;
        address += strncmp(address, "http://", 7) == 0 ? 7 : 0;
        (void)mmi_put_lines(canvas, y, 9, line_count, address);
    }
}

static void draw_fault(const mm_panel_model_t *model, mm_canvas_t *canvas) {
    mmi_put_title(canvas, "FAULT");
    (void)mmi_put_lines(canvas, 14, 10, 3, model->fault);
    put_hint(model, canvas);
}

static void draw_update(const mm_panel_model_t *model, mm_canvas_t *canvas) {
    uint8_t percent = model->ota_percent < 100 ? model->ota_percent : 100;
    mmi_put_title(canvas, "Update");
    put_large_number(canvas, 14, percent);
    mmi_put_at(canvas, 88, 23, "%");
    put_bar(canvas, 4, 36, 120, percent, 100);
    mmi_put(canvas, HINT_Y, "Do not switch off");
}

static void draw_lock_out(const mm_panel_model_t *model, mm_canvas_t *canvas) {
    mmi_put_title(canvas, "Too many wrong codes");
    put_large_number(canvas, 15, model->wait_s);
    mmi_put_middle(canvas, 36, MM_FONT_SMALL, "seconds to wait,");
    mmi_put_middle(canvas, 46, MM_FONT_SMALL, "then a new number");
}

static void draw_number(const mm_panel_model_t *model, mm_canvas_t *canvas) {
    mmi_line_t number;
    mmi_line_t left;
    uint32_t left_s = model->number_left_s < 35999 ? model->number_left_s : 35999;
    mmi_line_begin(&number, "");
    mmi_line_add_count(&number, model->number, "");
    mmi_put(canvas, 0, "Call HQ, read it out:");
    mmi_put_middle(canvas, 10, number.chars <= 8 ? MM_FONT_HUGE : MM_FONT_LARGE, number.text);
    put_bar(canvas, 0, 37, left_s < 3600 ? 94 : 80, left_s, MM_CHALLENGE_LIFE_S);
    mmi_line_begin(&left, "");
    mmi_line_add_duration(&left, left_s);
    int width = mm_canvas_text_width(MM_FONT_SMALL, left.text);
    mmi_put_at(canvas, MM_CANVAS_WIDTH + 1 - width, 36, left.text);
    put_address(model, 47, 2, canvas);
}

// Between the address and the hint.
#define ASKING_Y 45

static void draw_parked(const mm_panel_model_t *model, mm_canvas_t *canvas) {
    mmi_line_t tail;
    bool is_heard = model->is_asking && model->heard != NULL;
    mmi_put_title(canvas, is_heard ? "HQ has been asked" : "Waiting for a network");
    mmi_put_middle(canvas, 14, MM_FONT_SMALL, "This device:");
    mmi_line_begin(&tail, "");
    mmi_line_add_hex(&tail, model->mac.bytes + 3, 3);
    mmi_put_middle(canvas, 27, MM_FONT_LARGE, tail.text);
    if (is_heard) {
        size_t behind = 0;
        mmi_line_t site;
        mmi_line_begin(&site, model->heard);
        site.text[mmi_line_break(site.text, SMALL_CHARS_MAX, &behind)] = '\0';
        mmi_put_middle(canvas, ASKING_Y, MM_FONT_SMALL, site.text);
    } else if (model->is_asking) {
        mmi_put_middle(canvas, ASKING_Y, MM_FONT_SMALL, "asking for a mesh");
    }
    put_hint(model, canvas);
}

static void draw_running(const mm_panel_model_t *model, mm_canvas_t *canvas) {
    mmi_line_t meters;
    unsigned there = 0;
    unsigned off = 0;
    for (unsigned i = 0; i < MM_CHANNELS; i++) {
        there += mmi_meter_is_there(&model->meters[i]) ? 1 : 0;
        off += mmi_meter_is_there(&model->meters[i]) && model->meters[i].relay_reasons != 0 ? 1 : 0;
    }
    put_head(model, "meshmeter", canvas);
    (void)mmi_put_lines(canvas, 14, 9, 2, model->site);
    mmi_line_begin(&meters, "");
    mmi_line_add_count(&meters, there, there == 1 ? " meter" : " meters");
    if (off > 0) {
        mmi_line_add(&meters, ", ");
        mmi_line_add_count(&meters, off, " off");
    }
    mmi_put(canvas, 35, meters.text);
    put_hint(model, canvas);
}

// The states in which there is nothing to do but what is said here.
static const struct {
    const char *title;
    const char *text;
} states[MM_LIFE_STATE_COUNT] = {
    [MM_LIFE_PROVISIONED] = {"Not installed yet", "Hold the button, then take: Configure"},
    [MM_LIFE_CONFIGURING] = {"Being configured", "An installer is at the page of this device"},
    [MM_LIFE_AWAITING] = {"Awaiting confirmation", "HQ must confirm the installation"},
    [MM_LIFE_FAULT] = {"FAULT", "Memory does not work: call service"},
};

static void draw_state(const mm_panel_model_t *model, mm_canvas_t *canvas) {
    mmi_put_title(canvas, states[model->state].title);
    int lines = mmi_put_lines(canvas, 12, 9, 2, states[model->state].text);
    if (model->state == MM_LIFE_CONFIGURING) {
        put_address(model, 12 + 9 * lines, 2, canvas);
    } else {
        (void)mmi_put_lines(canvas, 34, 9, 2, model->site);
    }
    put_hint(model, canvas);
}

void mmi_draw_home(const mm_panel_t *self, const mm_panel_model_t *model, mm_canvas_t *canvas) {
    (void)self;
    if (model->fault != NULL) {
        draw_fault(model, canvas);
    } else if (model->ota_percent != MM_PANEL_OTA_NONE) {
        draw_update(model, canvas);
    } else if (model->wait_s > 0) {
        draw_lock_out(model, canvas);
    } else if (model->has_number) {
        draw_number(model, canvas);
    } else if (model->state == MM_LIFE_PARKED) {
        draw_parked(model, canvas);
    } else if (states[model->state].title != NULL) {
        draw_state(model, canvas);
    } else {
        draw_running(model, canvas);
    }
}

// --- meters ---------------------------------------------------------------------------------------------------------

static void put_energy(mm_canvas_t *canvas, int y, uint64_t energy_wh) {
    mmi_line_t line;
    int decimals = 3;
    do {
        mmi_line_begin(&line, "");
        decimals--;
        mmi_line_add_kwh(&line, energy_wh, false, (unsigned)decimals);
    } while (line.chars > LARGE_CHARS_MAX && decimals > 0);
    bool large = line.chars <= LARGE_CHARS_MAX;
    int x = mm_canvas_text(canvas, 0, large ? y : y + 9, large ? MM_FONT_LARGE : MM_FONT_SMALL, line.text);
    (void)mm_canvas_text(canvas, large ? x + 2 : x, y + 9, MM_FONT_SMALL, large ? "kWh" : " kWh");
}

static void put_balance(mm_canvas_t *canvas, int y, int64_t balance_wh) {
    mmi_line_t line;
    uint64_t wh = balance_wh < 0 ? (uint64_t)0 - (uint64_t)balance_wh : (uint64_t)balance_wh;
    mmi_line_begin(&line, "left ");
    mmi_line_add_kwh(&line, wh, balance_wh < 0, wh / 1000 < 10000000 ? 3 : 0);
    if (line.chars + 4 <= MMI_LINE_CHARS) {
        mmi_line_add(&line, " kWh");
    }
    mmi_put(canvas, y, line.text);
}

// "OFF locked, no credit" and a second line; all four reasons just fit.
static void put_reasons(mm_canvas_t *canvas, int y, uint8_t reasons) {
    static const struct {
        uint8_t reason;
        const char *words;
    } words[] = {{MM_RELAY_LOCKED, "locked"},
                 {MM_RELAY_NO_CREDIT, "no credit"},
                 {MM_RELAY_TAMPER, "tamper"},
                 {MM_RELAY_NOT_COMMISSIONED, "not confirmed"}};
    mmi_line_t line;
    const char *separator = " ";
    mmi_line_begin(&line, "OFF");
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if ((reasons & words[i].reason) == 0) {
            continue;
        }
        if (line.chars + strlen(separator) + strlen(words[i].words) > MMI_LINE_CHARS) {
            mmi_put(canvas, y, line.text);
            y += 8;
            mmi_line_begin(&line, "");
            separator = "";
        }
        mmi_line_add(&line, separator);
        mmi_line_add(&line, words[i].words);
        separator = ", ";
    }
    mmi_put(canvas, y, line.text);
    mm_canvas_invert(canvas, 0, 47, MM_CANVAS_WIDTH, MM_CANVAS_HEIGHT - 47);
}

void mmi_draw_meter(const mm_panel_t *self, const mm_panel_model_t *model, mm_canvas_t *canvas) {
    const mm_panel_meter_t *meter = &model->meters[mmi_meter_find(model, mmi_meter_is_there, self->channel)];
    mmi_line_t power;
    put_head(model, meter->id, canvas);
    put_energy(canvas, 12, meter->energy_wh);
    mmi_line_begin(&power, "now ");
    mmi_line_add_count(&power, meter->power_w, " W");
    mmi_put(canvas, 31, power.text);
    if (meter->prepaid) {
        put_balance(canvas, 39, meter->balance_wh);
    }
    if (meter->relay_reasons != 0) {
        put_reasons(canvas, 48, meter->relay_reasons);
    } else if (meter->prepaid && meter->low) {
        mmi_put(canvas, 48, "Credit is low");
    }
    if (meter->relay_reasons == 0 && meter->prepaid && meter->emergency_possible) {
        mmi_put(canvas, 56, "Emergency: hold");
    }
}

void mmi_draw_notice(const char *notice, mm_canvas_t *canvas) {
    put_rule(canvas, 12, 40, false);
    put_rule(canvas, 14, 2, true);
    put_rule(canvas, 48, 2, true);
    (void)mmi_put_lines(canvas, 19, 10, 3, notice);
}
