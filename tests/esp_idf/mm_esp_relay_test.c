// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_relay.c"

#include "test_support.h"

#include <string.h>

#include "fake.h"
#include "fake_gpio.h"
#include "fake_nvs.h"

#define MS INT64_C(1000)

static const mm_esp_relay_options_t s_plain = {
    .pins = {13, 16, 17, 19, 4, 5, 15, 2}, .open_pins = {-1, -1, -1, -1, -1, -1, -1, -1}, .active_low = true};
static const mm_esp_relay_options_t s_latching = {.pins = {13, 16, 17, -1, -1, -1, -1, -1},
                                                  .open_pins = {19, 4, 5, -1, -1, -1, -1, -1},
                                                  .latching = true,
                                                  .coil_ms = 50};

static void power_cut(void) {
    memset(s_kept, 0x77, sizeof s_kept);
}

static mm_err_t set(mm_esp_relay_t *relay, uint8_t channel, bool closed) {
    return relay->relay.set(relay->relay.context, channel, closed);
}

static bool is_driven(int pin) {
    return fake_gpio_pin(pin)->config.mode == GPIO_MODE_OUTPUT;
}

static void test_last_state_comes_back(void **state) {
    (void)state;
    mm_esp_relay_t relay;
    fake_reset();
    power_cut();
    assert_int_equal(mm_esp_relay_open(&relay, &s_plain), MM_OK);
    assert_false(mm_esp_relay_restore(&relay));
    assert_false(is_driven(13)); // never told: not driven
    assert_int_equal(set(&relay, 0, true), MM_OK);
    assert_int_equal(set(&relay, 1, false), MM_OK);
    assert_int_equal(fake_gpio_pin(13)->level, 0); // active low
    assert_int_equal(fake_gpio_pin(16)->level, 1);
    assert_int_equal(mm_esp_relay_poll(&relay, 0), MM_US_NEVER);
    // A reset: memory has it, and it is there before NVS is.
    for (int pin = 13; pin <= 16; pin++) {
        (void)gpio_reset_pin((gpio_num_t)pin);
    }
    assert_int_equal(mm_esp_relay_open(&relay, &s_plain), MM_OK);
    assert_true(is_driven(13) && is_driven(16) && !is_driven(17));
    assert_int_equal(fake_gpio_pin(13)->level, 0);
    assert_int_equal(fake_gpio_pin(16)->level, 1);
    // A power cut: NVS has it.
    power_cut();
    fake_nvs_restart();
    for (int pin = 13; pin <= 16; pin++) {
        (void)gpio_reset_pin((gpio_num_t)pin);
    }
    assert_int_equal(mm_esp_relay_open(&relay, &s_plain), MM_OK);
    assert_false(is_driven(13));
    assert_true(mm_esp_relay_restore(&relay));
    assert_true(is_driven(13) && is_driven(16) && !is_driven(17));
    assert_int_equal(fake_gpio_pin(13)->level, 0);
    assert_int_equal(fake_nvs_open_count(), 0);
}

// A reset between the change and its saving, and then a power cut.
static void test_what_a_reset_left_is_saved(void **state) {
    (void)state;
    mm_esp_relay_t relay;
    fake_reset();
    power_cut();
    assert_int_equal(mm_esp_relay_open(&relay, &s_plain), MM_OK);
    (void)mm_esp_relay_restore(&relay);
    assert_int_equal(set(&relay, 0, true), MM_OK);
    (void)mm_esp_relay_poll(&relay, 0);
    assert_int_equal(set(&relay, 0, false), MM_OK); // not saved
    fake_nvs_restart();
    assert_int_equal(mm_esp_relay_open(&relay, &s_plain), MM_OK);
    assert_true(mm_esp_relay_restore(&relay));
    assert_int_equal(relay.closed, 0);
    assert_int_equal(mm_esp_relay_poll(&relay, 0), MM_US_NEVER);
    power_cut();
    fake_nvs_restart();
    assert_int_equal(mm_esp_relay_open(&relay, &s_plain), MM_OK);
    assert_true(mm_esp_relay_restore(&relay));
    assert_int_equal(relay.known, 1);
    assert_int_equal(relay.closed, 0);
}

// Memory that lost a bit in a short power cut: a relay must not close because of it.
static void test_memory_that_has_decayed(void **state) {
    (void)state;
    mm_esp_relay_t relay;
    fake_reset();
    power_cut();
    assert_int_equal(mm_esp_relay_open(&relay, &s_plain), MM_OK);
    (void)mm_esp_relay_restore(&relay);
    assert_int_equal(set(&relay, 0, false), MM_OK);
    (void)mm_esp_relay_poll(&relay, 0);
    s_kept[0] ^= 1;
    fake_nvs_restart();
    assert_int_equal(mm_esp_relay_open(&relay, &s_plain), MM_OK);
    assert_false(relay.survived);
    assert_true(mm_esp_relay_restore(&relay));
    assert_int_equal(relay.closed, 0);
}

