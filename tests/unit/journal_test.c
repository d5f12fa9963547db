// SPDX-License-Identifier: Apache-2.0
#include "journal_fixture.h"

#include <stdio.h>

static uint32_t first_record_offset(const fixture_t *f, uint32_t seq) {
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry;
    assert_int_equal(mm_journal_read_after(&f->journal, (mm_position_t){f->journal.epoch, seq - 1}, &hint, &entry),
                     MM_OK);
    assert_int_equal(entry.position.seq, seq);
    uint32_t record_bytes = (8u + entry.payload_bytes + 3u) & ~3u;
    return hint.sector_index * MM_FLASH_SECTOR_BYTES + hint.offset_bytes - record_bytes;
}

static void test_journal_append_and_read_back(void **state) {
    (void)state;
    fixture_t *f = fixture_create(4);
    assert_int_equal(f->journal.epoch, 1);
    assert_false(f->opening.restarted);
    assert_int_equal(mm_journal_next(&f->journal).seq, 1);
    assert_int_equal(mm_journal_oldest(&f->journal).seq, 1);
    fixture_append_made(f, 60);
    assert_int_equal(mm_journal_next(&f->journal).seq, 61);
    assert_int_equal(fixture_check(f, NULL).seen_count, 60);
    assert_int_equal(fixture_reopen(f), MM_OK);
    assert_int_equal(f->journal.epoch, 1);
    assert_int_equal(mm_journal_next(&f->journal).seq, 61);
    assert_int_equal(fixture_check(f, NULL).seen_count, 60);
    assert_int_equal(f->flash.overprogrammed_bytes, 0);
    fixture_destroy(f);
}

static void test_journal_payload_sizes(void **state) {
    (void)state;
    fixture_t *f = fixture_create(16);
    uint8_t payload[MM_RECORD_PAYLOAD_BYTES_MAX];
    for (uint32_t size = 0; size <= sizeof payload; size++) {
        memset(payload, (int)(size % 2 == 0 ? 0xFF : size), sizeof payload);
        mm_position_t position;
        assert_int_equal(mm_journal_append(&f->journal, 200, size == 0 ? NULL : payload, size, &position), MM_OK);
        assert_int_equal(position.seq, size + 1);
    }
    assert_int_equal(fixture_reopen(f), MM_OK);
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry = {.position = {0, 0}};
    for (uint32_t size = 0; size <= sizeof payload; size++) {
        assert_int_equal(mm_journal_read_after(&f->journal, entry.position, &hint, &entry), MM_OK);
        assert_int_equal(entry.position.seq, size + 1);
        assert_int_equal(entry.type, 200);
        assert_int_equal(entry.payload_bytes, size);
        for (uint32_t index = 0; index < size; index++) {
            assert_int_equal(entry.payload[index], (uint8_t)(size % 2 == 0 ? 0xFF : size));
        }
    }
    assert_int_equal(mm_journal_read_after(&f->journal, entry.position, &hint, &entry), MM_ERR_NOT_FOUND);
    mm_position_t position;
    expect_assert_failure(mm_journal_append(&f->journal, 200, payload, sizeof payload + 1, &position));
    expect_assert_failure(mm_journal_append(&f->journal, MM_RECORD_NONE, payload, 1, &position));
    fixture_destroy(f);
}

static void test_journal_read_after_without_hint_equals_with_hint(void **state) {
    (void)state;
    fixture_t *f = fixture_create(8);
    fixture_append_made(f, 500);
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t with;
    mm_position_t after = {1, 0};
    uint64_t reads = f->flash.reads;
    uint32_t count = 0;
    for (; mm_journal_read_after(&f->journal, after, &hint, &with) == MM_OK; count++) {
        after = with.position;
    }
    assert_int_equal(count, 500);
    // Two reads a record (its header and its payload) and one more at each end of a sector.
    assert_true(f->flash.reads - reads <= 2 * 500 + 100);
    for (uint32_t seq = 0; seq < 500; seq += 7) {
        mm_journal_hint_t fresh = {0};
        mm_journal_entry_t without;
        assert_int_equal(mm_journal_read_after(&f->journal, (mm_position_t){1, seq}, &fresh, &without), MM_OK);
        assert_int_equal(without.position.seq, seq + 1);
        // A hint for another place is not used.
        assert_int_equal(mm_journal_read_after(&f->journal, (mm_position_t){1, seq}, &hint, &with), MM_OK);
        assert_int_equal(with.position.seq, seq + 1);
    }
    // Another epoch: from the oldest.
    assert_int_equal(mm_journal_read_after(&f->journal, (mm_position_t){7, 300}, &hint, &with), MM_OK);
    assert_int_equal(with.position.seq, 1);
    assert_int_equal(mm_journal_read_after(&f->journal, (mm_position_t){1, UINT32_MAX}, &hint, &with),
                     MM_ERR_NOT_FOUND);
    fixture_destroy(f);
}

static void test_journal_hint_survives_appends_and_erases(void **state) {
    (void)state;
    fixture_t *f = fixture_create(4);
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry;
    mm_position_t after = {1, 0};
    for (uint32_t round = 0; round < 1500; round++) {
        fixture_append_made(f, 1);
        assert_int_equal(mm_journal_read_after(&f->journal, after, &hint, &entry), MM_OK);
        after = entry.position;
        if (round % 50 == 49) {
            fixture_release(f, after.seq); // HQ follows
        }
    }
    assert_int_equal(after.seq, mm_journal_next(&f->journal).seq - 1);
    fixture_check(f, NULL);
    fixture_destroy(f);
}

