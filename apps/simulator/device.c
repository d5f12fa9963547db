// SPDX-License-Identifier: Apache-2.0
#include "simulator/device.h"

#include <stdlib.h>
#include <string.h>

#define PPM 1000000
// A node that asks to be called again at the same instant has something to do; one that does so for ever, spins.
#define CALLS_AT_ONCE_MAX 2000
#define CLIENT_ID_CHARS 13

// --- time

static mm_us_t local_at(const device_t *self, mm_us_t world) {
    mm_us_t passed = world - self->booted_at;
    return passed + passed / PPM * self->plan.drift_ppm + passed % PPM * self->plan.drift_ppm / PPM;
}

mm_us_t device_local_now(const device_t *self) {
    return local_at(self, mm_sim_now(self->sim));
}

// The first instant of the world at which the node's time has come.
static mm_us_t world_at(void *context, mm_us_t local) {
    const device_t *self = context;
    int64_t rate = PPM + self->plan.drift_ppm;
    mm_us_t world = self->booted_at + local / rate * PPM + local % rate * PPM / rate;
    while (local_at(self, world) < local) {
        world++;
    }
    return world;
}

// --- ports

static bool is_dead(const device_t *self) {
    return self->power.dead;
}

static mm_err_t journal_read(void *context, uint32_t address, void *bytes, size_t bytes_count) {
    device_t *self = context;
    return self->journal_flash.flash.read(&self->journal_flash, address, bytes, bytes_count);
}

// Whoever waits for this operation lets the power fail inside of it.
static void spring_ambush(device_t *self, device_ambush_t operation) {
    if (self->ambush == operation && self->alive) {
        self->ambush = DEVICE_AMBUSH_NONE;
        mm_sim_power_cut_after(&self->power, self->ambush_steps);
    }
}

static mm_err_t journal_program(void *context, uint32_t address, const void *bytes, size_t bytes_count) {
    device_t *self = context;
    if (self->node.journal.thinning.active) {
        spring_ambush(self, DEVICE_AMBUSH_THINNING);
    }
    return self->journal_flash.flash.program(&self->journal_flash, address, bytes, bytes_count);
}

static mm_err_t journal_erase(void *context, uint32_t sector_index) {
    device_t *self = context;
    spring_ambush(self, DEVICE_AMBUSH_ERASE);
    self->in_erase = true;
    mm_err_t err = self->journal_flash.flash.erase(&self->journal_flash, sector_index);
    self->in_erase = false;
    return err;
}

static mm_err_t config_read(void *context, uint32_t address, void *bytes, size_t bytes_count) {
    device_t *self = context;
    return self->config_flash.flash.read(&self->config_flash, address, bytes, bytes_count);
}

static mm_err_t config_program(void *context, uint32_t address, const void *bytes, size_t bytes_count) {
    device_t *self = context;
    spring_ambush(self, DEVICE_AMBUSH_CONFIGURATION);
    self->in_config = true;
    mm_err_t err = self->config_flash.flash.program(&self->config_flash, address, bytes, bytes_count);
    self->in_config = false;
    return err;
}

static mm_err_t config_erase(void *context, uint32_t sector_index) {
    device_t *self = context;
    spring_ambush(self, DEVICE_AMBUSH_CONFIGURATION);
    self->in_config = true;
    mm_err_t err = self->config_flash.flash.erase(&self->config_flash, sector_index);
    self->in_config = false;
    return err;
}

static mm_err_t draw_entropy(void *context, void *bytes, size_t bytes_count) {
    device_t *self = context;
    if (is_dead(self) || self->entropy_fails) {
        return MM_ERR_UNAVAILABLE;
    }
    for (size_t i = 0; i < bytes_count; i++) {
        ((uint8_t *)bytes)[i] = (uint8_t)mm_random_u32(&self->entropy_random);
    }
    return MM_OK;
}

static mm_err_t mesh_send(void *context, mm_mac_t to, const void *bytes, size_t bytes_count) {
    device_t *self = context;
    const mm_mesh_t *port = mm_sim_mesh_port(self->mesh, self->index);
    return is_dead(self) ? MM_ERR_UNAVAILABLE : port->send(port->context, to, bytes, bytes_count);
}

