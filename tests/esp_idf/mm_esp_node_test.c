// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_node_test.h"

// --- start --------------------------------------------------------------------------------------------------------

static void a_factory_new_device_is_parked_and_asks(void **state) {
    (void)state;
    write_device();
    start(ESP_RST_POWERON);
    assert_true(run_ms(3000));
    assert_int_equal(s_node.life.use, MM_ESP_USE_PARKED);
    assert_true(s_node.life.has_bluetooth);
    assert_int_equal(s_node.node.setup.configuration.phase.state, MM_LIFE_PARKED);
    assert_int_equal(s_node.node.join.state, MM_JOIN_ASKING);
    assert_true(s_node.settings.fram_worked);
    assert_true(fake_system()->task_is_watched);
    assert_true(fake_system()->feeds > 0);
    assert_true(fake_oled()->is_lit);
    // Its label is nobody's default.
    assert_string_equal(s_node.settings.pop, LABEL);
    go_down();
    assert_int_equal(fake_netif_count(), 0);
    assert_int_equal(fake_nvs_open_count(), 0);
}

static void the_owners_task_does_the_same(void **state) {
    (void)state;
    fake_restart();
    s_is_on = true;
    assert_false(fake_restarts(mm_esp_node_start));
    fake_task_run("owner", 40); // opens, and turns
    assert_true(fake_system()->task_is_watched);
    assert_int_equal(s_node.node.metering.boot_no, 1);
    assert_true(s_node.life.job != MM_ESP_LIFE_NO_JOB); // the worker has not run
}

static void what_was_counted_survives_a_power_cut(void **state) {
    (void)state;
    start(ESP_RST_POWERON);
    for (unsigned i = 0; i < 20; i++) {
        pulse(0);
        assert_true(run_ms(50));
    }
    assert_int_equal(life_pulses(), 20);
    cut_power();
    start(ESP_RST_POWERON);
    assert_int_equal(life_pulses(), 20);
    assert_int_equal(s_node.node.metering.boot_no, 2);
}

static void pulses_between_the_last_read_and_a_crash_are_not_lost(void **state) {
    (void)state;
    start(ESP_RST_POWERON);
    assert_true(run_ms(100));
    pulse(0);
    pulse(0); // not read
    start(ESP_RST_PANIC);
    assert_int_equal(life_pulses(), 2);
    assert_int_equal(s_node.health.reset, MM_ESP_RESET_PANIC);
}

static void the_start_says_why_and_how_often(void **state) {
    (void)state;
    start(ESP_RST_POWERON);
    start(ESP_RST_PANIC);
    start(ESP_RST_TASK_WDT);
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry;
    mm_position_t after = {0, 0};
    uint64_t reason = 0;
    while (mm_journal_read_after(&s_node.node.journal, after, &hint, &entry) == MM_OK) {
        mm_record_t record;
        after = entry.position;
        if (mm_record_decode(entry.type, entry.payload, entry.payload_bytes, &record) == MM_OK &&
            record.type == MM_RECORD_EVENT && record.event.code == MM_EVENT_BOOT) {
            reason = record.event.values[1];
        }
    }
    assert_int_equal(reason, MM_ESP_RESET_WATCHDOG | 2U << 8);
}

// --- memory that fails ----------------------------------------------------------------------------------------------

static void without_an_fram_registers_are_in_flash(void **state) {
    (void)state;
    fake_fram()->is_there = false;
    start(ESP_RST_POWERON);
    assert_int_equal(s_node.fram_verdict, MM_ESP_FRAM_USE_FLASH);
    pulse(0);
    pulse(0);
    assert_true(run_ms(1000)); // the first are saved at once
    pulse(0);
    assert_true(run_ms(1000));
    assert_int_equal(life_pulses(), 3);
    assert_null(mm_esp_storage_fault(&s_node));
    // The bound of the loss is the save period.
    cut_power();
    start(ESP_RST_POWERON);
    assert_int_equal(life_pulses(), 2);
    pulse(0);
    assert_true(run_ms(CONFIG_MM_SAVE_PERIOD_S * 1000 + 1000));
    cut_power();
    start(ESP_RST_POWERON);
    assert_int_equal(life_pulses(), 3);
}

