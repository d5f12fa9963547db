// SPDX-License-Identifier: Apache-2.0
// Start and turns of the node; what it is made of is in mm_esp_node_internal.h.
#include <esp_app_desc.h>
#include <esp_attr.h>
#include <esp_mac.h>
#include <esp_system.h>
#include <stdio.h>
#include <string.h>

#include "meshmeter/bytes.h"
#include "mm_esp_node_internal.h"

#define PARKED_SITE "parked"
#define US_PER_MS 1000

// There is one node in a device, and no heap.
static mm_esp_node_t s_node;

// --- from interrupts and other tasks --------------------------------------------------------------------------------

static IRAM_ATTR void wake_from_isr(void *context) {
    (void)context;
    (void)mm_esp_owner_post_wake_from_isr();
}

// --- what commands ask for ------------------------------------------------------------------------------------------

void mm_esp_node_restart(mm_esp_node_t *self, const char *reason, mm_us_t now) {
    if (self->is_restarting) {
        return;
    }
    self->is_restarting = true;
    self->restart_reason = reason;
    self->restart_at = now + (mm_us_t)MM_ESP_NODE_RESTART_MS * US_PER_MS;
}

static void reboot(void *context) {
    mm_esp_node_restart(context, "by command", mm_esp_owner_now());
}

static void show_display(void *context, uint32_t seconds) {
    mm_esp_node_t *self = context;
    mm_esp_panel_wake(&self->panel, seconds, mm_esp_owner_now());
}

static void find_device(void *context, uint32_t seconds) {
    mm_esp_node_t *self = context;
    mm_esp_panel_find(&self->panel, seconds, mm_esp_owner_now());
}

static void use_router(void *context, const mm_esp_router_t *router) {
    (void)router; // the settings have it
    mm_esp_life_use_router(context);
}

static void use_broker(void *context, const mm_esp_broker_t *broker) {
    (void)broker;
    mm_esp_life_use_broker(context);
}

static mm_err_t start_update(void *context, const char *url) {
    return mm_esp_node_begin_update(context, url, false, mm_esp_owner_now());
}

// --- update ---------------------------------------------------------------------------------------------------------

static void run_update(void *context) {
    mm_esp_node_t *self = context;
    self->ota_result = mm_esp_ota_run(&self->ota);
}

mm_err_t mm_esp_node_begin_update(mm_esp_node_t *self, const char *url, bool force, mm_us_t now) {
    mm_err_t err = mm_esp_ota_begin(&self->ota, url, force);
    if (err == MM_OK) {
        mm_esp_log(MM_LOG_INFO, "update begins");
        self->ota_until = now + MM_ESP_NODE_OTA_WAIT_S * MM_US_PER_S;
    }
    return err;
}

static void end_update(mm_esp_node_t *self, mm_esp_ota_result_t result, mm_us_t now) {
    mm_esp_ota_take_result(&self->ota, result);
    if (self->ota.state == MM_ESP_OTA_RESTART_DUE) {
        mm_esp_node_restart(self, "into the new image", now);
    }
}

// The worker may be ending a session with the broker.
static void poll_update(mm_esp_node_t *self, mm_us_t now) {
    if (self->ota.state == MM_ESP_OTA_RUNNING && self->ota_job == 0) {
        // wait: the worker has fetched an image | until MM_ESP_OTA_LIMIT_S and MM_ESP_NODE_RETRY_S | then the worker is
        // lost, and the device restarts
        mm_us_t deadline = now + (MM_ESP_OTA_LIMIT_S + MM_ESP_NODE_RETRY_S) * MM_US_PER_S;
        mm_err_t err = mm_esp_owner_give_job(run_update, self, deadline, &self->ota_job);
        if (err != MM_OK && (err != MM_ERR_BUSY || now >= self->ota_until)) {
            self->ota_job = 0;
            end_update(self, MM_ESP_OTA_NO_MEMORY, now);
        }
    }
}

// A root: its session with the broker ended well. Others: HQ has committed records that this image reported.
static void judge_image(mm_esp_node_t *self, mm_us_t now) {
    if (!self->ota.is_pending) {
        return;
    }
    mm_position_t watermark = self->node.metering.watermark;
    bool is_good = self->node.root.sessions_clean != self->sessions_clean ||
                   (!self->node.root.active && mm_position_compare(watermark, self->watermark) > 0);
    self->sessions_clean = self->node.root.sessions_clean;
    self->watermark = watermark;
    if (is_good) {
        (void)mm_esp_ota_good_cycle(&self->ota); // what could not be marked is marked by the next one
    }
    if (self->ota.is_pending && now >= self->trial_until) {
        mm_esp_node_restart(self, "the new image has shown nothing", now);
    }
}

