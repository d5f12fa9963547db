// SPDX-License-Identifier: Apache-2.0
#include <time.h>

#include "metering_world.h"

#define S_PER_DAY 86400
#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"

static int64_t utc(int32_t year, uint8_t month, uint8_t day, int hour, int minute, int second) {
    return mm_days_from_civil(year, month, day) * S_PER_DAY + hour * 3600 + minute * 60 + second;
}

static uint16_t tag(int32_t year, int month) {
    return (uint16_t)(year * 12 + month - 1);
}

static int setup(void **state) {
    (void)state;
    setenv("TZ", BERLIN, 1);
    tzset();
    world_init(utc(2024, 6, 10, 9, 50, 0), true);
    return 0;
}

static void open_and_sync(void) {
    assert_int_equal(world_open(), MM_OK);
    assert_int_equal(world_set_time(world.t_us, MM_TRUST_SYNCED), MM_OK);
    world_poll();
    hq_collect();
}

static void run_s(int64_t seconds) {
    world_run(world.t_us + seconds * US, 20 * US);
}

static const mm_channel_registers_t *registers(uint8_t channel) {
    return &world.metering.registers.channels[channel];
}

static void test_metering_virgin_boot_is_told(void **state) {
    (void)state;
    assert_int_equal(world_open(), MM_OK);
    hq_collect();
    const mm_event_record_t *boot = hq_event(MM_EVENT_BOOT, 0);
    assert_non_null(boot);
    assert_int_equal(boot->boot_no, 1);
    assert_int_equal(boot->values[0], 1);
    assert_int_equal(boot->values[1], 3); // the reset reason that world_open gives
    assert_int_equal(boot->at.trust, MM_TRUST_UNSET);
    assert_int_equal(boot->at.seconds, 0);
    assert_int_equal(hq_count_events(MM_EVENT_CONFIGURATION), 8);
    const mm_event_record_t *configuration = hq_event(MM_EVENT_CONFIGURATION, 5);
    assert_int_equal(configuration->values[0], 5);
    assert_int_equal(configuration->values[1], 0);
    assert_int_equal(configuration->values[2], 1000);
    assert_int_equal(world.hq_count, 9);

    mm_snapshot_t snapshot = {0};
    mm_metering_snapshot(&world.metering, mono(world.t_us) + 1234567, &snapshot);
    assert_int_equal(snapshot.boot_no, 1);
    assert_int_equal(snapshot.uptime_ms, 1234);
    assert_int_equal(snapshot.time.trust, MM_TRUST_UNSET);
    assert_int_equal(snapshot.year_month, 0);
    assert_int_equal(snapshot.interval_no, 1);
    assert_int_equal(snapshot.next_seq, 10);
    assert_string_equal(snapshot.meters[3].id, "A3");
    assert_int_equal(snapshot.meters[3].start_wh, 15000);
}

static void test_metering_first_counts_of_a_virgin_node_are_real(void **state) {
    (void)state;
    world.counter_offset = 25; // counted since power-up, before the program read for the first time
    assert_int_equal(world_open(), MM_OK);
    assert_int_equal(registers(0)->life_pulses, 25);
    assert_int_equal(registers(7)->pending_pulses, 25);
}

static void test_metering_clock_unset_at_boot_then_set(void **state) {
    (void)state;
    assert_int_equal(world_open(), MM_OK);
    int64_t opened_us = world.t_us;
    run_s(2000);
    assert_int_equal(world.metering.registers.year_month, 0);
    assert_int_equal(registers(2)->pending_pulses, truth_at(2, world.t_us));
    const mm_interval_record_t *interval = hq_interval(1);
    assert_int_equal(interval->end.trust, MM_TRUST_UNSET);
    assert_int_equal(interval->end.seconds, 900);
    assert_int_equal(interval->duration_s, 900);
    assert_false(interval->restarted);
    assert_int_equal(interval->pulses[4], truth_at(4, opened_us + 900 * US));

    uint64_t pending = 0;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        pending += truth_at(channel, world.t_us);
    }
    assert_int_equal(world_set_time(world.t_us, MM_TRUST_SYNCED), MM_OK); // 10:23:20 UTC, 12:23:20 in Berlin
    hq_collect();
    interval = hq_interval(3);
    assert_int_equal(interval->end.trust, MM_TRUST_UNSET);
    assert_int_equal(interval->end.seconds, 2000);
    assert_int_equal(interval->duration_s, 200);
    const mm_event_record_t *synced = hq_event(MM_EVENT_TIME_SYNCED, 0);
    assert_int_equal(synced->values[0], 1);
    assert_int_equal(synced->values[1], 2000);
    assert_int_equal(synced->values[2], utc(2024, 6, 10, 10, 23, 20));
    assert_int_equal(synced->values[3], pending);
    assert_int_equal(synced->at.trust, MM_TRUST_SYNCED);
    assert_int_equal(synced->at.seconds, utc(2024, 6, 10, 10, 23, 20));
    assert_int_equal(world.metering.registers.year_month, tag(2024, 6));
    assert_int_equal(registers(2)->pending_pulses, 0);
    assert_int_equal(registers(2)->hours_pulses[12], truth_at(2, world.t_us));

    run_s(600);
    interval = hq_interval(4); // the first on the grid of wall time
    assert_int_equal(interval->end.trust, MM_TRUST_SYNCED);
    assert_int_equal(interval->end.seconds, utc(2024, 6, 10, 10, 30, 0));
    assert_int_equal(interval->duration_s, 400);
    assert_consistent();
    assert_life_is_truth();
}

