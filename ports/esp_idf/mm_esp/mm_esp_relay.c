// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_relay.h"

#include <driver/gpio.h>
#include <esp_attr.h>
#include <nvs.h>

#define NAME_SPACE "mm_relay"
#define KEY "state"
#define KEPT_MARK 0x5E1A0000U // in the upper half; below it `known` and `closed`

// Survives a reset, not a power cut. There is one set of relays in a device.
static RTC_NOINIT_ATTR uint32_t s_kept[2]; // and its complement

static uint32_t state_of(const mm_esp_relay_t *self) {
    return KEPT_MARK | (uint32_t)self->known << 8 | self->closed;
}

static bool take_state(mm_esp_relay_t *self, uint32_t state) {
    if ((state & 0xFFFF0000U) != KEPT_MARK) {
        return false;
    }
    self->known = (uint8_t)(state >> 8);
    self->closed = (uint8_t)(state & self->known);
    return true;
}

static void keep_in_memory(const mm_esp_relay_t *self) {
    s_kept[0] = state_of(self);
    s_kept[1] = ~s_kept[0];
}

static bool is_bit(uint8_t bits, unsigned channel) {
    return ((unsigned)bits >> channel & 1U) != 0;
}

static uint8_t bit(unsigned channel) {
    return (uint8_t)(1U << channel);
}

// --- pins ----------------------------------------------------------------------------------------------------------

static uint32_t level_of(const mm_esp_relay_t *self, bool active) {
    return active != self->options.active_low ? 1 : 0;
}

static bool drive(const mm_esp_relay_t *self, int8_t pin, bool active) {
    return gpio_set_level((gpio_num_t)pin, level_of(self, active)) == ESP_OK;
}

// The level comes before the direction, so that the pin never says anything else.
static bool open_pin(const mm_esp_relay_t *self, int8_t pin, bool active) {
    return pin >= 0 && drive(self, pin, active) && gpio_set_direction((gpio_num_t)pin, GPIO_MODE_OUTPUT) == ESP_OK;
}

static bool is_wired(const mm_esp_relay_t *self, unsigned channel) {
    return self->options.pins[channel] >= 0 && (!self->options.latching || self->options.open_pins[channel] >= 0);
}

static bool open_pins(mm_esp_relay_t *self, unsigned channel) {
    if (self->options.latching) {
        // Both coils off; the armature is where it was.
        return open_pin(self, self->options.pins[channel], false) &&
               open_pin(self, self->options.open_pins[channel], false);
    }
    // Nothing is known: the pin stays an input, and the relay is what the board makes of it.
    return !is_bit(self->known, channel) || open_pin(self, self->options.pins[channel], is_bit(self->closed, channel));
}

static mm_err_t open_all(mm_esp_relay_t *self) {
    bool good = true;
    self->has_pins = 0;
    for (unsigned i = 0; i < MM_CHANNELS; i++) {
        if (is_wired(self, i)) {
            bool works = open_pins(self, i);
            self->has_pins = (uint8_t)(self->has_pins | (works ? bit(i) : 0));
            good = good && works;
        }
    }
    return good ? MM_OK : MM_ERR_UNAVAILABLE;
}

// --- the table -----------------------------------------------------------------------------------------------------

static mm_err_t set_relay(void *context, uint8_t channel, bool closed) {
    mm_esp_relay_t *self = context;
    MM_ASSERT(channel < MM_CHANNELS);
    if (!is_wired(self, channel)) {
        return MM_ERR_UNAVAILABLE;
    }
    bool changed = !is_bit(self->known, channel) || is_bit(self->closed, channel) != closed;
    if (self->options.latching) {
        if (!is_bit(self->has_pins, channel) && !open_pins(self, channel)) {
            return MM_ERR_UNAVAILABLE;
        }
        // The first time of a start the coil is driven even if nothing is new: somebody may have moved the armature.
        self->waiting = (uint8_t)(self->waiting | (changed || !is_bit(self->driven, channel) ? bit(channel) : 0));
    } else if (!open_pin(self, self->options.pins[channel], closed)) {
        return MM_ERR_UNAVAILABLE;
    }
    self->has_pins = (uint8_t)(self->has_pins | bit(channel));
    self->driven = (uint8_t)(self->driven | bit(channel));
    self->known = (uint8_t)(self->known | bit(channel));
    self->closed = (uint8_t)(closed ? self->closed | bit(channel) : self->closed & ~bit(channel));
    if (changed) {
        keep_in_memory(self);
        self->is_unsaved = true;
        self->save_at = 0;
    }
    return MM_OK;
}

