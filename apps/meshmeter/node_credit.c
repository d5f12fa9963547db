// SPDX-License-Identifier: Apache-2.0
#include "node_credit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"

void node_credit_kwh(int64_t wh, char text[NODE_CREDIT_KWH_CHARS]) {
    uint64_t magnitude = wh < 0 ? (uint64_t)0 - (uint64_t)wh : (uint64_t)wh;
    snprintf(text, NODE_CREDIT_KWH_CHARS, "%s%" PRIu64 ".%03u", wh < 0 ? "-" : "", magnitude / 1000,
             (unsigned)(magnitude % 1000));
}

static const char *id_of(const mm_node_t *node, uint8_t channel) {
    return node->metering.stored_meters[channel].id;
}

int node_credit_channel(const mm_node_t *node, const char *meter) {
    int64_t number = 0;
    for (uint8_t channel = 0; channel < MM_CHANNELS && meter[0] != '\0'; channel++) {
        if (strcmp(id_of(node, channel), meter) == 0) {
            return channel;
        }
    }
    bool good = app_parse_number(meter, 1, MM_CHANNELS, &number) && id_of(node, (uint8_t)(number - 1))[0] != '\0';
    return good ? (int)number - 1 : -1;
}

void node_credit_report(const mm_node_t *node, mm_us_t now, mm_control_report_t *report) {
    *report = (mm_control_report_t){0};
    if (node->has_control) {
        mm_control_report(&node->control, now, report);
    }
}

static void say_accepted(const mm_typed_answer_t *typed, bool prepaid, mm_linux_answer_t *answer) {
    char credit[NODE_CREDIT_KWH_CHARS];
    char balance[NODE_CREDIT_KWH_CHARS];
    node_credit_kwh(typed->credit_wh, credit);
    node_credit_kwh(typed->balance_wh, balance);
    if (prepaid) {
        mm_linux_answer_print(answer, "accepted: %s kWh, balance %s kWh\n", credit, balance);
    } else {
        mm_linux_answer_print(answer, "accepted: supply without prepayment\n");
    }
}

void node_credit_say(const mm_typed_answer_t *typed, bool prepaid, mm_linux_answer_t *answer) {
    switch (typed->verdict) {
    case MM_TYPED_ACCEPTED:
        say_accepted(typed, prepaid, answer);
        break;
    case MM_TYPED_WRONG:
        mm_linux_answer_print(answer, typed->wait_s > 0 ? "wrong token; %u s until the next try\n" : "wrong token\n",
                              (unsigned)typed->wait_s);
        break;
    case MM_TYPED_USED:
        mm_linux_answer_print(answer, "used before\n");
        break;
    case MM_TYPED_NO_FORM:
        mm_linux_answer_print(answer, "no token: it has 9, 12, 15 or 20 digits\n");
        break;
    case MM_TYPED_LOCKED_OUT:
        mm_linux_answer_print(answer, "locked after wrong tokens; %u s until the next try\n", (unsigned)typed->wait_s);
        break;
    case MM_TYPED_REFUSED:
        mm_linux_answer_print(answer, "refused: the meter is not prepaid, or the balance would be too large\n");
        break;
    case MM_TYPED_NO_METER:
        mm_linux_answer_print(answer, "error: no such meter\n");
        break;
    case MM_TYPED_NO_KEY:
        mm_linux_answer_print(answer, "error: this node has no device key (device_key_file), so it knows no tokens\n");
        break;
    case MM_TYPED_STORAGE:
    default:
        mm_linux_answer_print(answer, "error: it could not be stored and nothing happened; type it again\n");
        break;
    }
}

static void handle_token(mm_node_t *node, const char *meter, const char *digits, mm_us_t now,
                         mm_linux_answer_t *answer) {
    int channel = node_credit_channel(node, meter);
    mm_typed_answer_t typed = {.verdict = MM_TYPED_NO_METER};
    mm_control_report_t report = {0};
    if (channel >= 0) {
        typed = mm_node_type_token(node, (uint8_t)channel, digits, now);
        node_credit_report(node, now, &report);
    }
    node_credit_say(&typed, channel >= 0 && report.meters[channel].prepaid, answer);
}

static void handle_emergency(mm_node_t *node, const char *meter, mm_us_t now, mm_linux_answer_t *answer) {
    int channel = node_credit_channel(node, meter);
    mm_err_t err = channel >= 0 ? mm_node_take_emergency(node, (uint8_t)channel, now) : MM_ERR_ARG;
    if (err == MM_OK) {
        char balance[NODE_CREDIT_KWH_CHARS];
        char emergency[NODE_CREDIT_KWH_CHARS];
        mm_control_report_t report;
        node_credit_report(node, now, &report);
        node_credit_kwh(report.meters[channel].balance_wh, balance);
        node_credit_kwh(node->control.credits[channel].limits.emergency_wh, emergency);
        mm_linux_answer_print(answer, "accepted: supply down to -%s kWh, balance %s kWh; the next top-up repays it\n",
                              emergency, balance);
    } else if (err == MM_ERR_STATE) {
        mm_linux_answer_print(answer, "refused: no emergency credit is left, or the balance is not low\n");
    } else if (err == MM_ERR_ARG) {
        mm_linux_answer_print(answer, "error: no such meter\n");
    } else {
        mm_linux_answer_print(answer, "error: it could not be stored and nothing happened; try again\n");
    }
}

