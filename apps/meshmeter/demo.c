// SPDX-License-Identifier: Apache-2.0
#include "demo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "app.h"
#include "control_client.h"
#include "meshmeter/base.h"
#include "meshmeter/calendar.h"
#include "supervisor.h"

#define START_TIMEOUT_US 15000000
#define START_STEP_US 20000
#define CONNECT_TIMEOUT_MS 1000
#define STOP_GRACE_US 5000000
// After the end of the pulses everything must have arrived within this real time.
#define DRAIN_TIMEOUT_US 120000000
#define DRAIN_STEP_US 500000
#define LOOP_STEP_US 100000
#define HOLD_TIMEOUT_MS 1000
#define STATUS_PERIOD_US 1000000
#define TZ_DEFAULT "CET-1CEST,M3.5.0,M10.5.0/3"

static void print_help(void) {
    puts("usage: meshmeter demo [OPTION]…\n\n"
         "Run a live site on this machine: an MQTT broker, HQ with its web page, and nodes with 8 meters each, all as\n"
         "child processes. A part that dies is started again. Ctrl-C stops everything.\n\n"
         "  --nodes N          nodes of the site, 1 to 100 (3)\n"
         "  --data DIR         replay the CSV files of cumulative kWh in DIR, one per node, instead of the built-in\n"
         "                     household model; files of another time are shifted to the begin of the replay\n"
         "  --start UTC        wall time at the begin (first row of the first file, or now): 2015-12-30T12:00:00Z\n"
         "  --speed N          all clocks run N times faster, 1 to 100000 (1)\n"
         "  --for SECONDS      real seconds of pulses, then check that everything arrived, print a summary and end\n"
         "  --state DIR        directory of the site; used again if it is the same site (demo-state/…; with --for\n"
         "                     a temporary one that is removed after a good end)\n"
         "  --http ADDR:PORT   where the page is (127.0.0.1:8080); port 0 chooses a free one\n"
         "  --mqtt-port N      port of the broker on 127.0.0.1 (0 = a free one)\n"
         "  --mqtt-version V   5 or 3.1.1 (5)\n"
         "  --tz RULE          time zone of the site as a POSIX rule (" TZ_DEFAULT ")\n"
         "  --seed N           seed of the household model (1)\n"
         "  --parked           the last node comes from the box: it is commissioned by hand, as the demo then says\n"
         "  --no-fram          nodes without FRAM: registers in flash\n"
         "  --clock-unset      nodes begin without a time; 'meshmeter ctl clock set' gives it\n"
         "  --no-persistence   the broker forgets everything when it dies\n"
         "  --keep             keep a temporary state directory\n");
}

static bool set_number(const char *text, int64_t min, int64_t max, const char *name, int64_t *number) {
    if (app_parse_number(text, min, max, number)) {
        return true;
    }
    (void)app_error(APP_USAGE, "demo", "%s must be a whole number from %" PRId64 " to %" PRId64 ", not '%s'", name, min,
                    max, text);
    return false;
}

// Places of the parts among the supervisor's children.
enum {
    PART_BROKER,
    PART_HQ,
    PART_FIRST_NODE
};

enum {
    OPTION_NODES = 256,
    OPTION_DATA,
    OPTION_SPEED,
    OPTION_FOR,
    OPTION_STATE,
    OPTION_HTTP,
    OPTION_MQTT_PORT,
    OPTION_MQTT_VERSION,
    OPTION_TZ,
    OPTION_SEED,
    OPTION_START,
    OPTION_PARKED,
    OPTION_NO_FRAM,
    OPTION_CLOCK_UNSET,
    OPTION_NO_PERSISTENCE,
    OPTION_KEEP,
    OPTION_HELP,
};

