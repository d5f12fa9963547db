// SPDX-License-Identifier: Apache-2.0
// Power cuts and refusals at every place of a scenario with a pulse, an interval, a month with eight closings, events,
// steps of the clock, a boot and a hold. What is checked afterwards does not depend on where it was cut.
#include <stdio.h>

#include "metering_world.h"

#define MIDNIGHT_US (INT64_C(1735686000) * US) // 2024-12-31T23:00:00Z, New Year in Berlin
#define STEP_US (30 * US)
#define DOWN_US (2 * US)
#define SYNC_US (3 * US)

typedef enum {
    ACTION_EVENT,
    ACTION_CLOCK_AHEAD,
    ACTION_CLOCK_RIGHT,
    ACTION_HOLD,
    ACTION_REBOOT
} action_t;

// Seconds after MIDNIGHT_US.
static const struct {
    int32_t at_s;
    action_t action;
} script[] = {
    {-600, ACTION_EVENT}, {-400, ACTION_CLOCK_AHEAD}, {-100, ACTION_CLOCK_RIGHT},
    {300, ACTION_REBOOT}, {310, ACTION_CLOCK_RIGHT},  {500, ACTION_HOLD},
};
#define SCRIPT_ACTIONS (sizeof script / sizeof script[0])

// One run.
static struct {
    size_t next_action;
    bool counters_live_on;
    uint32_t cuts;
    int64_t last_whole_us;                ///< the last poll that the power did not interrupt
    bool midnight_missed;                 ///< the node did not know the time around it
    uint64_t missed_pulses[MM_CHANNELS];  ///< while the power was off
    uint64_t exposed_pulses[MM_CHANNELS]; ///< of reads in progress at a cut: may be lost
    uint32_t events_interrupted;
    int64_t unsaved_us;   ///< as old as counts may get before they are stored, besides those of the read in progress
    uint32_t rearm_steps; ///< cut again, that many steps after the recovery began; 0 = do not
} run;

static world_t base;
static const char *case_name = "";
static uint64_t case_number;

// cmocka says which check failed; this says where it was cut.
static int teardown(void **state) {
    (void)state;
    if (case_number != UINT64_MAX) {
        printf("failed in case: %s %llu\n", case_name, (unsigned long long)case_number);
    }
    return 0;
}

static void name_case(const char *name, uint64_t number) {
    case_name = name;
    case_number = number;
}

static void note_cut(void) {
    run.cuts++;
    int64_t stored_us = run.last_whole_us;
    if (run.unsaved_us != 0 && world.t_us - run.unsaved_us < stored_us) {
        stored_us = world.t_us - run.unsaved_us;
    }
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        run.exposed_pulses[channel] += truth_at(channel, world.t_us) - truth_at(channel, stored_us);
        run.missed_pulses[channel] += truth_at(channel, world.t_us + DOWN_US) - truth_at(channel, world.t_us);
    }
}

static void live_until(int64_t until_us) {
    while (!is_dead() && world.t_us < until_us) {
        int64_t next_us = world.t_us + STEP_US - world.t_us % STEP_US;
        world_run(next_us < until_us ? next_us : until_us, STEP_US);
        if (!is_dead()) {
            run.last_whole_us = world.t_us;
        }
    }
}

// Power is back, and the time comes a little later.
static void recover(void) {
    bool before_midnight = run.last_whole_us < MIDNIGHT_US;
    while (is_dead()) {
        note_cut();
        world_reboot(DOWN_US, run.counters_live_on);
        if (run.rearm_steps != 0) {
            mm_sim_power_cut_after(&world.power, run.rearm_steps);
            run.rearm_steps = 0;
        }
        run.last_whole_us = world.t_us; // nothing new has been counted up to here
        hq_collect();
        live_until(world.t_us + SYNC_US);
        if (!is_dead()) {
            (void)world_set_time(world.t_us, MM_TRUST_SYNCED);
        }
    }
    run.midnight_missed = run.midnight_missed || (before_midnight && world.t_us >= MIDNIGHT_US);
}

static void act(action_t action) {
    static const uint64_t values[MM_EVENT_VALUES] = {1, 2, 3, 4};
    switch (action) {
    case ACTION_EVENT:
        if (mm_metering_event(&world.metering, MM_EVENT_ROOT_TAKEN, values, mono(world.t_us)) != MM_OK || is_dead()) {
            run.events_interrupted++;
        }
        break;
    case ACTION_CLOCK_AHEAD:
        (void)world_set_time(world.t_us + 33 * US, MM_TRUST_SYNCED);
        break;
    case ACTION_CLOCK_RIGHT:
        (void)world_set_time(world.t_us, MM_TRUST_SYNCED);
        break;
    case ACTION_HOLD:
        mm_metering_hold(&world.metering);
        break;
    case ACTION_REBOOT:
        world_reboot(0, true);
        break;
    }
}

