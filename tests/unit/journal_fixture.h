// SPDX-License-Identifier: Apache-2.0
#ifndef MM_JOURNAL_FIXTURE_H
#define MM_JOURNAL_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "test_support.h"

#include "meshmeter/journal.h"
#include "meshmeter/record.h"
#include "sim/sim_flash.h"

// A journal on emulated flash, and beside it the truth: everything that was appended. mm_fixture_check compares the
// two, whatever thinning, power cuts and restarts happened in between.

#define FIXTURE_SECTORS_MAX 96
#define FIXTURE_RECORDS_MAX 12000
#define FIXTURE_OTHER_TYPE 77 // of a later version: carried and stored, not interpreted

typedef struct {
    uint32_t seq;
    uint8_t type;
    uint8_t payload_bytes;
    uint8_t payload[64];
    uint32_t pulses[MM_CHANNELS]; // of an interval record
} truth_t;

typedef struct {
    mm_sim_power_t power;
    mm_sim_flash_t flash;
    uint8_t *bytes;
    mm_sim_sector_t sectors[FIXTURE_SECTORS_MAX];
    mm_counters_t counters;
    mm_journal_t journal;
    mm_journal_opening_t opening;
    mm_position_t expected_next;
    truth_t *truth; // acknowledged ones
    uint32_t truth_count;
    uint32_t made; // records ever made; each is different
    uint32_t interval_no;
    uint64_t end_s;
    mm_trust_t trust;
    uint32_t released_seq;
    bool check_is_brief;
    bool giving_up_is_allowed; // only behind a gap record that says so
    bool gaps_are_allowed;     // damage or giving up is part of the test
} fixture_t;

static inline mm_err_t fixture_open(fixture_t *self, uint32_t sector_count) {
    const mm_journal_options_t options = {.sector_count = sector_count, .expected_next = self->expected_next};
    return mm_journal_open(&self->journal, &self->flash.flash, &self->counters, &options, &self->opening);
}

static inline fixture_t *fixture_create(uint32_t sector_count) {
    fixture_t *self = calloc(1, sizeof *self);
    assert_non_null(self);
    self->bytes = malloc((size_t)sector_count * MM_FLASH_SECTOR_BYTES);
    self->truth = calloc(FIXTURE_RECORDS_MAX, sizeof *self->truth);
    assert_non_null(self->bytes);
    assert_non_null(self->truth);
    mm_sim_power_init(&self->power, 1);
    mm_sim_flash_init(&self->flash, &self->power, self->bytes, self->sectors, sector_count);
    self->interval_no = 1;
    self->end_s = 1767225600; // 2026-01-01T00:00:00Z
    self->trust = MM_TRUST_SYNCED;
    assert_int_equal(fixture_open(self, sector_count), MM_OK);
    return self;
}

static inline void fixture_destroy(fixture_t *self) {
    free(self->truth);
    free(self->bytes);
    free(self);
}

// Power fails and comes back: RAM is gone.
static inline mm_err_t fixture_reopen(fixture_t *self) {
    uint32_t sector_count = self->journal.sector_count;
    mm_sim_power_up(&self->power);
    mm_sim_flash_age(&self->flash);
    memset(&self->journal, 0xA5, sizeof self->journal);
    mm_err_t err = fixture_open(self, sector_count);
    if (err == MM_OK && self->journal.epoch == 1) {
        mm_position_t watermark = {1, self->released_seq};
        assert_int_equal(mm_journal_set_watermark(&self->journal, watermark), MM_OK);
    }
    return err;
}

static inline truth_t fixture_encode(const mm_record_t *record) {
    truth_t truth = {.type = record->type};
    mm_writer_t writer = mm_writer(truth.payload, sizeof truth.payload);
    mm_record_encode(record, &writer);
    assert_false(writer.failed);
    truth.payload_bytes = (uint8_t)writer.used_bytes;
    if (record->type == MM_RECORD_INTERVAL) {
        memcpy(truth.pulses, record->interval.pulses, sizeof truth.pulses);
    }
    return truth;
}

static inline truth_t fixture_make_interval(fixture_t *self) {
    mm_record_t record = {.type = MM_RECORD_INTERVAL};
    mm_interval_record_t *interval = &record.interval;
    interval->interval_no = self->interval_no++;
    self->end_s += MM_INTERVAL_S;
    interval->end = (mm_label_t){self->end_s, self->trust};
    interval->duration_s = MM_INTERVAL_S;
    for (uint32_t channel = 0; channel < MM_CHANNELS; channel++) {
        interval->pulses[channel] = (interval->interval_no * 7919u + channel * 104729u) % 1500u;
    }
    self->made++;
    return fixture_encode(&record);
}

