// SPDX-License-Identifier: Apache-2.0
// Power cuts in the journal: at every operation and at every byte, with a second cut inside the recovery; and every
// single bit of a full image turned.
//
// The journal and the emulated flash are compiled here once more, for sectors of 1 KiB instead of 4: the same code, but
// four times as many sector changes in the same number of bytes.
#include "meshmeter/limits.h"
#undef MM_FLASH_SECTOR_BYTES
#define MM_FLASH_SECTOR_BYTES 1024

#include "sim/sim_flash.c"
#include "store/journal.c"
#include "store/journal_format.c"
#include "store/journal_open.c"
#include "store/journal_thin.c"
#include "store/journal_walk.c"

#include "journal_fixture.h"

#define SECTORS 4
#define IMAGE_BYTES (SECTORS * MM_FLASH_SECTOR_BYTES)

typedef struct {
    fixture_t fixture;
    uint8_t bytes[IMAGE_BYTES];
} saved_t;

static void save(const fixture_t *f, saved_t *saved) {
    saved->fixture = *f;
    memcpy(saved->bytes, f->bytes, IMAGE_BYTES);
}

// The truth only grows: what was acknowledged at the time of saving is still in front.
static void restore(fixture_t *f, const saved_t *saved) {
    *f = saved->fixture;
    memcpy(f->bytes, saved->bytes, IMAGE_BYTES);
}

static uint64_t cut_count;
static uint64_t second_cut_count;

// After a cut while `pending` was on its way: everything else is there, and the owner of the pending record can go on
// as if nothing had happened.
static void check_and_go_on(fixture_t *f, const truth_t *pending, mm_position_t promised, uint32_t more) {
    assert_int_equal(f->opening.damaged_count, 0); // a power cut damages nothing that counts
    seen_t seen = fixture_check(f, pending);
    mm_position_t next = mm_journal_next(&f->journal);
    if (seen.unacknowledged_count == 0) {
        if (promised.seq != 0) {
            assert_int_equal(next.seq, promised.seq); // a torn record does not use up its seq
            mm_position_t position;
            assert_int_equal(
                mm_journal_append(&f->journal, pending->type, pending->payload, pending->payload_bytes, &position),
                MM_OK);
            assert_int_equal(position.seq, promised.seq);
            fixture_acknowledge(f, pending, position);
        } else if (pending != NULL) {
            assert_int_equal(fixture_append(f, pending), MM_OK);
        }
    } else {
        assert_int_equal(next.seq, promised.seq + 1);
        fixture_acknowledge(f, pending, promised);
    }
    if (more > 0) {
        fixture_append_made(f, more);
        fixture_check(f, NULL);
        if (more > 20) {
            assert_int_equal(fixture_reopen(f), MM_OK);
            fixture_check(f, NULL);
        }
    }
    assert_int_equal(f->flash.overprogrammed_bytes, 0);
}

typedef enum {
    STEP_APPEND,
    STEP_RELEASE_AND_APPEND
} step_t;

// One step of the workload. *promised is the position once it is known.
static mm_err_t run_step(fixture_t *f, step_t step, const truth_t *truth, mm_position_t *promised) {
    *promised = (mm_position_t){0, 0};
    if (step == STEP_RELEASE_AND_APPEND) {
        fixture_release(f, mm_journal_next(&f->journal).seq - 1);
    }
    mm_err_t err = mm_journal_prepare(&f->journal);
    if (err != MM_OK) {
        return err;
    }
    *promised = mm_journal_next(&f->journal);
    mm_position_t position;
    return mm_journal_append(&f->journal, truth->type, truth->payload, truth->payload_bytes, &position);
}

// Cut one step after every `stride`-th byte. With second_stride: cut the recovery as well, at every second_stride-th
// byte of it.
static void cut_step(fixture_t *f, const saved_t *before, step_t step, const truth_t *truth, uint64_t step_bytes,
                     uint64_t stride, uint64_t second_stride, uint32_t more) {
    static saved_t at_cut;
    for (uint64_t cut = 0; cut < step_bytes; cut += stride * MM_CASES_EVERY) {
        restore(f, before);
        f->power.random = mm_random(cut);
        f->flash.torn_erase = (mm_sim_torn_erase_t)(cut % 4);
        mm_sim_power_cut_after(&f->power, cut);
        mm_position_t promised;
        assert_int_not_equal(run_step(f, step, truth, &promised), MM_OK);
        assert_true(f->power.dead);
        cut_count++;
        if (second_stride == 0) {
            assert_int_equal(fixture_reopen(f), MM_OK);
            check_and_go_on(f, truth, promised, cut % 200 == 0 ? 60 : cut % 8 == 0 ? more : 0);
            continue;
        }
        save(f, &at_cut);
        uint64_t drawn = f->power.steps_drawn;
        assert_int_equal(fixture_reopen(f), MM_OK);
        uint64_t recovery_bytes = f->power.steps_drawn - drawn;
        check_and_go_on(f, truth, promised, more);
        for (uint64_t second = 0; second < recovery_bytes; second += second_stride * MM_CASES_EVERY) {
            restore(f, &at_cut);
            f->power.random = mm_random(second ^ 0x55);
            mm_sim_power_up(&f->power);
            mm_sim_power_cut_after(&f->power, second);
            (void)fixture_open(f, SECTORS);
            assert_true(f->power.dead);
            second_cut_count++;
            assert_int_equal(fixture_reopen(f), MM_OK);
            check_and_go_on(f, truth, promised, 0);
        }
    }
}