// A board whose FRAM died must not begin new registers in flash; and it goes on where it was when the FRAM is back.
static void an_fram_that_died_is_a_fault_until_it_answers(void **state) {
    (void)state;
    start(ESP_RST_POWERON);
    pulse(0);
    assert_true(run_ms(1000));
    fake_fram()->is_there = false;
    start(ESP_RST_SW);
    assert_int_equal(s_node.fram_verdict, MM_ESP_FRAM_IN_FAULT);
    assert_non_null(mm_esp_storage_fault(&s_node));
    pulse(0);
    pulse(0);
    assert_true(run_ms(1000));
    assert_false(s_node.node.metering.store_usable);
    fake_fram()->is_there = true;
    assert_false(run_ms(MM_ESP_NODE_FRAM_RETRY_S * 1000 + 1000)); // it restarts
    start(ESP_RST_SW);
    assert_int_equal(s_node.fram_verdict, MM_ESP_FRAM_USE);
    assert_true(run_ms(100));
    assert_int_equal(life_pulses(), 3);
}

// Whatever else fails at that start, NVS as well: to go on in flash would be to count from an old image.
static void an_fram_that_worked_is_never_taken_for_none(void **state) {
    unsigned call_no = 0;
    unsigned without_nvs = 0;
    unsigned without_bus = 0;
    bool failed = true;
    while (failed) {
        (void)installed(state);
        start(ESP_RST_POWERON);
        pulse(0);
        assert_true(run_ms(100));
        cut_power();
        fake_fram()->is_there = false;
        bool is_up = start_failing(ESP_RST_POWERON, ++call_no);
        failed = fake_has_failed();
        fake_fail_at(0);
        if (!is_up) {
            continue;
        }
        assert_int_equal(s_node.fram_verdict, MM_ESP_FRAM_IN_FAULT);
        without_nvs += s_node.settings.is_open ? 0 : 1;
        if (s_node.fram_bus.bus == NULL) {
            without_bus++;
            fake_fram()->is_there = true;
            assert_false(run_ms(MM_ESP_NODE_FRAM_RETRY_S * 1000 + 1000)); // it restarts
            start(ESP_RST_SW);
            assert_int_equal(s_node.fram_verdict, MM_ESP_FRAM_USE);
            assert_int_equal(life_pulses(), 1);
        }
    }
    assert_true(without_nvs > 0);
    assert_int_equal(without_bus, 1);
}

static void an_fram_that_does_not_acknowledge_later_is_tried_again(void **state) {
    (void)state;
    start(ESP_RST_POWERON);
    assert_true(run_ms(1000));
    fake_fram()->is_there = false;
    pulse(0);
    assert_true(run_ms(1000));
    assert_int_equal(life_pulses(), 1);
    fake_fram()->is_there = true;
    pulse(0);
    assert_true(run_ms((MM_METERING_RETRY_S + 1) * 1000));
    cut_power();
    start(ESP_RST_POWERON);
    assert_int_equal(life_pulses(), 2);
}

static void without_partitions_the_node_counts_in_ram(void **state) {
    (void)state;
    static const char *const labels[] = {"journal", "config", "registers"};
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        fake_partition_find(labels[i])->type = ESP_PARTITION_TYPE_APP;
    }
    fake_fram()->is_there = false;
    start(ESP_RST_POWERON);
    assert_true(run_ms(1000));
    mm_pulse_counts_t counts;
    pulse(0);
    assert_int_equal(s_node.pulses.pulses.read(s_node.pulses.pulses.context, 0, &counts), MM_OK);
    assert_int_equal(counts.counts[0], 1);
    assert_non_null(mm_esp_storage_fault(&s_node));
    assert_int_equal(s_node.life.use, MM_ESP_USE_NOTHING);
}

static void run_through(unsigned ms) {
    if (!run_ms(ms)) {
        start(ESP_RST_SW);
    }
}

// Whatever the SDK refuses at the start, pulses are counted, and saved where there is memory for it.
static void each_call_that_fails_at_the_start(void **state) {
    unsigned call_no = 0;
    unsigned restarts = 0;
    unsigned kept = 0;
    bool failed = true;
    while (failed) {
        (void)installed(state);
        call_no++;
        bool is_up = start_failing(ESP_RST_POWERON, call_no) && run_ms(500);
        failed = fake_has_failed();
        fake_fail_at(0);
        if (!is_up) {
            restarts++; // without its task it begins again
            start(ESP_RST_SW);
        }
        if (s_node.pulses.failed != 0) {
            run_through((MM_ESP_NODE_RETRY_S + 1) * 1000); // inputs are asked for again
        }
        pulse(0);
        pulse(0);
        run_through(1000);
        assert_true(s_node.life.use != MM_ESP_USE_PARKED); // it has a network, whether it can be read or not
        mm_pulse_counts_t counts;
        assert_int_equal(s_node.pulses.pulses.read(s_node.pulses.pulses.context, 0, &counts), MM_OK);
        assert_int_equal(counts.counts[0], 2);
        if (s_node.node.metering.store_usable && s_node.fram_verdict == MM_ESP_FRAM_USE) {
            run_through((MM_METERING_RETRY_S + 1) * 1000); // what was refused is tried again
            assert_int_equal(life_pulses(), 2);
            cut_power();
            start(ESP_RST_POWERON);
            assert_int_equal(life_pulses(), 2);
            kept++;
        }
        go_down();
        assert_int_equal(fake_critical_depth(), 0);
    }
    assert_true(call_no > 100);
    assert_true(restarts <= 3);
    assert_true(kept > call_no / 2);
}

