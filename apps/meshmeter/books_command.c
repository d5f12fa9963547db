// SPDX-License-Identifier: Apache-2.0
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_client.h"
#include "app.h"

#define WH_DECIMALS 3
#define FILE_BYTES_MAX 16384

static void print_books_help(void) {
    puts("usage: meshmeter books [--json]\n"
         "       meshmeter books swaps [--json]\n"
         "       meshmeter books transfer N|withdraw N [--request ID]\n\n"
         "Compare, for each prepaid meter, what was sold with what the meter has taken (issued = applied + pending + "
         "void +\n"
         "lost), and what it has taken with what it has used and still has (applied + other = consumed + balance). "
         "What was\n"
         "used is computed from the meter's registers, not from its balance. kWh.\n\n"
         "  other     movements without a purchase: corrections, tokens that set, balances that were lost or given up\n"
         "  sold/used difference of the two sums; a record that is still on its way is marked '~'\n\n"
         "If another meter is on a channel that has credit, that is a swap (those that are open come first), and "
         "nothing "
         "is\n"
         "sold to the channel until somebody decides:\n\n"
         "  transfer  the credit is for the meter that is there now: it replaced the other one, or its id was "
         "corrected\n"
         "  withdraw  it is not: open purchases are taken back and the balance is cleared; it is owed to the other "
         "meter's\n"
         "            customer\n\n" API_CLIENT_HELP "\nExit code 1 if something does not balance.");
}

static void print_tariff_help(void) {
    puts("usage: meshmeter tariff set FILE.json [--request ID]\n"
         "       meshmeter tariff list\n"
         "       meshmeter tariff use SITE NAME [--unit WH] [--request ID]\n\n"
         "A tariff is a file as in docs/spec/api.md. The one called \"default\" is used by every site that names no "
         "other; `use`\n"
         "names one for a site, and the energy of one unit of its tokens (1000 Wh; its nodes must be configured with "
         "the same).\n\n" API_CLIENT_HELP);
}

typedef struct {
    api_client_options_t client;
    const char *request;
    int64_t unit_wh;
    bool json;
    bool help;
} options_t;

static int read_options(const char *command, int argc, char **argv, options_t *options) {
    static const struct option known[] = {API_CLIENT_LONG_OPTIONS,
                                          {"request", required_argument, NULL, 'r'},
                                          {"unit", required_argument, NULL, 'u'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    options->unit_wh = 1000;
    for (int option = 0; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'r':
            options->request = optarg;
            break;
        case 'u':
            if (!app_parse_number(optarg, 1, 100000, &options->unit_wh)) {
                return app_error(APP_USAGE, command, "--unit must be 1 to 100000 Wh");
            }
            break;
        case 'j':
            options->json = true;
            break;
        case 'h':
            options->help = true;
            break;
        default:
            if (!api_client_option(&options->client, option, optarg)) {
                return APP_USAGE;
            }
        }
    }
    return APP_OK;
}

// --- books

static void print_kwh(const cJSON *meter, const char *name) {
    char text[32];
    app_format_decimal(api_number(meter, name), WH_DECIMALS, text);
    printf(" %10s", text);
}

static void print_line(const cJSON *meter) {
    static const char *const names[] = {
        "issued_wh",   "applied_wh", "pending_wh",         "void_wh",           "lost_wh", "other_wh",
        "consumed_wh", "balance_wh", "sold_difference_wh", "used_difference_wh"};
    printf("%-12s", api_text(meter, "meter"));
    for (size_t index = 0; index < sizeof names / sizeof names[0]; index++) {
        print_kwh(meter, names[index]);
    }
    puts(cJSON_IsTrue(cJSON_GetObjectItem(meter, "settled")) ? "" : " ~");
}

static void print_swap(const cJSON *swap) {
    char balance[32];
    char pending[32];
    const char *after = api_text(swap, "after");
    app_format_decimal(api_number(swap, "balance_wh"), WH_DECIMALS, balance);
    app_format_decimal(api_number(swap, "pending_wh"), WH_DECIMALS, pending);
    printf("swap %lld  %s  ", api_number(swap, "id"), api_text(swap, "state"));
    api_print_text(after[0] != '\0' ? after : "no meter");
    printf(" is where ");
    api_print_text(api_text(swap, "before"));
    printf(" was (%s/%lld): balance %s kWh, sold and not taken %s kWh", api_text(swap, "node"),
           api_number(swap, "channel") + 1, balance, pending);
    if (api_text(swap, "decided_by")[0] != '\0') {
        printf(", by %s", api_text(swap, "decided_by"));
    }
    putchar('\n');
}

static void print_swaps(const cJSON *answer) {
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(answer, "swaps")) {
        print_swap(item);
    }
}