static mm_err_t mesh_send_to_root(void *context, const void *bytes, size_t bytes_count) {
    device_t *self = context;
    const mm_mesh_t *port = mm_sim_mesh_port(self->mesh, self->index);
    return is_dead(self) ? MM_ERR_UNAVAILABLE : port->send_to_root(port->context, bytes, bytes_count);
}

static mm_err_t door_send(void *context, mm_mac_t to, const void *bytes, size_t bytes_count) {
    device_t *self = context;
    if (is_dead(self) || self->door_send == NULL) {
        return MM_ERR_UNAVAILABLE;
    }
    return self->door_send(self->door_context, self->index, to, bytes, bytes_count);
}

static mm_err_t mqtt_start(void *context, uint32_t session) {
    device_t *self = context;
    const mm_mqtt_t *port = self->uplink;
    bool no_way = is_dead(self) || self->staged_wrong;
    mm_err_t err = no_way ? MM_ERR_UNAVAILABLE : port->start(port->context, session);
    self->sessions += err == MM_OK ? 1 : 0;
    return err;
}

static mm_err_t mqtt_subscribe(void *context, const char *topic, uint8_t qos, uint16_t *packet_id) {
    device_t *self = context;
    const mm_mqtt_t *port = self->uplink;
    return is_dead(self) ? MM_ERR_UNAVAILABLE : port->subscribe(port->context, topic, qos, packet_id);
}

static mm_err_t mqtt_publish(void *context, const char *topic, const void *bytes, size_t bytes_count,
                             uint16_t *packet_id) {
    device_t *self = context;
    if (is_dead(self)) {
        return MM_ERR_UNAVAILABLE;
    }
    const mm_mqtt_t *port = self->uplink;
    mm_err_t err = port->publish(port->context, topic, bytes, bytes_count, packet_id);
    if (err == MM_OK) {
        const mm_root_t *root = &self->node.root;
        self->observer.published(self->observer.context, self->index, (root->round.round_id << 4) | root->next_batch);
    }
    return err;
}

static void mqtt_stop(void *context, bool graceful) {
    device_t *self = context;
    if (!is_dead(self)) {
        const mm_mqtt_t *port = self->uplink;
        port->stop(port->context, graceful);
    }
}

static mm_err_t relay_set(void *context, uint8_t channel, bool closed) {
    device_t *self = context;
    return is_dead(self) ? MM_ERR_UNAVAILABLE : self->relay.relay.set(&self->relay, channel, closed);
}

static mm_err_t show(void *context, uint32_t seconds) {
    device_t *self = context;
    mm_sim_note(self->sim, self->index, "shows", seconds, 0);
    return is_dead(self) ? MM_ERR_UNAVAILABLE : MM_OK;
}

static mm_err_t stage(void *context, mm_staged_kind_t kind, const char *text, size_t text_chars) {
    device_t *self = context;
    if (is_dead(self) || kind != MM_STAGED_NETWORK) {
        return MM_ERR_UNAVAILABLE;
    }
    static const char wrong[] = DEVICE_WRONG_PASSWORD;
    self->staged = true;
    self->staged_wrong = false;
    for (size_t i = 0; i + sizeof wrong - 1 <= text_chars; i++) {
        self->staged_wrong = self->staged_wrong || memcmp(text + i, wrong, sizeof wrong - 1) == 0;
    }
    mm_command_body_t body;
    MM_ASSERT(mm_command_body_read(MM_COMMAND_NETWORK, text, text_chars, &body) == MM_OK);
    self->staged_router = body.network;
    self->staged_sessions = self->sessions;
    mm_sim_note(self->sim, self->index, "router_tried", self->staged_wrong, text_chars);
    return MM_OK;
}

static mm_err_t settle_router(void *context, mm_staged_kind_t kind, bool keep) {
    device_t *self = context;
    (void)kind;
    if (is_dead(self)) {
        return MM_ERR_UNAVAILABLE;
    }
    self->kept_wrong = self->kept_wrong || (keep && self->staged && self->staged_wrong);
    self->routers_kept += keep && self->staged && self->sessions > self->staged_sessions ? 1 : 0;
    self->fallbacks += !keep && self->staged && self->staged_wrong ? 1 : 0;
    self->staged = false;
    self->staged_wrong = false;
    mm_sim_note(self->sim, self->index, "router_settled", keep, 0);
    return MM_OK;
}

