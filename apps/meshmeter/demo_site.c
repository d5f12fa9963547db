// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app.h"
#include "demo.h"
#include "linux/pulses_csv.h"
#include "meshmeter/base.h"

#define CONFIG_BYTES 16384
// Cumulative kWh with three decimals are whole Wh: with this constant one pulse is one Wh and nothing is rounded.
#define DATA_PULSE_CONSTANT 1000
#define MODEL_PULSE_CONSTANT 1000
// Real length of a cycle: short enough to see the page move, long enough for a round and a session of processes on one
// machine.
#define CYCLE_LIVE_MS 4000
#define CYCLE_FAST_MS 2000
// mosquitto_passwd takes milliseconds.
#define PASSWD_TIMEOUT_S 10

static const char *const MODEL_NAMES[MM_CHANNELS] = {"flat-1", "flat-2", "flat-3", "flat-4",
                                                     "flat-5", "flat-6", "stairs", "laundry"};

// "heat_pump" in file 2 becomes "2-heatpump": short, unique in the site, readable.
static void make_id(char *id, unsigned file_index, const char *name) {
    size_t used = (size_t)snprintf(id, MM_METER_ID_CHARS_MAX + 1, "%u-", file_index + 1);
    for (size_t i = 0; name[i] != '\0' && used < MM_METER_ID_CHARS_MAX; i++) {
        if (isalnum((unsigned char)name[i])) {
            id[used++] = name[i];
        }
    }
    id[used] = '\0';
}

static const uint32_t *data_pulse_constants(void) {
    static const uint32_t s_constants[MM_CHANNELS] = {
        DATA_PULSE_CONSTANT, DATA_PULSE_CONSTANT, DATA_PULSE_CONSTANT, DATA_PULSE_CONSTANT,
        DATA_PULSE_CONSTANT, DATA_PULSE_CONSTANT, DATA_PULSE_CONSTANT, DATA_PULSE_CONSTANT,
    };
    return s_constants;
}

static int scan_file(demo_file_t *file, unsigned file_index) {
    mm_pulses_csv_t csv;
    mm_linux_message_t message;
    mm_err_t err = mm_pulses_csv_open(&csv, file->path, data_pulse_constants(), &message);
    if (err != MM_OK) {
        return app_error(err == MM_ERR_ARG ? APP_USAGE : APP_ENVIRONMENT, "demo", "%s", message.text);
    }
    file->columns = csv.column_count;
    file->first_s = csv.first_utc.us / MM_US_PER_S;
    file->last_s = csv.last_utc.us / MM_US_PER_S;
    for (uint8_t i = 0; i < csv.column_count; i++) {
        make_id(file->ids[i], file_index, csv.columns[i].name);
    }
    mm_pulses_csv_close(&csv);
    return APP_OK;
}

// What the physical meters showed when the counts begin. With whole Wh in the file and one pulse per Wh nothing is
// rounded.
static int read_starts(const demo_t *demo, unsigned index, uint64_t starts_wh[MM_CHANNELS]) {
    mm_pulses_csv_t csv;
    mm_linux_message_t message;
    if (mm_pulses_csv_open(&csv, demo->files[index].path, data_pulse_constants(), &message) != MM_OK) {
        return app_error(APP_ENVIRONMENT, "demo", "%s", message.text);
    }
    const mm_utc_t begin = {(demo->begin_utc_s - demo_site_shift_s(demo, index)) * MM_US_PER_S};
    for (uint8_t i = 0; i < csv.column_count; i++) {
        starts_wh[i] = mm_pulses_csv_start_wh(&csv, i) + mm_pulse_source_expected(&csv.source, i, begin);
    }
    mm_pulses_csv_close(&csv);
    return APP_OK;
}

static int compare_names(const void *left, const void *right) {
    return strcmp(left, right);
}

