// SPDX-License-Identifier: Apache-2.0
// Lines for somebody at the device: what it does, and what the factory writes once. Never a secret.
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "meshmeter/network_form.h"
#include "mm_esp_node_internal.h"

typedef struct {
    char *text;
    size_t capacity_bytes;
    size_t bytes_count;
    char *rest; ///< of the line, behind the first word
} answer_t;

typedef struct {
    const char *name;
    const char *help;
    void (*run)(mm_esp_node_t *self, mm_us_t now, answer_t *answer);
} line_t;

// What does not fit is left out.
__attribute__((format(printf, 2, 3))) static void put(answer_t *answer, const char *format, ...) {
    size_t room = answer->capacity_bytes - answer->bytes_count;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(answer->text + answer->bytes_count, room, format, arguments);
    va_end(arguments);
    if (length > 0) {
        answer->bytes_count += (size_t)length < room ? (size_t)length : room;
    }
}

static void put_mac(answer_t *answer, const char *name, mm_mac_t mac) {
    const uint8_t *bytes = mac.bytes;
    put(answer, "%s=%02x:%02x:%02x:%02x:%02x:%02x\n", name, bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]);
}

// --- what it does ---------------------------------------------------------------------------------------------------

static void put_counts(answer_t *answer, const mm_esp_node_t *self) {
    mm_esp_owner_counts_t counts;
    mm_esp_owner_counts(&counts);
    put(answer, "queue_full=%u frames_full=%u packets_full=%u frames_too_long=%u jobs_overdue=%u\n",
        (unsigned)counts.queue_full, (unsigned)counts.frames_full, (unsigned)counts.packets_full,
        (unsigned)counts.frames_too_long, (unsigned)counts.jobs_overdue);
    put(answer, "opens_failed=%u fram_errors=%u pulses_rejected=%u\n", (unsigned)self->life.opens_failed,
        (unsigned)self->fram.errors, (unsigned)self->pulses.rejected);
    for (uint32_t i = 0; i < MM_COUNTER_COUNT; i++) {
        uint32_t value = self->node.counters.values[i];
        if (value != 0) {
            put(answer, "%s=%u\n", mm_counter_name(i), (unsigned)value);
        }
    }
}

static void run_status(mm_esp_node_t *self, mm_us_t now, answer_t *answer) {
    static const char *const registers_in[] = {"fram", "flash", "ram"};
    const mm_node_t *node = &self->node;
    const mm_time_t time = mm_metering_time(&node->metering, now);
    const char *fault = mm_esp_storage_fault(self);
    put_mac(answer, "mac", self->mac);
    put(answer, "version=%s boot=%u reset=%d crashes=%u uptime_s=%" PRId64 "\n", self->panel.version,
        (unsigned)node->metering.boot_no, (int)self->health.reset, (unsigned)self->health.crashes, now / MM_US_PER_S);
    put(answer, "registers=%s fault=%s\n", registers_in[self->fram_verdict], fault != NULL ? "yes" : "no");
    put(answer, "time=%" PRId64 " trust=%d\n", time.utc.us / MM_US_PER_S, (int)time.trust);
    put(answer, "sessions=%u clean=%u rounds=%u uplink=%s\n", (unsigned)node->root.sessions_made,
        (unsigned)node->root.sessions_clean, (unsigned)node->root.rounds_made,
        mm_uplink_state_name(node->root.uplink.state));
    for (unsigned i = 0; i < MM_CHANNELS; i++) {
        const mm_meter_config_t *meter = &node->metering.stored_meters[i];
        if (meter->id[0] != '\0') {
            uint64_t pulses = node->metering.registers.channels[i].life_pulses;
            put(answer, "meter %u id=%s pulses=%" PRIu64 " wh=%" PRIu64 "\n", i + 1, meter->id, pulses,
                mm_meter_energy_wh(meter->start_wh, pulses, meter->pulse_constant));
        }
    }
    put_counts(answer, self);
}

