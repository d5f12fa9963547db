// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "simulator/sales.h"

// --- I5: one answer

static bool may_repeat(uint8_t kind) {
    switch (kind) {
    case MM_COMMAND_NETWORK:
    case MM_COMMAND_BROKER:
    case MM_COMMAND_DISPLAY_ON:
    case MM_COMMAND_FIND:
    case MM_COMMAND_OTA_URL:
    case MM_COMMAND_OTA_START:
    case MM_COMMAND_FORMAT:
        return true;
    default:
        return false;
    }
}

bool sales_is_answer(const order_t *order, uint32_t checksum) {
    bool is_it = order->made_checksum == checksum;
    for (size_t i = 0; i < order->again_count; i++) {
        is_it = is_it || order->again_checksums[i] == checksum;
    }
    return is_it;
}

static void take_answer(sales_t *self, int node, uint64_t id, uint8_t status, uint32_t checksum) {
    if (id == 0 || id > self->order_count || self->orders[id - 1].node != node ||
        self->orders[id - 1].state == ORDER_QUEUED) {
        truth_fail(self->truth, "node %d answers order %" PRIu64 ", which was never sent to it", node, id);
        return;
    }
    order_t *order = &self->orders[id - 1];
    if (order->made_checksum != 0) {
        if (sales_is_answer(order, checksum)) {
            return; // carried over by thinning
        }
        if (may_repeat(order->kind) && status == order->made_status && order->again_count < SALES_REPEATS_MAX) {
            order->again_checksums[order->again_count++] = checksum;
        } else {
            truth_fail(self->truth, "node %d answers order %" PRIu64 " (%s) twice", node, id,
                       mm_command_kind_name(order->kind));
        }
        return;
    }
    order->made_checksum = checksum;
    order->made_status = status;
    if (status == MM_RESULT_ALREADY && order->kind == MM_COMMAND_CREDIT) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_BOTH_WAYS, node);
    }
    self->totals.answers++;
    self->totals.refused += status != MM_RESULT_DONE ? 1 : 0;
}

static void check_result(sales_t *self, int node, const mm_result_record_t *result, uint32_t checksum) {
    bool of_installer = result->command_id == 0 && self->on_installation != NULL;
    if (result->status == MM_RESULT_TRYING || of_installer) {
        return;
    }
    take_answer(self, node, result->command_id, result->status, checksum);
    bool may_be_known = result->command_id >= 1 && result->command_id <= self->order_count;
    const order_t *order = may_be_known ? &self->orders[result->command_id - 1] : NULL;
    if (order != NULL && (order->kind != result->kind || order->channel != result->channel ||
                          order->counter != result->counter || order->era != result->era)) {
        truth_fail(self->truth, "node %d answers another command than order %" PRIu64, node, result->command_id);
    }
}

// --- I6: credit

static bool is_seen(sales_node_t *node, uint32_t checksum) {
    for (size_t i = node->seen_count; i > 0; i--) {
        if (node->seen[i - 1] == checksum) {
            return true;
        }
    }
    node->seen = realloc(node->seen, (node->seen_count + 1) * sizeof *node->seen);
    MM_ASSERT(node->seen != NULL);
    node->seen[node->seen_count++] = checksum;
    return false;
}

static void check_purchase(sales_t *self, int node, const mm_credit_record_t *credit, uint32_t checksum) {
    purchase_t *purchase = sales_find_purchase(self, node, credit->channel, credit->count);
    if (purchase == NULL) {
        truth_fail(self->truth, "node %d channel %u: credit of count %u, which nobody bought", node, credit->channel,
                   credit->count);
        return;
    }
    if (purchase->made_checksum != 0) {
        truth_fail(self->truth, "node %d channel %u: count %u moves credit twice", node, credit->channel,
                   credit->count);
    }
    purchase->made_checksum = checksum;
    purchase->made_void = credit->movement == MM_MOVEMENT_VOID;
    if (!purchase->made_void && credit->amount_wh != purchase->amount_wh) {
        truth_fail(self->truth, "node %d channel %u: count %u gives %" PRId64 " Wh, sold were %" PRId64, node,
                   credit->channel, credit->count, credit->amount_wh, purchase->amount_wh);
    }
}

static uint32_t constant_of(const sales_t *self, int node, uint8_t channel) {
    return self->devices[node].node.metering.options.meters[channel].pulse_constant;
}