static uint32_t lock_out_s(const mm_control_t *control, uint8_t channel, mm_us_t now) {
    mm_us_t left = control->locked_until[channel] - now;
    return left > 0 ? (uint32_t)((left + MM_US_PER_S - 1) / MM_US_PER_S) : 0;
}

static void add_reasons(cJSON *object, uint8_t reasons) {
    static const struct {
        uint8_t bit;
        const char *name;
    } names[] = {{MM_RELAY_LOCKED, "locked"},
                 {MM_RELAY_NO_CREDIT, "no_credit"},
                 {MM_RELAY_TAMPER, "tamper"},
                 {MM_RELAY_NOT_COMMISSIONED, "not_commissioned"}};
    cJSON *list = cJSON_AddArrayToObject(object, "relay_reasons");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if ((reasons & names[i].bit) != 0) {
            (void)cJSON_AddItemToArray(list, cJSON_CreateString(names[i].name));
        }
    }
}

void node_credit_add(cJSON *object, const mm_node_t *node, const mm_control_report_t *report, uint8_t channel,
                     mm_us_t now) {
    bool prepaid = report->meters[channel].prepaid;
    (void)cJSON_AddBoolToObject(object, "prepaid", prepaid);
    (void)cJSON_AddStringToObject(object, "relay", report->meters[channel].relay_closed ? "closed" : "open");
    add_reasons(object, report->meters[channel].relay_reasons);
    if (!prepaid) {
        return;
    }
    (void)cJSON_AddNumberToObject(object, "balance_wh", (double)report->meters[channel].balance_wh);
    (void)cJSON_AddNumberToObject(object, "applied_wh", (double)report->meters[channel].applied_wh);
    (void)cJSON_AddBoolToObject(object, "low", report->meters[channel].low);
    (void)cJSON_AddBoolToObject(object, "emergency_taken", report->meters[channel].emergency_taken);
    (void)cJSON_AddNumberToObject(object, "token_count", report->meters[channel].token_count);
    (void)cJSON_AddNumberToObject(object, "lock_out_s", lock_out_s(&node->control, channel, now));
}

static void handle_credit(const mm_node_t *node, mm_us_t now, mm_linux_answer_t *answer) {
    mm_control_report_t report;
    node_credit_report(node, now, &report);
    cJSON *list = cJSON_CreateArray();
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        if (id_of(node, channel)[0] == '\0' || !report.meters[channel].prepaid) {
            continue;
        }
        cJSON *item = cJSON_CreateObject();
        (void)cJSON_AddNumberToObject(item, "channel", channel + 1);
        (void)cJSON_AddStringToObject(item, "id", id_of(node, channel));
        node_credit_add(item, node, &report, channel, now);
        (void)cJSON_AddItemToArray(list, item);
    }
    char *text = cJSON_PrintUnformatted(list);
    mm_linux_answer_print(answer, "%s\n", text != NULL ? text : "error: out of memory");
    free(text);
    cJSON_Delete(list);
}

static void handle_relays(const mm_node_t *node, mm_us_t now, mm_linux_answer_t *answer) {
    mm_control_report_t report;
    node_credit_report(node, now, &report);
    const char *separator = "";
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        if (id_of(node, channel)[0] != '\0') {
            mm_linux_answer_print(answer, "%s%s %s", separator, id_of(node, channel),
                                  report.meters[channel].relay_closed ? "closed" : "open");
            separator = ", ";
        }
    }
    mm_linux_answer_print(answer, "\n");
}

// The word behind the command; *rest is what follows it.
static char *take_word(char *text, char **rest) {
    text += strspn(text, " ");
    char *end = text + strcspn(text, " ");
    *rest = end + strspn(end, " ");
    *end = '\0';
    return text;
}

bool node_credit_handle(mm_node_t *node, char *line, mm_us_t now, mm_linux_answer_t *answer) {
    char *rest = NULL;
    if (strcmp(line, "credit") == 0) {
        handle_credit(node, now, answer);
    } else if (strcmp(line, "relays") == 0) {
        handle_relays(node, now, answer);
    } else if (strncmp(line, "token ", 6) == 0) {
        const char *meter = take_word(line + 6, &rest);
        handle_token(node, meter, rest, now, answer);
    } else if (strncmp(line, "emergency ", 10) == 0) {
        const char *meter = take_word(line + 10, &rest);
        handle_emergency(node, meter, now, answer);
    } else {
        return false;
    }
    return true;
}