static inline truth_t fixture_make_event(fixture_t *self) {
    mm_record_t record = {.type = MM_RECORD_EVENT};
    record.event.code = MM_EVENT_BOOT;
    record.event.at = (mm_label_t){self->end_s, self->trust};
    record.event.boot_no = ++self->made;
    return fixture_encode(&record);
}

static inline truth_t fixture_make_other(fixture_t *self, uint8_t payload_bytes) {
    truth_t truth = {.type = FIXTURE_OTHER_TYPE, .payload_bytes = payload_bytes};
    self->made++;
    for (uint8_t index = 0; index < payload_bytes; index++) {
        truth.payload[index] = (uint8_t)(self->made >> (8 * (index % 4)));
    }
    return truth;
}

// Mostly intervals, as in a node; sometimes something else.
static inline truth_t fixture_make(fixture_t *self) {
    if (self->made % 23 == 11) {
        return fixture_make_event(self);
    }
    if (self->made % 31 == 17) {
        return fixture_make_other(self, (uint8_t)(4 + self->made % 59));
    }
    return fixture_make_interval(self);
}

static inline void fixture_acknowledge(fixture_t *self, const truth_t *truth, mm_position_t position) {
    assert_true(self->truth_count < FIXTURE_RECORDS_MAX);
    assert_int_equal(position.epoch, self->journal.epoch);
    self->truth[self->truth_count] = *truth;
    self->truth[self->truth_count++].seq = position.seq;
}

// As metering does it: prepare, then append to the position that was promised.
static inline mm_err_t fixture_append(fixture_t *self, const truth_t *truth) {
    mm_err_t err = mm_journal_prepare(&self->journal);
    if (err != MM_OK) {
        return err;
    }
    mm_position_t next = mm_journal_next(&self->journal);
    mm_position_t position;
    err = mm_journal_append(&self->journal, truth->type, truth->payload, truth->payload_bytes, &position);
    if (err == MM_OK) {
        assert_int_equal(mm_position_compare(position, next), 0);
        fixture_acknowledge(self, truth, position);
    }
    return err;
}

static inline void fixture_append_made(fixture_t *self, uint32_t count) {
    for (uint32_t index = 0; index < count; index++) {
        truth_t truth = fixture_make(self);
        assert_int_equal(fixture_append(self, &truth), MM_OK);
    }
}

static inline void fixture_release(fixture_t *self, uint32_t seq) {
    self->released_seq = seq;
    assert_int_equal(mm_journal_set_watermark(&self->journal, (mm_position_t){self->journal.epoch, seq}), MM_OK);
}

typedef struct {
    uint32_t seen_count;
    uint32_t thinned_count;
    uint32_t gap_thinned_count;
    uint32_t gap_full_count;
    uint32_t gap_damaged_count;
    uint32_t gap_damaged_seqs;
    uint32_t full_through_seq;
    uint32_t unacknowledged_count;
    uint64_t pulses; // of everything readable
} seen_t;