// A whole workload. Steps that move sectors are cut everywhere; of the plain appends in between, which are all alike,
// some.
static void cut_workload(uint32_t record_count, uint32_t release_every, uint32_t plain_every,
                         uint64_t plain_limit_bytes, uint64_t stride, uint64_t second_stride) {
    fixture_t *f = fixture_create(SECTORS);
    f->check_is_brief = true;
    f->giving_up_is_allowed = release_every == 0;
    static saved_t before;
    static saved_t after;
    for (uint32_t round = 0; round < record_count; round++) {
        truth_t truth = fixture_make(f);
        step_t step = release_every != 0 && round % release_every == 0 ? STEP_RELEASE_AND_APPEND : STEP_APPEND;
        save(f, &before);
        uint64_t drawn = f->power.steps_drawn;
        mm_position_t promised;
        assert_int_equal(run_step(f, step, &truth, &promised), MM_OK);
        uint64_t step_bytes = f->power.steps_drawn - drawn;
        fixture_acknowledge(f, &truth, promised);
        save(f, &after);
        if (step_bytes > plain_limit_bytes) {
            cut_step(f, &before, step, &truth, step_bytes, stride, second_stride, 3);
        } else if (round % plain_every == 0) {
            cut_step(f, &before, step, &truth, step_bytes, 1, 0, 0);
        }
        restore(f, &after);
        // Cuts appended other records behind the same positions.
        f->truth[f->truth_count - 1] = truth;
        f->truth[f->truth_count - 1].seq = promised.seq;
    }
    assert_int_equal(fixture_reopen(f), MM_OK);
    fixture_check(f, NULL);
    fixture_destroy(f);
}

static void report(const char *what, uint64_t cuts_before, uint64_t second_before) {
    print_message("journal: %s: %llu cuts, %llu second cuts in the recovery\n", what,
                  (unsigned long long)(cut_count - cuts_before),
                  (unsigned long long)(second_cut_count - second_before));
}

static void test_journal_power_cut_at_every_byte_while_hq_follows(void **state) {
    (void)state;
    uint64_t cuts = cut_count;
    cut_workload(160, 10, 9, 100, 1, 0);
    report("appends, sector changes, release", cuts, second_cut_count);
}

static void test_journal_power_cut_at_every_byte_while_thinning(void **state) {
    (void)state;
    uint64_t cuts = cut_count;
    cut_workload(230, 0, 37, 100, 1, 0);
    report("thinning", cuts, second_cut_count);
}

static void test_journal_second_power_cut_inside_recovery(void **state) {
    (void)state;
    uint64_t cuts = cut_count;
    uint64_t second = second_cut_count;
    cut_workload(160, 0, 1000000, 300, 13, 7);
    report("cut in thinning, cut in its recovery", cuts, second);
}

// Every bit of a populated image: opening ends, at most the record that was hit is missing, and it is reported.
static void test_journal_every_single_bit_flip(void **state) {
    (void)state;
    fixture_t *f = fixture_create(SECTORS);
    for (uint32_t index = 0; index < 70; index++) { // the head is the last sector but one
        truth_t truth = index % 2 == 0 ? fixture_make_other(f, 63) : fixture_make_interval(f);
        assert_int_equal(fixture_append(f, &truth), MM_OK);
    }
    fixture_release(f, 20);
    f->gaps_are_allowed = true;
    static saved_t populated;
    save(f, &populated);
    uint32_t record_count = fixture_check(f, NULL).seen_count;
    f->expected_next = mm_journal_next(&f->journal);
    uint32_t flip_count = 0;
    for (uint32_t bit = 0; bit < IMAGE_BYTES * 8; bit += MM_CASES_EVERY) {
        mm_position_t expected_next = f->expected_next;
        restore(f, &populated);
        f->expected_next = expected_next;
        mm_sim_flash_flip_bit(&f->flash, bit);
        assert_int_equal(fixture_reopen(f), MM_OK);
        assert_false(f->opening.restarted);
        seen_t seen = fixture_check(f, NULL); // never a wrong payload
        assert_true(seen.seen_count + 1 >= record_count);
        assert_true(seen.seen_count + f->opening.damaged_count <= record_count + 1);
        if (bit % 61 == 0) {
            fixture_append_made(f, 2);
            seen = fixture_check(f, NULL);
            assert_true(seen.gap_damaged_count <= 1);
        }
        flip_count++;
    }
    print_message("journal: %u single bit flips\n", flip_count);
    fixture_destroy(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_journal_power_cut_at_every_byte_while_hq_follows),
        cmocka_unit_test(test_journal_power_cut_at_every_byte_while_thinning),
        cmocka_unit_test(test_journal_second_power_cut_inside_recovery),
        cmocka_unit_test(test_journal_every_single_bit_flip),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    print_message("journal: %llu power cuts in all\n", (unsigned long long)(cut_count + second_cut_count));
    return failures;
}
