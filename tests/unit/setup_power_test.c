// SPDX-License-Identifier: Apache-2.0
// The power fails at every operation of an installation being stored, carried out and confirmed, and once more in the
// recovery. The node has the configuration before or the new one; if the new one, meters are as configured, exactly one
// INSTALLATION record is made, nothing is counted twice, and other meters have every pulse. At no moment has a meter
// supply that HQ has never confirmed, and none that it has confirmed, and that stays, is cut.
#include <stdio.h>

#include "setup_fixture.h"

typedef struct {
    const char *name;
    void (*prepare)(void);
    void (*act)(void);
    void (*check)(bool complete);
    const char *confirmed[MM_CHANNELS]; ///< ids of meters that may have supply
    uint8_t kept_channels;              ///< bit per channel that must not be cut
} story_t;

static world_t base_world;
static desk_t base_desk;
static bench_t base_bench;
static const char *case_story = "";
static uint64_t case_step = UINT64_MAX;
static uint64_t case_second;
static const story_t *case_of;
static mm_installation_t wanted;
static sealed_t sealed;
static char reset_code[CODE_BYTES];
static uint64_t base_life_pulses;
static int64_t base_read_us;

static int teardown(void **state) {
    (void)state;
    if (case_step != UINT64_MAX) {
        printf("failed in: %s, cut at step %llu, again at %llu\n", case_story, (unsigned long long)case_step,
               (unsigned long long)case_second);
    }
    return 0;
}

static void act_install(void) {
    mm_field_problem_t problems[MM_FIELD_PROBLEMS_MAX];
    mm_err_t err;
    (void)mm_setup_install(&bench.setup, &wanted, problems, MM_FIELD_PROBLEMS_MAX, &err, desk_now());
    if (!is_dead()) {
        (void)setup_poll();
    }
}

static void assert_meters(const mm_installation_t *installation) {
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        const mm_channel_setup_t *setup = &installation->channels[channel];
        assert_string_equal(world.metering.options.meters[channel].id, setup->meter.id);
        assert_int_equal(world.metering.options.meters[channel].pulse_constant, setup->meter.pulse_constant);
        assert_int_equal(world.metering.options.meters[channel].start_wh, setup->meter.start_wh);
        assert_int_equal(desk.control.credits[channel].prepaid, setup->prepaid);
        assert_int_equal(desk.control.credits[channel].limits.warning_wh, setup->limits.warning_wh);
    }
}

// How often prepayment of a channel began.
static unsigned count_prepaid(uint8_t channel) {
    unsigned count = 0;
    hq_collect();
    for (uint32_t i = 0; i < world.hq_count; i++) {
        count += hq_records[i].type == MM_RECORD_CREDIT && hq_records[i].record.credit.channel == channel &&
                         hq_records[i].record.credit.movement == MM_MOVEMENT_PREPAID
                     ? 1
                     : 0;
    }
    return count;
}

static void prepare_first(void) {
    give_network(1);
    enter();
    wanted = site_installation();
    wanted.channels[2] = (mm_channel_setup_t){{"M2", 1000, 0}, true, {7000, 0, 0, 0}};
}

static void check_first(bool complete) {
    bool stored = bench.setup.configuration.has_installation;
    assert_int_equal(phase_now(), stored ? MM_LIFE_AWAITING : MM_LIFE_PROVISIONED);
    assert_true(count_installations(1, NULL) <= 1);
    if (!stored) {
        assert_int_equal(count_installations(1, NULL), 0);
        return;
    }
    if (complete) {
        assert_false(mm_setup_is_applying(&bench.setup));
        assert_meters(&wanted);
        assert_int_equal(count_installations(1, NULL), 1);
        assert_int_equal(count_prepaid(0), 1);
        assert_int_equal(count_prepaid(2), 1);
        assert_books_balance(0);
        assert_books_balance(2);
        assert_false(desk.relay_closed[5]);
        assert_int_equal(desk.control.credits[5].relay_reasons, MM_RELAY_NOT_COMMISSIONED);
    }
}

// A running node: a meter more, another one becomes prepaid, an id that has counted nothing moves to another channel.
static void prepare_second(void) {
    give_network(1);
    enter();
    mm_installation_t first = site_installation();
    first.channels[0] = (mm_channel_setup_t){{"", 0, 0}, false, {0, 0, 0, 0}};
    assert_int_equal(install(&first), MM_OK);
    (void)setup_poll();
    (void)confirm_revision(1);
    setup_run_s(40);
    enter();
    first.channels[7] = (mm_channel_setup_t){{"M7", 1000, 3}, false, {0, 0, 0, 0}};
    assert_int_equal(install(&first), MM_OK);
    (void)setup_poll();
    (void)confirm_revision(2);
    (void)setup_poll();
    assert_int_equal(world.metering.registers.channels[7].life_pulses, 0);
    enter();
    wanted = first;
    wanted.channels[7] = (mm_channel_setup_t){{"M8", 500, 9}, true, {9, 0, 0, 0}};
    wanted.channels[1] = (mm_channel_setup_t){{"M7", 1000, 3}, false, {0, 0, 0, 0}};
    wanted.channels[5].prepaid = true;
    wanted.channels[5].limits.warning_wh = 1500;
    base_life_pulses = world.metering.registers.channels[5].life_pulses;
    base_read_us = world.metering.last_read_at - 7 * US + world.boot_us;
    assert_true(base_life_pulses > 0);
}