static const struct option s_options[] = {
    {"nodes", required_argument, NULL, OPTION_NODES},
    {"data", required_argument, NULL, OPTION_DATA},
    {"speed", required_argument, NULL, OPTION_SPEED},
    {"for", required_argument, NULL, OPTION_FOR},
    {"state", required_argument, NULL, OPTION_STATE},
    {"http", required_argument, NULL, OPTION_HTTP},
    {"mqtt-port", required_argument, NULL, OPTION_MQTT_PORT},
    {"mqtt-version", required_argument, NULL, OPTION_MQTT_VERSION},
    {"tz", required_argument, NULL, OPTION_TZ},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"start", required_argument, NULL, OPTION_START},
    {"parked", no_argument, NULL, OPTION_PARKED},
    {"no-fram", no_argument, NULL, OPTION_NO_FRAM},
    {"clock-unset", no_argument, NULL, OPTION_CLOCK_UNSET},
    {"no-persistence", no_argument, NULL, OPTION_NO_PERSISTENCE},
    {"keep", no_argument, NULL, OPTION_KEEP},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static bool set_path(const char *text, bool must_exist, const char *name, char path[DEMO_PATH_BYTES]) {
    char *absolute = must_exist ? realpath(text, NULL) : strdup(text);
    bool good = absolute != NULL && strlen(absolute) < DEMO_PATH_BYTES;
    if (good) {
        memcpy(path, absolute, strlen(absolute) + 1);
    } else {
        (void)app_error(APP_USAGE, "demo", "%s: %s: %s", name, text, absolute == NULL ? strerror(errno) : "too long");
    }
    free(absolute);
    return good;
}

static bool set_option(demo_options_t *o, int option, const char *text) {
    int64_t number = 0;
    bool good = true;
    switch (option) {
    case OPTION_NODES:
        good = set_number(text, 1, DEMO_NODES_MAX, "--nodes", &number);
        o->nodes = (unsigned)number;
        return good;
    case OPTION_DATA:
        return set_path(text, true, "--data", o->data_directory);
    case OPTION_SPEED:
        good = set_number(text, 1, 100000, "--speed", &number);
        o->speed = (uint32_t)number;
        return good;
    case OPTION_FOR:
        return set_number(text, 1, 10000000, "--for", &o->for_s);
    case OPTION_STATE:
        o->state_given = true;
        return set_path(text, false, "--state", o->state_directory);
    case OPTION_HTTP:
        return app_parse_address(text, o->http_address, sizeof o->http_address, &o->http_port) ||
               app_error(0, "demo", "--http must be ADDR:PORT with an IPv4 address, not '%s'", text);
    case OPTION_MQTT_PORT:
        good = set_number(text, 0, UINT16_MAX, "--mqtt-port", &number);
        o->mqtt_port = (uint16_t)number;
        return good;
    case OPTION_MQTT_VERSION:
        o->mqtt_5 = strcmp(text, "5") == 0;
        return o->mqtt_5 || strcmp(text, "3.1.1") == 0 ||
               app_error(0, "demo", "--mqtt-version must be 5 or 3.1.1, not '%s'", text);
    case OPTION_TZ: {
        mm_tz_t tz;
        snprintf(o->tz, sizeof o->tz, "%s", text);
        return (strlen(text) < sizeof o->tz && mm_tz_parse(text, &tz) == MM_OK) ||
               app_error(0, "demo", "--tz must be a POSIX rule such as " TZ_DEFAULT ", not '%s'", text);
    }
    case OPTION_SEED:
        good = set_number(text, 0, 1000000000, "--seed", &number);
        o->seed = (uint64_t)number;
        return good;
    case OPTION_START:
        return app_parse_utc(text, &o->start_utc_s) ||
               app_error(0, "demo", "--start must be a UTC time like 2015-12-30T12:00:00Z, not '%s'", text);
    case OPTION_PARKED:
        o->parked = true;
        return true;
    case OPTION_NO_FRAM:
        o->with_fram = false;
        return true;
    case OPTION_CLOCK_UNSET:
        o->clock_unset = true;
        return true;
    case OPTION_NO_PERSISTENCE:
        o->broker_persistence = false;
        return true;
    case OPTION_KEEP:
        o->keep_state = true;
        return true;
    default:
        return app_error(0, "demo", "see meshmeter demo --help");
    }
}

static int parse_options(demo_options_t *o, int argc, char **argv, bool *help) {
    *o = (demo_options_t){.nodes = 3,
                          .speed = 1,
                          .http_address = "127.0.0.1",
                          .http_port = 8080,
                          .seed = 1,
                          .start_utc_s = -1,
                          .tz = TZ_DEFAULT,
                          .mqtt_5 = true,
                          .broker_persistence = true,
                          .with_fram = true};
    for (;;) {
        int option = getopt_long(argc, argv, "", s_options, NULL);
        if (option == -1) {
            break;
        }
        if (option == OPTION_HELP) {
            *help = true;
            return APP_OK;
        }
        if (!set_option(o, option, optarg)) {
            return APP_USAGE;
        }
    }
    if (o->parked && (o->nodes < 2 || o->speed != 1 || o->for_s != 0 || o->data_directory[0] != '\0')) {
        return app_error(APP_USAGE, "demo",
                         "--parked goes with 2 nodes or more, and without --speed, --for and --data: somebody has to "
                         "type, and nobody knows when that is done");
    }
    return optind == argc ? APP_OK : app_error(APP_USAGE, "demo", "'%s' is not an option", argv[optind]);
}