// --- safe mode, warning, update ------------------------------------------------------------------------------------

static void crashes_end_in_the_safe_mode(void **state) {
    (void)state;
    start(ESP_RST_POWERON);
    pulse(0);
    assert_true(run_ms(1000));
    for (unsigned i = 0; i < CONFIG_MM_SAFE_MODE_CRASHES; i++) {
        start(ESP_RST_PANIC);
    }
    assert_true(s_node.health.safe_mode);
    pulse(0);
    assert_true(run_ms(2000));
    // It counts and saves …
    assert_int_equal(life_pulses(), 2);
    assert_string_equal(s_node.node.metering.stored_meters[0].id, METER);
    // … and does nothing else.
    assert_int_equal(s_node.life.use, MM_ESP_USE_NOTHING);
    assert_false(s_node.node.has_control);
    assert_false(fake_uart_is_installed());
    assert_int_equal(fake_netif_count(), 0);
    // The button ends it; so does a quiet hour.
    fake_gpio_drive(CONFIG_MM_BUTTON_PIN, 0);
    assert_false(run_ms(1000));
    start(ESP_RST_SW);
    assert_false(s_node.health.safe_mode);
    assert_int_equal(life_pulses(), 2);
    assert_int_equal(s_node.node.setup.configuration.phase.state, MM_LIFE_RUNNING);
}

static void a_quiet_hour_ends_the_safe_mode(void **state) {
    (void)state;
    start(ESP_RST_POWERON);
    for (unsigned i = 0; i < CONFIG_MM_SAFE_MODE_CRASHES; i++) {
        start(ESP_RST_PANIC);
    }
    assert_true(s_node.health.safe_mode);
    assert_true(run_ms((MM_ESP_HEALTH_QUIET_S - 10) * 1000U));
    assert_false(run_ms(20000));
}

static void a_supply_that_is_going_is_the_first_work(void **state) {
    (void)state;
    start(ESP_RST_POWERON);
    assert_true(run_ms(1000));
    pulse(0);
    assert_int_equal(life_pulses(), 0);
    s_node.health.warning = true; // as its interrupt does
    wake_from_isr(NULL);
    int64_t before_us = fake_time_us();
    assert_true(mm_esp_owner_take(&s_post, MM_US_NEVER));
    assert_int_equal(fake_time_us(), before_us); // at once
    // Power for the counters' read and one cell, and for nothing behind it.
    fake_fail_from(2);
    (void)turn(&s_node, &s_post);
    fake_fail_at(0);
    assert_false(s_node.health.warning);
    assert_int_equal(life_pulses(), 1);
    cut_power();
    start(ESP_RST_POWERON);
    assert_int_equal(life_pulses(), 1);
}

static const mm_legacy_t s_legacy;

static const mm_legacy_t *open_legacy(const uint8_t secret[MM_LEGACY_SECRET_BYTES]) {
    assert_ptr_equal(secret, s_node.settings.legacy_secret);
    return &s_legacy;
}

// A board that was built for them, and a factory that has not written the deployment's secret.
static void the_originals_commands_need_a_secret(void **state) {
    (void)state;
    start(ESP_RST_POWERON);
    mm_esp_board_t board = *mm_esp_board();
    mm_node_options_t options = {0};
    board.open_legacy = open_legacy;
    s_node.board = &board;
    assert_false(s_node.settings.has_legacy_secret);
    fill_options(&s_node, SITE, &options);
    assert_null(options.control.legacy);
    s_node.settings.has_legacy_secret = true;
    fill_options(&s_node, SITE, &options);
    assert_ptr_equal(options.control.legacy, &s_legacy);
    s_node.board = mm_esp_board();
}

static void never_run(void *context) {
    (void)context;
}

static void turn_without_worker(void) {
    while (mm_esp_owner_now() < s_until) {
        mm_us_t deadline = turn(&s_node, &s_post);
        (void)mm_esp_owner_take(&s_post, mm_us_earlier(deadline, s_until));
    }
}

