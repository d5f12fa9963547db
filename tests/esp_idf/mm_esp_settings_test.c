// SPDX-License-Identifier: Apache-2.0
// Settings and the actions above them: each call of NVS fails once, and the device restarts after each of them.
#include "mm_esp_settings.h"

#include "test_support.h"

#include <string.h>

#include "fake.h"
#include "fake_nvs.h"
#include "mm_esp_actions.h"
#include "mm_esp_log.h"

static const uint8_t key[MM_ESP_DEVICE_KEY_BYTES] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16,
                                                     17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32};

#define OLD_BROKER "mqtts://old.example\nnode\nfirst-word"
#define NEW_BROKER "mqtts://new.example\nnode\nother-word"

static int reset(void **state) {
    (void)state;
    fake_reset();
    mm_esp_log_clear();
    return 0;
}

static void restart(mm_esp_settings_t *settings) {
    fake_nvs_restart();
    (void)mm_esp_settings_open(settings);
    assert_int_equal(fake_nvs_open_count(), 0);
}

static void test_virgin_device(void **state) {
    (void)state;
    mm_esp_settings_t settings;
    assert_int_equal(mm_esp_settings_open(&settings), MM_OK);
    assert_false(settings.has_key);
    assert_string_equal(settings.pop, "");
    assert_false(settings.has_router);
    assert_false(settings.has_broker);
    assert_int_equal(settings.start_count, 1);
    assert_false(settings.trial_was_cut_short);
    restart(&settings);
    assert_int_equal(settings.start_count, 2);
    char url[MM_ESP_OTA_URL_CHARS_MAX + 1];
    assert_int_equal(mm_esp_settings_get_ota_url(&settings, url), MM_ERR_NOT_FOUND);
}

static void test_key_is_written_once(void **state) {
    (void)state;
    mm_esp_settings_t settings;
    assert_int_equal(mm_esp_settings_open(&settings), MM_OK);
    assert_int_equal(mm_esp_settings_write_device(&settings, key, "short"), MM_ERR_ARG);
    assert_int_equal(mm_esp_settings_write_device(&settings, key, "with blank here"), MM_ERR_ARG);
    assert_int_equal(mm_esp_settings_write_device(&settings, key, "0123456789012345678901234567890123"), MM_ERR_ARG);
    assert_int_equal(mm_esp_settings_write_device(&settings, key, "label-code"), MM_OK);
    assert_true(settings.has_key);
    restart(&settings);
    assert_true(settings.has_key);
    assert_memory_equal(settings.key, key, sizeof key);
    assert_string_equal(settings.pop, "label-code");
    assert_int_equal(mm_esp_settings_write_device(&settings, key, "label-code"), MM_ERR_STATE);
    // Not even if it could not be read at the start.
    fake_fail_at(2);
    fake_nvs_restart();
    assert_int_equal(mm_esp_settings_open(&settings), MM_ERR_STORAGE);
    fake_fail_at(0);
    assert_false(settings.has_key);
    assert_int_equal(mm_esp_settings_write_device(&settings, key, "label-code"), MM_ERR_STATE);
    mm_esp_settings_close(&settings);
}

// The factory's partition survives what the other one does not.
static void test_broken_nvs_is_erased_alone(void **state) {
    (void)state;
    mm_esp_settings_t settings;
    assert_int_equal(mm_esp_settings_open(&settings), MM_OK);
    assert_int_equal(mm_esp_settings_write_device(&settings, key, "label-code"), MM_OK);
    assert_int_equal(mm_esp_settings_set_ota_url(&settings, "https://a.example/b", 19), MM_OK);
    fake_nvs_break_partition("nvs");
    restart(&settings);
    assert_true(settings.has_key);
    assert_int_equal(settings.start_count, 1);
    fake_nvs_break_partition("device");
    restart(&settings);
    assert_false(settings.has_key);
    assert_true(fake_nvs_has("device", "mm_device", "key"));
}

