// SPDX-License-Identifier: Apache-2.0
// The original's commands as an image with MM_LEGACY_COMMANDS has them: with the secret of its settings.
#include <string.h>

#include "mm_esp_legacy.h"
#include "test_support.h"

static const uint8_t s_secret[MM_LEGACY_SECRET_BYTES] = "a secret of test";
static bool s_had_secret;

static mm_err_t look_at_secret(void *context, const uint8_t key[MM_AES256_KEY_BYTES],
                               const uint8_t block[MM_AES_BLOCK_BYTES], uint8_t result[MM_AES_BLOCK_BYTES]) {
    (void)context;
    (void)key;
    s_had_secret = memcmp(block, s_secret, sizeof s_secret) == 0;
    memset(result, 0, MM_AES_BLOCK_BYTES);
    return MM_OK;
}

static void test_legacy_has_the_secret(void **state) {
    (void)state;
    static const char item[] = "{\"cmd\":\"ota\",\"f\":\"240610\",\"cha\":\"12345678\"}";
    static const mm_crypto_t crypto = {.aes256_encrypt = look_at_secret};
    static mm_counters_t counters;
    static mm_metering_t metering;
    static mm_control_t control;
    control.usable = true;
    control.crypto = &crypto;
    control.counters = &counters;
    control.metering = &metering;
    assert_int_equal(mm_control_take_legacy(&control, item, sizeof item - 1, 0), MM_ERR_STATE);
    assert_false(s_had_secret);
    control.options.legacy = mm_esp_legacy_open(s_secret);
    assert_int_equal(mm_control_take_legacy(&control, item, sizeof item - 1, 0), MM_ERR_CORRUPT);
    assert_true(s_had_secret);
    assert_int_equal(counters.values[MM_COUNTER_COMMAND_FORGED], 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_legacy_has_the_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