typedef struct {
    uint32_t months[24][MM_CHANNELS];
    uint32_t hours[24][MM_CHANNELS][MM_HOURS_OF_DAY];
} truth_table_t;

// By libc and the formula, hour by hour.
static truth_table_t truth_table(int64_t begin_s, int64_t end_s, uint16_t first_tag) {
    truth_table_t table;
    memset(&table, 0, sizeof table);
    for (int64_t hour_s = begin_s; hour_s < end_s; hour_s += 3600) {
        time_t time = (time_t)hour_s;
        struct tm local;
        localtime_r(&time, &local);
        size_t month = (size_t)((local.tm_year + 1900) * 12 + local.tm_mon - first_tag);
        assert_true(month < 24);
        int64_t next_s = hour_s + 3600 < end_s ? hour_s + 3600 : end_s;
        for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
            uint32_t pulses = (uint32_t)(truth_at(channel, next_s * US) - truth_at(channel, hour_s * US));
            table.months[month][channel] += pulses;
            table.hours[month][channel][local.tm_hour] += pulses;
        }
    }
    return table;
}

static void test_metering_a_year_is_truth(void **state) {
    (void)state;
    int64_t begin_s = utc(2024, 9, 28, 14, 0, 0); // both changes of the clock and New Year are within
    world_init(begin_s, true);
    open_and_sync();
    int64_t end_s = utc(2025, 10, 2, 7, 0, 0);
    for (int64_t day_s = begin_s + S_PER_DAY; world.t_us < end_s * US; day_s += S_PER_DAY) {
        world_run((day_s < end_s ? day_s : end_s) * US, 7200 * US);
        assert_int_equal(world_set_time(world.t_us, MM_TRUST_SYNCED), MM_OK);
    }
    assert_consistent();
    assert_life_is_truth();
    uint16_t first = tag(2024, 9);
    truth_table_t table = truth_table(begin_s, end_s, first);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        for (uint16_t month = 0; month < 13; month++) {
            uint32_t count;
            const mm_month_closing_record_t *closing = hq_closing((uint16_t)(first + month), channel, &count);
            assert_int_equal(count, 1);
            assert_int_equal(closing->month_pulses, table.months[month][channel]);
            assert_memory_equal(closing->hours_pulses, table.hours[month][channel], sizeof closing->hours_pulses);
            assert_int_equal(closing->pulse_constant, 1000);
            uint32_t month_pulses;
            uint32_t hours_pulses[MM_HOURS_OF_DAY];
            mm_err_t err =
                mm_metering_month(&world.metering, (uint16_t)(first + month), channel, &month_pulses, hours_pulses);
            if (month == 0) {
                assert_int_equal(err, MM_ERR_NOT_FOUND); // 13 months ago: its page is that of last September
                continue;
            }
            assert_int_equal(err, MM_OK);
            assert_int_equal(month_pulses, table.months[month][channel]);
            assert_memory_equal(hours_pulses, table.hours[month][channel], sizeof hours_pulses);
        }
        assert_int_equal(registers(channel)->month_pulses, table.months[13][channel]);
        assert_memory_equal(registers(channel)->hours_pulses, table.hours[13][channel], sizeof table.hours[13][0]);
    }
    uint32_t intervals = 0;
    for (uint32_t i = 0; i < world.hq_count; i++) {
        const mm_interval_record_t *interval = &hq_records[i].record.interval;
        if (hq_records[i].type == MM_RECORD_INTERVAL) {
            intervals++;
            assert_int_equal(interval->end.seconds, (uint64_t)begin_s + intervals * 900u);
            assert_int_equal(interval->duration_s, 900);
            for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
                int64_t end_us = (int64_t)interval->end.seconds * US;
                assert_int_equal(interval->pulses[channel],
                                 truth_at(channel, end_us) - truth_at(channel, end_us - 900 * US));
            }
        }
    }
    assert_int_equal(intervals, (end_s - begin_s) / 900);
}

static void test_metering_small_corrections_are_silent(void **state) {
    (void)state;
    open_and_sync();
    int64_t begin_s = world.t_us / US;
    // A clock that is corrected over the boundary in both directions, again and again.
    for (int round = 0; round < 12; round++) {
        int64_t boundary_us = (world.t_us / (900 * US) + 1) * 900 * US;
        world_run(boundary_us - US / 2, 20 * US);
        assert_int_equal(world_set_time(world.t_us + (round % 2 == 0 ? 1 : -1) * US, MM_TRUST_SYNCED), MM_OK);
        world_run(boundary_us + 3 * US, US / 4);
    }
    assert_int_equal(hq_count_events(MM_EVENT_TIME_STEPPED), 0);
    assert_int_equal(world.counters.values[MM_COUNTER_CLOCK_STEPPED], 0);
    assert_consistent();
    assert_life_is_truth();
    for (uint32_t no = 1; no <= 12; no++) {
        const mm_interval_record_t *interval = hq_interval(no);
        assert_non_null(interval);
        assert_int_equal(interval->end.seconds, (uint64_t)begin_s - (uint64_t)begin_s % 900 + 900u * no);
        assert_in_range(interval->duration_s, no == 1 ? 598 : 898, no == 1 ? 601 : 902);
    }
    assert_null(hq_interval(13));
}

