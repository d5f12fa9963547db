// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/node.h"

#include <string.h>

#include "meshmeter/frame.h"
#include "meshmeter/reporter.h"

// Root and asker do not draw the same numbers.
#define JOIN_RANDOM UINT64_C(0x6A6F696E00000000)

static bool is_root(const mm_node_t *self) {
    return self->root.active;
}

static void advance(mm_node_t *self, mm_us_t now) {
    MM_ASSERT(now >= self->now);
    self->now = now;
}

static void open_control(mm_node_t *self, const mm_node_options_t *wanted, uint8_t unconfirmed_channels, mm_us_t now) {
    const mm_timing_t *timing = &self->options.timing;
    mm_control_options_t options = wanted->control;
    options.mac = self->options.mac;
    options.unconfirmed_channels = unconfirmed_channels;
    options.slot_count_min = (uint32_t)(timing->round_us / timing->slots.slot_us) + 1;
    mm_control_open(&self->control, &options, &self->metering, self->ports.crypto, self->ports.relay,
                    self->ports.actions, &self->counters, self->ports.log, now);
    self->has_control = true;
    mm_root_set_control(&self->root, &self->control);
}

static bool can_be_set_up(const mm_node_options_t *options, const mm_flash_t *flash) {
    return flash == NULL ||
           (options->control.new_era != 0 && options->config_sector_count >= MM_CONFIGURATION_SECTORS_MIN &&
            options->config_sector_count <= flash->sector_count);
}

// The meters of the installation, before metering begins. What cannot be read now changes nothing: the meters
// counted last go on, and setup says so.
static MM_APART void take_installed_meters(const mm_node_options_t *wanted, const mm_flash_t *config_flash,
                                           mm_metering_options_t *options, uint8_t *unconfirmed_channels) {
    mm_configuration_store_t store;
    mm_configuration_t configuration;
    mm_err_t err = mm_configuration_store_open(&store, config_flash, wanted->config_sector_count, &configuration);
    if (err != MM_OK || !configuration.has_installation) {
        options->keep_meters = err != MM_OK && err != MM_ERR_NOT_FOUND;
        return;
    }
    *unconfirmed_channels = mm_configuration_unconfirmed(&configuration);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        options->meters[channel] = configuration.installation.channels[channel].meter;
    }
}

// The meters of the installation, and what is confirmed of them, stand above those of the options.
static mm_err_t open_metering(mm_node_t *self, const mm_node_options_t *wanted, uint8_t *unconfirmed_channels,
                              mm_us_t now) {
    const mm_node_ports_t *ports = &self->ports;
    mm_metering_options_t options = wanted->metering;
    if (ports->config_flash != NULL) {
        take_installed_meters(wanted, ports->config_flash, &options, unconfirmed_channels);
    }
    return mm_metering_open(&self->metering, &options, ports->pulses, &self->store, ports->fram, ports->register_flash,
                            &self->journal, ports->journal_flash, wanted->journal_sector_count, &self->counters,
                            wanted->reset_reason, now);
}

static void open_setup(mm_node_t *self, const mm_node_options_t *wanted, mm_us_t now) {
    mm_setup_options_t options = wanted->setup;
    options.mac = self->options.mac;
    mm_setup_open(&self->setup, &options, self->ports.config_flash, wanted->config_sector_count, &self->metering,
                  &self->control, self->ports.crypto, self->ports.entropy, &self->counters, self->ports.log, now);
    self->has_setup = true;
}