static inline truth_t *fixture_find(const fixture_t *self, uint32_t seq) {
    for (uint32_t low = 0, high = self->truth_count; low < high;) {
        uint32_t middle = (low + high) / 2;
        if (self->truth[middle].seq == seq) {
            return &self->truth[middle];
        }
        if (self->truth[middle].seq < seq) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static inline bool fixture_is_same(const truth_t *truth, const mm_journal_entry_t *entry) {
    return truth->type == entry->type && truth->payload_bytes == entry->payload_bytes &&
           memcmp(truth->payload, entry->payload, entry->payload_bytes) == 0;
}

static inline void fixture_check_thinned(fixture_t *self, const mm_interval_record_t *interval, uint8_t *covered) {
    uint64_t pulses[MM_CHANNELS] = {0};
    for (uint32_t index = 0; index < self->truth_count; index++) {
        const truth_t *truth = &self->truth[index];
        if (truth->type != MM_RECORD_INTERVAL || truth->seq < interval->thinned_first_seq ||
            truth->seq > interval->thinned_last_seq) {
            continue;
        }
        covered[index]++;
        for (uint32_t channel = 0; channel < MM_CHANNELS; channel++) {
            pulses[channel] += truth->pulses[channel];
        }
    }
    for (uint32_t channel = 0; channel < MM_CHANNELS; channel++) {
        assert_int_equal(interval->pulses[channel], pulses[channel]);
    }
}

static inline void fixture_check_entry(fixture_t *self, const mm_journal_entry_t *entry, const truth_t *pending,
                                       uint8_t *covered, seen_t *seen) {
    mm_record_t record;
    mm_err_t err = mm_record_decode(entry->type, entry->payload, entry->payload_bytes, &record);
    truth_t *truth = fixture_find(self, entry->position.seq);
    if (err == MM_OK && entry->type == MM_RECORD_INTERVAL) {
        for (uint32_t channel = 0; channel < MM_CHANNELS; channel++) {
            seen->pulses += record.interval.pulses[channel];
        }
    }
    if (truth != NULL) {
        assert_true(fixture_is_same(truth, entry));
        covered[truth - self->truth]++;
    } else if (err == MM_OK && entry->type == MM_RECORD_GAP) {
        assert_int_equal(record.gap.epoch, self->journal.epoch);
        assert_true(record.gap.last_seq < entry->position.seq);
        seen->gap_thinned_count += record.gap.reason == MM_GAP_THINNED;
        seen->gap_full_count += record.gap.reason == MM_GAP_FULL;
        if (record.gap.reason == MM_GAP_DAMAGED) {
            seen->gap_damaged_count++;
            seen->gap_damaged_seqs += record.gap.last_seq - record.gap.first_seq + 1;
        } else {
            assert_true(record.gap.last_seq <= self->journal.thinned_through_seq);
        }
        if (record.gap.reason == MM_GAP_FULL) {
            seen->full_through_seq = record.gap.last_seq;
        }
    } else if (err == MM_OK && entry->type == MM_RECORD_INTERVAL && record.interval.thinned) {
        seen->thinned_count++;
        fixture_check_thinned(self, &record.interval, covered);
    } else if (pending != NULL && fixture_is_same(pending, entry)) {
        seen->unacknowledged_count++;
    } else {
        uint32_t found = 0; // carried over
        for (uint32_t index = 0; index < self->truth_count; index++) {
            if (self->truth[index].seq <= self->journal.thinned_through_seq &&
                fixture_is_same(&self->truth[index], entry)) {
                covered[index]++;
                found++;
            }
        }
        assert_int_equal(found, 1);
    }
}

// Everything acknowledged is there exactly once, with the right content; `pending` (or NULL) at most once.
static inline seen_t fixture_check(fixture_t *self, const truth_t *pending) {
    static uint8_t covered[FIXTURE_RECORDS_MAX];
    memset(covered, 0, self->truth_count);
    seen_t seen = {0};
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry;
    mm_position_t after = {0, 0};
    uint32_t backlog = 0;
    uint32_t expected_seq = 0;
    while (mm_journal_read_after(&self->journal, after, &hint, &entry) == MM_OK) {
        assert_true(entry.position.seq > after.seq);
        assert_true(entry.position.seq < mm_journal_next(&self->journal).seq);
        // A sector of released records may vanish in pieces.
        if (!self->gaps_are_allowed && expected_seq != 0 && expected_seq > self->released_seq) {
            assert_int_equal(entry.position.seq, expected_seq);
        }
        expected_seq = entry.position.seq + 1;
        after = entry.position;
        backlog += entry.position.seq > self->released_seq;
        seen.seen_count++;
        fixture_check_entry(self, &entry, pending, covered, &seen);
    }
    if (!self->gaps_are_allowed) {
        // What a thinning that could not be finished has written is hidden.
        assert_true(expected_seq == 0 || self->journal.thinning.active ||
                    expected_seq == mm_journal_next(&self->journal).seq);
        assert_int_equal(seen.gap_damaged_count, 0);
        assert_true(seen.gap_full_count == 0 || self->giving_up_is_allowed);
        if (!self->check_is_brief) {
            assert_int_equal(mm_journal_backlog(&self->journal), backlog);
        }
    }
    assert_true(seen.unacknowledged_count <= 1);
    for (uint32_t index = 0; index < self->truth_count; index++) {
        bool released = self->truth[index].seq <= self->released_seq;
        bool given_up = self->giving_up_is_allowed && self->truth[index].seq <= seen.full_through_seq;
        bool may_be_missing = released || given_up || self->gaps_are_allowed;
        if (!(covered[index] == 1 || (covered[index] == 0 && may_be_missing))) {
            print_error("record %u (type %u) of %u is there %u times\n", self->truth[index].seq,
                        self->truth[index].type, mm_journal_next(&self->journal).seq, covered[index]);
        }
        assert_true(covered[index] == 1 || (covered[index] == 0 && may_be_missing));
    }
    return seen;
}

#endif
