// SPDX-License-Identifier: Apache-2.0
#include "node_panel.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "linux/linux_log.h"
#include "node_credit.h"

#define PERIOD_US 250000
// A press that comes as one line has been held so long.
#define SHORT_PRESS_US INT64_C(100000)
#define LONG_PRESS_US ((int64_t)(MM_PANEL_LONG_PRESS_MS + 100) * 1000)

void node_panel_open(node_panel_t *self, mm_node_t *node, const mm_linux_actions_t *actions, const char *path,
                     const char *version, int64_t real_now_us) {
    memset(self, 0, sizeof *self);
    self->node = node;
    self->actions = actions;
    self->path = path;
    self->version = version;
    self->opened_us = real_now_us;
    self->done_count = node->control.done_count;
    mm_panel_init(&self->panel, real_now_us);
}

// --- model ----------------------------------------------------------------------------------------------------------

// Power is that of the last whole interval: pulses between two looks at which an interval had just begun.
static void follow_power(node_panel_t *self, mm_us_t now) {
    const mm_metering_t *metering = &self->node->metering;
    if (self->power.at != 0 && self->power.interval_no == metering->interval_no) {
        return;
    }
    mm_us_t length_us = now - self->power.at;
    for (unsigned i = 0; i < MM_CHANNELS; i++) {
        uint64_t life_pulses = metering->registers.channels[i].life_pulses;
        uint32_t constant = metering->stored_meters[i].pulse_constant;
        bool is_known = self->power.at != 0 && length_us > 0 && constant != 0 &&
                        life_pulses >= self->power.life_pulses[i] && metering->stored_meters[i].id[0] != '\0';
        double wh = is_known ? (double)(life_pulses - self->power.life_pulses[i]) * 1000.0 / constant : 0;
        double power_w = is_known ? wh * 3600.0 * (double)MM_US_PER_S / (double)length_us : 0;
        self->power.power_w[i] = power_w < (double)UINT32_MAX ? (uint32_t)(power_w + 0.5) : UINT32_MAX;
        self->power.life_pulses[i] = life_pulses;
    }
    self->power.interval_no = metering->interval_no;
    self->power.at = now > 0 ? now : 1;
}

