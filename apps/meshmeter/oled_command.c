// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app.h"
#include "control_client.h"
#include "oled_draw.h"

#define ANSWER_BYTES 4096
#define ANSWER_TIMEOUT_MS 3000
#define WATCH_PERIOD_MS 200

static volatile sig_atomic_t s_stop;

static void print_help(void) {
    puts("usage: meshmeter oled [--state DIR] NODE [OPTION]…\n\n"
         "Show the display of a running node in the terminal; docs/guide/display.md says what is on it.\n\n"
         "  NODE            node-1, or 1\n"
         "  --state DIR     state directory of the demo (or MM_STATE in the environment)\n"
         "  --socket FILE   the control socket of one node, instead of --state and NODE\n"
         "  --press short   press the button before the picture is taken; long: hold it\n"
         "  --watch         show it again whenever it changes, until Ctrl-C\n"
         "  --blocks        half blocks, 130 columns wide, instead of dots of Braille, 66 columns\n\n"
         "Exit code 0: shown; 4: the node does not answer.\n\n"
         "Example: meshmeter oled --state DIR node-1 --press long");
}

typedef struct {
    char socket_path[600];
    const char *press; ///< or NULL
    bool watch;
    bool blocks;
} oled_t;

static void on_signal(int signal_no) {
    (void)signal_no;
    s_stop = 1;
}

static bool ask(const oled_t *self, const char *line, char answer[ANSWER_BYTES]) {
    bool good = control_ask(self->socket_path, line, ANSWER_TIMEOUT_MS, answer, ANSWER_BYTES);
    answer[strcspn(answer, "\n")] = '\0';
    return good;
}

static bool is_dark(const uint8_t bytes[OLED_BYTES]) {
    for (int index = 0; index < OLED_BYTES; index++) {
        if (bytes[index] != 0) {
            return false;
        }
    }
    return true;
}

// True if the picture was taken and, if it is another than before, shown.
static bool show(const oled_t *self, char before[ANSWER_BYTES], char answer[ANSWER_BYTES]) {
    static char s_drawing[OLED_DRAWING_BYTES];
    uint8_t bytes[OLED_BYTES];
    if (!ask(self, "oled", answer)) {
        return false;
    }
    if (!oled_parse(answer, bytes)) {
        snprintf(answer, ANSWER_BYTES, "the answer is not a picture: is the node of this version?");
        return false;
    }
    if (strcmp(before, answer) != 0) {
        oled_draw(bytes, self->blocks, s_drawing);
        printf("%s%s", self->watch ? "\033[H\033[J" : "", s_drawing);
        if (is_dark(bytes)) {
            puts("dark: --press short lights it");
        }
        (void)fflush(stdout);
        memcpy(before, answer, ANSWER_BYTES);
    }
    return true;
}

static int run(const oled_t *self) {
    static char s_before[ANSWER_BYTES];
    static char s_answer[ANSWER_BYTES];
    char line[32];
    if (self->press != NULL) {
        snprintf(line, sizeof line, "button %s", self->press);
        if (!ask(self, line, s_answer)) {
            return app_error(APP_NO_ANSWER, "oled", "%s", s_answer);
        }
        if (strncmp(s_answer, "ok", 2) != 0) {
            return app_error(APP_CHECK_FAILED, "oled", "%s", s_answer);
        }
    }
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    do {
        if (!show(self, s_before, s_answer)) {
            return s_stop != 0 ? APP_OK : app_error(APP_NO_ANSWER, "oled", "%s", s_answer);
        }
        // wait: the picture changes, or Ctrl-C | until WATCH_PERIOD_MS | then the node is asked again
        if (self->watch && s_stop == 0) {
            (void)poll(NULL, 0, WATCH_PERIOD_MS);
        }
    } while (self->watch && s_stop == 0);
    return APP_OK;
}

static int find_socket(oled_t *self, const char *state, const char *node) {
    char directory[512];
    char name[32];
    struct stat found;
    int64_t number = 0;
    const char *digits = strncmp(node, "node-", 5) == 0 ? node + 5 : node;
    if (!app_parse_number(digits, 1, 100, &number)) {
        return app_error(APP_USAGE, "oled", "nodes are node-1 to node-100, not '%s'", node);
    }
    snprintf(name, sizeof name, "node-%d", (int)number);
    if (!app_path(directory, sizeof directory, state, name) ||
        !app_path(self->socket_path, sizeof self->socket_path, directory, "control")) {
        return app_error(APP_USAGE, "oled", "the path %s is too long", state);
    }
    return stat(directory, &found) == 0 ? APP_OK : app_error(APP_NO_ANSWER, "oled", "%s has no %s", state, name);
}

int command_oled(int argc, char **argv) {
    static const struct option options[] = {{"state", required_argument, NULL, 's'},
                                            {"socket", required_argument, NULL, 'k'},
                                            {"press", required_argument, NULL, 'p'},
                                            {"watch", no_argument, NULL, 'w'},
                                            {"blocks", no_argument, NULL, 'b'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    oled_t self = {.press = NULL};
    const char *state = getenv("MM_STATE");
    const char *socket_path = NULL;
    for (int option = 0; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 's':
            state = optarg;
            break;
        case 'k':
            socket_path = optarg;
            break;
        case 'p':
            if (strcmp(optarg, "short") != 0 && strcmp(optarg, "long") != 0) {
                return app_error(APP_USAGE, "oled", "--press is short or long, not '%s'", optarg);
            }
            self.press = optarg;
            break;
        case 'w':
            self.watch = true;
            break;
        case 'b':
            self.blocks = true;
            break;
        case 'h':
            print_help();
            return APP_OK;
        default:
            return APP_USAGE;
        }
    }
    if (argc - optind != (socket_path != NULL ? 0 : 1)) {
        return app_error(APP_USAGE, "oled", "which node? For example node-1; see meshmeter oled --help");
    }
    if (socket_path == NULL && state == NULL) {
        return app_error(APP_USAGE, "oled", "which site? Name its --state DIR, as the demo printed it");
    }
    if (socket_path != NULL) {
        snprintf(self.socket_path, sizeof self.socket_path, "%s", socket_path);
        return run(&self);
    }
    int code = find_socket(&self, state, argv[optind]);
    return code != APP_OK ? code : run(&self);
}
