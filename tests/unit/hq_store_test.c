// SPDX-License-Identifier: Apache-2.0
#include "hq_support.h"

#include "meshmeter/random.h"

#include "readings.h"
#include "store_internal.h"
#include "store_query.h"

#include <sys/wait.h>

// --- idempotency

static void test_store_same_batch_thrice_is_stored_once(void **state) {
    mm_store_t *store = hq_open(*state);
    hq_batch_t batch;
    hq_batch_intervals(&batch, hq_mac(1), 1, 1, 20);
    assert_int_equal(hq_commit(store, &batch).records, 20);
    mm_store_totals_t second = hq_commit(store, &batch);
    mm_store_totals_t third = hq_commit(store, &batch);
    assert_int_equal(second.records + third.records, 0);
    assert_int_equal(second.duplicates, 20);
    assert_int_equal(third.duplicates, 20);
    assert_int_equal(mm_store_totals(store).records, 20);
    hq_assert_watermark(store, hq_mac(1), 1, 20);
    hq_check(store);
    mm_store_close(store);
    assert_int_equal(hq_integer(*state, "SELECT count(*) FROM record"), 20);
}

static void test_store_same_batch_twice_in_one_transaction(void **state) {
    mm_store_t *store = hq_open(*state);
    hq_batch_t batch;
    hq_batch_intervals(&batch, hq_mac(1), 1, 1, 5);
    assert_int_equal(mm_store_begin(store), MM_STORE_OK);
    hq_put(store, &batch);
    hq_put(store, &batch);
    assert_int_equal(mm_store_commit(store, 0), MM_STORE_OK);
    assert_int_equal(mm_store_totals(store).records, 5);
    assert_int_equal(mm_store_totals(store).duplicates, 5);
    hq_check(store);
    mm_store_close(store);
}

// Every order of arrival gives the same rows and the same watermark.
static void test_store_shuffled_batches(void **state) {
    mm_store_t *store = hq_open(*state);
    mm_random_t random = mm_random(7);
    enum {
        PARTS = 40,
        PART = 7
    };
    uint32_t order[PARTS];
    for (uint32_t index = 0; index < PARTS; index++) {
        order[index] = index;
    }
    for (uint32_t index = PARTS - 1; index > 0; index--) {
        uint32_t other = mm_random_below(&random, index + 1);
        uint32_t kept = order[index];
        order[index] = order[other];
        order[other] = kept;
    }
    bool here[PARTS] = {false};
    for (uint32_t index = 0; index < PARTS; index++) {
        hq_batch_t batch;
        hq_batch_intervals(&batch, hq_mac(3), 2, order[index] * PART + 1, order[index] * PART + PART);
        hq_commit(store, &batch);
        here[order[index]] = true;
        uint32_t whole = 0;
        while (whole < PARTS && here[whole]) {
            whole++;
        }
        hq_assert_watermark(store, hq_mac(3), 2, whole * PART);
    }
    hq_check(store);
    assert_int_equal(mm_store_totals(store).records, PARTS * PART);
    mm_store_close(store);
    assert_int_equal(hq_integer(*state, "SELECT count(*) FROM span"), 1);
}

static void test_store_conflict_keeps_first(void **state) {
    mm_store_t *store = hq_open(*state);
    hq_batch_t batch;
    hq_batch_intervals(&batch, hq_mac(1), 1, 1, 3);
    hq_commit(store, &batch);
    mm_record_t other = hq_interval(2);
    other.interval.pulses[0] = 999;
    hq_batch_record(&batch, hq_mac(1), 1, 2, &other);
    mm_store_totals_t totals = hq_commit(store, &batch);
    assert_int_equal(totals.conflicts, 1);
    assert_int_equal(totals.quarantined, 1);
    // The same position under another day is the same position.
    other = hq_interval(200);
    hq_batch_record(&batch, hq_mac(1), 1, 2, &other);
    totals = hq_commit(store, &batch);
    assert_int_equal(totals.conflicts, 1);
    assert_int_equal(mm_store_totals(store).records, 3);
    hq_check(store);
    mm_store_close(store);
}

static void test_store_nodes_and_sites_do_not_mix(void **state) {
    mm_store_t *store = hq_open(*state);
    hq_batch_t batch;
    hq_batch_intervals(&batch, hq_mac(1), 1, 1, 4);
    hq_commit(store, &batch);
    mm_batch_reader_t reader;
    assert_int_equal(mm_batch_open(batch.message, batch.message_bytes, &reader), MM_OK);
    assert_int_equal(mm_store_begin(store), MM_STORE_OK);
    assert_int_equal(mm_store_put_batch(store, "other", "meter/other/info", &reader, HQ_UTC_US), MM_STORE_OK);
    assert_int_equal(mm_store_commit(store, 0), MM_STORE_OK);
    assert_string_equal(mm_store_touched_site(store, 0), "other");
    assert_null(mm_store_touched_site(store, 1));
    assert_int_equal(mm_store_totals(store).records, 8);
    hq_check(store);
    mm_store_close(store);
}

// --- watermark

static void test_store_watermark_stops_at_hole(void **state) {
    mm_store_t *store = hq_open(*state);
    hq_batch_t batch;
    hq_batch_intervals(&batch, hq_mac(1), 1, 1, 3);
    hq_commit(store, &batch);
    hq_batch_intervals(&batch, hq_mac(1), 1, 5, 9);
    hq_commit(store, &batch);
    hq_assert_watermark(store, hq_mac(1), 1, 3);
    hq_batch_intervals(&batch, hq_mac(1), 1, 4, 4);
    hq_commit(store, &batch);
    hq_assert_watermark(store, hq_mac(1), 1, 9);
    hq_check(store);
    mm_store_close(store);
}

