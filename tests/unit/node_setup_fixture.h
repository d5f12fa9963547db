// SPDX-License-Identifier: Apache-2.0
#ifndef MM_NODE_SETUP_FIXTURE_H
#define MM_NODE_SETUP_FIXTURE_H

#include "setup_fixture.h"

#include "meshmeter/node.h"

/// A whole node that can be commissioned, in the surroundings of setup_fixture.h, whose own node it replaces.

#define ROOT_MAC ((mm_mac_t){{2, 0, 0, 0, 0, 1}})

static mm_node_t node;
static mm_node_options_t options;
static mm_node_ports_t ports;
static uint8_t batch_memory[MM_BATCH_BYTES_MAX];

static inline mm_err_t mesh_send(void *context, mm_mac_t to, const void *bytes, size_t bytes_count) {
    (void)context;
    (void)to;
    (void)bytes;
    (void)bytes_count;
    return MM_OK;
}

static inline mm_err_t mesh_send_to_root(void *context, const void *bytes, size_t bytes_count) {
    return mesh_send(context, ROOT_MAC, bytes, bytes_count);
}

static inline mm_err_t mqtt_start(void *context, uint32_t session) {
    (void)context;
    (void)session;
    return MM_ERR_BUSY;
}

static inline mm_err_t mqtt_subscribe(void *context, const char *topic, uint8_t qos, uint16_t *packet_id) {
    (void)context;
    (void)topic;
    (void)qos;
    (void)packet_id;
    return MM_ERR_BUSY;
}

static inline mm_err_t mqtt_publish(void *context, const char *topic, const void *bytes, size_t bytes_count,
                                    uint16_t *packet_id) {
    (void)bytes;
    (void)bytes_count;
    return mqtt_subscribe(context, topic, 0, packet_id);
}

static inline void mqtt_stop(void *context, bool graceful) {
    (void)context;
    (void)graceful;
}

static const mm_mesh_t mesh = {mesh_send, mesh_send_to_root, NULL};
static const mm_mqtt_t mqtt = {mqtt_start, mqtt_subscribe, mqtt_publish, mqtt_stop, NULL};

static inline mm_err_t start(void) {
    world.t_us += US;
    world.boot_us = world.t_us;
    return mm_node_init(&node, &options, &ports, desk_now());
}

static inline void run_s(int64_t seconds) {
    int64_t until_us = world.t_us + seconds * US;
    for (; world.t_us < until_us; world.t_us += US) {
        mm_us_t deadline = desk_now();
        for (int calls = 0; calls < 100 && deadline <= desk_now(); calls++) {
            deadline = mm_node_poll(&node, desk_now());
        }
        assert_true(deadline > desk_now());
    }
}

/// A node in the box, not started.
static inline void node_begin(void) {
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
}

static inline void confirm_by_ask(uint32_t revision) {
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

static inline void install_on_node(uint32_t revision) {
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

#endif
