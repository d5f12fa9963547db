// SPDX-License-Identifier: Apache-2.0
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_client.h"
#include "app.h"
#include "store_query.h"

#define COMMAND "joins"
#define PATH_BYTES 192

static void print_help(void) {
    puts("usage: meshmeter joins [--site S] [--only STATE] [--json] [OPTION]…\n"
         "       meshmeter joins admit N|MAC [--site S] [OPTION]…\n"
         "       meshmeter joins refuse N|MAC --reason TEXT [--site S] [OPTION]…\n\n"
         "Devices that ask for the network of a site, those that wait first. N is the number of an ask; MAC stands for "
         "the\n"
         "one of this device that waits.\n\n"
         "  admit               the device gets the network when the command has reached the root of its site\n"
         "  refuse              it does not; it is not told, and asks on\n\n"
         "  --site S            of this site only\n"
         "  --only STATE        waiting, admitted, refused, superseded, unproved or all (all)\n"
         "  --reason TEXT       why, for the audit log and for who looks at it next\n"
         "  --json              HQ's answer as it is\n" API_CLIENT_HELP);
}

typedef struct {
    api_client_options_t client;
    const char *site;
    const char *state;
    const char *reason;
    bool json;
} options_t;

// Exit code, or -1: go on.
static int parse(int argc, char **argv, options_t *chosen) {
    static const struct option options[] = {{"site", required_argument, NULL, 'i'},
                                            {"only", required_argument, NULL, 's'},
                                            {"reason", required_argument, NULL, 'r'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            API_CLIENT_LONG_OPTIONS,
                                            {NULL, 0, NULL, 0}};
    *chosen = (options_t){.json = false};
    for (int option = 0; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (api_client_option(&chosen->client, option, optarg)) {
            continue;
        }
        switch (option) {
        case 'i':
            chosen->site = optarg;
            break;
        case 's':
            chosen->state = optarg;
            break;
        case 'r':
            chosen->reason = optarg;
            break;
        case 'j':
            chosen->json = true;
            break;
        case 'h':
            print_help();
            return APP_OK;
        default:
            return APP_USAGE;
        }
    }
    return -1;
}

// --- showing

static void print_decision(const cJSON *item) {
    const cJSON *command = cJSON_GetObjectItem(item, "command");
    const char *reason = api_text(item, "reason");
    if (api_text(item, "decided_by")[0] == '\0') {
        return;
    }
    printf("      %s by %s", reason[0] != '\0' ? "refused" : "admitted", api_text(item, "decided_by"));
    if (cJSON_IsObject(command)) {
        api_print_order(command);
    }
    if (reason[0] != '\0') {
        printf(": ");
        api_print_text(reason);
    }
    putchar('\n');
}

static void print_join(const cJSON *item) {
    char time[21];
    const char *state = api_text(item, "state");
    const cJSON *conflict = cJSON_GetObjectItem(item, "conflict");
    app_format_utc((int64_t)api_number(item, "received"), time);
    printf("%lld  %s  device %s at %s, root %s, heard by %s, %s, received %s\n", api_number(item, "id"), state,
           api_text(item, "device"), api_text(item, "site"), api_text(item, "root"), api_text(item, "via"),
           api_number(item, "revision") == 0 ? "has no network" : "has an older network", time);
    if (cJSON_IsObject(conflict)) {
        printf("      CONFLICT: it %s %s\n",
               strcmp(api_text(conflict, "why"), "is_there") == 0 ? "belongs to" : "also asks at",
               api_text(conflict, "site"));
    }
    if (strcmp(state, "unproved") == 0) {
        puts(cJSON_IsTrue(cJSON_GetObjectItem(item, "has_key"))
                 ? "      its proof does not fit the key that HQ has of it"
                 : "      HQ has no key of this device: meshmeter keys import");
    }
    if (!cJSON_IsTrue(cJSON_GetObjectItem(item, "root_has_key"))) {
        printf("      HQ has no key of the root %s: meshmeter keys import\n", api_text(item, "root"));
    }
    print_decision(item);
}

static void print_joins(const cJSON *answer) {
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(answer, "joins")) {
        print_join(item);
    }
    api_note_none(cJSON_GetObjectItem(answer, "joins"));
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(answer, "dropped")) {
        printf("%s: %lld asks without a proof made room for newer ones\n", api_text(item, "site"),
               api_number(item, "asks"));
    }
}

