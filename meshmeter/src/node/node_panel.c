// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/node_panel.h"

#include <string.h>

#include "display/panel_text.h"
#include "meshmeter/bytes.h"

#define REFUSED "Refused: the meter is\nnot prepaid, or has\ntoo much credit"
// More pulses of one interval than this are no power that a meter has (and their product would not fit 64 bits); a
// register that went back is far more.
#define INTERVAL_PULSES_MAX 4000000

_Static_assert(MMI_LINE_CHARS_MAX == MM_PANEL_NOTICE_CHARS_MAX, "a notice is a line of pieces");

void mm_node_panel_init(mm_node_panel_t *self, mm_node_t *node, const char *version, mm_us_t now) {
    memset(self, 0, sizeof *self);
    self->node = node;
    self->version = version;
    self->done_count = node->control.done_count;
    mm_panel_init(&self->panel, now);
}

// --- model ----------------------------------------------------------------------------------------------------------

// 0 = not known.
static uint32_t power_of(uint64_t pulses, uint32_t pulse_constant, mm_us_t length_us) {
    if (pulses > INTERVAL_PULSES_MAX || pulse_constant == 0 || length_us <= 0) {
        return 0;
    }
    // pulses * 1000 / constant are Wh, of so many microseconds.
    uint64_t divisor = (uint64_t)pulse_constant * (uint64_t)length_us;
    uint64_t power_w = (pulses * UINT64_C(3600000000000) + divisor / 2) / divisor;
    return power_w < UINT32_MAX ? (uint32_t)power_w : UINT32_MAX;
}

// Power is that of the last whole interval: pulses between two looks at which an interval had just begun.
static void follow_power(mm_node_panel_t *self, mm_us_t node_now) {
    const mm_metering_t *metering = &self->node->metering;
    mm_node_panel_power_t *power = &self->power;
    if (power->at != 0 && power->interval_no == metering->interval_no) {
        return;
    }
    mm_us_t length_us = power->at != 0 ? node_now - power->at : 0;
    for (unsigned i = 0; i < MM_CHANNELS; i++) {
        uint64_t life_pulses = metering->registers.channels[i].life_pulses;
        power->power_w[i] =
            power_of(life_pulses - power->life_pulses[i], metering->stored_meters[i].pulse_constant, length_us);
        power->life_pulses[i] = life_pulses;
    }
    power->interval_no = metering->interval_no;
    power->at = node_now > 0 ? node_now : 1;
}

static void fill_meter(const mm_node_panel_t *self, const mm_control_report_t *report, unsigned channel,
                       mm_us_t node_now, mm_panel_meter_t *meter) {
    const mm_node_t *node = self->node;
    const mm_meter_config_t *config = &node->metering.stored_meters[channel];
    uint64_t life_pulses = node->metering.registers.channels[channel].life_pulses;
    if (config->id[0] == '\0') {
        return;
    }
    memcpy(meter->id, config->id, sizeof meter->id);
    meter->energy_wh = mm_meter_energy_wh(config->start_wh, life_pulses, config->pulse_constant);
    meter->power_w = self->power.power_w[channel];
    if (report == NULL) { // the node has no control
        return;
    }
    meter->prepaid = report->meters[channel].prepaid;
    meter->balance_wh = report->meters[channel].balance_wh;
    meter->relay_reasons = report->meters[channel].relay_reasons;
    meter->low = report->meters[channel].low;
    meter->emergency_possible = mm_credit_emergency_is_possible(&node->control.credits[channel], life_pulses,
                                                                node->control.pulse_constants[channel]);
    meter->lock_out_s = mm_us_seconds_until(node->control.locked_until[channel], node_now);
}

// What somebody at the device has to do something about. The platform's and the configuration's come first: without
// them nothing else goes on.
static const char *find_fault(const mm_node_t *node, const mm_node_panel_facts_t *facts, mm_us_t node_now) {
    if (facts->fault != NULL) {
        return facts->fault;
    }
    if (node->has_control && !node->control.usable) {
        return "The register memory\ndoes not answer";
    }
    return node->metering.journal_retry_at > node_now ? "The journal takes no\nrecords; counting\ngoes on" : NULL;
}

