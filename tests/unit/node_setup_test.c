// SPDX-License-Identifier: Apache-2.0
// Setup as a part of the node: from parked to running through asks, the installation's meters above the options, and a
// node without it.
#include "setup_fixture.h"

#include "meshmeter/node.h"

#define ROOT_MAC ((mm_mac_t){{2, 0, 0, 0, 0, 1}})

static mm_node_t node;
static mm_node_options_t options;
static mm_node_ports_t ports;
static uint8_t batch_memory[MM_BATCH_BYTES_MAX];

static mm_err_t mesh_send(void *context, mm_mac_t to, const void *bytes, size_t bytes_count) {
    (void)context;
    (void)to;
    (void)bytes;
    (void)bytes_count;
    return MM_OK;
}

static mm_err_t mesh_send_to_root(void *context, const void *bytes, size_t bytes_count) {
    return mesh_send(context, ROOT_MAC, bytes, bytes_count);
}

static mm_err_t mqtt_start(void *context, uint32_t session) {
    (void)context;
    (void)session;
    return MM_ERR_BUSY;
}

static mm_err_t mqtt_subscribe(void *context, const char *topic, uint8_t qos, uint16_t *packet_id) {
    (void)context;
    (void)topic;
    (void)qos;
    (void)packet_id;
    return MM_ERR_BUSY;
}

static mm_err_t mqtt_publish(void *context, const char *topic, const void *bytes, size_t bytes_count,
                             uint16_t *packet_id) {
    (void)bytes;
    (void)bytes_count;
    return mqtt_subscribe(context, topic, 0, packet_id);
}

static void mqtt_stop(void *context, bool graceful) {
    (void)context;
    (void)graceful;
}

static const mm_mesh_t mesh = {mesh_send, mesh_send_to_root, NULL};
static const mm_mqtt_t mqtt = {mqtt_start, mqtt_subscribe, mqtt_publish, mqtt_stop, NULL};

static mm_err_t start(void) {
    world.t_us += US;
    world.boot_us = world.t_us;
    return mm_node_init(&node, &options, &ports, desk_now());
}

static void run_s(int64_t seconds) {
    int64_t until_us = world.t_us + seconds * US;
    for (; world.t_us < until_us; world.t_us += US) {
        mm_us_t deadline = desk_now();
        for (int calls = 0; calls < 100 && deadline <= desk_now(); calls++) {
            deadline = mm_node_poll(&node, desk_now());
        }
        assert_true(deadline > desk_now());
    }
}

static int setup(void **state) {
    (void)state;
    setup_begin(true); // the surroundings; its node goes
    world_init(CONTROL_BEGIN_S, true);
    mm_sim_flash_init(&bench.device, &world.power, bench.bytes, bench.sectors, CONFIG_SECTORS);
    options = (mm_node_options_t){.mac = NODE_MAC,
                                  .site = "house-1",
                                  .metering = world.options,
                                  .control = desk.options,
                                  .timing = mm_timing_default(NODE_MAC),
                                  .config_sector_count = CONFIG_SECTORS,
                                  .journal_sector_count = JOURNAL_SECTORS,
                                  .random_seed = 3};
    memset(options.metering.meters, 0, sizeof options.metering.meters);
    ports = (mm_node_ports_t){.pulses = &world.pulses_port,
                              .fram = &world.fram_port,
                              .journal_flash = &world.journal_flash_port,
                              .mesh = &mesh,
                              .mqtt = &mqtt,
                              .crypto = &desk_crypto,
                              .relay = &desk_relay,
                              .actions = &desk_actions,
                              .config_flash = &bench_flash,
                              .entropy = &bench_entropy,
                              .batch_memory = batch_memory,
                              .batch_capacity = 1};
    return 0;
}

static void confirm_by_ask(uint32_t revision) {
    mm_command_body_t body = {.confirm = {.revision = revision}};
    sealed_t sealed = seal(MM_COMMAND_CONFIRM, MM_COMMAND_WHOLE_NODE, &body);
    mm_command_batch_t batch = {.database_id = 1, .revision = 1, .count = 1};
    batch.commands[0].bytes = sealed.bytes;
    batch.commands[0].bytes_count = (uint16_t)sealed.bytes_count;
    batch.commands[0].node = NODE_MAC;
    const mm_ask_t question = {.round_id = 9, .time = {.trust = MM_TRUST_UNSET}, .report_bytes_max = 1472};
    uint8_t bytes[MM_MESH_FRAME_BYTES_MAX];
    size_t size = mm_frame_write_ask_with_commands(bytes, sizeof bytes, ROOT_MAC, &question, &batch, NODE_MAC);
    assert_true(size > 0);
    mm_node_on_mesh_frame(&node, ROOT_MAC, bytes, size, desk_now());
}

static void install_on_node(uint32_t revision) {
    mm_network_t network = site_network(revision);
    (void)mm_setup_take_network(&node.setup, &network, desk_now());
    uint32_t number;
    uint32_t wait_s;
    char code[CODE_BYTES];
    const mm_challenge_options_t challenge = {.mac = NODE_MAC};
    assert_true(mm_setup_number(&node.setup, desk_now(), &number));
    assert_int_equal(mm_challenge_code(&challenge, &desk_crypto, number, code), MM_OK);
    assert_int_equal(mm_setup_enter(&node.setup, code, desk_now(), &wait_s), MM_CODE_GOOD);
    mm_field_problem_t problems[MM_FIELD_PROBLEMS_MAX];
    mm_err_t err;
    mm_installation_t installation = site_installation();
    assert_int_equal(mm_setup_install(&node.setup, &installation, problems, MM_FIELD_PROBLEMS_MAX, &err, desk_now()),
                     0);
    assert_int_equal(err, MM_OK);
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
    assert_false(node.control.not_commissioned);
    assert_true(desk.relay_closed[5]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_node_setup_of_an_owner, setup),
        cmocka_unit_test_setup(test_node_setup_channel_without_meter, setup),
        cmocka_unit_test_setup(test_node_setup_from_parked_to_running, setup),
        cmocka_unit_test_setup(test_node_setup_meters_without_memory, setup),
        cmocka_unit_test_setup(test_node_setup_needs_its_parts, setup),
        cmocka_unit_test_setup(test_node_setup_is_left_out, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