// Each ask brings the watermark, and asks for what is behind it: neither may cost a walk through the sector.
static void test_journal_watermark_that_moves_on_is_found_at_once(void **state) {
    (void)state;
    fixture_t *f = fixture_create(8);
    fixture_append_made(f, 500);
    fixture_release(f, 1);
    uint64_t reads = f->flash.reads;
    for (uint32_t seq = 2; seq < 500; seq++) {
        assert_int_equal(mm_journal_set_watermark(&f->journal, (mm_position_t){1, seq}), MM_OK);
        mm_journal_hint_t hint = f->journal.watermark_hint;
        mm_journal_entry_t entry;
        assert_int_equal(mm_journal_read_after(&f->journal, f->journal.watermark, &hint, &entry), MM_OK);
        assert_int_equal(entry.position.seq, seq + 1);
        assert_true(fixture_is_same(fixture_find(f, seq + 1), &entry));
    }
    // The record before and the one behind it, and that one again for the reader: a header and a payload each.
    assert_true(f->flash.reads - reads <= 6 * 500);
    // Back, where HQ has an older database: what was behind it then is found again.
    for (uint32_t seq = 499; seq >= 25; seq -= 25) {
        assert_int_equal(mm_journal_set_watermark(&f->journal, (mm_position_t){1, seq}), MM_OK);
        mm_journal_hint_t hint = f->journal.watermark_hint;
        mm_journal_entry_t entry;
        assert_int_equal(mm_journal_read_after(&f->journal, f->journal.watermark, &hint, &entry), MM_OK);
        assert_int_equal(entry.position.seq, seq + 1);
    }
    fixture_destroy(f);
}

static void test_journal_watermark_releases_and_moves_back(void **state) {
    (void)state;
    fixture_t *f = fixture_create(6);
    fixture_append_made(f, 300);
    assert_int_equal(mm_journal_backlog(&f->journal), 300);
    fixture_release(f, 120);
    assert_int_equal(mm_journal_backlog(&f->journal), 180);
    fixture_release(f, 300);
    assert_int_equal(mm_journal_backlog(&f->journal), 0);
    assert_int_equal(mm_journal_oldest(&f->journal).seq, 1); // released, still there
    fixture_release(f, 10);
    assert_int_equal(mm_journal_backlog(&f->journal), 290);
    assert_int_equal(f->counters.values[MM_COUNTER_WATERMARK_MOVED_BACK], 1);
    assert_int_equal(mm_journal_set_watermark(&f->journal, (mm_position_t){1, 301}), MM_ERR_ARG);
    assert_int_equal(mm_journal_set_watermark(&f->journal, (mm_position_t){2, 5}), MM_ERR_ARG);
    assert_int_equal(f->counters.values[MM_COUNTER_WATERMARK_REJECTED], 2);
    assert_int_equal(mm_journal_backlog(&f->journal), 290);
    fixture_check(f, NULL);
    fixture_destroy(f);
}

static void test_journal_released_sectors_are_erased_without_records_of_its_own(void **state) {
    (void)state;
    fixture_t *f = fixture_create(6);
    for (uint32_t round = 0; round < 3000; round++) {
        fixture_append_made(f, 1);
        fixture_release(f, mm_journal_next(&f->journal).seq - 1);
    }
    assert_int_equal(mm_journal_next(&f->journal).seq, 3001);
    seen_t seen = fixture_check(f, NULL);
    assert_true(seen.seen_count >= 4 * 85); // all but the head and the reserve are full of released records
    uint32_t least = UINT32_MAX;
    uint32_t most = 0;
    for (uint32_t index = 0; index < 6; index++) {
        uint32_t erase_count = f->sectors[index].erase_count;
        least = erase_count < least ? erase_count : least;
        most = erase_count > most ? erase_count : most;
    }
    assert_true(most - least <= 2);
    assert_int_equal(f->flash.overprogrammed_bytes, 0);
    // The watermark is known after a restart even if the caller forgot it, except for the last sector's worth.
    f->released_seq = 0;
    mm_sim_power_up(&f->power);
    assert_int_equal(fixture_open(f, 6), MM_OK);
    assert_true(f->journal.watermark.seq > 2800);
    fixture_destroy(f);
}

// HQ catches up at once and the power fails while the first sector is erased: no false alarm about what was in it.
static void test_journal_cut_in_release_is_no_damage(void **state) {
    (void)state;
    fixture_t *f = fixture_create(4);
    truth_t truth = fixture_make_interval(f);
    while (f->journal.sectors[3].state != MM_JOURNAL_SECTOR_USED) {
        assert_int_equal(fixture_append(f, &truth), MM_OK);
        truth = fixture_make_interval(f);
    }
    fixture_release(f, mm_journal_next(&f->journal).seq - 1);
    f->flash.torn_erase = MM_SIM_ERASE_SUFFIX;
    mm_sim_power_cut_after(&f->power, 1500); // behind the note that all is released, inside the erase
    assert_int_not_equal(fixture_append(f, &truth), MM_OK);
    mm_sim_power_up(&f->power);
    assert_int_equal(fixture_open(f, 4), MM_OK);
    assert_int_equal(f->opening.damaged_count, 0);
    fixture_check(f, &truth);
    fixture_destroy(f);
}

