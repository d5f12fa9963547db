// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include <stdio.h>
#include <string.h>

#include "linux/linux_crypto.h"
#include "meshmeter/legacy_command.h"

// Check values of the original for the date 250301, with its published secret (of which 16 characters count).
static const uint8_t s_secret[MM_LEGACY_SECRET_BYTES] = {'m', 'i', ' ', 'm', 'a', 'm', 'a', ' ',
                                                         'm', 'e', ' ', 'm', 'i', 'm', 'a', ' '};
#define NOON_S (INT64_C(1740787200) + 43200) // date -u -d '2025-03-01 12:00' +%s

static void test_legacy_published_check_values(void **state) {
    (void)state;
    static const struct {
        const char *item;
        mm_command_kind_t kind;
    } cases[] = {
        {"{\"cmd\":\"ota\",\"f\":\"250301\",\"cha\":\"47c5d663\"}", MM_COMMAND_OTA_START},
        {"{\"cmd\":\"netw\",\"f\":\"250301\",\"ssid\":\"net\",\"ssidpassw\":\"word\",\"reboot\":\"N\",\"cha\":"
         "\"ec12f8ba\"}",
         MM_COMMAND_NETWORK},
        {"{\"cmd\":\"lock\",\"disCon\":[{\"mid\":\"A1\",\"state\":1}],\"cha\":\"b914f5e9\"}", MM_COMMAND_LOCK},
        {"{\"cmd\":\"format\",\"f\":\"250301\",\"mid\":\"A1\",\"cha\":\"3093329f\"}", MM_COMMAND_FORMAT},
        {"{\"cmd\":\"erase\",\"f\":\"250301\",\"mid\":\"A1\",\"cha\":\"f62831b3\"}", MM_COMMAND_ERASE},
        {"{\"cmd\":\"update\",\"f\":\"250301\",\"mid\":\"A1\",\"bpk\":800,\"ks\":1,\"k\":2,\"cha\":\"db7ab777\"}",
         MM_COMMAND_ERASE},
        {"{\"cmd\":\"display\",\"f\":\"250301\",\"mid\":\"A1\",\"time\":30,\"cha\":\"ba648f51\"}",
         MM_COMMAND_DISPLAY_ON},
    };
    mm_linux_crypto_t crypto;
    assert_int_equal(mm_linux_crypto_open(&crypto, NULL, NULL), MM_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mm_legacy_command_t command;
        mm_legacy_order_t order;
        char item[200];
        snprintf(item, sizeof item, "%s", cases[i].item);
        assert_int_equal(mm_legacy_command_read(&command, item, strlen(item), s_secret, &crypto.crypto, NOON_S),
                         MM_LEGACY_COMMAND_GOOD);
        assert_true(mm_legacy_command_next(&command, &order));
        assert_int_equal(order.kind, cases[i].kind);
        // Another last digit of the check value.
        char *digit = strstr(item, "\"cha\":\"") + 7 + 7;
        *digit = *digit == '0' ? '1' : '0';
        assert_int_equal(mm_legacy_command_read(&command, item, strlen(item), s_secret, &crypto.crypto, NOON_S),
                         MM_LEGACY_COMMAND_FORGED);
    }
    mm_linux_crypto_close(&crypto);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_legacy_published_check_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
