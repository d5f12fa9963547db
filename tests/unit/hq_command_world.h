// SPDX-License-Identifier: Apache-2.0
#ifndef MM_HQ_COMMAND_WORLD_H
#define MM_HQ_COMMAND_WORLD_H

#include "hq_support.h"

#include "commands.h"
#include "device_keys.h"
#include "operators.h"

#include "meshmeter/control.h"

/// Site "home" with nodes that have a key, and what they would answer: for the tests of HQ's command side.

typedef struct {
    hq_world_t *files;
    mm_store_t *store;
    mm_desk_t *desk;
    uint64_t uptime_ms; ///< of every node: each report is newer than the one before
    int64_t now_us;
    // The message dispatched last.
    uint8_t bytes[MM_DOWNLINK_BYTES_MAX];
    size_t bytes_count;
    bool changed;
    mm_command_batch_t batch;
    mm_command_t commands[MM_COMMAND_BATCH_MAX]; ///< opened with the device's key
} command_world_t;

static inline void world_key(uint8_t number, uint8_t key[MM_DEVICE_KEY_BYTES]) {
    memset(key, 0x40 + number, MM_DEVICE_KEY_BYTES);
}

static inline int command_world_setup(void **state) {
    command_world_t *self = calloc(1, sizeof *self);
    mm_hq_error_t error;
    if (hq_world_setup((void **)&self->files) != 0) {
        return -1;
    }
    self->now_us = HQ_UTC_US;
    self->store = hq_open(self->files);
    self->desk = mm_desk_open(NULL, self->files->database, &error);
    *state = self;
    return self->desk != NULL ? 0 : -1;
}

static inline int command_world_teardown(void **state) {
    command_world_t *self = *state;
    void *files = self->files;
    mm_desk_close(self->desk);
    mm_store_close(self->store);
    free(self);
    return hq_world_teardown(&files);
}

/// A report of node `number`: snapshot with journal 1/1 … next-1, then the control report, then records from `first`.
static inline void world_report(command_world_t *self, uint8_t number, uint32_t next,
                                const mm_control_report_t *control, uint32_t first, const mm_record_t *records,
                                size_t record_count) {
    mm_mac_t mac = hq_mac(number);
    mm_snapshot_t snapshot = hq_snapshot(mac, 1, 1, next);
    hq_report_t report;
    hq_batch_t batch;
    self->uptime_ms += 1000;
    snapshot.uptime_ms = self->uptime_ms;
    hq_report_begin(&report, mac);
    assert_int_equal(mm_report_put_snapshot(&report.writer, &snapshot), MM_OK);
    if (control != NULL) {
        assert_int_equal(mm_report_put_control(&report.writer, control), MM_OK);
    }
    for (size_t index = 0; index < record_count; index++) {
        hq_report_record(&report, 1, first + (uint32_t)index, &records[index]);
    }
    hq_report_end(&report);
    hq_batch_begin(&batch);
    hq_batch_add(&batch, &report);
    hq_batch_end(&batch);
    hq_commit(self->store, &batch);
}

static inline mm_control_report_t world_control(uint32_t era, uint32_t counter) {
    return (mm_control_report_t){.era = era, .counter = counter};
}

static inline void world_add_key(command_world_t *self, uint8_t number) {
    uint8_t key[MM_DEVICE_KEY_BYTES];
    mm_hq_error_t error;
    world_key(number, key);
    assert_int_equal(mm_device_keys_add(self->desk, hq_mac(number), key, self->now_us, &error), MM_DESK_OK);
}

/// The node reports for the first time, in era 100 + number; its journal is empty.
static inline void world_add_node(command_world_t *self, uint8_t number) {
    mm_control_report_t control = world_control(100u + number, 0);
    world_add_key(self, number);
    world_report(self, number, 1, &control, 1, NULL, 0);
}

static inline mm_desk_result_t world_try_order(command_world_t *self, const char *request, const char *target,
                                               const char *kind, const char *const *arguments, int priority,
                                               int64_t not_after_s, int64_t *order_id, mm_hq_error_t *error) {
    const mm_order_request_t order = {.request = request,
                                      .target = target,
                                      .kind = kind,
                                      .arguments = arguments,
                                      .priority = priority,
                                      .not_after_s = not_after_s,
                                      .operator_name = "test"};
    return mm_order(self->desk, &order, self->now_us, order_id, error);
}

static inline int64_t world_order(command_world_t *self, const char *request, const char *target, const char *kind,
                                  int priority) {
    static const char *const seconds[] = {"seconds=60", NULL};
    bool timed = strcmp(kind, "find") == 0 || strcmp(kind, "display_on") == 0;
    int64_t order_id = 0;
    mm_hq_error_t error = {{0}};
    if (world_try_order(self, request, target, kind, timed ? seconds : NULL, priority, 0, &order_id, &error) !=
        MM_DESK_OK) {
        fail_msg("%s", error.text);
    }
    return order_id;
}

/// Dispatch, and check what came out as the nodes would: each opens with its device's key.
static inline void world_dispatch(command_world_t *self) {
    mm_hq_error_t error = {{0}};
    if (mm_dispatch_site(self->desk, "home", self->now_us, self->bytes, &self->bytes_count, &self->changed, &error) !=
        MM_DESK_OK) {
        fail_msg("%s", error.text);
    }
    memset(&self->batch, 0, sizeof self->batch);
    if (self->bytes_count == 0) {
        return;
    }
    assert_int_equal(mm_command_batch_read(self->bytes, self->bytes_count, &self->batch), MM_OK);
    for (size_t index = 0; index < self->batch.count; index++) {
        uint8_t key[MM_DEVICE_KEY_BYTES];
        mm_device_crypto_t crypto;
        mm_command_t *command = &self->commands[index];
        assert_int_equal(
            mm_command_read(self->batch.commands[index].bytes, self->batch.commands[index].bytes_count, command),
            MM_OK);
        world_key(command->node.bytes[5], key);
        mm_device_crypto_init(&crypto, key);
        assert_int_equal(mm_command_verify(self->batch.commands[index].bytes, self->batch.commands[index].bytes_count,
                                           &crypto.crypto),
                         MM_OK);
    }
}

static inline mm_record_t world_result(const mm_command_t *command, uint8_t status) {
    mm_record_t record = {.type = MM_RECORD_RESULT};
    record.result = (mm_result_record_t){.era = command->era,
                                         .counter = command->counter,
                                         .command_id = command->id,
                                         .kind = command->kind,
                                         .channel = command->channel,
                                         .status = status,
                                         .at = {.seconds = HQ_UTC_S, .trust = MM_TRUST_SYNCED}};
    return record;
}

/// Number of commands in this state.
static inline int64_t world_count(const command_world_t *self, mm_command_state_t state) {
    char sql[64];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM command WHERE state = %d", (int)state);
    return hq_integer(self->files, sql);
}

#endif