static size_t log_tail(void *context, char *text, size_t capacity_bytes) {
    const device_t *self = context;
    int chars = snprintf(text, capacity_bytes, "boots %u", self->boots);
    return chars > 0 && (size_t)chars < capacity_bytes ? (size_t)chars : 0;
}

// --- life

static void note_cut(void *context) {
    device_t *self = context;
    const mm_metering_t *metering = &self->node.metering;
    mm_sim_fault(self->sim, MM_SIM_FAULT_POWER_CUT_IN_WRITE, self->index);
    if (self->booting) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_CUT_IN_RECOVERY, self->index);
        return;
    }
    if (self->in_config) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_CUT_IN_CONFIGURATION, self->index);
    }
    if (self->in_erase) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_CUT_IN_ERASE, self->index);
    }
    if (self->node.journal.thinning.active) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_CUT_IN_THINNING, self->index);
    }
    if (metering->pending_type != MM_RECORD_NONE && !metering->image_stale) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_CUT_BEFORE_APPEND, self->index);
    }
}

static void die(device_t *self) {
    self->alive = false;
    self->booting = false;
    self->in_erase = false;
    self->in_config = false;
    self->staged = false; // a restart during the trial brings the present router back
    self->staged_wrong = false;
    self->wake_no++;
    self->clock_no++;
    self->observer.died(self->observer.context, self->index);
    mm_sim_mesh_set_alive(self->mesh, self->index, false);
    mm_sim_broker_drop_client(self->broker, self->index);
}

static void wake(void *context, const void *payload, size_t payload_bytes);

static void wake_up_at(device_t *self, mm_us_t local) {
    mm_us_t at = local == MM_US_NEVER ? MM_US_NEVER : world_at(self, local);
    if (at == self->wake_at) {
        return;
    }
    self->wake_at = at;
    self->wake_no++;
    if (at != MM_US_NEVER) {
        mm_sim_queue_add(self->sim->queue, at, wake, self, &self->wake_no, sizeof self->wake_no);
    }
}

// As the product's program does: what is open belongs to the network of the start.
static bool wants_restart(const device_t *self) {
    return self->plan.has_setup &&
           mm_setup_wants_restart(&self->node.setup, self->has_network ? self->network.revision : 0);
}

// After every call into the node: it does what is due, or its power has failed meanwhile.
static void settle(device_t *self) {
    mm_us_t now = mm_sim_now(self->sim);
    self->calls_at_once = now > self->settled_at ? 0 : self->calls_at_once + 1;
    self->settled_at = now;
    MM_ASSERT(self->calls_at_once < CALLS_AT_ONCE_MAX);
    mm_us_t deadline = MM_US_NEVER;
    if (!is_dead(self)) {
        deadline = mm_node_poll(&self->node, device_local_now(self));
    }
    if (is_dead(self)) {
        die(self);
        return;
    }
    self->observer.settled(self->observer.context, self->index);
    if (wants_restart(self)) {
        self->restarting = true;
        self->restarts++;
        mm_sim_note(self->sim, self->index, "restarts", self->restarts, 0);
        die(self);
        self->restarting = false;
        return;
    }
    wake_up_at(self, deadline);
}

static void wake(void *context, const void *payload, size_t payload_bytes) {
    device_t *self = context;
    uint64_t wake_no;
    MM_ASSERT(payload_bytes == sizeof wake_no);
    memcpy(&wake_no, payload, sizeof wake_no);
    if (self->alive && wake_no == self->wake_no) {
        self->wake_at = -1; // it has been used
        settle(self);
    }
}

