// SPDX-License-Identifier: Apache-2.0
#include "fake_log.h"

#include <esp_err.h>
#include <esp_log.h>
#include <stdio.h>
#include <string.h>

#include "fake.h"

static char s_text[16384];
static size_t s_text_bytes;
static vprintf_like_t s_vprintf;

static void reset(void) {
    s_text_bytes = 0;
    s_text[0] = '\0';
    s_vprintf = NULL;
}

FAKE_ON_RESET(reset)

static void append(const char *part) {
    size_t part_bytes = strlen(part);
    if (s_text_bytes + part_bytes + 1 > sizeof s_text) {
        s_text_bytes = 0;
    }
    memcpy(s_text + s_text_bytes, part, part_bytes + 1);
    s_text_bytes += part_bytes;
}

void esp_log_write(esp_log_level_t level, const char *tag, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (s_vprintf != NULL) {
        (void)s_vprintf(format, arguments);
    } else {
        char line[512];
        char message[400];
        (void)vsnprintf(message, sizeof message, format, arguments);
        (void)snprintf(line, sizeof line, "%c %s: %s\n", "NEWIDV"[level], tag, message);
        append(line);
    }
    va_end(arguments);
}

void esp_log_level_set(const char *tag, esp_log_level_t level) {
    (void)tag;
    (void)level;
}

vprintf_like_t esp_log_set_vprintf(vprintf_like_t func) {
    vprintf_like_t before = s_vprintf;
    s_vprintf = func;
    return before;
}

const char *esp_err_to_name(esp_err_t code) {
    return code == ESP_OK ? "ESP_OK" : "ESP_ERR";
}

const char *fake_log_text(void) {
    return s_text;
}

bool fake_log_contains(const char *part) {
    return strstr(s_text, part) != NULL;
}
