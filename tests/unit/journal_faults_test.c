// SPDX-License-Identifier: Apache-2.0
// The journal on flash that does not answer at every place of an open, and bytes that no power cut can have left.
#include "journal_fixture.h"
#include "meshmeter/crc32.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_journal_open_with_every_read_refused),
        cmocka_unit_test(test_journal_goes_on_behind_an_epoch_that_is_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