mm_err_t mm_esp_relay_open(mm_esp_relay_t *self, const mm_esp_relay_options_t *options) {
    *self = (mm_esp_relay_t){.relay = {.set = set_relay, .context = self},
                             .options = *options,
                             .coil_pin = -1,
                             .coil_until = MM_US_NEVER,
                             .save_at = MM_US_NEVER};
    if (self->options.coil_ms > MM_ESP_RELAY_COIL_MAX_MS) {
        self->options.coil_ms = MM_ESP_RELAY_COIL_MAX_MS;
    }
    self->survived = s_kept[1] == ~s_kept[0] && take_state(self, s_kept[0]);
    return open_all(self);
}

bool mm_esp_relay_restore(mm_esp_relay_t *self) {
    nvs_handle_t handle = 0;
    uint32_t state = 0;
    bool found = nvs_open(NAME_SPACE, NVS_READONLY, &handle) == ESP_OK;
    if (found) {
        found = nvs_get_u32(handle, KEY, &state) == ESP_OK;
        nvs_close(handle);
    }
    if (self->survived) {
        // A reset may have come between the change and its saving.
        self->is_unsaved = !found || state != state_of(self);
        self->save_at = self->is_unsaved ? 0 : MM_US_NEVER;
        return true;
    }
    if (!found || !take_state(self, state)) {
        return false;
    }
    keep_in_memory(self);
    (void)open_all(self);
    return true;
}

// --- what takes time -----------------------------------------------------------------------------------------------

static void move_coils(mm_esp_relay_t *self, mm_us_t now) {
    if (self->coil_pin >= 0) {
        // A coil that cannot be let go is tried again at once: it would burn.
        if (now < self->coil_until || !drive(self, self->coil_pin, false)) {
            return;
        }
        self->coil_pin = -1;
        self->coil_until = MM_US_NEVER;
    }
    for (unsigned i = 0; i < MM_CHANNELS; i++) {
        if (!is_bit(self->waiting, i)) {
            continue;
        }
        const int8_t *pins = is_bit(self->closed, i) ? self->options.pins : self->options.open_pins;
        int8_t pin = pins[i];
        if (drive(self, pin, true)) {
            self->waiting = (uint8_t)(self->waiting & ~bit(i));
            self->coil_pin = pin;
            self->coil_until = now + (mm_us_t)self->options.coil_ms * 1000;
        } else {
            self->coil_until = now + MM_US_PER_S;
        }
        return;
    }
}

static bool save(const mm_esp_relay_t *self) {
    nvs_handle_t handle = 0;
    if (nvs_open(NAME_SPACE, NVS_READWRITE, &handle) != ESP_OK) {
        return false;
    }
    bool good = nvs_set_u32(handle, KEY, state_of(self)) == ESP_OK && nvs_commit(handle) == ESP_OK;
    nvs_close(handle);
    return good;
}

mm_us_t mm_esp_relay_poll(mm_esp_relay_t *self, mm_us_t now) {
    if (self->coil_pin >= 0 || self->waiting != 0) {
        move_coils(self, now);
    }
    if (self->is_unsaved && self->save_at <= now) {
        self->is_unsaved = !save(self);
        self->save_at = self->is_unsaved ? now + MM_ESP_RELAY_RETRY_S * MM_US_PER_S : MM_US_NEVER;
    }
    return mm_us_earlier(self->coil_until, self->save_at);
}