static void play(int64_t until_us) {
    while (world.t_us < until_us) {
        int64_t target_us = until_us;
        if (run.next_action < SCRIPT_ACTIONS && MIDNIGHT_US + script[run.next_action].at_s * US < until_us) {
            target_us = MIDNIGHT_US + script[run.next_action].at_s * US;
        }
        live_until(target_us);
        if (!is_dead() && world.t_us >= target_us && target_us < until_us) {
            act(script[run.next_action].action);
            run.next_action++;
        }
        if (is_dead()) {
            recover();
        }
    }
    mm_sim_power_disarm(&world.power);
}

static void begin_run(int64_t from_us, bool counters_live_on) {
    memset(&run, 0, sizeof run);
    run.counters_live_on = counters_live_on;
    run.last_whole_us = from_us;
    while (run.next_action < SCRIPT_ACTIONS && MIDNIGHT_US + script[run.next_action].at_s * US < from_us) {
        run.next_action++;
    }
}

// A node that has run and been synchronised, and stands at from_us.
static void make_base(int64_t from_us, bool with_fram) {
    world_init((MIDNIGHT_US - 1200 * US) / US, with_fram);
    assert_int_equal(world_open(), MM_OK);
    assert_int_equal(world_set_time(world.t_us, MM_TRUST_SYNCED), MM_OK);
    begin_run(world.t_us, true);
    play(from_us);
    operation_count = 0;
    base = world;
}

static void assert_life_within_loss(void) {
    int64_t read_us = world.metering.last_read_at - 7 * US + world.boot_us;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        uint64_t life = world.metering.registers.channels[channel].life_pulses;
        uint64_t truth = truth_at(channel, read_us);
        if (run.counters_live_on) {
            assert_int_equal(life, truth);
        } else {
            assert_true(life + run.missed_pulses[channel] <= truth);
            assert_true(life + run.missed_pulses[channel] + run.exposed_pulses[channel] >= truth);
        }
    }
}

// What HQ has read is what the journal says, still.
static void assert_journal_unchanged(void) {
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry;
    mm_position_t after = {0, 0};
    uint32_t index = 0;
    while (mm_journal_read_after(&world.journal, after, &hint, &entry) == MM_OK) {
        after = entry.position;
        while (index < world.hq_count && mm_position_compare(hq_records[index].position, after) < 0) {
            index++;
        }
        assert_true(index < world.hq_count);
        assert_int_equal(mm_position_compare(hq_records[index].position, after), 0);
        assert_int_equal(hq_records[index].type, entry.type);
        assert_int_equal(hq_records[index].payload_bytes, entry.payload_bytes);
        assert_memory_equal(hq_records[index].payload, entry.payload, entry.payload_bytes);
    }
}

static void assert_closings(void) {
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        uint32_t count;
        const mm_month_closing_record_t *closing = hq_closing(2024 * 12 + 11, channel, &count);
        assert_int_equal(count, 1);
        uint64_t hours = 0;
        for (uint8_t hour = 0; hour < MM_HOURS_OF_DAY; hour++) {
            hours += closing->hours_pulses[hour];
        }
        assert_int_equal(hours, closing->month_pulses);
        uint64_t truth = truth_at(channel, MIDNIGHT_US);
        if (run.counters_live_on && !run.midnight_missed) {
            assert_int_equal(closing->month_pulses, truth);
        } else {
            assert_true(closing->month_pulses <= truth);
            assert_true(closing->month_pulses + 20 >= truth); // of a minute
        }
    }
}

static void assert_events_once(void) {
    assert_true(hq_count_events(MM_EVENT_ROOT_TAKEN) <= 1);
    assert_true(run.next_action == 0 || hq_count_events(MM_EVENT_ROOT_TAKEN) + run.events_interrupted >= 1);
    assert_true(hq_count_events(MM_EVENT_HOLD) <= 1);
    assert_int_equal(hq_count_events(MM_EVENT_CONFIGURATION), 8);
    assert_int_equal(hq_count_events(MM_EVENT_COUNTER_RESTARTED), 0);
    uint32_t boots = hq_count_events(MM_EVENT_BOOT);
    for (uint32_t index = 1; index < boots; index++) {
        assert_true(hq_event(MM_EVENT_BOOT, index)->boot_no > hq_event(MM_EVENT_BOOT, index - 1)->boot_no);
    }
}