// Days of intervals: 96 a day become 24, then 1, and nothing of their sum is lost.
static void test_journal_thins_to_hours_and_days_with_exact_sums(void **state) {
    (void)state;
    fixture_t *f = fixture_create(8);
    uint64_t made_pulses = 0;
    uint32_t seen_thinned = 0;
    for (uint32_t round = 0; round < 4000; round++) {
        truth_t truth = fixture_make_interval(f);
        for (uint32_t channel = 0; channel < MM_CHANNELS; channel++) {
            made_pulses += truth.pulses[channel];
        }
        assert_int_equal(fixture_append(f, &truth), MM_OK);
        if (round % 97 == 0) {
            seen_t seen = fixture_check(f, NULL);
            assert_int_equal(seen.pulses, made_pulses);
            seen_thinned = seen.thinned_count;
        }
    }
    assert_true(seen_thinned > 40);
    assert_true(f->counters.values[MM_COUNTER_JOURNAL_THINNED] > 3000);
    assert_int_equal(fixture_reopen(f), MM_OK);
    assert_int_equal(fixture_check(f, NULL).pulses, made_pulses);
    // The oldest record is a whole day: 2026-01-02, or the rest of one where a sector ended.
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry;
    mm_position_t after = {1, 0};
    uint32_t days = 0;
    while (mm_journal_read_after(&f->journal, after, &hint, &entry) == MM_OK) {
        mm_record_t record;
        after = entry.position;
        assert_int_equal(mm_record_decode(entry.type, entry.payload, entry.payload_bytes, &record), MM_OK);
        days += record.type == MM_RECORD_INTERVAL && record.interval.duration_s == 86400 &&
                record.interval.end.seconds % 86400 == 0;
    }
    assert_true(days >= 5);
    fixture_destroy(f);
}

static void test_journal_thinning_joins_only_what_belongs_together(void **state) {
    (void)state;
    fixture_t *f = fixture_create(4);
    uint64_t made_pulses = 0;
    for (uint32_t round = 0; round < 700; round++) {
        if (round % 10 == 7) {
            f->trust = round % 20 == 7 ? MM_TRUST_HELD : MM_TRUST_SYNCED;
        }
        truth_t truth = fixture_make_interval(f);
        if (round % 33 == 5) { // a sum that would not fit 32 bits
            mm_record_t record;
            assert_int_equal(mm_record_decode(truth.type, truth.payload, truth.payload_bytes, &record), MM_OK);
            record.interval.pulses[3] = UINT32_MAX - 1;
            truth = fixture_encode(&record);
        }
        for (uint32_t channel = 0; channel < MM_CHANNELS; channel++) {
            made_pulses += truth.pulses[channel];
        }
        assert_int_equal(fixture_append(f, &truth), MM_OK);
    }
    f->gaps_are_allowed = false;
    seen_t seen = fixture_check(f, NULL);
    assert_int_equal(seen.pulses, made_pulses);
    assert_true(seen.thinned_count > 0);
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry;
    mm_position_t after = {1, 0};
    while (mm_journal_read_after(&f->journal, after, &hint, &entry) == MM_OK) {
        after = entry.position;
        mm_record_t record;
        if (mm_record_decode(entry.type, entry.payload, entry.payload_bytes, &record) == MM_OK &&
            record.type == MM_RECORD_INTERVAL && record.interval.thinned) {
            // What began in a day ends in it.
            assert_true((record.interval.end.seconds - record.interval.duration_s) / 86400 ==
                        (record.interval.end.seconds - 1) / 86400);
        }
    }
    fixture_destroy(f);
}

// Uptime labels of two boots look alike.
static void test_journal_thinning_keeps_boots_apart_while_time_is_unset(void **state) {
    (void)state;
    fixture_t *f = fixture_create(4);
    f->trust = MM_TRUST_UNSET;
    f->end_s = 0;
    for (uint32_t boot = 0; boot < 330; boot++) {
        f->end_s = boot % 2 == 0 ? 0 : 900;
        for (uint32_t round = 0; round < 2; round++) {
            truth_t truth = fixture_make_interval(f);
            mm_record_t record;
            assert_int_equal(mm_record_decode(truth.type, truth.payload, truth.payload_bytes, &record), MM_OK);
            record.interval.restarted = round == 0;
            truth = fixture_encode(&record);
            assert_int_equal(fixture_append(f, &truth), MM_OK);
        }
    }
    seen_t seen = fixture_check(f, NULL);
    assert_true(seen.thinned_count > 0);
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry;
    mm_position_t after = {1, 0};
    while (mm_journal_read_after(&f->journal, after, &hint, &entry) == MM_OK) {
        after = entry.position;
        mm_record_t record;
        if (mm_record_decode(entry.type, entry.payload, entry.payload_bytes, &record) == MM_OK &&
            record.type == MM_RECORD_INTERVAL) {
            assert_true(record.interval.duration_s <= 1800);
        }
    }
    fixture_destroy(f);
}

static void test_journal_carries_other_records_over(void **state) {
    (void)state;
    fixture_t *f = fixture_create(5);
    fixture_append_made(f, 900); // events and records of unknown types among them; the check finds each exactly once
    seen_t seen = fixture_check(f, NULL);
    assert_true(seen.gap_thinned_count > 0);
    assert_true(seen.thinned_count > 0);
    assert_int_equal(fixture_reopen(f), MM_OK);
    fixture_check(f, NULL);
    fixture_destroy(f);
}

