// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "app.h"

static const app_command_t s_commands[] = {
    {"demo", "run a live site on this machine: broker, HQ and nodes", command_demo},
    {"node", "run one node", command_node},
    {"hq", "run HQ: broker to database, web page and API", command_hq},
    {"status", "show nodes and meters of a running site", command_status},
    {"ctl", "talk to running nodes: router off, hold, clock", command_ctl},
    {"oled", "show the display of a running node, press its button", command_oled},
    {"send", "order something of a meter, a node, a site", command_send},
    {"commands", "show the orders and what became of them", command_commands},
    {"keys", "the keys of the devices in HQ's database", command_keys},
    {"operator", "who may change something through HQ's API", command_operator},
    {"provision", "hand a network over to a parked node", command_provision},
    {"code", "the installer's code for the number on a node's display", command_code},
    {"installations", "what installers have set up, and what waits for a confirmation", command_installations},
    {"confirm", "confirm an installation", command_confirm},
    {"refuse", "refuse an installation", command_refuse},
    {"joins", "devices that want to join a site; admit or refuse them", command_joins},
    {"reinstall", "ask a node for its installation again", command_reinstall},
    {"events", "what nodes and HQ have noted: starts, roots, relays, lock-outs", command_events},
    {"readings", "print the load profile from HQ's database", command_readings},
    {"sim", "run whole sites in virtual time, break them on purpose, compare the books", command_sim},
    {"vend", "sell credit to a prepaid meter, or take a sale back", command_vend},
    {"purchases", "list what was sold, and what became of it", command_purchases},
    {"books", "what was sold against what the meters say", command_books},
    {"tariff", "set and list what energy costs", command_tariff},
    {"decode", "show any frame, batch or legacy message as JSON", command_decode},
};

#define COMMAND_COUNT (sizeof s_commands / sizeof s_commands[0])

static void print_help(FILE *out) {
    fputs("usage: meshmeter COMMAND [OPTION]…\n\nSub-metering of electricity with mesh nodes.\n\n", out);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        fprintf(out, "  %-13s %s\n", s_commands[i].name, s_commands[i].summary);
    }
    fputs("\nmeshmeter COMMAND --help tells more.\n"
          "Exit codes: 0 good, 1 a check failed or the input is damaged, 2 wrong arguments, 3 something is missing on\n"
          "this machine (file, port, program), 4 the part that was asked does not answer.\n",
          out);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        print_help(stderr);
        return APP_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return APP_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("meshmeter " APP_VERSION);
        return APP_OK;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(argv[1], s_commands[i].name) == 0) {
            return s_commands[i].run(argc - 1, argv + 1);
        }
    }
    fprintf(stderr, "meshmeter: no command '%s'. Known:", argv[1]);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        fprintf(stderr, " %s", s_commands[i].name);
    }
    fputs(". See meshmeter --help.\n", stderr);
    return APP_USAGE;
}