static mm_node_options_t node_options(const device_t *self) {
    mm_node_options_t options = {
        .mac = mm_sim_mesh_mac(self->index),
        .timing = self->plan.timing,
        .journal_sector_count = self->plan.journal_sectors,
        .random_seed = ((uint64_t)self->index << 32) + self->boots,
    };
    const char *site = !self->plan.has_setup ? self->plan.site : self->has_network ? self->network.site : "parked";
    snprintf(options.site, sizeof options.site, "%s", site);
    snprintf(options.metering.tz, sizeof options.metering.tz, "%s", self->plan.tz);
    if (self->plan.has_control) {
        options.control.token_unit_wh = 1000;
        options.control.new_era = ((uint32_t)self->index + 1) * 1000003u + self->boots;
    }
    options.metering.time_trust_s = 86400;
    options.metering.save_period_s = self->plan.save_period_s;
    if (self->plan.has_setup) {
        options.config_sector_count = DEVICE_CONFIG_SECTORS;
        return options; // the meters come with the installation
    }
    for (uint8_t channel = 0; channel < MM_CHANNELS - 1; channel++) { // the last socket is free
        mm_meter_config_t *meter = &options.metering.meters[channel];
        meter->pulse_constant = channel % 2 == 0 ? 1000 : 800;
        snprintf(meter->id, sizeof meter->id, "M%02d-%u", self->index, channel);
    }
    return options;
}

// What the program reads before it opens anything.
static void read_network(device_t *self) {
    mm_configuration_store_t store;
    static mm_configuration_t s_configuration;
    self->has_network = false;
    if (mm_configuration_store_open(&store, &self->config_port, DEVICE_CONFIG_SECTORS, &s_configuration) == MM_OK) {
        self->has_network = s_configuration.has_network;
        self->network = s_configuration.network;
    }
}

void device_power_on(device_t *self, mm_us_t begin_utc_us) {
    if (self->alive) {
        return;
    }
    mm_us_t now = mm_sim_now(self->sim);
    mm_sim_power_up(&self->power);
    mm_sim_flash_age(&self->journal_flash);
    mm_sim_flash_age(&self->register_flash);
    mm_sim_pulses_power_up(&self->pulses, now);
    self->booted_at = now;
    self->boots++;
    self->wake_at = -1;
    self->booting = true;
    if (self->boot_cut_steps >= 0) {
        mm_sim_power_cut_after(&self->power, (uint64_t)self->boot_cut_steps);
        self->boot_cut_steps = -1;
    }
    if (self->plan.has_setup) {
        mm_sim_flash_age(&self->config_flash);
        read_network(self);
    }
    mm_node_options_t options = node_options(self);
    mm_err_t err = mm_node_init(&self->node, &options, &self->ports, 0);
    MM_ASSERT(err == MM_OK); // the options are ours
    if (is_dead(self)) {
        die(self);
        return;
    }
    self->booting = false;
    mm_sim_power_disarm(&self->power);
    if (self->plan.has_setup) {
        mm_node_open_join(&self->node, &self->node.setup, &self->door, 0);
    }
    self->alive = true;
    mm_sim_note(self->sim, self->index, "booted", self->node.metering.boot_no, self->node.journal.next_seq);
    self->observer.booted(self->observer.context, self->index);
    if (!self->plan.has_setup || self->has_network) {
        mm_sim_mesh_set_alive(self->mesh, self->index, true);
    }
    if (self->plan.own_clock) {
        device_synchronise(self, begin_utc_us);
    } else {
        settle(self);
    }
}

void device_cut(device_t *self) {
    if (self->alive) {
        mm_sim_fault(self->sim, MM_SIM_FAULT_POWER_CUT, self->index);
        self->power.on_cut = NULL;
        mm_sim_power_cut_now(&self->power);
        self->power.on_cut = note_cut;
        die(self);
    }
}

void device_cut_in_write(device_t *self, uint64_t steps) {
    if (self->alive) {
        mm_sim_power_cut_after(&self->power, steps);
        settle(self);
    }
}

void device_cut_in(device_t *self, device_ambush_t ambush, uint64_t steps) {
    self->ambush = ambush;
    self->ambush_steps = steps;
}

// --- events

void device_on_mesh_event(device_t *self, const mm_mesh_event_t *event) {
    if (self->alive) {
        mm_node_on_mesh_event(&self->node, event, device_local_now(self));
        settle(self);
    }
}