// A record that cannot be read is in no sum, and no sum says that it is.
static void test_journal_thinning_leaves_damaged_records_out(void **state) {
    (void)state;
    fixture_t *f = fixture_create(4);
    for (uint32_t round = 0; round < 90; round++) {
        truth_t truth = fixture_make_interval(f);
        assert_int_equal(fixture_append(f, &truth), MM_OK);
    }
    const uint32_t damaged[] = {14, 31, 32, 50};
    for (size_t index = 0; index < 4; index++) {
        uint32_t offset = first_record_offset(f, damaged[index]);
        mm_sim_flash_flip_bit(&f->flash, (uint64_t)offset * 8 + 100);
    }
    for (uint32_t round = 0; round < 600; round++) { // to hours, then to days
        truth_t truth = fixture_make_interval(f);
        assert_int_equal(fixture_append(f, &truth), MM_OK);
    }
    // The sums are exact without them: no range may contain them.
    for (size_t index = 0; index < 4; index++) {
        fixture_find(f, damaged[index])->pulses[2] += 1000000;
    }
    f->gaps_are_allowed = true;
    seen_t seen = fixture_check(f, NULL);
    assert_true(seen.thinned_count > 0);
    assert_int_equal(seen.gap_damaged_count, 3); // and they are reported, though nobody asked for them: 14, 31-32, 50
    assert_int_equal(seen.gap_damaged_seqs, 4);
    fixture_destroy(f);
}

// What thinning leaves of a record that HQ has already: a range that begins behind the watermark.
static void test_journal_thins_only_what_is_not_released(void **state) {
    (void)state;
    fixture_t *f = fixture_create(4);
    fixture_append_made(f, 40);
    fixture_release(f, 33);
    fixture_append_made(f, 400);
    fixture_check(f, NULL);
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry;
    mm_position_t after = {1, 0};
    uint32_t gaps = 0;
    while (mm_journal_read_after(&f->journal, after, &hint, &entry) == MM_OK) {
        after = entry.position;
        mm_record_t record;
        if (mm_record_decode(entry.type, entry.payload, entry.payload_bytes, &record) != MM_OK) {
            continue;
        }
        if (record.type == MM_RECORD_GAP) {
            gaps++;
            assert_int_equal(record.gap.first_seq, 34);
            assert_int_equal(record.gap.reason, MM_GAP_THINNED);
        } else if (record.type == MM_RECORD_INTERVAL && record.interval.thinned) {
            assert_true(record.interval.thinned_first_seq >= 34);
        }
    }
    assert_true(gaps >= 1);
    fixture_destroy(f);
}

static void test_journal_gives_up_oldest_when_nothing_can_be_thinned(void **state) {
    (void)state;
    fixture_t *f = fixture_create(4);
    f->giving_up_is_allowed = true;
    uint32_t last_full = 0;
    for (uint32_t round = 0; round < 3000; round++) {
        f->end_s += 86400; // no two intervals on one day
        truth_t truth = round % 40 == 3 ? fixture_make_event(f) : fixture_make_interval(f);
        assert_int_equal(fixture_append(f, &truth), MM_OK);
        if (round % 211 == 210 && round > 500) {
            seen_t seen = fixture_check(f, NULL);
            assert_true(seen.gap_full_count >= 1);
            assert_true(seen.full_through_seq > last_full);
            last_full = seen.full_through_seq;
        }
    }
    // Events are kept much longer than intervals.
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry;
    mm_position_t after = {1, 0};
    uint32_t events = 0;
    while (mm_journal_read_after(&f->journal, after, &hint, &entry) == MM_OK) {
        after = entry.position;
        events += entry.type == MM_RECORD_EVENT;
    }
    assert_true(events >= 40);
    assert_int_equal(f->flash.overprogrammed_bytes, 0);
    fixture_destroy(f);
}

static void test_journal_full_of_events_gives_them_up_too(void **state) {
    (void)state;
    fixture_t *f = fixture_create(4);
    f->giving_up_is_allowed = true;
    for (uint32_t round = 0; round < 1500; round++) {
        truth_t truth = fixture_make_event(f);
        assert_int_equal(fixture_append(f, &truth), MM_OK);
    }
    seen_t seen = fixture_check(f, NULL);
    assert_true(seen.gap_full_count >= 1);
    fixture_destroy(f);
}

// Money, and what ends a command at HQ, stay while events come and go.
static void test_journal_full_of_events_keeps_credit_and_results(void **state) {
    (void)state;
    fixture_t *f = fixture_create(4);
    f->giving_up_is_allowed = true;
    for (uint32_t round = 0; round < 1500; round++) {
        truth_t truth = fixture_make_event(f);
        if (round == 20 || round == 60 || round == 90) {
            // The journal does not look inside.
            truth.type = round == 20 ? MM_RECORD_CREDIT : round == 60 ? MM_RECORD_RESULT : MM_RECORD_INSTALLATION;
        }
        assert_int_equal(fixture_append(f, &truth), MM_OK);
    }
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry;
    mm_position_t after = {1, 0};
    uint32_t kept = 0;
    uint32_t events = 0;
    while (mm_journal_read_after(&f->journal, after, &hint, &entry) == MM_OK) {
        after = entry.position;
        kept +=
            entry.type == MM_RECORD_CREDIT || entry.type == MM_RECORD_RESULT || entry.type == MM_RECORD_INSTALLATION;
        events += entry.type == MM_RECORD_EVENT;
    }
    assert_int_equal(kept, 3);
    assert_true(events < 1000);
    fixture_destroy(f);
}

