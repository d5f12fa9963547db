// SPDX-License-Identifier: Apache-2.0
// The original's commands at a node: the switch, what they do, answers, and that a signed command ends them.
#include <stdio.h>

#include "control_fixture.h"
#include "legacy_support.h"
#include "meshmeter/legacy_control.h"

static mm_legacy_control_t s_legacy;

static int setup(void **state) {
    (void)state;
    desk_without_relay = false;
    desk_without_actions = false;
    control_begin(true);
    return 0;
}

static uint32_t counted(mm_counter_t counter) {
    return world.counters.values[counter];
}

static void allow(void) {
    mm_legacy_control_open(&s_legacy, s_legacy_secret);
    desk.options.legacy = &s_legacy.legacy;
    control_open();
}

// What was seen lasts as long as the start.
static void reboot(void) {
    mm_legacy_control_open(&s_legacy, s_legacy_secret);
    control_reboot(true);
}

static mm_err_t take_text(const char *text) {
    char item[MM_LEGACY_BYTES_MAX];
    snprintf(item, sizeof item, "%s", text);
    legacy_seal(item, &desk_crypto);
    return mm_control_take_legacy(&desk.control, item, strlen(item), desk_now());
}

static mm_err_t take_lock(uint8_t channel, unsigned state) {
    char item[200];
    snprintf(item, sizeof item, "{\"cmd\":\"lock\",\"disCon\":[{\"mid\":\"A%u\",\"state\":%u}],\"cha\":\"CHACHACH\"}",
             (unsigned)channel, state);
    return take_text(item);
}

// The n-th result without a command id.
static const mm_result_record_t *result_of(uint32_t index) {
    hq_collect();
    for (uint32_t i = 0; i < world.hq_count; i++) {
        const mm_result_record_t *result = &hq_records[i].record.result;
        if (hq_records[i].type == MM_RECORD_RESULT && result->command_id == 0 && index-- == 0) {
            return result;
        }
    }
    return NULL;
}

static void test_legacy_is_off_by_default(void **state) {
    (void)state;
    assert_int_equal(take_lock(2, 1), MM_ERR_STATE);
    assert_int_equal(counted(MM_COUNTER_COMMAND_UNSIGNED), 1);
    assert_true(desk.relay_closed[2]);
    assert_null(result_of(0));
}

static void test_legacy_lock_and_unlock(void **state) {
    (void)state;
    allow();
    assert_int_equal(take_lock(2, 1), MM_OK);
    assert_false(desk.relay_closed[2]);
    assert_true(desk.relay_closed[1]);
    const mm_result_record_t *result = result_of(0);
    assert_non_null(result);
    assert_int_equal(result->kind, MM_COMMAND_LOCK);
    assert_int_equal(result->channel, 2);
    assert_int_equal(result->status, MM_RESULT_DONE);
    assert_int_equal(result->counter, 0);
    // Retained: it comes in every session, and is one order.
    assert_int_equal(take_lock(2, 1), MM_OK);
    assert_int_equal(counted(MM_COUNTER_COMMAND_REPEATED), 0);
    assert_null(result_of(1));
    assert_int_equal(take_lock(2, 0), MM_OK);
    assert_true(desk.relay_closed[2]);
    assert_int_equal(take_lock(2, 1), MM_OK);
    assert_false(desk.relay_closed[2]);
    assert_int_equal(result_of(2)->kind, MM_COMMAND_LOCK);
    assert_false(desk.control.signed_only);
    reboot();
    assert_true(desk.relay_told[2]);
    assert_false(desk.relay_closed[2]);
}

static void test_legacy_of_foreign_meters(void **state) {
    (void)state;
    allow();
    assert_int_equal(
        take_text("{\"cmd\":\"lock\",\"disCon\":[{\"mid\":\"elsewhere\",\"state\":1}],\"cha\":\"CHACHACH\"}"),
        MM_ERR_NOT_FOUND);
    assert_null(result_of(0));
    // Of several meters those that are here.
    char item[300];
    snprintf(item, sizeof item,
             "{\"cmd\":\"lock\",\"disCon\":[{\"mid\":\"elsewhere\",\"state\":1},{\"mid\":\"A%u\",\"state\":1}],"
             "\"cha\":\"CHACHACH\"}",
             1u);
    assert_int_equal(take_text(item), MM_OK);
    assert_false(desk.relay_closed[1]);
    assert_int_equal(result_of(0)->channel, 1);
    assert_null(result_of(1));
}

