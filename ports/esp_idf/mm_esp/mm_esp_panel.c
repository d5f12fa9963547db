// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_panel.h"

#include <driver/gpio.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mm_esp_crypto.h"

#define PERIOD_US ((mm_us_t)MM_ESP_PANEL_PERIOD_MS * 1000)
#define BLINK_US ((mm_us_t)MM_ESP_PANEL_BLINK_MS * 1000)
#define TEXT_BYTES (MM_PANEL_NOTICE_CHARS_MAX + 1)
#define KWH_CHARS 24
// More pulses of one interval than this are no power that a meter has (and their product would not fit 64 bits).
#define INTERVAL_PULSES_MAX 4000000

void mm_esp_panel_open(mm_esp_panel_t *self, mm_node_t *node, mm_esp_display_t *display, int8_t led_pin,
                       const char *version, mm_us_t now) {
    *self = (mm_esp_panel_t){.node = node,
                             .display = display,
                             .led_pin = led_pin,
                             .version = version,
                             .done_count = node->has_control ? node->control.done_count : 0,
                             .find_until = now,
                             .blink_at = MM_US_NEVER};
    mm_panel_init(&self->panel, now);
    if (led_pin >= 0 && (gpio_set_level((gpio_num_t)led_pin, 0) != ESP_OK ||
                         gpio_set_direction((gpio_num_t)led_pin, GPIO_MODE_OUTPUT) != ESP_OK)) {
        self->led_pin = -1;
    }
}

// --- model ----------------------------------------------------------------------------------------------------------

static uint32_t power_of(uint64_t pulses, uint32_t pulse_constant, mm_us_t length_us) {
    if (pulses > INTERVAL_PULSES_MAX) {
        return UINT32_MAX;
    }
    // pulses * 1000 / constant are Wh, of so many microseconds.
    uint64_t divisor = (uint64_t)pulse_constant * (uint64_t)length_us;
    uint64_t power_w = (pulses * UINT64_C(3600000000000) + divisor / 2) / divisor;
    return power_w < UINT32_MAX ? (uint32_t)power_w : UINT32_MAX;
}

// Power is that of the last whole interval: pulses between two looks at which an interval had just begun.
static void follow_power(mm_esp_panel_t *self, mm_us_t now) {
    const mm_metering_t *metering = &self->node->metering;
    mm_esp_panel_power_t *power = &self->power;
    if (power->at != 0 && power->interval_no == metering->interval_no) {
        return;
    }
    mm_us_t length_us = now - power->at;
    for (unsigned i = 0; i < MM_CHANNELS; i++) {
        uint64_t life_pulses = metering->registers.channels[i].life_pulses;
        uint32_t constant = metering->stored_meters[i].pulse_constant;
        bool is_known = power->at != 0 && length_us > 0 && constant != 0 && life_pulses >= power->life_pulses[i] &&
                        metering->stored_meters[i].id[0] != '\0';
        power->power_w[i] = is_known ? power_of(life_pulses - power->life_pulses[i], constant, length_us) : 0;
        power->life_pulses[i] = life_pulses;
    }
    power->interval_no = metering->interval_no;
    power->at = now > 0 ? now : 1;
}

static void fill_meter(const mm_esp_panel_t *self, const mm_control_report_t *report, unsigned channel, mm_us_t now,
                       mm_panel_meter_t *meter) {
    const mm_node_t *node = self->node;
    const mm_meter_config_t *config = &node->metering.stored_meters[channel];
    uint64_t life_pulses = node->metering.registers.channels[channel].life_pulses;
    if (config->id[0] == '\0') {
        return;
    }
    memcpy(meter->id, config->id, sizeof meter->id);
    meter->energy_wh = mm_meter_energy_wh(config->start_wh, life_pulses, config->pulse_constant);
    meter->power_w = self->power.power_w[channel];
    if (!node->has_control) {
        return;
    }
    mm_credit_t credit = node->control.credits[channel];
    meter->prepaid = report->meters[channel].prepaid;
    meter->balance_wh = report->meters[channel].balance_wh;
    meter->relay_reasons = report->meters[channel].relay_reasons;
    meter->low = report->meters[channel].low;
    meter->emergency_possible =
        mm_credit_take_emergency(&credit, life_pulses, node->control.pulse_constants[channel]) == MM_OK;
    meter->lock_out_s = mm_us_seconds_until(node->control.locked_until[channel], now);
}

