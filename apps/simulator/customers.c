// SPDX-License-Identifier: Apache-2.0
// The people of the simulated world: operators who sell, lock, change and ask, customers who type.
#include <stdio.h>
#include <string.h>

#include "simulator/sales.h"

#define TOKEN_UNIT_WH 1000
#define HOUR_US (3600 * MM_US_PER_S)
// Of the meters that draw_plan configures: the last socket is free.
#define METERS (MM_CHANNELS - 1)
// A customer tries again what the node could not store, or what it locked him out of.
#define TYPE_AGAIN_US HOUR_US
#define TYPE_TIMES_MAX 60
// Of one form of token, for one purchase.
#define COUNTS_TRIED 4

static uint32_t draw(sales_t *self, uint32_t bound) {
    return mm_random_below(&self->random, bound);
}

static bool has_chance(sales_t *self, uint32_t percent) {
    return draw(self, 100) < percent;
}

// --- customers

typedef struct {
    uint32_t purchase_index;
    uint32_t times;
} typing_t;

static void type_purchase(void *context, const void *payload, size_t payload_bytes);

static void type_later(sales_t *self, typing_t typing, mm_us_t after_us) {
    if (typing.times < TYPE_TIMES_MAX) {
        typing.times++;
        mm_sim_queue_add(self->sim->queue, mm_sim_now(self->sim) + after_us, type_purchase, self, &typing,
                         sizeof typing);
    }
}

static void check_typed(sales_t *self, const purchase_t *purchase, const mm_typed_answer_t *answer) {
    if (answer->verdict == MM_TYPED_ACCEPTED && answer->credit_wh != purchase->amount_wh) {
        truth_fail(self->truth, "node %d channel %u takes a token of %lld Wh as %lld Wh", purchase->node,
                   purchase->channel, (long long)purchase->amount_wh, (long long)answer->credit_wh);
    }
    bool impossible = answer->verdict == MM_TYPED_WRONG || answer->verdict == MM_TYPED_NO_FORM ||
                      answer->verdict == MM_TYPED_NO_METER || answer->verdict == MM_TYPED_NO_KEY;
    if (impossible) {
        truth_fail(self->truth, "node %d channel %u calls the token of count %u %s", purchase->node, purchase->channel,
                   purchase->count, mm_typed_verdict_name(answer->verdict));
    }
}

static void type_purchase(void *context, const void *payload, size_t payload_bytes) {
    sales_t *self = context;
    typing_t typing;
    MM_ASSERT(payload_bytes == sizeof typing);
    memcpy(&typing, payload, sizeof typing);
    if (!self->open) {
        return;
    }
    const purchase_t *purchase = &self->purchases[typing.purchase_index];
    mm_typed_answer_t answer;
    if (!device_type_token(&self->devices[purchase->node], purchase->channel, purchase->token, &answer)) {
        type_later(self, typing, TYPE_AGAIN_US); // the display is dark
        return;
    }
    self->totals.tokens_typed++;
    mm_sim_note(self->sim, purchase->node, "typed", purchase->count, (uint64_t)answer.verdict);
    check_typed(self, purchase, &answer);
    if (answer.verdict == MM_TYPED_ACCEPTED) {
        if (has_chance(self, 20)) {
            type_later(self, typing, HOUR_US); // once more: perhaps it works
        }
        return;
    }
    self->totals.tokens_refused++;
    if (answer.verdict != MM_TYPED_USED) {
        type_later(self, typing, TYPE_AGAIN_US);
    }
}

// One guess in some ten thousand is a token: nine digits are short, which is why there is a lock-out. Nobody here is so
// lucky; what a token does that nobody sold is another question.
static bool is_lucky(const sales_t *self, int node, uint8_t channel, const char *digits) {
    const device_t *device = &self->devices[node];
    mm_token_series_t series;
    mm_token_t token;
    return device->alive &&
           mm_control_token_series(&device->crypto.crypto, device->node.control.era, channel, &series) == MM_OK &&
           mm_token_judge(&series, &device->node.control.credits[channel].tokens, digits, &token) == MM_TOKEN_GOOD;
}

