// SPDX-License-Identifier: Apache-2.0
// The journal on flash that does not answer at every place of an open, and bytes that no power cut can have left.
#include "journal_fixture.h"
#include "meshmeter/crc32.h"
#include "store/journal_internal.h"

#define SECTORS 4

static void fail_reads(fixture_t *f, uint64_t after, uint64_t count) {
    mm_sim_flash_fail(&f->flash, count == 0 ? 0 : MM_SIM_FAIL_READ, after, count);
}

static uint64_t count_reads_of_open(fixture_t *f) {
    uint64_t reads = f->flash.reads;
    assert_int_equal(fixture_reopen(f), MM_OK);
    return f->flash.reads - reads;
}

// Unreleased records that neither stand in the journal nor were replaced by coarser ones.
static uint32_t count_missing(const fixture_t *f) {
    uint32_t missing = 0;
    for (uint32_t i = 0; i < f->truth_count; i++) {
        mm_journal_hint_t hint = {0};
        mm_journal_entry_t entry;
        uint32_t seq = f->truth[i].seq;
        if (seq > f->released_seq && seq > f->journal.thinned_through_seq) {
            mm_err_t err = mm_journal_read_after(&f->journal, (mm_position_t){1, seq - 1}, &hint, &entry);
            missing += err == MM_OK && entry.position.seq == seq ? 0 : 1;
        }
    }
    return missing;
}

// Reads are repeated, and a sector is asked three times: what is refused less than six times in a row does no harm.
// More at the wrong place hides a sector for this boot. No position is used twice for all that, and with the next boot
// the sector's records are there again, between those before and those made meanwhile.
static void test_journal_open_with_every_read_refused(void **state) {
    (void)state;
    static const uint64_t counts[] = {1, 2, 6, 8, 12};
    fixture_t *f = fixture_create(SECTORS);
    fixture_append_made(f, 220);
    fixture_release(f, 30);
    uint8_t *bytes = malloc(SECTORS * MM_FLASH_SECTOR_BYTES);
    assert_non_null(bytes);
    memcpy(bytes, f->bytes, SECTORS * MM_FLASH_SECTOR_BYTES);
    const fixture_t saved = *f;
    f->expected_next = mm_journal_next(&f->journal); // the register store knows
    uint64_t read_count = count_reads_of_open(f);
    uint32_t hidden_count = 0;
    for (size_t count = 0; count < sizeof counts / sizeof counts[0]; count++) {
        for (uint64_t after = 0; after < read_count; after += after < 40 ? 1 : 13) {
            *f = saved;
            memcpy(f->bytes, bytes, SECTORS * MM_FLASH_SECTOR_BYTES);
            f->expected_next = mm_journal_next(&f->journal);
            fail_reads(f, after, counts[count]);
            assert_int_equal(fixture_reopen(f), MM_OK);
            fail_reads(f, 0, 0);
            f->gaps_are_allowed = counts[count] >= 6; // what is hidden is reported
            assert_int_equal(f->journal.epoch, 1);
            assert_true(mm_journal_next(&f->journal).seq >= 221);
            hidden_count += mm_journal_backlog(&f->journal) < 190 ? 1 : 0;
            fixture_append_made(f, 5);
            f->expected_next = mm_journal_next(&f->journal);
            assert_int_equal(fixture_reopen(f), MM_OK);
            (void)fixture_check(f, NULL);
            assert_int_equal(count_missing(f), 0);
        }
    }
    assert_true(hidden_count > 0);
    free(bytes);
    fixture_destroy(f);
}