static void fill_model(mm_esp_panel_t *self, const mm_esp_panel_life_t *life, mm_us_t now) {
    const mm_node_t *node = self->node;
    const mm_time_t time = mm_metering_time(&node->metering, now);
    mm_control_report_t report = {0};
    mm_panel_model_t *model = &self->model;
    if (node->has_control) {
        mm_control_report(&node->control, now, &report);
    }
    *model = (mm_panel_model_t){.state = life->state,
                                .has_number = life->has_number,
                                .number = life->number,
                                .number_left_s = life->number_left_s,
                                .wait_s = life->wait_s,
                                .address = life->address,
                                .is_asking = life->is_asking,
                                .heard = life->heard,
                                .fault = life->fault,
                                .mac = node->options.mac,
                                .is_root = node->root.active,
                                .layer = node->layer,
                                .attached = node->attached,
                                .router_up = life->router_up,
                                .backlog = mm_journal_backlog(&node->journal),
                                .uptime_s = (uint32_t)(now / MM_US_PER_S),
                                .time_known = time.trust != MM_TRUST_UNSET,
                                .version = self->version,
                                // The SDK does not say how long an image is: under way, no more.
                                .ota_percent = life->is_updating ? 0 : MM_PANEL_OTA_NONE};
    memcpy(model->site, node->options.site, sizeof model->site);
    if (model->time_known) {
        int64_t utc_s = time.utc.us / MM_US_PER_S;
        model->local_s = utc_s + mm_local_from_utc(&node->metering.tz, utc_s).offset_s;
    }
    follow_power(self, now);
    for (unsigned channel = 0; channel < MM_CHANNELS; channel++) {
        fill_meter(self, &report, channel, now, &model->meters[channel]);
    }
}

// --- what is said ---------------------------------------------------------------------------------------------------

static void write_kwh(int64_t wh, char text[KWH_CHARS]) {
    uint64_t magnitude = wh < 0 ? (uint64_t)0 - (uint64_t)wh : (uint64_t)wh;
    (void)snprintf(text, KWH_CHARS, "%s%" PRIu64 ".%03u", wh < 0 ? "-" : "", magnitude / 1000,
                   (unsigned)(magnitude % 1000));
}

static void say_typed(mm_esp_panel_t *self, const mm_typed_answer_t *typed, mm_us_t now) {
    char text[TEXT_BYTES];
    char credit[KWH_CHARS];
    char balance[KWH_CHARS];
    unsigned wait_s = (unsigned)typed->wait_s;
    write_kwh(typed->credit_wh, credit);
    write_kwh(typed->balance_wh, balance);
    switch (typed->verdict) {
    case MM_TYPED_ACCEPTED:
        (void)snprintf(text, sizeof text, "Accepted, kWh:\n+%.20s\nleft %.16s", credit, balance);
        break;
    case MM_TYPED_WRONG:
        (void)snprintf(text, sizeof text, wait_s > 0 ? "Wrong code\nnext try in %u s" : "Wrong code", wait_s);
        break;
    case MM_TYPED_USED:
        (void)snprintf(text, sizeof text, "This code was used\nbefore");
        break;
    case MM_TYPED_NO_FORM:
        (void)snprintf(text, sizeof text, "A code has 9, 12, 15\nor 20 digits");
        break;
    case MM_TYPED_LOCKED_OUT:
        (void)snprintf(text, sizeof text, "Too many wrong codes\nnext try in %u s", wait_s);
        break;
    case MM_TYPED_NO_KEY:
        (void)snprintf(text, sizeof text, "No device key: codes\nare not known here");
        break;
    case MM_TYPED_STORAGE:
        (void)snprintf(text, sizeof text, "Not stored, nothing\nhappened: type again");
        break;
    case MM_TYPED_REFUSED:
    case MM_TYPED_NO_METER:
    default:
        (void)snprintf(text, sizeof text, "Refused: the meter is\nnot prepaid, or has\ntoo much credit");
        break;
    }
    mm_panel_notice(&self->panel, text, now);
}

// "LOCK", the meter, "done". The names come from the tables of the commands.
static void say_command(mm_esp_panel_t *self, mm_us_t now) {
    const mm_control_t *control = &self->node->control;
    char kind[24];
    char text[TEXT_BYTES];
    (void)snprintf(kind, sizeof kind, "%s", mm_command_kind_name(control->done_kind));
    for (char *at = kind; *at != '\0'; at++) {
        if (*at == '_') {
            *at = ' ';
        } else if (*at >= 'a' && *at <= 'z') {
            *at = (char)(*at - ('a' - 'A'));
        }
    }
    const char *meter = control->done_channel < MM_CHANNELS ? self->model.meters[control->done_channel].id : "";
    (void)snprintf(text, sizeof text, "%s%s%s\n%s", kind, meter[0] != '\0' ? "\n" : "", meter,
                   mm_result_status_name(control->done_status));
    mm_panel_notice(&self->panel, text, now);
}