static void type_rubbish(sales_t *self, int node, uint8_t channel) {
    char digits[MM_TOKEN_DIGITS_MAX + 1];
    static const uint32_t lengths[] = {9, 12, 15, 20, 8, 10};
    uint32_t length = lengths[draw(self, 6)];
    uint32_t keys = length == 15 || length == 20 ? 4 : 10;
    for (uint32_t i = 0; i < length; i++) {
        digits[i] = (char)((keys == 4 ? '1' : '0') + (char)draw(self, keys));
    }
    digits[length] = '\0';
    mm_typed_answer_t answer;
    if (!is_lucky(self, node, channel, digits) && device_type_token(&self->devices[node], channel, digits, &answer)) {
        self->totals.tokens_typed++;
        self->totals.tokens_refused++;
        mm_sim_note(self->sim, node, "typed_rubbish", channel, (uint64_t)answer.verdict);
        if (answer.verdict == MM_TYPED_ACCEPTED) {
            truth_fail(self->truth, "node %d channel %u takes %s, which nobody sold", node, channel, digits);
        }
    }
}

static void take_emergency(sales_t *self, int node, uint8_t channel) {
    if (device_take_emergency(&self->devices[node], channel)) {
        self->totals.emergencies++;
    }
}

// --- operators

// One count for the command and the token. NULL: too many are open, or the node has never been heard of.
static purchase_t *issue(sales_t *self, int node, uint8_t channel, int64_t amount_wh) {
    sales_meter_t *meter = &self->nodes[node].meters[channel];
    if (!self->nodes[node].is_known || meter->open == SALES_OPEN_MAX) {
        return NULL;
    }
    purchase_t *purchase = sales_add_purchase(self);
    meter->last_count += 2;
    meter->open++;
    purchase->node = node;
    purchase->channel = channel;
    purchase->count = meter->last_count;
    purchase->amount_wh = amount_wh;
    return purchase;
}

static void make_token(sales_t *self, purchase_t *purchase) {
    mm_token_series_t series;
    MM_ASSERT(mm_control_token_series(&self->devices[purchase->node].crypto.crypto, self->nodes[purchase->node].era,
                                      purchase->channel, &series) == MM_OK);
    bool extended = has_chance(self, 30);
    bool restricted = has_chance(self, 30);
    mm_token_t token = {.type = MM_TOKEN_ADD, .value = (uint32_t)(purchase->amount_wh / TOKEN_UNIT_WH)};
    mm_err_t err = MM_ERR_STATE;
    // Digits may be those of an earlier count: the next one is sold. A chain that has come back to where it was does so
    // for ever; the other form has another chain.
    for (int tries = 0; tries < 2 * COUNTS_TRIED && err == MM_ERR_STATE; tries++) {
        token.count = purchase->count;
        err = mm_token_make(&series, &token, extended != (tries >= COUNTS_TRIED), restricted, purchase->token);
        if (err == MM_ERR_STATE) {
            self->nodes[purchase->node].meters[purchase->channel].last_count += 2;
            purchase->count += 2;
        }
    }
    MM_ASSERT(err == MM_OK);
    purchase->by_token = true;
    typing_t typing = {.purchase_index = (uint32_t)(purchase - self->purchases)};
    type_later(self, typing, (mm_us_t)draw(self, 48 * 3600) * MM_US_PER_S);
}

static void order_credit(sales_t *self, const purchase_t *purchase, uint8_t kind) {
    mm_command_body_t body = {
        .credit = {.purchase_id = (uint64_t)(purchase - self->purchases) + 1, .count = purchase->count}};
    body.credit.amount_wh = kind == MM_COMMAND_VOID ? 0 : purchase->amount_wh;
    (void)sales_order(self, purchase->node, purchase->channel, kind, &body);
}

static void sell(sales_t *self, int node, uint8_t channel) {
    purchase_t *purchase = issue(self, node, channel, (int64_t)(1 + draw(self, 20)) * TOKEN_UNIT_WH);
    if (purchase == NULL) {
        return;
    }
    uint32_t way = draw(self, 3); // by network, by token, by both
    if (way != 0) {
        make_token(self, purchase);
    }
    if (way != 1) {
        order_credit(self, purchase, MM_COMMAND_CREDIT);
    }
}

