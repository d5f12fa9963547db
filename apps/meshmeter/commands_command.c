// SPDX-License-Identifier: Apache-2.0
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api_client.h"
#include "app.h"
#include "orders_print.h"

static void print_help(void) {
    puts("usage: meshmeter commands [ORDER] [OPTION]…\n\n"
         "Show the orders that HQ has, newest first, or one order with each of its commands and their answers.\n\n"
         "  --limit N           so many orders (50)\n"
         "  --withdraw          take back what of ORDER was not sent yet\n"
         "  --json              HQ's answer as it is\n" API_CLIENT_HELP);
}

typedef struct {
    api_client_options_t client;
    int64_t order; ///< 0 = all
    int64_t limit;
    bool withdraw;
    bool json;
} commands_options_t;

static int show(api_client_t *client, const commands_options_t *options) {
    char path[64];
    cJSON *answer;
    if (options->order != 0) {
        snprintf(path, sizeof path, "orders/%" PRId64, options->order);
    } else {
        snprintf(path, sizeof path, "orders?limit=%" PRId64, options->limit);
    }
    int code = api_client_ask(client, path, NULL, &answer, NULL);
    if (code != APP_OK) {
        return code;
    }
    if (options->json) {
        api_print_json(answer);
    } else if (options->order != 0) {
        orders_print_line(answer);
        orders_print_commands(answer);
    } else {
        const cJSON *order = NULL;
        cJSON_ArrayForEach(order, cJSON_GetObjectItem(answer, "orders")) {
            orders_print_line(order);
        }
        api_note_none(cJSON_GetObjectItem(answer, "orders"));
    }
    cJSON_Delete(answer);
    return APP_OK;
}

static int withdraw(api_client_t *client, const commands_options_t *options) {
    char path[64];
    cJSON *answer;
    cJSON *body = cJSON_CreateObject();
    snprintf(path, sizeof path, "orders/%" PRId64 "/withdraw", options->order);
    int code = api_client_ask(client, path, body, &answer, NULL);
    cJSON_Delete(body);
    if (code == APP_OK) {
        if (options->json) {
            api_print_json(answer);
        } else {
            printf("%lld withdrawn\n", api_number(answer, "withdrawn"));
        }
        cJSON_Delete(answer);
    }
    return code;
}

int command_commands(int argc, char **argv) {
    static const struct option options[] = {{"limit", required_argument, NULL, 'l'},
                                            {"withdraw", no_argument, NULL, 'w'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            API_CLIENT_LONG_OPTIONS,
                                            {NULL, 0, NULL, 0}};
    commands_options_t chosen = {.limit = 50};
    for (int option = 0; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (api_client_option(&chosen.client, option, optarg)) {
            continue;
        }
        switch (option) {
        case 'l':
            if (!app_parse_number(optarg, 1, 500, &chosen.limit)) {
                return app_error(APP_USAGE, "commands", "--limit %s: must be 1 to 500", optarg);
            }
            break;
        case 'w':
            chosen.withdraw = true;
            break;
        case 'j':
            chosen.json = true;
            break;
        case 'h':
            print_help();
            return APP_OK;
        default:
            return APP_USAGE;
        }
    }
    if (argc - optind > 1 || (argc - optind == 1 && !app_parse_number(argv[optind], 1, INT64_MAX / 2, &chosen.order)) ||
        (chosen.withdraw && chosen.order == 0)) {
        return app_error(APP_USAGE, "commands", "expected the number of one order; see meshmeter commands --help");
    }
    api_client_t client;
    int code = api_client_open(&client, "commands", &chosen.client);
    if (code == APP_OK) {
        code = chosen.withdraw ? withdraw(&client, &chosen) : show(&client, &chosen);
        api_client_close(&client);
    }
    return code;
}
