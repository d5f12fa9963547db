// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "app.h"
#include "clock.h"
#include "device_keys.h"
#include "keys_series.h"
#include "operators.h"
#include "store_query.h"

#define IMPORT_BYTES_MAX (16 * 1024 * 1024)

// `keys` and `operator` act on HQ's database itself, on HQ's machine.

static void print_keys_help(void) {
    puts("usage: meshmeter keys import FILE | new MAC | list | remove MAC --database FILE\n"
         "       meshmeter keys new --count N --oui XX:XX:XX --from NNNNNN [--import --database FILE] > keys.csv\n\n"
         "The keys of the devices, in HQ's database. HQ commands only devices whose key it has.\n\n"
         "  import FILE     lines MAC,64 HEX DIGITS; '#' begins a comment; all of them or none. - is standard input\n"
         "  new MAC         make a key, put it into the database and print its line: the only time it is shown\n"
         "  list            the devices that have one\n"
         "  new --count N   for manufacture: N devices whose addresses begin with --oui and go on from --from (6 hex\n"
         "                  digits); lines for the devices and for `keys import`, printed once. HQ gets them with "
         "--import\n"
         "  remove MAC      for a device that is made anew; what was ordered of it waits until it has another key\n\n"
         "  --database FILE HQ's database (--db of meshmeter hq)");
}

static void print_operator_help(void) {
    puts("usage: meshmeter operator add NAME | remove NAME | list --database FILE\n\n"
         "Who may change something through HQ's API.\n\n"
         "  add NAME        prints the operator's token: the only time it is shown. NAME: a-z, 0-9, '.', '-'\n"
         "  remove NAME     the token is worth nothing from now on\n"
         "  list            the names\n\n"
         "  --database FILE HQ's database (--db of meshmeter hq)");
}

static int fail(const char *command, mm_desk_result_t result, const mm_hq_error_t *error) {
    return app_error(result == MM_DESK_UNAVAILABLE ? APP_ENVIRONMENT : APP_USAGE, command, "%s", error->text);
}

static int64_t now_us(void) {
    const mm_hq_clock_t clock = {0};
    return mm_hq_clock_now(&clock).utc_us;
}

// The options of both: --database and what to do. Exit code, or -1: go on.
static int parse(int argc, char **argv, const char *command, void (*help)(void), keys_series_t *series) {
    static const struct option options[] = {
        {"database", required_argument, NULL, 'd'}, {"db", required_argument, NULL, 'd'},
        {"count", required_argument, NULL, 'c'},    {"oui", required_argument, NULL, 'o'},
        {"from", required_argument, NULL, 'f'},     {"import", no_argument, NULL, 'i'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0}};
    *series = (keys_series_t){.import = false};
    for (int option = 0; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'h':
            help();
            return APP_OK;
        case 'd':
            series->database = optarg;
            break;
        case 'c':
            series->count = optarg;
            break;
        case 'o':
            series->oui = optarg;
            break;
        case 'f':
            series->from = optarg;
            break;
        case 'i':
            series->import = true;
            break;
        default:
            return APP_USAGE;
        }
    }
    bool is_series = series->count != NULL || series->oui != NULL || series->from != NULL || series->import;
    if (is_series) {
        bool is_new = strcmp(command, "keys") == 0 && argc - optind == 1 && strcmp(argv[optind], "new") == 0;
        return is_new ? keys_series_make(series)
                      : app_error(APP_USAGE, command, "--count, --oui, --from and --import are for `keys new` alone");
    }
    if (series->database == NULL || optind == argc) {
        return app_error(APP_USAGE, command, "what, and in which --database FILE? See meshmeter %s --help", command);
    }
    return -1;
}

// --- keys

static int import(mm_desk_t *desk, const char *path) {
    mm_hq_error_t error;
    size_t size = 0;
    int added = 0;
    char *text = app_read_file(path, IMPORT_BYTES_MAX, &size);
    if (text == NULL) {
        return app_error(APP_ENVIRONMENT, "keys", "%s: %s", path, strerror(errno));
    }
    bool whole = strlen(text) == size;
    mm_desk_result_t result = whole ? mm_device_keys_import(desk, text, now_us(), &added, &error) : MM_DESK_REFUSED;
    explicit_bzero(text, size);
    free(text);
    if (!whole) {
        return app_error(APP_USAGE, "keys", "%s: is no text", path);
    }
    if (result != MM_DESK_OK) {
        return fail("keys", result, &error);
    }
    printf("%d new key%s\n", added, added == 1 ? "" : "s");
    return APP_OK;
}

