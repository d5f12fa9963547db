// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_log.h"

#include <esp_timer.h>
#include <freertos/FreeRTOS.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_BYTES (MM_ESP_LOG_LINE_CHARS_MAX + 1)

static mm_log_level_t s_level = MM_LOG_INFO;
// The newest lines. Bytes are numbered since the start; byte n is at n % MM_ESP_LOG_RING_BYTES. Every line has its end
// inside of the ring, so the oldest whole one begins behind a line end.
static portMUX_TYPE s_lock = portMUX_INITIALIZER_UNLOCKED;
static char s_ring[MM_ESP_LOG_RING_BYTES];
static uint32_t s_begin;
static uint32_t s_end;

void mm_esp_log_set_level(mm_log_level_t level) {
    s_level = level;
}

// Copies a line with its end, at the cost of the oldest ones. A critical section: no other task, no interrupt, for the
// copy of at most LINE_BYTES and the search of as many.
static void keep_line(const char *line, uint32_t line_bytes) {
    portENTER_CRITICAL(&s_lock);
    while (s_end - s_begin + line_bytes > MM_ESP_LOG_RING_BYTES) {
        do {
            s_begin++;
        } while (s_ring[(s_begin - 1) % MM_ESP_LOG_RING_BYTES] != '\n');
    }
    for (uint32_t i = 0; i < line_bytes; i++) {
        s_ring[(s_end + i) % MM_ESP_LOG_RING_BYTES] = line[i];
    }
    s_end += line_bytes;
    portEXIT_CRITICAL(&s_lock);
}

// Where the newest whole lines begin that fit; the newest line if not even that does.
static uint32_t find_tail(size_t capacity_bytes) {
    uint32_t newest = s_end; // until the first line was found
    for (uint32_t at = s_end; at != s_begin;) {
        at--;
        bool is_begin = at == s_begin || s_ring[(at - 1) % MM_ESP_LOG_RING_BYTES] == '\n';
        if (is_begin && (newest == s_end || s_end - at <= capacity_bytes)) {
            newest = at;
        }
        if (newest != s_end && s_end - at > capacity_bytes) {
            break;
        }
    }
    return newest;
}

size_t mm_esp_log_tail(char *text, size_t capacity_bytes) {
    portENTER_CRITICAL(&s_lock);
    uint32_t begin = find_tail(capacity_bytes);
    size_t bytes_count = s_end - begin < capacity_bytes ? s_end - begin : capacity_bytes;
    for (size_t i = 0; i < bytes_count; i++) {
        text[i] = s_ring[(begin + i) % MM_ESP_LOG_RING_BYTES];
    }
    portEXIT_CRITICAL(&s_lock);
    return bytes_count;
}

void mm_esp_log_clear(void) {
    portENTER_CRITICAL(&s_lock);
    s_begin = 0;
    s_end = 0;
    portEXIT_CRITICAL(&s_lock);
}

static char level_letter(mm_log_level_t level) {
    static const char letters[] = {'E', 'W', 'I', 'D'};
    MM_ASSERT((size_t)level < sizeof letters);
    return letters[level];
}

void mm_esp_log(mm_log_level_t level, const char *format, ...) {
    if (level > s_level) {
        return;
    }
    char line[LINE_BYTES + 1];
    int64_t now_ms = esp_timer_get_time() / 1000;
    int prefix = snprintf(line, sizeof line, "%lu.%03lu %c ", (unsigned long)(now_ms / 1000),
                          (unsigned long)(now_ms % 1000), level_letter(level));
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line + prefix, sizeof line - (size_t)prefix, format, arguments);
    va_end(arguments);
    size_t chars = (size_t)prefix + (length > 0 ? (size_t)length : 0);
    if (chars > MM_ESP_LOG_LINE_CHARS_MAX) {
        chars = MM_ESP_LOG_LINE_CHARS_MAX;
    }
    for (size_t i = (size_t)prefix; i < chars; i++) {
        unsigned char character = (unsigned char)line[i];
        if (character < 0x20 || character == 0x7F) {
            line[i] = '?';
        }
    }
    line[chars] = '\n';
    line[chars + 1] = '\0';
    keep_line(line, (uint32_t)chars + 1);
    // The console of the SDK: waits for its UART, at most as long as one line takes (160 characters at 115200: 14 ms);
    // for USB that nobody reads 50 ms behind the last character that somebody took, then it drops what comes.
    (void)fputs(line, stdout);
}

static void write_from_core(void *context, mm_log_level_t level, const char *message, const char *first_name,
                            int64_t first, const char *second_name, int64_t second) {
    (void)context;
    if (second_name != NULL) {
        mm_esp_log(level, "%s %s=%lld %s=%lld", message, first_name, (long long)first, second_name, (long long)second);
    } else if (first_name != NULL) {
        mm_esp_log(level, "%s %s=%lld", message, first_name, (long long)first);
    } else {
        mm_esp_log(level, "%s", message);
    }
}

mm_log_t mm_esp_log_port(void) {
    return (mm_log_t){.write = write_from_core, .context = NULL};
}