static void add_children(const demo_t *demo, supervisor_t *parts) {
    const demo_options_t *o = &demo->options;
    char log_path[DEMO_PATH_BYTES + 64];
    snprintf(log_path, sizeof log_path, "%s/log/broker.log", o->state_directory);
    supervisor_child_t *broker = supervisor_add(parts, "broker", log_path);
    supervisor_add_argument(broker, "mosquitto");
    supervisor_add_argument(broker, "-c");
    supervisor_add_argument(broker, "%s/broker.conf", o->state_directory);
    snprintf(log_path, sizeof log_path, "%s/log/hq.log", o->state_directory);
    supervisor_child_t *hq = supervisor_add(parts, "hq", log_path);
    supervisor_add_argument(hq, "%s", demo->program);
    supervisor_add_argument(hq, "hq");
    supervisor_add_argument(hq, "--db=%s/hq.db", o->state_directory);
    supervisor_add_argument(hq, "--broker=mqtt://127.0.0.1:%u", o->mqtt_port);
    supervisor_add_argument(hq, "--broker-password-file=%s/hq.password", o->state_directory);
    supervisor_add_argument(hq, "--http=%s:%u", o->http_address, o->http_port);
    supervisor_add_argument(hq, "--web=%s", demo->web_directory);
    supervisor_add_argument(hq, "--displays=%s/displays", o->state_directory);
    supervisor_add_argument(hq, "--tz=%s", o->tz);
    supervisor_add_argument(hq, "--speed=%" PRIu32, o->speed);
    supervisor_add_argument(hq, "--clock-origin-real-us=%" PRId64, demo->origin_real_us);
    supervisor_add_argument(hq, "--clock-origin-utc-us=%" PRId64, demo->origin_utc_us);
    for (unsigned i = 0; i < o->nodes; i++) {
        char name[32];
        snprintf(name, sizeof name, "node-%u", i + 1);
        snprintf(log_path, sizeof log_path, "%s/log/%s.log", o->state_directory, name);
        supervisor_child_t *node = supervisor_add(parts, name, log_path);
        supervisor_add_argument(node, "%s", demo->program);
        supervisor_add_argument(node, "node");
        supervisor_add_argument(node, "--config=%s/%s/node.conf", o->state_directory, name);
    }
}

static bool can_connect(const char *address, uint16_t port) {
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
    (void)inet_pton(AF_INET, strcmp(address, "0.0.0.0") == 0 ? "127.0.0.1" : address, &name.sin_addr);
    int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    // wait: a server of the demo takes a connection | until CONNECT_TIMEOUT_MS | then it is tried again
    bool good = file >= 0 && app_set_send_timeout(file, CONNECT_TIMEOUT_MS) &&
                connect(file, (struct sockaddr *)&name, sizeof name) == 0;
    if (file >= 0) {
        (void)close(file);
    }
    return good;
}

// The signals that end or wake the demo, taken one at a time; 0 when the time is over.
static int await_signal(int64_t timeout_us) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    struct timespec timeout = {.tv_sec = timeout_us / 1000000, .tv_nsec = timeout_us % 1000000 * 1000};
    // wait: a signal or the end of a child | until the caller's next look: START_STEP_US, DRAIN_STEP_US or LOOP_STEP_US
    // | then the demo looks after its parts
    int number = sigtimedwait(&set, NULL, &timeout);
    return number > 0 ? number : 0;
}

static bool is_end_signal(int number) {
    return number == SIGINT || number == SIGTERM || number == SIGHUP;
}

// Start one part and wait until it takes connections. Exit code; APP_OK with *ended when Ctrl-C came meanwhile.
static int start_server(supervisor_child_t *child, const char *address, uint16_t port, bool *ended) {
    // wait: a part takes connections | until START_TIMEOUT_US | then the demo ends and shows the part's log
    int64_t until_us = supervisor_now_us() + START_TIMEOUT_US;
    if (!supervisor_start(child)) {
        return app_error(APP_ENVIRONMENT, "demo", "cannot start %s: %s", child->name, strerror(errno));
    }
    while (!can_connect(address, port)) {
        if (is_end_signal(await_signal(START_STEP_US))) {
            *ended = true;
            return APP_OK;
        }
        if (supervisor_has_ended(child) || supervisor_now_us() > until_us) {
            supervisor_print_log_tail(child);
            return app_error(APP_ENVIRONMENT, "demo", "%s did not start; the end of its log is above", child->name);
        }
    }
    return APP_OK;
}