// The same after many rounds of the ring, with all of the epoch hidden: nothing in flash tells how far it had come.
static void test_journal_goes_on_behind_an_epoch_that_is_hidden(void **state) {
    (void)state;
    fixture_t *f = fixture_create(SECTORS);
    while (f->truth_count < 3000 || f->journal.head_index != 2) {
        fixture_append_made(f, 1);
        fixture_release(f, mm_journal_next(&f->journal).seq - 1);
    }
    f->check_is_brief = true;
    fixture_append_made(f, 20);
    uint32_t generation = f->journal.sectors[2].generation;
    assert_true(generation > 20);
    f->expected_next = mm_journal_next(&f->journal);
    fail_reads(f, 0, 3 * 6); // three sectors, asked three times, twice each
    memset(&f->journal, 0xA5, sizeof f->journal);
    assert_int_equal(fixture_open(f, SECTORS), MM_OK);
    fail_reads(f, 0, 0);
    assert_true(f->opening.lost);
    assert_false(f->opening.restarted);
    assert_int_equal(mm_position_compare(mm_journal_next(&f->journal), f->expected_next), 0);
    assert_int_equal(mm_journal_oldest(&f->journal).seq, f->expected_next.seq); // nothing older can be read
    fixture_append_made(f, 5);
    f->expected_next = mm_journal_next(&f->journal);
    assert_int_equal(fixture_reopen(f), MM_OK);
    assert_int_equal(count_missing(f), 0);
    assert_int_equal(mm_journal_backlog(&f->journal), 25);
    (void)fixture_check(f, NULL);
    fixture_destroy(f);
}

// Bytes that no power cut can have left.

static void put_u32(uint8_t *bytes, uint32_t value) {
    for (int index = 0; index < 4; index++) {
        bytes[index] = (uint8_t)(value >> (8 * index));
    }
}

// Headers with a good checksum and a number that cannot be: as if there were none (storage.md, 2.4).
static void test_journal_headers_of_nonsense(void **state) {
    (void)state;
    static const struct {
        uint32_t offset;
        uint32_t value;
        uint32_t epoch; // that the journal has then
    } cases[] = {{8, 0, 1}, {8, UINT32_MAX, 1}, {12, 0, 1}, {16, 0, 1}, {8, UINT32_MAX - 2, UINT32_MAX - 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture_t *f = fixture_create(SECTORS);
        fixture_append_made(f, 30);
        // In an unused sector behind the head.
        uint8_t *header = f->bytes + MM_FLASH_SECTOR_BYTES + 12;
        memcpy(header, f->bytes + 12, 28);
        put_u32(header + 12, 2); // generation
        put_u32(header + 16, 31);
        put_u32(header + cases[i].offset, cases[i].value);
        put_u32(header + 24, mm_crc32(0, header, 24));
        assert_int_equal(fixture_open(f, SECTORS), MM_OK);
        assert_int_equal(f->journal.epoch, cases[i].epoch);
        if (cases[i].epoch == 1) {
            assert_int_equal(mm_journal_next(&f->journal).seq, 31);
            fixture_append_made(f, 200); // the sector is erased before it is used
            assert_int_equal(fixture_reopen(f), MM_OK);
            (void)fixture_check(f, NULL);
            assert_int_equal(f->flash.overprogrammed_bytes, 0);
        }
        fixture_destroy(f);
    }
}

// A new epoch behind sectors of the old one: these are past, wherever they stand in the ring.
static void test_journal_sectors_of_an_earlier_epoch_are_past(void **state) {
    (void)state;
    fixture_t *f = fixture_create(8);
    fixture_append_made(f, 300);
    assert_true(f->journal.head_index >= 2);
    f->expected_next = (mm_position_t){9, 500};
    assert_int_equal(fixture_open(f, 8), MM_OK);
    assert_int_equal(f->journal.epoch, 10);
    f->truth_count = 0;
    fixture_append_made(f, 20);
    f->expected_next = mm_journal_next(&f->journal);
    memset(&f->journal, 0xA5, sizeof f->journal);
    assert_int_equal(fixture_open(f, 8), MM_OK);
    assert_int_equal(f->journal.epoch, 10);
    assert_int_equal(mm_journal_oldest(&f->journal).seq, 1);
    assert_int_equal(mm_journal_backlog(&f->journal), 20);
    (void)fixture_check(f, NULL);
    fixture_append_made(f, 900); // over all of the old sectors
    (void)fixture_check(f, NULL);
    fixture_destroy(f);
}

// The journal's own notes, cut short or of a later version, say nothing.
static void test_journal_notes_of_nonsense(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t bytes_count;
    } notes[] = {{"", 0},     {"\x01", 1},         {"\x01\x00\x01\x00\x00\x00\x00", 7},
                 {"\x02", 1}, {"\x02\xff\x00", 3}, {"\x09\x01\x02", 3}};
    fixture_t *f = fixture_create(SECTORS);
    for (size_t i = 0; i < sizeof notes / sizeof notes[0]; i++) {
        fixture_append_made(f, 10);
        assert_int_equal(
            mmi_journal_place(&f->journal, MM_RECORD_NONE, (const uint8_t *)notes[i].bytes, notes[i].bytes_count),
            MM_OK);
    }
    memset(&f->journal, 0xA5, sizeof f->journal);
    assert_int_equal(fixture_open(f, SECTORS), MM_OK);
    assert_false(f->journal.thinning.active);
    assert_int_equal(f->journal.watermark.seq, 0);
    assert_int_equal(mm_journal_next(&f->journal).seq, 61);
    assert_int_equal(fixture_check(f, NULL).seen_count, 60);
    fixture_destroy(f);
}