static void follow_commands(mm_esp_panel_t *self, mm_us_t now) {
    if (self->node->has_control && self->node->control.done_count != self->done_count) {
        self->done_count = self->node->control.done_count;
        say_command(self, now);
    }
}

// --- what is wanted -------------------------------------------------------------------------------------------------

static const char *take_emergency(mm_esp_panel_t *self, uint8_t channel, mm_us_t now) {
    mm_err_t err = mm_node_take_emergency(self->node, channel, now);
    if (err == MM_OK) {
        return "Emergency credit\nis on";
    }
    return err == MM_ERR_STATE ? "Refused: none is left\nor it is not needed"
                               : "Not stored, nothing\nhappened: try again";
}

static const char *send_now(const mm_esp_panel_t *self) {
    if (!self->node->has_control || !self->node->root.active) {
        return "The root sends: it\nasks for readings\nwith the next round";
    }
    self->node->control.send_now = true;
    return "Sending";
}

static void do_wish(mm_esp_panel_t *self, const mm_esp_panel_life_t *life, mm_us_t now) {
    mm_panel_wish_t wish;
    if (!mm_panel_take_wish(&self->panel, &wish)) {
        return;
    }
    switch (wish.kind) {
    case MM_WISH_TOKEN: {
        const mm_typed_answer_t typed = mm_node_type_token(self->node, wish.channel, wish.digits, now);
        say_typed(self, &typed, now);
        break;
    }
    case MM_WISH_EMERGENCY:
        mm_panel_notice(&self->panel, take_emergency(self, wish.channel, now), now);
        break;
    case MM_WISH_CONFIGURE:
        life->configure(life->context);
        break;
    case MM_WISH_SEND_NOW:
        mm_panel_notice(&self->panel, send_now(self), now);
        break;
    case MM_WISH_NONE:
    default:
        break;
    }
    mm_esp_wipe(&wish, sizeof wish);
}

// --- picture and lamp -----------------------------------------------------------------------------------------------

static void draw(mm_esp_panel_t *self, mm_us_t now) {
    mm_canvas_t canvas;
    mm_panel_draw(&self->panel, &self->model, now, &canvas);
    mm_esp_display_show(self->display, &canvas, now);
}

static void blink(mm_esp_panel_t *self, mm_us_t now) {
    if (self->led_pin < 0 || now < self->blink_at) {
        return;
    }
    self->led_on = now < self->find_until && !self->led_on;
    (void)gpio_set_level((gpio_num_t)self->led_pin, self->led_on ? 1 : 0);
    self->blink_at = now < self->find_until ? now + BLINK_US : MM_US_NEVER;
}

static uint32_t bounded(uint32_t seconds) {
    return seconds < MM_ESP_PANEL_SHOW_S_MAX ? seconds : MM_ESP_PANEL_SHOW_S_MAX;
}

void mm_esp_panel_press(mm_esp_panel_t *self, bool down, mm_us_t now) {
    mm_panel_on_button(&self->panel, down, &self->model, now);
    self->draw_at = now;
}

void mm_esp_panel_wake(mm_esp_panel_t *self, uint32_t seconds, mm_us_t now) {
    mm_panel_wake(&self->panel, bounded(seconds), now);
    self->draw_at = now;
}

void mm_esp_panel_find(mm_esp_panel_t *self, uint32_t seconds, mm_us_t now) {
    mm_esp_panel_wake(self, seconds, now);
    if (seconds > 0) {
        mm_panel_notice(&self->panel, "HERE I AM\nHQ looks for this node", now);
    }
    self->find_until = now + bounded(seconds) * MM_US_PER_S;
    self->blink_at = now;
}

mm_us_t mm_esp_panel_poll(mm_esp_panel_t *self, const mm_esp_panel_life_t *life, mm_us_t now) {
    blink(self, now);
    if (now >= self->draw_at) {
        fill_model(self, life, now);
        follow_commands(self, now);
        mm_us_t deadline = mm_panel_poll(&self->panel, &self->model, now);
        do_wish(self, life, now);
        draw(self, now);
        self->draw_at = mm_us_earlier(deadline, now + PERIOD_US);
    }
    return mm_us_earlier(self->draw_at, self->blink_at);
}
