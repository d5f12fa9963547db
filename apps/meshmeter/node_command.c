// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "app.h"
#include "linux/linux_clock.h"
#include "linux/linux_control.h"
#include "linux/linux_entropy.h"
#include "linux/linux_flash.h"
#include "linux/linux_fram.h"
#include "linux/linux_log.h"
#include "linux/linux_loop.h"
#include "linux/linux_mesh.h"
#include "linux/linux_mqtt.h"
#include "meshmeter/node.h"
#include "node_config.h"
#include "node_console.h"
#include "node_display.h"
#include "node_platform.h"
#include "node_pulses.h"
#include "node_setup.h"

// Pulses of replayed and modelled meters are looked at this often in real time; GPIO and input lines wake the loop
// themselves.
#define PULSE_PERIOD_US 20000
#define EPOCH_BEGIN_S INT64_C(1577836800) // 2020-01-01
// The system's clock is told to the node this often in real time.
#define CLOCK_PERIOD_US 10000000
// When the node is behind its own deadlines (clocks that run fast), it catches up in turns of this length, so that
// control and network are served in between.
#define CATCH_UP_US 50000

// Everything a node process owns.
typedef struct {
    node_config_t config;
    mm_linux_message_t message;
    mm_linux_clock_t clock;
    mm_linux_loop_t loop;
    mm_linux_control_t control;
    mm_linux_fram_t fram;
    mm_linux_flash_t register_flash;
    mm_linux_flash_t journal_flash;
    mm_linux_mesh_t mesh;
    mm_linux_mqtt_t mqtt;
    mm_log_t log;
    node_source_t source;
    node_platform_t platform;
    node_setup_t setup;
    mm_node_t node;
    node_display_t display;
    node_console_t console;
    uint8_t *batch_memory;
    mm_us_t now;      ///< of the last event handed to the node
    bool clock_given; ///< the node may be told the time
    // wait: time to tell the node the system's clock | until CLOCK_PERIOD_US | then it is told
    int64_t clock_due_us; ///< real
    bool router_up;
    int failure;                            ///< exit code if opening fails
    uint8_t frame[MM_MESH_FRAME_BYTES_MAX]; ///< being taken
} node_process_t;

static void print_help(void) {
    puts("usage: meshmeter node --config FILE\n\n"
         "Run one node until SIGINT or SIGTERM. The keys of FILE are in docs/guide/node.md; with\n"
         "--check the configuration is only checked.");
}

// Time handed to the core never goes back.
static mm_us_t present(node_process_t *self) {
    mm_us_t now = mm_linux_clock_now(&self->clock);
    self->now = now > self->now ? now : self->now;
    return self->now;
}

static void tell_time(node_process_t *self, mm_us_t now) {
    const mm_time_t time = {.utc = mm_linux_clock_utc_at(&self->clock, now), .trust = MM_TRUST_SYNCED};
    if (mm_node_set_time(&self->node, time, now) != MM_OK) {
        mm_linux_log(MM_LOG_WARNING, "the clock's time is impossible and was not taken");
    }
}

static void keep_time(node_process_t *self, int64_t real_us) {
    if (!self->clock_given || real_us < self->clock_due_us) {
        return;
    }
    self->clock_due_us = real_us + CLOCK_PERIOD_US;
    if (self->config.speed == 1) {
        (void)mm_linux_clock_anchor(&self->clock);
    }
    tell_time(self, present(self));
}

static void set_router(node_process_t *self, bool up) {
    self->router_up = up;
    mm_linux_mesh_set_router(&self->mesh, up);
}

static bool set_clock(node_process_t *self, const char *text) {
    int64_t utc_s = 0;
    if (*text != '\0') {
        if (!app_parse_utc(text, &utc_s)) {
            return false;
        }
        const mm_time_t time = {.utc = {utc_s * MM_US_PER_S}, .trust = MM_TRUST_SYNCED};
        return mm_node_set_time(&self->node, time, present(self)) == MM_OK;
    }
    self->clock_given = true;
    self->clock_due_us = 0;
    return true;
}

static void console_router(void *process, bool up) {
    set_router(process, up);
}

static bool console_clock(void *process, const char *text) {
    return set_clock(process, text);
}