static void test_metering_steps_forth_and_back(void **state) {
    (void)state;
    open_and_sync(); // 9:50 UTC
    run_s(700);      // one interval ended at 10:00; 100 s are in the next one
    assert_int_equal(world_set_time(world.t_us + 3601 * US, MM_TRUST_SYNCED), MM_OK);
    hq_collect();
    const mm_interval_record_t *interval = hq_interval(2);
    assert_int_equal(interval->end.seconds, utc(2024, 6, 10, 10, 1, 40)); // under the old label
    assert_int_equal(interval->duration_s, 100);
    const mm_event_record_t *stepped = hq_event(MM_EVENT_TIME_STEPPED, 0);
    assert_int_equal(stepped->values[0], utc(2024, 6, 10, 10, 1, 40));
    assert_int_equal(stepped->values[1], utc(2024, 6, 10, 11, 1, 41));
    assert_int_equal(stepped->at.seconds, utc(2024, 6, 10, 11, 1, 41));
    assert_int_equal(world.counters.values[MM_COUNTER_CLOCK_STEPPED], 1);
    assert_int_equal(registers(0)->hours_pulses[13], 0);
    uint64_t before = truth_at(0, world.t_us);
    run_s(300);
    assert_int_equal(registers(0)->hours_pulses[13], truth_at(0, world.t_us) - before);
    assert_int_equal(registers(0)->hours_pulses[12], before - registers(0)->hours_pulses[11]);
    assert_int_equal(world_set_time(world.t_us, MM_TRUST_SYNCED), MM_OK);
    run_s(3600);
    assert_int_equal(hq_count_events(MM_EVENT_TIME_STEPPED), 2);
    assert_consistent();
    assert_life_is_truth();
    // More than two seconds is a step, two are not.
    assert_int_equal(world_set_time(world.t_us - 2 * US, MM_TRUST_SYNCED), MM_OK);
    assert_int_equal(world_set_time(world.t_us - 1, MM_TRUST_SYNCED), MM_OK);
    assert_int_equal(world_set_time(world.t_us - 2 * US - 2, MM_TRUST_SYNCED), MM_OK);
    hq_collect();
    assert_int_equal(hq_count_events(MM_EVENT_TIME_STEPPED), 3);
}

static void test_metering_steps_between_months_close_each_once(void **state) {
    (void)state;
    world_init(utc(2024, 6, 30, 21, 0, 0), true); // an hour before July in Berlin
    open_and_sync();
    run_s(3600 + 600);
    assert_int_equal(world.metering.registers.year_month, tag(2024, 7));
    // Back into June, which is closed: it stays July, under June's hours.
    uint64_t before = truth_at(1, world.t_us);
    assert_int_equal(world_set_time(utc(2024, 6, 30, 20, 30, 0) * US, MM_TRUST_SYNCED), MM_OK);
    run_s(600);
    assert_int_equal(world.metering.registers.year_month, tag(2024, 7));
    assert_int_equal(registers(1)->hours_pulses[22], truth_at(1, world.t_us) - before);
    // Into May, which is not: July is closed as it stands.
    assert_int_equal(world_set_time(utc(2024, 5, 31, 20, 30, 0) * US, MM_TRUST_SYNCED), MM_OK);
    run_s(600);
    assert_int_equal(world.metering.registers.year_month, tag(2024, 5));
    // Two sources that disagree: nothing is opened again.
    for (int round = 0; round < 5; round++) {
        assert_int_equal(world_set_time(utc(2024, 7, 1, 8, round, 0) * US, MM_TRUST_SYNCED), MM_OK);
        run_s(100);
        assert_int_equal(world_set_time(utc(2024, 6, 30, 8, round, 0) * US, MM_TRUST_SYNCED), MM_OK);
        run_s(100);
        assert_int_equal(world.metering.registers.year_month, tag(2024, 5));
    }
    // A clock that was far ahead, and put right, does no harm beyond its month.
    assert_int_equal(world_set_time(utc(2150, 1, 1, 0, 0, 0) * US, MM_TRUST_SYNCED), MM_OK);
    run_s(1000);
    assert_int_equal(world.metering.registers.year_month, tag(2150, 1));
    assert_int_equal(world_set_time(utc(2024, 7, 31, 21, 30, 0) * US, MM_TRUST_SYNCED), MM_OK);
    run_s(1000);
    assert_int_equal(world.metering.registers.year_month, tag(2150, 1));
    run_s(1000);
    assert_int_equal(world.metering.registers.year_month, tag(2024, 8));
    static const uint16_t closed[] = {2024 * 12 + 5, 2024 * 12 + 6, 2024 * 12 + 4, 2150 * 12};
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        for (size_t i = 0; i < 4; i++) {
            uint32_t count;
            assert_non_null(hq_closing(closed[i], channel, &count));
            assert_int_equal(count, 1);
        }
    }
    assert_consistent();
    assert_life_is_truth();
}

