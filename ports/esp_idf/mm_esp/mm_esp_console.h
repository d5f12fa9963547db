// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_CONSOLE_H
#define MM_ESP_CONSOLE_H

#include "meshmeter/base.h"

/// Lines over UART 0, for somebody at the device. Bytes are taken by the owner's poll (the driver's interrupt keeps
/// them meanwhile), a whole line goes to `line`, in the owner's task, and its answer goes back. Never waits: what the
/// driver's buffer has no room for is sent by the next poll, in a buffer of its own; a line that is too long is
/// refused.

#define MM_ESP_CONSOLE_LINE_CHARS_MAX 511
#define MM_ESP_CONSOLE_ANSWER_BYTES_MAX 2048
#define MM_ESP_CONSOLE_POLL_MS 50

/// line: terminated, without its end; may be written to. Returns the bytes of the answer, at most capacity_bytes.
typedef size_t mm_esp_console_line_fn(void *context, char *line, char *answer, size_t capacity_bytes);

typedef struct {
    mm_esp_console_line_fn *line;
    void *context;
    bool is_open;
    bool is_overlong;
    size_t chars;
    char text[MM_ESP_CONSOLE_LINE_CHARS_MAX + 1];
    size_t answer_bytes; ///< to be sent
    size_t sent_bytes;
    char answer[MM_ESP_CONSOLE_ANSWER_BYTES_MAX];
} mm_esp_console_t;

/// MM_ERR_UNAVAILABLE: the SDK refused; there is no console then.
mm_err_t mm_esp_console_open(mm_esp_console_t *self, mm_esp_console_line_fn *line, void *context);
/// Returns the next deadline.
mm_us_t mm_esp_console_poll(mm_esp_console_t *self, mm_us_t now);
void mm_esp_console_close(mm_esp_console_t *self);

#endif
