// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_button.h"

#include "test_support.h"

#include "fake.h"
#include "fake_gpio.h"

#define MS INT64_C(1000)

static void count_wake(void *context) {
    (*(unsigned *)context)++;
}

static void test_press_and_bounce(void **state) {
    (void)state;
    mm_esp_button_t button;
    unsigned wakes = 0;
    bool down = false;
    mm_us_t deadline = 0;
    fake_reset();
    assert_int_equal(mm_esp_button_open(&button, 0, true, count_wake, &wakes), MM_OK);
    assert_int_equal(fake_gpio_pin(0)->config.pull_up_en, GPIO_PULLUP_ENABLE);
    assert_false(mm_esp_button_poll(&button, 0, &down, &deadline));
    assert_int_equal(deadline, MM_US_NEVER);
    fake_gpio_drive(0, 0);
    fake_gpio_drive(0, 1);
    fake_gpio_drive(0, 0);
    assert_int_equal(wakes, 3);
    assert_false(mm_esp_button_poll(&button, 100 * MS, &down, &deadline));
    assert_int_equal(deadline, 120 * MS);
    assert_true(mm_esp_button_poll(&button, 120 * MS, &down, &deadline));
    assert_true(down);
    assert_false(mm_esp_button_poll(&button, 121 * MS, &down, &deadline));
    fake_gpio_drive(0, 1);
    assert_false(mm_esp_button_poll(&button, 500 * MS, &down, &deadline));
    assert_true(mm_esp_button_poll(&button, 520 * MS, &down, &deadline));
    assert_false(down);
    mm_esp_button_close(&button);
    assert_null(fake_gpio_pin(0)->isr);
}

static void test_calls_fail(void **state) {
    (void)state;
    bool failed = false;
    for (unsigned call_no = 1; call_no == 1 || failed; call_no++) {
        mm_esp_button_t button;
        bool down = false;
        mm_us_t deadline = 0;
        fake_reset();
        fake_fail_at(call_no);
        mm_err_t err = mm_esp_button_open(&button, 0, true, NULL, NULL);
        failed = fake_has_failed();
        assert_int_equal(err, failed ? MM_ERR_UNAVAILABLE : MM_OK);
        assert_false(mm_esp_button_poll(&button, 0, &down, &deadline));
        mm_esp_button_close(&button);
        assert_null(fake_gpio_pin(0)->isr);
    }
    // The board has a resistor.
    mm_esp_button_t other;
    fake_reset();
    assert_int_equal(mm_esp_button_open(&other, 36, false, NULL, NULL), MM_OK);
    assert_int_equal(fake_gpio_pin(36)->config.pull_up_en, GPIO_PULLUP_DISABLE);
    mm_esp_button_t none;
    assert_int_equal(mm_esp_button_open(&none, -1, true, NULL, NULL), MM_ERR_UNAVAILABLE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_press_and_bounce),
        cmocka_unit_test(test_calls_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
