// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api_client.h"
#include "app.h"
#include "command_arguments.h"
#include "orders_print.h"

#define SECRET_BYTES_MAX 256
#define POLL_MS 500
#define FOLLOW_S_DEFAULT 600

static void print_help(void) {
    puts("usage: meshmeter send TARGET KIND [KEY=VALUE]… [OPTION]…\n\n"
         "Order something of a meter or a node. HQ keeps the order until every answer has come.\n\n"
         "TARGET  METERID, MAC/CHANNEL (1 to 8), node:MAC, gateway:SITE, site:SITE or all\n"
         "KIND    with its arguments:");
    for (uint8_t kind = 1; kind < MM_COMMAND_KIND_COUNT; kind++) {
        char text[512];
        if (kind == MM_COMMAND_CREDIT || kind == MM_COMMAND_VOID || kind == MM_COMMAND_ADJUST) {
            continue; // made by sales
        }
        mm_command_arguments_describe(kind, text, sizeof text);
        printf("  %-11s %-5s %s\n", mm_command_kind_name(kind), mm_command_is_for_meter(kind) ? "meter" : "node", text);
    }
    puts("\nA value of @FILE is the first line of that file: for passwords, which others could see in a list of\n"
         "processes.\n\n"
         "  --expires TIME      not after so long: 90s, 30m, 1h, 7d\n"
         "  --priority N        0 to 9, higher goes first (5)\n"
         "  --request ID        the same id again orders nothing new and shows the first order\n"
         "  --wait              show how far it is until every command has ended\n"
         "  --timeout TIME      with --wait: at most so long (10m)\n"
         "  --json              HQ's answer as it is\n" API_CLIENT_HELP "\n"
         "Exit code 1 if a command was refused, failed or expired, 4 if HQ does not answer or not all has ended in\n"
         "time.");
}

typedef struct {
    api_client_options_t client;
    const char *target;
    const char *kind;
    const char *request;
    int64_t expires_s;
    int64_t priority; ///< -1 = HQ's
    int64_t timeout_s;
    bool wait;
    bool json;
} send_options_t;

// "90s", "30m", "1h", "7d"; without a letter seconds.
static bool parse_duration(const char *text, int64_t *seconds) {
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    char digits[16];
    size_t chars = strspn(text, "0123456789");
    int64_t factor = text[chars] == '\0' ? 1 : 0;
    for (size_t index = 0; index < sizeof units / sizeof units[0]; index++) {
        if (text[chars] == units[index].letter && text[chars + 1] == '\0') {
            factor = units[index].seconds;
        }
    }
    if (chars == 0 || chars >= 9 || factor == 0) {
        return false;
    }
    snprintf(digits, sizeof digits, "%.*s", (int)chars, text);
    int64_t number;
    if (!app_parse_number(digits, 1, 99999999, &number)) {
        return false;
    }
    *seconds = number * factor;
    return true;
}

// --- the order

// The value as given, or the first line of the file it names.
static bool add_argument(cJSON *arguments, const char *text) {
    char key[64];
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text || (size_t)(equals - text) >= sizeof key) {
        (void)app_error(0, "send", "'%.60s': expected KEY=VALUE", text);
        return false;
    }
    snprintf(key, sizeof key, "%.*s", (int)(equals - text), text);
    if (equals[1] != '@') {
        return cJSON_AddStringToObject(arguments, key, equals + 1) != NULL;
    }
    size_t size = 0;
    char *secret = app_read_file(equals + 2, SECRET_BYTES_MAX, &size);
    if (secret == NULL) {
        (void)app_error(0, "send", "%s: cannot read %s: %s", key, equals + 2, strerror(errno));
        return false;
    }
    secret[strcspn(secret, "\r\n")] = '\0';
    bool good = cJSON_AddStringToObject(arguments, key, secret) != NULL;
    explicit_bzero(secret, size);
    free(secret);
    return good;
}

static cJSON *make_body(const send_options_t *options, char **arguments, int argument_count) {
    char request[33];
    cJSON *body = cJSON_CreateObject();
    if (options->request == NULL && !api_client_request_id(request)) {
        cJSON_Delete(body);
        (void)app_error(0, "send", "no random numbers from the system");
        return NULL;
    }
    cJSON_AddStringToObject(body, "request", options->request != NULL ? options->request : request);
    cJSON_AddStringToObject(body, "target", options->target);
    cJSON_AddStringToObject(body, "kind", options->kind);
    cJSON *object = cJSON_AddObjectToObject(body, "arguments");
    for (int index = 0; index < argument_count; index++) {
        if (!add_argument(object, arguments[index])) {
            cJSON_Delete(body);
            return NULL;
        }
    }
    if (options->priority >= 0) {
        cJSON_AddNumberToObject(body, "priority", (double)options->priority);
    }
    if (options->expires_s > 0) {
        cJSON_AddNumberToObject(body, "expires_s", (double)options->expires_s);
    }
    return body;
}