static void test_text(void **state) {
    (void)state;
    mm_esp_router_t router;
    assert_true(mm_esp_router_parse("net\npass", 8, &router));
    assert_string_equal(router.name, "net");
    assert_string_equal(router.password, "pass");
    assert_true(mm_esp_router_parse("net\npass\n", 9, &router));
    assert_true(mm_esp_router_parse("net", 3, &router));
    assert_string_equal(router.password, "");
    assert_false(mm_esp_router_parse("", 0, &router));
    assert_false(mm_esp_router_parse("\npass", 5, &router));
    assert_false(mm_esp_router_parse("net\npass\nmore", 13, &router));
    assert_false(mm_esp_router_parse("net\0x\npass", 10, &router));
    // 33 characters of a name, 64 of a password.
    assert_false(mm_esp_router_parse("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\nb", 35, &router));
    char text[128] = "net\n";
    memset(text + 4, 'p', 64);
    assert_false(mm_esp_router_parse(text, 68, &router));
    assert_string_equal(router.password, "");
    assert_true(mm_esp_router_parse(text, 67, &router));
    mm_esp_broker_t broker;
    assert_true(mm_esp_broker_parse(NEW_BROKER, strlen(NEW_BROKER), &broker));
    assert_string_equal(broker.url, "mqtts://new.example");
    assert_string_equal(broker.user, "node");
    assert_string_equal(broker.password, "other-word");
    assert_true(mm_esp_broker_parse("mqtt://a\n\n", 10, &broker));
    assert_false(mm_esp_broker_parse("mqtt://a\n\npass", 14, &broker));
}

// --- actions -------------------------------------------------------------------------------------------------------

typedef struct {
    char broker_url[128]; ///< "" = the configuration's
    char router_name[64];
    unsigned reboots;
    unsigned find_s;
    char ota_url[256];
} board_t;

static board_t s_board;

static void use_router(void *context, const mm_esp_router_t *router) {
    board_t *board = context;
    strcpy(board->router_name, router != NULL ? router->name : "");
}

static void use_broker(void *context, const mm_esp_broker_t *broker) {
    board_t *board = context;
    strcpy(board->broker_url, broker != NULL ? broker->url : "");
}

static bool url_is_good(const char *url) {
    return strncmp(url, "mqtt", 4) == 0;
}

static void reboot(void *context) {
    ((board_t *)context)->reboots++;
}

static void find(void *context, uint32_t seconds) {
    ((board_t *)context)->find_s = seconds;
}

static mm_err_t ota_start(void *context, const char *url) {
    strcpy(((board_t *)context)->ota_url, url);
    return MM_OK;
}

static void open_actions(mm_esp_actions_t *actions, mm_esp_settings_t *settings) {
    s_board = (board_t){0};
    mm_esp_actions_open(actions, &(mm_esp_actions_options_t){.settings = settings,
                                                             .use_router = use_router,
                                                             .use_broker = use_broker,
                                                             .url_is_good = url_is_good,
                                                             .find = find,
                                                             .reboot = reboot,
                                                             .ota_start = ota_start,
                                                             .context = &s_board});
}

static mm_err_t stage(mm_esp_actions_t *actions, const char *text) {
    return actions->actions.stage(actions->actions.context, MM_STAGED_BROKER, text, strlen(text));
}

static mm_err_t settle(mm_esp_actions_t *actions, bool keep) {
    return actions->actions.settle(actions->actions.context, MM_STAGED_BROKER, keep);
}