// --- start ----------------------------------------------------------------------------------------------------------

static void random_bytes(void *bytes, size_t bytes_count) {
    if (mm_esp_entropy_fill(bytes, bytes_count) != MM_OK) {
        mm_esp_log(MM_LOG_ERROR, "no entropy at the start");
    }
}

static void begin_counting(mm_esp_node_t *self) {
    const mm_esp_board_t *board = self->board;
    mm_esp_pulses_options_t options = {
        .pull_up = board->pulse_pull_up, .on_low = board->pulse_on_low, .debounce_us = board->debounce_ms * US_PER_MS};
    memcpy(options.pins, board->pulse_pins, sizeof options.pins);
    uint32_t generation = 0;
    random_bytes(&generation, sizeof generation);
    if (mm_esp_pulses_open(&self->pulses, &options, generation) != MM_OK) {
        mm_esp_log(MM_LOG_ERROR, "pulse inputs that do not work: 0x%02x", self->pulses.failed);
    }
}

static void drive_relays(mm_esp_node_t *self) {
    const mm_esp_board_t *board = self->board;
    mm_esp_relay_options_t options = {
        .latching = board->relay_latching, .active_low = board->relay_active_low, .coil_ms = board->relay_coil_ms};
    memcpy(options.pins, board->relay_pins, sizeof options.pins);
    memcpy(options.open_pins, board->relay_open_pins, sizeof options.open_pins);
    if (board->has_relays && mm_esp_relay_open(&self->relay, &options) != MM_OK) {
        mm_esp_log(MM_LOG_ERROR, "relays that work: 0x%02x", self->relay.has_pins);
    }
}

static void read_settings(mm_esp_node_t *self) {
    mm_err_t err = mm_esp_settings_open(&self->settings);
    if (err != MM_OK) {
        mm_esp_log(MM_LOG_ERROR, "NVS: %s", mm_err_name(err));
    }
    if (self->board->has_relays) {
        (void)mm_esp_relay_restore(&self->relay);
    }
    mm_esp_crypto_open(&self->crypto, self->settings.has_key ? self->settings.key : NULL);
    // Without an address of its own the node meters, and belongs to no mesh.
    self->has_mac = esp_read_mac(self->mac.bytes, ESP_MAC_WIFI_STA) == ESP_OK && !mm_mac_is_zero(self->mac);
    if (!self->has_mac) {
        mm_esp_log(MM_LOG_ERROR, "this chip has no address");
        self->mac = (mm_mac_t){{0x02, 0, 0, 0, 0, 0x01}};
    }
}

static mm_timing_t timing_of(const mm_esp_board_t *board, const char *site) {
    const mm_mac_t mac = mm_timing_site(site);
    mm_timing_t timing = mm_timing_default(mac);
    timing.slots.slot_us = (mm_us_t)board->slot_ms * US_PER_MS;
    timing.slots.slot_count = board->slot_count;
    timing.slots.slot = mm_slot_guess(mac, board->slot_count);
    return timing;
}

// The network of the start, into shared.configuration. False: there is none.
static bool read_network(mm_esp_node_t *self, mm_node_ports_t *ports, mm_node_options_t *options) {
    mm_err_t err =
        mm_esp_flash_open(&self->config_flash, "config", MM_CONFIGURATION_SECTORS_MIN, MM_STORE_FLASH_SECTORS_MAX);
    if (err != MM_OK) {
        mm_esp_log(MM_LOG_ERROR, "partition config: %s; meters and supply stay as they were", mm_err_name(err));
        options->metering.keep_meters = true;
        options->setup_elsewhere = true;
        return false;
    }
    ports->config_flash = &self->config_flash.flash;
    options->config_sector_count = self->config_flash.flash.sector_count;
    mm_configuration_store_t store;
    err = mm_configuration_store_open(&store, ports->config_flash, options->config_sector_count,
                                      &self->shared.configuration);
    if (err != MM_OK && err != MM_ERR_NOT_FOUND) {
        mm_esp_log(MM_LOG_ERROR, "no configuration can be read: %s", mm_err_name(err));
    }
    bool has_network = err == MM_OK && self->shared.configuration.has_network;
    // Memory that does not answer, or is not understood, does not say that there is none.
    if ((err == MM_OK || err == MM_ERR_NOT_FOUND) &&
        mm_esp_settings_use_network(&self->settings, has_network ? self->shared.configuration.network.revision : 0) !=
            MM_OK) {
        mm_esp_log(MM_LOG_ERROR, "NVS refused: what commands kept may be of another network");
    }
    return has_network;
}