// --- until it has ended

static int64_t now_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_ms(int64_t milliseconds) {
    struct timespec time = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000};
    // wait: HQ may know more | until POLL_MS | then it is asked again, --timeout at most
    (void)nanosleep(&time, NULL);
}

// Asks until every command has ended; *order is the last that HQ said. Exit code.
static int follow(api_client_t *client, const send_options_t *options, cJSON **order) {
    char path[64];
    orders_progress_t progress = {0};
    // wait: every command of the order has ended | until --timeout, FOLLOW_S_DEFAULT unless given | then the command
    // ends with exit code 4; HQ goes on
    int64_t until_ms = now_ms() + options->timeout_s * 1000;
    snprintf(path, sizeof path, "orders/%lld", api_number(*order, "id"));
    for (;;) {
        if (!options->json) {
            orders_print_progress(&progress, *order);
        }
        if (orders_have_ended(*order)) {
            orders_progress_free(&progress);
            return orders_all_done(*order) ? APP_OK : APP_CHECK_FAILED;
        }
        if (now_ms() >= until_ms) {
            orders_progress_free(&progress);
            return app_error(APP_NO_ANSWER, "send",
                             "not all has ended in time; HQ goes on, see `meshmeter commands %lld`",
                             api_number(*order, "id"));
        }
        pause_ms(POLL_MS);
        cJSON *answer;
        int code = api_client_ask(client, path, NULL, &answer, NULL);
        if (code != APP_OK && code != APP_NO_ANSWER) {
            orders_progress_free(&progress);
            return code;
        }
        // HQ may be starting again.
        if (answer != NULL) {
            cJSON_Delete(*order);
            *order = answer;
        }
    }
}

static int send_order(api_client_t *client, const send_options_t *options, const cJSON *body) {
    cJSON *answer;
    int code = api_client_ask(client, "orders", body, &answer, NULL);
    if (code != APP_OK) {
        return code;
    }
    cJSON *order = cJSON_DetachItemFromObject(answer, "order");
    cJSON_Delete(answer);
    if (order == NULL) {
        return app_error(APP_NO_ANSWER, "send", "HQ answers without an order");
    }
    if (!options->json) {
        orders_print_summary(order);
    }
    if (options->wait) {
        code = follow(client, options, &order);
    }
    if (options->json) {
        api_print_json(order);
    }
    cJSON_Delete(order);
    return code;
}

// --- options

static int take_option(send_options_t *options, int option, const char *value) {
    if (api_client_option(&options->client, option, value)) {
        return APP_OK;
    }
    switch (option) {
    case 'e':
        return parse_duration(value, &options->expires_s)
                   ? APP_OK
                   : app_error(APP_USAGE, "send", "--expires %s: expected a time like 90s, 30m, 1h or 7d", value);
    case 't':
        return parse_duration(value, &options->timeout_s)
                   ? APP_OK
                   : app_error(APP_USAGE, "send", "--timeout %s: expected a time like 90s, 30m, 1h or 7d", value);
    case 'p':
        return app_parse_number(value, 0, 9, &options->priority)
                   ? APP_OK
                   : app_error(APP_USAGE, "send", "--priority %s: must be 0 to 9", value);
    case 'r':
        options->request = value;
        return APP_OK;
    case 'w':
        options->wait = true;
        return APP_OK;
    case 'j':
        options->json = true;
        return APP_OK;
    default:
        return APP_USAGE;
    }
}

int command_send(int argc, char **argv) {
    static const struct option options[] = {{"expires", required_argument, NULL, 'e'},
                                            {"priority", required_argument, NULL, 'p'},
                                            {"request", required_argument, NULL, 'r'},
                                            {"timeout", required_argument, NULL, 't'},
                                            {"wait", no_argument, NULL, 'w'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            API_CLIENT_LONG_OPTIONS,
                                            {NULL, 0, NULL, 0}};
    send_options_t chosen = {.priority = -1, .timeout_s = FOLLOW_S_DEFAULT};
    for (int option = 0; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'h') {
            print_help();
            return APP_OK;
        }
        int code = take_option(&chosen, option, optarg);
        if (code != APP_OK) {
            return code;
        }
    }
    if (argc - optind < 2) {
        return app_error(APP_USAGE, "send", "who is to do what? TARGET and KIND are needed; see meshmeter send --help");
    }
    chosen.target = argv[optind];
    chosen.kind = argv[optind + 1];
    cJSON *body = make_body(&chosen, argv + optind + 2, argc - optind - 2);
    if (body == NULL) {
        return APP_USAGE;
    }
    api_client_t client;
    int code = api_client_open(&client, "send", &chosen.client);
    if (code == APP_OK) {
        code = send_order(&client, &chosen, body);
        api_client_close(&client);
    }
    cJSON_Delete(body);
    return code;
}
