// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "linux/linux_relay.h"

static char s_directory[] = "/tmp/mm-relay-XXXXXX";
static char s_path[64];
static mm_linux_relay_t s_relay;
static mm_linux_message_t s_message;
static unsigned s_told;
static uint8_t s_told_channel;
static bool s_told_closed;

static void told(void *context, uint8_t channel, bool closed) {
    assert_ptr_equal(context, &s_relay);
    s_told++;
    s_told_channel = channel;
    s_told_closed = closed;
}

static void open_relay(void) {
    const mm_linux_relay_options_t options = {
        .path = s_path, .sync = MM_LINUX_SYNC_DATA, .told = told, .told_context = &s_relay};
    if (mm_linux_relay_open(&s_relay, &options, &s_message) != MM_OK) {
        fail_msg("%s", s_message.text);
    }
}

static mm_err_t set(uint8_t channel, bool closed) {
    return s_relay.relay.set(s_relay.relay.context, channel, closed);
}

static void assert_file(const char *expected) {
    char text[200];
    assert_int_equal(mm_linux_file_read_text(s_path, text, sizeof text), MM_OK);
    assert_string_equal(text, expected);
}

static void test_linux_relay_file_says_what_was_told(void **state) {
    (void)state;
    open_relay();
    assert_int_equal(access(s_path, F_OK), -1);
    assert_int_equal(set(1, false), MM_OK);
    assert_file("1 unknown\n2 open\n3 unknown\n4 unknown\n5 unknown\n6 unknown\n7 unknown\n8 unknown\n");
    assert_int_equal(set(7, true), MM_OK);
    assert_int_equal(set(1, true), MM_OK);
    assert_file("1 unknown\n2 closed\n3 unknown\n4 unknown\n5 unknown\n6 unknown\n7 unknown\n8 closed\n");
    struct stat status;
    assert_int_equal(stat(s_path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    mm_linux_relay_close(&s_relay);
}

static void test_linux_relay_kept_by_another_start(void **state) {
    (void)state;
    open_relay();
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        assert_int_equal(set(channel, channel % 2 == 0), MM_OK);
    }
    mm_linux_relay_close(&s_relay);
    memset(&s_relay, 0, sizeof s_relay);
    open_relay();
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        assert_int_equal(s_relay.states[channel], channel % 2 == 0 ? MM_LINUX_RELAY_CLOSED : MM_LINUX_RELAY_OPEN);
    }
    mm_linux_relay_close(&s_relay);
}

// Who watches the directory sees one rename per change, and none when nothing changes.
static void test_linux_relay_can_be_followed(void **state) {
    (void)state;
    open_relay();
    int watch = inotify_init1(IN_NONBLOCK);
    assert_true(watch >= 0);
    assert_true(inotify_add_watch(watch, s_directory, IN_MOVED_TO) >= 0);
    assert_int_equal(set(3, true), MM_OK);
    assert_int_equal(set(3, true), MM_OK);
    assert_int_equal(s_told, 2);
    assert_int_equal(s_told_channel, 3);
    assert_true(s_told_closed);
    _Alignas(struct inotify_event) char events[1024];
    ssize_t size = read(watch, events, sizeof events);
    const struct inotify_event *event = (const struct inotify_event *)events;
    assert_int_equal(size, sizeof *event + event->len);
    assert_string_equal(event->name, "relays");
    assert_int_equal(close(watch), 0);
    mm_linux_relay_close(&s_relay);
}

static void test_linux_relay_refused_by_storage(void **state) {
    (void)state;
    open_relay();
    assert_int_equal(set(0, true), MM_OK);
    // A directory in the way of the new file: works for root as well, unlike permissions.
    char block[80];
    snprintf(block, sizeof block, "%s.new", s_path);
    assert_int_equal(mkdir(block, 0700), 0);
    s_told = 0;
    assert_int_equal(set(0, false), MM_ERR_STORAGE);
    assert_int_equal(s_told, 0);
    assert_int_equal(s_relay.states[0], MM_LINUX_RELAY_CLOSED);
    assert_file("1 closed\n2 unknown\n3 unknown\n4 unknown\n5 unknown\n6 unknown\n7 unknown\n8 unknown\n");
    assert_int_equal(rmdir(block), 0);
    assert_int_equal(set(0, false), MM_OK);
    assert_int_equal(s_told, 1);
    mm_linux_relay_close(&s_relay);
}

static void test_linux_relay_damaged_file_is_unknown(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "1 closed\n",
        "1 closed\n2 closed\n3 closed\n4 closed\n5 closed\n6 closed\n7 closed\n8 close\n",
        "1 closed\n2 closed\n3 closed\n4 closed\n5 closed\n6 closed\n7 closed\n8 closed\nx",
        "1 closed\n2 closed\n4 closed\n3 closed\n5 closed\n6 closed\n7 closed\n8 closed\n",
        "one line that is longer than anything this module writes, 123456789 123456789 123456789 1234567890 12345",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(mm_linux_file_replace(s_path, texts[i], strlen(texts[i]), MM_LINUX_SYNC_NONE), MM_OK);
        open_relay();
        for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
            assert_int_equal(s_relay.states[channel], MM_LINUX_RELAY_UNKNOWN);
        }
        assert_int_equal(set(0, true), MM_OK);
        assert_file("1 closed\n2 unknown\n3 unknown\n4 unknown\n5 unknown\n6 unknown\n7 unknown\n8 unknown\n");
        mm_linux_relay_close(&s_relay);
    }
}

static void test_linux_relay_names_a_chip_that_is_not_there(void **state) {
    (void)state;
    const mm_linux_relay_options_t options = {
        .path = s_path, .chip = "no-such-gpio-chip", .lines = {17}, .line_count = 1};
    assert_int_equal(mm_linux_relay_open(&s_relay, &options, &s_message), MM_ERR_UNAVAILABLE);
    assert_non_null(strstr(s_message.text, "no-such-gpio-chip"));
}

static int set_up(void **state) {
    (void)state;
    (void)unlink(s_path);
    s_told = 0;
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_linux_relay_file_says_what_was_told, set_up),
        cmocka_unit_test_setup(test_linux_relay_kept_by_another_start, set_up),
        cmocka_unit_test_setup(test_linux_relay_can_be_followed, set_up),
        cmocka_unit_test_setup(test_linux_relay_refused_by_storage, set_up),
        cmocka_unit_test_setup(test_linux_relay_damaged_file_is_unknown, set_up),
        cmocka_unit_test_setup(test_linux_relay_names_a_chip_that_is_not_there, set_up),
    };
    if (mkdtemp(s_directory) == NULL) {
        return 1;
    }
    snprintf(s_path, sizeof s_path, "%s/relays", s_directory);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(s_path);
    (void)rmdir(s_directory);
    return failed;
}