static void check_second(bool complete) {
    const mm_installation_t *stored = &bench.setup.configuration.installation;
    assert_true(stored->revision == 2 || stored->revision == 3);
    assert_int_equal(phase_now(), stored->revision == 2 ? MM_LIFE_RUNNING : MM_LIFE_AWAITING);
    assert_int_equal(count_installations(2, NULL), 1);
    uint32_t told = count_installations(3, NULL);
    assert_true(told <= (stored->revision == 3 ? 1u : 0u));
    // Every pulse of the meter that goes on, once.
    int64_t read_us = world.metering.last_read_at - 7 * US + world.boot_us;
    assert_int_equal(world.metering.registers.channels[5].life_pulses - base_life_pulses,
                     truth_at(5, read_us) - truth_at(5, base_read_us));
    if (complete && stored->revision == 3) {
        assert_false(mm_setup_is_applying(&bench.setup));
        assert_meters(&wanted);
        assert_int_equal(told, 1);
        assert_int_equal(count_prepaid(5), 1);
        assert_int_equal(count_prepaid(7), 1);
        assert_books_balance(5);
        assert_true((desk.control.credits[5].relay_reasons & MM_RELAY_NOT_COMMISSIONED) != 0);
        assert_false(desk.relay_closed[5] || desk.relay_closed[1] || desk.relay_closed[7]);
    }
    if (stored->revision == 2) {
        assert_true(desk.relay_closed[5] || !complete);
    }
}

// A running node: another address, and a meter more.
static void prepare_address(void) {
    setup_commission();
    setup_run_s(20);
    enter();
    wanted = site_installation();
    strcpy(wanted.address, "Street 2");
    wanted.channels[1] = (mm_channel_setup_t){{"M1", 1000, 0}, false, {0, 0, 0, 0}};
}

static void check_address(bool complete) {
    bool stored = bench.setup.configuration.installation.revision == 2;
    assert_int_equal(phase_now(), stored ? MM_LIFE_AWAITING : MM_LIFE_RUNNING);
    assert_true(desk.relay_closed[5]);
    assert_int_equal(desk.control.credits[5].relay_reasons, 0);
    if (complete && stored) {
        assert_meters(&wanted);
        assert_int_equal(count_installations(2, NULL), 1);
        assert_int_equal(desk.control.credits[1].relay_reasons, MM_RELAY_NOT_COMMISSIONED);
        assert_false(desk.relay_closed[1]);
    }
}

static void prepare_confirm(void) {
    setup_install_first();
    setup_run_s(20);
    mm_command_body_t body = {.confirm = {.revision = 1}};
    sealed = seal(MM_COMMAND_CONFIRM, MM_COMMAND_WHOLE_NODE, &body);
}

static void act_command(void) {
    (void)take(&sealed);
    if (!is_dead()) {
        (void)setup_poll();
    }
}

static void check_confirm(bool complete) {
    bool running = phase_now() == MM_LIFE_RUNNING;
    assert_true(running || phase_now() == MM_LIFE_AWAITING);
    uint32_t answers = count_answers(sealed.id, NULL);
    assert_true(answers <= 1 && (running || answers == 0));
    assert_int_equal(count_installations(1, NULL), 1);
    if (!running) {
        assert_false(desk.relay_closed[5]);
    }
    if (complete) {
        (void)take(&sealed); // the root brings it until it is answered
        (void)setup_poll();
        assert_int_equal(phase_now(), MM_LIFE_RUNNING);
        assert_true(desk.relay_closed[5]);
        assert_int_equal(count_answers(sealed.id, NULL), 1);
    }
}

static void prepare_reinstall(void) {
    setup_commission();
    setup_run_s(20);
    sealed = seal(MM_COMMAND_REINSTALL, MM_COMMAND_WHOLE_NODE, NULL);
}

static void check_reinstall(bool complete) {
    hq_collect();
    assert_true(count_answers(sealed.id, NULL) <= 1);
    assert_true(count_installations(1, NULL) <= 2);
    if (complete) {
        (void)take(&sealed);
        (void)setup_poll();
        assert_int_equal(count_answers(sealed.id, NULL), 1);
        assert_int_equal(count_installations(1, NULL), 2);
        assert_int_equal(phase_now(), MM_LIFE_AWAITING);
        assert_true(desk.relay_closed[5]);
    }
}

static void prepare_reset(void) {
    setup_commission();
    setup_run_s(20);
    make_code(reset_code);
}

static void act_reset(void) {
    uint32_t wait_s;
    (void)mm_setup_reset(&bench.setup, reset_code, desk_now(), &wait_s);
    if (!is_dead()) {
        (void)setup_poll();
    }
}

