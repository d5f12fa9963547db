// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_CONSOLE_H
#define MM_ESP_CONSOLE_H

#include "meshmeter/base.h"
#include "mm_esp_serial.h"

/// Lines for somebody at the device, over UART or USB. Bytes are taken by the owner's poll (the driver's interrupt
/// keeps them meanwhile), a whole line goes to `line`, in the owner's task, and its answer goes back. Never waits: what
/// the driver's buffer has no room for is sent by the next poll, in a buffer of its own. When nobody has taken any of
/// an answer for MM_ESP_CONSOLE_ANSWER_MS, the rest is dropped and the next line is taken, whose answer then begins
/// with an empty line. A line that is too long is refused.

#define MM_ESP_CONSOLE_LINE_CHARS_MAX 511
#define MM_ESP_CONSOLE_ANSWER_BYTES_MAX 2048
#define MM_ESP_CONSOLE_POLL_MS 50
#define MM_ESP_CONSOLE_ANSWER_MS 5000

/// line: terminated, without its end; may be written to. Returns the bytes of the answer, at most capacity_bytes.
typedef size_t mm_esp_console_line_fn(void *context, char *line, char *answer, size_t capacity_bytes);

typedef struct {
    const mm_esp_serial_t *serial;
    mm_esp_console_line_fn *line;
    void *context;
    bool is_open;
    bool is_overlong;
    size_t chars;
    char text[MM_ESP_CONSOLE_LINE_CHARS_MAX + 1];
    size_t answer_bytes; ///< to be sent
    size_t sent_bytes;
    // wait: somebody takes the answer | until MM_ESP_CONSOLE_ANSWER_MS | then the rest of it is dropped
    mm_us_t answer_until;
    bool is_cut; ///< the last answer was
    char answer[MM_ESP_CONSOLE_ANSWER_BYTES_MAX];
} mm_esp_console_t;

/// MM_ERR_UNAVAILABLE: the SDK refused; there is no console then.
mm_err_t mm_esp_console_open(mm_esp_console_t *self, const mm_esp_serial_t *serial, mm_esp_console_line_fn *line,
                             void *context);
/// Returns the next deadline.
mm_us_t mm_esp_console_poll(mm_esp_console_t *self, mm_us_t now);
void mm_esp_console_close(mm_esp_console_t *self);

#endif