static void test_store_gap_record_lets_watermark_pass(void **state) {
    mm_store_t *store = hq_open(*state);
    hq_batch_t batch;
    hq_batch_intervals(&batch, hq_mac(1), 1, 1, 3);
    hq_commit(store, &batch);
    hq_batch_intervals(&batch, hq_mac(1), 1, 8, 9);
    hq_commit(store, &batch);
    mm_record_t gap = hq_gap(1, 4, 7, MM_GAP_DAMAGED);
    hq_batch_record(&batch, hq_mac(1), 1, 10, &gap);
    hq_commit(store, &batch);
    hq_assert_watermark(store, hq_mac(1), 1, 10);
    // One of them comes after all: out of the gap, into the store.
    hq_batch_intervals(&batch, hq_mac(1), 1, 5, 5);
    assert_int_equal(hq_commit(store, &batch).records, 1);
    hq_assert_watermark(store, hq_mac(1), 1, 10);
    hq_check(store);
    mm_store_close(store);
    assert_int_equal(hq_integer(*state, "SELECT sum(last_seq - first_seq + 1) FROM gap WHERE explained"), 3);
}

// A gap record that speaks of itself or of the future would release records that were never sent.
static void test_store_impossible_gap_is_not_applied(void **state) {
    mm_store_t *store = hq_open(*state);
    hq_batch_t batch;
    mm_record_t gap = hq_gap(1, 2, 4000000000u, MM_GAP_FULL);
    hq_batch_record(&batch, hq_mac(1), 1, 1, &gap);
    mm_store_totals_t totals = hq_commit(store, &batch);
    assert_int_equal(totals.records, 1);
    assert_int_equal(totals.quarantined, 1);
    hq_assert_watermark(store, hq_mac(1), 1, 1);
    gap = hq_gap(7, 1, 5, MM_GAP_FULL);
    hq_batch_record(&batch, hq_mac(1), 1, 2, &gap);
    assert_int_equal(hq_commit(store, &batch).quarantined, 1);
    hq_assert_watermark(store, hq_mac(1), 1, 2);
    hq_check(store);
    mm_store_close(store);
}

static void test_store_oldest_jump_opens_unexplained_gap(void **state) {
    mm_store_t *store = hq_open(*state);
    hq_batch_t batch;
    hq_batch_intervals(&batch, hq_mac(1), 1, 1, 10);
    hq_commit(store, &batch);
    mm_snapshot_t snapshot = hq_snapshot(hq_mac(1), 1, 31, 61);
    hq_batch_snapshot(&batch, hq_mac(1), &snapshot);
    hq_commit(store, &batch);
    hq_assert_watermark(store, hq_mac(1), 1, 30);
    assert_int_equal(hq_integer(*state, "SELECT first_seq * 100 + last_seq FROM gap WHERE NOT explained"), 1130);
    // The next jump joins the gap; the explanation takes only what it names.
    snapshot = hq_snapshot(hq_mac(1), 1, 41, 62);
    hq_batch_snapshot(&batch, hq_mac(1), &snapshot);
    hq_commit(store, &batch);
    assert_int_equal(hq_integer(*state, "SELECT count(*) FROM gap"), 1);
    mm_record_t gap = hq_gap(1, 16, 35, MM_GAP_FULL);
    hq_batch_record(&batch, hq_mac(1), 1, 62, &gap);
    hq_commit(store, &batch);
    assert_int_equal(hq_integer(*state, "SELECT sum(last_seq - first_seq + 1) FROM gap WHERE explained"), 20);
    assert_int_equal(hq_integer(*state, "SELECT sum(last_seq - first_seq + 1) FROM gap WHERE NOT explained"), 10);
    assert_int_equal(hq_integer(*state, "SELECT count(*) FROM gap"), 3);
    hq_assert_watermark(store, hq_mac(1), 1, 40);
    hq_check(store);
    mm_store_close(store);
}

static void test_store_new_epoch(void **state) {
    mm_store_t *store = hq_open(*state);
    hq_batch_t batch;
    hq_batch_intervals(&batch, hq_mac(1), 1, 1, 10);
    hq_commit(store, &batch);
    mm_snapshot_t snapshot = hq_snapshot(hq_mac(1), 1, 1, 16); // 11 … 15 were made and not sent
    hq_batch_snapshot(&batch, hq_mac(1), &snapshot);
    hq_commit(store, &batch);
    hq_batch_intervals(&batch, hq_mac(1), 2, 1, 2);
    hq_commit(store, &batch);
    hq_assert_watermark(store, hq_mac(1), 2, 2);
    assert_int_equal(hq_integer(*state, "SELECT first_seq * 100 + last_seq FROM gap WHERE epoch = 1"), 1115);
    // A message of the old epoch was still under way, and one that nobody had announced.
    hq_batch_intervals(&batch, hq_mac(1), 1, 13, 14);
    hq_commit(store, &batch);
    hq_batch_intervals(&batch, hq_mac(1), 1, 18, 18);
    hq_commit(store, &batch);
    hq_assert_watermark(store, hq_mac(1), 2, 2);
    assert_int_equal(hq_integer(*state, "SELECT sum(last_seq - first_seq + 1) FROM gap WHERE epoch = 1"), 5);
    // The node's own word explains.
    mm_record_t event =
        hq_event(MM_EVENT_JOURNAL_RESTARTED, (mm_label_t){(uint64_t)HQ_UTC_S, MM_TRUST_SYNCED}, 2, 1, 17, 0);
    hq_batch_record(&batch, hq_mac(1), 2, 3, &event);
    hq_commit(store, &batch);
    assert_int_equal(hq_integer(*state, "SELECT sum(last_seq - first_seq + 1) FROM gap WHERE explained"), 5);
    hq_assert_watermark(store, hq_mac(1), 2, 3);
    hq_check(store);
    mm_store_close(store);
}

// Random traffic of three epochs against a model that is nothing but flags.
#define MODEL_EPOCHS 3
#define MODEL_SEQS 120

typedef struct {
    bool stored[MODEL_EPOCHS + 1][MODEL_SEQS + 1];
    bool missing[MODEL_EPOCHS + 1][MODEL_SEQS + 1];
    uint32_t epoch;
    uint32_t next[MODEL_EPOCHS + 1];
} model_t;

