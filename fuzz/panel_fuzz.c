// SPDX-License-Identifier: Apache-2.0
// Presses, times and models of bytes: the panel never leaves its bounds, and what it wishes for is possible. First a
// model, then one byte for each thing that happens.
#include "meshmeter/panel.h"

#include <string.h>

#include "meshmeter/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_text(mm_reader_t *reader, char *text, size_t chars_max) {
    size_t chars = mm_get_u8(reader) % (chars_max + 1);
    for (size_t i = 0; i < chars; i++) {
        uint8_t byte = mm_get_u8(reader);
        text[i] = byte != 0 ? (char)byte : ' ';
    }
    text[chars] = '\0';
}

static void take_model(mm_reader_t *reader, mm_panel_model_t *model, char texts[3][128]) {
    uint8_t flags = mm_get_u8(reader);
    memset(model, 0, sizeof *model);
    model->state = (mm_life_state_t)(mm_get_u8(reader) % MM_LIFE_STATE_COUNT);
    model->has_number = (flags & 1) != 0;
    model->number = mm_get_u32(reader);
    model->number_left_s = mm_get_u32(reader);
    model->wait_s = (flags & 2) != 0 ? mm_get_u32(reader) : 0;
    model->is_root = (flags & 4) != 0;
    model->attached = (flags & 8) != 0;
    model->time_known = (flags & 16) != 0;
    model->local_s = (int64_t)mm_get_u64(reader);
    model->backlog = mm_get_u32(reader);
    model->uptime_s = mm_get_u32(reader);
    model->ota_percent = (flags & 32) != 0 ? mm_get_u8(reader) : MM_PANEL_OTA_NONE;
    take_text(reader, model->site, MM_SITE_CHARS_MAX);
    for (unsigned i = 0; i < 3; i++) {
        take_text(reader, texts[i], 127);
    }
    model->version = texts[0];
    model->fault = (flags & 64) != 0 ? texts[1] : NULL;
    model->address = (flags & 128) != 0 ? texts[2] : NULL;
    for (unsigned i = 0; i < MM_CHANNELS; i++) {
        mm_panel_meter_t *meter = &model->meters[i];
        uint8_t bits = mm_get_u8(reader);
        take_text(reader, meter->id, bits % 2 == 0 ? 0 : MM_METER_ID_CHARS_MAX);
        meter->energy_wh = mm_get_u64(reader);
        meter->power_w = mm_get_u32(reader);
        meter->balance_wh = (int64_t)mm_get_u64(reader);
        meter->prepaid = (bits & 2) != 0;
        meter->low = (bits & 4) != 0;
        meter->emergency_possible = (bits & 8) != 0;
        meter->relay_reasons = bits >> 4;
        meter->lock_out_s = (bits & 1) != 0 ? mm_get_u32(reader) % 3 : 0;
    }
}

static void check_wish(const mm_panel_wish_t *wish) {
    size_t digits = strlen(wish->digits);
    MM_ASSERT(wish->channel < MM_CHANNELS);
    MM_ASSERT(wish->kind != MM_WISH_TOKEN || digits == 9 || digits == 12 || digits == 15 || digits == 20);
    MM_ASSERT(wish->kind == MM_WISH_TOKEN || digits == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char texts[3][128];
    mm_reader_t reader = mm_reader(data, size);
    mm_panel_model_t model;
    mm_panel_t panel;
    mm_panel_wish_t wish;
    mm_canvas_t canvas;
    mm_canvas_t again;
    mm_us_t now = 0;
    bool down = false;
    mm_panel_init(&panel, now);
    take_model(&reader, &model, texts);
    for (unsigned count = 0; count < 300 && !reader.failed; count++) {
        uint8_t what = mm_get_u8(&reader);
        now += (mm_us_t)(what >> 3) * 40000;
        switch (what & 7) {
        case 0:
            take_model(&reader, &model, texts);
            break;
        case 1:
            take_text(&reader, texts[0], 127);
            mm_panel_notice(&panel, texts[0], now);
            break;
        case 2:
            mm_panel_wake(&panel, mm_get_u32(&reader), now);
            break;
        case 3:
            now += (mm_us_t)mm_get_u8(&reader) * MM_US_PER_S;
            break;
        default:
            down = !down;
            mm_panel_on_button(&panel, down, &model, now);
            break;
        }
        (void)mm_panel_poll(&panel, &model, now);
        mm_panel_draw(&panel, &model, now, &canvas);
        mm_panel_draw(&panel, &model, now, &again);
        MM_ASSERT(memcmp(&canvas, &again, sizeof canvas) == 0);
        if (mm_panel_take_wish(&panel, &wish)) {
            check_wish(&wish);
        }
    }
    return 0;
}