static void print_books(const cJSON *answer) {
    static const char *const heads[] = {"issued", "applied",  "pending", "void", "lost",
                                        "other",  "consumed", "balance", "sold", "used"};
    const cJSON *item;
    printf("%-12s", "meter");
    for (size_t index = 0; index < sizeof heads / sizeof heads[0]; index++) {
        printf(" %10s", heads[index]);
    }
    putchar('\n');
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(answer, "meters")) {
        print_line(item);
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(answer, "ledger")) {
        printf("ledger: %s%s debits %lld, credits %lld\n", api_text(item, "unit"),
               strcmp(api_text(item, "unit"), "Wh") == 0 ? "" : " (1/1000 minor units)", api_number(item, "debits"),
               api_number(item, "credits"));
    }
    print_swaps(answer);
    puts(cJSON_IsTrue(cJSON_GetObjectItem(answer, "balanced")) ? "balanced" : "NOT BALANCED");
}

static int compare(api_client_t *client, const options_t *options) {
    cJSON *answer = NULL;
    int code = api_client_ask(client, "books", NULL, &answer, NULL);
    if (code == APP_OK) {
        if (options->json) {
            api_print_json(answer);
        } else {
            print_books(answer);
        }
        code = cJSON_IsTrue(cJSON_GetObjectItem(answer, "balanced")) ? APP_OK : APP_CHECK_FAILED;
    }
    cJSON_Delete(answer);
    return code;
}

static int list_swaps(api_client_t *client, const options_t *options) {
    cJSON *answer = NULL;
    int code = api_client_ask(client, "swaps", NULL, &answer, NULL);
    if (code == APP_OK && options->json) {
        api_print_json(answer);
    } else if (code == APP_OK) {
        print_swaps(answer);
        api_note_none(cJSON_GetObjectItem(answer, "swaps"));
    }
    cJSON_Delete(answer);
    return code;
}

static int decide(api_client_t *client, const options_t *options, const char *verb, const char *number) {
    char path[64];
    char id[33];
    int64_t swap_id;
    cJSON *answer = NULL;
    if (!app_parse_number(number, 1, INT64_MAX / 4, &swap_id)) {
        return app_error(APP_USAGE, "books", "'%s' is no number of a swap; meshmeter books swaps lists them", number);
    }
    if (options->request == NULL && !api_client_request_id(id)) {
        return app_error(APP_ENVIRONMENT, "books", "no random number for the request's id");
    }
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "request", options->request != NULL ? options->request : id);
    snprintf(path, sizeof path, "swaps/%lld/%s", (long long)swap_id, verb);
    int code = api_client_ask(client, path, body, &answer, NULL);
    if (code == APP_OK) {
        printf("swap %lld: %s\n", (long long)swap_id, api_text(answer, "state"));
    }
    cJSON_Delete(body);
    cJSON_Delete(answer);
    return code;
}