static void model_miss(model_t *self, uint32_t epoch, uint32_t first, uint32_t last) {
    for (uint32_t seq = first; seq <= last; seq++) {
        if (!self->stored[epoch][seq]) {
            self->missing[epoch][seq] = true;
        }
    }
}

static void model_epoch(model_t *self, uint32_t epoch) {
    if (epoch > self->epoch) {
        if (self->epoch > 0 && self->next[self->epoch] > 1) {
            model_miss(self, self->epoch, 1, self->next[self->epoch] - 1);
        }
        self->epoch = epoch;
        self->next[epoch] = 1;
    }
}

static void model_store(model_t *self, uint32_t epoch, uint32_t seq) {
    model_epoch(self, epoch);
    self->stored[epoch][seq] = true;
    self->missing[epoch][seq] = false;
    if (seq >= self->next[epoch]) {
        self->next[epoch] = seq + 1;
    }
    if (epoch < self->epoch) {
        model_miss(self, epoch, 1, seq);
    }
}

static uint32_t model_watermark(const model_t *self) {
    uint32_t seq = 0;
    while (seq < MODEL_SEQS && (self->stored[self->epoch][seq + 1] || self->missing[self->epoch][seq + 1])) {
        seq++;
    }
    return seq;
}

static void random_step(mm_random_t *random, uint32_t step, model_t *model, hq_batch_t *batch) {
    mm_mac_t node = hq_mac(9);
    uint32_t newest = 1 + step / 150;
    uint32_t epoch = mm_random_below(random, 6) == 0 ? 1 + mm_random_below(random, newest) : newest;
    uint32_t reach = 2 + (step % 150) * (MODEL_SEQS - 12) / 150;
    uint32_t first = 1 + mm_random_below(random, reach);
    switch (mm_random_below(random, 8)) {
    case 0: {
        mm_snapshot_t snapshot = hq_snapshot(node, epoch, 1 + mm_random_below(random, first), reach + 2);
        snapshot.uptime_ms = step;
        hq_batch_snapshot(batch, node, &snapshot);
        model_epoch(model, epoch);
        if (snapshot.oldest.seq > 1) {
            model_miss(model, epoch, 1, snapshot.oldest.seq - 1);
        }
        if (epoch == model->epoch && snapshot.next_seq > model->next[epoch]) {
            model->next[epoch] = snapshot.next_seq;
        }
        break;
    }
    case 1: {
        // Explained gap; its record's own place is fixed by its content, so that a repetition is a repetition.
        uint32_t seq = MODEL_SEQS - 8 + epoch;
        mm_record_t gap = hq_gap(epoch, 3 * epoch, 5 * epoch + 1, MM_GAP_THINNED);
        hq_batch_record(batch, node, epoch, seq, &gap);
        model_store(model, epoch, seq);
        model_miss(model, epoch, 3 * epoch, 5 * epoch + 1);
        break;
    }
    default: {
        uint32_t last = first + mm_random_below(random, 6);
        hq_batch_intervals(batch, node, epoch, first, last);
        for (uint32_t seq = first; seq <= last; seq++) {
            model_store(model, epoch, seq);
        }
        break;
    }
    }
}

static void test_store_random_traffic_equals_model(void **state) {
    for (uint64_t seed = 1; seed <= 8; seed++) {
        hq_world_t *world = *state;
        hq_remove(world->directory, "hq.db");
        hq_remove(world->directory, "hq.db-wal");
        hq_remove(world->directory, "hq.db-shm");
        mm_store_t *store = hq_open(world);
        mm_random_t random = mm_random(seed);
        model_t model = {.next = {1, 1, 1, 1}};
        assert_int_equal(mm_store_begin(store), MM_STORE_OK);
        for (uint32_t step = 0; step < 450; step++) {
            hq_batch_t batch;
            random_step(&random, step, &model, &batch);
            hq_put(store, &batch);
            if (mm_random_below(&random, 20) == 0) {
                assert_int_equal(mm_store_commit(store, step), MM_STORE_OK);
                hq_assert_watermark(store, hq_mac(9), model.epoch, model_watermark(&model));
                if (mm_random_below(&random, 3) == 0) {
                    hq_check(store);
                    mm_store_close(store);
                    store = hq_open(world);
                }
                assert_int_equal(mm_store_begin(store), MM_STORE_OK);
            }
        }
        assert_int_equal(mm_store_commit(store, 1000), MM_STORE_OK);
        hq_assert_watermark(store, hq_mac(9), model.epoch, model_watermark(&model));
        hq_check(store);
        mm_store_close(store);
        int64_t stored = 0;
        int64_t missing = 0;
        for (uint32_t epoch = 1; epoch <= MODEL_EPOCHS; epoch++) {
            for (uint32_t seq = 1; seq <= MODEL_SEQS; seq++) {
                stored += model.stored[epoch][seq];
                missing += model.missing[epoch][seq];
            }
        }
        assert_int_equal(hq_integer(world, "SELECT count(*) FROM record"), stored);
        assert_int_equal(hq_integer(world, "SELECT coalesce(sum(last_seq - first_seq + 1), 0) FROM gap"), missing);
    }
}

// --- thinned intervals

static bool sum_node(void *context, const mm_readings_node_t *node) {
    *(mm_readings_node_t *)context = *node;
    return true;
}

static mm_readings_node_t check_node(const hq_world_t *world) {
    mm_hq_error_t error;
    mm_readings_node_t node = {.epoch = 0};
    assert_int_equal(mm_readings_check(world->database, sum_node, &node, &error), MM_OK);
    return node;
}