static bool s_was_driven;

static void watch_order(void *context, int number, int level) {
    (void)context;
    (void)level;
    s_was_driven = s_was_driven || is_driven(number);
}

// The pin says what it has to say when it begins to drive: no relay closes for a moment.
static void test_level_comes_before_direction(void **state) {
    (void)state;
    mm_esp_relay_t relay;
    fake_reset();
    power_cut();
    s_was_driven = false;
    assert_int_equal(mm_esp_relay_open(&relay, &s_plain), MM_OK);
    fake_gpio_on_write(watch_order, NULL);
    assert_int_equal(set(&relay, 0, false), MM_OK);
    assert_true(is_driven(13));
    assert_false(s_was_driven);
}

static unsigned s_active;
static unsigned s_active_max;

static void watch_coils(void *context, int number, int level) {
    (void)context;
    (void)number;
    s_active += level != 0 ? 1U : -1U;
    s_active_max = s_active > s_active_max ? s_active : s_active_max;
}

static void test_one_coil_at_a_time(void **state) {
    (void)state;
    mm_esp_relay_t relay;
    fake_reset();
    power_cut();
    s_active = s_active_max = 0;
    assert_int_equal(mm_esp_relay_open(&relay, &s_latching), MM_OK);
    fake_gpio_on_write(watch_coils, NULL);
    assert_int_equal(set(&relay, 0, true), MM_OK);
    assert_int_equal(set(&relay, 1, false), MM_OK);
    assert_int_equal(set(&relay, 2, true), MM_OK);
    assert_int_equal(set(&relay, 3, true), MM_ERR_UNAVAILABLE); // has no pins
    mm_us_t deadline = mm_esp_relay_poll(&relay, 0);
    assert_int_equal(deadline, 50 * MS);
    assert_int_equal(fake_gpio_pin(13)->level, 1);
    (void)mm_esp_relay_poll(&relay, 49 * MS);
    assert_int_equal(fake_gpio_pin(13)->level, 1);
    deadline = mm_esp_relay_poll(&relay, 50 * MS);
    assert_int_equal(fake_gpio_pin(13)->level, 0);
    assert_int_equal(fake_gpio_pin(4)->level, 1); // opening coil of the second
    deadline = mm_esp_relay_poll(&relay, deadline);
    assert_int_equal(fake_gpio_pin(17)->level, 1);
    deadline = mm_esp_relay_poll(&relay, deadline);
    assert_int_equal(deadline, MM_US_NEVER);
    assert_int_equal(s_active, 0);
    assert_int_equal(s_active_max, 1);
    // Told the same again: the coil stays still.
    assert_int_equal(set(&relay, 0, true), MM_OK);
    assert_int_equal(mm_esp_relay_poll(&relay, 1000 * MS), MM_US_NEVER);
    assert_int_equal(s_active, 0);
}

// Whatever fails: no coil stays on, and later everything is as it was told, also in NVS.
static void test_one_call_fails(void **state) {
    (void)state;
    bool failed = false;
    for (unsigned call_no = 1; call_no == 1 || failed; call_no++) {
        mm_esp_relay_t relay;
        fake_reset();
        power_cut();
        fake_fail_at(call_no);
        (void)mm_esp_relay_open(&relay, &s_latching);
        (void)mm_esp_relay_restore(&relay);
        bool told = set(&relay, 0, true) == MM_OK || set(&relay, 0, true) == MM_OK;
        assert_true(told);
        mm_us_t now = 0;
        for (int i = 0; i < 20; i++) {
            mm_us_t deadline = mm_esp_relay_poll(&relay, now);
            now = deadline != MM_US_NEVER && deadline > now ? deadline : now + 1;
        }
        failed = fake_has_failed();
        assert_int_equal(fake_gpio_pin(13)->level, 0);
        assert_false(relay.is_unsaved);
        assert_int_equal(relay.waiting, 0);
        assert_int_equal(fake_nvs_open_count(), 0);
        power_cut();
        fake_nvs_restart();
        mm_esp_relay_t next;
        (void)mm_esp_relay_open(&next, &s_latching);
        assert_true(mm_esp_relay_restore(&next));
        assert_int_equal(next.closed, 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_last_state_comes_back),   cmocka_unit_test(test_what_a_reset_left_is_saved),
        cmocka_unit_test(test_memory_that_has_decayed), cmocka_unit_test(test_level_comes_before_direction),
        cmocka_unit_test(test_one_coil_at_a_time),      cmocka_unit_test(test_one_call_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
