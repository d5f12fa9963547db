// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_console.h"

#include <string.h>

#define PIECE_BYTES 64

mm_err_t mm_esp_console_open(mm_esp_console_t *self, const mm_esp_serial_t *serial, mm_esp_console_line_fn *line,
                             void *context) {
    *self = (mm_esp_console_t){.serial = serial, .line = line, .context = context, .answer_until = MM_US_NEVER};
    if (serial->open() != MM_OK) {
        return MM_ERR_UNAVAILABLE;
    }
    self->is_open = true;
    return MM_OK;
}

static mm_us_t answer_deadline(mm_us_t now) {
    return now + MM_ESP_CONSOLE_ANSWER_MS * (MM_US_PER_S / 1000);
}

// As much as the driver takes without waiting. True: nothing is left.
static bool send_answer(mm_esp_console_t *self, mm_us_t now) {
    while (self->sent_bytes < self->answer_bytes) {
        size_t sent = self->serial->write(self->answer + self->sent_bytes, self->answer_bytes - self->sent_bytes);
        self->sent_bytes += sent;
        if (sent > 0) {
            self->answer_until = answer_deadline(now);
        } else if (now < self->answer_until) {
            return false;
        } else {
            self->is_cut = true;
            break;
        }
    }
    // A line may have held a secret, and its answer repeat it.
    memset(self->answer, 0, self->answer_bytes);
    self->answer_bytes = 0;
    self->sent_bytes = 0;
    self->answer_until = MM_US_NEVER;
    return true;
}

// The answer to a line, behind what tells it from the piece of another one that is still in the driver.
static void end_line(mm_esp_console_t *self, mm_us_t now) {
    size_t begin = self->is_cut ? 1 : 0;
    self->answer[0] = '\n';
    if (self->is_overlong) {
        static const char refusal[] = "error: the line is too long\n";
        memcpy(self->answer + begin, refusal, sizeof refusal - 1);
        self->answer_bytes = begin + sizeof refusal - 1;
    } else if (self->chars > 0) {
        size_t capacity_bytes = sizeof self->answer - begin;
        self->text[self->chars] = '\0';
        size_t bytes_count = self->line(self->context, self->text, self->answer + begin, capacity_bytes);
        MM_ASSERT(bytes_count <= capacity_bytes);
        self->answer_bytes = begin + bytes_count;
    }
    self->is_cut = self->is_cut && self->answer_bytes == 0;
    self->answer_until = answer_deadline(now);
    memset(self->text, 0, sizeof self->text);
    self->chars = 0;
    self->is_overlong = false;
}

static void take_byte(mm_esp_console_t *self, char byte, mm_us_t now) {
    if (byte == '\n' || byte == '\r') {
        end_line(self, now);
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
    for (int i = 0; send_answer(self, now) && i < PIECE_BYTES; i++) {
        char byte = 0;
        if (self->serial->read(&byte, 1) != 1) {
            break;
        }
        take_byte(self, byte, now);
    }
    return now + MM_ESP_CONSOLE_POLL_MS * (MM_US_PER_S / 1000);
}

void mm_esp_console_close(mm_esp_console_t *self) {
    if (self->is_open) {
        self->serial->close();
        self->is_open = false;
    }
    memset(self->text, 0, sizeof self->text);
}