// "joins?…"; false: out of memory, or the words are too long.
static bool make_path(const options_t *chosen, const char *state, char path[PATH_BYTES]) {
    char *site = api_client_escape(chosen->site != NULL ? chosen->site : "");
    char *what = api_client_escape(state);
    int chars =
        site != NULL && what != NULL ? snprintf(path, PATH_BYTES, "joins?state=%s&limit=1000&site=%s", what, site) : -1;
    free(site);
    free(what);
    return chars > 0 && chars < PATH_BYTES;
}

static int list(api_client_t *client, const options_t *chosen) {
    char path[PATH_BYTES];
    cJSON *answer;
    if (!make_path(chosen, chosen->state != NULL ? chosen->state : "all", path)) {
        return app_error(APP_USAGE, COMMAND, "a site or a state has no such name");
    }
    int code = api_client_ask(client, path, NULL, &answer, NULL);
    if (code != APP_OK) {
        return code;
    }
    if (chosen->json) {
        api_print_json(answer);
    } else {
        print_joins(answer);
    }
    cJSON_Delete(answer);
    return APP_OK;
}

// --- deciding

// The ask of this device that waits.
static int find(api_client_t *client, const options_t *chosen, mm_mac_t mac, int64_t *id) {
    char path[PATH_BYTES];
    cJSON *answer;
    const cJSON *item = NULL;
    int found = 0;
    if (!make_path(chosen, "waiting", path)) {
        return app_error(APP_USAGE, COMMAND, "a site has no such name");
    }
    int code = api_client_ask(client, path, NULL, &answer, NULL);
    if (code != APP_OK) {
        return code;
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(answer, "joins")) {
        mm_mac_t device;
        if (mm_mac_parse(api_text(item, "device"), &device) && mm_mac_equal(device, mac)) {
            *id = (int64_t)api_number(item, "id");
            found++;
        }
    }
    cJSON_Delete(answer);
    if (found == 0) {
        return app_error(APP_USAGE, COMMAND, "no ask of this device waits; `meshmeter joins` shows the others");
    }
    if (found > 1) {
        return app_error(APP_USAGE, COMMAND, "it asks at more than one site; say which with --site");
    }
    return APP_OK;
}

static int decide(api_client_t *client, const options_t *chosen, const char *what, const char *which) {
    char path[64];
    char request[33];
    mm_mac_t mac;
    int64_t id = 0;
    cJSON *answer;
    int code = APP_OK;
    if (mm_mac_parse(which, &mac)) {
        code = find(client, chosen, mac, &id);
    } else if (!app_parse_number(which, 1, INT64_MAX / 2, &id)) {
        return app_error(APP_USAGE, COMMAND, "expected the number of an ask, or a device's address");
    }
    if (code != APP_OK) {
        return code;
    }
    if (!api_client_request_id(request)) {
        return app_error(APP_ENVIRONMENT, COMMAND, "no random numbers from the system");
    }
    snprintf(path, sizeof path, "joins/%" PRId64 "/%s", id, what);
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "request", request);
    if (chosen->reason != NULL) {
        cJSON_AddStringToObject(body, "reason", chosen->reason);
    }
    code = api_client_ask(client, path, body, &answer, NULL);
    cJSON_Delete(body);
    if (code != APP_OK) {
        return code;
    }
    if (chosen->json) {
        api_print_json(answer);
    } else {
        print_join(cJSON_GetObjectItem(answer, "join"));
    }
    cJSON_Delete(answer);
    return APP_OK;
}

int command_joins(int argc, char **argv) {
    options_t chosen;
    api_client_t client;
    int code = parse(argc, argv, &chosen);
    if (code >= 0) {
        return code;
    }
    const char *what = argc > optind ? argv[optind] : "";
    bool refuses = strcmp(what, "refuse") == 0;
    bool decides = refuses || strcmp(what, "admit") == 0;
    if (argc - optind != (decides ? 2 : 0) || (decides && chosen.state != NULL) ||
        (chosen.reason != NULL && !refuses)) {
        return app_error(APP_USAGE, COMMAND, "wrong words; see meshmeter joins --help");
    }
    if (refuses && chosen.reason == NULL) {
        return app_error(APP_USAGE, COMMAND, "why? --reason TEXT");
    }
    code = api_client_open(&client, COMMAND, &chosen.client);
    if (code != APP_OK) {
        return code;
    }
    code = decides ? decide(&client, &chosen, what, argv[optind + 1]) : list(&client, &chosen);
    api_client_close(&client);
    return code;
}
