// SPDX-License-Identifier: Apache-2.0
#ifndef MM_PANEL_INTERNAL_H
#define MM_PANEL_INTERNAL_H

#include "meshmeter/panel.h"

#define MMI_LINE_CHARS 21

typedef enum {
    MMI_SCREEN_HOME = 0,
    MMI_SCREEN_METER,
    MMI_SCREEN_MENU,
    MMI_SCREEN_NETWORK,
    MMI_SCREEN_MESH,
    MMI_SCREEN_INFO,
    MMI_SCREEN_TOKEN_METER,
    MMI_SCREEN_TOKEN,
    MMI_SCREEN_EMERGENCY_METER,
    MMI_SCREEN_EMERGENCY_SURE,
    MMI_SCREEN_CONFIGURE_SURE,
    MMI_SCREEN_COUNT,
} mmi_screen_t;

/// Symbols of a token: the digits are themselves.
#define MMI_SYMBOL_DELETE 10
#define MMI_SYMBOL_OK 11
#define MMI_SYMBOL_COUNT 12

typedef enum {
    MMI_MENU_NETWORK = 0,
    MMI_MENU_MESH,
    MMI_MENU_TOKEN,
    MMI_MENU_EMERGENCY,
    MMI_MENU_SEND,
    MMI_MENU_INFO,
    MMI_MENU_CONFIGURE,
    MMI_MENU_BACK,
    MMI_MENU_COUNT,
} mmi_menu_line_t;

typedef bool (*mmi_meter_test_fn)(const mm_panel_meter_t *meter);
bool mmi_meter_is_there(const mm_panel_meter_t *meter);
bool mmi_meter_is_prepaid(const mm_panel_meter_t *meter);
bool mmi_meter_has_emergency(const mm_panel_meter_t *meter);
/// First channel from `from` on, then from the beginning, that passes; MM_CHANNELS: none does.
uint8_t mmi_meter_find(const mm_panel_model_t *model, mmi_meter_test_fn test, unsigned from);

/// What is urgent is never left in the dark.
bool mmi_panel_is_urgent(const mm_panel_model_t *model);
bool mmi_panel_can_configure(const mm_panel_model_t *model);
/// Whether the line leads somewhere now.
bool mmi_menu_has(const mm_panel_model_t *model, unsigned line);
/// The line under the cursor: the next that is there.
unsigned mmi_menu_line(const mm_panel_t *self, const mm_panel_model_t *model);
/// Whether the symbol may be chosen now.
bool mmi_token_has(const mm_panel_t *self, const mm_panel_model_t *model, unsigned symbol);
unsigned mmi_token_symbol(const mm_panel_t *self, const mm_panel_model_t *model);
/// The screen that is shown: HOME if the one that was chosen is not possible any more.
mmi_screen_t mmi_panel_screen(const mm_panel_t *self, const mm_panel_model_t *model);

typedef void (*mmi_draw_fn)(const mm_panel_t *self, const mm_panel_model_t *model, mm_canvas_t *canvas);
void mmi_draw_home(const mm_panel_t *self, const mm_panel_model_t *model, mm_canvas_t *canvas);
void mmi_draw_meter(const mm_panel_t *self, const mm_panel_model_t *model, mm_canvas_t *canvas);
void mmi_draw_menu(const mm_panel_t *self, const mm_panel_model_t *model, mm_canvas_t *canvas);
void mmi_draw_network(const mm_panel_t *self, const mm_panel_model_t *model, mm_canvas_t *canvas);
void mmi_draw_mesh(const mm_panel_t *self, const mm_panel_model_t *model, mm_canvas_t *canvas);
void mmi_draw_info(const mm_panel_t *self, const mm_panel_model_t *model, mm_canvas_t *canvas);
void mmi_draw_token_meter(const mm_panel_t *self, const mm_panel_model_t *model, mm_canvas_t *canvas);
void mmi_draw_token(const mm_panel_t *self, const mm_panel_model_t *model, mm_canvas_t *canvas);
void mmi_draw_emergency_meter(const mm_panel_t *self, const mm_panel_model_t *model, mm_canvas_t *canvas);
void mmi_draw_emergency_sure(const mm_panel_t *self, const mm_panel_model_t *model, mm_canvas_t *canvas);
void mmi_draw_configure_sure(const mm_panel_t *self, const mm_panel_model_t *model, mm_canvas_t *canvas);
void mmi_draw_notice(const char *notice, mm_canvas_t *canvas);

/// A line of text at this height, and the same in the middle.
void mmi_put(mm_canvas_t *canvas, int y, const char *text);
void mmi_put_at(mm_canvas_t *canvas, int x, int y, const char *text);
void mmi_put_middle(mm_canvas_t *canvas, int y, mm_font_t font, const char *text);
/// A title, light on its whole width.
void mmi_put_title(mm_canvas_t *canvas, const char *text);
/// Light on the whole width of a line at this height: dark is light and light is dark.
void mmi_put_light(mm_canvas_t *canvas, int y);
/// Text broken into at most `line_count` lines, `step` dots apart. Returns the lines.
int mmi_put_lines(mm_canvas_t *canvas, int y, int step, int line_count, const char *text);
/// Link, root, backlog and clock, at the right of the first line.
void mmi_put_status(const mm_panel_model_t *model, mm_canvas_t *canvas);

#endif