// Intervals 1 … 8 have 1 … 8 pulses on channel 0. Thinned, 5 … 8 (26 pulses) stand in one record at position 20.
static void put_thinned(mm_store_t *store) {
    hq_batch_t batch;
    hq_report_t report;
    mm_record_t coarse = hq_interval(8);
    coarse.interval.thinned = true;
    coarse.interval.thinned_first_seq = 5;
    coarse.interval.thinned_last_seq = 8;
    coarse.interval.duration_s = 3600;
    for (uint32_t channel = 0; channel < MM_CHANNELS; channel++) {
        coarse.interval.pulses[channel] = 5 + 6 + 7 + 8 + 4 * channel;
    }
    mm_record_t gap = hq_gap(1, 5, 8, MM_GAP_THINNED);
    hq_report_begin(&report, hq_mac(1));
    hq_report_record(&report, 1, 20, &coarse);
    hq_report_record(&report, 1, 21, &gap);
    hq_report_end(&report);
    hq_batch_begin(&batch);
    hq_batch_add(&batch, &report);
    hq_batch_end(&batch);
    hq_commit(store, &batch);
}

static void put_fine(mm_store_t *store, uint32_t last) {
    hq_batch_t batch;
    hq_batch_intervals(&batch, hq_mac(1), 1, 1, last);
    hq_commit(store, &batch);
}

static void test_store_thinned_is_never_counted_twice(void **state) {
    for (int order = 0; order < 3; order++) {
        hq_world_t *world = *state;
        hq_remove(world->directory, "hq.db");
        mm_store_t *store = hq_open(world);
        if (order == 0) {
            put_fine(store, 8); // everything came before it was thinned
            put_thinned(store);
        } else if (order == 1) {
            put_thinned(store); // and after
            put_fine(store, 8);
        } else {
            put_fine(store, 4); // the fine ones never came
            put_thinned(store);
            hq_assert_watermark(store, hq_mac(1), 1, 8);
        }
        hq_check(store);
        mm_store_close(store);
        mm_readings_node_t node = check_node(world);
        assert_int_equal(node.intervals, 5);
        assert_int_equal(node.duplicate_intervals, 0);
        assert_int_equal(node.channels[0].interval_pulses, 36); // 1 + … + 8
        assert_int_equal(node.channels[3].interval_pulses, 36 + 8 * 3);
        assert_int_equal(node.missing, order == 2 ? 4 : 0);
        assert_int_equal(node.records, node.positions);
    }
}

// --- snapshots

static int64_t life_pulses(const hq_world_t *world) {
    return (int64_t)check_node(world).channels[0].life_pulses;
}

static void test_store_snapshot_never_goes_back(void **state) {
    mm_store_t *store = hq_open(*state);
    hq_batch_t batch;
    mm_snapshot_t snapshot = hq_snapshot(hq_mac(1), 1, 1, 50);
    hq_batch_snapshot(&batch, hq_mac(1), &snapshot);
    assert_int_equal(hq_commit(store, &batch).snapshots, 1);
    mm_snapshot_t older = hq_snapshot(hq_mac(1), 1, 1, 40);
    hq_batch_snapshot(&batch, hq_mac(1), &older);
    assert_int_equal(hq_commit(store, &batch).snapshots, 0);
    assert_int_equal(life_pulses(*state), 50);
    // Newer, but the register runs backwards within one boot: no node does that.
    mm_snapshot_t backwards = hq_snapshot(hq_mac(1), 1, 1, 60);
    backwards.meters[0].life_pulses = 49;
    hq_batch_snapshot(&batch, hq_mac(1), &backwards);
    mm_store_totals_t totals = hq_commit(store, &batch);
    assert_int_equal(totals.snapshots, 0);
    assert_int_equal(totals.quarantined, 1);
    assert_int_equal(life_pulses(*state), 50);
    // After a power cut it may, within the node's bound; HQ says so.
    backwards.boot_no = 2;
    hq_batch_snapshot(&batch, hq_mac(1), &backwards);
    assert_int_equal(hq_commit(store, &batch).snapshots, 1);
    assert_int_equal(life_pulses(*state), 49);
    assert_int_equal(hq_integer(*state, "SELECT count(*) FROM incident WHERE name = 'register_went_back'"), 1);
    // Another meter in its place begins where it likes.
    mm_snapshot_t replaced = hq_snapshot(hq_mac(1), 1, 1, 70);
    replaced.boot_no = 2;
    replaced.meters[0].life_pulses = 1;
    snprintf(replaced.meters[0].id, sizeof replaced.meters[0].id, "NEW");
    hq_batch_snapshot(&batch, hq_mac(1), &replaced);
    assert_int_equal(hq_commit(store, &batch).snapshots, 1);
    assert_int_equal(hq_integer(*state, "SELECT count(*) FROM incident"), 1);
    // Boot 1 again, later by synchronised clocks: the node lost its memory.
    mm_snapshot_t reborn = hq_snapshot(hq_mac(1), 1, 1, 80);
    snprintf(reborn.meters[0].id, sizeof reborn.meters[0].id, "NEW");
    hq_batch_snapshot(&batch, hq_mac(1), &reborn);
    assert_int_equal(hq_commit(store, &batch).snapshots, 1);
    assert_int_equal(hq_integer(*state, "SELECT count(*) FROM incident WHERE name = 'boot_number_went_back'"), 1);
    hq_check(store);
    mm_store_close(store);
}

static void test_store_missed_rounds_count_once(void **state) {
    mm_store_t *store = hq_open(*state);
    hq_batch_t batch;
    hq_batch_intervals(&batch, hq_mac(2), 1, 1, 1);
    hq_commit(store, &batch);
    for (uint32_t round = 1; round <= 3; round++) {
        hq_batch_begin(&batch);
        batch.header.round_id = round;
        batch.header.missing_count = 2;
        batch.header.missing[0] = hq_mac(2);
        batch.header.missing[1] = hq_mac(77); // never heard of
        hq_batch_end(&batch);
        hq_commit(store, &batch);
        hq_commit(store, &batch);
    }
    mm_store_close(store);
    assert_int_equal(hq_integer(*state, "SELECT missed_rounds FROM node"), 3);
    assert_int_equal(hq_integer(*state, "SELECT count(*) FROM node"), 1);
}

// --- content

