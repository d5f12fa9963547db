// SPDX-License-Identifier: Apache-2.0
// Setup as a part of the node: from parked to running through asks, the installation's meters above the options, and a
// node without it.
#include "setup_fixture.h"

#include "node_setup_fixture.h"

static int setup(void **state) {
    (void)state;
    node_begin();
    return 0;
}

static void test_node_setup_from_parked_to_running(void **state) {
    (void)state;
    assert_int_equal(start(), MM_OK);
    assert_true(node.has_setup);
    run_s(3);
    assert_int_equal(node.setup.configuration.phase.state, MM_LIFE_PARKED);
    install_on_node(1);
    run_s(2);
    assert_string_equal(node.metering.options.meters[5].id, "M5");
    assert_false(desk.relay_closed[5]);
    confirm_by_ask(1);
    run_s(2);
    assert_int_equal(node.setup.configuration.phase.state, MM_LIFE_RUNNING);
    assert_true(desk.relay_closed[5]);
    // The registers are lost as a whole: the installation still says which meters there are.
    memset(world.fram, 0xFF, sizeof world.fram);
    assert_int_equal(start(), MM_OK);
    assert_string_equal(node.metering.options.meters[0].id, "M0");
    assert_string_equal(node.metering.options.meters[5].id, "M5");
    run_s(3);
    assert_true(node.control.credits[0].prepaid);
    assert_int_equal(node.setup.configuration.phase.state, MM_LIFE_RUNNING);
    assert_int_equal(node.control.installation_told, 1);
}

// The power failed between the configuration and its meters' changes: they came from the configuration at the start.
// One more start, at which it cannot be read, does not take them away: they count.
static void test_node_setup_meters_without_memory(void **state) {
    (void)state;
    assert_int_equal(start(), MM_OK);
    run_s(3);
    install_on_node(1);
    assert_int_equal(start(), MM_OK);
    assert_string_equal(node.metering.options.meters[0].id, "M0");
    run_s(3);
    mm_sim_flash_fail(&bench.device, MM_SIM_FAIL_READ, 0, UINT64_MAX);
    assert_int_equal(start(), MM_OK);
    assert_int_equal(node.setup.configuration.phase.state, MM_LIFE_FAULT);
    assert_string_equal(node.metering.options.meters[0].id, "M0");
    assert_int_equal(node.metering.options.meters[0].pulse_constant, 1000);
    run_s(3);
    mm_sim_flash_fail(&bench.device, 0, 0, 0);
    assert_int_equal(start(), MM_OK);
    assert_string_equal(node.metering.options.meters[5].id, "M5");
    assert_int_equal(node.setup.configuration.phase.state, MM_LIFE_AWAITING);
}

static void test_node_setup_needs_its_parts(void **state) {
    (void)state;
    options.config_sector_count = CONFIG_SECTORS + 1;
    assert_int_equal(start(), MM_ERR_ARG);
    options.config_sector_count = 1;
    assert_int_equal(start(), MM_ERR_ARG);
    options.config_sector_count = CONFIG_SECTORS;
    options.control.new_era = 0;
    assert_int_equal(start(), MM_ERR_ARG);
}

// Without the configuration's memory a node is as its options say, and a reason that it once had goes.
static void test_node_setup_is_left_out(void **state) {
    (void)state;
    assert_int_equal(start(), MM_OK);
    run_s(2);
    install_on_node(1);
    run_s(3);
    assert_int_equal(node.control.credits[5].relay_reasons, MM_RELAY_NOT_COMMISSIONED);
    ports.config_flash = NULL;
    assert_int_equal(start(), MM_OK);
    assert_false(node.has_setup);
    run_s(2);
    assert_int_equal(node.control.credits[5].relay_reasons, 0);
    assert_true(desk.relay_closed[5]);
}

// An owner that opens the setup itself: what was journalled last stays until it has spoken.
static void test_node_setup_of_an_owner(void **state) {
    (void)state;
    assert_int_equal(start(), MM_OK);
    run_s(2);
    install_on_node(1);
    run_s(3);
    assert_int_equal(node.control.credits[5].relay_reasons, MM_RELAY_NOT_COMMISSIONED);
    ports.config_flash = NULL;
    options.setup_elsewhere = true;
    assert_int_equal(start(), MM_OK);
    run_s(2);
    assert_int_equal(node.control.credits[5].relay_reasons, MM_RELAY_NOT_COMMISSIONED);
    assert_false(desk.relay_closed[5]);
}

// A channel that lost its meter while it waited for a confirmation says nothing about the others at the next start.
static void test_node_setup_channel_without_meter(void **state) {
    (void)state;
    assert_int_equal(start(), MM_OK);
    run_s(2);
    install_on_node(1);
    run_s(2);
    confirm_by_ask(1);
    run_s(2);
    assert_true(desk.relay_closed[5]);
    // As an installation that never ran has left it.
    assert_string_equal(node.metering.options.meters[3].id, "");
    node.control.credits[3].relay_reasons = MM_RELAY_NOT_COMMISSIONED;
    confirm_by_ask(1); // stores the state
    run_s(1);
    assert_int_equal(start(), MM_OK);
    assert_int_equal(node.control.unconfirmed_channels, 0);
    assert_true(desk.relay_closed[5]);
}

static void no_supply_1(uint8_t channel, bool closed) {
    assert_true(channel != 1 || !closed);
}

// The power fails as soon as an installation with another meter is stored: the new one is there at the next start, and
// its relay has never been closed; the meter that HQ has confirmed goes on at once.
static void test_node_setup_new_meter_at_the_start(void **state) {
    (void)state;
    assert_int_equal(start(), MM_OK);
    run_s(2);
    install_on_node(1);
    run_s(2);
    confirm_by_ask(1);
    run_s(2);
    assert_true(desk.relay_closed[5]);
    mm_configuration_t configuration = node.setup.configuration;
    configuration.phase = (mm_life_cycle_t){MM_LIFE_AWAITING, MM_LIFE_AWAITING};
    configuration.installation.revision = 2;
    configuration.installation.channels[1] = (mm_channel_setup_t){{"M1", 1000, 0}, false, {0, 0, 0, 0}};
    configuration.confirmed_channels &= (uint8_t)~2u;
    assert_int_equal(mm_configuration_store_save(&node.setup.store, &configuration), MM_OK);
    on_relay = no_supply_1;
    desk.relay_closed[5] = false;
    assert_int_equal(start(), MM_OK);
    assert_string_equal(node.metering.options.meters[1].id, "M1");
    assert_true(desk.relay_closed[5]);
    run_s(3);
    assert_int_equal(node.control.credits[1].relay_reasons, MM_RELAY_NOT_COMMISSIONED);
    assert_int_equal(node.control.credits[5].relay_reasons, 0);
    assert_int_equal(start(), MM_OK);
    on_relay = NULL;
    confirm_by_ask(2);
    run_s(2);
    assert_true(desk.relay_closed[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_node_setup_of_an_owner, setup),
        cmocka_unit_test_setup(test_node_setup_channel_without_meter, setup),
        cmocka_unit_test_setup(test_node_setup_new_meter_at_the_start, setup),
        cmocka_unit_test_setup(test_node_setup_from_parked_to_running, setup),
        cmocka_unit_test_setup(test_node_setup_meters_without_memory, setup),
        cmocka_unit_test_setup(test_node_setup_needs_its_parts, setup),
        cmocka_unit_test_setup(test_node_setup_is_left_out, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