int command_books(int argc, char **argv) {
    options_t options = {.help = false};
    api_client_t client;
    int code = read_options("books", argc, argv, &options);
    if (code != APP_OK) {
        return code;
    }
    if (options.help) {
        print_books_help();
        return APP_OK;
    }
    int count = argc - optind;
    const char *verb = count > 0 ? argv[optind] : "";
    bool decides = count == 2 && (strcmp(verb, "transfer") == 0 || strcmp(verb, "withdraw") == 0);
    bool lists = count == 1 && strcmp(verb, "swaps") == 0;
    if (count != 0 && !decides && !lists) {
        return app_error(APP_USAGE, "books", "nothing, swaps, transfer N or withdraw N; see meshmeter books --help");
    }
    code = api_client_open(&client, "books", &options.client);
    if (code != APP_OK) {
        return code;
    }
    code = decides ? decide(&client, &options, verb, argv[optind + 1])
           : lists ? list_swaps(&client, &options)
                   : compare(&client, &options);
    api_client_close(&client);
    return code;
}

// --- tariff

static int post(api_client_t *client, const options_t *options, const char *path, cJSON *body) {
    char id[33];
    cJSON *answer = NULL;
    if (options->request == NULL && !api_client_request_id(id)) {
        return app_error(APP_ENVIRONMENT, "tariff", "no random number for the request's id");
    }
    cJSON_DeleteItemFromObject(body, "request");
    cJSON_AddStringToObject(body, "request", options->request != NULL ? options->request : id);
    int code = api_client_ask(client, path, body, &answer, NULL);
    if (code == APP_OK) {
        api_print_json(answer);
    }
    cJSON_Delete(answer);
    return code;
}

static int set(api_client_t *client, const options_t *options, const char *path) {
    size_t bytes_count = 0;
    char *text = app_read_file(path, FILE_BYTES_MAX, &bytes_count);
    cJSON *body = text != NULL ? cJSON_Parse(text) : NULL;
    if (text == NULL) {
        return app_error(APP_ENVIRONMENT, "tariff", "%s cannot be read, or is larger than %d bytes", path,
                         FILE_BYTES_MAX);
    }
    free(text);
    int code = cJSON_IsObject(body) ? post(client, options, "tariffs", body)
                                    : app_error(APP_USAGE, "tariff", "%s is not one JSON object", path);
    cJSON_Delete(body);
    return code;
}

static int use(api_client_t *client, const options_t *options, const char *site, const char *name) {
    char path[256];
    char *escaped = api_client_escape(site);
    cJSON *body = cJSON_CreateObject();
    snprintf(path, sizeof path, "sites/%s/settings", escaped != NULL ? escaped : "");
    cJSON_AddNumberToObject(body, "token_unit_wh", (double)options->unit_wh);
    cJSON_AddStringToObject(body, "tariff", name);
    int code = post(client, options, path, body);
    cJSON_Delete(body);
    free(escaped);
    return code;
}

static int list(api_client_t *client) {
    cJSON *answer = NULL;
    int code = api_client_ask(client, "tariffs", NULL, &answer, NULL);
    if (code == APP_OK) {
        api_print_json(cJSON_GetObjectItem(answer, "tariffs"));
    }
    cJSON_Delete(answer);
    return code;
}

int command_tariff(int argc, char **argv) {
    options_t options = {.help = false};
    api_client_t client;
    int code = read_options("tariff", argc, argv, &options);
    if (code != APP_OK) {
        return code;
    }
    if (options.help) {
        print_tariff_help();
        return APP_OK;
    }
    int count = argc - optind;
    const char *verb = count > 0 ? argv[optind] : "";
    bool is_set = strcmp(verb, "set") == 0 && count == 2;
    bool is_use = strcmp(verb, "use") == 0 && count == 3;
    if (!is_set && !is_use && (strcmp(verb, "list") != 0 || count != 1)) {
        return app_error(APP_USAGE, "tariff", "set FILE, list, or use SITE NAME; see meshmeter tariff --help");
    }
    code = api_client_open(&client, "tariff", &options.client);
    if (code != APP_OK) {
        return code;
    }
    code = is_set   ? set(&client, &options, argv[optind + 1])
           : is_use ? use(&client, &options, argv[optind + 1], argv[optind + 2])
                    : list(&client);
    api_client_close(&client);
    return code;
}