static void test_trial(void **state) {
    (void)state;
    mm_esp_settings_t settings;
    mm_esp_actions_t actions;
    assert_int_equal(mm_esp_settings_open(&settings), MM_OK);
    open_actions(&actions, &settings);
    assert_int_equal(settle(&actions, true), MM_ERR_STATE);
    assert_int_equal(settle(&actions, false), MM_OK);
    assert_int_equal(stage(&actions, "http://x\n\n"), MM_ERR_ARG);
    assert_int_equal(stage(&actions, OLD_BROKER), MM_OK);
    assert_string_equal(s_board.broker_url, "mqtts://old.example");
    assert_int_equal(settle(&actions, true), MM_OK);
    restart(&settings);
    open_actions(&actions, &settings);
    assert_string_equal(settings.broker.url, "mqtts://old.example");
    assert_false(settings.trial_was_cut_short);
    char kept[200];
    assert_int_equal(actions.actions.kept_broker(&actions, kept, sizeof kept), strlen(OLD_BROKER));
    assert_memory_equal(kept, OLD_BROKER, strlen(OLD_BROKER));
    assert_int_equal(actions.actions.kept_broker(&actions, kept, strlen(OLD_BROKER)), 0); // no room
    // The next one does not work.
    assert_int_equal(stage(&actions, NEW_BROKER), MM_OK);
    assert_int_equal(actions.actions.kept_broker(&actions, kept, sizeof kept), 0); // not kept
    assert_string_equal(s_board.broker_url, "mqtts://new.example");
    assert_int_equal(settle(&actions, false), MM_OK);
    assert_string_equal(s_board.broker_url, "mqtts://old.example");
    // A restart in the middle of the trial: the one before, and nothing of the other is left.
    assert_int_equal(stage(&actions, NEW_BROKER), MM_OK);
    restart(&settings);
    assert_true(settings.trial_was_cut_short);
    assert_string_equal(settings.broker.url, "mqtts://old.example");
    assert_string_equal(settings.broker.password, "first-word");
    assert_false(fake_nvs_contains("other-word", 10));
    // A whole new network.
    assert_int_equal(mm_esp_settings_forget_kept(&settings), MM_OK);
    assert_false(settings.has_broker);
    restart(&settings);
    assert_false(settings.has_broker);
    // No word of it was told.
    char log[MM_ESP_LOG_RING_BYTES];
    size_t log_bytes = mm_esp_log_tail(log, sizeof log);
    assert_true(log_bytes > 0);
    assert_null(memmem(log, log_bytes, "-word", 5));
}

// What was kept stands above the network that it was kept under, and above no other.
static void test_kept_under_a_network(void **state) {
    (void)state;
    static const uint32_t others[] = {8, 6, 0}; // newer; reset and handed over again; reset
    mm_esp_settings_t settings;
    mm_esp_router_t router = {.name = "home", .password = "long-pass"};
    mm_esp_broker_t broker = {.url = "mqtts://old.example"};
    assert_int_equal(mm_esp_settings_open(&settings), MM_OK);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        // Kept while the memory does not answer: of the network that is told first.
        assert_int_equal(mm_esp_settings_try_router(&settings, &router), MM_OK);
        assert_int_equal(mm_esp_settings_settle_router(&settings, true), MM_OK);
        assert_int_equal(mm_esp_settings_settle_router(&settings, true), MM_ERR_STATE); // the trial is over
        restart(&settings);
        assert_int_equal(mm_esp_settings_use_network(&settings, 7), MM_OK);
        assert_true(settings.has_router && !settings.has_broker);
        assert_int_equal(mm_esp_settings_try_broker(&settings, &broker), MM_OK);
        assert_int_equal(mm_esp_settings_settle_broker(&settings, true), MM_OK);
        restart(&settings);
        assert_int_equal(mm_esp_settings_use_network(&settings, 7), MM_OK);
        assert_true(settings.has_router && settings.has_broker);
        assert_string_equal(settings.router.name, "home");
        // Nobody has told: both stay as they are.
        restart(&settings);
        assert_true(settings.has_router && settings.has_broker);
        assert_int_equal(mm_esp_settings_use_network(&settings, others[i]), MM_OK);
        assert_false(settings.has_router || settings.has_broker);
        assert_string_equal(settings.router.password, "");
        restart(&settings);
        assert_false(settings.has_router || settings.has_broker);
        assert_false(fake_nvs_contains("long-pass", 9));
    }
}

