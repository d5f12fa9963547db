// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "linux/linux_actions.h"
#include "linux/linux_clock.h"
#include "linux/linux_log.h"
#include "linux/linux_mqtt.h"

static char s_directory[] = "/tmp/mm-actions-XXXXXX";
static mm_linux_actions_t s_actions;
static mm_linux_message_t s_message;

static char *path_of(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", s_directory, name);
    return path;
}

static bool s_network_is_known = true;

static mm_err_t open_under(uint32_t network_revision) {
    const mm_linux_actions_options_t options = {.state_directory = s_directory,
                                                .sync = MM_LINUX_SYNC_DATA,
                                                .url_is_good = mm_linux_mqtt_url_is_good,
                                                .network_is_known = s_network_is_known,
                                                .network_revision = network_revision};
    memset(&s_actions, 0, sizeof s_actions);
    return mm_linux_actions_open(&s_actions, &options, &s_message);
}

static mm_err_t open_actions(void) {
    return open_under(0);
}

static void write_kept(const char *text) {
    assert_int_equal(mm_linux_file_replace(path_of("broker.conf"), text, strlen(text), MM_LINUX_SYNC_NONE), MM_OK);
}

static void assert_kept_file(const char *text) {
    char found[200];
    assert_int_equal(mm_linux_file_read_text(path_of("broker.conf"), found, sizeof found), MM_OK);
    assert_string_equal(found, text);
}

static mm_err_t stage(const char *text) {
    return s_actions.actions.stage(s_actions.actions.context, MM_STAGED_BROKER, text, strlen(text));
}

static mm_err_t settle(bool keep) {
    return s_actions.actions.settle(s_actions.actions.context, MM_STAGED_BROKER, keep);
}

static void assert_broker(const char *url, const char *user, const char *password) {
    assert_true(s_actions.has_broker);
    assert_string_equal(s_actions.broker.url, url);
    assert_string_equal(s_actions.broker.user, user);
    assert_string_equal(s_actions.broker.password, password);
}