static void test_metering_month_changes_while_closing(void **state) {
    (void)state;
    // Two more months begin before poll had the time to make the closing records of the first.
    world_init(utc(2024, 6, 30, 21, 59, 50), true);
    open_and_sync();
    run_s(5);
    assert_int_equal(world_set_time(utc(2024, 7, 10, 0, 0, 0) * US, MM_TRUST_SYNCED), MM_OK);
    assert_int_equal(world_set_time(utc(2024, 8, 10, 0, 0, 0) * US, MM_TRUST_SYNCED), MM_OK);
    assert_int_equal(world_set_time(utc(2024, 9, 10, 0, 0, 0) * US, MM_TRUST_SYNCED), MM_OK);
    run_s(5);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        for (int month = 6; month <= 8; month++) {
            uint32_t count;
            assert_non_null(hq_closing(tag(2024, month), channel, &count));
            assert_int_equal(count, 1);
        }
    }
    assert_consistent();
}

static void test_metering_months_pass_while_the_node_is_off(void **state) {
    (void)state;
    open_and_sync();
    run_s(1800);
    int64_t last_us = world.t_us;
    world_reboot(200 * S_PER_DAY * US, true); // the counters live on
    run_s(100);
    assert_int_equal(world.metering.registers.year_month, tag(2024, 6));
    assert_int_equal(registers(3)->month_pulses, truth_at(3, last_us));
    assert_int_equal(registers(3)->pending_pulses, truth_at(3, world.t_us) - truth_at(3, last_us));
    assert_int_equal(world_set_time(world.t_us, MM_TRUST_SYNCED), MM_OK);
    run_s(60);
    assert_int_equal(world.metering.registers.year_month, tag(2024, 12));
    uint32_t count;
    const mm_month_closing_record_t *closing = hq_closing(tag(2024, 6), 3, &count);
    assert_int_equal(count, 1);
    assert_int_equal(closing->month_pulses, truth_at(3, last_us));
    assert_int_equal(closing->life_pulses, truth_at(3, last_us)); // without what is pending
    for (int month = 7; month <= 12; month++) {
        assert_null(hq_closing(tag(2024, month), 3, &count));
    }
    assert_int_equal(registers(3)->month_pulses, truth_at(3, world.t_us) - truth_at(3, last_us));
    assert_consistent();
    assert_life_is_truth();
}

static void test_metering_interval_goes_on_after_a_reboot(void **state) {
    (void)state;
    open_and_sync();
    run_s(700); // 100 s into the second interval
    world_reboot(50 * US, true);
    assert_int_equal(world.metering.boot_no, 2);
    assert_int_equal(world.metering.interval_no, 2);
    run_s(30);
    assert_int_equal(world_set_time(world.t_us, MM_TRUST_SYNCED), MM_OK);
    hq_collect();
    const mm_interval_record_t *interval = hq_interval(2);
    assert_true(interval->restarted);
    assert_int_equal(interval->end.trust, MM_TRUST_UNSET);
    assert_int_equal(interval->end.seconds, 30);
    assert_int_equal(interval->duration_s, 30);
    assert_int_equal(interval->pulses[0], truth_at(0, world.t_us) - hq_interval(1)->pulses[0]);
    run_s(1000);
    assert_false(hq_interval(3)->restarted);
    assert_int_equal(hq_count_events(MM_EVENT_BOOT), 2);
    assert_int_equal(hq_count_events(MM_EVENT_CONFIGURATION), 8);
    assert_int_equal(hq_count_events(MM_EVENT_REGISTERS_RECOVERED), 0);
    assert_int_equal(hq_count_events(MM_EVENT_COUNTER_RESTARTED), 0);
    assert_consistent();
    assert_life_is_truth();
}

static void test_metering_counter_wraps(void **state) {
    (void)state;
    assert_int_equal(world_open(), MM_OK);
    // The hardware counters are where they are after years.
    world.counter_offset = UINT32_MAX - 20;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        world.metering.counter_counts[channel] = UINT32_MAX - 20;
    }
    run_s(3000);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        assert_true(world.metering.counter_counts[channel] < 1000);
        assert_int_equal(registers(channel)->life_pulses, truth_at(channel, world.t_us));
    }
    assert_consistent();
}

static void test_metering_counters_restart_while_running(void **state) {
    (void)state;
    open_and_sync();
    run_s(300);
    uint32_t old_generation = world.generation;
    restart_counters();
    run_s(300);
    assert_int_equal(hq_count_events(MM_EVENT_COUNTER_RESTARTED), 1);
    assert_int_equal(hq_event(MM_EVENT_COUNTER_RESTARTED, 0)->values[0], old_generation);
    assert_int_equal(hq_event(MM_EVENT_COUNTER_RESTARTED, 0)->values[1], world.generation);
    assert_int_equal(world.counters.values[MM_COUNTER_PULSE_COUNTER_RESTARTED], 1);
    assert_life_is_truth(); // everything had been read, so nothing is lost
    assert_consistent();
    world_reboot(US, false);
    run_s(300);
    assert_int_equal(hq_count_events(MM_EVENT_COUNTER_RESTARTED), 1); // at a boot it is no news
}

static void test_metering_noise_is_rejected(void **state) {
    (void)state;
    world.options.pulses_per_s_max = 17;
    open_and_sync();
    run_s(600);
    assert_life_is_truth();
    assert_int_equal(world.counters.values[MM_COUNTER_PULSE_REJECTED], 0);
    world.counter_offset = 17 * 21 + 1; // on all 8 channels within the next 20 s
    run_s(20);
    assert_in_range(world.counters.values[MM_COUNTER_PULSE_REJECTED], 8 * (17 * 21 + 1), 8 * (17 * 21 + 30));
    uint64_t life = registers(0)->life_pulses;
    assert_int_equal(life, truth_at(0, world.t_us - 20 * US));
    int64_t from_us = world.t_us;
    world_reboot(US, true);
    run_s(600);
    assert_int_equal(registers(0)->life_pulses, life + truth_at(0, world.t_us) - truth_at(0, from_us)); // for good
}

