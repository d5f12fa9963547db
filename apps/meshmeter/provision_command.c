// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app.h"
#include "control_client.h"
#include "demo.h"
#include "node_config.h"

#define ANSWER_TIMEOUT_MS 5000
#define ANSWER_BYTES 4096
#define LINE_BYTES 2048
#define FILE_BYTES_MAX 1024

static void print_help(void) {
    puts("usage: meshmeter provision --state DIR node-N [OPTION]…\n"
         "       meshmeter provision --socket FILE --pop-file FILE --site NAME --mesh-key-file FILE [OPTION]…\n\n"
         "Hand a network over to a parked node, through its control socket. Who does it proves with the code on the\n"
         "node's label that the device is at hand. The node then starts again, in that network.\n\n"
         "  --state DIR            a demo's state directory (or MM_STATE): the network of its node-1, the label of "
         "node-N\n"
         "  --socket FILE          the control socket of the node\n"
         "  --pop-file FILE        the code on the label, one line\n"
         "  --site NAME            name of the building\n"
         "  --mesh-key-file FILE   the site's key, 64 hex digits\n"
         "  --broker URL           mqtt://HOST:PORT or mqtts://HOST:PORT\n"
         "  --broker-password-file FILE    one line USER:PASSWORD\n"
         "  --router NAME          name of the wireless network, for nodes that have a radio of their own\n"
         "  --router-password-file FILE    its password, one line\n"
         "  --revision N           of the network; a node takes a higher one than it has (seconds since 1970)\n\n"
         "Exit code 0: taken; 1: refused; 4: no answer.");
}

enum {
    OPTION_STATE = 256,
    OPTION_SOCKET,
    OPTION_POP,
    OPTION_SITE,
    OPTION_MESH_KEY,
    OPTION_BROKER,
    OPTION_BROKER_PASSWORD,
    OPTION_ROUTER,
    OPTION_ROUTER_PASSWORD,
    OPTION_REVISION,
    OPTION_HELP,
    OPTION_COUNT,
};

