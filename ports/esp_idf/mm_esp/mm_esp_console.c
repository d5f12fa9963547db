// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_console.h"

#include <driver/uart.h>
#include <string.h>

#define PORT UART_NUM_0
#define RX_BYTES 512
#define TX_BYTES 512
#define PIECE_BYTES 64
// The driver keeps a head for each piece that waits.
#define TX_HEAD_BYTES 32

mm_err_t mm_esp_console_open(mm_esp_console_t *self, mm_esp_console_line_fn *line, void *context) {
    *self = (mm_esp_console_t){.line = line, .context = context};
    if (uart_driver_install(PORT, RX_BYTES, TX_BYTES, 0, NULL, 0) != ESP_OK) {
        return MM_ERR_UNAVAILABLE;
    }
    self->is_open = true;
    return MM_OK;
}

// As much as the driver takes without waiting. True: nothing is left.
static bool send_answer(mm_esp_console_t *self) {
    while (self->sent_bytes < self->answer_bytes) {
        size_t room = 0;
        if (uart_get_tx_buffer_free_size(PORT, &room) != ESP_OK || room <= TX_HEAD_BYTES) {
            return false;
        }
        size_t part = self->answer_bytes - self->sent_bytes;
        part = part < room - TX_HEAD_BYTES ? part : room - TX_HEAD_BYTES;
        // no wait: not more than the driver has room for
        int sent = uart_write_bytes(PORT, self->answer + self->sent_bytes, part);
        if (sent <= 0) {
            return false;
        }
        self->sent_bytes += (size_t)sent;
    }
    // A line may have held a secret, and its answer repeat it.
    memset(self->answer, 0, self->answer_bytes);
    self->answer_bytes = 0;
    self->sent_bytes = 0;
    return true;
}

static void end_line(mm_esp_console_t *self) {
    if (self->is_overlong) {
        static const char refusal[] = "error: the line is too long\n";
        memcpy(self->answer, refusal, sizeof refusal - 1);
        self->answer_bytes = sizeof refusal - 1;
    } else if (self->chars > 0) {
        self->text[self->chars] = '\0';
        self->answer_bytes = self->line(self->context, self->text, self->answer, sizeof self->answer);
        MM_ASSERT(self->answer_bytes <= sizeof self->answer);
    }
    memset(self->text, 0, sizeof self->text);
    self->chars = 0;
    self->is_overlong = false;
}

static void take_byte(mm_esp_console_t *self, char byte) {
    if (byte == '\n' || byte == '\r') {
        end_line(self);
    } else if (byte == '\b' || byte == 0x7F) {
        self->chars -= self->chars > 0 ? 1 : 0;
    } else if (self->chars < MM_ESP_CONSOLE_LINE_CHARS_MAX) {
        self->text[self->chars++] = byte;
    } else {
        self->is_overlong = true;
    }
}

mm_us_t mm_esp_console_poll(mm_esp_console_t *self, mm_us_t now) {
    if (!self->is_open) {
        return MM_US_NEVER;
    }
    // One byte after the other, so that what follows a line stays with the driver until its answer is on the way.
    for (int i = 0; send_answer(self) && i < PIECE_BYTES; i++) {
        char byte = 0;
        // no wait: 0 ticks
        if (uart_read_bytes(PORT, &byte, 1, 0) != 1) {
            break;
        }
        take_byte(self, byte);
    }
    return now + MM_ESP_CONSOLE_POLL_MS * (MM_US_PER_S / 1000);
}

void mm_esp_console_close(mm_esp_console_t *self) {
    if (self->is_open) {
        (void)uart_driver_delete(PORT);
        self->is_open = false;
    }
    memset(self->text, 0, sizeof self->text);
}