// With everything that follows up to the same installation: what was reset waits for HQ.
static void check_reset(bool complete) {
    assert_int_equal(bench.setup.configuration.has_network, phase_now() != MM_LIFE_PARKED);
    if (phase_now() == MM_LIFE_RUNNING) {
        assert_true(desk.relay_closed[5]);
        return;
    }
    assert_false(desk.relay_closed[5]);
    if (complete && phase_now() == MM_LIFE_PARKED && !bench.setup.was_reset) {
        give_network(2);
        enter();
        wanted = site_installation();
        assert_int_equal(install(&wanted), MM_OK);
        (void)setup_poll();
        assert_int_equal(phase_now(), MM_LIFE_AWAITING);
        assert_int_equal(desk.control.credits[5].relay_reasons, MM_RELAY_NOT_COMMISSIONED);
        assert_false(desk.relay_closed[5]);
    }
}

static const story_t stories[] = {
    {"first installation", prepare_first, act_install, check_first, {NULL}, 0},
    {"second installation", prepare_second, act_install, check_second, {[5] = "M5", [7] = "M7"}, 0},
    {"address", prepare_address, act_install, check_address, {[0] = "M0", [5] = "M5"}, 1 << 5},
    {"confirmation", prepare_confirm, act_command, check_confirm, {[0] = "M0", [5] = "M5"}, 0},
    {"installation again", prepare_reinstall, act_command, check_reinstall, {[0] = "M0", [5] = "M5"}, 1 << 5},
    {"reset", prepare_reset, act_reset, check_reset, {[0] = "M0", [5] = "M5"}, 0},
};
#define STORIES (sizeof stories / sizeof stories[0])

// No relay closes before its event is stored.
static void note_move(uint8_t channel, bool closed) {
    assert_true(!closed || desk.control.credits[channel].relay_reasons == 0);
    const char *confirmed = case_of->confirmed[channel];
    if (closed) {
        assert_non_null(confirmed);
        assert_string_equal(world.metering.options.meters[channel].id, confirmed);
    } else {
        assert_int_equal(case_of->kept_channels >> channel & 1, 0);
    }
}

static void restart(uint64_t second_step) {
    bool again = second_step != UINT64_MAX;
    while (is_dead()) {
        mm_sim_power_up(&world.power);
        if (again) {
            mm_sim_power_cut_after(&world.power, second_step);
            again = false;
        }
        setup_reboot();
        if (!is_dead()) {
            control_sync();
            (void)setup_poll();
        }
    }
    mm_sim_power_disarm(&world.power);
}

static void run_case(const story_t *story, uint64_t step, uint64_t second_step) {
    case_story = story->name;
    case_of = story;
    case_step = step;
    case_second = second_step;
    world = base_world;
    desk = base_desk;
    bench = base_bench;
    operation_count = 0;
    on_relay = note_move;
    mm_sim_power_cut_after(&world.power, step);
    story->act();
    assert_true(is_dead());
    restart(second_step);
    story->check(false);
    setup_run_s(3);
    story->check(true);
    setup_reboot();
    control_sync();
    (void)setup_poll();
    story->check(true);
    on_relay = NULL;
    case_step = UINT64_MAX;
}

static uint64_t cut_everywhere(const story_t *story, bool with_fram) {
    setup_begin(with_fram);
    story->prepare();
    base_world = world;
    base_desk = desk;
    base_bench = bench;
    operation_count = 0;
    story->act();
    assert_false(is_dead());
    story->check(true);
    // Up to the end of the act; what check has done for it is left out.
    world = base_world;
    desk = base_desk;
    bench = base_bench;
    operation_count = 0;
    story->act();
    uint64_t steps = world.power.steps_drawn - base_world.power.steps_drawn;
    uint32_t operations = operation_count;
    assert_true(operations > 2);
    uint64_t *begins = malloc((operations + 1) * sizeof *begins);
    assert_non_null(begins);
    for (uint32_t i = 0; i < operations; i++) {
        begins[i] = operation_begins[i] - base_world.power.steps_drawn;
    }
    begins[operations] = steps;
    uint64_t cases = 0;
    for (uint32_t i = 0; i < operations; i += MM_CASES_EVERY) {
        uint64_t size = begins[i + 1] - begins[i];
        if (size == 0) {
            continue;
        }
        const uint64_t places[] = {0, size / 2, size - 1};
        for (size_t place = 0; place < 3; place++) {
            run_case(story, begins[i] + places[place], UINT64_MAX);
            run_case(story, begins[i] + places[place], (begins[i] * 7 + place * 131) % 5000);
            cases += 2;
        }
    }
    free(begins);
    return cases;
}

static void test_setup_power(bool with_fram) {
    for (size_t story = 0; story < STORIES; story++) {
        uint64_t cases = cut_everywhere(&stories[story], with_fram);
        printf("setup_power: story=%s fram=%d cases=%llu\n", stories[story].name, with_fram, (unsigned long long)cases);
    }
}

static void test_setup_power_with_fram(void **state) {
    (void)state;
    test_setup_power(true);
}

static void test_setup_power_without_fram(void **state) {
    (void)state;
    test_setup_power(false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_setup_power_with_fram, teardown),
        cmocka_unit_test_teardown(test_setup_power_without_fram, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