static void handle_control(void *context, char *line, mm_linux_answer_t *answer) {
    node_process_t *self = context;
    self->console.router_up = self->router_up;
    node_console_answer(&self->console, line, present(self), answer);
}

static bool open_console(node_process_t *self) {
    const node_console_options_t options = {.node = &self->node,
                                            .setup = &self->setup,
                                            .display = &self->display,
                                            .platform = &self->platform,
                                            .mesh = &self->mesh,
                                            .config = &self->config,
                                            .set_router = console_router,
                                            .set_clock = console_clock,
                                            .process = self};
    if (self->config.control_path[0] == '\0') {
        return true;
    }
    node_console_open(&self->console, &options, self->now);
    return mm_linux_control_open(&self->control, &self->loop, self->config.control_path, handle_control, self,
                                 &self->message) == MM_OK;
}

// MM_ERR_ARG of a port is a wrong configuration; everything else is this machine.
static bool is_good(node_process_t *self, mm_err_t err) {
    self->failure = err == MM_ERR_ARG ? APP_USAGE : APP_ENVIRONMENT;
    return err == MM_OK;
}

static bool state_path(const node_process_t *self, const char *name, char path[NODE_PATH_BYTES]) {
    return app_path(path, NODE_PATH_BYTES, self->config.state_directory, name);
}

static bool open_storage(node_process_t *self) {
    const node_config_t *config = &self->config;
    mm_linux_sync_t sync = config->storage_sync ? MM_LINUX_SYNC_DATA : MM_LINUX_SYNC_NONE;
    char path[NODE_PATH_BYTES];
    if (mkdir(config->state_directory, 0700) != 0 && errno != EEXIST) {
        mm_linux_message_set(&self->message, "%s: cannot be made: %s", config->state_directory, strerror(errno));
        return false;
    }
    if (!state_path(self, "journal.bin", path) ||
        mm_linux_flash_open(&self->journal_flash, path, config->journal_sectors, sync, &self->message) != MM_OK) {
        return false;
    }
    if (config->with_fram) {
        return state_path(self, "fram.bin", path) &&
               mm_linux_fram_open(&self->fram, path, MM_STORE_FRAM_BYTES, sync, &self->message) == MM_OK;
    }
    return state_path(self, "registers.bin", path) &&
           mm_linux_flash_open(&self->register_flash, path, MM_STORE_FLASH_SECTORS_MIN, sync, &self->message) == MM_OK;
}

static bool read_key(const char *path, uint8_t key[MM_MESH_KEY_BYTES]) {
    size_t size = 0;
    char *text = app_read_file(path, 1024, &size);
    bool good = text != NULL;
    for (size_t i = 0; good && i < MM_MESH_KEY_BYTES; i++) {
        unsigned byte = 0;
        good = 2 * i + 1 < size && isxdigit((unsigned char)text[2 * i]) && isxdigit((unsigned char)text[2 * i + 1]) &&
               sscanf(text + 2 * i, "%2x", &byte) == 1;
        key[i] = (uint8_t)byte;
    }
    size_t digits = (size_t)2 * MM_MESH_KEY_BYTES;
    good = good && text[digits + strspn(text + digits, "\r\n")] == '\0';
    if (text != NULL) {
        explicit_bzero(text, size);
    }
    free(text);
    return good;
}

static bool open_mesh(node_process_t *self) {
    const node_config_t *config = &self->config;
    mm_linux_mesh_options_t options = {.mesh_id = config->mesh_id,
                                       .mac = config->mac,
                                       .listen = config->mesh_listen,
                                       .peers = config->mesh_peers,
                                       .group = config->mesh_group,
                                       .hello_ms = config->mesh_hello_ms,
                                       .router_up = config->router_up};
    self->router_up = config->router_up;
    if (config->has_mesh_key) {
        memcpy(options.key, config->mesh_key, sizeof options.key);
    } else if (!read_key(config->mesh_key_file, options.key)) {
        mm_linux_message_set(&self->message, "%s: cannot be read, or is not one line of %d hexadecimal digits",
                             config->mesh_key_file, 2 * MM_MESH_KEY_BYTES);
        return false;
    }
    bool good = is_good(self, mm_linux_mesh_open(&self->mesh, &options, mm_linux_real_us(), &self->message));
    explicit_bzero(options.key, sizeof options.key);
    if (self->failure == APP_USAGE && !good) {
        const mm_linux_message_t reason = self->message;
        mm_linux_message_set(&self->message, "mesh_id, mesh_listen, mesh_peers or mesh_group: %.300s", reason.text);
    }
    return good;
}

