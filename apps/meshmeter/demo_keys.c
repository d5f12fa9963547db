// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app.h"
#include "demo.h"
#include "device_keys.h"
#include "operators.h"
#include "store.h"

#define OPERATOR "demo"
#define KEY_FILE_BYTES_MAX 256

static int fail(const mm_hq_error_t *error) {
    return app_error(APP_ENVIRONMENT, "demo", "%s", error->text);
}

// One key for each node, made once; in the form in which HQ takes them.
static bool collect_keys(const demo_t *demo, char *csv, size_t csv_bytes) {
    size_t used = 0;
    csv[0] = '\0';
    for (unsigned i = 0; i < demo->options.nodes; i++) {
        char directory[DEMO_PATH_BYTES + 32];
        char path[DEMO_PATH_BYTES + 64];
        size_t size = 0;
        snprintf(directory, sizeof directory, "%s/node-%u", demo->options.state_directory, i + 1);
        if (!app_path(path, sizeof path, directory, DEMO_DEVICE_KEY) ||
            (access(path, F_OK) != 0 && !demo_make_secret(directory, DEMO_DEVICE_KEY, ""))) {
            return false;
        }
        char *key = app_read_file(path, KEY_FILE_BYTES_MAX, &size);
        if (key == NULL) {
            return false;
        }
        key[strcspn(key, "\r\n")] = '\0';
        used += (size_t)snprintf(csv + used, csv_bytes - used, "02:6d:6d:00:00:%02x,%s\n", i + 1, key);
        explicit_bzero(key, size);
        free(key);
    }
    return used < csv_bytes;
}

// The operator's token is in a file beside the database; if one of the two was replaced there is a new one.
static int prepare_operator(const demo_t *demo, mm_desk_t *desk) {
    char path[DEMO_PATH_BYTES + 64];
    char token[MM_OPERATOR_TOKEN_BYTES];
    char name[MM_OPERATOR_NAME_CHARS_MAX + 1];
    mm_hq_error_t error;
    size_t size = 0;
    if (!app_path(path, sizeof path, demo->options.state_directory, DEMO_OPERATOR_TOKEN)) {
        return APP_ENVIRONMENT;
    }
    char *known = app_read_file(path, KEY_FILE_BYTES_MAX, &size);
    if (known != NULL) {
        known[strcspn(known, "\r\n")] = '\0';
        bool good = mm_operator_of(desk, known, name);
        free(known);
        if (good) {
            return APP_OK;
        }
    }
    (void)mm_operator_remove(desk, OPERATOR, demo_wall_us(demo), &error);
    if (mm_operator_add(desk, OPERATOR, demo_wall_us(demo), token, &error) != MM_DESK_OK) {
        return fail(&error);
    }
    char line[MM_OPERATOR_TOKEN_BYTES + 1];
    snprintf(line, sizeof line, "%s\n", token);
    bool written = app_write_file(path, line);
    explicit_bzero(token, sizeof token);
    explicit_bzero(line, sizeof line);
    return written ? APP_OK : app_error(APP_ENVIRONMENT, "demo", "cannot write %s: %s", path, strerror(errno));
}

static int prepare(const demo_t *demo, const char *database, const char *csv) {
    mm_hq_error_t error;
    int added = 0;
    // HQ is not running yet, and only the store makes a database or brings one up to date.
    mode_t before = umask(0077);
    mm_store_t *store = mm_store_open(database, NULL, &error);
    (void)umask(before);
    if (store == NULL) {
        return fail(&error);
    }
    mm_store_close(store);
    mm_desk_t *desk = mm_desk_open(NULL, database, &error);
    if (desk == NULL) {
        return fail(&error);
    }
    int code = mm_device_keys_import(desk, csv, demo_wall_us(demo), &added, &error) == MM_DESK_OK
                   ? prepare_operator(demo, desk)
                   : fail(&error);
    mm_desk_close(desk);
    return code;
}

int demo_keys_prepare(const demo_t *demo) {
    static char s_csv[DEMO_NODES_MAX * 96];
    char database[DEMO_PATH_BYTES + 32];
    if (!collect_keys(demo, s_csv, sizeof s_csv) ||
        !app_path(database, sizeof database, demo->options.state_directory, "hq.db")) {
        return app_error(APP_ENVIRONMENT, "demo", "cannot make the keys of the nodes in %s: %s",
                         demo->options.state_directory, strerror(errno));
    }
    int code = prepare(demo, database, s_csv);
    explicit_bzero(s_csv, sizeof s_csv);
    return code;
}

bool demo_write_url(const demo_t *demo) {
    char path[DEMO_PATH_BYTES + 32];
    char text[128];
    const char *address = demo->options.http_address;
    snprintf(text, sizeof text, "http://%s:%u\n", strcmp(address, "0.0.0.0") == 0 ? "127.0.0.1" : address,
             demo->options.http_port);
    return app_path(path, sizeof path, demo->options.state_directory, DEMO_HQ_URL) && app_write_file(path, text);
}
