// SPDX-License-Identifier: Apache-2.0
// Lines for somebody at the device: the core's, and those that only a chip has. What they need is in the tables.
#include <stdio.h>
#include <string.h>

#include "meshmeter/bytes.h"
#include "mm_esp_node_internal.h"

#define KEY_CHARS ((size_t)2 * MM_ESP_DEVICE_KEY_BYTES)
#define LINE_CHARS 160

static mm_esp_node_t *node_of(const mm_console_request_t *request) {
    return request->console->options.context;
}

static void put_error(mm_console_request_t *request, const char *text) {
    mm_console_put(request, "error: ");
    mm_console_put(request, text);
    mm_console_put(request, "\n");
}

// --- what reads -----------------------------------------------------------------------------------------------------

static void put_text(mm_console_request_t *request, const char *name, const char *value) {
    char text[LINE_CHARS];
    bool is_first = request->used_bytes == 1; // behind the brace
    (void)snprintf(text, sizeof text, "%s\"%s\":\"%s\"", is_first ? "" : ",", name, value);
    mm_console_put(request, text);
}

static void put_number(mm_console_request_t *request, const char *name, uint32_t value) {
    char text[LINE_CHARS];
    (void)snprintf(text, sizeof text, ",\"%s\":%lu", name, (unsigned long)value);
    mm_console_put(request, text);
}

static void run_chip(mm_console_request_t *request) {
    static const char *const registers_in[] = {"fram", "flash", "ram"};
    static const char *const uses[] = {"nothing", "parked", "mesh", "page"};
    const mm_esp_node_t *self = node_of(request);
    mm_esp_owner_counts_t counts;
    mm_esp_owner_counts(&counts);
    mm_console_put(request, "{");
    put_text(request, "registers", registers_in[self->fram_verdict]);
    put_text(request, "storage", mm_esp_storage_fault(self) != NULL ? "fault" : "good");
    put_text(request, "radio", uses[self->life.use]);
    put_text(request, "key", self->settings.has_key ? "set" : "none");
    put_text(request, "label", self->settings.pop[0] != '\0' ? "set" : "none");
    put_text(request, "update", mm_esp_ota_result_name(self->ota.result));
    const struct {
        const char *name;
        uint32_t value;
    } numbers[] = {
        {"reset", (uint32_t)self->health.reset},
        {"crashes", self->health.crashes},
        {"starts", self->settings.start_count},
        {"queue_full", counts.queue_full},
        {"frames_full", counts.frames_full},
        {"packets_full", counts.packets_full},
        {"frames_too_long", counts.frames_too_long},
        {"jobs_overdue", counts.jobs_overdue},
        {"opens_failed", self->life.opens_failed},
        {"fram_errors", self->fram.errors},
        {"pulses_rejected", self->pulses.rejected},
        {"inputs_failed", self->pulses.failed},
        {"broker_sessions_failed", self->mqtt.sessions_failed},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        put_number(request, numbers[i].name, numbers[i].value);
    }
    mm_console_put(request, "}\n");
}

// --- what the factory writes ----------------------------------------------------------------------------------------

static bool read_key(const char *text, uint8_t key[MM_ESP_DEVICE_KEY_BYTES]) {
    for (size_t i = 0; i < MM_ESP_DEVICE_KEY_BYTES; i++) {
        int high = mm_hex_digit(text[2 * i]);
        int low = high >= 0 ? mm_hex_digit(text[2 * i + 1]) : -1;
        if (low < 0) {
            return false;
        }
        key[i] = (uint8_t)(high << 4 | low);
    }
    return text[KEY_CHARS] == ' ';
}

static void run_key(mm_console_request_t *request) {
    mm_esp_node_t *self = node_of(request);
    uint8_t key[MM_ESP_DEVICE_KEY_BYTES];
    mm_err_t err = MM_ERR_ARG;
    if (read_key(request->arguments, key)) {
        char *label = request->arguments + KEY_CHARS + strspn(request->arguments + KEY_CHARS, " ");
        label[strcspn(label, " ")] = '\0';
        err = mm_esp_settings_write_device(&self->settings, key, label);
    }
    mm_wipe(key, sizeof key);
    if (err == MM_OK) {
        mm_console_put(request, "ok the device has its key and label, and starts again\n");
        mm_esp_node_restart(self, "with its key", request->now);
    } else if (err == MM_ERR_STATE) {
        put_error(request, "this device has a key; it is never replaced");
    } else if (err == MM_ERR_ARG) {
        put_error(request, "a key has 64 hexadecimal digits, a label 8 to 32 characters without blanks");
    } else {
        put_error(request, "the memory refused; nothing is to be relied on, try again");
    }
}

// --- a network by cable ---------------------------------------------------------------------------------------------

