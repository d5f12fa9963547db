// SPDX-License-Identifier: Apache-2.0
#include "panel_internal.h"
#include "panel_text.h"

#define HINT_Y 56
#define MENU_LINES 6
#define SYMBOL_CELL 10

void mmi_draw_menu(const mm_panel_t *self, const mm_panel_model_t *model, mm_canvas_t *canvas) {
    static const char *const texts[MMI_MENU_COUNT] = {
        [MMI_MENU_NETWORK] = "Network",          [MMI_MENU_MESH] = "Mesh",
        [MMI_MENU_TOKEN] = "Type a credit code", [MMI_MENU_EMERGENCY] = "Emergency credit",
        [MMI_MENU_SEND] = "Send readings now",   [MMI_MENU_INFO] = "Info",
        [MMI_MENU_CONFIGURE] = "Configure",      [MMI_MENU_BACK] = "Back"};
    unsigned cursor = mmi_menu_line(self, model);
    unsigned above = 0;
    for (unsigned line = 0; line < cursor; line++) {
        above += mmi_menu_has(model, line) ? 1 : 0;
    }
    unsigned skipped = above >= MENU_LINES ? above - MENU_LINES + 1 : 0;
    int y = 10;
    mmi_put_title(canvas, "Menu       hold: take");
    for (unsigned line = 0; line < MMI_MENU_COUNT && y < MM_CANVAS_HEIGHT; line++) {
        if (!mmi_menu_has(model, line)) {
            continue;
        }
        if (skipped > 0) {
            skipped--;
            continue;
        }
        if (line == cursor) {
            mmi_put(canvas, y + 1, ">");
        }
        mmi_put_at(canvas, 8, y + 1, texts[line]);
        if (line == cursor) {
            mmi_put_light(canvas, y);
        }
        y += 9;
    }
}

static void put_mac(mm_canvas_t *canvas, int y, mm_mac_t mac) {
    mmi_line_t line;
    mmi_line_begin(&line, "MAC ");
    for (unsigned i = 0; i < sizeof mac.bytes; i++) {
        mmi_line_add(&line, i > 0 ? ":" : "");
        mmi_line_add_hex(&line, mac.bytes + i, 1);
    }
    mmi_put(canvas, y, line.text);
}

static MM_APART void put_page_hint(mm_canvas_t *canvas) {
    mmi_put(canvas, HINT_Y, "press:next  hold:back");
}

void mmi_draw_network(const mm_panel_t *self, const mm_panel_model_t *model, mm_canvas_t *canvas) {
    (void)self;
    mmi_line_t line;
    mmi_put_title(canvas, "Network");
    if (!model->is_root) {
        mmi_put(canvas, 12, model->attached ? "through the mesh" : "no way to the root");
    } else {
        mmi_put(canvas, 12, model->router_up ? "router: connected" : "router: no connection");
    }
    mmi_line_begin(&line, "");
    mmi_line_add_count(&line, model->backlog, " to send");
    mmi_put(canvas, 22, model->backlog > 0 ? line.text : "all is at HQ");
    mmi_line_begin(&line, model->time_known ? "" : "clock is not set");
    if (model->time_known) {
        mmi_line_add_time(&line, model->local_s);
    }
    mmi_put(canvas, 32, line.text);
    put_page_hint(canvas);
}

void mmi_draw_mesh(const mm_panel_t *self, const mm_panel_model_t *model, mm_canvas_t *canvas) {
    (void)self;
    mmi_line_t line;
    mmi_put_title(canvas, "Mesh");
    if (model->is_root) {
        mmi_line_begin(&line, "root of the mesh");
    } else if (model->attached) {
        mmi_line_begin(&line, "node in layer ");
        mmi_line_add_count(&line, model->layer, "");
    } else {
        mmi_line_begin(&line, "looking for a parent");
    }
    mmi_put(canvas, 12, line.text);
    put_mac(canvas, 22, model->mac);
    put_page_hint(canvas);
}

void mmi_draw_info(const mm_panel_t *self, const mm_panel_model_t *model, mm_canvas_t *canvas) {
    (void)self;
    mmi_line_t line;
    mmi_put_title(canvas, "Info");
    mmi_line_begin(&line, "version ");
    mmi_line_add(&line, model->version != NULL ? model->version : "unknown");
    line.text[MMI_LINE_CHARS] = '\0';
    mmi_put(canvas, 10, line.text);
    put_mac(canvas, 19, model->mac);
    mmi_line_begin(&line, "up ");
    mmi_line_add_duration(&line, model->uptime_s);
    mmi_put(canvas, 28, line.text);
    (void)mmi_put_lines(canvas, 37, 9, 2, model->site);
    put_page_hint(canvas);
}