static mm_timing_t slots_of(const node_config_t *config) {
    const mm_mac_t site = mm_timing_site(config->site);
    if (config->cycle_ms != 0) {
        return mm_timing_for_speed(site, config->speed, (mm_us_t)config->cycle_ms * 1000);
    }
    mm_timing_t timing = mm_timing_default(site);
    timing.slots.slot_us = (mm_us_t)config->slot_ms * 1000;
    if (config->slot_count != 0) {
        timing.slots.slot_count = config->slot_count;
        timing.slots.slot = mm_slot_guess(site, config->slot_count);
    }
    if (config->slot >= 0) {
        timing.slots.slot = (uint32_t)config->slot;
    }
    return timing;
}

static mm_timing_t timing_of(const node_config_t *config) {
    mm_timing_t timing = slots_of(config);
    if (config->dwell_ms != UINT32_MAX) {
        timing.uplink.dwell_us = (mm_us_t)config->dwell_ms * 1000 * config->speed;
    }
    return timing;
}

static uint32_t new_era(void) {
    uint32_t era = mm_linux_entropy_u32();
    return era != 0 ? era : 1;
}

static bool open_node(node_process_t *self) {
    const node_config_t *config = &self->config;
    mm_node_options_t options = {
        .mac = config->mac,
        .metering = config->metering,
        .control = {.token_unit_wh = config->token_unit_wh,
                    .new_era = new_era(),
                    .unconfirmed_channels = mm_configuration_unconfirmed(&self->setup.configuration)},
        .setup_elsewhere = config->commissioning,
        .timing = timing_of(config),
        .journal_sector_count = config->journal_sectors,
        .random_seed = mm_linux_entropy_u64()};
    memcpy(options.site, config->site, sizeof options.site);
    // Seconds since 2020 grow from one start to the next, so a node that lost its files never uses HQ's positions
    // again.
    options.metering.first_epoch = (uint32_t)(mm_linux_system_utc_us() / MM_US_PER_S - EPOCH_BEGIN_S);
    if (!node_platform_open_legacy(&self->platform, &options.control.legacy, &self->message)) {
        self->failure = APP_USAGE;
        return false;
    }
    self->log = mm_linux_log_port();
    const mm_node_ports_t ports = {.pulses = &self->source.counters.pulses,
                                   .fram = config->with_fram ? &self->fram.fram : NULL,
                                   .register_flash = &self->register_flash.flash,
                                   .journal_flash = &self->journal_flash.flash,
                                   .mesh = &self->mesh.mesh,
                                   .mqtt = &self->mqtt.mqtt,
                                   .log = &self->log,
                                   .crypto = &self->platform.crypto.crypto,
                                   .relay = node_platform_relay(&self->platform),
                                   .actions = &self->platform.actions.actions,
                                   .batch_memory = self->batch_memory,
                                   .batch_capacity = MM_BATCHES_MAX};
    self->now = mm_linux_clock_now(&self->clock);
    if (mm_node_init(&self->node, &options, &ports, self->now) != MM_OK) {
        self->failure = APP_USAGE;
        mm_linux_message_set(&self->message,
                             "%s: the configuration is impossible: check site (a-z, 0-9, -), meters, and "
                             "that a cycle (slot_count x slot_ms) is longer than 10 s",
                             config->path);
        return false;
    }
    node_display_open(&self->display, &self->node, &self->platform.actions, config->display_path, APP_VERSION,
                      mm_linux_real_us());
    if (self->clock_given) {
        tell_time(self, self->now); // of the very instant of the start: no interval begins without a time
    }
    return true;
}