static void run_provision(mm_console_request_t *request) {
    mm_console_provision(request, &node_of(request)->possession, request->now, mm_esp_mqtt_url_is_good);
}

// --- image and restart ----------------------------------------------------------------------------------------------

static void begin_update(mm_console_request_t *request, const char *url, bool is_forced) {
    mm_err_t err = mm_esp_node_begin_update(node_of(request), url, is_forced, request->now);
    if (err == MM_OK) {
        mm_console_put(request, "ok the update begins\n");
    } else {
        put_error(request, err == MM_ERR_ARG ? "not an address that begins with https://"
                                             : "an update is under way, or this image is on trial");
    }
}

static void run_update(mm_console_request_t *request) {
    static const char force[] = "force ";
    char *url = request->arguments;
    bool is_forced = strncmp(url, force, sizeof force - 1) == 0;
    url += is_forced ? sizeof force - 1 + strspn(url + sizeof force - 1, " ") : 0;
    url[strcspn(url, " ")] = '\0';
    begin_update(request, url, is_forced);
}

static void run_restart(mm_console_request_t *request) {
    mm_console_put(request, "ok restart\n");
    mm_esp_node_restart(node_of(request), "by the console", request->now);
}

// docs/guide/console.md has them; tests/esp_idf/project_test.py compares.
static const mm_console_line_t s_lines[] = {
    {.name = "chip",
     .does = "memory, radio, key and label, what went wrong in the port",
     .need = MM_CONSOLE_READ,
     .run = run_chip},
    {.name = "restart", .does = "restart, as the plug does", .need = MM_CONSOLE_PRESENCE, .run = run_restart},
    {.name = "key",
     .arguments = "KEY LABEL",
     .does = "of the factory: only while there is no key",
     .need = MM_CONSOLE_PRESENCE,
     .words_min = 2,
     .words_max = 2,
     .run = run_key},
    {.name = "provision",
     .arguments = "FORM",
     .does = "hand a network over, with the code of the label",
     .need = MM_CONSOLE_PROOF,
     .words_min = 1,
     .words_max = 1,
     .needs_setup = true,
     .run = run_provision},
    {.name = "update",
     .arguments = "[force] URL",
     .does = "over the air; its proof is the image's own; force: an older version, too",
     .need = MM_CONSOLE_PROOF,
     .words_min = 1,
     .words_max = 2,
     .run = run_update},
};

void mm_esp_node_open_lines(mm_esp_node_t *self, mm_us_t now) {
    const mm_console_options_t options = {.node = &self->node,
                                          .setup = self->node.has_setup ? &self->node.setup : NULL,
                                          .granted = MM_CONSOLE_AT_DEVICE,
                                          .lines = s_lines,
                                          .line_count = sizeof s_lines / sizeof s_lines[0],
                                          .context = self};
    self->possession = (mm_possession_t){.code = self->settings.pop};
    mm_console_open(&self->lines, &options, now);
}

size_t mm_esp_node_line(void *context, char *line, char *answer, size_t capacity_bytes) {
    mm_esp_node_t *self = context;
    const mm_esp_mesh_counts_t *mesh = &self->mesh.counts;
    const mm_console_number_t counters[] = {
        {"sends_refused", mesh->sends_refused},
        {"queue_stuck", mesh->queue_stuck},
        {"reconnects", mesh->reconnects},
        {"restarts", mesh->restarts},
        {"searches", mesh->searches},
        {"opens_failed", mesh->opens_failed},
        {"receives_failed", mesh->receives_failed},
        {"door_limited", self->door.counts.limited},
        {"door_foreign", self->door.counts.foreign},
        {"door_sends_refused", self->door.counts.sends_refused},
    };
    bool is_in_mesh = self->life.use == MM_ESP_USE_MESH && self->mesh.is_connected;
    self->lines.facts = (mm_console_facts_t){.version = self->panel.panel.version,
                                             .broker = self->mqtt.broker.url[0] != '\0' ? self->mqtt.broker.url : NULL,
                                             .page = self->life.use == MM_ESP_USE_PAGE ? MM_ESP_CONFIGURATOR_URL : NULL,
                                             .role = !is_in_mesh          ? "alone"
                                                     : self->mesh.is_root ? "root"
                                                                          : "member",
                                             .parent = is_in_mesh ? self->mesh.parent : (mm_mac_t){{0}},
                                             .members = is_in_mesh ? (uint32_t)self->mesh.node_count : 0,
                                             .mesh_counters = counters,
                                             .mesh_counter_count = sizeof counters / sizeof counters[0]};
    size_t bytes_count = mm_console_answer(&self->lines, line, mm_esp_owner_now(), answer, capacity_bytes);
    self->lines.facts = (mm_console_facts_t){0}; // counters are of this call
    return bytes_count;
}