mm_err_t mm_node_init(mm_node_t *self, const mm_node_options_t *options, const mm_node_ports_t *ports, mm_us_t now) {
    bool has_control = options->control.new_era != 0;
    if (mm_mac_is_zero(options->mac) || mm_timing_check(&options->timing) != MM_OK ||
        (has_control && options->control.token_unit_wh == 0) || !can_be_set_up(options, ports->config_flash)) {
        return MM_ERR_ARG;
    }
    memset(self, 0, sizeof *self);
    self->options.mac = options->mac;
    memcpy(self->options.site, options->site, sizeof self->options.site);
    self->options.timing = options->timing;
    self->options.random_seed = options->random_seed;
    self->ports = *ports;
    self->now = now;
    self->hello_at = MM_US_NEVER;
    mm_err_t err = mm_root_init(&self->root, options->mac, options->site, &self->options.timing, ports->mesh,
                                ports->mqtt, ports->log, &self->metering, &self->counters, ports->batch_memory,
                                ports->batch_capacity, options->random_seed);
    if (err != MM_OK) {
        return err;
    }
    uint8_t unconfirmed_channels = options->control.unconfirmed_channels;
    err = open_metering(self, options, &unconfirmed_channels, now);
    if (err == MM_OK && has_control) {
        open_control(self, options, unconfirmed_channels, now);
    }
    if (err == MM_OK && ports->config_flash != NULL) {
        open_setup(self, options, now);
    } else if (err == MM_OK && has_control && !options->setup_elsewhere) {
        mm_control_set_unconfirmed(&self->control, 0, now);
    }
    return err;
}

static MM_APART void follow_role(mm_node_t *self, mm_us_t now) {
    if (self->has_join) {
        mm_join_set_root(&self->join, is_root(self), now);
        self->root.network_revision = mm_join_revision(&self->join);
    }
}

void mm_node_open_join(mm_node_t *self, mm_setup_t *setup, const mm_door_t *door, mm_us_t now) {
    MM_ASSERT(!self->has_join && self->has_control);
    advance(self, now);
    mm_join_open(&self->join, self->options.mac, setup, &self->metering, setup->crypto, setup->entropy,
                 self->ports.mesh, door, &self->counters, self->ports.log, self->options.random_seed ^ JOIN_RANDOM,
                 now);
    self->has_join = true;
    follow_role(self, now);
}

static void set_root(mm_node_t *self, mm_mac_t root_mac, mm_us_t now) {
    bool self_is_root = mm_mac_equal(root_mac, self->options.mac);
    if (!mm_mac_equal(root_mac, self->root_mac)) {
        self->root_mac = root_mac;
        self->welcomed = false;
    }
    if (self_is_root) {
        self->hello_at = MM_US_NEVER;
        mm_root_start(&self->root, self->ip_up, now);
        follow_role(self, now);
        return;
    }
    mm_root_stop(&self->root, now);
    follow_role(self, now);
    if (self->attached && !self->welcomed) {
        self->hello_at = now;
    }
}

void mm_node_on_mesh_event(mm_node_t *self, const mm_mesh_event_t *event, mm_us_t now) {
    advance(self, now);
    switch (event->kind) {
    case MM_MESH_PARENT_CONNECTED:
        self->attached = true;
        self->layer = event->layer;
        if (event->layer == 1) {
            set_root(self, self->options.mac, now);
        } else if (!self->welcomed) {
            self->hello_at = now;
        }
        break;
    case MM_MESH_PARENT_DISCONNECTED:
        // At the root the parent is the router: the role stays, the internet is gone. A child waits for another parent.
        if (is_root(self)) {
            self->ip_up = false;
            mm_root_set_router(&self->root, false, now);
        } else {
            self->attached = false;
            self->welcomed = false;
            self->hello_at = MM_US_NEVER;
        }
        break;
    case MM_MESH_ROOT_CHANGED:
        set_root(self, event->mac, now);
        break;
    case MM_MESH_CHILD_JOINED:
        mm_root_child_joined(&self->root, event->mac, now);
        break;
    case MM_MESH_CHILD_LEFT:
        mm_root_child_left(&self->root, event->mac);
        break;
    case MM_MESH_GOT_IP:
    case MM_MESH_LOST_IP:
        self->ip_up = event->kind == MM_MESH_GOT_IP;
        mm_root_set_router(&self->root, self->ip_up, now);
        break;
    case MM_MESH_EVENT_NONE:
    default:
        MM_ASSERT(false);
    }
}

// The mesh's time is for nodes that know no better: one with a source of its own, or synchronised recently, keeps its
// own.
static void take_mesh_time(mm_node_t *self, mm_time_t time, mm_us_t now) {
    mm_trust_t own = mm_metering_time(&self->metering, now).trust;
    if (!self->own_clock && time.trust > own) {
        (void)mm_metering_set_time(&self->metering, time, now); // impossible times are counted there
    }
}