static void test_journal_expected_next_ahead_becomes_a_gap(void **state) {
    (void)state;
    fixture_t *f = fixture_create(4);
    fixture_append_made(f, 30);
    f->expected_next = (mm_position_t){1, 2031};
    f->gaps_are_allowed = true;
    assert_int_equal(fixture_reopen(f), MM_OK);
    assert_true(f->opening.lost);
    assert_false(f->opening.restarted);
    assert_int_equal(f->opening.damaged_count, 2000);
    assert_int_equal(mm_journal_next(&f->journal).seq, 2031);
    // A pending record gets the position that its owner saved with it: no prepare before it.
    truth_t pending = fixture_make_interval(f);
    mm_position_t position;
    assert_int_equal(mm_journal_append(&f->journal, pending.type, pending.payload, pending.payload_bytes, &position),
                     MM_OK);
    assert_int_equal(position.seq, 2031);
    fixture_acknowledge(f, &pending, position);
    fixture_append_made(f, 5);
    seen_t seen = fixture_check(f, NULL);
    assert_int_equal(seen.gap_damaged_count, 1);
    assert_int_equal(seen.gap_damaged_seqs, 2000);
    // Said once.
    f->expected_next = mm_journal_next(&f->journal);
    assert_int_equal(fixture_reopen(f), MM_OK);
    fixture_append_made(f, 5);
    assert_int_equal(fixture_check(f, NULL).gap_damaged_count, 1);
    fixture_destroy(f);
}

static void test_journal_lost_flash_begins_a_new_epoch(void **state) {
    (void)state;
    fixture_t *f = fixture_create(4);
    fixture_append_made(f, 30);
    memset(f->bytes, 0xFF, 4 * MM_FLASH_SECTOR_BYTES);
    f->expected_next = (mm_position_t){1, 31};
    f->truth_count = 0;
    assert_int_equal(fixture_reopen(f), MM_OK);
    assert_true(f->opening.restarted);
    assert_int_equal(f->opening.previous_last.epoch, 1);
    assert_int_equal(f->opening.previous_last.seq, 30);
    assert_int_equal(f->journal.epoch, 2);
    assert_int_equal(mm_journal_next(&f->journal).seq, 1);
    // The epoch stands in flash before it is used.
    f->expected_next = (mm_position_t){2, 1};
    mm_sim_power_up(&f->power);
    assert_int_equal(fixture_open(f, 4), MM_OK);
    assert_false(f->opening.restarted);
    assert_int_equal(f->journal.epoch, 2);
    fixture_append_made(f, 30);
    fixture_check(f, NULL);
    // A register store of an earlier time does not bring an earlier epoch back, one of a later time begins another.
    f->expected_next = (mm_position_t){1, 500};
    assert_int_equal(fixture_open(f, 4), MM_OK);
    assert_int_equal(f->journal.epoch, 2);
    assert_int_equal(mm_journal_next(&f->journal).seq, 31);
    f->expected_next = (mm_position_t){9, 500};
    assert_int_equal(fixture_open(f, 4), MM_OK);
    assert_int_equal(f->journal.epoch, 10);
    assert_int_equal(f->opening.previous_last.epoch, 9);
    assert_int_equal(f->opening.previous_last.seq, 499);
    f->truth_count = 0;
    fixture_append_made(f, 700);
    fixture_check(f, NULL);
    fixture_destroy(f);
}

static void test_journal_opens_on_any_bytes(void **state) {
    (void)state;
    fixture_t *f = fixture_create(4);
    mm_random_t random = mm_random(99);
    for (uint32_t round = 0; round < 60; round++) {
        for (uint32_t index = 0; index < 4 * MM_FLASH_SECTOR_BYTES; index++) {
            f->bytes[index] = (uint8_t)(round < 2 ? round * 0xFF : mm_random_u32(&random));
        }
        f->expected_next = (mm_position_t){0, 0};
        f->truth_count = 0;
        assert_int_equal(fixture_open(f, 4), MM_OK);
        fixture_append_made(f, 20);
        fixture_check(f, NULL);
    }
    fixture_destroy(f);
}

static void test_journal_other_ring_size_restarts(void **state) {
    (void)state;
    fixture_t *f = fixture_create(8);
    fixture_append_made(f, 30);
    f->truth_count = 0;
    assert_int_equal(fixture_open(f, 6), MM_OK);
    assert_true(f->opening.restarted);
    assert_int_equal(f->journal.epoch, 2);
    fixture_append_made(f, 30);
    fixture_check(f, NULL);
    fixture_destroy(f);
}

static void test_journal_damage_is_reported_once_and_only_what_hq_needs(void **state) {
    (void)state;
    fixture_t *f = fixture_create(6);
    fixture_append_made(f, 200);
    fixture_release(f, 50);
    const uint32_t damaged[] = {20, 60, 61, 100, 150};
    uint32_t offsets[5];
    for (size_t index = 0; index < 5; index++) {
        offsets[index] = first_record_offset(f, damaged[index]);
    }
    for (size_t index = 0; index < 5; index++) {
        mm_sim_flash_flip_bit(&f->flash, (uint64_t)offsets[index] * 8 + 71);
    }
    f->gaps_are_allowed = true;
    assert_int_equal(fixture_reopen(f), MM_OK);
    fixture_append_made(f, 3);
    seen_t seen = fixture_check(f, NULL);
    assert_int_equal(seen.gap_damaged_count, 3); // 60-61, 100, 150; HQ has 20
    assert_int_equal(seen.gap_damaged_seqs, 4);
    for (uint32_t round = 0; round < 3; round++) {
        assert_int_equal(fixture_reopen(f), MM_OK);
        fixture_append_made(f, 3);
        assert_int_equal(fixture_check(f, NULL).gap_damaged_count, 3);
    }
    // HQ restored from a backup needs to know about 20 as well.
    fixture_release(f, 10);
    fixture_append_made(f, 3);
    assert_int_equal(fixture_check(f, NULL).gap_damaged_count, 4);
    fixture_destroy(f);
}

