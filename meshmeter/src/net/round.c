// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/round.h"

#include <string.h>

#define ASKS_MAX 3
#define NOT_FOUND UINT8_MAX
#define BITS_PER_WORD 32

static bool has_bit(const mm_round_t *self, uint8_t index) {
    return ((self->answered[index / BITS_PER_WORD] >> (index % BITS_PER_WORD)) & 1u) != 0;
}

static uint8_t find_node(const mm_round_t *self, mm_mac_t node) {
    for (uint8_t i = 0; i < self->node_count; i++) {
        if (mm_mac_equal(self->nodes[i], node)) {
            return i;
        }
    }
    return NOT_FOUND;
}

void mm_round_init(mm_round_t *self, mm_batch_builder_t *batches, uint8_t batch_capacity, mm_counters_t *counters) {
    MM_ASSERT(batches != NULL && batch_capacity > 0);
    memset(self, 0, sizeof *self);
    self->batches = batches;
    self->batch_capacity = batch_capacity;
    self->counters = counters;
    self->ask_again_at = MM_US_NEVER;
    self->deadline = MM_US_NEVER;
}

void mm_round_begin(mm_round_t *self, uint32_t round_id, uint8_t kind, const mm_mac_t *nodes, uint8_t node_count,
                    mm_us_t now, mm_us_t retry_us, mm_us_t deadline) {
    MM_ASSERT(round_id != 0 && round_id != self->round_id && node_count <= MM_NODES_MAX &&
              node_count <= (uint32_t)self->batch_capacity * MM_BATCH_NODES_MAX);
    self->round_id = round_id;
    self->kind = kind;
    self->open = node_count > 0;
    self->node_count = node_count;
    if (node_count > 0) {
        memcpy(self->nodes, nodes, node_count * sizeof nodes[0]);
    }
    memset(self->answered, 0, sizeof self->answered);
    self->answered_count = 0;
    memset(self->asks_made, 0, sizeof self->asks_made);
    self->ask_again_at = now;
    self->retry_us = retry_us;
    self->deadline = deadline;
    self->ask_index = node_count;
    for (uint8_t i = 0; i < self->batch_capacity; i++) {
        mm_batch_begin(&self->batches[i], self->batches[i].bytes, self->batches[i].capacity_bytes);
    }
    self->batch_count = 0;
    self->answer_batch = 0;
}

void mm_round_abort(mm_round_t *self) {
    self->open = false;
}

bool mm_round_next_ask(mm_round_t *self, mm_us_t now, mm_mac_t *node) {
    if (!self->open || now >= self->deadline) {
        return false;
    }
    // A wave goes once through the nodes; the next one begins retry_us after this one began.
    if (self->ask_index >= self->node_count && now >= self->ask_again_at) {
        self->ask_index = 0;
        self->ask_again_at = now + self->retry_us;
    }
    while (self->ask_index < self->node_count) {
        uint8_t i = self->ask_index++;
        if (!has_bit(self, i) && self->asks_made[i] < ASKS_MAX) {
            self->asks_made[i]++;
            *node = self->nodes[i];
            return true;
        }
    }
    bool any_left = false;
    for (uint8_t i = 0; i < self->node_count; i++) {
        any_left = any_left || (!has_bit(self, i) && self->asks_made[i] < ASKS_MAX);
    }
    if (!any_left) {
        self->ask_again_at = MM_US_NEVER;
    }
    return false;
}

// Into the first batch with room, so that a large frame closes no batch to smaller ones.
static mm_err_t add_to_batches(mm_round_t *self, const void *frame, size_t frame_bytes) {
    for (uint8_t i = 0; i < self->batch_capacity; i++) {
        if (mm_batch_add_frame(&self->batches[i], frame, frame_bytes) == MM_OK) {
            self->answer_batch = i;
            if (i >= self->batch_count) {
                self->batch_count = (uint8_t)(i + 1);
            }
            return MM_OK;
        }
    }
    return MM_ERR_FULL;
}

mm_err_t mm_round_answer(mm_round_t *self, mm_mac_t node, uint32_t round_id, const void *frame, size_t frame_bytes) {
    if (round_id == 0 || round_id != self->round_id) {
        mm_counters_count(self->counters, MM_COUNTER_ANSWER_LATE);
        return MM_ERR_STATE;
    }
    uint8_t index = find_node(self, node);
    if (index == NOT_FOUND) {
        mm_counters_count(self->counters, MM_COUNTER_ANSWER_STRANGER);
        return MM_ERR_STATE;
    }
    if (has_bit(self, index)) {
        mm_counters_count(self->counters, MM_COUNTER_ANSWER_DUPLICATE);
        return MM_ERR_STATE;
    }
    if (!self->open) {
        mm_counters_count(self->counters, MM_COUNTER_ANSWER_LATE);
        return MM_ERR_STATE;
    }
    if (add_to_batches(self, frame, frame_bytes) != MM_OK) {
        return MM_ERR_FULL;
    }
    self->answered[index / BITS_PER_WORD] |= UINT32_C(1) << (index % BITS_PER_WORD);
    self->answered_count++;
    self->open = self->answered_count < self->node_count;
    return MM_OK;
}

bool mm_round_poll(mm_round_t *self, mm_us_t now) {
    if (self->open && now >= self->deadline) {
        self->open = false;
        mm_counters_count(self->counters, MM_COUNTER_ROUND_INCOMPLETE);
    }
    return !self->open;
}

mm_us_t mm_round_next_deadline(const mm_round_t *self) {
    if (!self->open) {
        return MM_US_NEVER;
    }
    return self->ask_again_at < self->deadline ? self->ask_again_at : self->deadline;
}

uint8_t mm_round_missing(const mm_round_t *self, mm_mac_t *missing) {
    uint8_t count = 0;
    for (uint8_t i = 0; i < self->node_count; i++) {
        if (!has_bit(self, i)) {
            missing[count++] = self->nodes[i];
        }
    }
    return count;
}

bool mm_round_has_answered(const mm_round_t *self, mm_mac_t node) {
    uint8_t index = find_node(self, node);
    return index != NOT_FOUND && has_bit(self, index);
}