static void test_metering_counter_that_runs_backwards_is_rejected(void **state) {
    (void)state;
    open_and_sync();
    run_s(600);
    uint64_t life = registers(0)->life_pulses;
    world.counter_offset = (uint32_t)-50; // the state is lost, and nobody says so
    world_poll();
    assert_int_equal(registers(0)->life_pulses, life);
    assert_true(world.counters.values[MM_COUNTER_PULSE_REJECTED] > 0);
    int64_t from_us = world.t_us;
    run_s(600);
    assert_int_equal(registers(0)->life_pulses, life + truth_at(0, world.t_us) - truth_at(0, from_us));
}

static void test_metering_source_that_fails_loses_nothing(void **state) {
    (void)state;
    open_and_sync();
    run_s(300);
    world.source_fails = true;
    run_s(2000);
    world.source_fails = false;
    run_s(20);
    assert_life_is_truth();
    assert_consistent();
}

static void test_metering_hold_ends_records_but_not_counting(void **state) {
    (void)state;
    open_and_sync(); // 9:50
    run_s(100);
    mm_metering_hold(&world.metering);
    assert_false(mm_metering_is_held(&world.metering));
    int64_t asked_us = world.t_us;
    run_s(20);
    assert_true(mm_metering_is_held(&world.metering));
    assert_int_equal(hq_count_events(MM_EVENT_HOLD), 1);
    int64_t held_us = (int64_t)hq_event(MM_EVENT_HOLD, 0)->at.seconds * US;
    assert_in_range(held_us, asked_us, world.t_us);
    assert_int_equal(hq_interval(1)->end.seconds, held_us / US);
    run_s(5000);
    assert_null(hq_interval(2));
    assert_int_equal(registers(5)->interval_pulses, truth_at(5, world.t_us) - truth_at(5, held_us));
    assert_consistent();
    assert_life_is_truth();
    world_reboot(US, true);
    assert_false(mm_metering_is_held(&world.metering));
    run_s(1000);
    assert_true(hq_interval(2)->restarted);
    assert_consistent();
}

static void test_metering_month_that_ends_while_held_is_closed_at_the_boot(void **state) {
    (void)state;
    world_init(utc(2024, 6, 30, 21, 50, 0), true); // ten minutes before July in Berlin
    open_and_sync();
    mm_metering_hold(&world.metering);
    run_s(60);
    assert_true(mm_metering_is_held(&world.metering));
    uint32_t held_count = world.hq_count;
    run_s(3600);
    assert_int_equal(world.metering.registers.year_month, tag(2024, 7));
    assert_int_equal(world.hq_count, held_count); // what HQ has been told is final
    world_reboot(US, true);
    run_s(60);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        uint32_t count;
        const mm_month_closing_record_t *closing = hq_closing(tag(2024, 6), channel, &count);
        assert_int_equal(count, 1);
        assert_int_equal(closing->month_pulses, truth_at(channel, utc(2024, 6, 30, 22, 0, 0) * US));
    }
    assert_consistent();
    assert_life_is_truth();
    // Its records come while held only if the next month ends, too: there is room for one.
    mm_metering_hold(&world.metering);
    run_s(60);
    assert_int_equal(world_set_time(utc(2024, 8, 10, 0, 0, 0) * US, MM_TRUST_SYNCED), MM_OK);
    run_s(60);
    assert_int_equal(world_set_time(utc(2024, 9, 10, 0, 0, 0) * US, MM_TRUST_SYNCED), MM_OK);
    run_s(60);
    uint32_t count;
    assert_non_null(hq_closing(tag(2024, 7), 0, &count));
    assert_null(hq_closing(tag(2024, 8), 0, &count));
    world_reboot(US, true);
    run_s(60);
    assert_non_null(hq_closing(tag(2024, 8), 0, &count));
    assert_consistent();
}

static void test_metering_cells_are_of_one_hour(void **state) {
    (void)state;
    open_and_sync(); // 11:50 in Berlin
    mm_metering_hold(&world.metering);
    run_s(660); // held: no interval makes an image at 13:00
    int64_t hour_us = utc(2024, 6, 10, 11, 0, 0) * US;
    world_run(hour_us - US, 20 * US);
    uint32_t before = registers(0)->hours_pulses[12];
    world_run(hour_us + 500 * US, 20 * US);
    uint32_t after = registers(0)->hours_pulses[13];
    assert_true(after >= 500 / 7);
    world_reboot(US, false); // only what is stored counts
    assert_in_range(registers(0)->hours_pulses[12], before, before + 1);
    assert_int_equal(registers(0)->hours_pulses[13], after);
}

