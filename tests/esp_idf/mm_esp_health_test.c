// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_health.c"

#include "test_support.h"

#include <string.h>

#include "fake.h"
#include "fake_gpio.h"
#include "fake_system.h"

#define HOUR (3600 * MM_US_PER_S)

static const mm_esp_health_options_t s_options = {.crashes_max = 3, .warning_pin = -1};

static void start(mm_esp_health_t *health, esp_reset_reason_t reason) {
    fake_reset();
    fake_system()->reason = reason;
    mm_esp_health_open(health, &s_options, 0);
}

static void power_cut(void) {
    memset(s_kept, 0x5A, sizeof s_kept);
}

static void test_third_crash_is_safe_mode(void **state) {
    (void)state;
    mm_esp_health_t health;
    power_cut();
    start(&health, ESP_RST_POWERON);
    assert_int_equal(health.crashes, 0);
    start(&health, ESP_RST_PANIC);
    start(&health, ESP_RST_SW); // neither adds nor forgives
    start(&health, ESP_RST_TASK_WDT);
    assert_false(health.safe_mode);
    start(&health, ESP_RST_INT_WDT);
    assert_true(health.safe_mode);
    assert_int_equal(health.crashes, 3);
    assert_int_equal(health.reset, MM_ESP_RESET_WATCHDOG);
    // A quiet hour ends it, a second less does not.
    (void)mm_esp_health_poll(&health, HOUR - 1);
    assert_false(mm_esp_health_must_restart(&health));
    (void)mm_esp_health_poll(&health, HOUR);
    assert_true(mm_esp_health_must_restart(&health));
    start(&health, ESP_RST_SW);
    assert_false(health.safe_mode);
    assert_int_equal(health.crashes, 0);
}

static void test_button_and_power_forgive(void **state) {
    (void)state;
    mm_esp_health_t health;
    power_cut();
    for (int i = 0; i < 3; i++) {
        start(&health, ESP_RST_PANIC);
    }
    assert_true(health.safe_mode);
    mm_esp_health_forgive(&health);
    assert_true(mm_esp_health_must_restart(&health));
    for (int i = 0; i < 3; i++) {
        start(&health, ESP_RST_PANIC);
    }
    assert_true(health.safe_mode);
    start(&health, ESP_RST_POWERON);
    assert_false(health.safe_mode);
}

static void test_watchdog_is_fed(void **state) {
    (void)state;
    bool failed = false;
    for (unsigned call_no = 1; call_no == 1 || failed; call_no++) {
        mm_esp_health_t health;
        fake_reset();
        fake_fail_at(call_no);
        mm_esp_health_open(&health, &s_options, 0);
        failed = fake_has_failed();
        (void)mm_esp_health_poll(&health, 1); // tried again
        (void)mm_esp_health_poll(&health, 2);
        assert_true(fake_system()->task_is_watched);
        assert_true(fake_system()->feeds > 0);
        assert_true(mm_esp_health_poll(&health, 3) <= 3 + 5 * MM_US_PER_S);
    }
}

static void count_warning(void *context) {
    (*(unsigned *)context)++;
}

static void test_early_warning(void **state) {
    (void)state;
    mm_esp_health_t health;
    unsigned warnings = 0;
    fake_reset();
    fake_gpio_drive(36, 1);
    const mm_esp_health_options_t options = {
        .crashes_max = 3, .warning_pin = 36, .warn = count_warning, .context = &warnings};
    mm_esp_health_open(&health, &options, 0);
    assert_false(health.warning);
    fake_gpio_drive(36, 0);
    assert_true(health.warning);
    assert_int_equal(warnings, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_third_crash_is_safe_mode),
        cmocka_unit_test(test_button_and_power_forgive),
        cmocka_unit_test(test_watchdog_is_fed),
        cmocka_unit_test(test_early_warning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