static bool open_all(node_process_t *self) {
    const node_config_t *config = &self->config;
    if (mm_linux_clock_init(&self->clock, config->speed, config->clock_origin_real_us, config->clock_origin_utc_us) !=
        MM_OK) {
        self->failure = APP_USAGE;
        mm_linux_message_set(&self->message, "%s: speed above 1 needs clock_origin_real_us", config->path);
        return false;
    }
    self->clock_given = config->clock == NODE_CLOCK_SYSTEM;
    self->batch_memory = calloc(MM_BATCHES_MAX, MM_BATCH_BYTES_MAX);
    return self->batch_memory != NULL && mm_linux_loop_open(&self->loop, &self->message) == MM_OK &&
           open_storage(self) && is_good(self, node_setup_prepare(&self->setup, &self->config, &self->message)) &&
           node_source_open(&self->source, config, &self->clock, &self->message) &&
           is_good(self, node_platform_open(&self->platform, config, &self->source, &self->clock, &self->now,
                                            &self->message)) &&
           is_good(self, node_platform_open_mqtt(&self->platform, &self->mqtt, &self->message)) && open_mesh(self) &&
           open_node(self) &&
           is_good(self, node_setup_open(&self->setup, &self->node, &self->platform.crypto.crypto, &self->loop,
                                         &self->now, &self->message)) &&
           is_good(self, node_setup_open_door(&self->setup, &self->mesh, &self->message)) && open_console(self);
}

static void take_events(node_process_t *self) {
    mm_mesh_event_t mesh_event;
    while (mm_linux_mesh_next_event(&self->mesh, &mesh_event)) {
        mm_node_on_mesh_event(&self->node, &mesh_event, present(self));
    }
    mm_mac_t from;
    size_t bytes_count = 0;
    while (mm_linux_mesh_next_frame(&self->mesh, &from, self->frame, &bytes_count)) {
        mm_node_on_mesh_frame(&self->node, from, self->frame, bytes_count, present(self));
    }
    node_setup_take_door(&self->setup, present(self));
    mm_mqtt_event_t mqtt_event;
    while (mm_linux_mqtt_next_event(&self->mqtt, &mqtt_event)) {
        if (mqtt_event.kind == MM_MQTT_ERROR || mqtt_event.kind == MM_MQTT_REFUSED) {
            mm_linux_log(MM_LOG_WARNING, "broker %s: %s", self->config.broker, mm_linux_mqtt_last_error(&self->mqtt));
        }
        mm_node_on_mqtt_event(&self->node, &mqtt_event, present(self));
    }
}

// Do what is due, as often as more is due at once (a node that was stopped has missed boundaries). Returns the next
// deadline.
static mm_us_t poll_node(node_process_t *self) {
    // wait: the node has caught up with its deadlines | until CATCH_UP_US | then files are looked at in between
    int64_t until_real_us = mm_linux_real_us() + CATCH_UP_US;
    for (;;) {
        mm_us_t deadline = mm_node_poll(&self->node, present(self));
        deadline = mm_us_earlier(deadline, node_setup_poll(&self->setup, self->now));
        if (deadline > self->now || mm_linux_real_us() >= until_real_us) {
            return deadline;
        }
    }
}

static void watch_files(node_process_t *self) {
    (void)mm_linux_loop_watch(&self->loop, mm_linux_mqtt_file(&self->mqtt), POLLIN, NULL, NULL);
    int mesh_files[2];
    mm_linux_mesh_files(&self->mesh, mesh_files);
    for (size_t i = 0; i < 2 && mesh_files[i] >= 0; i++) {
        (void)mm_linux_loop_watch(&self->loop, mesh_files[i], POLLIN, NULL, NULL);
    }
    if (self->source.kind == NODE_PULSES_STDIN) {
        (void)mm_linux_loop_watch(&self->loop, self->source.lines.file, POLLIN, NULL, NULL);
    }
    for (size_t i = 0; self->source.kind == NODE_PULSES_GPIO && i < MM_CHANNELS; i++) {
        if (self->source.gpio.inputs[i].file >= 0) {
            (void)mm_linux_loop_watch(&self->loop, self->source.gpio.inputs[i].file, POLLIN, NULL, NULL);
        }
    }
}

// When the pulses must be looked at again, in real time.
static int64_t poll_pulses(node_process_t *self, int64_t real_us) {
    switch (self->source.kind) {
    case NODE_PULSES_GPIO:
        return mm_pulses_gpio_poll(&self->source.gpio);
    case NODE_PULSES_STDIN: {
        int file = self->source.lines.file;
        (void)mm_pulses_stdin_poll(&self->source.lines);
        if (self->source.lines.file < 0 && file >= 0) {
            mm_linux_loop_unwatch(&self->loop, file);
            mm_linux_log(MM_LOG_INFO, "end of the input lines; the node goes on without further pulses");
        }
        return MM_US_NEVER;
    }
    default:
        return real_us + PULSE_PERIOD_US;
    }
}