static void test_metering_configuration_changes_are_told(void **state) {
    (void)state;
    open_and_sync();
    run_s(300);
    uint64_t life = registers(6)->life_pulses;
    world.options.meters[6].pulse_constant = 2000;
    world.options.meters[2] = (mm_meter_config_t){0}; // taken out
    world_reboot(US, true);
    hq_collect();
    assert_int_equal(hq_count_events(MM_EVENT_CONFIGURATION), 10);
    assert_int_equal(hq_event(MM_EVENT_CONFIGURATION, 8)->values[0], 2);
    assert_int_equal(hq_event(MM_EVENT_CONFIGURATION, 8)->values[2], 0);
    const mm_event_record_t *changed = hq_event(MM_EVENT_CONFIGURATION, 9);
    assert_int_equal(changed->values[0], 6);
    assert_int_equal(changed->values[1], 1000);
    assert_int_equal(changed->values[2], 2000);
    assert_int_equal(changed->values[3], life);
    assert_true(registers(6)->life_pulses >= life);
    life = registers(2)->life_pulses;
    run_s(300);
    assert_int_equal(registers(2)->life_pulses, life); // nobody's pulses
    world_reboot(US, true);
    hq_collect();
    assert_int_equal(hq_count_events(MM_EVENT_CONFIGURATION), 10);
    assert_consistent();
}

static void test_metering_trust_and_limits_of_time(void **state) {
    (void)state;
    world.options.time_trust_s = 3600;
    assert_int_equal(world_open(), MM_OK);
    assert_int_equal(world_set_time(world.t_us, MM_TRUST_UNSET), MM_ERR_ARG);
    assert_int_equal(world_set_time(utc(2009, 12, 31, 23, 59, 59) * US, MM_TRUST_SYNCED), MM_ERR_ARG);
    assert_int_equal(world_set_time(utc(2200, 1, 1, 0, 0, 0) * US, MM_TRUST_SYNCED), MM_ERR_ARG);
    assert_int_equal(world_set_time(INT64_MIN, MM_TRUST_SYNCED), MM_ERR_ARG);
    assert_int_equal(world_set_time(INT64_MAX, MM_TRUST_SYNCED), MM_ERR_ARG);
    assert_int_equal(world.counters.values[MM_COUNTER_CLOCK_REJECTED], 4);
    assert_int_equal(mm_metering_time(&world.metering, mono(world.t_us)).trust, MM_TRUST_UNSET);

    assert_int_equal(world_set_time(world.t_us + 5 * US, MM_TRUST_HELD), MM_OK); // better than nothing
    assert_int_equal(mm_metering_label(&world.metering, mono(world.t_us)).trust, MM_TRUST_HELD);
    assert_int_equal(world_set_time(world.t_us + 50 * US, MM_TRUST_HELD), MM_OK); // no better than what is there
    assert_int_equal(mm_metering_time(&world.metering, mono(world.t_us)).utc.us, world.t_us + 5 * US);
    assert_int_equal(world_set_time(world.t_us, MM_TRUST_SYNCED), MM_OK);
    mm_time_t time = mm_metering_time(&world.metering, mono(world.t_us));
    assert_int_equal(time.utc.us, world.t_us);
    assert_int_equal(time.trust, MM_TRUST_SYNCED);
    run_s(3599);
    assert_int_equal(mm_metering_time(&world.metering, mono(world.t_us)).trust, MM_TRUST_SYNCED);
    run_s(1);
    assert_int_equal(mm_metering_label(&world.metering, mono(world.t_us)).trust, MM_TRUST_HELD);
    run_s(900);
    assert_int_equal(hq_records[world.hq_count - 1].record.interval.end.trust, MM_TRUST_HELD);
    // Centuries at once.
    assert_int_equal(world_set_time(utc(2199, 12, 31, 23, 59, 50) * US, MM_TRUST_SYNCED), MM_OK);
    run_s(20);
    assert_int_equal(world_set_time(utc(2010, 1, 1, 0, 0, 0) * US, MM_TRUST_SYNCED), MM_OK);
    run_s(20);
    assert_consistent();
}

static void test_metering_a_jump_over_many_boundaries(void **state) {
    (void)state;
    open_and_sync();
    int64_t begin_us = world.t_us;
    world.t_us += 3 * 3600 * US;
    mm_us_t now = mono(world.t_us);
    int polls = 1;
    while (mm_metering_poll(&world.metering, now) == now) {
        polls++;
    }
    assert_int_equal(polls, 12); // 10:00 to 12:45 one by one, the last one with what has come since
    hq_collect();
    for (uint32_t no = 2; no <= 12; no++) {
        int64_t end_us = begin_us + (600 + 900 * ((int64_t)no - 1)) * US;
        assert_int_equal(hq_interval(no)->end.seconds, end_us / US);
        assert_int_equal(hq_interval(no)->pulses[1], truth_at(1, end_us) - truth_at(1, end_us - 900 * US));
    }
    assert_consistent();
    assert_life_is_truth();
    expect_assert_failure(mm_metering_poll(&world.metering, now - 1));
}