static void fill_options(mm_esp_node_t *self, const char *site, mm_node_options_t *options) {
    const mm_esp_board_t *board = self->board;
    (void)snprintf(options->site, sizeof options->site, "%s", site);
    (void)snprintf(options->metering.tz, sizeof options->metering.tz, "%s", board->time_zone);
    options->metering.save_period_s = board->save_period_s;
    options->metering.time_trust_s = MM_ESP_TIME_FRESH_S;
    options->metering.first_epoch = mm_esp_storage_first_epoch(self);
    options->timing = timing_of(board, options->site);
    options->control.token_unit_wh = board->token_unit_wh;
    // Without the deployment's secret anybody could make the original's commands.
    if (board->open_legacy != NULL && self->settings.has_legacy_secret) {
        options->control.legacy = board->open_legacy(self->settings.legacy_secret);
    }
    random_bytes(&options->control.new_era, sizeof options->control.new_era);
    options->control.new_era |= options->control.new_era == 0 ? 1 : 0;
}

// What is needed to count, and nothing that a wrong configuration could make impossible.
static void use_least(mm_esp_node_t *self, mm_node_options_t *options, mm_node_ports_t *ports) {
    const mm_node_options_t least = {.mac = self->mac,
                                     .site = PARKED_SITE,
                                     .metering = {.keep_meters = true,
                                                  .tz = "UTC0",
                                                  .time_trust_s = MM_ESP_TIME_FRESH_S,
                                                  .save_period_s = self->board->save_period_s,
                                                  .first_epoch = options->metering.first_epoch},
                                     .setup_elsewhere = true,
                                     .timing = mm_timing_default(self->mac),
                                     .journal_sector_count = options->journal_sector_count,
                                     .random_seed = options->random_seed,
                                     .reset_reason = options->reset_reason};
    *options = least;
    ports->config_flash = NULL;
    ports->crypto = NULL;
    ports->relay = NULL;
    ports->actions = NULL;
    ports->entropy = NULL;
}

// Before the mesh is open, and whenever it is not.
static mm_err_t send_if_open(void *context, mm_mac_t to, const void *bytes, size_t bytes_count) {
    const mm_esp_node_t *self = context;
    return self->life.use == MM_ESP_USE_MESH ? self->mesh.mesh.send(self->mesh.mesh.context, to, bytes, bytes_count)
                                             : MM_ERR_UNAVAILABLE;
}

static mm_err_t send_to_root_if_open(void *context, const void *bytes, size_t bytes_count) {
    const mm_esp_node_t *self = context;
    return self->life.use == MM_ESP_USE_MESH ? self->mesh.mesh.send_to_root(self->mesh.mesh.context, bytes, bytes_count)
                                             : MM_ERR_UNAVAILABLE;
}

static void open_core(mm_esp_node_t *self, mm_us_t now) {
    const mm_esp_board_t *board = self->board;
    self->core_mesh = (mm_mesh_t){.send = send_if_open, .send_to_root = send_to_root_if_open, .context = self};
    mm_node_options_t options = {.mac = self->mac,
                                 // Crashes in a row beside the reason (mm_esp_health.h).
                                 .reset_reason = (uint32_t)self->health.reset | self->health.crashes << 8};
    mm_node_ports_t ports = {.pulses = &self->pulses.pulses,
                             .mesh = &self->core_mesh,
                             .mqtt = &self->mqtt.mqtt,
                             .log = &self->log,
                             .crypto = &self->crypto.crypto,
                             .relay = board->has_relays ? &self->relay.relay : NULL,
                             .actions = &self->actions.actions,
                             .entropy = &self->entropy,
                             .batch_memory = self->shared.batch,
                             .batch_capacity = 1};
    random_bytes(&options.random_seed, sizeof options.random_seed);
    mm_esp_storage_open(self, &ports, now);
    options.journal_sector_count = ports.journal_flash->sector_count;
    bool has_network = read_network(self, &ports, &options);
    const mm_network_t *network = &self->shared.configuration.network;
    fill_options(self, has_network ? network->site : PARKED_SITE, &options);
    mm_esp_life_open_broker(self, has_network ? network : NULL);
    mm_wipe(&self->shared.configuration, sizeof self->shared.configuration);
    if (self->health.safe_mode) {
        use_least(self, &options, &ports);
    }
    if (mm_node_init(&self->node, &options, &ports, now) != MM_OK) {
        mm_esp_log(MM_LOG_ERROR, "the configuration is impossible: the node only meters");
        use_least(self, &options, &ports);
        mm_err_t err = mm_node_init(&self->node, &options, &ports, now);
        MM_ASSERT(err == MM_OK);
    }
}

