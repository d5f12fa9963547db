// SPDX-License-Identifier: Apache-2.0
#include <cjson/cJSON.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "control_client.h"

#define ANSWER_BYTES 65536
#define ANSWER_TIMEOUT_MS 3000

static void print_help(void) {
    puts("usage: meshmeter status --state DIR [--json]\n\n"
         "Show the nodes and meters of a running site, asked from the nodes themselves.\n\n"
         "  --state DIR   state directory of the demo (or MM_STATE in the environment)\n"
         "  --json        the nodes' answers as a JSON array\n\n"
         "Exit code 4 if a node does not answer.");
}

typedef struct {
    cJSON *nodes; ///< array
    unsigned silent;
} survey_t;

static void ask_one(const char *node_name, const char *socket_path, void *context) {
    survey_t *survey = context;
    static char s_answer[ANSWER_BYTES];
    cJSON *node =
        control_ask(socket_path, "status", ANSWER_TIMEOUT_MS, s_answer, sizeof s_answer) ? cJSON_Parse(s_answer) : NULL;
    if (node == NULL) {
        survey->silent++;
        node = cJSON_CreateObject();
        (void)cJSON_AddStringToObject(node, "error", s_answer);
    }
    (void)cJSON_AddStringToObject(node, "name", node_name);
    (void)cJSON_AddItemToArray(survey->nodes, node);
}

static const char *text_of(const cJSON *node, const char *key) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(node, key));
    return text != NULL ? text : "-";
}

static int64_t number_of(const cJSON *node, const char *key) {
    const cJSON *item = cJSON_GetObjectItem(node, key);
    return cJSON_IsNumber(item) ? (int64_t)item->valuedouble : 0;
}

static bool flag_of(const cJSON *node, const char *key) {
    return cJSON_IsTrue(cJSON_GetObjectItem(node, key));
}

static void print_node(const cJSON *node) {
    if (cJSON_HasObjectItem(node, "error")) {
        printf("%-8s %s\n", text_of(node, "name"), text_of(node, "error"));
        return;
    }
    char time[21];
    app_format_utc(number_of(node, "time"), time);
    printf("%-8s %-17s %-5s %5" PRId64 "  %-6s %-16s %9" PRId64 " %8" PRId64 "  %s %s\n", text_of(node, "name"),
           text_of(node, "mac"), flag_of(node, "root") ? "root" : "child", number_of(node, "layer"),
           flag_of(node, "router_up") ? "up" : "down", text_of(node, "uplink"), number_of(node, "next") - 1,
           number_of(node, "backlog"), time, text_of(node, "trust"));
}

static void print_credit(const cJSON *meter) {
    printf("  %-6s", text_of(meter, "relay"));
    if (flag_of(meter, "prepaid")) {
        int64_t balance_wh = number_of(meter, "balance_wh");
        uint64_t magnitude_wh = balance_wh < 0 ? (uint64_t)-balance_wh : (uint64_t)balance_wh;
        printf("  balance %s%" PRIu64 ".%03u kWh", balance_wh < 0 ? "-" : "", magnitude_wh / 1000,
               (unsigned)(magnitude_wh % 1000));
    }
    const cJSON *reason = NULL;
    cJSON_ArrayForEach(reason, cJSON_GetObjectItem(meter, "relay_reasons")) {
        printf("  %s", cJSON_IsString(reason) ? reason->valuestring : "?");
    }
    putchar('\n');
}

static void print_meters(const cJSON *node) {
    const cJSON *meter = NULL;
    cJSON_ArrayForEach(meter, cJSON_GetObjectItem(node, "meters")) {
        int64_t wh = number_of(meter, "energy_wh");
        printf("%-8s %-12s %10" PRId64 ".%03d kWh %14" PRId64 " pulses", text_of(node, "name"), text_of(meter, "id"),
               wh / 1000, (int)(wh % 1000), number_of(meter, "life_pulses"));
        print_credit(meter);
    }
}

int command_status(int argc, char **argv) {
    static const struct option options[] = {{"state", required_argument, NULL, 's'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *state = getenv("MM_STATE");
    bool json = false;
    for (int option = 0; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 's':
            state = optarg;
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
    if (state == NULL || optind != argc) {
        return app_error(APP_USAGE, "status", "which site? Name its --state DIR, as the demo printed it");
    }
    survey_t survey = {.nodes = cJSON_CreateArray()};
    unsigned count = control_for_each(state, ask_one, &survey);
    if (count == 0) {
        cJSON_Delete(survey.nodes);
        return app_error(APP_NO_ANSWER, "status", "%s has no nodes", state);
    }
    if (json) {
        char *text = cJSON_Print(survey.nodes);
        puts(text != NULL ? text : "[]");
        cJSON_free(text);
    } else {
        printf("%-8s %-17s %-5s %5s  %-6s %-16s %9s %8s  %s\n", "node", "mac", "role", "layer", "router", "uplink",
               "records", "backlog", "clock");
        const cJSON *node = NULL;
        cJSON_ArrayForEach(node, survey.nodes) {
            print_node(node);
        }
        putchar('\n');
        cJSON_ArrayForEach(node, survey.nodes) {
            print_meters(node);
        }
    }
    cJSON_Delete(survey.nodes);
    return survey.silent > 0 ? APP_NO_ANSWER : APP_OK;
}