static void test_linux_actions_broker_kept(void **state) {
    (void)state;
    assert_int_equal(open_actions(), MM_OK);
    assert_false(s_actions.has_broker || s_actions.broker_changed);
    assert_int_equal(stage("mqtts://broker.example:8884\ngateway\nsecret word"), MM_OK);
    assert_true(s_actions.broker_changed && s_actions.on_trial);
    assert_broker("mqtts://broker.example:8884", "gateway", "secret word");
    char kept[200];
    assert_int_equal(s_actions.actions.kept_broker(&s_actions, kept, sizeof kept), 0); // it may still go back
    struct stat status;
    assert_int_equal(stat(path_of("broker.staged"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(settle(true), MM_OK);
    assert_int_not_equal(access(path_of("broker.staged"), F_OK), 0);
    assert_int_equal(open_actions(), MM_OK);
    assert_broker("mqtts://broker.example:8884", "gateway", "secret word");
    assert_false(s_actions.on_trial);
    static const char text[] = "mqtts://broker.example:8884\ngateway\nsecret word";
    assert_int_equal(s_actions.actions.kept_broker(&s_actions, kept, sizeof kept), sizeof text - 1);
    assert_memory_equal(kept, text, sizeof text - 1);
    assert_int_equal(s_actions.actions.kept_broker(&s_actions, kept, sizeof text - 1), 0); // no room
    // Said again, as after a power cut between the answer and the image: there is nothing on trial.
    assert_int_equal(settle(true), MM_ERR_STATE);
    assert_int_equal(settle(false), MM_OK);
    assert_broker("mqtts://broker.example:8884", "gateway", "secret word");
}

static void test_linux_actions_broker_goes_back(void **state) {
    (void)state;
    assert_int_equal(open_actions(), MM_OK);
    assert_int_equal(stage("mqtt://first\n\n"), MM_OK);
    assert_int_equal(settle(true), MM_OK);
    assert_int_equal(stage("mqtt://second\nuser\npassword\n"), MM_OK);
    assert_broker("mqtt://second", "user", "password");
    s_actions.broker_changed = false;
    assert_int_equal(settle(false), MM_OK);
    assert_true(s_actions.broker_changed);
    assert_broker("mqtt://first", "", "");
    assert_int_not_equal(access(path_of("broker.staged"), F_OK), 0);
    // Without one that was kept: the configuration's.
    assert_int_equal(unlink(path_of("broker.conf")), 0);
    assert_int_equal(stage("mqtt://third\n\n"), MM_OK);
    assert_int_equal(settle(false), MM_OK);
    assert_false(s_actions.has_broker);
}

static void test_linux_actions_restart_during_trial_goes_back(void **state) {
    (void)state;
    assert_int_equal(open_actions(), MM_OK);
    assert_int_equal(stage("mqtt://first\n\n"), MM_OK);
    assert_int_equal(settle(true), MM_OK);
    assert_int_equal(stage("mqtt://second\n\n"), MM_OK);
    assert_int_equal(open_actions(), MM_OK); // the process was killed
    assert_broker("mqtt://first", "", "");
    assert_int_not_equal(access(path_of("broker.staged"), F_OK), 0);
}

static void test_linux_actions_broker_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "\n\n",
        "http://broker\n\n",
        "mqtt://\n\n",
        "mqtt://user:password@broker\n\n",
        "mqtt://broker\nuser\npassword\nmore",
        "mqtt://broker\n\npassword", // of whom?
        "mqtt://broker\nus\ter\npassword",
        "mqtt://broker\n01234567890123456789012345678901234567890123456789012345678901234\n", // 65 characters
    };
    assert_int_equal(open_actions(), MM_OK);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(stage(texts[i]), MM_ERR_ARG);
        assert_false(s_actions.has_broker || s_actions.broker_changed);
        assert_int_not_equal(access(path_of("broker.staged"), F_OK), 0);
    }
    const mm_actions_t *actions = &s_actions.actions;
    assert_int_equal(actions->stage(actions->context, MM_STAGED_BROKER, "mqtt://broker\0x\n\n", 17), MM_ERR_ARG);
    assert_int_equal(actions->stage(actions->context, MM_STAGED_NETWORK, "net\nword", 8), MM_ERR_UNAVAILABLE);
    assert_int_equal(actions->settle(actions->context, MM_STAGED_NETWORK, true), MM_ERR_UNAVAILABLE);
    assert_int_equal(mkdir(path_of("broker.staged.new"), 0700), 0);
    assert_int_equal(stage("mqtt://broker\n\n"), MM_ERR_STORAGE);
    assert_false(s_actions.has_broker);
    assert_int_equal(rmdir(path_of("broker.staged.new")), 0);
}

static void test_linux_actions_damaged_broker_file_is_named(void **state) {
    (void)state;
    static const char *const texts[] = {
        "ftp://somewhere\n\n\n",
        "meshmeter-broker 2 5\nftp://somewhere\n\n\n",
        "meshmeter-broker 3 5\nmqtt://somewhere\n\n\n", // of a later version
        "meshmeter-broker 2 x\nmqtt://somewhere\n\n\n",
        "meshmeter-broker 2 5x\nmqtt://somewhere\n\n\n",
        "meshmeter-broker 2 5 6\nmqtt://somewhere\n\n\n",
        "meshmeter-broker 2 -1\nmqtt://somewhere\n\n\n",
        "meshmeter-broker 2\nmqtt://somewhere\n\n\n",
        "meshmeter-broker 2 5\nmqtt://somewhere\n\n\nmore\n",
        "meshmeter-broker 2 5",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        write_kept(texts[i]);
        assert_int_equal(open_under(5), MM_ERR_ARG);
        assert_non_null(strstr(s_message.text, "broker.conf"));
        assert_kept_file(texts[i]);
    }
}