static void run_setup(mm_esp_node_t *self, mm_us_t now, answer_t *answer) {
    (void)now;
    if (!self->node.has_setup) {
        put(answer, "error: no configuration can be read\n");
        return;
    }
    const mm_configuration_t *configuration = &self->node.setup.configuration;
    put(answer, "phase=%s key=%s label=%s\n", mm_life_state_name(configuration->phase.state),
        self->settings.has_key ? "set" : "none", self->settings.pop[0] != '\0' ? "set" : "none");
    if (configuration->has_network) {
        put(answer, "site=%s revision=%u router=%s\n", configuration->network.site,
            (unsigned)configuration->network.revision,
            self->settings.has_router ? self->settings.router.name : configuration->network.router_name);
    }
    if (configuration->has_installation) {
        put(answer, "installation=%u node_no=%u\n", (unsigned)configuration->installation.revision,
            (unsigned)configuration->installation.node_no);
    }
}

static void run_mesh(mm_esp_node_t *self, mm_us_t now, answer_t *answer) {
    static const char *const uses[] = {"nothing", "parked", "mesh", "page"};
    const mm_esp_mesh_counts_t *counts = &self->mesh.counts;
    (void)now;
    put(answer, "radio=%s root=%d attached=%d layer=%u router=%d\n", uses[self->life.use], self->node.root.active,
        self->node.attached, self->node.layer, self->node.ip_up);
    put_mac(answer, "root_mac", self->node.root_mac);
    put(answer, "sends_refused=%u queue_stuck=%u reconnects=%u restarts=%u receives_failed=%u\n",
        (unsigned)counts->sends_refused, (unsigned)counts->queue_stuck, (unsigned)counts->reconnects,
        (unsigned)counts->restarts, (unsigned)counts->receives_failed);
    put(answer, "door_limited=%u door_foreign=%u door_sends_refused=%u\n", (unsigned)self->door.counts.limited,
        (unsigned)self->door.counts.foreign, (unsigned)self->door.counts.sends_refused);
}

static void run_journal(mm_esp_node_t *self, mm_us_t now, answer_t *answer) {
    const mm_journal_t *journal = &self->node.journal;
    (void)now;
    put(answer, "epoch=%u oldest=%u next=%u unsent=%u sectors=%u read_only=%d\n", (unsigned)journal->epoch,
        (unsigned)mm_journal_oldest(journal).seq, (unsigned)mm_journal_next(journal).seq,
        (unsigned)mm_journal_backlog(journal), (unsigned)journal->sector_count, journal->read_only);
}

static void run_log(mm_esp_node_t *self, mm_us_t now, answer_t *answer) {
    (void)self;
    (void)now;
    answer->bytes_count +=
        mm_esp_log_tail(answer->text + answer->bytes_count, answer->capacity_bytes - answer->bytes_count);
}

// --- what is written ------------------------------------------------------------------------------------------------

static int digit_of(char character) {
    static const char digits[] = "0123456789abcdef";
    const char *found = character != '\0' ? strchr(digits, character | ('A' ^ 'a')) : NULL;
    return found != NULL ? (int)(found - digits) : -1;
}

static bool read_key(const char *text, uint8_t key[MM_ESP_DEVICE_KEY_BYTES]) {
    for (size_t i = 0; i < MM_ESP_DEVICE_KEY_BYTES; i++) {
        int high = digit_of(text[2 * i]);
        int low = high >= 0 ? digit_of(text[2 * i + 1]) : -1;
        if (low < 0) {
            return false;
        }
        key[i] = (uint8_t)(high << 4 | low);
    }
    return text[(size_t)2 * MM_ESP_DEVICE_KEY_BYTES] == ' ';
}

static void run_key(mm_esp_node_t *self, mm_us_t now, answer_t *answer) {
    uint8_t key[MM_ESP_DEVICE_KEY_BYTES];
    mm_err_t err =
        read_key(answer->rest, key)
            ? mm_esp_settings_write_device(&self->settings, key, answer->rest + (size_t)2 * MM_ESP_DEVICE_KEY_BYTES + 1)
            : MM_ERR_ARG;
    mm_esp_wipe(key, sizeof key);
    if (err == MM_OK) {
        put(answer, "ok the device has its key and label, and starts again\n");
        mm_esp_node_restart(self, "with its key", now);
    } else if (err == MM_ERR_STATE) {
        put(answer, "error: this device has a key; it is never replaced\n");
    } else if (err == MM_ERR_ARG) {
        put(answer, "error: key KEY LABEL: 64 hexadecimal digits, %d to %d characters\n", MM_ESP_POP_CHARS_MIN,
            MM_ESP_POP_CHARS_MAX);
    } else {
        put(answer, "error: the memory refused; nothing is to be relied on, try again\n");
    }
}

