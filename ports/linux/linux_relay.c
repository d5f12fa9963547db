// SPDX-License-Identifier: Apache-2.0
#include "linux_relay.h"

#include <errno.h>
#include <gpiod.h>
#include <stdio.h>
#include <string.h>

#define CONSUMER "meshmeter relay"
#define LINE_BYTES_MAX 16
#define FILE_BYTES_MAX ((size_t)MM_CHANNELS * LINE_BYTES_MAX)

const char *mm_linux_relay_state_name(mm_linux_relay_state_t state) {
    return state == MM_LINUX_RELAY_CLOSED ? "closed" : state == MM_LINUX_RELAY_OPEN ? "open" : "unknown";
}

static mm_err_t write_states(const mm_linux_relay_t *self, const mm_linux_relay_state_t states[MM_CHANNELS]) {
    char text[FILE_BYTES_MAX];
    size_t used = 0;
    for (size_t i = 0; i < MM_CHANNELS; i++) {
        used +=
            (size_t)snprintf(text + used, sizeof text - used, "%zu %s\n", i + 1, mm_linux_relay_state_name(states[i]));
    }
    return mm_linux_file_replace(self->path, text, used, self->options.sync);
}

// What is not as write_states makes it leaves everything unknown: then each relay is written again when it is told.
static bool parse_states(const char *text, mm_linux_relay_state_t states[MM_CHANNELS]) {
    for (size_t i = 0; i < MM_CHANNELS; i++) {
        bool found = false;
        for (int state = MM_LINUX_RELAY_UNKNOWN; state <= MM_LINUX_RELAY_CLOSED && !found; state++) {
            char line[LINE_BYTES_MAX];
            int length = snprintf(line, sizeof line, "%zu %s\n", i + 1,
                                  mm_linux_relay_state_name((mm_linux_relay_state_t)state));
            found = strncmp(text, line, (size_t)length) == 0;
            if (found) {
                states[i] = (mm_linux_relay_state_t)state;
                text += length;
            }
        }
        if (!found) {
            return false;
        }
    }
    return *text == '\0';
}

static mm_err_t drive(mm_linux_relay_t *self, uint8_t channel, bool closed) {
    struct gpiod_line *line = self->lines[channel];
    if (line == NULL) {
        return MM_OK;
    }
    int failed = self->driven[channel] ? gpiod_line_set_value(line, closed ? 1 : 0)
                                       : gpiod_line_request_output(line, CONSUMER, closed ? 1 : 0);
    self->driven[channel] = self->driven[channel] || failed == 0;
    return failed == 0 ? MM_OK : MM_ERR_UNAVAILABLE;
}

static mm_err_t set(void *context, uint8_t channel, bool closed) {
    mm_linux_relay_t *self = context;
    MM_ASSERT(channel < MM_CHANNELS);
    mm_err_t err = drive(self, channel, closed);
    if (err != MM_OK) {
        return err;
    }
    mm_linux_relay_state_t states[MM_CHANNELS];
    memcpy(states, self->states, sizeof states);
    states[channel] = closed ? MM_LINUX_RELAY_CLOSED : MM_LINUX_RELAY_OPEN;
    if (states[channel] != self->states[channel]) {
        err = write_states(self, states);
        // With a line of its own the relay has moved, whatever the file says; the core tells it again.
        if (err != MM_OK && self->lines[channel] == NULL) {
            return err;
        }
    }
    if (err == MM_OK) {
        self->states[channel] = states[channel];
    }
    if (self->options.told != NULL) {
        self->options.told(self->options.told_context, channel, closed);
    }
    return err;
}

static mm_err_t open_lines(mm_linux_relay_t *self, mm_linux_message_t *message) {
    const mm_linux_relay_options_t *options = &self->options;
    if (options->chip == NULL) {
        return MM_OK;
    }
    self->chip = gpiod_chip_open_lookup(options->chip);
    if (self->chip == NULL) {
        mm_linux_message_set(message, "%s: there is no such GPIO chip: %s", options->chip, strerror(errno));
        return MM_ERR_UNAVAILABLE;
    }
    for (uint8_t i = 0; i < options->line_count; i++) {
        self->lines[i] = gpiod_chip_get_line(self->chip, options->lines[i]);
        if (self->lines[i] == NULL || gpiod_line_is_used(self->lines[i])) {
            mm_linux_message_set(message, "%s:%u: there is no such GPIO line, or it is taken", options->chip,
                                 options->lines[i]);
            return MM_ERR_UNAVAILABLE;
        }
    }
    return MM_OK;
}

mm_err_t mm_linux_relay_open(mm_linux_relay_t *self, const mm_linux_relay_options_t *options,
                             mm_linux_message_t *message) {
    MM_ASSERT(options->line_count <= MM_CHANNELS);
    *self = (mm_linux_relay_t){.relay = {.set = set, .context = self}, .options = *options};
    if (snprintf(self->path, sizeof self->path, "%s", options->path) >= (int)sizeof self->path) {
        mm_linux_message_set(message, "%s: the path is too long", options->path);
        return MM_ERR_ARG;
    }
    self->options.path = self->path;
    char text[FILE_BYTES_MAX + 1];
    mm_linux_relay_state_t states[MM_CHANNELS] = {MM_LINUX_RELAY_UNKNOWN};
    mm_err_t err = mm_linux_file_read_text(self->path, text, sizeof text);
    if (err == MM_ERR_STORAGE) {
        mm_linux_message_set(message, "%s: cannot be read: %s", self->path, strerror(errno));
        return err;
    }
    if (err == MM_OK && parse_states(text, states)) {
        memcpy(self->states, states, sizeof states);
    }
    err = open_lines(self, message);
    if (err != MM_OK) {
        mm_linux_relay_close(self);
    }
    return err;
}

void mm_linux_relay_close(mm_linux_relay_t *self) {
    if (self->chip != NULL) {
        gpiod_chip_close(self->chip); // releases its lines
    }
    self->chip = NULL;
    memset(self->lines, 0, sizeof self->lines);
    memset(self->driven, 0, sizeof self->driven);
}