// Kept under one network, it stands above that one, and not above one that came later - or after a reset, whatever its
// revision is then.
static void test_linux_actions_other_network_wins(void **state) {
    (void)state;
    static const uint32_t others[] = {8, 6, 1, 0};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(open_under(7), MM_OK);
        assert_int_equal(stage("mqtt://ordered\nuser\npassword\n"), MM_OK);
        assert_int_equal(settle(true), MM_OK);
        assert_kept_file("meshmeter-broker 2 7\nmqtt://ordered\nuser\npassword\n");
        assert_int_equal(open_under(7), MM_OK);
        assert_broker("mqtt://ordered", "user", "password");
        assert_int_equal(open_under(others[i]), MM_OK);
        assert_false(s_actions.has_broker);
        assert_string_equal(s_actions.broker.password, "");
        assert_int_not_equal(access(path_of("broker.conf"), F_OK), 0);
        assert_int_equal(open_under(7), MM_OK); // gone for good
        assert_false(s_actions.has_broker);
    }
    // A trial under the new network is kept under the new one.
    assert_int_equal(open_under(4294967295u), MM_OK);
    assert_int_equal(stage("mqtt://ordered\n\n"), MM_OK);
    assert_int_equal(settle(true), MM_OK);
    assert_int_equal(open_under(4294967295u), MM_OK);
    assert_broker("mqtt://ordered", "", "");
}

// Memory that does not answer decides nothing.
static void test_linux_actions_network_not_known(void **state) {
    (void)state;
    write_kept("meshmeter-broker 2 7\nmqtt://ordered\n\n\n");
    s_network_is_known = false;
    assert_int_equal(open_under(0), MM_OK);
    assert_broker("mqtt://ordered", "", "");
    assert_kept_file("meshmeter-broker 2 7\nmqtt://ordered\n\n\n");
    // What is kept meanwhile belongs to the network that is found then.
    assert_int_equal(stage("mqtt://second\n\n"), MM_OK);
    assert_int_equal(settle(true), MM_OK);
    assert_kept_file("meshmeter-broker 2 -\nmqtt://second\n\n\n");
    assert_int_equal(open_under(0), MM_OK);
    s_network_is_known = true;
    assert_int_equal(open_under(7), MM_OK);
    assert_broker("mqtt://second", "", "");
    assert_kept_file("meshmeter-broker 2 7\nmqtt://second\n\n\n");
    assert_int_equal(open_under(8), MM_OK);
    assert_false(s_actions.has_broker);
}

static void test_linux_actions_file_of_version_1(void **state) {
    (void)state;
    write_kept("mqtt://ordered\nuser\npassword\n");
    assert_int_equal(open_under(7), MM_OK);
    assert_broker("mqtt://ordered", "user", "password");
    assert_kept_file("meshmeter-broker 2 7\nmqtt://ordered\nuser\npassword\n");
    assert_int_equal(open_under(8), MM_OK);
    assert_false(s_actions.has_broker);
}

static void test_linux_actions_display_and_find_end(void **state) {
    (void)state;
    assert_int_equal(open_actions(), MM_OK);
    int64_t before_us = mm_linux_real_us();
    assert_false(mm_linux_actions_display_is_on(&s_actions, before_us));
    assert_int_equal(s_actions.actions.display_on(s_actions.actions.context, 60), MM_OK);
    assert_int_equal(s_actions.actions.find(s_actions.actions.context, 5), MM_OK);
    assert_true(mm_linux_actions_display_is_on(&s_actions, before_us + 59 * MM_US_PER_S));
    assert_true(mm_linux_actions_is_finding(&s_actions, before_us + 4 * MM_US_PER_S));
    int64_t after_us = mm_linux_real_us();
    assert_false(mm_linux_actions_display_is_on(&s_actions, after_us + 60 * MM_US_PER_S));
    assert_false(mm_linux_actions_is_finding(&s_actions, after_us + 5 * MM_US_PER_S));
    assert_false(s_actions.reboot_requested);
    s_actions.actions.reboot(s_actions.actions.context);
    assert_true(s_actions.reboot_requested);
}