// Each call that fails on the way to another network, or to the same one again: the next start ends the one, and the
// other loses nothing. Kept before a network was told, it becomes the one's that is told first.
static void test_every_call_of_use_network_fails(void **state) {
    (void)state;
    static const uint32_t revisions[] = {8, 7};
    for (size_t i = 0; i < sizeof revisions / sizeof revisions[0]; i++) {
        for (int is_told = 0; is_told < 2; is_told++) {
            bool failed = true;
            unsigned call_no = 0;
            while (failed) {
                mm_esp_settings_t settings;
                const mm_esp_router_t router = {.name = "home", .password = "long-pass"};
                const mm_esp_broker_t broker = {.url = "mqtts://old.example"};
                fake_reset();
                assert_int_equal(mm_esp_settings_open(&settings), MM_OK);
                if (is_told) {
                    assert_int_equal(mm_esp_settings_use_network(&settings, 7), MM_OK);
                }
                assert_int_equal(mm_esp_settings_try_router(&settings, &router), MM_OK);
                assert_int_equal(mm_esp_settings_settle_router(&settings, true), MM_OK);
                assert_int_equal(mm_esp_settings_try_broker(&settings, &broker), MM_OK);
                assert_int_equal(mm_esp_settings_settle_broker(&settings, true), MM_OK);
                restart(&settings);
                fake_fail_at(++call_no);
                mm_err_t err = mm_esp_settings_use_network(&settings, revisions[i]);
                failed = fake_has_failed();
                fake_fail_at(0);
                assert_int_equal(fake_nvs_open_count(), 0);
                assert_int_equal(err, failed ? MM_ERR_STORAGE : MM_OK);
                bool stays = !is_told || revisions[i] == 7;
                if (!failed || stays) {
                    assert_true(settings.has_router == stays && settings.has_broker == stays);
                }
                restart(&settings);
                assert_int_equal(mm_esp_settings_use_network(&settings, revisions[i]), MM_OK);
                assert_true(settings.has_router == stays && settings.has_broker == stays);
                assert_true(fake_nvs_contains("long-pass", 9) == stays);
                // What belongs to a network now goes with it.
                restart(&settings);
                assert_int_equal(mm_esp_settings_use_network(&settings, 9), MM_OK);
                assert_false(settings.has_router || settings.has_broker);
            }
            assert_true(call_no > 4);
        }
    }
}

static void test_fram_is_remembered(void **state) {
    (void)state;
    mm_esp_settings_t settings;
    assert_int_equal(mm_esp_settings_open(&settings), MM_OK);
    assert_false(settings.fram_worked);
    fake_fail_at(1);
    assert_int_equal(mm_esp_settings_note_fram(&settings), MM_ERR_STORAGE);
    assert_false(settings.fram_worked);
    fake_fail_at(0);
    assert_int_equal(mm_esp_settings_note_fram(&settings), MM_OK);
    restart(&settings);
    assert_true(settings.fram_worked);
}

static void test_router(void **state) {
    (void)state;
    mm_esp_settings_t settings;
    mm_esp_actions_t actions;
    assert_int_equal(mm_esp_settings_open(&settings), MM_OK);
    open_actions(&actions, &settings);
    mm_actions_t *port = &actions.actions;
    assert_int_equal(port->stage(port->context, MM_STAGED_NETWORK, "home\nlong-pass", 14), MM_OK);
    assert_string_equal(s_board.router_name, "home");
    assert_int_equal(port->settle(port->context, MM_STAGED_NETWORK, true), MM_OK);
    assert_int_equal(port->stage(port->context, MM_STAGED_NETWORK, "away\nlong-pass", 14), MM_OK);
    assert_int_equal(port->settle(port->context, MM_STAGED_NETWORK, false), MM_OK);
    assert_string_equal(s_board.router_name, "home");
    assert_int_equal(port->stage(port->context, MM_STAGED_NONE, "x", 1), MM_ERR_UNAVAILABLE);
    assert_int_equal(port->settle(port->context, MM_STAGED_NONE, false), MM_ERR_UNAVAILABLE);
}

static void test_other_actions(void **state) {
    (void)state;
    mm_esp_settings_t settings;
    mm_esp_actions_t actions;
    assert_int_equal(mm_esp_settings_open(&settings), MM_OK);
    open_actions(&actions, &settings);
    mm_actions_t *port = &actions.actions;
    assert_int_equal(port->display_on(port->context, 5), MM_ERR_UNAVAILABLE);
    assert_int_equal(port->find(port->context, 30), MM_OK);
    assert_int_equal(s_board.find_s, 30);
    port->reboot(port->context);
    assert_int_equal(s_board.reboots, 1);
    assert_int_equal(port->ota_start(port->context), MM_ERR_NOT_FOUND);
    assert_int_equal(port->ota_set_url(port->context, "https://a b", 11), MM_ERR_ARG);
    assert_int_equal(port->ota_set_url(port->context, "", 0), MM_ERR_ARG);
    assert_int_equal(port->ota_set_url(port->context, "https://a.example/b", 19), MM_OK);
    restart(&settings);
    assert_int_equal(port->ota_start(port->context), MM_OK);
    assert_string_equal(s_board.ota_url, "https://a.example/b");
    char text[64];
    mm_esp_log(MM_LOG_INFO, "hello");
    assert_int_equal(port->log_tail(port->context, text, 14), 14);
    assert_memory_equal(text, "0.000 I hello\n", 14);
}