static void test_legacy_update_erases_and_sets(void **state) {
    (void)state;
    allow();
    char item[300];
    snprintf(
        item, sizeof item,
        "{\"cmd\":\"update\",\"f\":\"240610\",\"mid\":\"A%u\",\"bpk\":800,\"ks\":100,\"k\":150.5,\"cha\":\"CHACHACH\"}",
        0u);
    control_run_s(120);
    assert_true(world.metering.registers.channels[0].life_pulses > 0);
    assert_int_equal(take_text(item), MM_OK);
    assert_int_equal(result_of(0)->kind, MM_COMMAND_ERASE);
    assert_int_equal(result_of(0)->status, MM_RESULT_DONE);
    assert_int_equal(result_of(1)->kind, MM_COMMAND_UPDATE);
    assert_int_equal(result_of(1)->status, MM_RESULT_DONE);
    assert_int_equal(world.metering.options.meters[0].pulse_constant, 800);
    assert_int_equal(world.metering.options.meters[0].start_wh, 100000);
    assert_int_equal(world.metering.registers.channels[0].life_pulses, 40400);
    // The date is not about today.
    memcpy(strstr(item, "240610"), "240612", 6);
    assert_int_equal(take_text(item), MM_ERR_ARG);
    assert_int_equal(counted(MM_COUNTER_COMMAND_CORRUPT), 1);
}

static void test_legacy_of_the_node(void **state) {
    (void)state;
    allow();
    char item[300];
    snprintf(item, sizeof item,
             "{\"cmd\":\"display\",\"f\":\"240610\",\"mid\":\"A%u\",\"time\":45,\"cha\":\"CHACHACH\"}", 3u);
    assert_int_equal(take_text(item), MM_OK);
    assert_int_equal(count_actions(ACTION_DISPLAY), 1);
    assert_int_equal(desk.seconds, 45);
    assert_int_equal(result_of(0)->status, MM_RESULT_DONE);
    assert_int_equal(result_of(0)->channel, MM_COMMAND_WHOLE_NODE);
    // A broker is tried; what comes meanwhile is not part of the trial.
    assert_int_equal(take_text("{\"cmd\":\"mqtt\",\"f\":\"240610\",\"server\":\"mqtt://other.example\",\"userm\":\"u\","
                               "\"passm\":\"p\",\"cert\":\"\",\"cha\":\"CHACHACH\"}"),
                     MM_OK);
    assert_int_equal(count_actions(ACTION_STAGE), 1);
    assert_int_equal(result_of(1)->status, MM_RESULT_TRYING);
    assert_int_equal(take_lock(2, 1), MM_OK);
    assert_false(desk.relay_closed[2]);
    assert_int_equal(count_actions(ACTION_STAGE), 1);
    assert_true(mm_control_is_on_trial(&desk.control));
    mm_control_on_session(&desk.control, true, desk_now());
    assert_int_equal(count_actions(ACTION_KEEP), 1);
    assert_int_equal(result_of(3)->kind, MM_COMMAND_BROKER);
    assert_int_equal(result_of(3)->status, MM_RESULT_DONE);
    assert_null(result_of(4));
}

// The first step only; the code that it tells is worth nothing without a signature.
static void test_legacy_format_asks_for_the_code(void **state) {
    (void)state;
    allow();
    char item[300];
    snprintf(item, sizeof item,
             "{\"cmd\":\"format\",\"f\":\"240610\",\"mid\":\"A%u\",\"erase\":\"Y\",\"cha\":\"CHACHACH\"}", 0u);
    control_run_s(120);
    uint64_t life_pulses = world.metering.registers.channels[0].life_pulses;
    assert_int_equal(take_text(item), MM_OK);
    control_poll();
    assert_int_equal(result_of(0)->kind, MM_COMMAND_FORMAT);
    assert_true(world.metering.registers.channels[0].life_pulses >= life_pulses);
    assert_int_equal(desk.control.format_channels, 0);
}