static void test_metering_watermark_is_kept(void **state) {
    (void)state;
    open_and_sync();
    mm_position_t watermark = {world.hq_after.epoch, 4};
    assert_int_equal(mm_metering_set_watermark(&world.metering, watermark), MM_OK);
    mm_position_t beyond = {world.hq_after.epoch, 400};
    assert_int_equal(mm_metering_set_watermark(&world.metering, beyond), MM_ERR_ARG);
    uint32_t backlog = mm_journal_backlog(&world.journal);
    static const uint64_t values[MM_EVENT_VALUES] = {1, 2, 3, 4};
    assert_int_equal(mm_metering_event(&world.metering, MM_EVENT_ROOT_TAKEN, values, mono(world.t_us)), MM_OK);
    world_reboot(US, true);
    assert_int_equal(mm_journal_backlog(&world.journal), backlog + 2); // the event and the boot
    mm_snapshot_t snapshot = {0};
    mm_metering_snapshot(&world.metering, mono(world.t_us), &snapshot);
    assert_int_equal(snapshot.watermark.seq, 4);
    hq_collect();
    assert_int_equal(hq_event(MM_EVENT_ROOT_TAKEN, 0)->values[2], 3);
}

static void test_metering_lost_registers_do_not_repeat_numbers(void **state) {
    (void)state;
    open_and_sync();
    run_s(3000);
    uint32_t interval_no = world.metering.interval_no;
    memset(world.fram, 0x5A, sizeof world.fram);
    world_reboot(US, true);
    run_s(900);
    assert_int_equal(world.metering.boot_no, 2);
    assert_int_equal(hq_count_events(MM_EVENT_BOOT), 2);
    assert_non_null(hq_interval(interval_no));
    uint32_t next_no = 1;
    for (uint32_t i = 0; i < world.hq_count; i++) {
        if (hq_records[i].type == MM_RECORD_INTERVAL) {
            assert_int_equal(hq_records[i].record.interval.interval_no, next_no++);
        }
    }
}

// The image before the last one, and a journal that is ahead of it.
static void test_metering_falls_back_to_the_image_before(void **state) {
    (void)state;
    // Behind: an interval; a pulse; the closing of a month, at each of its records; the interval after it.
    for (int place = 0; place < 13; place++) {
        world_init(utc(2024, 6, 30, 21, 40, 0), true); // 20 minutes before July
        open_and_sync();
        world_run(utc(2024, 6, 30, 21, place == 0 ? 45 : 59, place * 3) * US, 20 * US);
        int64_t now_us = utc(2024, 6, 30, 22, 0, 0) * US;
        for (int poll = 0; place >= 2 && poll < place - 1; poll++) {
            world.t_us = now_us;
            (void)mm_metering_poll(&world.metering, mono(world.t_us));
        }
        if (place == 12) {
            world_run(now_us + 900 * US, 20 * US);
        }
        hq_collect();
        size_t image_address = world.store.image_slot * (size_t)(MM_STORE_HEADER_BYTES + MM_STORE_IMAGE_BYTES_MAX);
        world.fram[image_address + MM_STORE_HEADER_BYTES + 500] ^= 1;
        world_reboot(US, true);
        run_s(10);
        assert_int_equal(world_set_time(world.t_us, MM_TRUST_SYNCED), MM_OK);
        run_s(1800);
        assert_int_equal(hq_count_events(MM_EVENT_REGISTERS_RECOVERED), 1);
        assert_int_equal(hq_event(MM_EVENT_REGISTERS_RECOVERED, 0)->values[0], 1);
        assert_life_is_truth();
        assert_consistent();
        for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
            uint32_t count;
            assert_non_null(hq_closing(tag(2024, 6), channel, &count));
            assert_int_equal(count, 1);
        }
    }
}

static void test_metering_interval_grows_while_the_journal_refuses(void **state) {
    (void)state;
    open_and_sync(); // 9:50
    run_s(100);
    world.spare_registers = true;
    world.fail_from_call = world.call_count;
    world.fail_to_call = NEVER;
    run_s(2000); // 10:25
    static const uint64_t values[MM_EVENT_VALUES] = {0};
    // The one pending record is the interval of 10:00.
    assert_int_equal(mm_metering_event(&world.metering, MM_EVENT_ROOT_TAKEN, values, mono(world.t_us)), MM_ERR_STORAGE);
    assert_true(world.counters.values[MM_COUNTER_RECORD_REFUSED] >= 3); // 10:00, 10:15, the event
    assert_null(hq_interval(1));
    assert_life_is_truth();
    world.fail_to_call = 0;
    run_s(600);
    assert_int_equal(hq_interval(1)->end.seconds, utc(2024, 6, 10, 10, 0, 0));
    assert_int_equal(hq_interval(2)->end.seconds, utc(2024, 6, 10, 10, 30, 0));
    assert_int_equal(hq_interval(2)->duration_s, 1800);
    assert_consistent();
    assert_life_is_truth();
}

static void test_metering_lost_journal_is_told(void **state) {
    (void)state;
    open_and_sync();
    run_s(3000);
    uint32_t epoch = world.hq_after.epoch;
    uint32_t last_seq = world.hq_after.seq;
    memset(world.journal_flash, 0xFF, sizeof world.journal_flash);
    world_reboot(US, true);
    run_s(1000);
    assert_true(world.hq_after.epoch > epoch);
    const mm_event_record_t *restarted = hq_event(MM_EVENT_JOURNAL_RESTARTED, 0);
    assert_non_null(restarted);
    assert_int_equal(restarted->values[0], epoch);
    assert_int_equal(restarted->values[1], last_seq);
    assert_life_is_truth();
    assert_consistent();
}