// From the pulses alone. Rounded down: a Wh is consumed when all of it is.
static int64_t consumed_wh(const sales_t *self, int node, uint8_t channel, uint64_t life_pulses) {
    uint64_t pulses = life_pulses - self->nodes[node].meters[channel].base_pulses;
    uint32_t constant = constant_of(self, node, channel);
    return constant == 0 ? 0 : (int64_t)(pulses * 1000 / constant); // 0: its meter was taken away, and had not consumed
}

static void move_credit(sales_t *self, int node, const mm_credit_record_t *credit) {
    sales_meter_t *meter = &self->nodes[node].meters[credit->channel];
    bool begins = credit->movement == MM_MOVEMENT_PREPAID;
    if (begins) {
        meter->base_pulses = credit->life_pulses;
        meter->applied_wh = 0;
        meter->prepaid = true;
    }
    meter->applied_wh += credit->amount_wh;
    int64_t balance_wh = meter->applied_wh - consumed_wh(self, node, credit->channel, credit->life_pulses);
    bool wants_prepaid = credit->movement != MM_MOVEMENT_VOID && credit->movement != MM_MOVEMENT_TOKEN_SYNC;
    if (wants_prepaid && !meter->prepaid) {
        truth_fail(self->truth, "node %d channel %u moves credit, and is not prepaid", node, credit->channel);
    }
    if (meter->prepaid && (credit->applied_wh != meter->applied_wh || credit->balance_wh != balance_wh)) {
        truth_fail(self->truth,
                   "node %d channel %u says balance %" PRId64 " of %" PRId64 " Wh, its pulses and records %" PRId64
                   " of %" PRId64,
                   node, credit->channel, credit->balance_wh, credit->applied_wh, balance_wh, meter->applied_wh);
    }
    meter->prepaid = meter->prepaid && credit->movement != MM_MOVEMENT_POSTPAID;
}

static void check_credit(sales_t *self, int node, const mm_credit_record_t *credit, uint32_t checksum) {
    if (credit->command_id != 0) {
        take_answer(self, node, credit->command_id, MM_RESULT_DONE, checksum);
    }
    if (is_seen(&self->nodes[node], checksum)) {
        return; // carried over by thinning
    }
    self->totals.movements++;
    move_credit(self, node, credit);
    if (credit->count != 0) {
        check_purchase(self, node, credit, checksum);
    }
}

void sales_on_record(sales_t *self, int node, const mm_record_t *record, uint32_t checksum) {
    if (record->type == MM_RECORD_RESULT) {
        check_result(self, node, &record->result, checksum);
    } else if (record->type == MM_RECORD_CREDIT) {
        check_credit(self, node, &record->credit, checksum);
    } else if (record->type == MM_RECORD_EVENT && record->event.code == MM_EVENT_SUPPLY_CUT) {
        self->totals.cuts++;
        if ((record->event.values[1] & MM_RELAY_NO_CREDIT) != 0) {
            mm_sim_probe(self->sim, MM_SIM_PROBE_CREDIT_EXHAUSTED, node);
        }
    } else if (record->type == MM_RECORD_EVENT && record->event.code == MM_EVENT_CREDIT_ERA) {
        uint32_t era = (uint32_t)record->event.values[0];
        uint32_t before = self->nodes[node].made_era;
        if (before != 0 && before != era) {
            truth_fail(self->truth, "node %d begins another era", node);
        }
        self->nodes[node].made_era = era;
    }
}

// --- between two calls

static void check_meter(sales_t *self, int index, uint8_t channel) {
    const device_t *device = &self->devices[index];
    const mm_control_t *control = &device->node.control;
    const mm_credit_t *credit = &control->credits[channel];
    const sales_meter_t *meter = &self->nodes[index].meters[channel];
    uint64_t life_pulses = device->node.metering.registers.channels[channel].life_pulses;
    if (credit->prepaid != meter->prepaid) {
        truth_fail(self->truth, "node %d channel %u is %s, and its records say otherwise", index, channel,
                   credit->prepaid ? "prepaid" : "postpaid");
        return;
    }
    bool told = (control->relay_set >> channel & 1) != 0;
    bool closed = (control->relay_closed >> channel & 1) != 0;
    if (told && closed != device->relay.closed[channel]) {
        truth_fail(self->truth, "node %d channel %u: the relay is not where the node believes it", index, channel);
    }
    if (told && closed && credit->relay_reasons != 0) {
        truth_fail(self->truth, "node %d channel %u: supply is on, and there is reason %u to cut it", index, channel,
                   credit->relay_reasons);
    }
    if (!credit->prepaid) {
        return;
    }
    self->totals.checks++;
    int64_t balance_wh = mm_credit_balance_wh(credit, life_pulses, constant_of(self, index, channel));
    int64_t consumed = consumed_wh(self, index, channel, life_pulses);
    if (credit->applied_wh != meter->applied_wh || consumed + balance_wh != credit->applied_wh) {
        truth_fail(self->truth,
                   "node %d channel %u: consumed %" PRId64 " and balance %" PRId64 " are not applied %" PRId64
                   " (records: %" PRId64 ")",
                   index, channel, consumed, balance_wh, credit->applied_wh, meter->applied_wh);
    }
    bool exhausted = balance_wh <= 0 && !credit->emergency_taken && !meter->may_be_quiet;
    if (exhausted && told && closed && mm_sim_now(self->sim) > 0 && control->retry_at <= device_local_now(device)) {
        truth_fail(self->truth, "node %d channel %u: supply is on, and the balance is %" PRId64, index, channel,
                   balance_wh);
    }
}