static void take_welcome(mm_node_t *self, const mm_frame_t *frame, mm_us_t now) {
    mm_welcome_t welcome;
    if (mm_frame_read_welcome(frame, &welcome) != MM_OK) {
        mm_counters_count(&self->counters, MM_COUNTER_FRAME_CORRUPT);
        return;
    }
    take_mesh_time(self, welcome.time, now);
    if (mm_metering_time(&self->metering, now).trust != MM_TRUST_UNSET) {
        self->welcomed = true;
        self->hello_at = MM_US_NEVER;
    }
}

// In their order: one that is not taken now must not be passed over by a later one. The root brings them again.
static void take_commands(mm_node_t *self, const mm_frame_t *frame, mm_us_t now) {
    mm_ask_commands_t commands;
    const uint8_t *bytes;
    size_t bytes_count;
    mm_err_t err = MM_OK;
    mm_ask_commands_begin(frame, &commands);
    while (err != MM_ERR_BUSY && mm_ask_commands_next(&commands, &bytes, &bytes_count)) {
        err = mm_control_take(&self->control, bytes, bytes_count, now); // what is refused is counted there
    }
}

static void take_items(mm_node_t *self, const mm_frame_t *frame, mm_us_t now) {
    mm_ask_commands_t items;
    const uint8_t *bytes;
    size_t bytes_count;
    mm_err_t err = MM_OK;
    mm_ask_items_begin(frame, &items);
    while (err != MM_ERR_BUSY && mm_ask_commands_next(&items, &bytes, &bytes_count)) {
        err = mm_control_take_legacy(&self->control, (const char *)bytes, bytes_count, now);
    }
}

static void take_ask(mm_node_t *self, const mm_frame_t *frame, mm_us_t now) {
    mm_ask_t ask;
    if (mm_frame_read_ask(frame, &ask) != MM_OK) {
        mm_counters_count(&self->counters, MM_COUNTER_FRAME_CORRUPT);
        return;
    }
    take_mesh_time(self, ask.time, now);
    if (ask.has_watermark) {
        // Refused when HQ speaks of an epoch that this journal has left behind: nothing is released then.
        (void)mm_metering_set_watermark(&self->metering, ask.watermark);
    }
    if (self->has_join) {
        mm_join_heard_revision(&self->join, ask.network_revision, now);
    }
    if (self->has_control) {
        take_commands(self, frame, now);
        take_items(self, frame, now);
    }
    size_t size = mm_report_build(&self->metering, self->has_control ? &self->control : NULL, self->options.mac,
                                  self->layer, &ask, now, self->root.frame, sizeof self->root.frame);
    if (size == 0) {
        return; // the ask leaves no room for any answer
    }
    if (self->ports.mesh->send(self->ports.mesh->context, frame->source, self->root.frame, size) != MM_OK) {
        mm_counters_count(&self->counters, MM_COUNTER_MESH_SEND_FAILED); // the root asks again
    }
}

static void take_join(mm_node_t *self, const mm_frame_t *frame, mm_us_t now) {
    if (self->has_join) {
        mm_join_on_frame(&self->join, frame, now);
    } else {
        mm_counters_count(&self->counters, MM_COUNTER_FRAME_UNKNOWN);
    }
}

void mm_node_on_mesh_frame(mm_node_t *self, mm_mac_t from, const void *bytes, size_t bytes_count, mm_us_t now) {
    advance(self, now);
    mm_frame_t frame;
    mm_err_t err = mm_frame_open(bytes, bytes_count, &frame);
    if (err != MM_OK) {
        mm_counters_count(&self->counters, err == MM_ERR_VERSION ? MM_COUNTER_FRAME_VERSION : MM_COUNTER_FRAME_CORRUPT);
        return;
    }
    if (!mm_mac_equal(frame.source, from)) {
        mm_counters_count(&self->counters, MM_COUNTER_FRAME_UNEXPECTED); // nobody speaks for another node
        return;
    }
    switch (frame.type) {
    case MM_FRAME_HELLO:
    case MM_FRAME_REPORT:
        mm_root_on_frame(&self->root, &frame, bytes, bytes_count, now);
        break;
    case MM_FRAME_WELCOME:
    case MM_FRAME_ASK:
        if (is_root(self)) {
            mm_counters_count(&self->counters, MM_COUNTER_FRAME_UNEXPECTED); // another root: the mesh sorts it out
        } else if (frame.type == MM_FRAME_WELCOME) {
            take_welcome(self, &frame, now);
        } else {
            take_ask(self, &frame, now);
        }
        break;
    case MM_FRAME_JOIN_ASK:
    case MM_FRAME_JOIN_ANSWER:
        take_join(self, &frame, now);
        break;
    default:
        mm_counters_count(&self->counters, MM_COUNTER_FRAME_UNKNOWN);
        break;
    }
}

