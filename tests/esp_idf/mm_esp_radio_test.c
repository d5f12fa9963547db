// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_radio.h"

#include "test_support.h"

#include <string.h>

#include "fake.h"
#include "fake_wifi.h"
#include "mm_esp_entropy.h"

#define NAME "meter-01"
#define PASSWORD "abcdefgh2345"

static int reset(void **state) {
    (void)state;
    mm_esp_radio_close();
    fake_reset();
    return 0;
}

static void expect_closed(void) {
    uint8_t bytes[4];
    assert_int_equal(mm_esp_radio_use(), MM_ESP_RADIO_OFF);
    assert_null(mm_esp_radio_station());
    assert_false(fake_wifi()->is_open);
    assert_int_equal(fake_netif_count(), 0);
    assert_int_equal(mm_esp_entropy_fill(bytes, sizeof bytes), MM_ERR_UNAVAILABLE);
}

static void test_access_point_of_the_page(void **state) {
    (void)state;
    uint8_t bytes[4];
    assert_int_equal(mm_esp_radio_open_access_point(NAME, PASSWORD), MM_OK);
    const wifi_ap_config_t *ap = &fake_wifi()->ap.ap;
    assert_int_equal(fake_wifi()->mode, WIFI_MODE_AP);
    assert_true(fake_wifi()->is_started);
    assert_int_equal(fake_wifi()->storage, WIFI_STORAGE_RAM);
    assert_int_equal(ap->ssid_len, strlen(NAME));
    assert_memory_equal(ap->ssid, NAME, strlen(NAME));
    assert_string_equal((const char *)ap->password, PASSWORD);
    assert_int_equal(ap->authmode, WIFI_AUTH_WPA2_PSK);
    assert_true(fake_netif_find(true)->dhcp_server_runs);
    assert_null(mm_esp_radio_station());
    assert_int_equal(mm_esp_entropy_fill(bytes, sizeof bytes), MM_OK);
    assert_int_equal(mm_esp_radio_open(MM_ESP_RADIO_MESH), MM_ERR_STATE);
    assert_int_equal(mm_esp_radio_use(), MM_ESP_RADIO_ACCESS_POINT);
    mm_esp_radio_close();
    expect_closed();
    mm_esp_radio_close();
}

static void test_names_and_passwords(void **state) {
    (void)state;
    char text[66];
    memset(text, 'a', sizeof text);
    text[65] = '\0';
    assert_int_equal(mm_esp_radio_open_access_point("", PASSWORD), MM_ERR_ARG);
    assert_int_equal(mm_esp_radio_open_access_point(text + 65 - 33, PASSWORD), MM_ERR_ARG);
    assert_int_equal(mm_esp_radio_open_access_point(NAME, "1234567"), MM_ERR_ARG);
    assert_int_equal(mm_esp_radio_open_access_point(NAME, text + 65 - 64), MM_ERR_ARG);
    assert_int_equal(mm_esp_radio_open_access_point(NAME, ""), MM_ERR_ARG);
    expect_closed();
    assert_int_equal(mm_esp_radio_open_access_point(text + 65 - 32, text + 65 - 63), MM_OK);
}

static void test_station(void **state) {
    (void)state;
    assert_int_equal(mm_esp_radio_open(MM_ESP_RADIO_STATION), MM_OK);
    assert_int_equal(fake_wifi()->mode, WIFI_MODE_STA);
    assert_ptr_equal(mm_esp_radio_station(), fake_netif_find(false));
    assert_false(fake_netif_find(false)->is_mesh);
    assert_int_equal(fake_wifi()->ps, WIFI_PS_MIN_MODEM); // beside Bluetooth
    mm_esp_radio_close();
    expect_closed();
    // One after the other, as often as one likes.
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(mm_esp_radio_open(MM_ESP_RADIO_MESH), MM_OK);
        assert_true(fake_netif_find(false)->is_mesh);
        assert_int_equal(fake_wifi()->ps, WIFI_PS_NONE);
        mm_esp_radio_close();
        assert_int_equal(mm_esp_radio_open_access_point(NAME, PASSWORD), MM_OK);
        mm_esp_radio_close();
    }
    expect_closed();
}

static void every_call_fails(mm_esp_radio_use_t use, unsigned calls) {
    unsigned call_no = 0;
    bool failed = true;
    while (failed) {
        (void)reset(NULL);
        fake_fail_at(++call_no);
        mm_err_t err =
            use == MM_ESP_RADIO_ACCESS_POINT ? mm_esp_radio_open_access_point(NAME, PASSWORD) : mm_esp_radio_open(use);
        failed = fake_has_failed();
        assert_int_equal(err, failed ? MM_ERR_UNAVAILABLE : MM_OK);
        fake_fail_at(0);
        if (failed) {
            expect_closed();
            assert_int_equal(mm_esp_radio_open(MM_ESP_RADIO_STATION), MM_OK);
        }
    }
    assert_int_equal(call_no, calls + 1);
}

static void test_every_call_fails(void **state) {
    (void)state;
    // TCP/IP, event loop; init, storage, mode, start; power save; of the soft-AP its configuration.
    every_call_fails(MM_ESP_RADIO_STATION, 6);
    every_call_fails(MM_ESP_RADIO_MESH, 7);
    every_call_fails(MM_ESP_RADIO_ACCESS_POINT, 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_access_point_of_the_page, reset),
        cmocka_unit_test_setup(test_names_and_passwords, reset),
        cmocka_unit_test_setup(test_station, reset),
        cmocka_unit_test_setup(test_every_call_fails, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
