// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_ota.h"

#include "test_support.h"

#include <string.h>

#include "fake.h"
#include "fake_ota.h"

#define URL "https://updates.example/meshmeter.bin"

static int reset(void **state) {
    (void)state;
    fake_reset();
    return 0;
}

static mm_esp_ota_result_t update(mm_esp_ota_t *ota, bool force) {
    mm_esp_ota_open(ota, 3);
    assert_int_equal(mm_esp_ota_begin(ota, URL, force), MM_OK);
    mm_esp_ota_result_t result = mm_esp_ota_run(ota);
    mm_esp_ota_take_result(ota, result);
    assert_int_equal(fake_ota()->open_count, 0);
    assert_true(fake_ota()->new_image_is_next == (result == MM_ESP_OTA_GOOD));
    assert_int_equal(ota->state, result == MM_ESP_OTA_GOOD ? MM_ESP_OTA_RESTART_DUE : MM_ESP_OTA_IDLE);
    return result;
}

static void test_versions(void **state) {
    (void)state;
    assert_true(mm_esp_ota_is_newer("1.2.4", "1.2.3"));
    assert_true(mm_esp_ota_is_newer("v1.10.0", "1.9.9"));
    assert_true(mm_esp_ota_is_newer("2.0.0-rc1", "1.9.9"));
    assert_false(mm_esp_ota_is_newer("1.2.3", "1.2.3"));
    assert_false(mm_esp_ota_is_newer("1.2.3-dirty", "1.2.3"));
    assert_false(mm_esp_ota_is_newer("1.2.2", "1.2.3"));
    static const char *const bad[] = {"",      "v",      "1",          "1.2",    "1.2.",  "1.2.3.4",
                                      "1.2.x", "latest", "1.2.100000", "-1.2.3", "1.2.3 "};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(mm_esp_ota_is_newer(bad[i], "0.0.1"));
        assert_false(mm_esp_ota_is_newer("9.0.0", bad[i]));
    }
}

static void test_newer_image_is_taken(void **state) {
    (void)state;
    mm_esp_ota_t ota;
    assert_int_equal(update(&ota, false), MM_ESP_OTA_GOOD);
    assert_true(fake_ota()->bundle_was_attached);
    assert_string_equal(fake_ota()->url, URL);
}

static void test_what_is_refused(void **state) {
    (void)state;
    mm_esp_ota_t ota;
    strcpy(fake_ota()->offered.version, "1.2.3");
    assert_int_equal(update(&ota, false), MM_ESP_OTA_NOT_NEWER);
    strcpy(fake_ota()->offered.version, "1.2.2");
    assert_int_equal(update(&ota, false), MM_ESP_OTA_NOT_NEWER);
    strcpy(fake_ota()->offered.version, "2.0.0");
    strcpy(fake_ota()->offered.project_name, "something");
    assert_int_equal(update(&ota, true), MM_ESP_OTA_OTHER_PROJECT);
    memset(fake_ota()->offered.project_name, 'x', sizeof fake_ota()->offered.project_name);
    assert_int_equal(update(&ota, true), MM_ESP_OTA_BAD_IMAGE);
    fake_reset();
    fake_ota()->pieces_sent = 3;
    assert_int_equal(update(&ota, false), MM_ESP_OTA_BAD_IMAGE);
    fake_reset();
    fake_ota()->redirects = true;
    assert_int_equal(update(&ota, true), MM_ESP_OTA_UNREACHABLE);
    fake_reset();
    fake_ota()->image_is_bad = true;
    assert_int_equal(update(&ota, false), MM_ESP_OTA_BAD_IMAGE);
}

static void test_older_image_only_by_force(void **state) {
    (void)state;
    mm_esp_ota_t ota;
    strcpy(fake_ota()->offered.version, "1.0.0");
    assert_int_equal(update(&ota, true), MM_ESP_OTA_GOOD);
}