// And the same once more after a boot, so that what is stored is as good as what was in RAM.
static void assert_run_is_sound(void) {
    for (int boot = 0; boot < 2; boot++) {
        hq_collect();
        assert_consistent();
        assert_life_within_loss();
        assert_journal_unchanged();
        assert_events_once();
        assert_int_equal(world.metering.pending_type, MM_RECORD_NONE);
        if (world.t_us > MIDNIGHT_US + 60 * US) {
            assert_closings();
        }
        world_reboot(0, true);
    }
}

static void run_with_cut(uint64_t steps, bool counters_live_on, int64_t until_us) {
    world = base;
    mm_sim_power_cut_after(&world.power, steps);
    begin_run(world.t_us, counters_live_on);
    play(until_us);
    assert_run_is_sound();
}

// Steps of the supply from base to until_us without a cut; operation_begins is filled on the way.
static uint64_t count_steps(int64_t until_us) {
    world = base;
    operation_count = 0;
    begin_run(world.t_us, true);
    play(until_us);
    uint64_t steps = world.power.steps_drawn - base.power.steps_drawn;
    assert_run_is_sound();
    assert_int_equal(run.cuts, 0);
    return steps;
}

static void cut_every_operation(int64_t from_us, int64_t until_us, bool with_fram, bool counters_live_on) {
    make_base(from_us, with_fram);
    uint64_t steps = count_steps(until_us);
    uint32_t operations = 0;
    while (operations < operation_count && operation_begins[operations] - base.power.steps_drawn < steps) {
        operations++;
    }
    uint64_t *begins = malloc((operations + 1) * sizeof *begins);
    assert_non_null(begins);
    for (uint32_t i = 0; i < operations; i++) {
        begins[i] = operation_begins[i] - base.power.steps_drawn;
    }
    begins[operations] = steps;
    for (uint32_t i = 0; i < operations; i += MM_CASES_EVERY) {
        uint64_t size = begins[i + 1] - begins[i];
        const uint64_t places[] = {0, 1, size / 2, size - 1};
        for (size_t place = 0; place < 4 && (place == 0 || places[place] > places[place - 1]); place++) {
            name_case("operation", i * 10 + place);
            operation_count = 0;
            run_with_cut(begins[i] + places[place], counters_live_on, until_us);
            assert_int_equal(run.cuts, 1);
        }
    }
    free(begins);
    name_case("", UINT64_MAX);
}

#define SCENARIO_FROM (MIDNIGHT_US - 905 * US)
#define SCENARIO_UNTIL (MIDNIGHT_US + 910 * US)

static void test_metering_cut_at_every_operation_counters_live_on(void **state) {
    (void)state;
    cut_every_operation(SCENARIO_FROM, SCENARIO_UNTIL, true, true);
}

static void test_metering_cut_at_every_operation_counters_restart(void **state) {
    (void)state;
    cut_every_operation(SCENARIO_FROM, SCENARIO_UNTIL, true, false);
}

static void cut_every_step(int64_t from_us, int64_t until_us, uint64_t stride) {
    make_base(from_us, true);
    uint64_t steps = count_steps(until_us);
    assert_true(steps > 0);
    for (uint64_t step = 0; step < steps; step += stride * MM_CASES_EVERY) {
        name_case("step", step);
        operation_count = 0;
        run_with_cut(step, true, until_us);
        assert_int_equal(run.cuts, 1);
    }
    name_case("", UINT64_MAX);
}

static void test_metering_cut_at_every_byte_of_an_interval(void **state) {
    (void)state;
    cut_every_step(MIDNIGHT_US - 902 * US, MIDNIGHT_US - 898 * US, 1);
}

static void test_metering_cut_in_the_bytes_of_a_month(void **state) {
    (void)state;
    cut_every_step(MIDNIGHT_US - 2 * US, MIDNIGHT_US + 62 * US, 23);
}

static void test_metering_cut_at_every_operation_of_a_virgin_node(void **state) {
    (void)state;
    for (uint64_t step = 0; step < 20000; step += 61 * MM_CASES_EVERY) {
        name_case("virgin step", step);
        world_init((MIDNIGHT_US - 1200 * US) / US, true);
        begin_run(world.t_us, true);
        run.next_action = 1;
        run.events_interrupted = 1; // there is none
        mm_sim_power_cut_after(&world.power, step);
        (void)world_open();
        live_until(world.t_us + 100 * US);
        if (!is_dead()) {
            (void)world_set_time(world.t_us, MM_TRUST_SYNCED);
        }
        live_until(world.t_us + 100 * US);
        if (is_dead()) {
            recover();
        }
        play(MIDNIGHT_US - 800 * US);
        assert_run_is_sound();
    }
    name_case("", UINT64_MAX);
}