static void test_store_undecodable_record_is_kept_and_passed(void **state) {
    mm_store_t *store = hq_open(*state);
    hq_report_t report;
    hq_batch_t batch;
    hq_report_begin(&report, hq_mac(1));
    hq_report_interval(&report, 1, 1);
    assert_int_equal(mm_report_put_record(&report.writer, (mm_position_t){1, 2}, MM_RECORD_INTERVAL, "\xFF\xFF", 2),
                     MM_OK);
    assert_int_equal(mm_report_put_record(&report.writer, (mm_position_t){1, 3}, 200, "later type", 10), MM_OK);
    hq_report_interval(&report, 1, 4);
    hq_report_end(&report);
    hq_batch_begin(&batch);
    hq_batch_add(&batch, &report);
    hq_batch_end(&batch);
    mm_store_totals_t totals = hq_commit(store, &batch);
    assert_int_equal(totals.records, 4);
    assert_int_equal(totals.quarantined, 1); // the later type is only not interpreted
    hq_assert_watermark(store, hq_mac(1), 1, 4);
    totals = hq_commit(store, &batch);
    assert_int_equal(totals.duplicates, 4);
    assert_int_equal(totals.quarantined, 0);
    hq_check(store);
    mm_store_close(store);
    assert_int_equal(check_node(*state).channels[0].interval_pulses, 1 + 4);
}

static void test_store_bad_frame_does_not_hide_others(void **state) {
    mm_store_t *store = hq_open(*state);
    hq_batch_t batch;
    hq_batch_begin(&batch);
    for (uint8_t number = 1; number <= 3; number++) {
        hq_report_t report;
        hq_report_begin(&report, hq_mac(number));
        hq_report_interval(&report, 1, 1);
        hq_report_end(&report);
        if (number == 2) {
            report.bytes[report.bytes_count / 2] ^= 0x10;
        }
        hq_batch_add(&batch, &report);
    }
    hq_batch_end(&batch);
    mm_store_totals_t totals = hq_commit(store, &batch);
    assert_int_equal(totals.records, 2);
    assert_int_equal(totals.quarantined, 1);
    hq_check(store);
    mm_store_close(store);
}

static void test_store_quarantine_is_bounded(void **state) {
    mm_store_t *store = hq_open(*state);
    static uint8_t large[MM_QUARANTINE_BYTES_MAX + 10];
    assert_int_equal(mm_store_begin(store), MM_STORE_OK);
    assert_int_equal(mm_store_quarantine(store, "t", "large", large, sizeof large, 1), MM_STORE_OK);
    assert_int_equal(mm_store_commit(store, 0), MM_STORE_OK);
    assert_int_equal(hq_integer(*state, "SELECT length(payload) FROM quarantine"), MM_QUARANTINE_BYTES_MAX);
    assert_int_equal(hq_integer(*state, "SELECT bytes FROM quarantine"), sizeof large);
    assert_int_equal(mm_store_begin(store), MM_STORE_OK);
    for (int index = 0; index < MM_QUARANTINE_ROWS_MAX + 5; index++) {
        assert_int_equal(mm_store_quarantine(store, "t", "many", "x", 1, 2), MM_STORE_OK);
    }
    assert_int_equal(mm_store_commit(store, 0), MM_STORE_OK);
    assert_int_equal(mm_store_totals(store).quarantined, MM_QUARANTINE_ROWS_MAX + 6);
    mm_store_close(store);
    assert_int_equal(hq_integer(*state, "SELECT count(*) FROM quarantine"), MM_QUARANTINE_ROWS_MAX);
}

static mm_record_t coarse_record(uint32_t interval_no, uint32_t first_seq, uint32_t last_seq) {
    mm_record_t coarse = hq_interval(interval_no);
    coarse.interval.thinned = true;
    coarse.interval.thinned_first_seq = first_seq;
    coarse.interval.thinned_last_seq = last_seq;
    for (uint32_t channel = 0; channel < MM_CHANNELS; channel++) {
        coarse.interval.pulses[channel] = 0;
        for (uint32_t seq = first_seq; seq <= last_seq; seq++) {
            coarse.interval.pulses[channel] += seq + channel;
        }
    }
    return coarse;
}

// A sum of sums: 5 … 8 became one record, then that and 9 … 12 became one, which names the first ones again. Any of
// these may have arrived before it was replaced, in any order; the last word of the node is a gap record of another
// reason.
static void test_store_thinned_twice(void **state) {
    for (uint32_t arrived = 0; arrived < 16; arrived++) {
        hq_world_t *world = *state;
        hq_remove(world->directory, "hq.db");
        mm_store_t *store = hq_open(world);
        hq_batch_t batch;
        mm_record_t sums[] = {coarse_record(8, 5, 8), coarse_record(12, 5, 12), coarse_record(16, 13, 16)};
        mm_record_t gap = hq_gap(1, 5, 25, MM_GAP_FULL);
        hq_batch_record(&batch, hq_mac(1), 1, 31, &sums[1]);
        hq_commit(store, &batch);
        hq_batch_record(&batch, hq_mac(1), 1, 32, &sums[2]);
        hq_commit(store, &batch);
        hq_batch_record(&batch, hq_mac(1), 1, 33, &gap);
        hq_commit(store, &batch);
        put_fine(store, 4);
        if ((arrived & 1) != 0) {
            hq_batch_intervals(&batch, hq_mac(1), 1, 5, 7);
            hq_commit(store, &batch);
        }
        if ((arrived & 2) != 0) {
            hq_batch_record(&batch, hq_mac(1), 1, 20, &sums[0]);
            hq_commit(store, &batch);
        }
        if ((arrived & 4) != 0) {
            hq_batch_intervals(&batch, hq_mac(1), 1, 10, 14);
            hq_commit(store, &batch);
        }
        if ((arrived & 8) != 0) {
            mm_record_t same = coarse_record(16, 13, 16); // thinned again without change
            hq_batch_record(&batch, hq_mac(1), 1, 40, &same);
            hq_commit(store, &batch);
        }
        hq_check(store);
        mm_store_close(store);
        mm_readings_node_t node = check_node(world);
        assert_int_equal(node.intervals, 6);
        assert_int_equal(node.duplicate_intervals, 0);
        assert_int_equal(node.channels[0].interval_pulses, 136); // 1 + … + 16
        assert_int_equal(node.channels[7].interval_pulses, 136 + 7 * 16);
    }
}