// A note that speaks of more than there is: the watermark is at most the newest record.
static void test_journal_noted_watermark_beyond_the_end(void **state) {
    (void)state;
    fixture_t *f = fixture_create(SECTORS);
    fixture_append_made(f, 10);
    assert_int_equal(mmi_journal_place(&f->journal, MM_RECORD_NONE, "\x02\x40\x00\x00\x00", 5), MM_OK);
    memset(&f->journal, 0xA5, sizeof f->journal);
    assert_int_equal(fixture_open(f, SECTORS), MM_OK);
    assert_int_equal(f->journal.watermark.seq, 10);
    assert_int_equal(mm_journal_backlog(&f->journal), 0);
    // The owner knows better, and that is no step back: it only was not asked yet.
    assert_int_equal(mm_journal_set_watermark(&f->journal, (mm_position_t){1, 4}), MM_OK);
    assert_int_equal(f->counters.values[MM_COUNTER_WATERMARK_MOVED_BACK], 0);
    assert_int_equal(mm_journal_backlog(&f->journal), 6);
    assert_int_equal(mm_journal_set_watermark(&f->journal, (mm_position_t){1, 3}), MM_OK);
    assert_int_equal(f->counters.values[MM_COUNTER_WATERMARK_MOVED_BACK], 1);
    fixture_destroy(f);
}

// Gap records that the owner appended are its own business: of another epoch, of the future, or unreadable, they hide
// no record of this journal.
static void test_journal_gap_records_of_others_hide_nothing(void **state) {
    (void)state;
    fixture_t *f = fixture_create(SECTORS);
    fixture_append_made(f, 20);
    const mm_record_t gaps[] = {
        {.type = MM_RECORD_GAP, .gap = {.epoch = 7, .first_seq = 1, .last_seq = 15, .reason = MM_GAP_FULL}},
        {.type = MM_RECORD_GAP, .gap = {.epoch = 1, .first_seq = 1, .last_seq = 500, .reason = MM_GAP_THINNED}},
        {.type = MM_RECORD_GAP, .gap = {.epoch = 1, .first_seq = 3, .last_seq = 4, .reason = MM_GAP_DAMAGED}},
    };
    for (size_t i = 0; i < sizeof gaps / sizeof gaps[0]; i++) {
        truth_t truth = fixture_encode(&gaps[i]);
        assert_int_equal(fixture_append(f, &truth), MM_OK);
    }
    truth_t unreadable = {.type = MM_RECORD_GAP, .payload_bytes = 2, .payload = {1, 2}};
    assert_int_equal(fixture_append(f, &unreadable), MM_OK);
    assert_int_equal(fixture_reopen(f), MM_OK);
    assert_int_equal(f->journal.thinned_through_seq, 0);
    assert_int_equal(fixture_check(f, NULL).seen_count, 24);
    fixture_destroy(f);
}