static void test_metering_cuts_during_recovery(void **state) {
    (void)state;
    make_base(SCENARIO_FROM, true);
    uint64_t steps = count_steps(SCENARIO_UNTIL);
    mm_random_t random = mm_random(11);
    for (uint32_t i = 0; i < 500; i++) {
        name_case("double cut", i);
        world = base;
        operation_count = 0;
        mm_sim_power_cut_after(&world.power, mm_random_u32(&random) % steps);
        begin_run(world.t_us, i % 3 != 0);
        run.rearm_steps = 1 + mm_random_u32(&random) % 6000;
        play(SCENARIO_UNTIL);
        assert_run_is_sound();
        assert_in_range(run.cuts, 1, 2);
    }
    name_case("", UINT64_MAX);
}

// Without FRAM: exact if the counters live on; otherwise at most what came in save_period_s is lost.
static void test_metering_cut_without_fram_loses_at_most_the_save_period(void **state) {
    (void)state;
    make_base(SCENARIO_FROM, false);
    uint64_t steps = count_steps(SCENARIO_UNTIL);
    mm_random_t random = mm_random(12);
    for (uint32_t i = 0; i < 250; i++) {
        name_case("without FRAM", i);
        world = base;
        operation_count = 0;
        mm_sim_power_cut_after(&world.power, mm_random_u32(&random) % steps);
        begin_run(world.t_us, i % 2 == 0);
        run.unsaved_us = world.options.save_period_s * US;
        play(SCENARIO_UNTIL);
        assert_int_equal(run.cuts, 1);
        hq_collect();
        assert_consistent();
        assert_life_within_loss();
        assert_journal_unchanged();
    }
    name_case("", UINT64_MAX);
}

// Storage that refuses calls does no harm to registers; once it works again, or after a boot, everything is there once.
static void run_with_failures(uint32_t first_call, uint32_t calls, bool spare_journal, bool spare_registers) {
    world = base;
    operation_count = 0;
    world.fail_from_call = world.call_count + first_call;
    world.fail_to_call = calls == NEVER ? NEVER : world.fail_from_call + calls;
    world.spare_journal = spare_journal;
    world.spare_registers = spare_registers;
    begin_run(world.t_us, true);
    run.next_action = 0;
    run.events_interrupted = 1;   // may be refused
    play(MIDNIGHT_US + 250 * US); // before the boot of the script: registers go on in RAM
    assert_life_within_loss();
    world.fail_to_call = 0;
    world_reboot(DOWN_US, true);
    run.last_whole_us = world.t_us;
    live_until(world.t_us + SYNC_US);
    (void)world_set_time(world.t_us, MM_TRUST_SYNCED);
    live_until(MIDNIGHT_US + 920 * US);
    hq_collect();
    assert_life_within_loss();
}

static void test_metering_single_refusals_do_no_harm(void **state) {
    (void)state;
    make_base(SCENARIO_FROM, true);
    (void)count_steps(MIDNIGHT_US + 250 * US);
    uint32_t calls = world.call_count - base.call_count;
    for (uint32_t call = 0; call < calls; call += 2) {
        name_case("refused call", call);
        run_with_failures(call, 1, false, false);
        assert_consistent();
    }
    name_case("", UINT64_MAX);
}

static void test_metering_lasting_refusals_lose_no_pulse(void **state) {
    (void)state;
    make_base(SCENARIO_FROM, true);
    (void)count_steps(MIDNIGHT_US + 250 * US);
    uint32_t calls = world.call_count - base.call_count;
    for (uint32_t call = 0; call < calls; call += 7) {
        for (uint32_t kind = 0; kind < 3; kind++) {
            name_case("lasting refusal", call * 10 + kind);
            run_with_failures(call, call % 2 == 0 ? NEVER : 40, kind == 1, kind == 2);
            assert_consistent();
        }
    }
    name_case("", UINT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_metering_cut_at_every_operation_counters_live_on, teardown),
        cmocka_unit_test_teardown(test_metering_cut_at_every_operation_counters_restart, teardown),
        cmocka_unit_test_teardown(test_metering_cut_at_every_byte_of_an_interval, teardown),
        cmocka_unit_test_teardown(test_metering_cut_in_the_bytes_of_a_month, teardown),
        cmocka_unit_test_teardown(test_metering_cut_at_every_operation_of_a_virgin_node, teardown),
        cmocka_unit_test_teardown(test_metering_cuts_during_recovery, teardown),
        cmocka_unit_test_teardown(test_metering_cut_without_fram_loses_at_most_the_save_period, teardown),
        cmocka_unit_test_teardown(test_metering_single_refusals_do_no_harm, teardown),
        cmocka_unit_test_teardown(test_metering_lasting_refusals_lose_no_pulse, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