static void test_linux_actions_ota_address(void **state) {
    (void)state;
    char text[64];
    static const char url[] = "https://updates.example/meter.bin";
    const mm_actions_t *actions = &s_actions.actions;
    assert_int_equal(open_actions(), MM_OK);
    assert_int_equal(actions->ota_set_url(actions->context, url, sizeof url - 1), MM_OK);
    assert_int_equal(mm_linux_file_read_text(path_of("ota.url"), text, sizeof text), MM_OK);
    assert_string_equal(text, "https://updates.example/meter.bin\n");
    assert_int_equal(actions->ota_set_url(actions->context, url, 0), MM_ERR_ARG);
    assert_int_equal(actions->ota_set_url(actions->context, "https://a b", 11), MM_ERR_ARG);
    char longest[MM_LINUX_OTA_URL_CHARS_MAX + 1];
    memset(longest, 'x', sizeof longest);
    assert_int_equal(actions->ota_set_url(actions->context, longest, sizeof longest), MM_ERR_ARG);
    assert_int_equal(actions->ota_set_url(actions->context, longest, sizeof longest - 1), MM_OK);
    assert_int_equal(actions->ota_start(actions->context), MM_ERR_UNAVAILABLE);
}

static void test_linux_actions_log_tail(void **state) {
    (void)state;
    char text[1000];
    const mm_actions_t *actions = &s_actions.actions;
    assert_int_equal(open_actions(), MM_OK);
    for (int i = 0; i < 2000; i++) {
        mm_linux_log(MM_LOG_INFO, "line %d", i);
    }
    mm_linux_log(MM_LOG_DEBUG, "less important than what is written");
    size_t bytes_count = actions->log_tail(actions->context, text, 200);
    assert_in_range(bytes_count, 100, 200);
    text[bytes_count] = '\0';
    static const char last[] = "line 1999\n";
    assert_string_equal(text + bytes_count - strlen(last), last);
    assert_non_null(strstr(text, "info "));
    // Whole lines: the first one begins with a date.
    assert_int_equal(text[4], '-');
    assert_int_equal(text[10], 'T');
    // A line that does not fit: its beginning.
    assert_int_equal(actions->log_tail(actions->context, text, 20), 20);
    assert_int_equal(text[4], '-');
    assert_int_equal(actions->log_tail(actions->context, text, 0), 0);
    static char all[MM_LINUX_LOG_TAIL_BYTES];
    bytes_count = mm_linux_log_tail(all, sizeof all);
    assert_in_range(bytes_count, sizeof all - 100, sizeof all);
    assert_int_equal(all[bytes_count - 1], '\n');
    assert_int_equal(all[4], '-');
}

static int clean(void **state) {
    (void)state;
    static const char *const names[] = {"broker.conf", "broker.staged", "ota.url"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)unlink(path_of(names[i]));
    }
    memset(&s_message, 0, sizeof s_message);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_linux_actions_broker_kept, clean),
        cmocka_unit_test_setup(test_linux_actions_broker_goes_back, clean),
        cmocka_unit_test_setup(test_linux_actions_restart_during_trial_goes_back, clean),
        cmocka_unit_test_setup(test_linux_actions_broker_refused, clean),
        cmocka_unit_test_setup(test_linux_actions_damaged_broker_file_is_named, clean),
        cmocka_unit_test_setup(test_linux_actions_other_network_wins, clean),
        cmocka_unit_test_setup(test_linux_actions_network_not_known, clean),
        cmocka_unit_test_setup(test_linux_actions_file_of_version_1, clean),
        cmocka_unit_test_setup(test_linux_actions_display_and_find_end, clean),
        cmocka_unit_test_setup(test_linux_actions_ota_address, clean),
        cmocka_unit_test_setup(test_linux_actions_log_tail, clean),
    };
    if (mkdtemp(s_directory) == NULL) {
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)clean(NULL);
    (void)rmdir(s_directory);
    return failed;
}