static void fill_meter(const node_panel_t *self, const mm_control_report_t *report, unsigned channel, mm_us_t now,
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

// What somebody at the device has to do something about. The configuration's comes first: without it nothing else goes
// on.
static const char *find_fault(const mm_node_t *node, const node_panel_life_t *life, mm_us_t now) {
    if (life->fault != NULL) {
        return life->fault;
    }
    if (node->has_control && !node->control.usable) {
        return "The register memory\ndoes not answer";
    }
    return node->metering.journal_retry_at > now ? "The journal takes no\nrecords; counting\ngoes on" : NULL;
}

static void fill_model(node_panel_t *self, const node_panel_life_t *life, bool router_up, mm_us_t now,
                       int64_t real_now_us) {
    const mm_node_t *node = self->node;
    const mm_time_t time = mm_metering_time(&node->metering, now);
    mm_control_report_t report;
    mm_panel_model_t *model = &self->model;
    node_credit_report(node, now, &report);
    *model = (mm_panel_model_t){.state = life->state,
                                .has_number = life->has_number,
                                .number = life->number,
                                .number_left_s = life->number_left_s,
                                .wait_s = life->wait_s,
                                .address = life->address,
                                .is_asking = life->is_asking,
                                .heard = life->heard,
                                .mac = node->options.mac,
                                .is_root = node->root.active,
                                .layer = node->layer,
                                .attached = node->attached,
                                .router_up = router_up,
                                .backlog = mm_journal_backlog(&node->journal),
                                .uptime_s = (uint32_t)((real_now_us - self->opened_us) / MM_US_PER_S),
                                .time_known = time.trust != MM_TRUST_UNSET,
                                .version = self->version,
                                .fault = find_fault(node, life, now),
                                // Programs of this system come by its package manager.
                                .ota_percent = MM_PANEL_OTA_NONE};
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

void node_panel_say_typed(const mm_typed_answer_t *typed, char text[MM_PANEL_NOTICE_CHARS_MAX + 1]) {
    char credit[NODE_CREDIT_KWH_CHARS];
    char balance[NODE_CREDIT_KWH_CHARS];
    unsigned wait_s = (unsigned)typed->wait_s;
    size_t room = MM_PANEL_NOTICE_CHARS_MAX + 1;
    node_credit_kwh(typed->credit_wh, credit);
    node_credit_kwh(typed->balance_wh, balance);
    switch (typed->verdict) {
    case MM_TYPED_ACCEPTED:
        snprintf(text, room, "Accepted, kWh:\n+%.20s\nleft %.16s", credit, balance);
        break;
    case MM_TYPED_WRONG:
        snprintf(text, room, wait_s > 0 ? "Wrong code\nnext try in %u s" : "Wrong code", wait_s);
        break;
    case MM_TYPED_USED:
        snprintf(text, room, "This code was used\nbefore");
        break;
    case MM_TYPED_NO_FORM:
        snprintf(text, room, "A code has 9, 12, 15\nor 20 digits");
        break;
    case MM_TYPED_LOCKED_OUT:
        snprintf(text, room, "Too many wrong codes\nnext try in %u s", wait_s);
        break;
    case MM_TYPED_NO_KEY:
        snprintf(text, room, "No device key: codes\nare not known here");
        break;
    case MM_TYPED_STORAGE:
        snprintf(text, room, "Not stored, nothing\nhappened: type again");
        break;
    default:
        snprintf(text, room, "Refused: the meter is\nnot prepaid, or has\ntoo much credit");
        break;
    }
}

static void say(node_panel_t *self, const char *text, int64_t real_now_us) {
    mm_panel_notice(&self->panel, text, real_now_us);
}

// "LOCK", the meter, "done". The names come from the tables of the commands.
static void say_command(node_panel_t *self, int64_t real_now_us) {
    const mm_control_t *control = &self->node->control;
    char kind[24];
    char text[MM_PANEL_NOTICE_CHARS_MAX + 1];
    snprintf(kind, sizeof kind, "%s", mm_command_kind_name(control->done_kind));
    for (char *at = kind; *at != '\0'; at++) {
        *at = *at == '_' ? ' ' : (char)toupper((unsigned char)*at);
    }
    const char *meter = control->done_channel < MM_CHANNELS ? self->model.meters[control->done_channel].id : "";
    snprintf(text, sizeof text, "%s%s%s\n%s", kind, meter[0] != '\0' ? "\n" : "", meter,
             mm_result_status_name(control->done_status));
    say(self, text, real_now_us);
}

static void follow_node(node_panel_t *self, int64_t real_now_us) {
    if (self->actions->display_until_us != self->display_until_us) {
        self->display_until_us = self->actions->display_until_us;
        mm_panel_wake(&self->panel, mm_us_seconds_until(self->display_until_us, real_now_us), real_now_us);
    }
    if (self->node->has_control && self->node->control.done_count != self->done_count) {
        self->done_count = self->node->control.done_count;
        say_command(self, real_now_us);
    }
    if (self->actions->find_until_us != self->find_until_us) {
        self->find_until_us = self->actions->find_until_us;
        mm_panel_wake(&self->panel, mm_us_seconds_until(self->find_until_us, real_now_us), real_now_us);
        say(self, "HERE I AM\nSomebody looks for me", real_now_us);
    }
}

// --- what is wanted -------------------------------------------------------------------------------------------------

static void take_emergency(node_panel_t *self, uint8_t channel, mm_us_t now, int64_t real_now_us) {
    mm_err_t err = mm_node_take_emergency(self->node, channel, now);
    say(self,
        err == MM_OK          ? "Emergency credit\nis on"
        : err == MM_ERR_STATE ? "Refused: none is left\nor it is not needed"
                              : "Not stored, nothing\nhappened: try again",
        real_now_us);
}

static void do_wish(node_panel_t *self, const node_panel_life_t *life, mm_us_t now, int64_t real_now_us) {
    char text[MM_PANEL_NOTICE_CHARS_MAX + 1];
    mm_panel_wish_t wish;
    if (!mm_panel_take_wish(&self->panel, &wish)) {
        return;
    }
    if (wish.kind == MM_WISH_TOKEN) {
        const mm_typed_answer_t typed = mm_node_type_token(self->node, wish.channel, wish.digits, now);
        node_panel_say_typed(&typed, text);
        say(self, text, real_now_us);
    } else if (wish.kind == MM_WISH_EMERGENCY) {
        take_emergency(self, wish.channel, now, real_now_us);
    } else if (wish.kind == MM_WISH_CONFIGURE && life->configure != NULL) {
        life->configure(life->context);
    } else if (wish.kind == MM_WISH_CONFIGURE) {
        say(self, "This node has its\nconfiguration in a\nfile", real_now_us);
    } else if (self->node->has_control && self->node->root.active) {
        self->node->control.send_now = true;
        say(self, "Sending", real_now_us);
    } else {
        say(self, "The root sends: it\nasks for readings\nwith the next round", real_now_us);
    }
    explicit_bzero(&wish, sizeof wish);
}

// --- picture --------------------------------------------------------------------------------------------------------

void node_panel_hex(const mm_canvas_t *canvas, char text[NODE_PANEL_HEX_CHARS + 1]) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < MM_CANVAS_BYTES; i++) {
        text[2 * i] = digits[canvas->bytes[i] >> 4];
        text[2 * i + 1] = digits[canvas->bytes[i] & 15];
    }
    text[NODE_PANEL_HEX_CHARS] = '\0';
}

