// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "decode.h"

#define INPUT_BYTES_MAX (16 * 1024 * 1024)

static void print_help(void) {
    puts("usage: meshmeter decode [--hex] [FILE|-]\n\n"
         "Show a message as JSON: a mesh frame, a batch or an acknowledgement of MQTT, or the original's month data "
         "(JSON)\n"
         "and 74-byte binary records. FILE holds the bytes; - or nothing is standard input.\n\n"
         "  --hex   the input is hexadecimal text; blanks and lines that begin with # are skipped\n\n"
         "Exit code 1 if the input, or a part of it, is damaged or of a later version.");
}

// In place: two digits become a byte. False at anything that is not a digit, blank or comment.
static bool from_hex(char *text, size_t *size) {
    size_t digits = 0;
    unsigned char byte = 0;
    bool comment = false;
    for (size_t i = 0; i < *size; i++) {
        unsigned char character = (unsigned char)text[i];
        comment = character != '\n' && (comment || character == '#');
        if (comment || isspace(character)) {
            continue;
        }
        if (!isxdigit(character)) {
            return false;
        }
        int value = isdigit(character) ? character - '0' : tolower(character) - 'a' + 10;
        byte = (unsigned char)(byte << 4 | value);
        if (++digits % 2 == 0) {
            text[digits / 2 - 1] = (char)byte;
        }
    }
    *size = digits / 2;
    return digits % 2 == 0;
}

int command_decode(int argc, char **argv) {
    static const struct option options[] = {
        {"hex", no_argument, NULL, 'x'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    bool hex = false;
    for (int option = 0; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'h') {
            print_help();
            return APP_OK;
        }
        if (option != 'x') {
            return APP_USAGE;
        }
        hex = true;
    }
    if (argc - optind > 1) {
        return app_error(APP_USAGE, "decode", "one FILE at a time; see meshmeter decode --help");
    }
    const char *path = optind < argc ? argv[optind] : "-";
    const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
    size_t size = 0;
    char *bytes = app_read_file(path, INPUT_BYTES_MAX, &size);
    if (bytes == NULL) {
        return app_error(APP_ENVIRONMENT, "decode", "%s: cannot be read: %s", name, strerror(errno));
    }
    if (hex && !from_hex(bytes, &size)) {
        free(bytes);
        return app_error(APP_CHECK_FAILED, "decode", "%s: is not hexadecimal text", name);
    }
    cJSON *json = NULL;
    mm_err_t err = mm_decode_json(bytes, size, &json);
    free(bytes);
    char *text = json != NULL ? cJSON_Print(json) : NULL;
    if (text != NULL) {
        puts(text);
    }
    cJSON_free(text);
    cJSON_Delete(json);
    if (err != MM_OK) {
        return app_error(APP_CHECK_FAILED, "decode", "%s: %s", name, mm_err_name(err));
    }
    return text != NULL ? APP_OK : app_error(APP_ENVIRONMENT, "decode", "out of memory");
}
