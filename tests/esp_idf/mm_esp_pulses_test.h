// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEST_ESP_PULSES_H
#define MM_TEST_ESP_PULSES_H

// The tests of both edge detectors; the test program includes the source itself, and makes power cuts.

#include <string.h>

#include "test_support.h"

#include "fake.h"
#include "fake_freertos.h"
#include "fake_gpio.h"
#include "fake_pcnt.h"

#define MS INT64_C(1000)

static const mm_esp_pulses_options_t s_options = {
    .pins = {14, 27, 26, 25, 33, 32, 35, 34}, .pull_up = true, .on_low = true, .debounce_us = 30000};
static uint32_t s_generation = 100;

// Power was away: what a reset leaves alone is gone as well.
static void open_after_power_cut(mm_esp_pulses_t *pulses, const mm_esp_pulses_options_t *options) {
    fake_reset();
    fake_time_advance(1000 * MS);
    memset(&s_kept, 0xA5, sizeof s_kept);
    assert_int_equal(mm_esp_pulses_open(pulses, options, ++s_generation), MM_OK);
    assert_false(pulses->survived);
}

static mm_pulse_counts_t counts_of(mm_esp_pulses_t *pulses) {
    mm_pulse_counts_t counts;
    assert_int_equal(pulses->pulses.read(pulses->pulses.context, fake_time_us(), &counts), MM_OK);
    assert_int_equal(fake_critical_depth(), 0);
    return counts;
}

static void drive(int pin, bool closed) {
    fake_pcnt_drive(pin, closed ? 0 : 1);
}

// A contact bounces: it changes its mind every 300 us, 8 times.
static void move(int pin, bool closed) {
    for (int i = 0; i < 8; i++) {
        drive(pin, i % 2 == 0 ? closed : !closed);
        fake_time_advance(300);
    }
    drive(pin, closed);
}

static void test_bouncing_contact(void **state) {
    (void)state;
    mm_esp_pulses_t pulses;
    open_after_power_cut(&pulses, &s_options);
    for (unsigned i = 0; i < 100; i++) {
        move(14, true);
        fake_time_advance(30 * MS);
        move(14, false);
        fake_time_advance(30 * MS);
    }
    assert_int_equal(counts_of(&pulses).counts[0], 100);
    assert_true(pulses.rejected >= 100);
    mm_esp_pulses_close(&pulses);
}

// Half of the shortest pulse is the border: 14 ms are noise, 16 ms are a pulse.
static void test_border(void **state) {
    (void)state;
    mm_esp_pulses_t pulses;
    open_after_power_cut(&pulses, &s_options);
    drive(14, true);
    fake_time_advance(14 * MS);
    drive(14, false);
    fake_time_advance(100 * MS);
    assert_int_equal(counts_of(&pulses).counts[0], 0);
    drive(14, true);
    fake_time_advance(16 * MS);
    drive(14, false);
    fake_time_advance(100 * MS);
    assert_int_equal(counts_of(&pulses).counts[0], 1);
    // An interruption of the closed contact is no second pulse.
    drive(14, true);
    fake_time_advance(100 * MS);
    drive(14, false);
    fake_time_advance(14 * MS);
    drive(14, true);
    fake_time_advance(100 * MS);
    drive(14, false);
    fake_time_advance(100 * MS);
    assert_int_equal(counts_of(&pulses).counts[0], 2);
    mm_esp_pulses_close(&pulses);
}

// 30 ms closed, 30 ms open: 16.7 pulses a second on all 8 channels, one after the other by 1 ms. The owner reads before
// and after, and does nothing for ten seconds in between.
static void test_busy_owner(void **state) {
    (void)state;
    mm_esp_pulses_t pulses;
    open_after_power_cut(&pulses, &s_options);
    mm_pulse_counts_t before = counts_of(&pulses);
    for (int64_t ms = 0; ms < 10020; ms++) {
        for (unsigned i = 0; i < MM_CHANNELS; i++) {
            int64_t phase = (ms - (int64_t)i) % 60;
            if (ms >= (int64_t)i && (phase == 0 || phase == 30)) {
                move(s_options.pins[i], phase == 0);
            }
        }
        fake_time_advance(MS);
    }
    mm_pulse_counts_t after = counts_of(&pulses);
    for (unsigned i = 0; i < MM_CHANNELS; i++) {
        assert_in_range(after.counts[i] - before.counts[i], 167, 168); // 10,020 ms / 60 ms
    }
    mm_esp_pulses_close(&pulses);
}

static void test_more_than_16_bits(void **state) {
    (void)state;
    mm_esp_pulses_t pulses;
    mm_esp_pulses_options_t options = s_options;
    options.debounce_us = 0;
    open_after_power_cut(&pulses, &options);
    for (unsigned i = 0; i < 70000; i++) {
        drive(27, true);
        drive(27, false);
    }
    assert_int_equal(counts_of(&pulses).counts[1], 70000);
    mm_esp_pulses_close(&pulses);
}