static const struct option s_options[] = {
    {"state", required_argument, NULL, OPTION_STATE},
    {"socket", required_argument, NULL, OPTION_SOCKET},
    {"pop-file", required_argument, NULL, OPTION_POP},
    {"site", required_argument, NULL, OPTION_SITE},
    {"mesh-key-file", required_argument, NULL, OPTION_MESH_KEY},
    {"broker", required_argument, NULL, OPTION_BROKER},
    {"broker-password-file", required_argument, NULL, OPTION_BROKER_PASSWORD},
    {"router", required_argument, NULL, OPTION_ROUTER},
    {"router-password-file", required_argument, NULL, OPTION_ROUTER_PASSWORD},
    {"revision", required_argument, NULL, OPTION_REVISION},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

/// What was said, by option, and where it is put together.
typedef struct {
    const char *given[OPTION_COUNT - OPTION_STATE];
    char socket_path[NODE_PATH_BYTES];
    char pop_file[NODE_PATH_BYTES];
    node_config_t neighbour; ///< --state: whose network it is
    char line[LINE_BYTES];
    size_t used;
    bool overflow;
} errand_t;

static const char *given(const errand_t *self, int option) {
    return self->given[option - OPTION_STATE];
}

// One field of a form, escaped.
static void add_field(errand_t *self, const char *name, const char *value) {
    static const char digits[] = "0123456789ABCDEF";
    int head = snprintf(self->line + self->used, sizeof self->line - self->used,
                        "%s%s=", self->line[self->used - 1] == ' ' ? "" : "&", name);
    self->used += (size_t)head;
    for (; *value != '\0' && !self->overflow; value++) {
        unsigned char byte = (unsigned char)*value;
        self->overflow = self->used + 4 + 32 > sizeof self->line; // room for the next name as well
        if (self->overflow) {
            break;
        }
        if (isalnum(byte) || strchr("-._", byte) != NULL) {
            self->line[self->used++] = (char)byte;
        } else {
            self->line[self->used++] = '%';
            self->line[self->used++] = digits[byte >> 4];
            self->line[self->used++] = digits[byte & 15];
        }
    }
    self->line[self->used] = '\0';
}

// The one line of a file, or an exit code.
static int read_line(const char *path, char line[FILE_BYTES_MAX]) {
    size_t size = 0;
    char *text = app_read_file(path, FILE_BYTES_MAX - 1, &size);
    if (text == NULL) {
        return app_error(APP_ENVIRONMENT, "provision", "%s: cannot be read: %s", path, strerror(errno));
    }
    text[strcspn(text, "\r\n")] = '\0';
    snprintf(line, FILE_BYTES_MAX, "%s", text);
    explicit_bzero(text, size);
    free(text);
    return APP_OK;
}

static int add_file(errand_t *self, const char *name, const char *path) {
    char line[FILE_BYTES_MAX];
    int code = read_line(path, line);
    if (code == APP_OK) {
        add_field(self, name, line);
    }
    explicit_bzero(line, sizeof line);
    return code;
}

static int add_broker_password(errand_t *self, const char *path) {
    char line[FILE_BYTES_MAX];
    int code = read_line(path, line);
    char *colon = code == APP_OK ? strchr(line, ':') : NULL;
    if (code == APP_OK && colon == NULL) {
        code = app_error(APP_USAGE, "provision", "%s: is not one line USER:PASSWORD", path);
    }
    if (code == APP_OK) {
        *colon = '\0';
        add_field(self, "broker_user", line);
        add_field(self, "broker_password", colon + 1);
    }
    explicit_bzero(line, sizeof line);
    return code;
}

// In a demo everything is known but the label's code, and that is in a file of the node.
static int use_demo(errand_t *self, const char *state, const char *node_name) {
    char path[NODE_PATH_BYTES];
    char message[512];
    int64_t number = 0;
    if (strncmp(node_name, "node-", 5) != 0 || !app_parse_number(node_name + 5, 1, 100, &number)) {
        return app_error(APP_USAGE, "provision", "nodes are node-1 to node-100, not '%s'", node_name);
    }
    if (snprintf(self->socket_path, sizeof self->socket_path, "%s/%s/control", state, node_name) >=
            (int)sizeof self->socket_path ||
        snprintf(self->pop_file, sizeof self->pop_file, "%s/%s/" DEMO_LABEL, state, node_name) >=
            (int)sizeof self->pop_file ||
        snprintf(path, sizeof path, "%s/node-1/node.conf", state) >= (int)sizeof path) {
        return app_error(APP_USAGE, "provision", "the path %s is too long", state);
    }
    if (!node_config_read(path, &self->neighbour, message, sizeof message)) {
        return app_error(APP_ENVIRONMENT, "provision", "%s", message);
    }
    self->given[OPTION_SITE - OPTION_STATE] = self->neighbour.site;
    self->given[OPTION_MESH_KEY - OPTION_STATE] = self->neighbour.mesh_key_file;
    self->given[OPTION_BROKER - OPTION_STATE] = self->neighbour.broker;
    if (self->neighbour.broker_password_file[0] != '\0') {
        self->given[OPTION_BROKER_PASSWORD - OPTION_STATE] = self->neighbour.broker_password_file;
    }
    return APP_OK;
}

static int compose(errand_t *self) {
    char revision[24];
    snprintf(revision, sizeof revision, "%lld", (long long)time(NULL));
    self->used = (size_t)snprintf(self->line, sizeof self->line, "provision ");
    add_field(self, "revision", given(self, OPTION_REVISION) != NULL ? given(self, OPTION_REVISION) : revision);
    add_field(self, "site", given(self, OPTION_SITE));
    add_field(self, "broker_url",
              given(self, OPTION_BROKER) != NULL ? given(self, OPTION_BROKER) : "mqtt://127.0.0.1:1883");
    int code = add_file(self, "pop", self->pop_file[0] != '\0' ? self->pop_file : given(self, OPTION_POP));
    code = code == APP_OK ? add_file(self, "mesh_key", given(self, OPTION_MESH_KEY)) : code;
    if (code == APP_OK && given(self, OPTION_BROKER_PASSWORD) != NULL) {
        code = add_broker_password(self, given(self, OPTION_BROKER_PASSWORD));
    }
    if (code == APP_OK && given(self, OPTION_ROUTER) != NULL) {
        add_field(self, "router_name", given(self, OPTION_ROUTER));
    }
    if (code == APP_OK && given(self, OPTION_ROUTER_PASSWORD) != NULL) {
        code = add_file(self, "router_password", given(self, OPTION_ROUTER_PASSWORD));
    }
    if (code == APP_OK && self->overflow) {
        code = app_error(APP_USAGE, "provision", "all of this together is too long");
    }
    return code;
}

static int hand_over(errand_t *self) {
    char answer[ANSWER_BYTES];
    const char *path = self->socket_path[0] != '\0' ? self->socket_path : given(self, OPTION_SOCKET);
    int code = compose(self);
    if (code == APP_OK) {
        bool heard = control_ask(path, self->line, ANSWER_TIMEOUT_MS, answer, sizeof answer);
        answer[strcspn(answer, "\n")] = '\0';
        bool taken = heard && strncmp(answer, "ok", 2) == 0;
        code = taken ? APP_OK : heard ? APP_CHECK_FAILED : APP_NO_ANSWER;
        fprintf(taken ? stdout : stderr, "%s\n", answer);
    }
    explicit_bzero(self->line, sizeof self->line);
    return code;
}

static int parse(errand_t *self, int argc, char **argv, bool *help) {
    self->given[0] = getenv("MM_STATE");
    for (int option = 0; (option = getopt_long(argc, argv, "", s_options, NULL)) != -1;) {
        if (option < OPTION_STATE) {
            return APP_USAGE;
        }
        if (option == OPTION_HELP) {
            *help = true;
            return APP_OK;
        }
        self->given[option - OPTION_STATE] = optarg;
    }
    if (given(self, OPTION_SOCKET) == NULL && given(self, OPTION_STATE) != NULL && optind + 1 == argc) {
        int code = use_demo(self, given(self, OPTION_STATE), argv[optind]);
        if (code == APP_OK && given(self, OPTION_POP) != NULL) {
            self->pop_file[0] = '\0';
        }
        return code;
    }
    if (optind != argc || given(self, OPTION_SOCKET) == NULL || given(self, OPTION_POP) == NULL ||
        given(self, OPTION_SITE) == NULL || given(self, OPTION_MESH_KEY) == NULL) {
        return app_error(APP_USAGE, "provision",
                         "--state DIR node-N is needed, or --socket, --pop-file, --site and --mesh-key-file; see "
                         "meshmeter provision --help");
    }
    return APP_OK;
}

int command_provision(int argc, char **argv) {
    static errand_t s_errand;
    bool help = false;
    int code = parse(&s_errand, argc, argv, &help);
    if (help) {
        print_help();
    }
    return code != APP_OK || help ? code : hand_over(&s_errand);
}