void device_on_mesh_frame(device_t *self, mm_mac_t from, const void *bytes, size_t bytes_count) {
    if (self->alive) {
        mm_node_on_mesh_frame(&self->node, from, bytes, bytes_count, device_local_now(self));
        settle(self);
    }
}

void device_on_door(device_t *self, mm_mac_t from, const void *bytes, size_t bytes_count) {
    if (self->alive) {
        mm_node_on_door(&self->node, from, bytes, bytes_count, device_local_now(self));
        settle(self);
    }
}

void device_on_mqtt_event(device_t *self, const mm_mqtt_event_t *event) {
    if (self->alive) {
        mm_node_on_mqtt_event(&self->node, event, device_local_now(self));
        settle(self);
    }
}

void device_synchronise(device_t *self, mm_us_t begin_utc_us) {
    if (!self->alive) {
        return;
    }
    if (self->clock_works) {
        mm_us_t utc_us = begin_utc_us + mm_sim_now(self->sim) + self->clock_error_us;
        const mm_time_t time = {.utc = {utc_us}, .trust = MM_TRUST_SYNCED};
        (void)mm_node_set_time(&self->node, time, device_local_now(self)); // refused: the node says why
    }
    settle(self);
}

bool device_type_token(device_t *self, uint8_t channel, const char *digits, mm_typed_answer_t *answer) {
    if (!self->alive) {
        return false;
    }
    *answer = mm_node_type_token(&self->node, channel, digits, device_local_now(self));
    bool seen = !is_dead(self);
    settle(self);
    return seen;
}

bool device_take_emergency(device_t *self, uint8_t channel) {
    if (!self->alive) {
        return false;
    }
    mm_err_t err = mm_node_take_emergency(&self->node, channel, device_local_now(self));
    bool seen = !is_dead(self);
    settle(self);
    return seen && err == MM_OK;
}

bool device_ask_page(device_t *self, const mm_http_request_t *request, mm_http_answer_t *answer) {
    if (!self->alive) {
        return false;
    }
    mm_configurator_answer(&self->node.setup, request, device_local_now(self), answer);
    bool seen = !is_dead(self);
    settle(self);
    return seen;
}

bool device_take_network(device_t *self, const mm_network_t *network, mm_err_t *err) {
    if (!self->alive) {
        return false;
    }
    *err = mm_setup_take_network(&self->node.setup, network, device_local_now(self));
    bool seen = !is_dead(self);
    settle(self);
    return seen;
}

bool device_reset(device_t *self, const char *code, mm_code_verdict_t *verdict) {
    if (!self->alive) {
        return false;
    }
    uint32_t wait_s;
    *verdict = mm_setup_reset(&self->node.setup, code, device_local_now(self), &wait_s);
    bool seen = !is_dead(self);
    settle(self);
    return seen;
}

void device_hold(device_t *self) {
    if (self->alive) {
        mm_node_hold(&self->node);
        settle(self);
    }
}

// --- making

static uint8_t *new_bytes(size_t bytes_count) {
    uint8_t *bytes = malloc(bytes_count);
    MM_ASSERT(bytes != NULL);
    return bytes;
}

static void init_memory(device_t *self, uint64_t seed) {
    mm_sim_power_init(&self->power, seed);
    self->power.on_cut = note_cut;
    self->power.context = self;
    self->journal_bytes = new_bytes((size_t)self->plan.journal_sectors * MM_FLASH_SECTOR_BYTES);
    mm_sim_flash_init(&self->journal_flash, &self->power, self->journal_bytes, self->journal_sectors,
                      self->plan.journal_sectors);
    self->register_bytes = new_bytes((size_t)self->plan.register_sectors * MM_FLASH_SECTOR_BYTES);
    mm_sim_flash_init(&self->register_flash, &self->power, self->register_bytes, self->register_sectors,
                      self->plan.register_sectors);
    // As many places for a cut as an erase needs to be torn in every manner.
    self->journal_flash.erase_steps = 16;
    self->register_flash.erase_steps = 16;
    self->config_bytes = new_bytes((size_t)DEVICE_CONFIG_SECTORS * MM_FLASH_SECTOR_BYTES);
    mm_sim_flash_init(&self->config_flash, &self->power, self->config_bytes, self->config_sectors,
                      DEVICE_CONFIG_SECTORS);
    self->config_flash.erase_steps = 400;
    self->fram_bytes = new_bytes(MM_STORE_FRAM_BYTES);
    mm_sim_fram_init(&self->fram, &self->power, self->fram_bytes, MM_STORE_FRAM_BYTES, 0xFF);
}

