// SPDX-License-Identifier: Apache-2.0
#include "node_pulses.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "linux/linux_entropy.h"
#include "linux/linux_log.h"

// A line has a channel and three numbers.
#define SUPPLY_BYTES_MAX ((size_t)MM_CHANNELS * 80)

static void report_bad_line(void *context, uint64_t line_number, const char *line) {
    (void)context;
    mm_linux_log(MM_LOG_WARNING, "standard input, line %" PRIu64 ": '%.40s' is not 'CHANNEL COUNT', skipped",
                 line_number, line);
}

static bool open_kind(node_source_t *self, const node_config_t *config, mm_linux_message_t *message) {
    uint32_t constants[MM_CHANNELS];
    for (size_t i = 0; i < MM_CHANNELS; i++) {
        uint32_t constant = config->metering.meters[i].pulse_constant;
        constants[i] = constant != 0 ? constant : MM_PULSE_CONSTANT_MIN; // a column that no meter uses
    }
    mm_pulses_model_options_t model = {.seed = config->pulses_seed,
                                       .origin_utc = {config->pulses_begin_s * MM_US_PER_S}};
    switch (config->pulses) {
    case NODE_PULSES_MODEL:
        memcpy(model.pulse_constants, constants, sizeof constants);
        (void)mm_tz_parse(config->metering.tz, &model.tz);
        return mm_pulses_model_open(&self->model, &model, message) == MM_OK;
    case NODE_PULSES_CSV:
        return mm_pulses_csv_open(&self->csv, config->pulses_path, constants, message) == MM_OK;
    case NODE_PULSES_STDIN:
        mm_pulses_stdin_init(&self->lines, STDIN_FILENO, mm_linux_entropy_u32(), report_bad_line, NULL);
        return true;
    case NODE_PULSES_GPIO:
        return mm_pulses_gpio_open(&self->gpio, config->pulses_path, config->gpio_lines, config->gpio_line_count,
                                   (int64_t)config->debounce_ms * 1000, mm_linux_entropy_u32(), message) == MM_OK;
    case NODE_PULSES_NONE:
    default:
        MM_ASSERT(false);
    }
}

static const mm_pulse_source_t *source_of(const node_source_t *self) {
    return self->kind == NODE_PULSES_MODEL   ? &self->model.source
           : self->kind == NODE_PULSES_CSV   ? &self->csv.source
           : self->kind == NODE_PULSES_STDIN ? &self->lines.source
                                             : &self->gpio.source;
}

static bool is_replayed(const node_source_t *self) {
    return self->kind == NODE_PULSES_MODEL || self->kind == NODE_PULSES_CSV;
}

static bool write_supplies(const node_source_t *self) {
    char text[SUPPLY_BYTES_MAX];
    size_t used = 0;
    for (size_t i = 0; i < MM_CHANNELS; i++) {
        const mm_linux_supply_t *supply = &self->counters.supplies[i];
        used += (size_t)snprintf(text + used, sizeof text - used, "%zu %" PRIu64 " %" PRId64 " %" PRId64 "\n", i + 1,
                                 supply->withheld, supply->off_at_us, supply->on_at_us);
    }
    return mm_linux_file_replace(self->supply_path, text, used, self->sync) == MM_OK;
}

// Without the file there was always supply.
static bool read_supplies(node_source_t *self, mm_linux_message_t *message) {
    char text[SUPPLY_BYTES_MAX];
    mm_err_t err = mm_linux_file_read_text(self->supply_path, text, sizeof text);
    const char *next = text;
    for (size_t i = 0; i < MM_CHANNELS && err == MM_OK; i++) {
        mm_linux_supply_t supply = {0};
        size_t channel = 0;
        int used = 0;
        if (sscanf(next, "%zu %" SCNu64 " %" SCNd64 " %" SCNd64 "\n%n", &channel, &supply.withheld, &supply.off_at_us,
                   &supply.on_at_us, &used) != 4 ||
            channel != i + 1 || supply.on_at_us < supply.off_at_us) {
            err = MM_ERR_CORRUPT;
        }
        next += used;
        self->counters.supplies[i] = supply;
    }
    if (err != MM_OK && err != MM_ERR_NOT_FOUND) {
        mm_linux_message_set(message, "%s: cannot be read, or is damaged; without it the meters would jump",
                             self->supply_path);
        return false;
    }
    return true;
}

void node_source_set_supply(node_source_t *self, uint8_t channel, bool on, mm_utc_t utc) {
    if (is_replayed(self) && mm_linux_pulses_set_supply(&self->counters, channel, on, utc) && !write_supplies(self)) {
        mm_linux_log(MM_LOG_WARNING, "%s: cannot be written; after a start this meter will jump", self->supply_path);
    }
}

bool node_source_open(node_source_t *self, const node_config_t *config, const mm_linux_clock_t *clock,
                      mm_linux_message_t *message) {
    memset(self, 0, sizeof *self);
    if (!open_kind(self, config, message)) {
        return false;
    }
    self->kind = config->pulses;
    mm_linux_pulses_options_t options = {.clock = clock,
                                         .shift_us = config->pulses_shift_s * MM_US_PER_S,
                                         .begin_utc = {config->pulses_begin_s * MM_US_PER_S}};
    if (config->pulses_end_s != INT64_MAX) {
        options.end_utc.us = config->pulses_end_s * MM_US_PER_S;
    }
    uint8_t count = config->pulses == NODE_PULSES_CSV    ? self->csv.column_count
                    : config->pulses == NODE_PULSES_GPIO ? config->gpio_line_count
                                                         : MM_CHANNELS;
    for (uint8_t channel = 0; channel < count; channel++) {
        options.inputs[channel] = (mm_linux_pulses_input_t){source_of(self), channel};
    }
    mm_linux_pulses_init(&self->counters, &options);
    self->sync = config->storage_sync ? MM_LINUX_SYNC_DATA : MM_LINUX_SYNC_NONE;
    return !is_replayed(self) ||
           (app_path(self->supply_path, sizeof self->supply_path, config->state_directory, "supply") &&
            read_supplies(self, message));
}

void node_source_close(node_source_t *self) {
    if (self->kind == NODE_PULSES_MODEL) {
        mm_pulses_model_close(&self->model);
    } else if (self->kind == NODE_PULSES_CSV) {
        mm_pulses_csv_close(&self->csv);
    } else if (self->kind == NODE_PULSES_GPIO) {
        mm_pulses_gpio_close(&self->gpio);
    }
    self->kind = NODE_PULSES_NONE;
}