static bool is_energy_table(const char *directory, const char *name) {
    size_t length = strlen(name);
    char path[DEMO_PATH_BYTES];
    return length > 4 && strcmp(name + length - 4, ".csv") == 0 && app_path(path, sizeof path, directory, name) &&
           mm_pulses_csv_probe(path, NULL) == MM_OK;
}

int demo_site_scan_data(demo_t *demo) {
    demo_options_t *o = &demo->options;
    if (o->data_directory[0] == '\0') {
        return APP_OK;
    }
    DIR *directory = opendir(o->data_directory);
    if (directory == NULL) {
        return app_error(APP_ENVIRONMENT, "demo", "cannot open the data directory %s: %s", o->data_directory,
                         strerror(errno));
    }
    static char names[DEMO_NODES_MAX][256];
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        if (is_energy_table(o->data_directory, entry->d_name) && demo->file_count < DEMO_NODES_MAX) {
            snprintf(names[demo->file_count++], sizeof names[0], "%s", entry->d_name);
        }
    }
    (void)closedir(directory);
    if (demo->file_count == 0) {
        return app_error(APP_USAGE, "demo",
                         "%s has no CSV file of cumulative kWh (first line 'utc_timestamp,NAME_kwh,…')",
                         o->data_directory);
    }
    qsort(names, demo->file_count, sizeof names[0], compare_names);
    if (o->nodes > demo->file_count) {
        return app_error(APP_USAGE, "demo", "%u nodes need as many CSV files, %s has %u", o->nodes, o->data_directory,
                         demo->file_count);
    }
    int code = APP_OK;
    for (unsigned i = 0; i < o->nodes && code == APP_OK; i++) {
        demo_file_t *file = &demo->files[i];
        if (!app_path(file->path, sizeof file->path, o->data_directory, names[i])) {
            return app_error(APP_USAGE, "demo", "the path of %s is too long", names[i]);
        }
        code = scan_file(file, i);
    }
    return code;
}

int64_t demo_site_shift_s(const demo_t *demo, unsigned index) {
    const demo_file_t *file = &demo->files[index];
    bool covers = demo->begin_utc_s >= file->first_s && demo->begin_utc_s < file->last_s;
    return covers ? 0 : demo->begin_utc_s - file->first_s;
}

static bool write_state_file(const char *directory, const char *name, const char *text) {
    char path[DEMO_PATH_BYTES + 64];
    return app_path(path, sizeof path, directory, name) && app_write_file(path, text);
}