static void run(node_process_t *self) {
    watch_files(self);
    while (mm_linux_loop_signal(&self->loop) == 0 && !self->platform.actions.reboot_requested &&
           !self->setup.restart_due) {
        int64_t real_us = mm_linux_real_us();
        int64_t wake_us = poll_pulses(self, real_us);
        keep_time(self, real_us);
        wake_us = mm_us_earlier(wake_us, mm_linux_mesh_poll(&self->mesh, real_us));
        if (self->config.control_path[0] != '\0') {
            wake_us = mm_us_earlier(wake_us, mm_linux_control_poll(&self->control, real_us));
        }
        wake_us = mm_us_earlier(wake_us, node_setup_serve(&self->setup, real_us));
        if (self->clock_given) {
            wake_us = mm_us_earlier(wake_us, self->clock_due_us);
        }
        // What is due comes before what has arrived: an event must not overtake the end of an interval.
        (void)poll_node(self);
        take_events(self);
        node_platform_follow_broker(&self->platform, &self->mqtt);
        mm_us_t deadline = poll_node(self);
        const mm_node_panel_facts_t facts = node_setup_facts(&self->setup, self->router_up, present(self));
        wake_us = mm_us_earlier(wake_us, node_display_poll(&self->display, &facts, self->now, real_us));
        wake_us = mm_us_earlier(wake_us, mm_linux_clock_real_deadline(&self->clock, deadline));
        mm_linux_loop_wait(&self->loop, wake_us);
    }
}

static void close_all(node_process_t *self) {
    if (self->config.control_path[0] != '\0') {
        mm_linux_control_close(&self->control);
    }
    node_setup_close(&self->setup);
    mm_linux_mqtt_close(&self->mqtt);
    mm_linux_mesh_close(&self->mesh);
    node_platform_close(&self->platform);
    node_source_close(&self->source);
    // The other one was never opened: its file would be the first of this process, the input of pulses.
    if (self->config.with_fram) {
        mm_linux_fram_close(&self->fram);
    } else {
        mm_linux_flash_close(&self->register_flash);
    }
    mm_linux_flash_close(&self->journal_flash);
    mm_linux_loop_close(&self->loop);
    free(self->batch_memory);
}

int command_node(int argc, char **argv) {
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"check", no_argument, NULL, 'k'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *path = NULL;
    bool check_only = false;
    for (int option = 0; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'c':
            path = optarg;
            break;
        case 'k':
            check_only = true;
            break;
        case 'h':
            print_help();
            return APP_OK;
        default:
            return APP_USAGE;
        }
    }
    if (path == NULL || optind != argc) {
        return app_error(APP_USAGE, "node", "--config FILE is needed, and nothing else; see meshmeter node --help");
    }
    static node_process_t s_process;
    node_process_t *self = &s_process;
    if (!node_config_read(path, &self->config, self->message.text, sizeof self->message.text)) {
        return app_error(APP_USAGE, "node", "%s", self->message.text);
    }
    if (check_only) {
        printf("%s: good\n", path);
        return APP_OK;
    }
    self->failure = APP_ENVIRONMENT;
    if (!open_all(self)) {
        // A port does not know where its option came from.
        bool is_named = self->failure != APP_USAGE || strstr(self->message.text, path) != NULL;
        return app_error(self->failure, "node", "%s%s%s", is_named ? "" : path, is_named ? "" : ": ",
                         self->message.text);
    }
    mm_linux_log(MM_LOG_INFO, "node of site %s started, boot %u", self->config.site,
                 (unsigned)self->node.metering.boot_no);
    run(self);
    int signal_no = mm_linux_loop_signal(&self->loop);
    if (signal_no != 0) {
        mm_linux_log(MM_LOG_INFO, "stopped by signal %d", signal_no);
    } else {
        mm_linux_log(MM_LOG_INFO, "starting again, by command or for another network");
    }
    close_all(self);
    return signal_no != 0 ? APP_OK : node_platform_restart(path);
}