static void adjust(sales_t *self, int node, uint8_t channel) {
    int64_t amount_wh = (int64_t)draw(self, 3000) + 1;
    purchase_t *purchase = issue(self, node, channel, has_chance(self, 50) ? amount_wh : -amount_wh);
    if (purchase != NULL) {
        order_credit(self, purchase, MM_COMMAND_ADJUST);
    }
}

// The oldest purchase of the meter that is still open: the customer may be faster.
static void take_back(sales_t *self, int node, uint8_t channel) {
    for (size_t i = 0; i < self->purchase_count; i++) {
        purchase_t *purchase = &self->purchases[i];
        if (purchase->node == node && purchase->channel == channel && purchase->state == PURCHASE_ISSUED) {
            purchase->state = PURCHASE_VOIDING;
            order_credit(self, purchase, MM_COMMAND_VOID);
            return;
        }
    }
}

static void change_mode(sales_t *self, int node, uint8_t channel, bool prepaid) {
    self->nodes[node].meters[channel].wants_prepaid = prepaid;
    const mm_command_body_t body = {.mode = {.prepaid = prepaid}};
    (void)sales_order(self, node, channel, MM_COMMAND_MODE, &body);
}

static void change_limits(sales_t *self, int node, uint8_t channel) {
    mm_command_body_t body = {.limits = {.warning_wh = draw(self, 4) * 1000, .emergency_wh = draw(self, 3) * 1000}};
    if (has_chance(self, 20)) {
        body.limits.quiet_hours = draw(self, 1u << 24);
        body.limits.quiet_days = (uint8_t)draw(self, 1u << 7);
    }
    sales_meter_t *meter = &self->nodes[node].meters[channel];
    meter->may_be_quiet = meter->may_be_quiet || body.limits.quiet_hours != 0 || body.limits.quiet_days != 0;
    meter->emergency_order = meter->emergency_order || body.limits.emergency_wh != 0;
    (void)sales_order(self, node, channel, MM_COMMAND_LIMITS, &body);
}

static void ask_node(sales_t *self, int node) {
    static const uint8_t kinds[] = {MM_COMMAND_DISPLAY_ON, MM_COMMAND_FIND, MM_COMMAND_SEND_NOW, MM_COMMAND_READ_LOG};
    uint8_t kind = kinds[draw(self, 4)];
    const mm_command_body_t body = {.seconds = {.seconds = 60}};
    (void)sales_order(self, node, MM_COMMAND_WHOLE_NODE, kind, &body);
}

static void act_on_prepaid(sales_t *self, int node, uint8_t channel) {
    uint32_t dice = draw(self, 100);
    if (dice < 55) {
        sell(self, node, channel);
    } else if (dice < 65) {
        change_limits(self, node, channel);
    } else if (dice < 72) {
        take_back(self, node, channel);
    } else if (dice < 78) {
        adjust(self, node, channel);
    } else if (dice < 88) {
        take_emergency(self, node, channel);
    } else if (dice < 98) {
        type_rubbish(self, node, channel);
    } else {
        change_mode(self, node, channel, false);
    }
}

void sales_act(sales_t *self, int node) {
    uint8_t channel = (uint8_t)draw(self, METERS);
    sales_meter_t *meter = &self->nodes[node].meters[channel];
    uint32_t dice = draw(self, 100);
    if (dice < 10) {
        (void)sales_order(self, node, channel, has_chance(self, 50) ? MM_COMMAND_LOCK : MM_COMMAND_UNLOCK, NULL);
    } else if (dice < 15) {
        (void)sales_order(self, node, channel, MM_COMMAND_UNLOCK, NULL); // nobody stays locked for long
    } else if (dice < 20) {
        (void)sales_order(self, node, channel, MM_COMMAND_READ_METER, NULL);
    } else if (dice < 25) {
        ask_node(self, node);
    } else if (meter->wants_prepaid) {
        act_on_prepaid(self, node, channel);
    } else if (channel % 2 == 0 || has_chance(self, 5)) {
        change_mode(self, node, channel, true);
        change_limits(self, node, channel);
    } else if (has_chance(self, 20)) {
        sell(self, node, channel); // to a meter that is not prepaid: refused, or it becomes one meanwhile
    }
}