// Damage.

// Not more than eight gap records in one prepare: the rest comes with the next ones.
static void test_journal_reports_much_damage_in_turns(void **state) {
    (void)state;
    fixture_t *f = fixture_create(SECTORS);
    fixture_append_made(f, 80);
    for (uint32_t seq = 5; seq < 60; seq += 3) { // 19 of them
        const truth_t *truth = fixture_find(f, seq);
        uint8_t *place = memmem(f->bytes, MM_FLASH_SECTOR_BYTES, truth->payload, truth->payload_bytes);
        assert_non_null(place);
        *place ^= 1;
    }
    f->gaps_are_allowed = true;
    assert_int_equal(fixture_reopen(f), MM_OK);
    assert_int_equal(f->opening.damaged_count, 19);
    static const uint32_t reported[] = {8, 16, 19, 19};
    for (size_t i = 0; i < sizeof reported / sizeof reported[0]; i++) {
        assert_int_equal(mm_journal_prepare(&f->journal), MM_OK);
        assert_int_equal(fixture_check(f, NULL).gap_damaged_count, reported[i]);
    }
    fixture_destroy(f);
}

// Flash that refuses to program one place: the header of sector 1.
static mm_err_t (*s_program)(void *context, uint32_t address, const void *bytes, size_t bytes_count);

static mm_err_t program_all_but_a_header(void *context, uint32_t address, const void *bytes, size_t bytes_count) {
    if (address == MM_FLASH_SECTOR_BYTES + MMI_JOURNAL_MARK_BYTES) {
        return MM_ERR_STORAGE;
    }
    return s_program(context, address, bytes, bytes_count);
}

static void test_journal_retires_a_sector_whose_header_fails(void **state) {
    (void)state;
    fixture_t *f = fixture_create(SECTORS);
    s_program = f->flash.flash.program;
    f->flash.flash.program = program_all_but_a_header;
    fixture_append_made(f, 200);
    assert_int_equal(f->counters.values[MM_COUNTER_JOURNAL_SECTOR_RETIRED], 1);
    assert_int_equal(f->journal.sectors[1].state, MM_JOURNAL_SECTOR_RETIRED);
    (void)fixture_check(f, NULL);
    assert_int_equal(fixture_reopen(f), MM_OK);
    fixture_append_made(f, 20);
    (void)fixture_check(f, NULL);
    fixture_destroy(f);
}

// A hint into a sector that was released and used again since is no hint.
static void test_journal_hint_of_a_sector_that_is_gone(void **state) {
    (void)state;
    fixture_t *f = fixture_create(SECTORS);
    fixture_append_made(f, 40);
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry;
    assert_int_equal(mm_journal_read_after(&f->journal, (mm_position_t){1, 9}, &hint, &entry), MM_OK);
    for (uint32_t round = 0; round < 900; round++) {
        fixture_release(f, mm_journal_next(&f->journal).seq - 1);
        fixture_append_made(f, 1);
        mm_journal_hint_t stale = hint;
        mm_journal_hint_t fresh = {0};
        mm_journal_entry_t expected;
        mm_position_t after = {1, hint.seq};
        assert_int_equal(mm_journal_read_after(&f->journal, after, &fresh, &expected), MM_OK);
        assert_int_equal(mm_journal_read_after(&f->journal, after, &stale, &entry), MM_OK);
        assert_int_equal(mm_position_compare(entry.position, expected.position), 0);
        assert_memory_equal(entry.payload, expected.payload, expected.payload_bytes);
    }
    hint.sector_index = SECTORS; // of another journal
    assert_int_equal(mm_journal_read_after(&f->journal, (mm_position_t){1, hint.seq}, &hint, &entry), MM_OK);
    fixture_destroy(f);
}

// Thinning.