static int start_children(demo_t *demo, supervisor_t *parts, bool *ended) {
    const demo_options_t *o = &demo->options;
    int code = start_server(&parts->children[PART_BROKER], "127.0.0.1", o->mqtt_port, ended);
    if (code == APP_OK && !*ended) {
        code = start_server(&parts->children[PART_HQ], o->http_address, o->http_port, ended);
        if (code == APP_OK && !*ended && !demo_write_url(demo)) {
            code = app_error(APP_ENVIRONMENT, "demo", "cannot write into %s: %s", o->state_directory, strerror(errno));
        }
    }
    for (unsigned i = PART_FIRST_NODE; i < parts->child_count && code == APP_OK && !*ended; i++) {
        demo_ports_release_mesh(demo, i - PART_FIRST_NODE);
        if (!supervisor_start(&parts->children[i])) {
            code = app_error(APP_ENVIRONMENT, "demo", "cannot start %s: %s", parts->children[i].name, strerror(errno));
        }
    }
    return code;
}

static void print_next_steps(const demo_t *demo) {
    const demo_options_t *o = &demo->options;
    const char *state = o->state_directory;
    printf("  Node %u comes from the box (docs/guide/commissioning.md). To commission it:\n"
           "    1. %s provision --state %s node-%u\n"
           "    2. open its own page: http://127.0.0.1:%u/\n"
           "    3. its display, with the number: %s oled --state %s node-%u\n"
           "    4. as headquarters, the code for that number: %s code NUMBER --state %s --mac 02:6d:6d:00:00:%02x "
           "--caller ME\n"
           "    5. type the code and the meters on its page, then confirm the installation on HQ's page\n"
           "       (or: MM_STATE=%s %s confirm ID)\n\n",
           o->nodes, demo->program, state, o->nodes, demo->configurator_port, demo->program, state, o->nodes,
           demo->program, state, o->nodes, state, demo->program);
}

static void print_where(const demo_t *demo) {
    const demo_options_t *o = &demo->options;
    char time[21];
    app_format_utc(demo_wall_us(demo) / 1000000, time);
    printf("\n  page      http://%s:%u/\n  broker    mqtt://127.0.0.1:%u\n  state     %s%s\n"
           "  sign in   with the line in %s/" DEMO_OPERATOR_TOKEN "\n  site      " DEMO_SITE
           ", %u nodes, clocks at %s running %" PRIu32 " times real time\n\n"
           "  Try:  %s status --state %s\n        %s ctl --state %s router off\n"
           "        %s send --state %s gateway:" DEMO_SITE " find seconds=60 --wait\n  Ctrl-C stops everything.\n\n",
           o->http_address, o->http_port, o->mqtt_port, o->state_directory, demo->resumed ? " (continued)" : "",
           o->state_directory, o->nodes, time, o->speed, demo->program, o->state_directory, demo->program,
           o->state_directory, demo->program, o->state_directory);
    if (o->parked) {
        print_next_steps(demo);
    }
    (void)fflush(stdout);
}

static void print_progress(const demo_t *demo, const supervisor_t *parts) {
    if (!isatty(STDERR_FILENO)) {
        return;
    }
    char time[21];
    app_format_utc(demo_wall_us(demo) / 1000000, time);
    fprintf(stderr, "\r  %s  restarts %u ", time, parts->restarts);
}

static void hold_node(const char *node_name, const char *socket_path, void *context) {
    char answer[4096];
    (void)node_name;
    (void)context;
    (void)control_ask(socket_path, "hold", HOLD_TIMEOUT_MS, answer, sizeof answer);
}

