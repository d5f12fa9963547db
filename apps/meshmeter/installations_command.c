// SPDX-License-Identifier: Apache-2.0
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api_client.h"
#include "app.h"

static void print_installations_help(void) {
    puts("usage: meshmeter installations [--only STATE] [--json] [OPTION]…\n\n"
         "What installers have set up: those that wait for a confirmation first.\n\n"
         "  --only STATE        waiting, confirmed, refused, superseded or all (all)\n"
         "  --json              HQ's answer as it is\n" API_CLIENT_HELP);
}

static void print_confirm_help(void) {
    puts("usage: meshmeter confirm ID [OPTION]…\n\n"
         "Confirm an installation: the node runs when the command has reached it.\n\n"
         "  --json              HQ's answer as it is\n" API_CLIENT_HELP);
}

static void print_refuse_help(void) {
    puts("usage: meshmeter refuse ID --reason TEXT [OPTION]…\n\n"
         "Refuse an installation. The node is not told: it goes on waiting until an installer sets it up again, or "
         "until\n"
         "the installation is confirmed after all.\n\n"
         "  --reason TEXT       why, for the audit log and for who looks at it next\n"
         "  --json              HQ's answer as it is\n" API_CLIENT_HELP);
}

static void print_reinstall_help(void) {
    puts("usage: meshmeter reinstall MAC [OPTION]…\n\n"
         "Ask a node for its installation again. It counts on, but runs again only when that is confirmed.\n\n"
         "  --json              HQ's answer as it is\n" API_CLIENT_HELP);
}

typedef struct {
    api_client_options_t client;
    const char *state;
    const char *reason;
    bool json;
} options_t;

// Exit code, or -1: go on.
static int parse(int argc, char **argv, const char *command, void (*help)(void), options_t *chosen) {
    static const struct option options[] = {{"only", required_argument, NULL, 's'},
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
            help();
            return APP_OK;
        default:
            return APP_USAGE;
        }
    }
    if ((chosen->state != NULL && strcmp(command, "installations") != 0) ||
        (chosen->reason != NULL && strcmp(command, "refuse") != 0)) {
        return app_error(APP_USAGE, command, "no such option here; see meshmeter %s --help", command);
    }
    return -1;
}

// --- showing

static void print_meter(const cJSON *meter) {
    char start[32];
    app_format_decimal((int64_t)api_number(meter, "start_wh"), 3, start);
    printf("      %lld  ", api_number(meter, "channel") + 1);
    api_print_text(api_text(meter, "id"));
    printf("  %lld imp/kWh  from %s kWh  %s", api_number(meter, "pulse_constant"), start,
           cJSON_IsTrue(cJSON_GetObjectItem(meter, "prepaid")) ? "prepaid" : "postpaid");
    const char *conflict = api_text(meter, "conflict");
    if (conflict[0] != '\0') {
        printf("  CONFLICT: %s has this id, too", conflict);
    }
    putchar('\n');
}

static void print_installation(const cJSON *item) {
    char time[21];
    const cJSON *command = cJSON_GetObjectItem(item, "command");
    app_format_utc((int64_t)api_number(item, "received"), time);
    printf("%lld  %s  node %s of %s, revision %lld%s, received %s, installer ", api_number(item, "id"),
           api_text(item, "state"), api_text(item, "node"), api_text(item, "site"), api_number(item, "revision"),
           cJSON_IsTrue(cJSON_GetObjectItem(item, "repeated")) ? " (asked for again)" : "", time);
    api_print_text(api_text(item, "installer"));
    printf("\n      number %lld, province %lld, canton %lld, parish %lld, postal code %lld\n",
           api_number(item, "node_no"), api_number(item, "province"), api_number(item, "canton"),
           api_number(item, "parish"), api_number(item, "postal_code"));
    if (!cJSON_IsTrue(cJSON_GetObjectItem(item, "has_key"))) {
        puts("      HQ has no key of this node: meshmeter keys import");
    }
    if (api_text(item, "decided_by")[0] != '\0') {
        printf("      %s by %s", api_text(item, "reason")[0] != '\0' ? "refused" : "confirmed",
               api_text(item, "decided_by"));
        if (cJSON_IsObject(command)) {
            api_print_order(command);
        }
        if (api_text(item, "reason")[0] != '\0') {
            printf(": ");
            api_print_text(api_text(item, "reason"));
        }
        putchar('\n');
    }
    const cJSON *meter = NULL;
    cJSON_ArrayForEach(meter, cJSON_GetObjectItem(item, "meters")) {
        print_meter(meter);
    }
}

