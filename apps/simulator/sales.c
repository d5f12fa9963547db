// SPDX-License-Identifier: Apache-2.0
#include "simulator/sales.h"

#include <stdlib.h>
#include <string.h>

#include "meshmeter/batch.h"
#include "meshmeter/crc32.h"

#define TOPIC "meter/house/cmd"
#define DATABASE_ID 0x5a1e5
// HQ puts a batch together when the messages of a session are committed.
#define DISPATCH_US (MM_US_PER_S / 2)
#define MINUTE_US (60 * MM_US_PER_S)

// --- the queue

static void *grow(void *items, size_t count, size_t *capacity, size_t item_bytes) {
    if (count < *capacity) {
        return items;
    }
    *capacity = *capacity == 0 ? 256 : *capacity * 2;
    items = realloc(items, *capacity * item_bytes);
    MM_ASSERT(items != NULL);
    return items;
}

static int64_t utc_s(const sales_t *self) {
    return (self->begin_utc_us + mm_sim_now(self->sim)) / MM_US_PER_S;
}

static void dispatch_soon(sales_t *self);

uint64_t sales_order(sales_t *self, int node, uint8_t channel, uint8_t kind, const mm_command_body_t *body) {
    self->orders = grow(self->orders, self->order_count, &self->order_capacity, sizeof *self->orders);
    order_t *order = &self->orders[self->order_count++];
    *order = (order_t){.node = node, .channel = channel, .kind = kind};
    if (body != NULL) {
        order->body = *body;
    }
    if (kind == MM_COMMAND_CREDIT || kind == MM_COMMAND_VOID || kind == MM_COMMAND_ADJUST) {
        order->purchase_id = order->body.credit.purchase_id;
    } else if (mm_random_below(&self->random, 8) == 0) {
        order->not_after_s = (uint64_t)utc_s(self) + 600 + mm_random_below(&self->random, 86400);
    }
    self->totals.orders++;
    mm_sim_note(self->sim, node, "order", self->order_count, ((uint64_t)channel << 8) | kind);
    dispatch_soon(self);
    return self->order_count;
}

purchase_t *sales_add_purchase(sales_t *self) {
    self->purchases = grow(self->purchases, self->purchase_count, &self->purchase_capacity, sizeof *self->purchases);
    purchase_t *purchase = &self->purchases[self->purchase_count++];
    *purchase = (purchase_t){0};
    self->totals.purchases++;
    return purchase;
}

// --- the batch

static bool seal(sales_t *self, order_t *order, uint64_t id) {
    sales_node_t *node = &self->nodes[order->node];
    if (!node->is_known) {
        return false;
    }
    uint8_t body[MM_COMMAND_BODY_BYTES_MAX];
    mm_writer_t writer = mm_writer(body, sizeof body);
    MM_ASSERT(mm_command_body_put(order->kind, &order->body, &writer) == MM_OK); // customers.c knows the ranges
    node->counter_given++;
    order->era = node->era;
    order->counter = node->counter_given;
    const mm_command_t command = {.node = mm_sim_mesh_mac(order->node),
                                  .era = order->era,
                                  .counter = order->counter,
                                  .id = id,
                                  .not_after_s = order->not_after_s,
                                  .kind = order->kind,
                                  .channel = order->channel,
                                  .body_bytes = (uint8_t)writer.used_bytes,
                                  .body = body};
    order->sealed_bytes =
        mm_command_seal(order->sealed, sizeof order->sealed, &command, &self->devices[order->node].crypto.crypto);
    MM_ASSERT(order->sealed_bytes > 0);
    order->state = ORDER_SENT;
    return true;
}

// Oldest first, as many as fit; what does not fit follows when these are answered.
static size_t write_batch(sales_t *self, uint8_t *bytes, size_t capacity) {
    mm_command_batch_t batch = {.database_id = DATABASE_ID, .revision = self->revision + 1};
    size_t written = 0;
    for (size_t i = self->first_open; i < self->order_count && batch.count < MM_COMMAND_BATCH_MAX; i++) {
        order_t *order = &self->orders[i];
        if (order->state == ORDER_ANSWERED || (order->state == ORDER_QUEUED && !seal(self, order, i + 1))) {
            continue;
        }
        batch.commands[batch.count].bytes = order->sealed;
        batch.commands[batch.count].bytes_count = (uint16_t)order->sealed_bytes;
        batch.count++;
        size_t size = mm_command_batch_write(bytes, capacity, &batch);
        if (size == 0) {
            batch.count--;
            return mm_command_batch_write(bytes, capacity, &batch);
        }
        written = size;
    }
    return written; // 0: the blank
}

void sales_publish(sales_t *self) {
    if (mm_sim_broker_hq_is_connected(self->broker)) {
        mm_sim_broker_hq_publish(self->broker, TOPIC, self->batch, self->batch_bytes);
    }
}