static void draw_choice(const mm_panel_model_t *model, const char *title, uint8_t channel, mm_canvas_t *canvas) {
    const mm_panel_meter_t *meter = &model->meters[channel];
    mmi_line_t line;
    mmi_put_title(canvas, title);
    mmi_put(canvas, 13, "Which meter?");
    mmi_line_begin(&line, "> ");
    mmi_line_add(&line, meter->id);
    mmi_put(canvas, 27, line.text);
    mmi_put_light(canvas, 26);
    mmi_put(canvas, HINT_Y, "press:next  hold:take");
}

void mmi_draw_token_meter(const mm_panel_t *self, const mm_panel_model_t *model, mm_canvas_t *canvas) {
    draw_choice(model, "Type a credit code", mmi_meter_find(model, mmi_meter_is_prepaid, self->channel), canvas);
}

void mmi_draw_emergency_meter(const mm_panel_t *self, const mm_panel_model_t *model, mm_canvas_t *canvas) {
    draw_choice(model, "Emergency credit", mmi_meter_find(model, mmi_meter_has_emergency, self->channel), canvas);
}

// Groups of three; a line holds four of them.
static void put_digits(const mm_panel_t *self, mm_canvas_t *canvas) {
    for (unsigned i = 0; i <= self->digit_count && i < MM_TOKEN_DIGITS_MAX; i++) {
        unsigned place = i % 12;
        char text[2] = "_";
        if (i < self->digit_count) {
            text[0] = self->digits[i];
        }
        mmi_put_at(canvas, (int)(place * 7 + place / 3 * 7), i < 12 ? 14 : 24, text);
    }
}

static void put_symbols(const mm_panel_t *self, const mm_panel_model_t *model, unsigned chosen, mm_canvas_t *canvas) {
    for (unsigned symbol = 0; symbol < MMI_SYMBOL_COUNT; symbol++) {
        const char digit[2] = {(char)('0' + symbol), '\0'};
        const char *text = symbol == MMI_SYMBOL_OK ? "OK" : symbol == MMI_SYMBOL_DELETE ? "<" : digit;
        int x = (int)symbol * SYMBOL_CELL;
        if (!mmi_token_has(self, model, symbol)) {
            continue;
        }
        mmi_put_at(canvas, x + 3, 40, text);
        if (symbol == chosen) {
            mm_canvas_invert(canvas, x + 1, 38, symbol == MMI_SYMBOL_OK ? 15 : 9, 11);
        }
    }
}

void mmi_draw_token(const mm_panel_t *self, const mm_panel_model_t *model, mm_canvas_t *canvas) {
    const mm_panel_meter_t *meter = &model->meters[self->channel];
    unsigned symbol = mmi_token_symbol(self, model);
    mmi_line_t line;
    mmi_line_begin(&line, "Code for ");
    mmi_line_add(&line, meter->id);
    mmi_put_title(canvas, line.text);
    put_digits(self, canvas);
    put_symbols(self, model, symbol, canvas);
    if (meter->lock_out_s > 0) {
        mmi_line_begin(&line, "wait ");
        mmi_line_add_count(&line, meter->lock_out_s, " s");
        mmi_put(canvas, HINT_Y, line.text);
    } else if (symbol == MMI_SYMBOL_OK) {
        mmi_put(canvas, HINT_Y, "press:next   hold:use");
    } else if (symbol == MMI_SYMBOL_DELETE) {
        mmi_put(canvas, HINT_Y, self->digit_count > 0 ? "press:next hold:erase" : "press:next hold:leave");
    } else {
        mmi_put(canvas, HINT_Y, "press:next  hold:type");
    }
}

static void put_no_yes(const mm_panel_t *self, mm_canvas_t *canvas) {
    mmi_put_at(canvas, 30, 44, "No");
    mmi_put_at(canvas, 80, 44, "Yes");
    mm_canvas_invert(canvas, self->cursor == 0 ? 26 : 76, 42, self->cursor == 0 ? 19 : 25, 11);
    mmi_put(canvas, HINT_Y, "press:next  hold:take");
}

void mmi_draw_emergency_sure(const mm_panel_t *self, const mm_panel_model_t *model, mm_canvas_t *canvas) {
    mmi_put_title(canvas, "Emergency credit");
    mmi_put(canvas, 12, model->meters[self->channel].id);
    (void)mmi_put_lines(canvas, 22, 9, 2, "Sure? The next credit pays for it");
    put_no_yes(self, canvas);
}

void mmi_draw_configure_sure(const mm_panel_t *self, const mm_panel_model_t *model, mm_canvas_t *canvas) {
    (void)model;
    mmi_put_title(canvas, "Configure");
    (void)mmi_put_lines(canvas, 12, 9, 3, "Sure? Shows a number for an installer; meters go on");
    put_no_yes(self, canvas);
}