static int make(mm_desk_t *desk, mm_mac_t mac) {
    mm_hq_error_t error;
    uint8_t key[MM_DEVICE_KEY_BYTES];
    char text[MM_MAC_TEXT_BYTES];
    // wait: the kernel's random numbers are ready, once after power-up | until outside: the kernel | then a key is made
    // of them
    if (getrandom(key, sizeof key, 0) != (ssize_t)sizeof key) {
        return app_error(APP_ENVIRONMENT, "keys", "no random numbers from the system");
    }
    mm_desk_result_t result = mm_device_keys_add(desk, mac, key, now_us(), &error);
    if (result == MM_DESK_OK) {
        mm_mac_print(mac, text);
        printf("%s,", text);
        for (size_t index = 0; index < sizeof key; index++) {
            printf("%02x", key[index]);
        }
        putchar('\n');
    }
    explicit_bzero(key, sizeof key);
    return result == MM_DESK_OK ? APP_OK : fail("keys", result, &error);
}

static bool print_key(void *context, mm_mac_t mac, int64_t added_us) {
    (void)context;
    char text[MM_MAC_TEXT_BYTES];
    char time[21];
    mm_mac_print(mac, text);
    app_format_utc(added_us / 1000000, time);
    printf("%s  since %s\n", text, time);
    return true;
}

static int act_on_keys(mm_desk_t *desk, const char *what, const char *value) {
    mm_hq_error_t error;
    mm_mac_t mac = {{0}};
    if (strcmp(what, "list") == 0 && value == NULL) {
        mm_desk_result_t result = mm_device_keys_list(desk, print_key, NULL, &error);
        return result == MM_DESK_OK ? APP_OK : fail("keys", result, &error);
    }
    if (strcmp(what, "import") == 0 && value != NULL) {
        return import(desk, value);
    }
    bool is_new = strcmp(what, "new") == 0;
    if ((!is_new && strcmp(what, "remove") != 0) || value == NULL) {
        return app_error(APP_USAGE, "keys", "expected import FILE, new MAC, list or remove MAC");
    }
    if (!mm_mac_parse(value, &mac) || mm_mac_is_zero(mac)) {
        return app_error(APP_USAGE, "keys", "'%s' is no address like 02:00:00:00:00:01", value);
    }
    if (is_new) {
        return make(desk, mac);
    }
    mm_desk_result_t result = mm_device_keys_remove(desk, mac, now_us(), &error);
    return result == MM_DESK_OK ? APP_OK : fail("keys", result, &error);
}

// --- operators

static bool print_operator(void *context, const char *name, int64_t added_us) {
    (void)context;
    char time[21];
    app_format_utc(added_us / 1000000, time);
    printf("%s  since %s\n", name, time);
    return true;
}

static int act_on_operators(mm_desk_t *desk, const char *what, const char *value) {
    mm_hq_error_t error;
    mm_desk_result_t result;
    if (strcmp(what, "list") == 0 && value == NULL) {
        result = mm_operator_list(desk, print_operator, NULL, &error);
    } else if (strcmp(what, "add") == 0 && value != NULL) {
        char token[MM_OPERATOR_TOKEN_BYTES];
        result = mm_operator_add(desk, value, now_us(), token, &error);
        if (result == MM_DESK_OK) {
            puts(token);
        }
        explicit_bzero(token, sizeof token);
    } else if (strcmp(what, "remove") == 0 && value != NULL) {
        result = mm_operator_remove(desk, value, now_us(), &error);
    } else {
        return app_error(APP_USAGE, "operator", "expected add NAME, remove NAME or list");
    }
    return result == MM_DESK_OK ? APP_OK : fail("operator", result, &error);
}

// --- both

static int act(int argc, char **argv, const char *command, const char *database,
               int (*work)(mm_desk_t *desk, const char *what, const char *value)) {
    mm_hq_error_t error;
    if (argc - optind > 2) {
        return app_error(APP_USAGE, command, "too many arguments; see meshmeter %s --help", command);
    }
    mm_desk_t *desk = mm_desk_open(NULL, database, &error);
    if (desk == NULL) {
        return app_error(APP_ENVIRONMENT, command, "%s", error.text);
    }
    int code = work(desk, argv[optind], argc - optind == 2 ? argv[optind + 1] : NULL);
    mm_desk_close(desk);
    return code;
}

int command_keys(int argc, char **argv) {
    keys_series_t series;
    int code = parse(argc, argv, "keys", print_keys_help, &series);
    return code >= 0 ? code : act(argc, argv, "keys", series.database, act_on_keys);
}

int command_operator(int argc, char **argv) {
    keys_series_t series;
    int code = parse(argc, argv, "operator", print_operator_help, &series);
    return code >= 0 ? code : act(argc, argv, "operator", series.database, act_on_operators);
}