// Whether two batches differ in more than their revision.
static bool is_same_batch(const sales_t *self, const uint8_t *bytes, size_t bytes_count) {
    mm_command_batch_t before;
    mm_command_batch_t after;
    if (bytes_count == 0 || self->batch_bytes == 0) {
        return bytes_count == self->batch_bytes;
    }
    MM_ASSERT(mm_command_batch_read(self->batch, self->batch_bytes, &before) == MM_OK);
    MM_ASSERT(mm_command_batch_read(bytes, bytes_count, &after) == MM_OK);
    bool same = before.count == after.count;
    for (uint8_t i = 0; same && i < before.count; i++) {
        same = before.commands[i].bytes_count == after.commands[i].bytes_count &&
               memcmp(before.commands[i].bytes, after.commands[i].bytes, before.commands[i].bytes_count) == 0;
    }
    return same;
}

static void dispatch(void *context, const void *payload, size_t payload_bytes) {
    sales_t *self = context;
    (void)payload;
    (void)payload_bytes;
    self->dispatch_due = false;
    while (self->first_open < self->order_count && self->orders[self->first_open].state == ORDER_ANSWERED) {
        self->first_open++;
    }
    static uint8_t s_bytes[MM_DOWNLINK_BYTES_MAX];
    size_t bytes_count = write_batch(self, s_bytes, sizeof s_bytes);
    if (is_same_batch(self, s_bytes, bytes_count)) {
        return;
    }
    memcpy(self->batch, s_bytes, bytes_count);
    self->batch_bytes = bytes_count;
    self->revision++;
    self->totals.batches++;
    sales_publish(self);
}

static void dispatch_soon(sales_t *self) {
    if (!self->dispatch_due) {
        self->dispatch_due = true;
        mm_sim_queue_add(self->sim->queue, mm_sim_now(self->sim) + DISPATCH_US, dispatch, self, NULL, 0);
    }
}

// --- what comes back

static bool is_new(uint32_t **list, size_t *count, uint32_t checksum) {
    for (size_t i = 0; i < *count; i++) {
        if ((*list)[i] == checksum) {
            return false;
        }
    }
    *list = realloc(*list, (*count + 1) * sizeof **list);
    MM_ASSERT(*list != NULL);
    (*list)[(*count)++] = checksum;
    return true;
}

static void answer_order(sales_t *self, uint64_t id, int node, uint32_t checksum, bool is_final) {
    if (id == 0 || id > self->order_count || self->orders[id - 1].node != node) {
        truth_fail(self->truth, "HQ gets an answer of node %d to order %llu, which it never had", node,
                   (unsigned long long)id);
        return;
    }
    order_t *order = &self->orders[id - 1];
    if (!is_final || order->state == ORDER_ANSWERED) {
        if (order->state == ORDER_ANSWERED && order->hq_checksum != checksum && !sales_is_answer(order, checksum)) {
            truth_fail(self->truth, "HQ gets two answers to order %llu of node %d", (unsigned long long)id, node);
        }
        return;
    }
    order->state = ORDER_ANSWERED;
    order->hq_checksum = checksum;
    dispatch_soon(self);
}

purchase_t *sales_find_purchase(sales_t *self, int node, uint8_t channel, uint32_t count) {
    for (size_t i = self->purchase_count; i > 0; i--) {
        purchase_t *purchase = &self->purchases[i - 1];
        if (purchase->node == node && purchase->channel == channel && purchase->count == count) {
            return purchase;
        }
    }
    return NULL;
}

static void take_credit(sales_t *self, int node, const mm_credit_record_t *credit, uint32_t checksum) {
    sales_node_t *its_node = &self->nodes[node];
    if (credit->command_id != 0) {
        answer_order(self, credit->command_id, node, checksum, true);
    }
    if (!is_new(&its_node->taken, &its_node->taken_count, checksum) || credit->count == 0) {
        return;
    }
    purchase_t *purchase = sales_find_purchase(self, node, credit->channel, credit->count);
    if (purchase == NULL) {
        truth_fail(self->truth, "HQ gets credit of node %d channel %u that nobody bought: count %u", node,
                   credit->channel, credit->count);
        return;
    }
    if (purchase->state == PURCHASE_APPLIED || purchase->state == PURCHASE_VOID) {
        truth_fail(self->truth, "HQ books count %u of node %d channel %u twice", credit->count, node, credit->channel);
        return;
    }
    purchase->state = credit->movement == MM_MOVEMENT_VOID ? PURCHASE_VOID : PURCHASE_APPLIED;
    its_node->meters[credit->channel].open--;
}

static void take_control(sales_t *self, int index, mm_reader_t *content) {
    mm_control_report_t control;
    if (mm_control_report_read(content, &control) != MM_OK) {
        truth_fail(self->truth, "HQ cannot read how far node %d is with commands", index);
        return;
    }
    sales_node_t *node = &self->nodes[index];
    if (node->is_known && node->era != control.era) {
        truth_fail(self->truth, "node %d has lost what it was told and sold", index);
    }
    if (!node->is_known) {
        node->is_known = true;
        node->era = control.era;
        node->counter_given = control.counter;
        dispatch_soon(self);
    }
    if (control.counter < node->counter_said) {
        return; // an older report
    }
    if (control.counter > node->counter_given) {
        truth_fail(self->truth, "node %d has taken command %u, and %u were given", index, control.counter,
                   node->counter_given);
    }
    node->counter_said = control.counter;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        sales_meter_t *meter = &node->meters[channel];
        meter->hq_prepaid = control.meters[channel].prepaid;
        meter->hq_balance_wh = control.meters[channel].balance_wh;
        meter->hq_applied_wh = control.meters[channel].applied_wh;
    }
}