// A record that decays while the node runs: HQ's watermark stops before it, and that is when it is noticed.
static void test_journal_damage_at_run_time_is_reported_when_hq_waits(void **state) {
    (void)state;
    fixture_t *f = fixture_create(6);
    fixture_append_made(f, 100);
    uint32_t offset = first_record_offset(f, 70);
    mm_sim_flash_flip_bit(&f->flash, (uint64_t)offset * 8 + 5);
    f->gaps_are_allowed = true;
    fixture_append_made(f, 5);
    assert_int_equal(fixture_check(f, NULL).gap_damaged_count, 0);
    fixture_release(f, 69);
    fixture_append_made(f, 5);
    assert_int_equal(fixture_check(f, NULL).gap_damaged_count, 1);
    fixture_release(f, 69);
    fixture_append_made(f, 5);
    assert_int_equal(fixture_check(f, NULL).gap_damaged_count, 1);
    fixture_destroy(f);
}

// A record that was accepted although its cells are weak: a second copy was written at open.
static void test_journal_last_record_is_settled_at_open(void **state) {
    (void)state;
    fixture_t *f = fixture_create(4);
    fixture_append_made(f, 10);
    uint32_t offset = first_record_offset(f, 10);
    assert_int_equal(fixture_reopen(f), MM_OK);
    mm_sim_flash_flip_bit(&f->flash, (uint64_t)offset * 8 + 90);
    assert_int_equal(fixture_check(f, NULL).seen_count, 10);
    assert_int_equal(fixture_reopen(f), MM_OK);
    assert_int_equal(fixture_check(f, NULL).seen_count, 10);
    fixture_append_made(f, 200);
    fixture_check(f, NULL);
    fixture_destroy(f);
}

static void test_journal_device_that_refuses_all_is_read_only_and_empty(void **state) {
    (void)state;
    fixture_t *f = fixture_create(4);
    fixture_append_made(f, 10);
    mm_sim_flash_fail(&f->flash, MM_SIM_FAIL_READ | MM_SIM_FAIL_PROGRAM | MM_SIM_FAIL_ERASE, 0, UINT64_MAX);
    assert_int_equal(fixture_open(f, 4), MM_ERR_STORAGE);
    assert_true(f->journal.read_only);
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry;
    mm_position_t position;
    assert_int_equal(mm_journal_prepare(&f->journal), MM_ERR_STORAGE);
    assert_int_equal(mm_journal_append(&f->journal, MM_RECORD_EVENT, "x", 1, &position), MM_ERR_STORAGE);
    assert_int_equal(mm_journal_read_after(&f->journal, (mm_position_t){1, 0}, &hint, &entry), MM_ERR_NOT_FOUND);
    assert_int_equal(mm_journal_next(&f->journal).epoch, 0);
    assert_int_equal(mm_journal_oldest(&f->journal).epoch, 0);
    assert_int_equal(mm_journal_backlog(&f->journal), 0);
    assert_int_equal(mm_journal_set_watermark(&f->journal, (mm_position_t){1, 3}), MM_ERR_ARG);
    mm_sim_flash_fail(&f->flash, 0, 0, 0);
    assert_int_equal(fixture_reopen(f), MM_OK);
    assert_int_equal(fixture_check(f, NULL).seen_count, 10);
    fixture_destroy(f);
}

static void test_journal_that_cannot_be_written_can_be_read(void **state) {
    (void)state;
    fixture_t *f = fixture_create(4);
    fixture_append_made(f, 250);
    mm_sim_flash_fail(&f->flash, MM_SIM_FAIL_PROGRAM | MM_SIM_FAIL_ERASE, 0, UINT64_MAX);
    truth_t truth = fixture_make_interval(f);
    mm_position_t position;
    for (uint32_t round = 0; round < 20; round++) {
        assert_int_equal(mm_journal_append(&f->journal, truth.type, truth.payload, truth.payload_bytes, &position),
                         MM_ERR_STORAGE);
    }
    fixture_check(f, NULL);
    assert_int_equal(fixture_reopen(f), MM_OK);
    fixture_check(f, NULL);
    mm_sim_flash_fail(&f->flash, 0, 0, 0);
    assert_int_equal(fixture_reopen(f), MM_OK);
    fixture_append_made(f, 600);
    fixture_check(f, NULL);
    fixture_destroy(f);
}