void mm_node_on_door(mm_node_t *self, mm_mac_t from, const void *bytes, size_t bytes_count, mm_us_t now) {
    advance(self, now);
    if (self->has_join) {
        mm_join_on_door(&self->join, from, bytes, bytes_count, now);
    }
}

void mm_node_on_mqtt_event(mm_node_t *self, const mm_mqtt_event_t *event, mm_us_t now) {
    advance(self, now);
    mm_root_on_mqtt(&self->root, event, now);
}

mm_err_t mm_node_set_time(mm_node_t *self, mm_time_t time, mm_us_t now) {
    advance(self, now);
    mm_err_t err = mm_metering_set_time(&self->metering, time, now);
    if (err == MM_OK && time.trust == MM_TRUST_SYNCED) {
        self->own_clock = true;
    }
    return err;
}

void mm_node_hold(mm_node_t *self) {
    mm_metering_hold(&self->metering);
}

mm_typed_answer_t mm_node_type_token(mm_node_t *self, uint8_t channel, const char *digits, mm_us_t now) {
    advance(self, now);
    return self->has_control ? mm_control_type_token(&self->control, channel, digits, now)
                             : (mm_typed_answer_t){.verdict = MM_TYPED_NO_METER};
}

mm_err_t mm_node_take_emergency(mm_node_t *self, uint8_t channel, mm_us_t now) {
    advance(self, now);
    return self->has_control ? mm_control_take_emergency(&self->control, channel, now) : MM_ERR_STATE;
}

void mm_node_set_tamper(mm_node_t *self, uint8_t channel, bool tampered, mm_us_t now) {
    advance(self, now);
    if (self->has_control) {
        mm_control_set_tamper(&self->control, channel, tampered, now);
    }
}

static void say_hello(mm_node_t *self, mm_us_t now) {
    const mm_hello_t hello = {.boot_no = self->metering.boot_no};
    size_t size = mm_frame_write_hello(self->root.frame, sizeof self->root.frame, self->options.mac, &hello);
    MM_ASSERT(size > 0);
    if (self->ports.mesh->send_to_root(self->ports.mesh->context, self->root.frame, size) != MM_OK) {
        mm_counters_count(&self->counters, MM_COUNTER_MESH_SEND_FAILED);
    }
    self->hello_at = now + self->options.timing.hello_retry_us;
}

// Behind the root: it may have taken commands of its own.
static mm_us_t poll_control(mm_node_t *self, mm_us_t now) {
    mm_us_t deadline = mm_control_poll(&self->control, now);
    // What control has stored since metering was polled may be due again.
    bool metering_waits = self->metering.pending_type != MM_RECORD_NONE || self->metering.unsaved;
    return metering_waits ? mm_us_earlier(deadline, mm_us_after_s(now, MM_METERING_RETRY_S)) : deadline;
}

mm_us_t mm_node_poll(mm_node_t *self, mm_us_t now) {
    advance(self, now);
    mm_us_t deadline = mm_metering_poll(&self->metering, now);
    if (now >= self->hello_at) {
        say_hello(self, now);
    }
    deadline = mm_us_earlier(deadline, self->hello_at);
    follow_role(self, now); // the network may be another one
    deadline = mm_us_earlier(deadline, mm_root_poll(&self->root, now));
    if (self->has_control) {
        deadline = mm_us_earlier(deadline, poll_control(self, now));
    }
    if (self->has_setup) {
        deadline = mm_us_earlier(deadline, mm_setup_poll(&self->setup, now));
    }
    return self->has_join ? mm_us_earlier(deadline, mm_join_poll(&self->join, now)) : deadline;
}