// Old broker kept; then the new one is tried and kept, while the N-th call fails and the device restarts behind it. At
// every end there is exactly one broker, whole, and it is the new one if keeping it was reported.
static void test_every_call_fails(void **state) {
    (void)state;
    unsigned call_no = 0;
    unsigned last_count = 0;
    bool failed = true;
    while (failed) {
        mm_esp_settings_t settings;
        mm_esp_actions_t actions;
        fake_reset();
        assert_int_equal(mm_esp_settings_open(&settings), MM_OK);
        assert_int_equal(mm_esp_settings_write_device(&settings, key, "label-code"), MM_OK);
        open_actions(&actions, &settings);
        assert_int_equal(stage(&actions, OLD_BROKER), MM_OK);
        assert_int_equal(settle(&actions, true), MM_OK);

        fake_fail_at(++call_no);
        mm_err_t err = stage(&actions, NEW_BROKER);
        bool kept = err == MM_OK && settle(&actions, true) == MM_OK;
        failed = fake_has_failed();
        last_count = fake_call_count();
        assert_int_equal(fake_nvs_open_count(), 0);
        const char *used = err == MM_OK ? "mqtts://new.example" : "mqtts://old.example";
        assert_string_equal(settings.broker.url, used);
        assert_true(failed || kept);

        fake_fail_at(0);
        restart(&settings);
        assert_true(settings.has_broker);
        assert_false(settings.broker_on_trial);
        bool is_new = strcmp(settings.broker.url, "mqtts://new.example") == 0;
        assert_string_equal(settings.broker.password, is_new ? "other-word" : "first-word");
        assert_true(is_new || !kept);
        assert_true(settings.has_key);
        restart(&settings);
        assert_false(settings.trial_was_cut_short);
    }
    // open, set, commit; open, set, commit; open, erase, commit.
    assert_int_equal(last_count, 9);
}

// Whatever fails while a device starts: it starts, and the next start has all.
static void test_every_call_of_open_fails(void **state) {
    (void)state;
    bool failed = true;
    for (unsigned call_no = 1; failed; call_no++) {
        mm_esp_settings_t settings;
        mm_esp_actions_t actions;
        fake_reset();
        assert_int_equal(mm_esp_settings_open(&settings), MM_OK);
        assert_int_equal(mm_esp_settings_write_device(&settings, key, "label-code"), MM_OK);
        open_actions(&actions, &settings);
        assert_int_equal(stage(&actions, OLD_BROKER), MM_OK);
        assert_int_equal(settle(&actions, true), MM_OK);
        assert_int_equal(stage(&actions, NEW_BROKER), MM_OK);

        fake_nvs_restart();
        fake_fail_at(call_no);
        mm_err_t err = mm_esp_settings_open(&settings);
        failed = fake_has_failed();
        assert_true(failed == (err == MM_ERR_STORAGE));
        assert_int_equal(fake_nvs_open_count(), 0);
        assert_false(settings.broker_on_trial);
        assert_true(!settings.has_broker || strcmp(settings.broker.url, "mqtts://old.example") == 0);
        fake_fail_at(0);
        restart(&settings);
        assert_true(settings.has_key);
        assert_string_equal(settings.broker.url, "mqtts://old.example");
        restart(&settings);
        assert_false(settings.trial_was_cut_short);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_virgin_device, reset),
        cmocka_unit_test_setup(test_key_is_written_once, reset),
        cmocka_unit_test_setup(test_broken_nvs_is_erased_alone, reset),
        cmocka_unit_test_setup(test_text, reset),
        cmocka_unit_test_setup(test_trial, reset),
        cmocka_unit_test_setup(test_kept_under_a_network, reset),
        cmocka_unit_test_setup(test_every_call_of_use_network_fails, reset),
        cmocka_unit_test_setup(test_fram_is_remembered, reset),
        cmocka_unit_test_setup(test_router, reset),
        cmocka_unit_test_setup(test_other_actions, reset),
        cmocka_unit_test_setup(test_every_call_fails, reset),
        cmocka_unit_test_setup(test_every_call_of_open_fails, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