static void test_journal_goes_on_around_bad_sectors(void **state) {
    (void)state;
    for (uint8_t fault = MM_SIM_SECTOR_PROGRAM_REFUSED; fault <= MM_SIM_SECTOR_READ_REFUSED; fault++) {
        for (uint32_t first = 0; first < 8; first++) {
            fixture_t *f = fixture_create(8);
            fixture_append_made(f, 150);
            // A sector that goes bad later, and one beside it. What stands in an unreadable one is lost.
            f->sectors[first].fault = fault;
            f->sectors[(first + 3) % 8].fault = fault;
            f->gaps_are_allowed = fault == MM_SIM_SECTOR_READ_REFUSED;
            uint32_t refused_count = 0;
            for (uint32_t round = 0; round < 900; round++) {
                truth_t truth = fixture_make(f);
                refused_count += fixture_append(f, &truth) != MM_OK;
            }
            assert_int_equal(refused_count, 0);
            fixture_check(f, NULL);
            assert_int_equal(fixture_reopen(f), MM_OK);
            fixture_append_made(f, 300);
            fixture_check(f, NULL);
            // A sector that was blank anyway does not show that its erase did nothing.
            assert_true(fault == MM_SIM_SECTOR_ERASE_IGNORED ||
                        f->counters.values[MM_COUNTER_JOURNAL_SECTOR_RETIRED] > 0);
            fixture_destroy(f);
        }
    }
}

// The n-th call of the device fails, once or from then on; then the device recovers, with or without a restart.
static void test_journal_nth_call_fails(void **state) {
    (void)state;
    static const unsigned kinds[] = {MM_SIM_FAIL_PROGRAM, MM_SIM_FAIL_ERASE, MM_SIM_FAIL_READ,
                                     MM_SIM_FAIL_READ | MM_SIM_FAIL_PROGRAM | MM_SIM_FAIL_ERASE};
    static const uint64_t counts[] = {1, 2, 5, UINT64_MAX};
    fixture_t *base = fixture_create(4);
    fixture_append_made(base, 330); // the next appends thin
    uint8_t *bytes = malloc(4 * MM_FLASH_SECTOR_BYTES);
    memcpy(bytes, base->bytes, 4 * MM_FLASH_SECTOR_BYTES);
    truth_t *truth = malloc(base->truth_count * sizeof *truth);
    memcpy(truth, base->truth, base->truth_count * sizeof *truth);
    fixture_t saved = *base;
    uint32_t run_count = 0;
    for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++) {
        for (size_t count = 0; count < sizeof counts / sizeof counts[0]; count++) {
            uint64_t step = kinds[kind] == MM_SIM_FAIL_PROGRAM || kinds[kind] == MM_SIM_FAIL_ERASE ? 1 : 61;
            for (uint64_t after = 0; after < (kinds[kind] == MM_SIM_FAIL_ERASE ? 4 : 150 * step);
                 after += step * MM_CASES_EVERY) {
                *base = saved;
                memcpy(base->bytes, bytes, 4 * MM_FLASH_SECTOR_BYTES);
                memcpy(base->truth, truth, saved.truth_count * sizeof *truth);
                mm_sim_flash_fail(&base->flash, kinds[kind], after, counts[count]);
                base->flash.fail_with_effect = after / step % 2 == 1;
                truth_t refused = {0};
                for (uint32_t round = 0; round < 120; round++) {
                    truth_t made = fixture_make(base);
                    if (fixture_append(base, &made) != MM_OK) {
                        refused = made;
                        break; // as metering does, keep it and try again later
                    }
                }
                mm_sim_flash_fail(&base->flash, 0, 0, 0);
                if (after / step % 3 != 0) {
                    assert_int_equal(fixture_reopen(base), MM_OK);
                }
                bool stored = refused.type != 0 && fixture_check(base, &refused).unacknowledged_count == 1;
                if (refused.type != 0 && !stored) {
                    assert_int_equal(fixture_append(base, &refused), MM_OK);
                }
                if (stored) {
                    // "All of it": it turned out to be there.
                    fixture_acknowledge(base, &refused, (mm_position_t){1, mm_journal_next(&base->journal).seq - 1});
                }
                fixture_append_made(base, 60);
                fixture_check(base, NULL);
                run_count++;
            }
        }
    }
    print_message("journal: %u runs with failing calls\n", run_count);
    free(truth);
    free(bytes);
    fixture_destroy(base);
}

// The power fails again and again, each time somewhere in what follows.
static void test_journal_random_power_cuts_for_a_long_time(void **state) {
    (void)state;
    fixture_t *f = fixture_create(5);
    mm_random_t random = mm_random(7);
    uint32_t cuts = 0;
    for (uint32_t round = 0; round < 1500; round++) {
        truth_t truth = fixture_make(f);
        mm_position_t promised = {0, 0};
        f->flash.torn_erase = (mm_sim_torn_erase_t)(round % 4);
        f->flash.erase_steps = 4096;
        mm_sim_power_cut_after(&f->power, mm_random_below(&random, round % 4 == 0 ? 6000 : 300));
        mm_err_t err = mm_journal_prepare(&f->journal);
        if (err == MM_OK) {
            promised = mm_journal_next(&f->journal);
            mm_position_t position;
            err = mm_journal_append(&f->journal, truth.type, truth.payload, truth.payload_bytes, &position);
        }
        if (err == MM_OK) {
            mm_sim_power_disarm(&f->power);
            fixture_acknowledge(f, &truth, promised);
            continue;
        }
        cuts++;
        while (f->power.dead) {
            mm_sim_power_up(&f->power);
            if (mm_random_below(&random, 3) == 0) {
                mm_sim_power_cut_after(&f->power, mm_random_below(&random, 500));
                cuts++;
            }
            (void)fixture_open(f, 5);
        }
        mm_sim_power_disarm(&f->power);
        assert_int_equal(mm_journal_set_watermark(&f->journal, (mm_position_t){1, f->released_seq}), MM_OK);
        seen_t seen = fixture_check(f, &truth);
        if (seen.unacknowledged_count == 1) {
            fixture_acknowledge(f, &truth, promised);
        }
        if (round % 13 == 0 && mm_journal_next(&f->journal).seq > 200) {
            fixture_release(f, mm_journal_next(&f->journal).seq - 150);
        }
    }
    assert_int_equal(f->flash.overprogrammed_bytes, 0);
    print_message("journal: %u cuts in a row, %u records\n", cuts, f->truth_count);
    fixture_destroy(f);
}

