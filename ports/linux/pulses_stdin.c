// SPDX-License-Identifier: Apache-2.0
#include "pulses_stdin.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define READS_MAX 16

static uint64_t count_at(void *context, uint8_t channel, mm_utc_t utc) {
    const mm_pulses_stdin_t *self = context;
    MM_ASSERT(channel < MM_CHANNELS);
    (void)utc;
    return self->counts[channel];
}

void mm_pulses_stdin_init(mm_pulses_stdin_t *self, int file, uint32_t generation,
                          mm_pulses_stdin_bad_line_fn *on_bad_line, void *context) {
    *self = (mm_pulses_stdin_t){
        .source = {.count = count_at, .context = self, .generation = generation},
        .file = file,
        .on_bad_line = on_bad_line,
        .context = context,
    };
}

// Digits up to `max`; moves *text behind them.
static bool read_number(const char **text, uint32_t max, uint32_t *number) {
    size_t digits = strspn(*text, "0123456789");
    if (digits == 0 || digits > 9) {
        return false;
    }
    *number = 0;
    for (size_t i = 0; i < digits; i++) {
        *number = *number * 10 + (uint32_t)((*text)[i] - '0');
    }
    *text += digits;
    return *number <= max;
}

static bool take_pulses(mm_pulses_stdin_t *self, const char *line) {
    uint32_t channel = 0;
    uint32_t count = 0;
    const char *text = line;
    if (!read_number(&text, MM_CHANNELS, &channel) || channel == 0) {
        return false;
    }
    size_t blanks = strspn(text, " \t");
    text += blanks;
    if (blanks == 0 || !read_number(&text, MM_PULSES_STDIN_COUNT_MAX, &count)) {
        return false;
    }
    if (text[strspn(text, " \t\r")] != '\0') {
        return false;
    }
    self->counts[channel - 1] += count;
    return true;
}

static bool end_line(mm_pulses_stdin_t *self) {
    self->line[self->line_bytes] = '\0';
    self->line_number++;
    const char *line = self->line + strspn(self->line, " \t\r");
    bool has_zero = strlen(self->line) != self->line_bytes;
    bool is_comment = !has_zero && (*line == '\0' || *line == '#');
    bool counted = !has_zero && !self->overlong && !is_comment && take_pulses(self, line);
    if (!counted && (!is_comment || (self->overlong && *line != '#'))) {
        self->bad_lines++;
        if (self->on_bad_line != NULL) {
            self->on_bad_line(self->context, self->line_number, self->line);
        }
    }
    self->line_bytes = 0;
    self->overlong = false;
    return counted;
}

static bool take_bytes(mm_pulses_stdin_t *self, const char *bytes, size_t bytes_count) {
    bool counted = false;
    for (size_t i = 0; i < bytes_count; i++) {
        if (bytes[i] == '\n') {
            counted |= end_line(self);
        } else if (self->line_bytes < MM_PULSES_STDIN_LINE_BYTES_MAX) {
            self->line[self->line_bytes++] = bytes[i];
        } else {
            self->overlong = true;
        }
    }
    return counted;
}

bool mm_pulses_stdin_poll(mm_pulses_stdin_t *self) {
    bool counted = false;
    for (int i = 0; i < READS_MAX && self->file >= 0; i++) {
        // Asked first instead of O_NONBLOCK: that flag would belong to everybody who shares this terminal.
        struct pollfd item = {.fd = self->file, .events = POLLIN};
        if (poll(&item, 1, 0) <= 0) {
            break;
        }
        char bytes[4096];
        // no wait: poll said that there is something
        ssize_t got = read(self->file, bytes, sizeof bytes);
        if (got > 0) {
            counted |= take_bytes(self, bytes, (size_t)got);
        } else if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
            self->file = -1;
            if (self->line_bytes > 0) {
                counted |= end_line(self);
            }
        }
    }
    return counted;
}