int command_installations(int argc, char **argv) {
    options_t chosen;
    api_client_t client;
    cJSON *answer;
    char path[64];
    int code = parse(argc, argv, "installations", print_installations_help, &chosen);
    if (code >= 0) {
        return code;
    }
    const char *state = chosen.state != NULL ? chosen.state : "all";
    if (argc != optind || strspn(state, "abcdefghijklmnopqrstuvwxyz") != strlen(state) || strlen(state) > 16) {
        return app_error(APP_USAGE, "installations", "no arguments, and --only as in meshmeter installations --help");
    }
    code = api_client_open(&client, "installations", &chosen.client);
    if (code != APP_OK) {
        return code;
    }
    snprintf(path, sizeof path, "installations?state=%s", state);
    code = api_client_ask(&client, path, NULL, &answer, NULL);
    api_client_close(&client);
    if (code != APP_OK) {
        return code;
    }
    const cJSON *item = NULL;
    if (chosen.json) {
        api_print_json(answer);
    } else {
        cJSON_ArrayForEach(item, cJSON_GetObjectItem(answer, "installations")) {
            print_installation(item);
        }
        api_note_none(cJSON_GetObjectItem(answer, "installations"));
    }
    cJSON_Delete(answer);
    return APP_OK;
}

// --- deciding

// POST with a request id of its own; reason may be NULL.
static int decide(const char *command, const options_t *chosen, const char *path) {
    api_client_t client;
    cJSON *answer;
    char request[33];
    if (!api_client_request_id(request)) {
        return app_error(APP_ENVIRONMENT, command, "no random numbers from the system");
    }
    int code = api_client_open(&client, command, &chosen->client);
    if (code != APP_OK) {
        return code;
    }
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "request", request);
    if (chosen->reason != NULL) {
        cJSON_AddStringToObject(body, "reason", chosen->reason);
    }
    code = api_client_ask(&client, path, body, &answer, NULL);
    cJSON_Delete(body);
    api_client_close(&client);
    if (code != APP_OK) {
        return code;
    }
    const cJSON *installation = cJSON_GetObjectItem(answer, "installation");
    if (chosen->json) {
        api_print_json(answer);
    } else if (installation != NULL) {
        print_installation(installation);
    } else {
        printf("node %s: order %lld\n", api_text(answer, "node"), api_number(answer, "order"));
    }
    cJSON_Delete(answer);
    return APP_OK;
}

static int decide_by_id(int argc, char **argv, const char *command, const options_t *chosen) {
    char path[64];
    int64_t id;
    if (argc - optind != 1 || !app_parse_number(argv[optind], 1, INT64_MAX / 2, &id)) {
        return app_error(APP_USAGE, command, "expected the number of one installation; `meshmeter installations`");
    }
    snprintf(path, sizeof path, "installations/%" PRId64 "/%s", id, command);
    return decide(command, chosen, path);
}

int command_confirm(int argc, char **argv) {
    options_t chosen;
    int code = parse(argc, argv, "confirm", print_confirm_help, &chosen);
    return code >= 0 ? code : decide_by_id(argc, argv, "confirm", &chosen);
}

int command_refuse(int argc, char **argv) {
    options_t chosen;
    int code = parse(argc, argv, "refuse", print_refuse_help, &chosen);
    if (code < 0 && chosen.reason == NULL) {
        return app_error(APP_USAGE, "refuse", "why? --reason TEXT");
    }
    return code >= 0 ? code : decide_by_id(argc, argv, "refuse", &chosen);
}

int command_reinstall(int argc, char **argv) {
    options_t chosen;
    char path[96];
    int code = parse(argc, argv, "reinstall", print_reinstall_help, &chosen);
    if (code >= 0) {
        return code;
    }
    if (argc - optind != 1 || strlen(argv[optind]) > 17 ||
        strspn(argv[optind], "0123456789abcdefABCDEF:-") != strlen(argv[optind])) {
        return app_error(APP_USAGE, "reinstall", "expected a node's address like 02:00:00:00:00:01");
    }
    snprintf(path, sizeof path, "nodes/%s/reinstall", argv[optind]);
    return decide("reinstall", &chosen, path);
}