// Flash that falls silent inside the opening: it is not known what stands in it, so no position is given out and
// nothing is called damaged.
static void test_journal_silent_inside_open(void **state) {
    (void)state;
    fixture_t *f = fixture_create(4);
    fixture_append_made(f, 150);
    uint64_t reads = f->flash.reads;
    assert_int_equal(fixture_reopen(f), MM_OK);
    reads = f->flash.reads - reads;
    uint32_t refused = 0;
    for (uint64_t good_calls = 0; good_calls < reads; good_calls++) {
        mm_sim_flash_fail(&f->flash, MM_SIM_FAIL_READ, good_calls, UINT64_MAX);
        mm_err_t err = fixture_reopen(f);
        refused += err != MM_OK;
        assert_int_equal(f->journal.read_only, err != MM_OK);
        assert_int_equal(mm_journal_next(&f->journal).seq, err == MM_OK ? 151 : 0);
        assert_int_equal(f->opening.damaged_count, 0);
        mm_sim_flash_fail(&f->flash, 0, 0, 0);
    }
    assert_true(refused > reads / 2);
    assert_int_equal(fixture_reopen(f), MM_OK);
    assert_int_equal(mm_journal_next(&f->journal).seq, 151);
    assert_int_equal(fixture_check(f, NULL).seen_count, 150);
    fixture_destroy(f);
}

// Flash that falls silent while damage is looked for: only what is damaged is given up, not what was silent.
static void test_journal_silent_while_damage_is_reported(void **state) {
    (void)state;
    for (uint64_t good_calls = 0; good_calls < 400; good_calls++) {
        fixture_t *f = fixture_create(4);
        fixture_append_made(f, 150);
        f->gaps_are_allowed = true;
        mm_sim_flash_flip_bit(&f->flash, (uint64_t)first_record_offset(f, 100) * 8 + 71);
        assert_int_equal(fixture_reopen(f), MM_OK);
        assert_int_equal(f->opening.damaged_count, 1);
        mm_sim_flash_fail(&f->flash, MM_SIM_FAIL_READ, good_calls, UINT64_MAX);
        (void)mm_journal_prepare(&f->journal);
        mm_sim_flash_fail(&f->flash, 0, 0, 0);
        assert_int_equal(fixture_reopen(f), MM_OK);
        (void)mm_journal_prepare(&f->journal);
        seen_t seen = fixture_check(f, NULL);
        assert_int_equal(seen.gap_damaged_seqs, seen.gap_damaged_count); // one record each
        fixture_destroy(f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_journal_append_and_read_back),
        cmocka_unit_test(test_journal_payload_sizes),
        cmocka_unit_test(test_journal_read_after_without_hint_equals_with_hint),
        cmocka_unit_test(test_journal_hint_survives_appends_and_erases),
        cmocka_unit_test(test_journal_watermark_that_moves_on_is_found_at_once),
        cmocka_unit_test(test_journal_watermark_releases_and_moves_back),
        cmocka_unit_test(test_journal_released_sectors_are_erased_without_records_of_its_own),
        cmocka_unit_test(test_journal_cut_in_release_is_no_damage),
        cmocka_unit_test(test_journal_thins_to_hours_and_days_with_exact_sums),
        cmocka_unit_test(test_journal_thinning_joins_only_what_belongs_together),
        cmocka_unit_test(test_journal_thinning_keeps_boots_apart_while_time_is_unset),
        cmocka_unit_test(test_journal_carries_other_records_over),
        cmocka_unit_test(test_journal_thinning_leaves_damaged_records_out),
        cmocka_unit_test(test_journal_thins_only_what_is_not_released),
        cmocka_unit_test(test_journal_gives_up_oldest_when_nothing_can_be_thinned),
        cmocka_unit_test(test_journal_full_of_events_gives_them_up_too),
        cmocka_unit_test(test_journal_full_of_events_keeps_credit_and_results),
        cmocka_unit_test(test_journal_expected_next_ahead_becomes_a_gap),
        cmocka_unit_test(test_journal_lost_flash_begins_a_new_epoch),
        cmocka_unit_test(test_journal_opens_on_any_bytes),
        cmocka_unit_test(test_journal_other_ring_size_restarts),
        cmocka_unit_test(test_journal_damage_is_reported_once_and_only_what_hq_needs),
        cmocka_unit_test(test_journal_damage_at_run_time_is_reported_when_hq_waits),
        cmocka_unit_test(test_journal_last_record_is_settled_at_open),
        cmocka_unit_test(test_journal_device_that_refuses_all_is_read_only_and_empty),
        cmocka_unit_test(test_journal_that_cannot_be_written_can_be_read),
        cmocka_unit_test(test_journal_goes_on_around_bad_sectors),
        cmocka_unit_test(test_journal_nth_call_fails),
        cmocka_unit_test(test_journal_random_power_cuts_for_a_long_time),
        cmocka_unit_test(test_journal_silent_inside_open),
        cmocka_unit_test(test_journal_silent_while_damage_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
