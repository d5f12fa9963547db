// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_pulses.h"

#include <driver/gpio.h>
#include <driver/pulse_cnt.h>
#include <esp_attr.h>
#include <esp_intr_alloc.h>
#include <esp_timer.h>
#include <freertos/FreeRTOS.h>
#include <soc/soc_caps.h>

#if !SOC_PCNT_SUPPORTED
#error "the meter's pulses need a chip with PCNT: esp32, esp32s3, esp32c6 (the headers alone would not say so)"
#endif

// The longest filter of the hardware at 80 MHz is 1023 periods.
#define GLITCH_NS 12000
#define KEPT_MARK 0x50554C53U // "PULS"

// What a reset leaves alone, and a power cut does not. There is one set of counters in a device.
typedef struct {
    uint32_t mark;
    uint32_t generation;
    uint32_t generation_check; // complement
    volatile uint32_t counts[MM_CHANNELS];
    volatile uint32_t checks[MM_CHANNELS]; // complements, written behind the counts
} kept_t;

static RTC_NOINIT_ATTR kept_t s_kept;
// The SDK's interrupts bring one pointer, and the channel is needed as well.
static mm_esp_pulses_t *s_self;
// What the interrupts bring: it has to be in RAM, and must not be constant for that.
static DRAM_ATTR uint8_t s_channels[MM_CHANNELS] = {0, 1, 2, 3, 4, 5, 6, 7};
static portMUX_TYPE s_mux = portMUX_INITIALIZER_UNLOCKED;

// --- what is a pulse; in RAM, for interrupts while flash is busy ---------------------------------------------------

static IRAM_ATTR bool is_closed(const mm_esp_pulses_t *self, unsigned channel) {
    bool high = gpio_get_level((gpio_num_t)self->options.pins[channel]) != 0;
    return high != self->options.on_low;
}

// Time has come to now_us without an edge since the last one.
static IRAM_ATTR void settle(mm_esp_pulses_t *self, unsigned channel, int64_t now_us) {
    mm_esp_pulses_input_t *input = &self->inputs[channel];
    if (input->raw_closed == input->closed || now_us - input->since_us < (int64_t)(self->options.debounce_us / 2)) {
        return;
    }
    input->closed = input->raw_closed;
    if (input->closed) {
        // A reset between these two is seen by the complement of the count before.
        s_kept.counts[channel] = s_kept.counts[channel] + 1;
        s_kept.checks[channel] = ~s_kept.counts[channel];
    }
}

static IRAM_ATTR void on_edge(unsigned channel) {
    portENTER_CRITICAL_ISR(&s_mux);
    mm_esp_pulses_t *self = s_self;
    if (self != NULL) {
        mm_esp_pulses_input_t *input = &self->inputs[channel];
        int64_t now_us = esp_timer_get_time();
        settle(self, channel, now_us);
        if (input->raw_closed != input->closed) {
            self->rejected++;
        }
        input->raw_closed = is_closed(self, channel);
        input->since_us = now_us;
        if (self->options.debounce_us == 0) {
            settle(self, channel, now_us);
        }
    }
    portEXIT_CRITICAL_ISR(&s_mux);
}

static bool has_failed(const mm_esp_pulses_t *self, unsigned channel) {
    return ((unsigned)self->failed >> channel & 1U) != 0;
}

static mm_err_t read_counts(void *context, mm_us_t now, mm_pulse_counts_t *counts) {
    mm_esp_pulses_t *self = context;
    (void)now; // the interrupts' clock says how long a level has lasted
    counts->generation = s_kept.generation;
    for (unsigned i = 0; i < MM_CHANNELS; i++) {
        portENTER_CRITICAL(&s_mux);
        if (self->options.pins[i] >= 0 && !has_failed(self, i)) {
            settle(self, i, esp_timer_get_time());
        }
        counts->counts[i] = s_kept.counts[i];
        portEXIT_CRITICAL(&s_mux);
    }
    return MM_OK;
}

// --- what survived -------------------------------------------------------------------------------------------------

static bool has_survived(void) {
    if (s_kept.mark != KEPT_MARK || s_kept.generation_check != ~s_kept.generation || s_kept.generation == 0) {
        return false;
    }
    for (unsigned i = 0; i < MM_CHANNELS; i++) {
        bool torn = s_kept.checks[i] == ~(s_kept.counts[i] - 1);
        if (s_kept.checks[i] != ~s_kept.counts[i] && !torn) {
            return false;
        }
    }
    for (unsigned i = 0; i < MM_CHANNELS; i++) {
        s_kept.checks[i] = ~s_kept.counts[i];
    }
    return true;
}

static void begin_generation(uint32_t generation) {
    s_kept.mark = 0;
    for (unsigned i = 0; i < MM_CHANNELS; i++) {
        s_kept.counts[i] = 0;
        s_kept.checks[i] = ~(uint32_t)0;
    }
    s_kept.generation = generation != 0 ? generation : 1;
    s_kept.generation_check = ~s_kept.generation;
    s_kept.mark = KEPT_MARK;
}

// --- edge detectors ------------------------------------------------------------------------------------------------

#if SOC_PCNT_UNITS_PER_GROUP >= MM_CHANNELS

typedef struct {
    pcnt_unit_handle_t unit;
    pcnt_channel_handle_t channel;
} unit_t;

static unit_t s_units[MM_CHANNELS]; // of s_self

static IRAM_ATTR bool on_reach(pcnt_unit_handle_t unit, const pcnt_watch_event_data_t *edata, void *user_ctx) {
    (void)unit;
    (void)edata;
    on_edge(*(const uint8_t *)user_ctx);
    return false;
}