// By cable, to a device that has none: who holds it in his hands needs no code of the label.
static void run_provision(mm_esp_node_t *self, mm_us_t now, answer_t *answer) {
    mm_form_t form;
    mm_network_t network;
    if (!self->node.has_setup || self->node.setup.configuration.has_network) {
        put(answer, "error: this device has a network, or no memory for one; it is reset at its page\n");
        return;
    }
    const char *wrong = mm_form_open(&form, answer->rest, strlen(answer->rest)) == MM_OK
                            ? mm_network_form_read(&form, &network)
                            : "the form";
    if (wrong == NULL && !mm_esp_mqtt_url_is_good(network.broker_url)) {
        wrong = "broker_url";
    }
    mm_err_t err = wrong == NULL ? mm_setup_take_network(&self->node.setup, &network, now) : MM_ERR_ARG;
    if (err == MM_OK) {
        put(answer, "ok the device has the network of site %s and starts again\n", network.site);
    } else if (wrong != NULL) {
        put(answer, "error: %s is missing or wrong\n", wrong);
    } else {
        put(answer, "error: %s; nothing was changed\n", mm_err_name(err));
    }
    mm_esp_wipe(&network, sizeof network);
}

static void run_update(mm_esp_node_t *self, mm_us_t now, answer_t *answer) {
    static const char force[] = "force ";
    const char *rest = answer->rest;
    bool is_forced = strncmp(rest, force, sizeof force - 1) == 0;
    mm_err_t err = mm_esp_node_begin_update(self, is_forced ? rest + sizeof force - 1 : rest, is_forced, now);
    put(answer, err == MM_OK ? "ok the update begins\n" : "error: %s\n", mm_err_name(err));
}

static void run_restart(mm_esp_node_t *self, mm_us_t now, answer_t *answer) {
    put(answer, "ok restart\n");
    mm_esp_node_restart(self, "by the console", now);
}

static void run_help(mm_esp_node_t *self, mm_us_t now, answer_t *answer);

static const line_t s_lines[] = {
    {"status", "readings, clock, sessions, counters", run_status},
    {"setup", "phase of life and configuration; of a secret, whether it is set", run_setup},
    {"mesh", "what the radio does", run_mesh},
    {"journal", "what is stored and not committed by HQ yet", run_journal},
    {"log", "the newest lines of the log", run_log},
    {"key", "KEY LABEL: of the factory, once", run_key},
    {"provision", "FORM: hand a network to a device that has none", run_provision},
    {"update", "[force] URL: over the air; force takes an older version, too", run_update},
    {"restart", "restart", run_restart},
    {"help", "these lines", run_help},
};

static void run_help(mm_esp_node_t *self, mm_us_t now, answer_t *answer) {
    (void)self;
    (void)now;
    for (size_t i = 0; i < sizeof s_lines / sizeof s_lines[0]; i++) {
        put(answer, "%-9s %s\n", s_lines[i].name, s_lines[i].help);
    }
}

size_t mm_esp_node_line(void *context, char *line, char *answer, size_t capacity_bytes) {
    mm_esp_node_t *self = context;
    answer_t out = {.capacity_bytes = capacity_bytes};
    out.text = answer;
    mm_us_t now = mm_esp_owner_now();
    size_t line_chars = strlen(line);
    char *blank = strchr(line, ' ');
    out.rest = blank != NULL ? blank + 1 : line + line_chars;
    if (blank != NULL) {
        *blank = '\0';
    }
    const line_t *found = NULL;
    for (size_t i = 0; i < sizeof s_lines / sizeof s_lines[0]; i++) {
        found = strcmp(line, s_lines[i].name) == 0 ? &s_lines[i] : found;
    }
    if (found != NULL) {
        found->run(self, now, &out);
    } else {
        put(&out, "error: not understood; help\n");
    }
    mm_esp_wipe(line, line_chars); // it may have held a secret
    return out.bytes_count;
}