void sales_check_node(sales_t *self, int node) {
    const device_t *device = &self->devices[node];
    if (!device->node.control.usable || device->node.metering.pending_type != MM_RECORD_NONE) {
        return; // between image and journal
    }
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        if (device->node.metering.options.meters[channel].id[0] != '\0') {
            check_meter(self, node, channel);
        }
    }
}

// --- the end

static void compare_orders(sales_t *self) {
    for (size_t i = 0; i < self->order_count; i++) {
        const order_t *order = &self->orders[i];
        if (order->made_checksum == 0 || order->state != ORDER_ANSWERED) {
            truth_fail(self->truth, "order %zu (%s, node %d) has %s answer", i + 1, mm_command_kind_name(order->kind),
                       order->node, order->made_checksum == 0 ? "no" : "lost its");
        } else if (!sales_is_answer(order, order->hq_checksum)) {
            truth_fail(self->truth, "order %zu has another answer at HQ than at node %d", i + 1, order->node);
        }
    }
}

static void compare_purchases(sales_t *self) {
    for (size_t i = 0; i < self->purchase_count; i++) {
        const purchase_t *purchase = &self->purchases[i];
        bool is_open = purchase->state == PURCHASE_ISSUED || purchase->state == PURCHASE_VOIDING;
        bool made_applied = purchase->made_checksum != 0 && !purchase->made_void;
        bool made_void = purchase->made_checksum != 0 && purchase->made_void;
        if (made_applied != (purchase->state == PURCHASE_APPLIED) || made_void != (purchase->state == PURCHASE_VOID)) {
            truth_fail(self->truth, "purchase %zu of node %d channel %u: HQ and the meter do not agree", i + 1,
                       purchase->node, purchase->channel);
        }
        uint64_t *sum = is_open                               ? &self->totals.pending_wh
                        : purchase->state == PURCHASE_APPLIED ? &self->totals.applied_wh
                                                              : &self->totals.void_wh;
        if (purchase->amount_wh > 0) {
            self->totals.issued_wh += (uint64_t)purchase->amount_wh;
            *sum += (uint64_t)purchase->amount_wh;
        }
    }
    const sales_totals_t *totals = &self->totals;
    if (totals->issued_wh != totals->applied_wh + totals->pending_wh + totals->void_wh) {
        truth_fail(self->truth, "issued %" PRIu64 " Wh are not applied, pending and void", totals->issued_wh);
    }
}

// What HQ was told last is what the meter has: the registers stand still.
static void compare_balances(sales_t *self, int index) {
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        const sales_meter_t *meter = &self->nodes[index].meters[channel];
        const mm_control_t *control = &self->devices[index].node.control;
        const mm_credit_t *credit = &control->credits[channel];
        uint64_t life_pulses = self->devices[index].node.metering.registers.channels[channel].life_pulses;
        if (meter->hq_prepaid != credit->prepaid) {
            truth_fail(self->truth, "node %d channel %u: HQ does not know that it is %s", index, channel,
                       credit->prepaid ? "prepaid" : "postpaid");
        } else if (credit->prepaid &&
                   (meter->hq_applied_wh != credit->applied_wh ||
                    meter->hq_balance_wh !=
                        mm_credit_balance_wh(credit, life_pulses, constant_of(self, index, channel)))) {
            truth_fail(self->truth, "node %d channel %u: HQ's balance %" PRId64 " of %" PRId64 " is not the meter's",
                       index, channel, meter->hq_balance_wh, meter->hq_applied_wh);
        }
    }
}

void sales_compare(sales_t *self) {
    compare_orders(self);
    compare_purchases(self);
    for (int node = 0; node < self->node_count; node++) {
        sales_check_node(self, node);
        compare_balances(self, node);
    }
}
