// SPDX-License-Identifier: Apache-2.0
#include "keys_series.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "app.h"
#include "clock.h"
#include "device_keys.h"
#include "store_query.h"

#define COUNT_MAX 100000
#define LAST 0xFFFFFF
#define LINE_BYTES (17 + 1 + 2 * MM_DEVICE_KEY_BYTES + 1)

/// What the options say.
typedef struct {
    uint32_t oui;
    uint32_t first;
    int64_t count;
} range_t;

// Exactly so many hex digits; `between` every two of them, or nothing ('\0').
static bool parse_hex(const char *text, char between, uint32_t *value) {
    *value = 0;
    for (int digit = 0; digit < 6; digit++, text++) {
        if (between != '\0' && digit > 0 && digit % 2 == 0) {
            if (*text != between) {
                return false;
            }
            text++;
        }
        const char *const digits = "0123456789abcdef";
        const char *found = *text != '\0' ? strchr(digits, *text >= 'A' && *text <= 'F' ? *text + 32 : *text) : NULL;
        if (found == NULL) {
            return false;
        }
        *value = *value * 16 + (uint32_t)(found - digits);
    }
    return *text == '\0';
}

static int read_range(const keys_series_t *series, range_t *range) {
    if (series->count == NULL || series->oui == NULL || series->from == NULL) {
        return app_error(APP_USAGE, "keys", "a series needs --count N, --oui XX:XX:XX and --from NNNNNN");
    }
    if (!app_parse_number(series->count, 1, COUNT_MAX, &range->count)) {
        return app_error(APP_USAGE, "keys", "--count %s: must be 1 to %d", series->count, COUNT_MAX);
    }
    if ((!parse_hex(series->oui, ':', &range->oui) && !parse_hex(series->oui, '-', &range->oui) &&
         !parse_hex(series->oui, '\0', &range->oui)) ||
        (range->oui & 0x010000) != 0) {
        return app_error(APP_USAGE, "keys",
                         "--oui %s: expected the first 3 bytes of an address, like 02:4d:4d; the "
                         "first one is even",
                         series->oui);
    }
    if (!parse_hex(series->from, '\0', &range->first)) {
        return app_error(APP_USAGE, "keys", "--from %s: expected 6 hex digits, like 0010a0", series->from);
    }
    if ((int64_t)range->first + range->count - 1 > LAST || (range->oui == 0 && range->first == 0)) {
        return app_error(APP_USAGE, "keys", "--from %s and --count %s: the addresses do not go so far", series->from,
                         series->count);
    }
    if (series->import && series->database == NULL) {
        return app_error(APP_USAGE, "keys", "--import: into which --database FILE?");
    }
    if (!series->import && series->database != NULL) {
        return app_error(APP_USAGE, "keys", "--database is for --import; without it HQ gets no key");
    }
    return APP_OK;
}

static bool write_lines(const range_t *range, char *text) {
    for (int64_t index = 0; index < range->count; index++) {
        uint8_t key[MM_DEVICE_KEY_BYTES];
        char mac_text[MM_MAC_TEXT_BYTES];
        uint32_t tail = range->first + (uint32_t)index;
        const mm_mac_t mac = {{(uint8_t)(range->oui >> 16), (uint8_t)(range->oui >> 8), (uint8_t)range->oui,
                               (uint8_t)(tail >> 16), (uint8_t)(tail >> 8), (uint8_t)tail}};
        // wait: the kernel's random numbers are ready, once after power-up | until outside: the kernel | then a key is
        // made of them
        if (getrandom(key, sizeof key, 0) != (ssize_t)sizeof key) {
            return false;
        }
        mm_mac_print(mac, mac_text);
        text += snprintf(text, LINE_BYTES + 1, "%s,", mac_text);
        for (size_t byte = 0; byte < sizeof key; byte++) {
            text += snprintf(text, 3, "%02x", key[byte]);
        }
        *text++ = '\n';
        *text = '\0';
        explicit_bzero(key, sizeof key);
    }
    return true;
}

static void warn_of_readers(void) {
    struct stat info;
    if (fstat(fileno(stdout), &info) == 0 && S_ISREG(info.st_mode) && (info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        fputs("meshmeter keys: others can read the file with the keys; chmod 600, or umask 077 before\n", stderr);
    }
}

static int import(const keys_series_t *series, const char *text) {
    mm_hq_error_t error;
    const mm_hq_clock_t clock = {0};
    int added = 0;
    mm_desk_t *desk = mm_desk_open(NULL, series->database, &error);
    if (desk == NULL) {
        return app_error(APP_ENVIRONMENT, "keys", "%s; the keys that were printed are not imported", error.text);
    }
    mm_desk_result_t result = mm_device_keys_import(desk, text, mm_hq_clock_now(&clock).utc_us, &added, &error);
    mm_desk_close(desk);
    if (result != MM_DESK_OK) {
        return app_error(result == MM_DESK_UNAVAILABLE ? APP_ENVIRONMENT : APP_USAGE, "keys",
                         "%s; throw the printed keys away", error.text);
    }
    fprintf(stderr, "%d new key%s\n", added, added == 1 ? "" : "s");
    return APP_OK;
}

int keys_series_make(const keys_series_t *series) {
    range_t range;
    int code = read_range(series, &range);
    if (code != APP_OK) {
        return code;
    }
    size_t bytes = (size_t)range.count * LINE_BYTES + 1;
    char *text = malloc(bytes);
    if (text == NULL) {
        return app_error(APP_ENVIRONMENT, "keys", "out of memory");
    }
    if (!write_lines(&range, text)) {
        code = app_error(APP_ENVIRONMENT, "keys", "no random numbers from the system");
    } else if (fputs(text, stdout) == EOF || fflush(stdout) != 0) {
        code = app_error(APP_ENVIRONMENT, "keys", "the keys could not be written; none was imported");
    } else {
        warn_of_readers();
        code = series->import ? import(series, text) : APP_OK;
    }
    explicit_bzero(text, bytes);
    free(text);
    return code;
}