void device_init(device_t *self, mm_sim_t *sim, int index, const device_plan_t *plan, uint32_t hours,
                 const device_observer_t *observer) {
    MM_ASSERT(plan->journal_sectors <= DEVICE_SECTORS_MAX && plan->register_sectors <= DEVICE_SECTORS_MAX);
    memset(self, 0, sizeof *self);
    self->sim = sim;
    self->index = index;
    self->plan = *plan;
    self->observer = *observer;
    self->random = mm_sim_random(sim, "device", (uint64_t)index);
    self->clock_works = true;
    self->boot_cut_steps = -1;
    init_memory(self, sim->seed + (uint64_t)index);
    mm_sim_pulses_init(&self->pulses, sim, index, hours, plan->battery, world_at, self);
    mm_sim_relay_init(&self->relay, sim, index, &self->pulses);
    mm_sim_crypto_init(&self->crypto, sim->seed, index);
    self->relay_port = (mm_relay_t){relay_set, self};
    self->actions = (mm_actions_t){.display_on = show, .find = show, .log_tail = log_tail, .context = self};
    if (plan->has_setup) {
        self->actions.stage = stage;
        self->actions.settle = settle_router;
    }
    self->config_port = (mm_flash_t){config_read, config_program, config_erase, self, DEVICE_CONFIG_SECTORS};
    self->door = (mm_door_t){door_send, self};
    self->entropy = (mm_entropy_t){draw_entropy, self};
    self->entropy_random = mm_sim_random(sim, "entropy", (uint64_t)index);
    self->journal_port = (mm_flash_t){journal_read, journal_program, journal_erase, self, self->plan.journal_sectors};
    self->mesh_port = (mm_mesh_t){mesh_send, mesh_send_to_root, self};
    self->mqtt_port = (mm_mqtt_t){mqtt_start, mqtt_subscribe, mqtt_publish, mqtt_stop, self};
    self->batch_capacity = 2;
    self->batch_memory = new_bytes((size_t)self->batch_capacity * MM_BATCH_BYTES_MAX);
    self->ports = (mm_node_ports_t){.pulses = &self->pulses.pulses,
                                    .fram = plan->has_fram ? &self->fram.fram : NULL,
                                    .register_flash = &self->register_flash.flash,
                                    .journal_flash = &self->journal_port,
                                    .mesh = &self->mesh_port,
                                    .mqtt = &self->mqtt_port,
                                    .crypto = &self->crypto.crypto,
                                    .relay = &self->relay_port,
                                    .actions = &self->actions,
                                    .config_flash = plan->has_setup ? &self->config_port : NULL,
                                    .entropy = plan->has_setup ? &self->entropy : NULL,
                                    .batch_memory = self->batch_memory,
                                    .batch_capacity = self->batch_capacity};
}

void device_deinit(device_t *self) {
    free(self->journal_bytes);
    free(self->register_bytes);
    free(self->fram_bytes);
    free(self->config_bytes);
    free(self->batch_memory);
    mm_sim_pulses_deinit(&self->pulses);
}

void device_connect(device_t *self, mm_sim_mesh_t *mesh, mm_sim_broker_t *broker) {
    self->mesh = mesh;
    self->broker = broker;
    char client_id[CLIENT_ID_CHARS];
    mm_mac_t mac = mm_sim_mesh_mac(self->index);
    snprintf(client_id, sizeof client_id, "%02x%02x%02x%02x%02x%02x", mac.bytes[0], mac.bytes[1], mac.bytes[2],
             mac.bytes[3], mac.bytes[4], mac.bytes[5]);
    self->uplink = mm_sim_broker_port(broker, self->index, client_id);
}