// A job of the SDK's that does not come back is known (esp_mesh_stop): a restart always helps.
static void a_worker_that_hangs_is_a_restart(void **state) {
    (void)state;
    uint32_t number = 0;
    start(ESP_RST_POWERON);
    assert_true(run_ms(1000));
    pulse(0);
    mm_us_t deadline = mm_esp_owner_now() + MM_US_PER_S;
    assert_int_equal(mm_esp_owner_give_job(never_run, NULL, deadline, &number), MM_OK);
    s_until = deadline + (MM_ESP_OWNER_JOB_GRACE_S - 1) * MM_US_PER_S;
    assert_false(fake_restarts(turn_without_worker));
    s_until += 2 * MM_US_PER_S;
    assert_true(fake_restarts(turn_without_worker));
    start(ESP_RST_SW);
    assert_int_equal(life_pulses(), 1);
}

static void an_update_does_not_wait_for_ever_for_the_worker(void **state) {
    (void)state;
    uint32_t number = 0;
    start(ESP_RST_POWERON);
    assert_true(run_ms(1000));
    mm_us_t now = mm_esp_owner_now();
    assert_int_equal(mm_esp_owner_give_job(never_run, NULL, now + 1000 * MM_US_PER_S, &number), MM_OK);
    assert_int_equal(mm_esp_node_begin_update(&s_node, "https://updates.example/image.bin", false, now), MM_OK);
    s_until = now + (MM_ESP_NODE_OTA_WAIT_S - 1) * MM_US_PER_S;
    assert_false(fake_restarts(turn_without_worker));
    assert_int_equal(s_node.ota.state, MM_ESP_OTA_RUNNING);
    s_until += 2 * MM_US_PER_S;
    assert_false(fake_restarts(turn_without_worker));
    assert_int_equal(s_node.ota.state, MM_ESP_OTA_IDLE);
    assert_int_equal(s_node.ota.result, MM_ESP_OTA_NO_MEMORY);
}

// The owner may have forty posts before it, each with something to store or to send.
static void a_supply_that_goes_in_the_middle_of_a_turn_is_the_next_work(void **state) {
    (void)state;
    start(ESP_RST_POWERON);
    assert_true(run_ms(1000));
    pulse(0);
    assert_int_equal(life_pulses(), 0);
    s_node.health.warning = true;
    for (unsigned i = 0; i < 10; i++) {
        assert_true(mm_esp_owner_post_wake());
    }
    assert_true(mm_esp_owner_take(&s_post, 0));
    // Behind the first post: there is power for the counters' read and one cell.
    fake_fail_from(2);
    take_posts(&s_node, &s_post);
    fake_fail_at(0);
    assert_int_equal(life_pulses(), 1);
    cut_power();
    start(ESP_RST_POWERON);
    assert_int_equal(life_pulses(), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_factory_new_device_is_parked_and_asks, factory_new),
        cmocka_unit_test_setup(the_owners_task_does_the_same, factory_new),
        cmocka_unit_test_setup(what_was_counted_survives_a_power_cut, installed),
        cmocka_unit_test_setup(pulses_between_the_last_read_and_a_crash_are_not_lost, installed),
        cmocka_unit_test_setup(the_start_says_why_and_how_often, installed),
        cmocka_unit_test_setup(without_an_fram_registers_are_in_flash, installed),
        cmocka_unit_test_setup(an_fram_that_died_is_a_fault_until_it_answers, installed),
        cmocka_unit_test_setup(an_fram_that_worked_is_never_taken_for_none, installed),
        cmocka_unit_test_setup(an_fram_that_does_not_acknowledge_later_is_tried_again, installed),
        cmocka_unit_test_setup(without_partitions_the_node_counts_in_ram, installed),
        cmocka_unit_test_setup(each_call_that_fails_at_the_start, installed),
        cmocka_unit_test_setup(crashes_end_in_the_safe_mode, installed),
        cmocka_unit_test_setup(a_quiet_hour_ends_the_safe_mode, installed),
        cmocka_unit_test_setup(a_supply_that_is_going_is_the_first_work, installed),
        cmocka_unit_test_setup(the_originals_commands_need_a_secret, installed),
        cmocka_unit_test_setup(a_worker_that_hangs_is_a_restart, installed),
        cmocka_unit_test_setup(an_update_does_not_wait_for_ever_for_the_worker, installed),
        cmocka_unit_test_setup(a_supply_that_goes_in_the_middle_of_a_turn_is_the_next_work, installed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