void mm_node_panel_look(mm_node_panel_t *self, const mm_node_panel_facts_t *facts, mm_us_t node_now) {
    const mm_node_t *node = self->node;
    const mm_time_t time = mm_metering_time(&node->metering, node_now);
    mm_control_report_t reported;
    const mm_control_report_t *report = NULL;
    mm_panel_model_t *model = &self->model;
    if (node->has_control) {
        mm_control_report(&node->control, node_now, &reported);
        report = &reported;
    }
    memset(model, 0, sizeof *model); // member by member: a copy of the whole would be on the stack
    model->state = facts->state;
    model->has_number = facts->has_number;
    model->number = facts->number;
    model->number_left_s = facts->number_left_s;
    model->wait_s = facts->wait_s;
    model->address = facts->address;
    model->is_asking = facts->is_asking;
    model->heard = facts->heard;
    model->router_up = facts->router_up;
    model->uptime_s = facts->uptime_s;
    model->ota_percent = facts->ota_percent;
    model->fault = find_fault(node, facts, node_now);
    model->version = self->version;
    model->mac = node->options.mac;
    model->is_root = node->root.active;
    model->layer = node->layer;
    model->attached = node->attached;
    model->backlog = mm_journal_backlog(&node->journal);
    model->time_known = time.trust != MM_TRUST_UNSET;
    memcpy(model->site, node->options.site, sizeof model->site);
    if (model->time_known) {
        int64_t utc_s = time.utc.us / MM_US_PER_S;
        model->local_s = utc_s + mm_local_from_utc(&node->metering.tz, utc_s).offset_s;
    }
    follow_power(self, node_now);
    for (unsigned channel = 0; channel < MM_CHANNELS; channel++) {
        fill_meter(self, report, channel, node_now, &model->meters[channel]);
    }
}

// --- what is said ---------------------------------------------------------------------------------------------------

static MM_APART void add_kwh(mmi_line_t *line, int64_t wh) {
    mmi_line_add_kwh(line, wh < 0 ? (uint64_t)0 - (uint64_t)wh : (uint64_t)wh, wh < 0, 3);
}

void mm_node_panel_typed_text(const mm_typed_answer_t *typed, char text[MM_PANEL_NOTICE_CHARS_MAX + 1]) {
    static const char *const texts[] = {
        [MM_TYPED_ACCEPTED] = "Accepted, kWh:\n+",
        [MM_TYPED_WRONG] = "Wrong code",
        [MM_TYPED_USED] = "This code was used\nbefore",
        [MM_TYPED_NO_FORM] = "A code has 9, 12, 15\nor 20 digits",
        [MM_TYPED_LOCKED_OUT] = "Too many wrong codes",
        [MM_TYPED_NO_KEY] = "No device key: codes\nare not known here",
        [MM_TYPED_REFUSED] = REFUSED,
        [MM_TYPED_NO_METER] = REFUSED,
        [MM_TYPED_STORAGE] = "Not stored, nothing\nhappened: type again",
    };
    mmi_line_t line = {0};
    mmi_line_add(&line, MM_NAME_OF(texts, typed->verdict));
    if (typed->verdict == MM_TYPED_ACCEPTED) {
        add_kwh(&line, typed->credit_wh);
        mmi_line_add(&line, "\nleft ");
        add_kwh(&line, typed->balance_wh);
    } else if (typed->wait_s > 0 && (typed->verdict == MM_TYPED_WRONG || typed->verdict == MM_TYPED_LOCKED_OUT)) {
        mmi_line_add(&line, "\nnext try in ");
        mmi_line_add_number(&line, typed->wait_s, 1);
        mmi_line_add(&line, " s");
    }
    memcpy(text, line.text, sizeof line.text);
}