static void close_detector(mm_esp_pulses_t *self, unsigned channel) {
    unit_t *unit = &s_units[channel];
    if (unit->unit != NULL) {
        (void)pcnt_unit_stop(unit->unit);
        (void)pcnt_unit_disable(unit->unit);
        if (unit->channel != NULL) {
            (void)pcnt_del_channel(unit->channel);
        }
        (void)pcnt_del_unit(unit->unit);
    }
    *unit = (unit_t){0};
    (void)self;
}

// Both edges count up to 1, and that is the limit: one interrupt for each edge, and the counter begins again.
static bool open_detector(mm_esp_pulses_t *self, unsigned channel) {
    unit_t *unit = &s_units[channel];
    const pcnt_unit_config_t unit_config = {.low_limit = -1, .high_limit = 1};
    const pcnt_glitch_filter_config_t filter = {.max_glitch_ns = GLITCH_NS};
    const pcnt_chan_config_t channel_config = {.edge_gpio_num = self->options.pins[channel], .level_gpio_num = -1};
    const pcnt_event_callbacks_t callbacks = {.on_reach = on_reach};
    return pcnt_new_unit(&unit_config, &unit->unit) == ESP_OK &&
           pcnt_unit_set_glitch_filter(unit->unit, &filter) == ESP_OK &&
           pcnt_new_channel(unit->unit, &channel_config, &unit->channel) == ESP_OK &&
           pcnt_channel_set_edge_action(unit->channel, PCNT_CHANNEL_EDGE_ACTION_INCREASE,
                                        PCNT_CHANNEL_EDGE_ACTION_INCREASE) == ESP_OK &&
           pcnt_unit_add_watch_point(unit->unit, 1) == ESP_OK &&
           pcnt_unit_register_event_callbacks(unit->unit, &callbacks, &s_channels[channel]) == ESP_OK &&
           pcnt_unit_enable(unit->unit) == ESP_OK && pcnt_unit_clear_count(unit->unit) == ESP_OK &&
           pcnt_unit_start(unit->unit) == ESP_OK;
}

static bool open_service(void) {
    return true;
}

#else

static IRAM_ATTR void on_interrupt(void *arg) {
    on_edge(*(const uint8_t *)arg);
}

static void close_detector(mm_esp_pulses_t *self, unsigned channel) {
    (void)gpio_isr_handler_remove((gpio_num_t)self->options.pins[channel]);
}

static bool open_detector(mm_esp_pulses_t *self, unsigned channel) {
    gpio_num_t pin = (gpio_num_t)self->options.pins[channel];
    return gpio_set_intr_type(pin, GPIO_INTR_ANYEDGE) == ESP_OK &&
           gpio_isr_handler_add(pin, on_interrupt, &s_channels[channel]) == ESP_OK && gpio_intr_enable(pin) == ESP_OK;
}

// Whoever comes first installs it; all of the port's handlers may run while flash is busy.
static bool open_service(void) {
    esp_err_t err = gpio_install_isr_service(ESP_INTR_FLAG_IRAM);
    return err == ESP_OK || err == ESP_ERR_INVALID_STATE;
}

#endif

// --- start and stop ------------------------------------------------------------------------------------------------

static bool open_input(mm_esp_pulses_t *self, unsigned channel) {
    const gpio_config_t config = {
        .pin_bit_mask = UINT64_C(1) << (unsigned)self->options.pins[channel],
        .mode = GPIO_MODE_INPUT,
        .pull_up_en = self->options.pull_up ? GPIO_PULLUP_ENABLE : GPIO_PULLUP_DISABLE,
        .pull_down_en = GPIO_PULLDOWN_DISABLE,
        .intr_type = GPIO_INTR_DISABLE,
    };
    if (gpio_config(&config) != ESP_OK) {
        return false;
    }
    // A contact that is closed at the start is not a pulse.
    bool closed = is_closed(self, channel);
    self->inputs[channel] =
        (mm_esp_pulses_input_t){.since_us = esp_timer_get_time(), .raw_closed = closed, .closed = closed};
    if (!open_detector(self, channel)) {
        close_detector(self, channel);
        return false;
    }
    return true;
}

mm_err_t mm_esp_pulses_open(mm_esp_pulses_t *self, const mm_esp_pulses_options_t *options, uint32_t fresh_generation) {
    MM_ASSERT(s_self == NULL);
    *self = (mm_esp_pulses_t){.pulses = {.read = read_counts, .context = self}, .options = *options};
    self->survived = has_survived();
    if (!self->survived) {
        begin_generation(fresh_generation);
    }
    s_self = self;
    for (unsigned i = 0; i < MM_CHANNELS; i++) {
        self->failed = (uint8_t)(self->failed | (options->pins[i] >= 0 ? 1U << i : 0));
    }
    return mm_esp_pulses_retry(self);
}

mm_err_t mm_esp_pulses_retry(mm_esp_pulses_t *self) {
    self->has_service = self->has_service || open_service();
    for (unsigned i = 0; i < MM_CHANNELS && self->has_service; i++) {
        if (has_failed(self, i) && open_input(self, i)) {
            self->failed = (uint8_t)(self->failed & ~(1U << i));
        }
    }
    return self->failed == 0 ? MM_OK : MM_ERR_UNAVAILABLE;
}

void mm_esp_pulses_close(mm_esp_pulses_t *self) {
    if (s_self != self) {
        return;
    }
    for (unsigned i = 0; i < MM_CHANNELS; i++) {
        if (self->options.pins[i] >= 0 && !has_failed(self, i)) {
            close_detector(self, i);
        }
    }
    portENTER_CRITICAL(&s_mux);
    s_self = NULL;
    portEXIT_CRITICAL(&s_mux);
}