// 1,000 pieces of 10 s are 10,000 s; the limit is 900 s.
static void test_slow_server(void **state) {
    (void)state;
    mm_esp_ota_t ota;
    fake_ota()->pieces = 1000;
    fake_ota()->pieces_sent = 1000;
    fake_ota()->piece_us = 10 * MM_US_PER_S;
    assert_int_equal(update(&ota, false), MM_ESP_OTA_TIMED_OUT);
    assert_true(fake_time_us() <= 910 * MM_US_PER_S);
}

static void test_addresses(void **state) {
    (void)state;
    mm_esp_ota_t ota;
    mm_esp_ota_open(&ota, 3);
    char long_url[MM_ESP_OTA_URL_CHARS_MAX + 2] = "https://";
    memset(long_url + 8, 'a', sizeof long_url - 9);
    long_url[sizeof long_url - 1] = '\0';
    assert_int_equal(mm_esp_ota_begin(&ota, "http://updates.example/a.bin", false), MM_ERR_ARG);
    assert_int_equal(mm_esp_ota_begin(&ota, "https://", false), MM_ERR_ARG);
    assert_int_equal(mm_esp_ota_begin(&ota, "", false), MM_ERR_ARG);
    assert_int_equal(mm_esp_ota_begin(&ota, long_url, false), MM_ERR_ARG);
    long_url[MM_ESP_OTA_URL_CHARS_MAX] = '\0';
    assert_int_equal(mm_esp_ota_begin(&ota, long_url, false), MM_OK);
    assert_int_equal(mm_esp_ota_begin(&ota, URL, false), MM_ERR_STATE);
}

static void test_trial_ends_after_good_cycles(void **state) {
    (void)state;
    mm_esp_ota_t ota;
    fake_ota()->running_state = ESP_OTA_IMG_PENDING_VERIFY;
    mm_esp_ota_open(&ota, 3);
    assert_true(ota.is_pending);
    assert_int_equal(mm_esp_ota_begin(&ota, URL, false), MM_ERR_STATE);
    assert_int_equal(mm_esp_ota_good_cycle(&ota), MM_OK);
    assert_int_equal(mm_esp_ota_good_cycle(&ota), MM_OK);
    assert_int_equal(fake_ota()->running_state, ESP_OTA_IMG_PENDING_VERIFY);
    fake_fail_at(1);
    assert_int_equal(mm_esp_ota_good_cycle(&ota), MM_ERR_STORAGE);
    assert_true(ota.is_pending);
    assert_int_equal(mm_esp_ota_good_cycle(&ota), MM_OK);
    assert_int_equal(fake_ota()->running_state, ESP_OTA_IMG_VALID);
    assert_int_equal(mm_esp_ota_good_cycle(&ota), MM_OK);
    assert_int_equal(mm_esp_ota_begin(&ota, URL, false), MM_OK);
}

// Each call of the SDK fails once: the old image stays, no handle leaks, and the next update works.
static void test_every_call_fails(void **state) {
    (void)state;
    unsigned call_no = 0;
    bool failed = true;
    while (failed) {
        mm_esp_ota_t ota;
        fake_reset();
        fake_fail_at(++call_no);
        // The first call asks for the state; then this is an image like any other.
        mm_esp_ota_result_t result = update(&ota, false);
        failed = fake_has_failed();
        assert_true(!failed || call_no == 1 || result != MM_ESP_OTA_GOOD);
        assert_true(failed || result == MM_ESP_OTA_GOOD);
        fake_fail_at(0);
        if (result != MM_ESP_OTA_GOOD) {
            assert_int_equal(update(&ota, false), MM_ESP_OTA_GOOD);
        }
    }
    // State, begin, description, 4 pieces and the end, finish; and the run without a failure.
    assert_int_equal(call_no, 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_versions, reset),
        cmocka_unit_test_setup(test_newer_image_is_taken, reset),
        cmocka_unit_test_setup(test_what_is_refused, reset),
        cmocka_unit_test_setup(test_older_image_only_by_force, reset),
        cmocka_unit_test_setup(test_slow_server, reset),
        cmocka_unit_test_setup(test_addresses, reset),
        cmocka_unit_test_setup(test_trial_ends_after_good_cycles, reset),
        cmocka_unit_test_setup(test_every_call_fails, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