// An interval labelled with uptime finds its place when the same boot learns the time.
static void test_store_uptime_intervals_are_placed(void **state) {
    mm_store_t *store = hq_open(*state);
    hq_batch_t batch;
    hq_report_t report;
    mm_record_t boot = hq_event(MM_EVENT_BOOT, (mm_label_t){0, MM_TRUST_UNSET}, 5, 5, 1, 0);
    mm_record_t early = hq_interval(2);
    early.interval.end = (mm_label_t){200900, MM_TRUST_UNSET};
    mm_record_t sync = hq_event(MM_EVENT_TIME_SYNCED, (mm_label_t){(uint64_t)HQ_UTC_S, MM_TRUST_SYNCED}, 5, 5, 201000,
                                (uint64_t)HQ_UTC_S);
    hq_report_begin(&report, hq_mac(1));
    mm_snapshot_t snapshot = hq_snapshot(hq_mac(1), 1, 1, 4);
    hq_report_snapshot(&report, &snapshot);
    hq_report_record(&report, 1, 1, &boot);
    hq_report_record(&report, 1, 2, &early);
    hq_report_record(&report, 1, 3, &sync);
    hq_report_end(&report);
    hq_batch_begin(&batch);
    hq_batch_add(&batch, &report);
    hq_batch_end(&batch);
    hq_commit(store, &batch);
    mm_store_close(store);
    // Uptime 200,900 s, the clock said HQ_UTC_S at 201,000 s: the interval ended 100 s before.
    char path[128];
    const hq_world_t *world = *state;
    snprintf(path, sizeof path, "%s/out.csv", world->directory);
    FILE *output = fopen(path, "w+");
    assert_non_null(output);
    mm_hq_error_t error;
    mm_readings_options_t options = {
        .database_path = world->database, .from_s = HQ_UTC_S - 200, .to_s = HQ_UTC_S, .csv = true};
    assert_int_equal(mm_readings_print(&options, output, &error), MM_OK);
    char line[256];
    rewind(output);
    assert_non_null(fgets(line, sizeof line, output));
    assert_non_null(fgets(line, sizeof line, output));
    fclose(output);
    assert_string_equal(line, "M-1,home,02:00:00:00:00:01,0,2,2023-11-14T22:13:20Z,900,2,2,unset,0\n");
    assert_int_equal(hq_integer(world, "SELECT utc_s FROM event WHERE code = 1"), HQ_UTC_S - 201000);
}

// --- crashes and copies

static void copy_file(const char *from, const char *to) {
    char command[300];
    snprintf(command, sizeof command, "cp '%s' '%s'", from, to);
    assert_int_equal(system(command), 0);
}

static void test_store_restored_copy_is_refilled(void **state) {
    hq_world_t *world = *state;
    char copy[128];
    snprintf(copy, sizeof copy, "%s/old.db", world->directory);
    mm_store_t *store = hq_open(world);
    hq_batch_t batch;
    hq_batch_intervals(&batch, hq_mac(1), 1, 1, 20);
    hq_commit(store, &batch);
    mm_store_close(store);
    copy_file(world->database, copy);
    store = hq_open(world);
    mm_ack_t before;
    hq_batch_intervals(&batch, hq_mac(1), 1, 21, 40);
    assert_int_equal(mm_store_begin(store), MM_STORE_OK);
    hq_put(store, &batch);
    assert_int_equal(mm_store_commit(store, HQ_UTC_US + 1000), MM_STORE_OK);
    assert_int_equal(mm_store_ack(store, "home", HQ_UTC_US, &before), MM_STORE_OK);
    mm_store_close(store);

    copy_file(copy, world->database);
    store = hq_open(world);
    hq_assert_watermark(store, hq_mac(1), 1, 20);
    // The restored HQ is the same HQ, and must not look older than it was.
    assert_int_equal(mm_store_begin(store), MM_STORE_OK);
    assert_int_equal(mm_store_commit(store, HQ_UTC_US + 2000), MM_STORE_OK);
    mm_ack_t after;
    assert_int_equal(mm_store_ack(store, "home", HQ_UTC_US, &after), MM_STORE_OK);
    assert_true(after.database_id == before.database_id);
    assert_true(after.revision > before.revision);
    // The node sends again from the watermark on.
    hq_batch_intervals(&batch, hq_mac(1), 1, 21, 40);
    assert_int_equal(hq_commit(store, &batch).records, 20);
    hq_assert_watermark(store, hq_mac(1), 1, 40);
    hq_check(store);
    mm_store_close(store);
}

static void test_store_killed_inside_transaction(void **state) {
    hq_world_t *world = *state;
    mm_store_t *store = hq_open(world);
    hq_batch_t batch;
    hq_batch_intervals(&batch, hq_mac(1), 1, 1, 10);
    hq_commit(store, &batch);
    mm_store_close(store);
    for (uint32_t killed_after = 1; killed_after <= 5; killed_after++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            mm_store_t *doomed = hq_open(world);
            if (mm_store_begin(doomed) != MM_STORE_OK) {
                _exit(1);
            }
            for (uint32_t part = 0; part < killed_after; part++) {
                hq_batch_intervals(&batch, hq_mac(1), 1, 11 + part * 10, 20 + part * 10);
                hq_put(doomed, &batch);
            }
            kill(getpid(), SIGKILL);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        store = hq_open(world);
        hq_check(store);
        hq_assert_watermark(store, hq_mac(1), 1, 10);
        assert_int_equal(mm_store_totals(store).records, 10);
        mm_store_close(store);
    }
}

static void test_store_rollback_forgets_everything(void **state) {
    mm_store_t *store = hq_open(*state);
    hq_batch_t batch;
    hq_batch_intervals(&batch, hq_mac(1), 1, 1, 10);
    assert_int_equal(mm_store_begin(store), MM_STORE_OK);
    hq_put(store, &batch);
    mm_store_rollback(store);
    hq_assert_watermark(store, hq_mac(1), 0, 0);
    assert_int_equal(hq_commit(store, &batch).records, 10);
    hq_assert_watermark(store, hq_mac(1), 1, 10);
    hq_check(store);
    mm_store_close(store);
}

