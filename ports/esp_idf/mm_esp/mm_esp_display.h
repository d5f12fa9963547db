// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_DISPLAY_H
#define MM_ESP_DISPLAY_H

#include "meshmeter/canvas.h"
#include "mm_esp_i2c.h"

/// SSD1306, 128 x 64 (Solomon Systech data sheet, commands of chapter 9). Sends only the pages (rows of 8 dots) that
/// have changed. A display that is not there, or has gone, is no error of the node: it is asked again every
/// MM_ESP_DISPLAY_RETRY_S and then sent as a whole. 1.1 KB.

#define MM_ESP_DISPLAY_RETRY_S 10
#define MM_ESP_DISPLAY_TIMEOUT_MS 20
#define MM_ESP_DISPLAY_PAGES (MM_CANVAS_HEIGHT / 8)

typedef struct {
    void *device; ///< NULL: no bus
    bool is_on;   ///< set up, and answers
    bool is_lit;
    mm_canvas_t shown; ///< what it has, if is_on
    // wait: a display that does not answer is plugged in again | until MM_ESP_DISPLAY_RETRY_S | then it is set up anew
    mm_us_t retry_at;
} mm_esp_display_t;

/// bus may be not open: then nothing is ever shown.
void mm_esp_display_open(mm_esp_display_t *self, mm_esp_i2c_t *bus, uint8_t address);
/// Show a picture; one without dots turns the display off. At most 8 pages, 3 ms each, unless it does not answer.
void mm_esp_display_show(mm_esp_display_t *self, const mm_canvas_t *canvas, mm_us_t now);
void mm_esp_display_close(mm_esp_display_t *self);

#endif