static void test_reset_and_power_cut(void **state) {
    (void)state;
    mm_esp_pulses_t pulses;
    open_after_power_cut(&pulses, &s_options);
    drive(14, true);
    fake_time_advance(50 * MS);
    drive(14, false);
    uint32_t generation = counts_of(&pulses).generation;
    assert_int_equal(generation, s_generation);
    mm_esp_pulses_close(&pulses);
    fake_reset();
    assert_int_equal(mm_esp_pulses_open(&pulses, &s_options, 7777), MM_OK);
    assert_true(pulses.survived);
    assert_int_equal(counts_of(&pulses).generation, generation);
    assert_int_equal(counts_of(&pulses).counts[0], 1);
    mm_esp_pulses_close(&pulses);
    // The reset came between a count and its complement: the pulse counts.
    s_kept.counts[0] = s_kept.counts[0] + 1;
    assert_int_equal(mm_esp_pulses_open(&pulses, &s_options, 7777), MM_OK);
    assert_int_equal(counts_of(&pulses).counts[0], 2);
    mm_esp_pulses_close(&pulses);
    // Any other difference: the memory lost its content.
    s_kept.counts[5] = s_kept.counts[5] + 2;
    assert_int_equal(mm_esp_pulses_open(&pulses, &s_options, 7777), MM_OK);
    assert_false(pulses.survived);
    assert_int_equal(counts_of(&pulses).generation, 7777);
    assert_int_equal(counts_of(&pulses).counts[0], 0);
    mm_esp_pulses_close(&pulses);
}

static void test_closed_at_the_start(void **state) {
    (void)state;
    mm_esp_pulses_t pulses;
    open_after_power_cut(&pulses, &s_options);
    mm_esp_pulses_close(&pulses);
    fake_gpio_drive(14, 0);
    mm_esp_pulses_options_t options = s_options;
    options.pull_up = false; // the fake pulls up when it is configured
    assert_int_equal(mm_esp_pulses_open(&pulses, &options, 1), MM_OK);
    fake_time_advance(100 * MS);
    drive(14, false);
    fake_time_advance(100 * MS);
    assert_int_equal(counts_of(&pulses).counts[0], 0);
    mm_esp_pulses_close(&pulses);
}

// Whatever fails: that channel stays still and is named, the others count, nothing leaks.
static void test_calls_fail(void **state) {
    (void)state;
    unsigned call_no = 0;
    bool failed = false;
    do {
        mm_esp_pulses_t pulses;
        fake_reset();
        memset(&s_kept, 0xA5, sizeof s_kept);
        fake_fail_at(++call_no);
        mm_err_t err = mm_esp_pulses_open(&pulses, &s_options, 1);
        failed = fake_has_failed();
        fake_fail_at(0);
        assert_int_equal(err, pulses.failed == 0 ? MM_OK : MM_ERR_UNAVAILABLE);
        assert_int_equal(pulses.failed != 0, failed);
        for (unsigned i = 0; i < MM_CHANNELS; i++) {
            drive(s_options.pins[i], false);
            fake_time_advance(50 * MS);
            drive(s_options.pins[i], true);
            fake_time_advance(50 * MS);
            drive(s_options.pins[i], false);
            bool works = (pulses.failed >> i & 1) == 0;
            assert_int_equal(counts_of(&pulses).counts[i], works ? 1 : 0);
        }
        // Asked once more, what failed counts from then on.
        assert_int_equal(mm_esp_pulses_retry(&pulses), MM_OK);
        for (unsigned i = 0; i < MM_CHANNELS; i++) {
            uint32_t before = counts_of(&pulses).counts[i];
            drive(s_options.pins[i], true);
            fake_time_advance(50 * MS);
            drive(s_options.pins[i], false);
            assert_int_equal(counts_of(&pulses).counts[i], before + 1);
        }
        mm_esp_pulses_close(&pulses);
        assert_int_equal(fake_pcnt_unit_count(), 0);
        for (unsigned i = 0; i < MM_CHANNELS; i++) {
            assert_null(fake_gpio_pin(s_options.pins[i])->isr);
        }
    } while (failed);
    assert_true(call_no > 8);
}

// Random numbers are zero at times; a generation never is, so that memory of zeros is not one that survived.
static void test_generation_is_not_zero(void **state) {
    (void)state;
    mm_esp_pulses_t pulses;
    fake_reset();
    memset(&s_kept, 0xA5, sizeof s_kept);
    assert_int_equal(mm_esp_pulses_open(&pulses, &s_options, 0), MM_OK);
    assert_int_not_equal(counts_of(&pulses).generation, 0);
    mm_esp_pulses_close(&pulses);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bouncing_contact),    cmocka_unit_test(test_border),
        cmocka_unit_test(test_busy_owner),          cmocka_unit_test(test_more_than_16_bits),
        cmocka_unit_test(test_reset_and_power_cut), cmocka_unit_test(test_closed_at_the_start),
        cmocka_unit_test(test_calls_fail),          cmocka_unit_test(test_generation_is_not_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