static void take_record(sales_t *self, int node, const mm_record_view_t *view) {
    mm_record_t record;
    bool is_installation =
        (view->type == MM_RECORD_INSTALLATION || view->type == MM_RECORD_JOIN) && self->on_installation != NULL;
    if ((view->type != MM_RECORD_RESULT && view->type != MM_RECORD_CREDIT && !is_installation) ||
        mm_record_decode(view->type, view->payload, view->payload_bytes, &record) != MM_OK) {
        return;
    }
    uint32_t checksum = mm_crc32(mm_crc32(0, &view->type, 1), view->payload, view->payload_bytes);
    if (is_installation) {
        self->on_installation(self->context, node, &record, checksum);
        return;
    }
    if (record.type == MM_RECORD_RESULT) {
        if (record.result.command_id == 0 && self->on_installation != NULL) {
            return; // an installer's
        }
        answer_order(self, record.result.command_id, node, checksum, record.result.status != MM_RESULT_TRYING);
    } else {
        take_credit(self, node, &record.credit, checksum);
    }
}

static void take_frame(sales_t *self, const uint8_t *bytes, size_t bytes_count) {
    static mm_snapshot_t s_snapshot;
    mm_frame_t frame;
    mm_report_reader_t reader;
    if (mm_frame_open(bytes, bytes_count, &frame) != MM_OK || frame.type != MM_FRAME_REPORT ||
        mm_report_open(&frame, &reader) != MM_OK) {
        return;
    }
    int node = frame.source.bytes[5] - 1;
    if (node < 0 || node >= self->node_count) {
        return;
    }
    for (;;) {
        mm_record_view_t view;
        switch (mm_report_next(&reader, &s_snapshot, &view)) {
        case MM_REPORT_RECORD:
            take_record(self, node, &view);
            break;
        case MM_REPORT_CONTROL:
            take_control(self, node, &reader.control);
            break;
        case MM_REPORT_SNAPSHOT:
            break;
        case MM_REPORT_END:
        case MM_REPORT_CORRUPT:
        default:
            return;
        }
    }
}

void sales_on_message(sales_t *self, const uint8_t *bytes, size_t bytes_count) {
    mm_batch_reader_t batch;
    if (mm_batch_open(bytes, bytes_count, &batch) != MM_OK) {
        return; // a stranger's
    }
    const uint8_t *frame = NULL;
    size_t frame_bytes = 0;
    while (mm_batch_next(&batch, &frame, &frame_bytes)) {
        take_frame(self, frame, frame_bytes);
    }
}

bool sales_is_settled(const sales_t *self) {
    for (size_t i = self->first_open; i < self->order_count; i++) {
        if (self->orders[i].state != ORDER_ANSWERED) {
            return false;
        }
    }
    return true;
}

// --- life

static void act_again(void *context, const void *payload, size_t payload_bytes) {
    sales_t *self = context;
    int node;
    MM_ASSERT(payload_bytes == sizeof node);
    memcpy(&node, payload, sizeof node);
    if (!self->open) {
        return;
    }
    sales_act(self, node);
    mm_us_t after_us =
        MM_US_PER_S + (mm_us_t)mm_random_below(&self->random, 2 * 60 * self->minutes_order) * MM_US_PER_S;
    mm_sim_queue_add(self->sim->queue, mm_sim_now(self->sim) + after_us, act_again, self, &node, sizeof node);
}

void sales_init(sales_t *self, mm_sim_t *sim, mm_sim_broker_t *broker, truth_t *truth, device_t *devices,
                int node_count, int64_t begin_utc_us, uint32_t minutes_order) {
    memset(self, 0, sizeof *self);
    self->sim = sim;
    self->broker = broker;
    self->truth = truth;
    self->devices = devices;
    self->node_count = node_count;
    self->begin_utc_us = begin_utc_us;
    self->minutes_order = minutes_order;
    self->random = mm_sim_random(sim, "sales", 0);
}

void sales_deinit(sales_t *self) {
    for (int i = 0; i < self->node_count; i++) {
        free(self->nodes[i].seen);
        free(self->nodes[i].taken);
    }
    free(self->orders);
    free(self->purchases);
}

void sales_start(sales_t *self) {
    self->open = true;
    for (int node = 0; node < self->node_count; node++) {
        mm_us_t at = mm_sim_now(self->sim) + (mm_us_t)mm_random_below(&self->random, 60) * MINUTE_US;
        mm_sim_queue_add(self->sim->queue, at, act_again, self, &node, sizeof node);
    }
}

void sales_stop(sales_t *self) {
    self->open = false;
}