static void test_legacy_ends_with_the_first_signed_command(void **state) {
    (void)state;
    allow();
    assert_int_equal(take_lock(2, 1), MM_OK);
    (void)command(MM_COMMAND_SEND_NOW, MM_COMMAND_WHOLE_NODE, NULL);
    assert_int_equal(take_lock(2, 0), MM_ERR_STATE);
    assert_int_equal(counted(MM_COUNTER_COMMAND_UNSIGNED), 1);
    assert_false(desk.relay_closed[2]);
    reboot();
    assert_int_equal(take_lock(2, 0), MM_ERR_STATE);
    // Its lock is one like any other.
    (void)command(MM_COMMAND_UNLOCK, 2, NULL);
    assert_true(desk.relay_closed[2]);
}

// The newest image is lost: what the journal says of unsigned commands is not done again by itself, because it cannot
// be told from what was carried over; the message that is still retained does it.
static void test_legacy_falls_back(void **state) {
    (void)state;
    static uint8_t s_images[sizeof world.fram];
    static const char broker[] =
        "{\"cmd\":\"mqtt\",\"f\":\"240610\",\"server\":\"mqtt://other.example\",\"userm\":\"u\","
        "\"passm\":\"p\",\"cert\":\"\",\"cha\":\"CHACHACH\"}";
    allow();
    (void)take_lock(1, 1);
    assert_int_equal(take_text(broker), MM_OK);
    memcpy(s_images, world.fram, sizeof s_images);
    mm_control_on_session(&desk.control, true, desk_now());
    assert_int_equal(take_lock(1, 0), MM_OK);
    assert_int_equal(take_lock(2, 1), MM_OK);
    assert_non_null(result_of(4));
    memcpy(world.fram, s_images, sizeof s_images);
    reboot();
    control_sync();
    // The trial was ended and answered; that is known again.
    assert_false(mm_control_is_on_trial(&desk.control));
    assert_int_equal(count_actions(ACTION_ROLL_BACK), 0);
    assert_null(result_of(5));
    assert_int_equal(desk.control.locked_channels, 1 << 1);
    assert_false(desk.control.signed_only);
    assert_int_equal(take_lock(2, 1), MM_OK);
    assert_int_equal(desk.control.locked_channels, 1 << 1 | 1 << 2);
}

static void test_legacy_refusals_change_nothing(void **state) {
    (void)state;
    static const char *const texts[] = {
        "{\"cmd\":\"ota\",\"f\":\"240610\",\"cha\":\"00000000\"}",  // forged
        "{\"cmd\":\"ota\",\"f\":\"240610\",\"cha\":\"CHACHACH\",}", // malformed
        "{\"cmd\":\"nothing\",\"f\":\"240610\",\"cha\":\"CHACHACH\"}",
        "{\"cmd\":\"display\",\"f\":\"240610\",\"mid\":\"A\",\"cha\":\"CHACHACH\"}",
        "",
    };
    allow();
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(take_text(texts[i]), i == 0 ? MM_ERR_CORRUPT : MM_ERR_ARG);
    }
    assert_int_equal(counted(MM_COUNTER_COMMAND_FORGED), 1);
    assert_int_equal(counted(MM_COUNTER_COMMAND_CORRUPT), 4);
    assert_null(result_of(0));
    assert_int_equal(desk.action_count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_legacy_is_off_by_default, setup),
        cmocka_unit_test_setup(test_legacy_lock_and_unlock, setup),
        cmocka_unit_test_setup(test_legacy_of_foreign_meters, setup),
        cmocka_unit_test_setup(test_legacy_update_erases_and_sets, setup),
        cmocka_unit_test_setup(test_legacy_of_the_node, setup),
        cmocka_unit_test_setup(test_legacy_format_asks_for_the_code, setup),
        cmocka_unit_test_setup(test_legacy_ends_with_the_first_signed_command, setup),
        cmocka_unit_test_setup(test_legacy_falls_back, setup),
        cmocka_unit_test_setup(test_legacy_refusals_change_nothing, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
