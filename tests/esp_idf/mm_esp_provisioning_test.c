// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_provisioning.h"

#include <esp_idf_version.h>

#include "test_support.h"

#include <stdio.h>
#include <string.h>

#include "fake.h"
#include "fake_freertos.h"
#include "fake_provisioning.h"
#include "mm_esp_entropy.h"

#define LABEL "k7-Quito-42"
#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define FORM "site=house-9&broker_url=mqtts://broker.example:8883&broker_user=node&revision=10&mesh_key=" KEY

static mm_esp_provisioning_t s_provisioning;
static unsigned s_posts;
static bool s_queue_is_full;

static bool post(void *context) {
    assert_ptr_equal(context, &s_posts);
    s_posts += s_queue_is_full ? 0 : 1;
    return !s_queue_is_full;
}

static const mm_esp_provisioning_options_t s_options = {.idf_version = ESP_IDF_VERSION,
                                                        .pop = LABEL,
                                                        .mac = {{0x24, 0x6F, 0x28, 0x0A, 0xBC, 0x1D}},
                                                        .post = post,
                                                        .context = &s_posts};

static int reset(void **state) {
    (void)state;
    fake_reset();
    mm_esp_entropy_open();
    memset(&s_provisioning, 0, sizeof s_provisioning);
    s_posts = 0;
    s_queue_is_full = false;
    return 0;
}

static void open_and_connect(void) {
    assert_int_equal(mm_esp_provisioning_open(&s_provisioning, &s_options), MM_OK);
    assert_true(fake_phone_connect(MM_ESP_PROVISIONING_USER, LABEL));
}