static void test_metering_options_are_checked(void **state) {
    (void)state;
    mm_metering_options_t good = world.options;
    strcpy(world.options.tz, "CET-1CEST");
    assert_int_equal(world_open(), MM_ERR_ARG);
    memset(world.options.tz, 'A', sizeof world.options.tz);
    assert_int_equal(world_open(), MM_ERR_ARG);
    world.options = good;
    world.options.meters[3].pulse_constant = 10;
    assert_int_equal(world_open(), MM_ERR_ARG);
    world.options = good;
    world.options.meters[3] = world.options.meters[4]; // twice the same id
    assert_int_equal(world_open(), MM_ERR_ARG);
    world.options = good;
    world.options.meters[3] = (mm_meter_config_t){0};
    world.options.meters[4] = (mm_meter_config_t){0};
    assert_int_equal(world_open(), MM_OK);
    assert_int_equal(hq_count_events(MM_EVENT_BOOT), 0);
}

// Flash answers the first calls of a start and then no more for a while. What it has is not made again, what could not
// be made comes later, without another start.
static void test_metering_journal_silent_at_the_start(void **state) {
    (void)state;
    for (uint32_t good_calls = 0; good_calls < 600; good_calls += 7) {
        world_init(utc(2024, 6, 10, 9, 50, 0), true);
        assert_int_equal(world_open(), MM_OK);
        assert_int_equal(world_set_time(world.t_us, MM_TRUST_SYNCED), MM_OK);
        world_run(world.t_us + 1000 * US, 30 * US); // the last record is an interval's: the image has it as pending
        world.spare_registers = true;
        world.fail_from_call = world.call_count + good_calls;
        world_reboot(2 * US, true);
        world_run(world.t_us + 300 * US, 30 * US);
        world.fail_from_call = NEVER;
        world_run(world.t_us + 30 * US, 5 * US);
        assert_false(world.journal.read_only);
        world_run(world.t_us + 1000 * US, 30 * US);
        assert_int_equal(world.metering.pending_type, MM_RECORD_NONE);
        assert_consistent();
        assert_life_is_truth();
    }
}

// Registers that did not answer at the very first start are kept as soon as they do.
static void test_metering_virgin_registers_silent_at_the_start(void **state) {
    (void)state;
    for (int with_fram = 0; with_fram < 2; with_fram++) {
        world_init(utc(2024, 6, 10, 9, 50, 0), with_fram != 0);
        world.spare_journal = true;
        world.fail_from_call = 0;
        assert_int_equal(world_open(), MM_OK);
        world_run(world.t_us + 1000 * US, 30 * US);
        assert_false(world.metering.store_usable);
        world.fail_from_call = NEVER;
        world_run(world.t_us + 1000 * US, 30 * US);
        assert_true(world.metering.store_usable);
        world_reboot(2 * US, true);
        assert_int_equal(hq_count_events(MM_EVENT_REGISTERS_RECOVERED), 0);
        world_run(world.t_us + 1000 * US, 30 * US);
        assert_consistent();
        assert_life_is_truth();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_metering_virgin_boot_is_told, setup),
        cmocka_unit_test_setup(test_metering_first_counts_of_a_virgin_node_are_real, setup),
        cmocka_unit_test_setup(test_metering_clock_unset_at_boot_then_set, setup),
        cmocka_unit_test_setup(test_metering_a_year_is_truth, setup),
        cmocka_unit_test_setup(test_metering_small_corrections_are_silent, setup),
        cmocka_unit_test_setup(test_metering_steps_forth_and_back, setup),
        cmocka_unit_test_setup(test_metering_steps_between_months_close_each_once, setup),
        cmocka_unit_test_setup(test_metering_month_changes_while_closing, setup),
        cmocka_unit_test_setup(test_metering_months_pass_while_the_node_is_off, setup),
        cmocka_unit_test_setup(test_metering_interval_goes_on_after_a_reboot, setup),
        cmocka_unit_test_setup(test_metering_counter_wraps, setup),
        cmocka_unit_test_setup(test_metering_counters_restart_while_running, setup),
        cmocka_unit_test_setup(test_metering_noise_is_rejected, setup),
        cmocka_unit_test_setup(test_metering_counter_that_runs_backwards_is_rejected, setup),
        cmocka_unit_test_setup(test_metering_source_that_fails_loses_nothing, setup),
        cmocka_unit_test_setup(test_metering_hold_ends_records_but_not_counting, setup),
        cmocka_unit_test_setup(test_metering_month_that_ends_while_held_is_closed_at_the_boot, setup),
        cmocka_unit_test_setup(test_metering_cells_are_of_one_hour, setup),
        cmocka_unit_test_setup(test_metering_configuration_changes_are_told, setup),
        cmocka_unit_test_setup(test_metering_trust_and_limits_of_time, setup),
        cmocka_unit_test_setup(test_metering_a_jump_over_many_boundaries, setup),
        cmocka_unit_test_setup(test_metering_watermark_is_kept, setup),
        cmocka_unit_test_setup(test_metering_lost_registers_do_not_repeat_numbers, setup),
        cmocka_unit_test_setup(test_metering_falls_back_to_the_image_before, setup),
        cmocka_unit_test_setup(test_metering_interval_grows_while_the_journal_refuses, setup),
        cmocka_unit_test_setup(test_metering_lost_journal_is_told, setup),
        cmocka_unit_test_setup(test_metering_options_are_checked, setup),
        cmocka_unit_test(test_metering_journal_silent_at_the_start),
        cmocka_unit_test(test_metering_virgin_registers_silent_at_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
