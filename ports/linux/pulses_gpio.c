// SPDX-License-Identifier: Apache-2.0
#include "pulses_gpio.h"

#include <errno.h>
#include <gpiod.h>
#include <poll.h>
#include <string.h>

#include "linux_clock.h"

#define CONSUMER "meshmeter"
#define EDGES_MAX 64

// --- debouncing ----------------------------------------------------------------------------------------------------

void mm_pulse_debounce_init(mm_pulse_debounce_t *self, int64_t pulse_min_us, bool closed, int64_t now_us) {
    *self = (mm_pulse_debounce_t){
        .stable_us = pulse_min_us / 2,
        .since_us = now_us,
        .raw_closed = closed,
        .closed = closed,
    };
}

int64_t mm_pulse_debounce_poll(mm_pulse_debounce_t *self, int64_t now_us) {
    if (self->raw_closed == self->closed) {
        return MM_US_NEVER;
    }
    if (now_us - self->since_us < self->stable_us) {
        return self->since_us + self->stable_us;
    }
    self->closed = self->raw_closed;
    self->count += self->closed ? 1 : 0;
    return MM_US_NEVER;
}

void mm_pulse_debounce_edge(mm_pulse_debounce_t *self, bool closed, int64_t at_us) {
    at_us = at_us < self->since_us ? self->since_us : at_us;
    (void)mm_pulse_debounce_poll(self, at_us);
    // Two edges of the same kind in a row: the kernel's queue overflowed. The level has changed and come back in
    // between.
    self->raw_closed = closed;
    self->since_us = at_us;
    (void)mm_pulse_debounce_poll(self, at_us);
}

// --- GPIO ----------------------------------------------------------------------------------------------------------

static uint64_t count_at(void *context, uint8_t channel, mm_utc_t utc) {
    const mm_pulses_gpio_t *self = context;
    MM_ASSERT(channel < MM_CHANNELS);
    (void)utc;
    return self->inputs[channel].debounce.count;
}

static mm_err_t open_input(mm_pulses_gpio_t *self, mm_pulses_gpio_input_t *input, const char *chip, uint32_t line,
                           int64_t pulse_min_us, mm_linux_message_t *message) {
    input->line = gpiod_chip_get_line(self->chip, line);
    if (input->line == NULL) {
        mm_linux_message_set(message, "%s:%u: there is no such GPIO line: %s", chip, line, strerror(errno));
        return MM_ERR_UNAVAILABLE;
    }
    // Active low: a closed contact reads as 1.
    int flags = GPIOD_LINE_REQUEST_FLAG_ACTIVE_LOW | GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_UP;
    if (gpiod_line_request_both_edges_events_flags(input->line, CONSUMER, flags) != 0) {
        mm_linux_message_set(message, "%s:%u: the GPIO line cannot be used: %s", chip, line, strerror(errno));
        return MM_ERR_UNAVAILABLE;
    }
    input->file = gpiod_line_event_get_fd(input->line);
    int level = gpiod_line_get_value(input->line);
    if (input->file < 0 || level < 0) {
        mm_linux_message_set(message, "%s:%u: the GPIO line cannot be read: %s", chip, line, strerror(errno));
        return MM_ERR_UNAVAILABLE;
    }
    mm_pulse_debounce_init(&input->debounce, pulse_min_us, level == 1, mm_linux_real_us());
    return MM_OK;
}

mm_err_t mm_pulses_gpio_open(mm_pulses_gpio_t *self, const char *chip, const uint32_t *lines, uint8_t line_count,
                             int64_t pulse_min_us, uint32_t generation, mm_linux_message_t *message) {
    MM_ASSERT(line_count <= MM_CHANNELS && pulse_min_us >= 0);
    memset(self, 0, sizeof *self);
    self->source = (mm_pulse_source_t){.count = count_at, .context = self, .generation = generation};
    for (size_t i = 0; i < MM_CHANNELS; i++) {
        self->inputs[i].file = -1;
    }
    self->chip = gpiod_chip_open_lookup(chip);
    if (self->chip == NULL) {
        mm_linux_message_set(message, "%s: there is no such GPIO chip: %s", chip, strerror(errno));
        return MM_ERR_UNAVAILABLE;
    }
    for (uint8_t i = 0; i < line_count; i++) {
        mm_err_t err = open_input(self, &self->inputs[i], chip, lines[i], pulse_min_us, message);
        if (err != MM_OK) {
            mm_pulses_gpio_close(self);
            return err;
        }
    }
    return MM_OK;
}

static bool is_readable(int file) {
    struct pollfd item = {.fd = file, .events = POLLIN};
    return poll(&item, 1, 0) > 0 && (item.revents & POLLIN) != 0;
}

int64_t mm_pulses_gpio_poll(mm_pulses_gpio_t *self) {
    int64_t deadline = MM_US_NEVER;
    for (size_t i = 0; i < MM_CHANNELS; i++) {
        mm_pulses_gpio_input_t *input = &self->inputs[i];
        if (input->file < 0) {
            continue;
        }
        // Read the clock first: an edge that comes afterwards is later than it.
        int64_t now_us = mm_linux_real_us();
        for (int edges = 0; edges < EDGES_MAX && is_readable(input->file); edges++) {
            struct gpiod_line_event event;
            // no wait: poll said that an edge is there
            if (gpiod_line_event_read(input->line, &event) != 0) {
                break;
            }
            // The kernel stamps with CLOCK_MONOTONIC (since Linux 5.7).
            int64_t at_us = (int64_t)event.ts.tv_sec * 1000000 + event.ts.tv_nsec / 1000;
            mm_pulse_debounce_edge(&input->debounce, event.event_type == GPIOD_LINE_EVENT_RISING_EDGE, at_us);
        }
        int64_t next = mm_pulse_debounce_poll(&input->debounce, now_us);
        deadline = next < deadline ? next : deadline;
    }
    return deadline;
}

void mm_pulses_gpio_close(mm_pulses_gpio_t *self) {
    if (self->chip != NULL) {
        gpiod_chip_close(self->chip); // releases its lines
    }
    memset(self, 0, sizeof *self);
    for (size_t i = 0; i < MM_CHANNELS; i++) {
        self->inputs[i].file = -1;
    }
}