// SRP of the SDK before: a public key of zero is a key that everybody knows.
static void test_sdk_that_is_not_safe_opens_nothing(void **state) {
    (void)state;
    static const struct {
        uint32_t version;
        bool is_safe;
    } cases[] = {
        {0, false},
        {ESP_IDF_VERSION_VAL(5, 2, 6), false},
        {ESP_IDF_VERSION_VAL(5, 2, 7), true},
        {ESP_IDF_VERSION_VAL(5, 3, 0), false},
        {ESP_IDF_VERSION_VAL(5, 4, 4), false},
        {ESP_IDF_VERSION_VAL(5, 5, 4), false},
        {ESP_IDF_VERSION_VAL(5, 5, 5), true},
        {ESP_IDF_VERSION_VAL(5, 6, 0), true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mm_esp_provisioning_options_t options = s_options;
        options.idf_version = cases[i].version;
        reset(state);
        mm_err_t err = mm_esp_provisioning_open(&s_provisioning, &options);
        assert_int_equal(err, cases[i].is_safe ? MM_OK : MM_ERR_UNAVAILABLE);
        assert_int_equal(fake_phone_connect(MM_ESP_PROVISIONING_USER, LABEL), cases[i].is_safe);
        mm_esp_provisioning_close(&s_provisioning);
    }
}

static void assert_answer(const char *endpoint, const char *form, const char *expected) {
    const char *answer = NULL;
    assert_int_equal(fake_phone_send(endpoint, form, strlen(form), &answer), ESP_OK);
    assert_string_equal(answer, expected);
}

static void assert_status(wifi_prov_sta_state_t state) {
    wifi_prov_config_get_data_t status;
    assert_true(fake_phone_ask(&status));
    assert_int_equal(status.wifi_state, state);
}

static mm_us_t now(void) {
    return fake_time_us();
}

static void assert_nothing_taken(void) {
    mm_network_t network;
    assert_false(mm_esp_provisioning_take(&s_provisioning, &network, now()));
}

static void hand_over(void) {
    assert_answer("meshmeter", FORM, "ok\n");
    assert_true(fake_phone_set_router("home", "router pw"));
    assert_true(fake_phone_apply());
}

static void test_network_is_handed_over(void **state) {
    (void)state;
    open_and_connect();
    assert_string_equal(fake_bluetooth()->config.device_name, "PROV_0ABC1D");
    assert_string_equal(fake_bluetooth()->version,
                        "{\"prov\":{\"ver\":\"v1.1\",\"sec_ver\":2,\"sec_patch_ver\":1,\"cap\":[]}}");
    hand_over();
    assert_int_equal(s_posts, 1);
    assert_status(WIFI_PROV_STA_CONNECTING);
    mm_network_t network;
    assert_true(mm_esp_provisioning_take(&s_provisioning, &network, now()));
    assert_string_equal(network.site, "house-9");
    assert_string_equal(network.broker.url, "mqtts://broker.example:8883");
    assert_string_equal(network.broker.user, "node");
    assert_string_equal(network.broker.password, "");
    assert_string_equal(network.router.ssid, "home");
    assert_string_equal(network.router.password, "router pw");
    assert_int_equal(network.revision, 10);
    assert_int_equal(network.mesh_key[31], 0x1F);
    assert_nothing_taken(); // once
    assert_status(WIFI_PROV_STA_CONNECTING);
    assert_false(mm_esp_provisioning_is_over(&s_provisioning, now()));
    assert_true(mm_esp_provisioning_settle(&s_provisioning, true, now()));
    assert_false(mm_esp_provisioning_is_over(&s_provisioning, now()));
    wifi_prov_config_get_data_t status;
    assert_true(fake_phone_ask(&status));
    assert_int_equal(status.wifi_state, WIFI_PROV_STA_CONNECTED);
    assert_string_equal(status.conn_info.ssid, "home");
    // The answer has to leave the device first.
    assert_false(mm_esp_provisioning_is_over(&s_provisioning, now()));
    fake_time_advance((int64_t)MM_ESP_PROVISIONING_SENT_S * MM_US_PER_S);
    assert_true(mm_esp_provisioning_is_over(&s_provisioning, now()));
    mm_esp_provisioning_close(&s_provisioning);
    assert_true(fake_bluetooth()->memory_is_released);
    assert_int_equal(fake_bluetooth()->allocated, 0);
}

static void test_phone_that_goes_away_holds_nothing_up(void **state) {
    (void)state;
    open_and_connect();
    hand_over();
    mm_network_t network;
    assert_true(mm_esp_provisioning_take(&s_provisioning, &network, now()));
    assert_true(mm_esp_provisioning_settle(&s_provisioning, true, now()));
    fake_time_advance((int64_t)MM_ESP_PROVISIONING_TELL_S * MM_US_PER_S - 1);
    assert_false(mm_esp_provisioning_is_over(&s_provisioning, now()));
    fake_time_advance(1);
    assert_true(mm_esp_provisioning_is_over(&s_provisioning, now()));
    // Nothing else is taken meanwhile.
    assert_answer("meshmeter", FORM, "error: a network is being judged\n");
    assert_false(fake_phone_set_router("other", "router pw"));
    assert_false(fake_phone_apply());
    mm_esp_provisioning_close(&s_provisioning);
}

static void test_network_that_is_refused(void **state) {
    (void)state;
    open_and_connect();
    assert_status(WIFI_PROV_STA_DISCONNECTED); // nothing was handed over
    hand_over();
    mm_network_t network;
    assert_true(mm_esp_provisioning_take(&s_provisioning, &network, now()));
    // What was handed on is nowhere else.
    assert_string_equal(s_provisioning.network.router.password, "");
    assert_int_equal(s_provisioning.text_bytes, 0);
    assert_true(mm_esp_provisioning_settle(&s_provisioning, false, now()));
    assert_status(WIFI_PROV_STA_DISCONNECTED);
    assert_false(fake_phone_apply()); // the one that was refused is not offered again
    fake_time_advance((int64_t)MM_ESP_PROVISIONING_TELL_S * MM_US_PER_S);
    assert_false(mm_esp_provisioning_is_over(&s_provisioning, now()));
    // The next try.
    hand_over();
    assert_int_equal(s_posts, 2);
    assert_true(mm_esp_provisioning_take(&s_provisioning, &network, now()));
    assert_true(mm_esp_provisioning_settle(&s_provisioning, true, now()));
    assert_status(WIFI_PROV_STA_CONNECTED);
    mm_esp_provisioning_close(&s_provisioning);
}

static void test_owner_that_is_late(void **state) {
    (void)state;
    open_and_connect();
    hand_over();
    fake_time_advance((int64_t)MM_ESP_PROVISIONING_JUDGE_S * MM_US_PER_S - 1);
    assert_status(WIFI_PROV_STA_CONNECTING);
    fake_time_advance(1);
    assert_nothing_taken(); // the phone is told otherwise
    assert_status(WIFI_PROV_STA_DISCONNECTED);
    assert_nothing_taken();
    // Taken in time, judged too late: the phone was told "refused", the network stays.
    hand_over();
    mm_network_t network;
    assert_true(mm_esp_provisioning_take(&s_provisioning, &network, now()));
    fake_time_advance((int64_t)MM_ESP_PROVISIONING_JUDGE_S * MM_US_PER_S);
    assert_status(WIFI_PROV_STA_DISCONNECTED);
    assert_true(mm_esp_provisioning_settle(&s_provisioning, true, now()));
    assert_status(WIFI_PROV_STA_CONNECTED);
    mm_esp_provisioning_close(&s_provisioning);
}

// What was not noted is said to who has to know: nobody may wait for the phone then.
static void test_verdict_that_cannot_be_noted(void **state) {
    (void)state;
    open_and_connect();
    hand_over();
    mm_network_t network;
    assert_true(mm_esp_provisioning_take(&s_provisioning, &network, now()));
    assert_int_equal(xSemaphoreTake(s_provisioning.mutex, 0), pdTRUE);
    int64_t before_us = fake_time_us();
    assert_false(mm_esp_provisioning_settle(&s_provisioning, true, now()));
    assert_int_equal(fake_time_us() - before_us, MM_ESP_PROVISIONING_LOCK_MS * INT64_C(1000));
    assert_int_equal(xSemaphoreGive(s_provisioning.mutex), pdTRUE);
    fake_time_advance((int64_t)MM_ESP_PROVISIONING_TELL_S * MM_US_PER_S);
    assert_false(mm_esp_provisioning_is_over(&s_provisioning, now()));
    assert_status(WIFI_PROV_STA_DISCONNECTED);
    mm_esp_provisioning_close(&s_provisioning);
}

static void test_order_and_what_is_missing(void **state) {
    (void)state;
    open_and_connect();
    assert_false(fake_phone_apply());
    assert_true(fake_phone_set_router("home", "router pw"));
    assert_false(fake_phone_apply()); // a plain app: there is no form
    assert_answer("custom-data", FORM, "ok\n");
    s_queue_is_full = true;
    assert_false(fake_phone_apply());
    s_queue_is_full = false;
    assert_true(fake_phone_apply());
    assert_int_equal(s_posts, 1);
    assert_false(fake_phone_apply()); // it is being judged
    assert_int_equal(s_posts, 1);
    mm_esp_provisioning_close(&s_provisioning);
}

static void test_routers(void **state) {
    (void)state;
    open_and_connect();
    assert_answer("meshmeter", FORM "&router_name=wrong&router_password=wrong-one", "ok\n");
    assert_false(fake_phone_set_router("", "router pw"));
    assert_false(fake_phone_apply());
    static const char *const bad[][2] = {
        {"home", "short"}, {"ho\nme", "router pw"}, {"\xFF", "router pw"}, {"home", "router\xC3pw"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_true(fake_phone_set_router(bad[i][0], bad[i][1]));
        assert_false(fake_phone_apply());
    }
    assert_int_equal(s_posts, 0);
    char name[34];
    memset(name, 'n', sizeof name);
    name[33] = '\0';
    assert_false(fake_phone_set_router(name, "router pw"));
    name[32] = '\0';
    assert_true(fake_phone_set_router(name, "")); // an open network
    assert_true(fake_phone_apply());
    mm_network_t network;
    assert_true(mm_esp_provisioning_take(&s_provisioning, &network, now()));
    assert_string_equal(network.router.ssid, name);
    assert_string_equal(network.router.password, "");
    mm_esp_provisioning_close(&s_provisioning);
}

static void test_forms(void **state) {
    (void)state;
    open_and_connect();
    assert_answer("meshmeter", "", "error: site is missing or wrong\n");
    assert_answer("meshmeter", "a=%", "error: this is not a form\n");
    assert_answer("meshmeter", "site=a%FF", "error: site is missing or wrong\n");
    assert_answer("meshmeter", "site=House&broker_url=a&revision=1&mesh_key=" KEY,
                  "error: site or router_password is missing or wrong\n");
    assert_answer("meshmeter", "site=house-9&broker_url=a&revision=0&mesh_key=" KEY,
                  "error: revision is missing or wrong\n");
    // In pieces; each says what is still missing.
    assert_answer("meshmeter", "site=house-9", "error: broker_url is missing or wrong\n");
    assert_answer("custom-data", "&broker_url=mqtt://a", "error: revision is missing or wrong\n");
    assert_answer("meshmeter", "&revision=7&mesh_key=0001", "error: mesh_key is missing or wrong\n");
    assert_answer("meshmeter", "mesh_key=" KEY, "error: site is missing or wrong\n"); // without "&" it begins anew
    assert_answer("meshmeter", "site=house-9&broker_url=mqtt://a", "error: revision is missing or wrong\n");
    assert_answer("meshmeter", "&revision=7&mesh_key=" KEY, "ok\n");
    // One more makes it wrong again, and nothing is offered.
    assert_answer("meshmeter", "&site=other", "error: site is missing or wrong\n");
    assert_true(fake_phone_set_router("home", "router pw"));
    assert_false(fake_phone_apply());
    // Too long: at once, and in pieces.
    static char text[MM_ESP_PROVISIONING_FORM_BYTES_MAX + 1];
    const char *answer = NULL;
    memset(text, 'a', sizeof text);
    assert_int_equal(fake_phone_send("meshmeter", text, sizeof text, &answer), ESP_OK);
    assert_string_equal(answer, "error: the form is too long\n");
    text[0] = '&';
    assert_answer("meshmeter", FORM, "ok\n");
    assert_int_equal(fake_phone_send("meshmeter", text, sizeof text - sizeof FORM + 1, &answer), ESP_OK);
    assert_string_equal(answer, "error: the form is too long\n");
    assert_false(fake_phone_apply());
    hand_over();
    mm_esp_provisioning_close(&s_provisioning);
}

static void test_who_does_not_know_the_label(void **state) {
    (void)state;
    assert_int_equal(mm_esp_provisioning_open(&s_provisioning, &s_options), MM_OK);
    const char *answer = NULL;
    // Without a session, and with one that was refused.
    assert_int_not_equal(fake_phone_send("meshmeter", FORM, strlen(FORM), &answer), ESP_OK);
    assert_false(fake_phone_connect(MM_ESP_PROVISIONING_USER, "another"));
    assert_false(fake_phone_connect("somebody", LABEL));
    assert_int_not_equal(fake_phone_send("meshmeter", FORM, strlen(FORM), &answer), ESP_OK);
    // What was guessed is forgiven to who knows the label.
    assert_true(fake_phone_connect(MM_ESP_PROVISIONING_USER, LABEL));
    assert_status(WIFI_PROV_STA_DISCONNECTED);
    for (unsigned i = 0; i < 4; i++) {
        assert_false(fake_phone_connect(MM_ESP_PROVISIONING_USER, "another"));
    }
    assert_true(fake_phone_connect(MM_ESP_PROVISIONING_USER, LABEL));
    mm_esp_provisioning_close(&s_provisioning);
}

// 5 wrong ones: 10 s without any, then 20, 40 … 1,280 (challenge.h).
static void test_guessing_locks_out(void **state) {
    (void)state;
    assert_int_equal(mm_esp_provisioning_open(&s_provisioning, &s_options), MM_OK);
    static const int64_t lock_outs_s[] = {10, 20, 40, 80, 160, 320, 640, 1280, 1280};
    for (size_t i = 0; i < sizeof lock_outs_s / sizeof lock_outs_s[0]; i++) {
        for (unsigned j = 0; j < 5; j++) {
            assert_false(j % 2 == 0 ? fake_phone_connect(MM_ESP_PROVISIONING_USER, "guess") : fake_phone_babble());
        }
        fake_time_advance(lock_outs_s[i] * MM_US_PER_S - 1);
        assert_false(fake_phone_connect(MM_ESP_PROVISIONING_USER, LABEL));
        fake_time_advance(1);
    }
    assert_true(fake_phone_connect(MM_ESP_PROVISIONING_USER, LABEL));
    mm_esp_provisioning_close(&s_provisioning);
}

static void test_states(void **state) {
    (void)state;
    mm_esp_provisioning_options_t options = s_options;
    options.pop = "";
    assert_int_equal(mm_esp_provisioning_open(&s_provisioning, &options), MM_ERR_STATE);
    assert_false(fake_bluetooth()->is_on);
    // A salt that is not random is none.
    mm_esp_entropy_close_source();
    assert_int_equal(mm_esp_provisioning_open(&s_provisioning, &s_options), MM_ERR_UNAVAILABLE);
    assert_false(fake_bluetooth()->is_on);
    mm_esp_entropy_open();
    mm_network_t network;
    assert_false(mm_esp_provisioning_take(&s_provisioning, &network, 0));
    assert_false(mm_esp_provisioning_is_over(&s_provisioning, 0));
    assert_false(mm_esp_provisioning_settle(&s_provisioning, true, 0));
    assert_int_equal(mm_esp_provisioning_open(&s_provisioning, &s_options), MM_OK);
    assert_int_equal(mm_esp_provisioning_open(&s_provisioning, &s_options), MM_ERR_STATE);
    mm_esp_provisioning_close(&s_provisioning);
    mm_esp_provisioning_close(&s_provisioning);
    assert_int_equal(mm_esp_provisioning_open(&s_provisioning, &s_options), MM_ERR_STATE);
}

static bool contains(const void *bytes, size_t bytes_count, const char *text) {
    return memmem(bytes, bytes_count, text, strlen(text)) != NULL;
}

static void test_secrets_are_wiped(void **state) {
    (void)state;
    open_and_connect();
    assert_answer("meshmeter", FORM "&broker_password=secret-1", "ok\n");
    assert_true(fake_phone_set_router("home", "secret-2"));
    assert_true(contains(&s_provisioning, sizeof s_provisioning, "secret-1"));
    mm_esp_provisioning_close(&s_provisioning);
    assert_false(contains(&s_provisioning, sizeof s_provisioning, "secret-1"));
    assert_false(contains(&s_provisioning, sizeof s_provisioning, "secret-2"));
    assert_false(contains(&s_provisioning, sizeof s_provisioning, "1a1b1c1d"));
}

// Each call of the SDK fails once: a failed open leaves nothing behind and can be made again.
static void test_every_call_fails(void **state) {
    unsigned call_no = 0;
    bool failed = true;
    while (failed) {
        (void)reset(state);
        fake_fail_at(++call_no);
        mm_err_t err = mm_esp_provisioning_open(&s_provisioning, &s_options);
        failed = fake_has_failed();
        assert_int_equal(err, failed ? MM_ERR_UNAVAILABLE : MM_OK);
        fake_fail_at(0);
        if (failed) {
            assert_false(fake_bluetooth()->is_on);
            assert_false(fake_bluetooth()->memory_is_released);
            assert_int_equal(fake_bluetooth()->allocated, 0);
            assert_int_equal(mm_esp_provisioning_open(&s_provisioning, &s_options), MM_OK);
        }
        assert_true(fake_phone_connect(MM_ESP_PROVISIONING_USER, LABEL));
        hand_over();
        mm_esp_provisioning_close(&s_provisioning);
        assert_int_equal(fake_bluetooth()->allocated, 0);
    }
    // Instance, Bluetooth, session, version, 3 endpoints; and the run without a failure.
    assert_int_equal(call_no, 8);
}

static void test_bluetooth_that_does_not_end(void **state) {
    (void)state;
    open_and_connect();
    fake_fail_at(1);
    mm_esp_provisioning_close(&s_provisioning);
    assert_true(fake_bluetooth()->is_on && !fake_bluetooth()->memory_is_released);
    assert_status(WIFI_PROV_STA_DISCONNECTED); // what it uses is still there
    mm_esp_provisioning_close(&s_provisioning);
    assert_true(!fake_bluetooth()->is_on && fake_bluetooth()->memory_is_released);
    // Memory that is not given back is no reason to stop.
    (void)reset(state);
    open_and_connect();
    fake_fail_at(2);
    mm_esp_provisioning_close(&s_provisioning);
    assert_false(fake_bluetooth()->is_on);
    // A failed open whose Bluetooth does not end: close does it later.
    (void)reset(state);
    fake_fail_from(3);
    assert_int_equal(mm_esp_provisioning_open(&s_provisioning, &s_options), MM_ERR_UNAVAILABLE);
    assert_true(fake_bluetooth()->is_on);
    fake_fail_at(0);
    mm_esp_provisioning_close(&s_provisioning);
    assert_true(!fake_bluetooth()->is_on && fake_bluetooth()->memory_is_released);
    assert_int_equal(fake_bluetooth()->allocated, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_sdk_that_is_not_safe_opens_nothing, reset),
        cmocka_unit_test_setup(test_network_is_handed_over, reset),
        cmocka_unit_test_setup(test_phone_that_goes_away_holds_nothing_up, reset),
        cmocka_unit_test_setup(test_network_that_is_refused, reset),
        cmocka_unit_test_setup(test_owner_that_is_late, reset),
        cmocka_unit_test_setup(test_verdict_that_cannot_be_noted, reset),
        cmocka_unit_test_setup(test_order_and_what_is_missing, reset),
        cmocka_unit_test_setup(test_routers, reset),
        cmocka_unit_test_setup(test_forms, reset),
        cmocka_unit_test_setup(test_who_does_not_know_the_label, reset),
        cmocka_unit_test_setup(test_guessing_locks_out, reset),
        cmocka_unit_test_setup(test_states, reset),
        cmocka_unit_test_setup(test_secrets_are_wiped, reset),
        cmocka_unit_test_setup(test_every_call_fails, reset),
        cmocka_unit_test_setup(test_bluetooth_that_does_not_end, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