static void say_typed(mm_node_panel_t *self, const mm_panel_wish_t *wish, mm_us_t node_now, mm_us_t now) {
    char text[MM_PANEL_NOTICE_CHARS_MAX + 1];
    const mm_typed_answer_t typed = mm_node_type_token(self->node, wish->channel, wish->digits, node_now);
    mm_node_panel_typed_text(&typed, text);
    mm_panel_notice(&self->panel, text, now);
}

// "LOCK", the meter, "done". The names come from the tables of the commands.
static void say_command(mm_node_panel_t *self, mm_us_t now) {
    const mm_control_t *control = &self->node->control;
    mmi_line_t line = {0};
    mmi_line_add(&line, mm_command_kind_name(control->done_kind));
    for (char *at = line.text; *at != '\0'; at++) {
        if (*at == '_') {
            *at = ' ';
        } else if (*at >= 'a' && *at <= 'z') {
            *at = (char)(*at - ('a' - 'A'));
        }
    }
    const char *meter = control->done_channel < MM_CHANNELS ? self->model.meters[control->done_channel].id : "";
    mmi_line_add(&line, meter[0] != '\0' ? "\n" : "");
    mmi_line_add(&line, meter);
    mmi_line_add(&line, "\n");
    mmi_line_add(&line, mm_result_status_name(control->done_status));
    mm_panel_notice(&self->panel, line.text, now);
}

void mm_node_panel_find(mm_node_panel_t *self, uint32_t seconds, mm_us_t now) {
    mm_panel_wake(&self->panel, seconds, now);
    if (seconds > 0) {
        mm_panel_notice(&self->panel, "HERE I AM\nSomebody looks for me", now);
    }
}

// --- what is wanted -------------------------------------------------------------------------------------------------

static const char *take_emergency(mm_node_panel_t *self, uint8_t channel, mm_us_t node_now) {
    mm_err_t err = mm_node_take_emergency(self->node, channel, node_now);
    if (err == MM_OK) {
        return "Emergency credit\nis on";
    }
    return err == MM_ERR_STATE ? "Refused: none is left\nor it is not needed"
                               : "Not stored, nothing\nhappened: try again";
}

static const char *configure(const mm_node_panel_facts_t *facts) {
    if (facts->configure == NULL) {
        return "This node has its\nconfiguration in a\nfile";
    }
    facts->configure(facts->context);
    return NULL;
}

static const char *send_now(const mm_node_panel_t *self) {
    if (!self->node->has_control || !self->node->root.active) {
        return "The root sends: it\nasks for readings\nwith the next round";
    }
    self->node->control.send_now = true;
    return "Sending";
}

static void do_wish(mm_node_panel_t *self, const mm_node_panel_facts_t *facts, mm_us_t node_now, mm_us_t now) {
    mm_panel_wish_t wish;
    const char *said = NULL;
    if (!mm_panel_take_wish(&self->panel, &wish)) {
        return;
    }
    if (wish.kind == MM_WISH_TOKEN) {
        say_typed(self, &wish, node_now, now);
    } else if (wish.kind == MM_WISH_EMERGENCY) {
        said = take_emergency(self, wish.channel, node_now);
    } else if (wish.kind == MM_WISH_CONFIGURE) {
        said = configure(facts);
    } else if (wish.kind == MM_WISH_SEND_NOW) {
        said = send_now(self);
    }
    if (said != NULL) {
        mm_panel_notice(&self->panel, said, now);
    }
    mm_wipe(&wish, sizeof wish);
}

mm_us_t mm_node_panel_poll(mm_node_panel_t *self, const mm_node_panel_facts_t *facts, mm_us_t node_now, mm_us_t now) {
    mm_node_panel_look(self, facts, node_now);
    if (self->node->has_control && self->node->control.done_count != self->done_count) {
        self->done_count = self->node->control.done_count;
        say_command(self, now);
    }
    mm_us_t deadline = mm_panel_poll(&self->panel, &self->model, now);
    do_wish(self, facts, node_now, now);
    return deadline;
}
