// SPDX-License-Identifier: Apache-2.0
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api.h"
#include "api_client.h"
#include "app.h"
#include "store_query.h"

#define COMMAND "events"
#define LIMIT 100

static void print_help(void) {
    puts("usage: meshmeter events [--node MAC] [--limit N] [--json] [OPTION]…\n\n"
         "What nodes and HQ have noted: starts, clocks, roots, relays, lock-outs, credit that does not fit. Oldest "
         "first, the\n"
         "newest at the end. `~` before a time: the clock of the node was not sure; `?`: it had none.\n\n"
         "  --node MAC          of this node only\n"
         "  --limit N           the newest N, 1 to 1000 (100)\n"
         "  --json              HQ's answer as it is, newest first\n" API_CLIENT_HELP);
}

static void print_event(const cJSON *event) {
    char time[21];
    const char *name = api_text(event, "name");
    const char *trust = api_text(event, "time_trust");
    const cJSON *values = cJSON_GetObjectItem(event, "values");
    const cJSON *names = cJSON_GetObjectItem(event, "value_names");
    bool is_first = true;
    app_format_utc((int64_t)api_number(event, "time"), time);
    printf("%s%s  %s  %s",
           strcmp(trust, "synced") == 0 ? " "
           : strcmp(trust, "held") == 0 ? "~"
                                        : "?",
           time, api_text(event, "node"), name);
    for (int index = 0; index < MM_EVENT_VALUES; index++) {
        const cJSON *called = cJSON_GetArrayItem(names, index);
        const char *what = cJSON_IsString(called) ? called->valuestring : "value"; // of an event that HQ does not know
        const cJSON *value = cJSON_GetArrayItem(values, index);
        if (what[0] == '\0' || !cJSON_IsNumber(value)) {
            continue;
        }
        printf("%s%s %.0f", is_first ? "  " : ", ", what, value->valuedouble + (strcmp(what, "channel") == 0 ? 1 : 0));
        is_first = false;
    }
    putchar('\n');
}

static void print_events(const cJSON *answer) {
    const cJSON *list = cJSON_GetObjectItem(answer, "events");
    // As a log: where a terminal ends is what was last.
    for (int index = cJSON_GetArraySize(list); index-- > 0;) {
        print_event(cJSON_GetArrayItem(list, index));
    }
    api_note_none(list);
}

static int list(const api_client_options_t *options, const char *path, bool json) {
    api_client_t client;
    cJSON *answer = NULL;
    int code = api_client_open(&client, COMMAND, options);
    if (code != APP_OK) {
        return code;
    }
    code = api_client_ask(&client, path, NULL, &answer, NULL);
    api_client_close(&client);
    if (code == APP_OK && json) {
        api_print_json(answer);
    } else if (code == APP_OK) {
        print_events(answer);
    }
    cJSON_Delete(answer);
    return code;
}

int command_events(int argc, char **argv) {
    static const struct option options[] = {{"node", required_argument, NULL, 'n'},
                                            {"limit", required_argument, NULL, 'l'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            API_CLIENT_LONG_OPTIONS,
                                            {NULL, 0, NULL, 0}};
    api_client_options_t client = {.url = NULL};
    const char *node = NULL;
    int64_t limit = LIMIT;
    bool json = false;
    for (int option = 0; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (api_client_option(&client, option, optarg)) {
            continue;
        }
        switch (option) {
        case 'n':
            node = optarg;
            break;
        case 'l':
            if (!app_parse_number(optarg, 1, MM_API_EVENTS_MAX, &limit)) {
                return app_error(APP_USAGE, COMMAND, "--limit must be 1 to 1000, not '%s'", optarg);
            }
            break;
        case 'j':
            json = true;
            break;
        case 'h':
            print_help();
            return APP_OK;
        default:
            return APP_USAGE;
        }
    }
    mm_mac_t mac;
    char text[MM_MAC_TEXT_BYTES] = "";
    if (argc != optind) {
        return app_error(APP_USAGE, COMMAND, "it takes no '%s'; see meshmeter events --help", argv[optind]);
    }
    if (node != NULL && !mm_mac_parse(node, &mac)) {
        return app_error(APP_USAGE, COMMAND, "--node must be a device's address like 02:6d:6d:00:00:01, not '%s'",
                         node);
    }
    if (node != NULL) {
        mm_mac_print(mac, text);
    }
    char path[96];
    snprintf(path, sizeof path, "events?limit=%" PRId64 "%s%s", limit, node != NULL ? "&node=" : "", text);
    return list(&client, path, json);
}