// The pulses are over: let everything arrive, then compare. A part that dies meanwhile is started again and told again.
static int finish(const demo_t *demo, supervisor_t *parts) {
    // wait: everything has arrived at HQ | until DRAIN_TIMEOUT_US | then the demo says what is missing and fails
    int64_t until_us = supervisor_now_us() + DRAIN_TIMEOUT_US;
    demo_account_t account = {0};
    int code = APP_NO_ANSWER;
    fprintf(stderr, "\ndemo: the pulses are over, waiting until everything has arrived\n");
    while (supervisor_now_us() < until_us) {
        supervisor_poll(parts);
        (void)control_for_each(demo->options.state_directory, hold_node, NULL);
        code = demo_check(demo, &account);
        if (code == APP_OK && account.complete) {
            break;
        }
        if (is_end_signal(await_signal(DRAIN_STEP_US))) {
            break;
        }
        demo_state_remember_clock(demo);
    }
    if (code != APP_OK) {
        return code;
    }
    printf("summary: nodes=%u meters=%u records_made=%" PRIu64 " records_stored=%" PRIu64 " lost=%" PRIu64
           " duplicated=%" PRIu64 " gaps=%" PRIu64 " wh_error=%" PRIu64 " restarts=%u\n",
           demo->options.nodes, account.meters, account.records_made, account.records_stored, account.lost,
           account.duplicated, account.gaps, account.wh_error, parts->restarts);
    bool good = account.complete && account.lost == 0 && account.duplicated == 0 && account.wh_error == 0;
    return good ? APP_OK : APP_CHECK_FAILED;
}

static int run(demo_t *demo) {
    supervisor_t *parts = calloc(1, sizeof *parts);
    if (parts == NULL) {
        return app_error(APP_ENVIRONMENT, "demo", "out of memory");
    }
    add_children(demo, parts);
    bool ended = false;
    int code = start_children(demo, parts, &ended);
    if (code == APP_OK && !ended) {
        print_where(demo);
    }
    int64_t status_at_us = 0;
    while (code == APP_OK && !ended && demo_wall_us(demo) / 1000000 < demo->end_utc_s) {
        supervisor_poll(parts);
        if (supervisor_now_us() >= status_at_us) {
            demo_state_remember_clock(demo);
            print_progress(demo, parts);
            status_at_us = supervisor_now_us() + STATUS_PERIOD_US;
        }
        ended = is_end_signal(await_signal(LOOP_STEP_US));
    }
    if (code == APP_OK && !ended && demo->options.for_s > 0) {
        code = finish(demo, parts);
    }
    // The nodes together: while one takes its time, days may pass on the clocks of the others. HQ and the broker last.
    supervisor_stop_from(parts, PART_FIRST_NODE, STOP_GRACE_US);
    supervisor_stop_from(parts, PART_HQ, STOP_GRACE_US);
    supervisor_stop_from(parts, PART_BROKER, STOP_GRACE_US);
    // Only now: a part that took its time to end has lived on, and the next run's clocks must not begin before that.
    demo_state_remember_clock(demo);
    free(parts);
    if (code == APP_OK) {
        demo_state_remove(demo);
    } else {
        fprintf(stderr, "demo: logs and state are kept in %s\n", demo->options.state_directory);
    }
    if (ended) {
        puts("\nstopped");
    }
    return code;
}

static bool find_program(demo_t *demo) {
    char directory[DEMO_PATH_BYTES];
    return app_program_directory(directory, sizeof directory) &&
           app_path(demo->program, sizeof demo->program, directory, "meshmeter") &&
           app_path(demo->web_directory, sizeof demo->web_directory, directory, "web");
}

int command_demo(int argc, char **argv) {
    static demo_t s_demo;
    demo_t *demo = &s_demo;
    bool help = false;
    int code = parse_options(&demo->options, argc, argv, &help);
    if (code != APP_OK || help) {
        if (help) {
            print_help();
        }
        return code;
    }
    // mosquitto lives in a directory that is not in every user's PATH.
    const char *path = getenv("PATH");
    char longer[4096];
    snprintf(longer, sizeof longer, "%s:/usr/sbin:/sbin", path != NULL ? path : "/usr/bin:/bin");
    (void)setenv("PATH", longer, 1);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    if (!find_program(demo)) {
        return app_error(APP_ENVIRONMENT, "demo", "the path of the program is too long");
    }
    code = demo_site_scan_data(demo);
    if (code != APP_OK) {
        return code;
    }
    code = demo_ports_hold(demo);
    if (code == APP_OK) {
        code = demo_state_open(demo);
    }
    if (code == APP_OK) {
        code = demo_site_write(demo);
    }
    if (code == APP_OK) {
        code = demo_keys_prepare(demo);
    }
    code = code == APP_OK ? run(demo) : code;
    demo_ports_release(demo);
    return code;
}