static truth_t make_interval(fixture_t *f, uint64_t end_s, bool restarted) {
    f->end_s = end_s - MM_INTERVAL_S;
    truth_t truth = fixture_make_interval(f);
    mm_record_t record;
    assert_int_equal(mm_record_decode(truth.type, truth.payload, truth.payload_bytes, &record), MM_OK);
    record.interval.restarted = restarted;
    return fixture_encode(&record);
}

// Four intervals an hour, two of each boot. Labels are uptime and go on rising, so only the flag tells the boots apart;
// with wall time the sum has the flag.
static void test_journal_thinning_and_restarted_intervals(void **state) {
    (void)state;
    static const mm_trust_t trusts[] = {MM_TRUST_UNSET, MM_TRUST_SYNCED};
    for (size_t i = 0; i < 2; i++) {
        fixture_t *f = fixture_create(SECTORS);
        f->trust = trusts[i];
        for (uint32_t quarter = 1; quarter <= 480; quarter++) {
            truth_t truth = make_interval(f, (uint64_t)quarter * MM_INTERVAL_S, quarter % 4 == 3);
            assert_int_equal(fixture_append(f, &truth), MM_OK);
        }
        uint32_t joined_count = 0;
        mm_journal_hint_t hint = {0};
        mm_journal_entry_t entry = {.position = {1, 0}};
        while (mm_journal_read_after(&f->journal, entry.position, &hint, &entry) == MM_OK) {
            mm_record_t record;
            assert_int_equal(mm_record_decode(entry.type, entry.payload, entry.payload_bytes, &record), MM_OK);
            if (record.type == MM_RECORD_INTERVAL && record.interval.thinned) {
                uint32_t quarters = record.interval.duration_s / MM_INTERVAL_S;
                joined_count += quarters > 1 ? 1 : 0;
                assert_true(f->trust == MM_TRUST_SYNCED || quarters <= 2);
                assert_true(record.interval.restarted || quarters <= 2);
            }
        }
        assert_true(joined_count > 5);
        (void)fixture_check(f, NULL);
        fixture_destroy(f);
    }
}

// Numbers that go back (registers that were lost) are no neighbours.
static void test_journal_thinning_keeps_numbers_that_go_back_apart(void **state) {
    (void)state;
    fixture_t *f = fixture_create(SECTORS);
    for (uint32_t quarter = 1; quarter <= 480; quarter++) {
        if (quarter % 4 == 3) {
            f->interval_no = 1;
        }
        truth_t truth = make_interval(f, (uint64_t)(quarter + 40) * MM_INTERVAL_S, false);
        assert_int_equal(fixture_append(f, &truth), MM_OK);
    }
    assert_true(f->counters.values[MM_COUNTER_JOURNAL_THINNED] > 0);
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry = {.position = {1, 0}};
    while (mm_journal_read_after(&f->journal, entry.position, &hint, &entry) == MM_OK) {
        mm_record_t record;
        if (mm_record_decode(entry.type, entry.payload, entry.payload_bytes, &record) == MM_OK &&
            record.type == MM_RECORD_INTERVAL) {
            assert_true(record.interval.duration_s <= 2 * MM_INTERVAL_S);
        }
    }
    (void)fixture_check(f, NULL);
    fixture_destroy(f);
}

static truth_t make_closing(fixture_t *f) {
    mm_record_t record = {.type = MM_RECORD_MONTH_CLOSING};
    record.month_closing.channel = (uint8_t)(f->made % MM_CHANNELS);
    record.month_closing.year_month = 24000;
    record.month_closing.pulse_constant = 1000;
    record.month_closing.life_pulses = ++f->made;
    record.month_closing.closed = (mm_label_t){f->end_s, f->trust};
    return fixture_encode(&record);
}