// Two writers on one file (a second HQ by mistake): each sees what the other has done.
static void test_store_two_writers(void **state) {
    mm_store_t *one = hq_open(*state);
    mm_store_t *two = hq_open(*state);
    hq_batch_t batch;
    for (uint32_t part = 0; part < 6; part++) {
        hq_batch_intervals(&batch, hq_mac(1), 1, part * 5 + 1, part * 5 + 5);
        hq_commit(part % 2 == 0 ? one : two, &batch);
        assert_int_equal(hq_commit(part % 2 == 0 ? two : one, &batch).duplicates, 5);
    }
    hq_assert_watermark(one, hq_mac(1), 1, 30);
    // What one remembers of the node is old when the other has seen it begin another epoch.
    hq_batch_intervals(&batch, hq_mac(1), 2, 1, 3);
    hq_commit(one, &batch);
    hq_batch_intervals(&batch, hq_mac(1), 1, 31, 33);
    hq_commit(two, &batch);
    hq_assert_watermark(one, hq_mac(1), 2, 3);
    hq_check(one);
    mm_store_close(one);
    hq_check(two);
    mm_store_close(two);
}

// --- schema

static void execute(const hq_world_t *world, const char *sql) {
    sqlite3 *db = NULL;
    char *message = NULL;
    assert_int_equal(sqlite3_open(world->database, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK) {
        fail_msg("%s", message);
    }
    sqlite3_close(db);
}

// Version 1 as it was; never to be changed here.
static const char s_version_1[] =
    "PRAGMA journal_mode = WAL; PRAGMA application_id = 1835878481; PRAGMA user_version = 1;"
    "CREATE TABLE total (id INTEGER PRIMARY KEY CHECK (id = 1), database_id INTEGER NOT NULL,"
    " revision INTEGER NOT NULL DEFAULT 0, records INTEGER NOT NULL DEFAULT 0, duplicates INTEGER NOT NULL DEFAULT 0,"
    " conflicts INTEGER NOT NULL DEFAULT 0, quarantined INTEGER NOT NULL DEFAULT 0,"
    " snapshots INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE site (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, tz TEXT NOT NULL DEFAULT '', root BLOB,"
    " root_utc_us INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE node (id INTEGER PRIMARY KEY, site INTEGER NOT NULL REFERENCES site(id),"
    " mac BLOB NOT NULL CHECK (length(mac) = 6), last_seen_us INTEGER NOT NULL DEFAULT 0,"
    " epoch INTEGER NOT NULL DEFAULT 0, watermark_seq INTEGER NOT NULL DEFAULT 0, next_seq INTEGER NOT NULL DEFAULT 1,"
    " oldest_seq INTEGER NOT NULL DEFAULT 1, interval_epoch INTEGER NOT NULL DEFAULT 0,"
    " interval_seq INTEGER NOT NULL DEFAULT 0, interval_no INTEGER NOT NULL DEFAULT 0, interval_payload BLOB,"
    " missed_rounds INTEGER NOT NULL DEFAULT 0, missed_root BLOB, missed_boot_no INTEGER NOT NULL DEFAULT 0,"
    " missed_round_id INTEGER NOT NULL DEFAULT 0, UNIQUE (site, mac));"
    "CREATE TABLE record (day INTEGER NOT NULL, node INTEGER NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,"
    " type INTEGER NOT NULL, payload BLOB NOT NULL, PRIMARY KEY (day, node, epoch, seq)) WITHOUT ROWID;"
    "CREATE TABLE span (node INTEGER NOT NULL, epoch INTEGER NOT NULL, first_seq INTEGER NOT NULL,"
    " last_seq INTEGER NOT NULL, PRIMARY KEY (node, epoch, first_seq)) WITHOUT ROWID;"
    "CREATE TABLE gap (node INTEGER NOT NULL, epoch INTEGER NOT NULL, first_seq INTEGER NOT NULL,"
    " last_seq INTEGER NOT NULL, reason INTEGER NOT NULL, explained INTEGER NOT NULL,"
    " PRIMARY KEY (node, epoch, first_seq)) WITHOUT ROWID;"
    "CREATE TABLE thinned (node INTEGER NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,"
    " first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL, PRIMARY KEY (node, epoch, seq)) WITHOUT ROWID;"
    "CREATE TABLE snapshot (node INTEGER PRIMARY KEY REFERENCES node(id), received_us INTEGER NOT NULL,"
    " frame BLOB NOT NULL);"
    "CREATE TABLE meter (node INTEGER NOT NULL REFERENCES node(id), channel INTEGER NOT NULL, id TEXT NOT NULL,"
    " PRIMARY KEY (node, channel)) WITHOUT ROWID;"
    "CREATE INDEX meter_id ON meter (id);"
    "CREATE TABLE month (node INTEGER NOT NULL, channel INTEGER NOT NULL, year_month INTEGER NOT NULL,"
    " epoch INTEGER NOT NULL, seq INTEGER NOT NULL, payload BLOB NOT NULL,"
    " PRIMARY KEY (node, channel, year_month)) WITHOUT ROWID;"
    "CREATE TABLE event (id INTEGER PRIMARY KEY, node INTEGER NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,"
    " code INTEGER NOT NULL, trust INTEGER NOT NULL, seconds INTEGER NOT NULL, boot_no INTEGER NOT NULL,"
    " utc_s INTEGER NOT NULL, placed INTEGER NOT NULL, value0 INTEGER NOT NULL, value1 INTEGER NOT NULL,"
    " value2 INTEGER NOT NULL, value3 INTEGER NOT NULL, UNIQUE (node, epoch, seq));"
    "CREATE INDEX event_boot ON event (node, boot_no); CREATE INDEX event_time ON event (utc_s);"
    "CREATE TABLE incident (id INTEGER PRIMARY KEY, node INTEGER NOT NULL REFERENCES node(id), utc_s INTEGER NOT NULL,"
    " name TEXT NOT NULL, value0 INTEGER NOT NULL, value1 INTEGER NOT NULL, value2 INTEGER NOT NULL,"
    " value3 INTEGER NOT NULL);"
    "CREATE TABLE quarantine (id INTEGER PRIMARY KEY, received_us INTEGER NOT NULL, topic TEXT NOT NULL,"
    " reason TEXT NOT NULL, bytes INTEGER NOT NULL, payload BLOB NOT NULL);"
    "INSERT INTO total (id, database_id, revision, records) VALUES (1, 4711, 5, 3);"
    "INSERT INTO site (id, name) VALUES (1, 'home');"
    "INSERT INTO node (id, site, mac, epoch, watermark_seq, next_seq) VALUES (1, 1, x'020000000001', 1, 3, 4);"
    "INSERT INTO span VALUES (1, 1, 1, 3);"
    "INSERT INTO record VALUES (0, 1, 1, 1, 200, x'01'), (0, 1, 1, 2, 200, x'02'), (0, 1, 1, 3, 200, x'03');";

static void test_store_migrates_version_1(void **state) {
    execute(*state, s_version_1);
    mm_store_t *store = hq_open(*state);
    assert_int_equal(hq_integer(*state, "PRAGMA user_version"), mmi_hq_schema_version());
    assert_int_equal(mm_store_totals(store).records, 3);
    mm_ack_t ack;
    assert_int_equal(mm_store_ack(store, "home", 0, &ack), MM_STORE_OK);
    assert_int_equal(ack.database_id, 4711);
    hq_assert_watermark(store, hq_mac(1), 1, 3);
    hq_batch_t batch;
    hq_batch_intervals(&batch, hq_mac(1), 1, 4, 6);
    hq_commit(store, &batch);
    hq_assert_watermark(store, hq_mac(1), 1, 6);
    hq_check(store);
    mm_store_close(store);
}

// Version 1 has one table too many, so the step to 2 fails: the file stays version 1, whole.
static void test_store_failed_migration_changes_nothing(void **state) {
    hq_world_t *world = *state;
    execute(world, s_version_1);
    execute(world, "CREATE TABLE notice (x)");
    mm_hq_error_t error;
    assert_null(mm_store_open(world->database, NULL, &error));
    assert_non_null(strstr(error.text, "migration"));
    assert_int_equal(hq_integer(world, "PRAGMA user_version"), 1);
    assert_int_equal(hq_integer(world, "SELECT count(*) FROM sqlite_schema WHERE name = 'legacy_meter'"), 0);
    execute(world, "DROP TABLE notice");
    mm_store_t *store = hq_open(world);
    hq_check(store);
    mm_store_close(store);
}

static void test_store_refuses_newer_and_foreign(void **state) {
    hq_world_t *world = *state;
    mm_hq_error_t error;
    mm_store_close(hq_open(world));
    execute(world, "PRAGMA user_version = 99");
    assert_null(mm_store_open(world->database, NULL, &error));
    assert_non_null(strstr(error.text, "99"));
    assert_non_null(strstr(error.text, world->database));
    assert_null(mm_query_open(world->database, &error));
    execute(world, "PRAGMA user_version = 2; PRAGMA application_id = 1");
    assert_null(mm_store_open(world->database, NULL, &error));
    assert_non_null(strstr(error.text, "another program"));
    assert_null(mm_store_open("/nowhere/hq.db", NULL, &error));
    assert_non_null(strstr(error.text, "/nowhere/hq.db"));
    assert_null(mm_query_open("/nowhere/hq.db", &error));
}

static void test_store_settings(void **state) {
    mm_store_t *store = hq_open(*state);
    mm_ack_t one;
    mm_ack_t two;
    assert_int_equal(mm_store_ack(store, "x", 0, &one), MM_STORE_OK);
    mm_store_close(store);
    store = hq_open(*state);
    assert_int_equal(mm_store_ack(store, "x", 0, &two), MM_STORE_OK);
    assert_true(one.database_id != 0 && one.database_id == two.database_id);
    mm_store_close(store);
    hq_remove(((hq_world_t *)*state)->directory, "hq.db");
    store = hq_open(*state);
    assert_int_equal(mm_store_ack(store, "x", 0, &two), MM_STORE_OK);
    assert_true(one.database_id != two.database_id);
    mm_store_close(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, hq_world_setup, hq_world_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_store_same_batch_thrice_is_stored_once),
        TEST(test_store_same_batch_twice_in_one_transaction),
        TEST(test_store_shuffled_batches),
        TEST(test_store_conflict_keeps_first),
        TEST(test_store_nodes_and_sites_do_not_mix),
        TEST(test_store_watermark_stops_at_hole),
        TEST(test_store_gap_record_lets_watermark_pass),
        TEST(test_store_impossible_gap_is_not_applied),
        TEST(test_store_oldest_jump_opens_unexplained_gap),
        TEST(test_store_new_epoch),
        TEST(test_store_random_traffic_equals_model),
        TEST(test_store_thinned_is_never_counted_twice),
        TEST(test_store_snapshot_never_goes_back),
        TEST(test_store_missed_rounds_count_once),
        TEST(test_store_undecodable_record_is_kept_and_passed),
        TEST(test_store_bad_frame_does_not_hide_others),
        TEST(test_store_quarantine_is_bounded),
        TEST(test_store_thinned_twice),
        TEST(test_store_uptime_intervals_are_placed),
        TEST(test_store_restored_copy_is_refilled),
        TEST(test_store_killed_inside_transaction),
        TEST(test_store_rollback_forgets_everything),
        TEST(test_store_two_writers),
        TEST(test_store_migrates_version_1),
        TEST(test_store_failed_migration_changes_nothing),
        TEST(test_store_refuses_newer_and_foreign),
        TEST(test_store_settings),
    };
    return cmocka_run_group_tests_name("hq store", tests, NULL, NULL);
}
