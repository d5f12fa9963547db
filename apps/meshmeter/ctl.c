// SPDX-License-Identifier: Apache-2.0
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "control_client.h"
#include "meshmeter/console.h"

#define ANSWER_BYTES 65536
#define ANSWER_TIMEOUT_MS 3000

static void print_help(void) {
    puts("usage: meshmeter ctl --state DIR [node-N] COMMAND…\n\n"
         "Talk to running nodes over their control sockets. Without node-N: to all nodes of the site.\n\n"
         "  --state DIR     state directory of the demo (or MM_STATE in the environment)\n"
         "  --node N        the same as node-N (1, 2, …)\n"
         "  --socket FILE   the control socket of one node, instead of --state\n\n"
         "Commands (help asks a node for all it knows, docs/guide/console.md has the table):\n"
         "  status             everything the node knows about itself, as JSON\n"
         "  meters [1-8]       registers, constants, mode, balance, relay and why, as JSON\n"
         "  config             its configuration, as JSON; of a secret, whether there is one\n"
         "  install            its installation: revision, what HQ was told, whether it is confirmed, as JSON\n"
         "  mesh, slot, journal, counters   as JSON\n"
         "  log                the newest lines of its log\n"
         "  code               the number to phone HQ with, tries left and lock-out, as JSON\n"
         "  setup              a node from the box: its state, number and page, as JSON\n"
         "  credit             balances, relays, reasons and lock-outs of prepaid meters, as JSON\n"
         "  relays             which relays are closed (supply is on) and which are open\n"
         "  oled               the picture of the display; meshmeter oled draws it\n"
         "  button short|long  press or hold the button (or: down, up)\n"
         "  find [SECONDS]     make the node conspicuous; display: light its display\n"
         "  router on|off      switch the simulated router of the node\n"
         "  clock set [UTC]    give the node the time (default: the site's clock)\n"
         "  hold               close the interval and make no more metering records until the next start\n\n"
         "Of one node, as somebody who stands there; METER is a meter's id or its number from 1 to 8:\n"
         "  token METER DIGITS    type a token; blanks between the digits do not matter\n"
         "  emergency METER       take the emergency credit\n"
         "  reset [CODE " MM_CONSOLE_RESET_WORD "]   forget the network; alone: say what that means\n\n"
         "Exit code 0: all answered; 1: one refused; 4: one did not answer.\n\n"
         "Example: meshmeter ctl --state DIR node-1 token 3 123 456 789");
}

typedef struct {
    const char *line;
    const char *only; ///< name of the only node, or NULL
    bool with_names;
    unsigned asked;
    int code;
} errand_t;

static bool is_customer_line(const char *line) {
    return strncmp(line, "token", 5) == 0 || strncmp(line, "emergency", 9) == 0;
}

// At which node somebody stands matters then: a meter's number is one of every node, and a code is wrong at all others.
static bool is_for_one(const char *line) {
    return is_customer_line(line) || strncmp(line, "reset", 5) == 0;
}

static void ask_one(const char *node_name, const char *socket_path, void *context) {
    errand_t *errand = context;
    static char s_answer[ANSWER_BYTES];
    if (errand->only != NULL && strcmp(errand->only, node_name) != 0) {
        return;
    }
    errand->asked++;
    bool good = control_ask(socket_path, errand->line, ANSWER_TIMEOUT_MS, s_answer, sizeof s_answer);
    size_t chars = strlen(s_answer);
    while (chars > 0 && s_answer[chars - 1] == '\n') {
        s_answer[--chars] = '\0';
    }
    if (!good) {
        fprintf(stderr, "%s: %s\n", node_name, s_answer);
        errand->code = APP_NO_ANSWER;
        return;
    }
    bool refused =
        strncmp(s_answer, "error", 5) == 0 || (is_customer_line(errand->line) && strncmp(s_answer, "accepted", 8) != 0);
    if (refused && errand->code == APP_OK) {
        errand->code = APP_CHECK_FAILED;
    }
    printf("%s%s%s\n", errand->with_names ? node_name : "", errand->with_names ? ": " : "", s_answer);
}

int command_ctl(int argc, char **argv) {
    static const struct option options[] = {{"state", required_argument, NULL, 's'},
                                            {"node", required_argument, NULL, 'n'},
                                            {"socket", required_argument, NULL, 'k'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *state = getenv("MM_STATE");
    const char *socket_path = NULL;
    char only[32] = "";
    int64_t node = 0;
    for (int option = 0; (option = getopt_long(argc, argv, "+", options, NULL)) != -1;) {
        switch (option) {
        case 's':
            state = optarg;
            break;
        case 'k':
            socket_path = optarg;
            break;
        case 'n':
            if (!app_parse_number(optarg, 1, 100, &node)) {
                return app_error(APP_USAGE, "ctl", "--node must be a number from 1 to 100, not '%s'", optarg);
            }
            snprintf(only, sizeof only, "node-%d", (int)node);
            break;
        case 'h':
            print_help();
            return APP_OK;
        default:
            return APP_USAGE;
        }
    }
    if (optind < argc && strncmp(argv[optind], "node-", 5) == 0) {
        if (!app_parse_number(argv[optind] + 5, 1, 100, &node)) {
            return app_error(APP_USAGE, "ctl", "nodes are node-1 to node-100, not '%s'", argv[optind]);
        }
        snprintf(only, sizeof only, "node-%d", (int)node);
        optind++;
    }
    char line[200] = "";
    for (int i = optind; i < argc; i++) {
        if (strlen(line) + strlen(argv[i]) + 2 > sizeof line) {
            return app_error(APP_USAGE, "ctl", "the command is too long");
        }
        strcat(strcat(line, i > optind ? " " : ""), argv[i]);
    }
    if (line[0] == '\0' || (state == NULL && socket_path == NULL)) {
        return app_error(APP_USAGE, "ctl", "%s; see meshmeter ctl --help",
                         line[0] == '\0' ? "which command?"
                                         : "which site? Name its --state DIR, as the demo printed it");
    }
    if (is_for_one(line) && only[0] == '\0' && socket_path == NULL) {
        return app_error(APP_USAGE, "ctl", "at which node? For example: ctl --state %s node-1 %s", state, line);
    }
    errand_t errand = {.line = line, .only = only[0] != '\0' ? only : NULL, .with_names = only[0] == '\0'};
    if (socket_path != NULL) {
        errand.with_names = false;
        errand.only = NULL;
        ask_one(socket_path, socket_path, &errand);
        return errand.code;
    }
    (void)control_for_each(state, ask_one, &errand);
    if (errand.asked == 0) {
        return app_error(APP_NO_ANSWER, "ctl", "%s has no %s", state, only[0] != '\0' ? only : "nodes");
    }
    return errand.code;
}