// The passwords reach mosquitto_passwd in a file that only this user can read, never on a command line.
static bool write_broker_passwords(const demo_t *demo) {
    const char *names[] = {"hq.password", "gateway.password"};
    char text[512] = "";
    char path[DEMO_PATH_BYTES + 64];
    for (size_t i = 0; i < 2; i++) {
        size_t size = 0;
        char *line = app_path(path, sizeof path, demo->options.state_directory, names[i])
                         ? app_read_file(path, 200, &size)
                         : NULL;
        if (line == NULL) {
            return false;
        }
        strncat(text, line, sizeof text - strlen(text) - 1);
        free(line);
    }
    if (!write_state_file(demo->options.state_directory, "broker.passwords", text) ||
        !app_path(path, sizeof path, demo->options.state_directory, "broker.passwords")) {
        return false;
    }
    pid_t pid = fork();
    if (pid == 0) {
        (void)alarm(PASSWD_TIMEOUT_S); // outlives exec, and ends the program
        execlp("mosquitto_passwd", "mosquitto_passwd", "-U", path, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    // wait: mosquitto_passwd ends | until PASSWD_TIMEOUT_S: its alarm | then the demo says that it failed
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool write_broker(const demo_t *demo) {
    const char *state = demo->options.state_directory;
    char text[4096];
    snprintf(text, sizeof text,
             "# Broker of the demo: loopback only, no anonymous access, nothing is allowed that is not listed.\n"
             "listener %u 127.0.0.1\nallow_anonymous false\npassword_file %s/broker.passwords\nacl_file %s/broker.acl\n"
             "persistence %s\npersistence_location %s/\nset_tcp_nodelay true\n"
             "# The default of 1000 would silently drop what HQ has not taken yet.\nmax_queued_messages 100000\n"
             "max_packet_size 65536\nmax_keepalive 300\nlog_dest stderr\nlog_type error\nlog_type warning\n%s",
             demo->options.mqtt_port, state, state, demo->options.broker_persistence ? "true" : "false", state,
             // As root the broker would change to a user that cannot read this directory.
             geteuid() == 0 ? "user root\n" : "");
    const char *acl = "user hq\ntopic read meter/+/info\ntopic read meter/911\ntopic read meter/install\n"
                      "topic read meter/disco\ntopic write meter/+/ack\ntopic write meter/+/cmd\n\n"
                      "user gateway-" DEMO_SITE "\ntopic write meter/" DEMO_SITE "/info\ntopic write meter/911\n"
                      "topic write meter/install\ntopic write meter/disco\ntopic read meter/" DEMO_SITE "/ack\n"
                      "topic read meter/" DEMO_SITE "/cmd\n";
    return write_state_file(state, "broker.conf", text) && write_state_file(state, "broker.acl", acl) &&
           write_broker_passwords(demo);
}

static size_t add_meters(const demo_t *demo, unsigned index, const uint64_t starts_wh[MM_CHANNELS], char *text,
                         size_t text_bytes) {
    size_t used = 0;
    bool model = demo->file_count == 0;
    unsigned count = model ? MM_CHANNELS : demo->files[index].columns;
    for (unsigned i = 0; i < count; i++) {
        if (model) {
            used += (size_t)snprintf(text + used, text_bytes - used, "meter.%u = %u-%s,%d,0\n", i + 1, index + 1,
                                     MODEL_NAMES[i], MODEL_PULSE_CONSTANT);
        } else {
            used += (size_t)snprintf(text + used, text_bytes - used, "meter.%u = %s,%d,%" PRIu64 "\n", i + 1,
                                     demo->files[index].ids[i], DATA_PULSE_CONSTANT, starts_wh[i]);
        }
    }
    return used;
}

bool demo_is_parked(const demo_t *demo, unsigned index) {
    return demo->options.parked && index + 1 == demo->options.nodes;
}

// The network of a site that was built by hand; that of a node from the box is handed over to it.
static size_t add_network(const demo_t *demo, unsigned index, const char *directory, char *text, size_t text_bytes) {
    const demo_options_t *o = &demo->options;
    int used = demo_is_parked(demo, index)
                   ? snprintf(text, text_bytes,
                              "commissioning = yes\nconfigurator = 127.0.0.1:%u\npop_file = %s/" DEMO_LABEL "\n"
                              // Its port is another one in each run of the demo.
                              "broker = mqtt://127.0.0.1:%u\n",
                              demo->configurator_port, directory, o->mqtt_port)
                   : snprintf(text, text_bytes,
                              "site = " DEMO_SITE "\nmesh_key_file = %s/mesh.key\nbroker = mqtt://127.0.0.1:%u\n"
                              "broker_password_file = %s/gateway.password\n",
                              o->state_directory, o->mqtt_port, o->state_directory);
    return (size_t)used;
}

// What is printed on a parked node when it is made. Made once: the label stays.
static bool make_label(const char *directory) {
    char path[DEMO_PATH_BYTES + 64];
    return app_path(path, sizeof path, directory, DEMO_LABEL) &&
           (access(path, F_OK) == 0 || demo_make_secret(directory, DEMO_LABEL, ""));
}

static bool write_node(const demo_t *demo, unsigned index, const char *peers) {
    const demo_options_t *o = &demo->options;
    static char text[CONFIG_BYTES];
    uint64_t starts_wh[MM_CHANNELS] = {0};
    char directory[DEMO_PATH_BYTES + 32];
    char pulses[DEMO_PATH_BYTES + 16];
    snprintf(directory, sizeof directory, "%s/node-%u", o->state_directory, index + 1);
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        return false;
    }
    if ((demo->file_count > 0 && read_starts(demo, index, starts_wh) != APP_OK) ||
        (demo_is_parked(demo, index) && !make_label(directory))) {
        return false;
    }
    if (demo->file_count > 0) {
        snprintf(pulses, sizeof pulses, "csv:%s", demo->files[index].path);
    } else {
        snprintf(pulses, sizeof pulses, "model:%" PRIu64, o->seed * 1000 + index);
    }
    size_t used = (size_t)snprintf(
        text, sizeof text,
        "mac = 02:6d:6d:00:00:%02x\ntz = %s\nstate = %s\ncontrol = %s/control\ndisplay = "
        "%s/displays/026d6d0000%02x\nfram = %s\n"
        "relays = file\ndevice_key_file = %s/" DEMO_DEVICE_KEY "\n"
        "mesh_listen = 127.0.0.1:%u\nmesh_peers = %s\nmesh_hello_ms = 100\nmqtt = %s\n"
        "speed = %" PRIu32 "\nclock = %s\nclock_origin_real_us = %" PRId64 "\nclock_origin_utc_us = %" PRId64 "\n"
        "cycle_ms = %u\npulses = %s\npulses_begin_s = %" PRId64 "\n",
        index + 1, o->tz, directory, directory, o->state_directory, index + 1, o->with_fram ? "yes" : "no", directory,
        demo->mesh_ports[index], peers, o->mqtt_5 ? "5" : "3.1.1", o->speed, o->clock_unset ? "unset" : "system",
        demo->origin_real_us, demo->origin_utc_us, o->speed == 1 ? CYCLE_LIVE_MS : CYCLE_FAST_MS, pulses,
        demo->begin_utc_s);
    used += add_network(demo, index, directory, text + used, sizeof text - used);
    if (demo->file_count > 0) {
        used += (size_t)snprintf(text + used, sizeof text - used, "pulses_shift_s = %" PRId64 "\n",
                                 demo_site_shift_s(demo, index));
    }
    if (demo->end_utc_s != INT64_MAX) {
        used += (size_t)snprintf(text + used, sizeof text - used, "pulses_end_s = %" PRId64 "\n", demo->end_utc_s);
    }
    if (!demo_is_parked(demo, index)) {
        used += add_meters(demo, index, starts_wh, text + used, sizeof text - used);
    }
    MM_ASSERT(used < sizeof text);
    return write_state_file(directory, "node.conf", text);
}

int demo_site_write(demo_t *demo) {
    const demo_options_t *o = &demo->options;
    static char peers[DEMO_NODES_MAX * 24];
    size_t used = 0;
    for (unsigned i = 0; i < o->nodes; i++) {
        used += (size_t)snprintf(peers + used, sizeof peers - used, "%s127.0.0.1:%u", i > 0 ? "," : "",
                                 demo->mesh_ports[i]);
    }
    if (!write_broker(demo)) {
        return app_error(
            APP_ENVIRONMENT, "demo",
            "cannot write the broker's files into %s (is mosquitto_passwd of the package mosquitto there?): %s",
            o->state_directory, strerror(errno));
    }
    for (unsigned i = 0; i < o->nodes; i++) {
        if (!write_node(demo, i, peers)) {
            return app_error(APP_ENVIRONMENT, "demo", "cannot write the files of node %u into %s: %s", i + 1,
                             o->state_directory, strerror(errno));
        }
    }
    char log_directory[DEMO_PATH_BYTES + 8];
    snprintf(log_directory, sizeof log_directory, "%s/log", o->state_directory);
    (void)mkdir(log_directory, 0700);
    char displays_directory[DEMO_PATH_BYTES + 16];
    snprintf(displays_directory, sizeof displays_directory, "%s/displays", o->state_directory);
    (void)mkdir(displays_directory, 0700);
    return APP_OK;
}