static void open_actions(mm_esp_node_t *self) {
    const mm_esp_actions_options_t options = {.settings = &self->settings,
                                              .use_router = use_router,
                                              .use_broker = use_broker,
                                              .url_is_good = mm_esp_mqtt_url_is_good,
                                              .display_on = show_display,
                                              .find = find_device,
                                              .reboot = reboot,
                                              .ota_start = start_update,
                                              .context = self};
    mm_esp_actions_open(&self->actions, &options);
}

// The bus may be the FRAM's, which is open then.
static void open_display(mm_esp_node_t *self) {
    const mm_esp_board_t *board = self->board;
    mm_esp_i2c_t *bus = &self->display_bus;
    bool is_shared = board->has_fram && board->display_sda_pin == board->fram_sda_pin &&
                     board->display_scl_pin == board->fram_scl_pin;
    if (is_shared) {
        bus = &self->fram_bus;
    } else if (board->has_display && mm_esp_i2c_open(bus, board->display_sda_pin, board->display_scl_pin) != MM_OK) {
        mm_esp_log(MM_LOG_WARNING, "the display's bus does not work");
    }
    if (board->has_display) {
        mm_esp_display_open(&self->display, bus, board->display_address);
    }
}

static void open_person(mm_esp_node_t *self, mm_us_t now) {
    open_display(self);
    mm_esp_panel_open(&self->panel, &self->node, &self->display, self->board->led_pin,
                      esp_app_get_description()->version, now);
    mm_esp_node_open_lines(self, now);
    if (mm_esp_console_open(&self->console, self->board->console, mm_esp_node_line, self) != MM_OK) {
        mm_esp_log(MM_LOG_WARNING, "no console");
    }
}

static void open_health(mm_esp_node_t *self, mm_us_t now) {
    const mm_esp_health_options_t options = {
        .crashes_max = self->board->safe_mode_crashes, .warning_pin = self->board->warning_pin, .warn = wake_from_isr};
    mm_esp_health_open(&self->health, &options, now);
    mm_esp_log(MM_LOG_INFO, "start: reset %d, %u crashes in a row%s", (int)self->health.reset,
               (unsigned)self->health.crashes, self->health.safe_mode ? ", safe mode" : "");
}

// Not inline: what it needs of the stack is free again when the turns begin.
__attribute__((noinline)) static void open_all(mm_esp_node_t *self) {
    mm_us_t now = mm_esp_owner_now();
    self->log = mm_esp_log_port();
    self->entropy = mm_esp_entropy_port();
    open_health(self, now);
    read_settings(self);
    mm_esp_ota_open(&self->ota, self->board->ota_good_cycles);
    self->trial_until = now + MM_ESP_NODE_TRIAL_S * MM_US_PER_S;
    open_actions(self);
    open_core(self, mm_esp_owner_now());
    self->sessions_clean = self->node.root.sessions_clean;
    self->watermark = self->node.metering.watermark;
    if (mm_esp_button_open(&self->button, self->board->button_pin, self->board->button_pull_up, wake_from_isr, NULL) !=
        MM_OK) {
        mm_esp_log(MM_LOG_WARNING, "no button");
    }
    if (!self->health.safe_mode) {
        open_person(self, mm_esp_owner_now());
        mm_esp_life_open(self, mm_esp_owner_now());
    }
    mm_esp_log(MM_LOG_INFO, "node of site %s, boot %u", self->node.options.site, (unsigned)self->node.metering.boot_no);
}

// --- turns ----------------------------------------------------------------------------------------------------------

// As often as more is due at once: a node that was held up has missed boundaries. Returns the next deadline.
static mm_us_t poll_node(mm_esp_node_t *self) {
    // wait: the node has caught up with its deadlines | until MM_ESP_NODE_CATCH_UP_MS | then the rest of the turn is
    // done in between
    mm_us_t until = mm_esp_owner_now() + (mm_us_t)MM_ESP_NODE_CATCH_UP_MS * US_PER_MS;
    for (;;) {
        mm_us_t now = mm_esp_owner_now();
        mm_us_t deadline = mm_node_poll(&self->node, now);
        if (deadline > now || now >= until) {
            return deadline;
        }
    }
}

