// SPDX-License-Identifier: Apache-2.0
#ifndef MM_PANEL_SUPPORT_H
#define MM_PANEL_SUPPORT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meshmeter/panel.h"
#include "test_support.h"

/// 2026-11-28 14:05:09
#define LOCAL_S INT64_C(1795874709)
#define MS ((mm_us_t)1000)
#define S MM_US_PER_S

/// A node that runs, with a prepaid meter, one that is locked and a postpaid one, on channels 1, 3 and 8.
static inline mm_panel_model_t panel_model(void) {
    mm_panel_model_t model = {.state = MM_LIFE_RUNNING,
                              .site = "linden-street-7",
                              .mac = {{0x02, 0x6d, 0x6d, 0x0a, 0xb1, 0xc2}},
                              .layer = 2,
                              .attached = true,
                              .uptime_s = 93784,
                              .time_known = true,
                              .local_s = LOCAL_S,
                              .version = "0.1.0",
                              .ota_percent = MM_PANEL_OTA_NONE};
    model.meters[0] = (mm_panel_meter_t){.id = "1-flat-1",
                                         .energy_wh = 12345678,
                                         .power_w = 1234,
                                         .prepaid = true,
                                         .balance_wh = 4321,
                                         .low = true,
                                         .emergency_possible = true};
    model.meters[2] = (mm_panel_meter_t){.id = "1-flat-3",
                                         .energy_wh = 987654,
                                         .prepaid = true,
                                         .balance_wh = -512,
                                         .relay_reasons = MM_RELAY_LOCKED | MM_RELAY_NO_CREDIT};
    model.meters[7] = (mm_panel_meter_t){.id = "1-stairs", .energy_wh = 4711, .power_w = 60};
    return model;
}

/// Every text and number as long as it can be.
static inline mm_panel_model_t panel_longest_model(void) {
    mm_panel_model_t model = panel_model();
    strcpy(model.site, "abcdefghijk-mnopqrstuvw");
    model.layer = UINT8_MAX;
    model.backlog = UINT32_MAX;
    model.uptime_s = UINT32_MAX;
    model.version = "12345.67890.1";
    model.number = 88888888;
    model.number_left_s = UINT32_MAX;
    model.address = "http://[2001:db8:1111:2222:3333:4444:5555:6666]/";
    for (unsigned i = 0; i < MM_CHANNELS; i++) {
        strcpy(model.meters[i].id, "123456789012");
        model.meters[i].energy_wh = UINT64_MAX;
        model.meters[i].power_w = UINT32_MAX;
        model.meters[i].prepaid = true;
        model.meters[i].balance_wh = -MM_CREDIT_WH_MAX;
        model.meters[i].relay_reasons = i % 2 == 0 ? MM_RELAY_REASONS_ALL : 0;
        model.meters[i].low = true;
        model.meters[i].emergency_possible = true;
        model.meters[i].lock_out_s = i % 2 == 0 ? MM_CREDIT_LOCK_OUT_MAX_S : 0;
    }
    return model;
}

/// Press and let go; *now moves on.
static inline void panel_press(mm_panel_t *panel, const mm_panel_model_t *model, bool is_long, mm_us_t *now) {
    *now += 200 * MS;
    mm_panel_on_button(panel, true, model, *now);
    *now += is_long ? MM_PANEL_LONG_PRESS_MS * MS : 100 * MS;
    (void)mm_panel_poll(panel, model, *now);
    mm_panel_on_button(panel, false, model, *now);
}

/// "s" and "l" of `presses` in turn.
static inline void panel_presses(mm_panel_t *panel, const mm_panel_model_t *model, const char *presses, mm_us_t *now) {
    for (; *presses != '\0'; presses++) {
        panel_press(panel, model, *presses == 'l', now);
    }
}

#define CANVAS_TEXT_BYTES (MM_CANVAS_HEIGHT * (MM_CANVAS_WIDTH + 1) + 1)

static inline void canvas_to_text(const mm_canvas_t *canvas, char text[CANVAS_TEXT_BYTES]) {
    for (int y = 0; y < MM_CANVAS_HEIGHT; y++) {
        for (int x = 0; x < MM_CANVAS_WIDTH; x++) {
            *text++ = mm_canvas_get(canvas, x, y) ? '#' : '.';
        }
        *text++ = '\n';
    }
    *text = '\0';
}

/// The picture is that of tests/vectors/display/<name>.txt; with MM_UPDATE_GOLDEN=1 that file is written, to be looked
/// at before it is committed.
static inline void assert_golden(const mm_canvas_t *canvas, const char *name) {
    static char s_now[CANVAS_TEXT_BYTES];
    static char s_golden[CANVAS_TEXT_BYTES + 1];
    char path[512];
    const char *update = getenv("MM_UPDATE_GOLDEN");
    canvas_to_text(canvas, s_now);
    snprintf(path, sizeof path, "%s/tests/vectors/display/%s.txt", MM_SOURCE_DIR, name);
    FILE *file = fopen(path, update != NULL ? "w" : "r");
    if (file == NULL) {
        fail_msg("%s cannot be opened", path);
    }
    if (update != NULL) {
        assert_true(fputs(s_now, file) >= 0);
    } else {
        s_golden[fread(s_golden, 1, CANVAS_TEXT_BYTES, file)] = '\0';
    }
    assert_int_equal(fclose(file), 0);
    if (update == NULL && strcmp(s_now, s_golden) != 0) {
        fail_msg("the picture is not that of %s any more:\n%s", path, s_now);
    }
}

#endif