// Month closings, and what cannot be read as an interval, outlive everything else in a full journal, and are given up
// only when there is nothing but them.
static void test_journal_gives_up_month_closings_last(void **state) {
    (void)state;
    fixture_t *f = fixture_create(SECTORS);
    f->giving_up_is_allowed = true;
    uint32_t closing_count = 0;
    for (uint32_t round = 0; round < 2000; round++) {
        truth_t truth = round % 100 == 50 ? make_closing(f) : fixture_make_event(f);
        closing_count += truth.type == MM_RECORD_MONTH_CLOSING ? 1 : 0;
        assert_int_equal(fixture_append(f, &truth), MM_OK);
    }
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry = {.position = {1, 0}};
    uint32_t found_count = 0;
    uint32_t event_count = 0;
    while (mm_journal_read_after(&f->journal, entry.position, &hint, &entry) == MM_OK) {
        found_count += entry.type == MM_RECORD_MONTH_CLOSING ? 1 : 0;
        event_count += entry.type == MM_RECORD_EVENT ? 1 : 0;
    }
    assert_int_equal(found_count, closing_count);
    assert_true(event_count < 700); // these were given up
    for (uint32_t round = 0; round < 1000; round++) {
        truth_t truth = make_closing(f);
        assert_int_equal(fixture_append(f, &truth), MM_OK);
    }
    assert_true(fixture_check(f, NULL).gap_full_count >= 1);
    fixture_destroy(f);
}

// What stands in the journal as an interval and cannot be read as one is carried over like any other record.
static void test_journal_carries_unreadable_intervals_over(void **state) {
    (void)state;
    fixture_t *f = fixture_create(SECTORS);
    const mm_record_t gap = {.type = MM_RECORD_GAP,
                             .gap = {.epoch = 9, .first_seq = 1, .last_seq = 2, .reason = MM_GAP_FULL}};
    truth_t of_another_epoch = fixture_encode(&gap);
    truth_t unreadable = {.type = MM_RECORD_INTERVAL, .payload_bytes = 3, .payload = {9, 9, 9}};
    truth_t unreadable_gap = {.type = MM_RECORD_GAP, .payload_bytes = 2, .payload = {1, 2}};
    assert_int_equal(fixture_append(f, &of_another_epoch), MM_OK);
    assert_int_equal(fixture_append(f, &unreadable), MM_OK);
    assert_int_equal(fixture_append(f, &unreadable_gap), MM_OK);
    for (uint32_t round = 0; round < 900; round++) {
        truth_t truth = fixture_make_interval(f);
        assert_int_equal(fixture_append(f, &truth), MM_OK);
    }
    assert_true(f->journal.thinned_through_seq > 3);
    uint32_t found_count = 0;
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry = {.position = {1, 0}};
    while (mm_journal_read_after(&f->journal, entry.position, &hint, &entry) == MM_OK) {
        found_count += fixture_is_same(&of_another_epoch, &entry) || fixture_is_same(&unreadable, &entry) ||
                               fixture_is_same(&unreadable_gap, &entry)
                           ? 1
                           : 0;
    }
    assert_int_equal(found_count, 3);
    fixture_destroy(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_journal_open_with_every_read_refused),
        cmocka_unit_test(test_journal_goes_on_behind_an_epoch_that_is_hidden),
        cmocka_unit_test(test_journal_headers_of_nonsense),
        cmocka_unit_test(test_journal_sectors_of_an_earlier_epoch_are_past),
        cmocka_unit_test(test_journal_notes_of_nonsense),
        cmocka_unit_test(test_journal_noted_watermark_beyond_the_end),
        cmocka_unit_test(test_journal_gap_records_of_others_hide_nothing),
        cmocka_unit_test(test_journal_reports_much_damage_in_turns),
        cmocka_unit_test(test_journal_retires_a_sector_whose_header_fails),
        cmocka_unit_test(test_journal_hint_of_a_sector_that_is_gone),
        cmocka_unit_test(test_journal_thinning_and_restarted_intervals),
        cmocka_unit_test(test_journal_thinning_keeps_numbers_that_go_back_apart),
        cmocka_unit_test(test_journal_gives_up_month_closings_last),
        cmocka_unit_test(test_journal_carries_unreadable_intervals_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