static void take_mqtt(mm_esp_node_t *self, const mm_esp_post_t *post, mm_us_t now) {
    if (post->mqtt.kind == MM_MQTT_ERROR || post->mqtt.kind == MM_MQTT_REFUSED) {
        mm_esp_log(MM_LOG_WARNING, "broker: %s %u", post->mqtt.kind == MM_MQTT_ERROR ? "error" : "refused",
                   post->mqtt.reason);
    }
    mm_node_on_mqtt_event(&self->node, &post->mqtt, now);
    if (post->mqtt.kind == MM_MQTT_DATA) {
        mm_esp_mqtt_release(&self->mqtt);
    }
}

void mm_esp_node_follow_ip(mm_esp_node_t *self, mm_us_t now) {
    bool has_ip = self->node.ip_up && self->node.root.active;
    if (has_ip != self->has_ip) {
        self->has_ip = has_ip;
        mm_esp_time_set_ip(&self->time, has_ip, now);
    }
}

static void take_mesh(mm_esp_node_t *self, const mm_esp_post_t *post, mm_us_t now) {
    if (post->kind == MM_ESP_POST_FRAME) {
        mm_node_on_mesh_frame(&self->node, post->from, post->bytes, post->bytes_count, now);
        return;
    }
    mm_node_on_mesh_event(&self->node, &post->mesh, now);
    mm_esp_node_follow_ip(self, now);
}

static void take_post(mm_esp_node_t *self, const mm_esp_post_t *post) {
    mm_us_t now = mm_esp_owner_now();
    switch (post->kind) {
    case MM_ESP_POST_MESH:
    case MM_ESP_POST_FRAME:
        take_mesh(self, post, now);
        break;
    case MM_ESP_POST_DOOR:
        mm_node_on_door(&self->node, post->from, post->bytes, post->bytes_count, now);
        break;
    case MM_ESP_POST_MQTT:
        take_mqtt(self, post, now);
        break;
    case MM_ESP_POST_REQUEST:
        mm_esp_life_serve(self, post->number, now);
        break;
    case MM_ESP_POST_JOB:
        if (self->ota_job != 0 && post->number == self->ota_job) {
            self->ota_job = 0;
            end_update(self, self->ota_result, now);
        }
        mm_esp_life_end_job(self, post->number, now);
        break;
    case MM_ESP_POST_WAKE:
    case MM_ESP_POST_NONE:
    default:
        break; // the turn looks at everything
    }
}

// The supply is going: the counters are read, and a cell is saved, before anything else.
static void save_if_warned(mm_esp_node_t *self) {
    if (self->health.warning) {
        self->health.warning = false;
        (void)poll_node(self);
        mm_esp_log(MM_LOG_WARNING, "the supply is going");
    }
}

// What has arrived, no more than fits the queue: others get their turn.
static void take_posts(mm_esp_node_t *self, mm_esp_post_t *first) {
    bool has_post = first->kind != MM_ESP_POST_NONE;
    for (int i = 0; has_post && i < MM_ESP_OWNER_QUEUE_COUNT; i++) {
        take_post(self, first);
        mm_esp_owner_done(first);
        save_if_warned(self);
        has_post = i + 1 < MM_ESP_OWNER_QUEUE_COUNT && mm_esp_owner_take(first, 0);
    }
}

static mm_us_t poll_time(mm_esp_node_t *self, mm_us_t now) {
    mm_time_t time;
    mm_us_t deadline = MM_US_NEVER;
    if (mm_esp_time_poll(&self->time, now, &time, &deadline) && mm_node_set_time(&self->node, time, now) != MM_OK) {
        mm_esp_log(MM_LOG_WARNING, "the time server's time is impossible and was not taken");
    }
    return deadline;
}

static mm_us_t poll_person(mm_esp_node_t *self, mm_us_t now) {
    bool down = false;
    mm_us_t deadline = MM_US_NEVER;
    if (mm_esp_button_poll(&self->button, now, &down, &deadline)) {
        if (self->health.safe_mode && down) {
            mm_esp_health_forgive(&self->health);
        } else if (!self->health.safe_mode) {
            mm_esp_panel_press(&self->panel, down, now);
        }
    }
    if (self->health.safe_mode) {
        return deadline;
    }
    mm_node_panel_facts_t facts;
    mm_esp_life_fill(self, now, &facts);
    deadline = mm_us_earlier(deadline, mm_esp_panel_poll(&self->panel, &facts, now));
    mm_wipe(&facts, sizeof facts);
    return mm_us_earlier(deadline, mm_esp_console_poll(&self->console, now));
}