// Whole at any instant, but not durable: after a power cut there is another picture anyway.
static bool write_picture(const char *path, const mm_canvas_t *canvas) {
    char text[NODE_PANEL_HEX_CHARS + 2];
    char temporary[600];
    node_panel_hex(canvas, text);
    text[NODE_PANEL_HEX_CHARS] = '\n';
    snprintf(temporary, sizeof temporary, "%s.new", path);
    int file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) {
        return false;
    }
    // no wait(write): a regular file
    bool good = write(file, text, NODE_PANEL_HEX_CHARS + 1) == NODE_PANEL_HEX_CHARS + 1;
    good = close(file) == 0 && good;
    return good && rename(temporary, path) == 0;
}

static void draw(node_panel_t *self, int64_t real_now_us) {
    mm_canvas_t canvas;
    mm_panel_draw(&self->panel, &self->model, real_now_us, &canvas);
    if (self->written && memcmp(&canvas, &self->canvas, sizeof canvas) == 0) {
        return;
    }
    self->canvas = canvas;
    if (self->path[0] != '\0' && !write_picture(self->path, &canvas)) {
        mm_linux_log(MM_LOG_WARNING, "%s: the display's picture cannot be written: %s; it is not tried again",
                     self->path, strerror(errno));
        self->path = "";
    }
    self->written = true;
}

int64_t node_panel_poll(node_panel_t *self, const node_panel_life_t *life, bool router_up, mm_us_t now,
                        int64_t real_now_us) {
    if (real_now_us < self->draw_due_us) {
        return self->draw_due_us;
    }
    fill_model(self, life, router_up, now, real_now_us);
    follow_node(self, real_now_us);
    mm_us_t deadline = mm_panel_poll(&self->panel, &self->model, real_now_us);
    do_wish(self, life, now, real_now_us);
    draw(self, real_now_us);
    self->draw_due_us = deadline < real_now_us + PERIOD_US ? deadline : real_now_us + PERIOD_US;
    return self->draw_due_us;
}

// A whole press that ends now. Lines do not bounce: what comes right behind it is meant.
static void press(node_panel_t *self, int64_t held_us, int64_t real_now_us) {
    mm_us_t clean_us = real_now_us - (int64_t)MM_PANEL_BOUNCE_MS * 1000;
    mm_panel_on_button(&self->panel, false, &self->model, real_now_us);
    self->panel.released_at = clean_us - held_us;
    mm_panel_on_button(&self->panel, true, &self->model, real_now_us - held_us);
    mm_panel_on_button(&self->panel, false, &self->model, real_now_us);
    self->panel.released_at = clean_us;
}

bool node_panel_handle(node_panel_t *self, const char *line, const node_panel_life_t *life, bool router_up, mm_us_t now,
                       int64_t real_now_us, mm_linux_answer_t *answer) {
    bool is_short = strcmp(line, "button short") == 0;
    bool is_long = strcmp(line, "button long") == 0;
    bool is_down = strcmp(line, "button down") == 0;
    bool is_picture = strcmp(line, "oled") == 0;
    if (!is_picture && !is_short && !is_long && !is_down && strcmp(line, "button up") != 0) {
        return false;
    }
    fill_model(self, life, router_up, now, real_now_us);
    if (is_short || is_long) {
        press(self, is_long ? LONG_PRESS_US : SHORT_PRESS_US, real_now_us);
    } else if (!is_picture) {
        mm_panel_on_button(&self->panel, is_down, &self->model, real_now_us);
    }
    self->draw_due_us = 0;
    (void)node_panel_poll(self, life, router_up, now, real_now_us);
    if (is_picture) {
        char text[NODE_PANEL_HEX_CHARS + 1];
        node_panel_hex(&self->canvas, text);
        mm_linux_answer_print(answer, "%s\n", text);
    } else {
        mm_linux_answer_print(answer, "ok %s\n", line);
    }
    return true;
}
