// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node_pulses.h"

#define BEGIN_S ((int64_t)1450137600) // date -u -d 2015-12-15 +%s

static char s_directory[] = "/tmp/mm-supply-XXXXXX";
static char s_path[64];
static node_source_t s_source;
static node_config_t s_config;
static mm_linux_clock_t s_clock = {.speed = 1};
static mm_linux_message_t s_message;

static mm_utc_t after_hours(int64_t hours) {
    return (mm_utc_t){(BEGIN_S + hours * 3600) * MM_US_PER_S};
}

static uint64_t count(uint8_t channel, int64_t hours) {
    return mm_linux_pulses_expected(&s_source.counters, channel, after_hours(hours));
}

static void open_source(void) {
    if (!node_source_open(&s_source, &s_config, &s_clock, &s_message)) {
        fail_msg("%s", s_message.text);
    }
}

static void test_supply_is_remembered_by_another_start(void **state) {
    (void)state;
    open_source();
    uint32_t generation = s_source.counters.generation;
    uint64_t at_2 = count(3, 2);
    uint64_t at_5 = count(3, 5);
    uint64_t at_9 = count(3, 9);
    assert_true(at_2 < at_5 && at_5 < at_9);
    node_source_set_supply(&s_source, 3, false, after_hours(2));
    node_source_close(&s_source);

    open_source(); // killed and started while the relay is open
    assert_int_equal(s_source.counters.generation, generation);
    assert_int_equal(count(3, 5), at_2);
    assert_int_equal(count(4, 5), mm_pulse_source_expected(&s_source.model.source, 4, after_hours(5)));
    node_source_set_supply(&s_source, 3, false, after_hours(4)); // told again
    node_source_set_supply(&s_source, 3, true, after_hours(5));
    node_source_close(&s_source);

    open_source();
    assert_int_equal(count(3, 5), at_2);
    assert_int_equal(count(3, 9), at_2 + at_9 - at_5);
    node_source_close(&s_source);
}

static void test_supply_file_that_is_damaged_is_named(void **state) {
    (void)state;
    static const char *const texts[] = {"", "1 0 0 0\n", "2 0 0 0\n1 0 0 0\n", "1 0 5 4\n", "x"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(mm_linux_file_replace(s_path, texts[i], strlen(texts[i]), MM_LINUX_SYNC_NONE), MM_OK);
        assert_false(node_source_open(&s_source, &s_config, &s_clock, &s_message));
        assert_non_null(strstr(s_message.text, s_path));
        node_source_close(&s_source);
    }
}

static int set_up(void **state) {
    (void)state;
    (void)unlink(s_path);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_supply_is_remembered_by_another_start, set_up),
        cmocka_unit_test_setup(test_supply_file_that_is_damaged_is_named, set_up),
    };
    if (mkdtemp(s_directory) == NULL) {
        return 1;
    }
    snprintf(s_path, sizeof s_path, "%s/supply", s_directory);
    s_config = (node_config_t){
        .pulses = NODE_PULSES_MODEL, .pulses_seed = 4, .pulses_begin_s = BEGIN_S, .pulses_end_s = INT64_MAX};
    snprintf(s_config.state_directory, sizeof s_config.state_directory, "%s", s_directory);
    for (size_t i = 0; i < MM_CHANNELS; i++) {
        s_config.metering.meters[i].pulse_constant = 1000;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(s_path);
    (void)rmdir(s_directory);
    return failed;
}