static mm_us_t poll_network(mm_esp_node_t *self, mm_us_t now) {
    if (self->health.safe_mode) {
        return MM_US_NEVER;
    }
    if (self->broker_changed) {
        mm_esp_life_use_broker(self);
    }
    if (self->router_changed) {
        mm_esp_life_use_router(self);
    }
    mm_us_t deadline = mm_esp_life_poll(self, now);
    deadline = mm_us_earlier(deadline, mm_esp_mqtt_poll(&self->mqtt, now));
    deadline = mm_us_earlier(deadline, poll_time(self, now));
    poll_update(self, now);
    judge_image(self, now);
    return deadline;
}

static _Noreturn void restart_now(mm_esp_node_t *self, const char *reason) {
    mm_esp_log(MM_LOG_INFO, "restart: %s", reason);
    if (self->life.has_bluetooth && self->life.job == MM_ESP_LIFE_NO_JOB) {
        mm_esp_provisioning_close(&self->shared.provisioning); // the phone sees an end
    }
    (void)mm_node_poll(&self->node, mm_esp_owner_now()); // the newest pulses are saved; those until the reset live on
    esp_restart();
}

static void restart_if_due(mm_esp_node_t *self, mm_us_t now) {
    if (mm_esp_health_must_restart(&self->health)) {
        restart_now(self, "out of the safe mode");
    }
    if (self->is_restarting && now >= self->restart_at) {
        restart_now(self, self->restart_reason);
    }
    if (!mm_esp_owner_worker_is_good(now)) {
        restart_now(self, "the worker is lost");
    }
    if (mm_esp_storage_came_back(self, now)) {
        restart_now(self, "the FRAM works again");
    }
}

// An input that could not be set up counts nothing: it is tried again.
static mm_us_t poll_inputs(mm_esp_node_t *self, mm_us_t now) {
    if (self->pulses.failed == 0) {
        return MM_US_NEVER;
    }
    if (now >= self->inputs_at) {
        self->inputs_at = now + MM_ESP_NODE_RETRY_S * MM_US_PER_S;
        if (mm_esp_pulses_retry(&self->pulses) == MM_OK) {
            mm_esp_log(MM_LOG_INFO, "all pulse inputs work");
        }
    }
    return self->inputs_at;
}

// One turn: returns when the next one is due.
static mm_us_t turn(mm_esp_node_t *self, mm_esp_post_t *post) {
    save_if_warned(self);
    // What is due comes before what has arrived: an event must not overtake the end of an interval.
    (void)poll_node(self);
    mm_us_t deadline = mm_esp_health_poll(&self->health, mm_esp_owner_now());
    take_posts(self, post);
    deadline = mm_us_earlier(deadline, poll_inputs(self, mm_esp_owner_now()));
    deadline = mm_us_earlier(deadline, poll_network(self, mm_esp_owner_now()));
    save_if_warned(self);
    deadline = mm_us_earlier(deadline, poll_node(self));
    if (self->board->has_relays) {
        deadline = mm_us_earlier(deadline, mm_esp_relay_poll(&self->relay, mm_esp_owner_now()));
    }
    deadline = mm_us_earlier(deadline, poll_person(self, mm_esp_owner_now()));
    restart_if_due(self, mm_esp_owner_now());
    return mm_us_earlier(deadline, mm_esp_owner_now() + (mm_us_t)MM_ESP_NODE_READ_MS * US_PER_MS);
}

static void run(void *context) {
    mm_esp_node_t *self = context;
    open_all(self);
    mm_esp_post_t post = {.slot = -1};
    for (;;) {
        mm_us_t deadline = turn(self, &post);
        // MM_ESP_NODE_READ_MS at most: then the counters are read.
        (void)mm_esp_owner_take(&post, deadline);
    }
}

void mm_esp_node_start(void) {
    mm_esp_node_t *self = &s_node;
    memset(self, 0, sizeof *self);
    self->board = mm_esp_board();
    drive_relays(self);
    mm_esp_entropy_open();
    begin_counting(self);
    if (mm_esp_owner_open() != MM_OK || mm_esp_owner_start(run, self) != MM_OK) {
        // Nothing runs without its task. Pulses are counted on through the restart.
        mm_esp_log(MM_LOG_ERROR, "no task for the node: restart");
        esp_restart();
    }
}
