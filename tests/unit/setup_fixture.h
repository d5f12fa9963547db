// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SETUP_FIXTURE_H
#define MM_SETUP_FIXTURE_H

#include "control_fixture.h"

#include "meshmeter/setup.h"

/// A node that can be commissioned, on the world of control_fixture.h: begins without meters, and with those of its
/// installation after a restart. bench holds what is more than world and desk.

#define CONFIG_SECTORS 2
#define CODE_BYTES (MM_CHALLENGE_CODE_CHARS + 1)

typedef struct {
    uint8_t bytes[CONFIG_SECTORS * MM_FLASH_SECTOR_BYTES];
    mm_sim_sector_t sectors[CONFIG_SECTORS];
    mm_sim_flash_t device;
    uint32_t drawn; ///< from the entropy; each draw is another
    uint32_t draws_left;
    mm_setup_t setup;
} bench_t;

static bench_t bench;
static mm_flash_t bench_flash;
static mm_entropy_t bench_entropy;

static inline mm_err_t bench_random(void *context, void *bytes, size_t bytes_count) {
    (void)context;
    if (bench.draws_left == 0) {
        return MM_ERR_UNAVAILABLE;
    }
    bench.draws_left--;
    bench.drawn++;
    for (size_t i = 0; i < bytes_count; i++) {
        ((uint8_t *)bytes)[i] = (uint8_t)(bench.drawn * 37 + i * 11);
    }
    return MM_OK;
}

// As the node does it (node.c).
static inline void setup_open(void) {
    mm_metering_options_t options = world.options; // the formula of the pulses goes by these
    mm_configuration_store_t store;
    mm_configuration_t configuration;
    memset(options.meters, 0, sizeof options.meters);
    mm_err_t err = mm_configuration_store_open(&store, &bench_flash, CONFIG_SECTORS, &configuration);
    for (uint8_t channel = 0; channel < MM_CHANNELS && err == MM_OK && configuration.has_installation; channel++) {
        options.meters[channel] = configuration.installation.channels[channel].meter;
    }
    desk.options.unconfirmed_channels = mm_configuration_unconfirmed(&configuration);
    memset(&world.metering, 0xA5, sizeof world.metering);
    memset(&world.counters, 0, sizeof world.counters);
    world.boot_us = world.t_us;
    assert_int_equal(mm_metering_open(&world.metering, &options, &world.pulses_port, &world.store,
                                      world.with_fram ? &world.fram_port : NULL,
                                      world.with_fram ? NULL : &world.register_flash_port, &world.journal,
                                      &world.journal_flash_port, JOURNAL_SECTORS, &world.counters, 3, desk_now()),
                     MM_OK);
    world.deadline = desk_now();
    control_open();
    memset(&bench.setup, 0xA5, sizeof bench.setup);
    const mm_setup_options_t setup = {.mac = NODE_MAC, .method = NULL};
    mm_setup_open(&bench.setup, &setup, &bench_flash, CONFIG_SECTORS, &world.metering, &desk.control, &desk_crypto,
                  &bench_entropy, &world.counters, NULL, desk_now());
}

static inline mm_us_t setup_poll(void) {
    for (int calls = 0; calls < 1000 && !is_dead(); calls++) {
        control_poll();
        mm_us_t deadline = mm_setup_poll(&bench.setup, desk_now());
        assert_true(deadline >= desk_now());
        if (deadline > desk_now()) {
            hq_collect();
            return deadline;
        }
    }
    assert_true(is_dead());
    return MM_US_NEVER;
}

static inline void setup_run_s(int64_t seconds) {
    for (int64_t second = 0; second < seconds && !is_dead(); second++) {
        control_run_s(1);
        (void)setup_poll();
    }
}

static inline void setup_reboot(void) {
    if (is_dead()) {
        mm_sim_power_up(&world.power);
    }
    world.t_us += US;
    memset(desk.relay_told, 0, sizeof desk.relay_told);
    setup_open();
    hq_collect();
}

static inline void setup_begin(bool with_fram) {
    memset(&desk, 0, sizeof desk);
    memset(&bench, 0, sizeof bench);
    desk_without_relay = false;
    desk_without_actions = false;
    on_relay = NULL;
    desk.next_command_id = 1000;
    desk.key = test_crypto_key(0);
    desk.options = (mm_control_options_t){.mac = NODE_MAC, .token_unit_wh = UNIT_WH, .new_era = 0xE2A0001};
    world_init(CONTROL_BEGIN_S, with_fram);
    mm_sim_flash_init(&bench.device, &world.power, bench.bytes, bench.sectors, CONFIG_SECTORS);
    bench.device.erase_steps = 4;
    bench.draws_left = 1000;
    bench_flash = (mm_flash_t){flash_read, flash_program, flash_erase, &bench.device, CONFIG_SECTORS};
    bench_entropy = (mm_entropy_t){bench_random, NULL};
    setup_open();
    control_sync();
    (void)setup_poll();
}

static inline mm_network_t site_network(uint32_t revision) {
    return (mm_network_t){.revision = revision, .site = "house-1", .router.ssid = "router"};
}

static inline void give_network(uint32_t revision) {
    mm_network_t network = site_network(revision);
    assert_int_equal(mm_setup_take_network(&bench.setup, &network, desk_now()), MM_OK);
}

static inline void make_code(char code[CODE_BYTES]) {
    uint32_t number;
    const mm_challenge_options_t options = {.mac = NODE_MAC};
    assert_true(mm_setup_number(&bench.setup, desk_now(), &number));
    assert_int_equal(mm_challenge_code(&options, &desk_crypto, number, code), MM_OK);
}

static inline void enter(void) {
    char code[CODE_BYTES];
    uint32_t wait_s;
    make_code(code);
    assert_int_equal(mm_setup_enter(&bench.setup, code, desk_now(), &wait_s), MM_CODE_GOOD);
}

/// Meter 0 prepaid, meter 5 not.
static inline mm_installation_t site_installation(void) {
    mm_installation_t installation = {.node_no = 12, .province = 17, .installer = "Eva", .address = "Street 1"};
    installation.channels[0] = (mm_channel_setup_t){{"M0", 1000, 5000}, true, {2000, 1000, 0, 0}};
    installation.channels[5] = (mm_channel_setup_t){{"M5", 1000, 0}, false, {0, 0, 0, 0}};
    return installation;
}

static inline mm_err_t install(const mm_installation_t *installation) {
    mm_field_problem_t problems[MM_FIELD_PROBLEMS_MAX];
    mm_err_t err = MM_OK;
    assert_int_equal(mm_setup_install(&bench.setup, installation, problems, MM_FIELD_PROBLEMS_MAX, &err, desk_now()),
                     0);
    return err;
}

/// The only problem.
static inline mm_field_problem_t install_fails(const mm_installation_t *installation) {
    mm_field_problem_t problems[MM_FIELD_PROBLEMS_MAX];
    mm_err_t err = MM_OK;
    assert_int_equal(mm_setup_install(&bench.setup, installation, problems, MM_FIELD_PROBLEMS_MAX, &err, desk_now()),
                     1);
    assert_int_equal(err, MM_ERR_ARG);
    return problems[0];
}

static inline uint64_t confirm_revision(uint32_t revision) {
    mm_command_body_t body = {.confirm = {.revision = revision}};
    return command(MM_COMMAND_CONFIRM, MM_COMMAND_WHOLE_NODE, &body);
}

/// From the box to the first installation.
static inline void setup_install_first(void) {
    give_network(1);
    enter();
    mm_installation_t installation = site_installation();
    assert_int_equal(install(&installation), MM_OK);
    (void)setup_poll();
}

static inline void setup_commission(void) {
    setup_install_first();
    (void)confirm_revision(1);
    (void)setup_poll();
}

static inline uint32_t count_installations(uint32_t revision, const mm_installation_record_t **last) {
    uint32_t count = 0;
    hq_collect();
    for (uint32_t i = 0; i < world.hq_count; i++) {
        if (hq_records[i].type == MM_RECORD_INSTALLATION && hq_records[i].record.installation.revision == revision) {
            count++;
            if (last != NULL) {
                *last = &hq_records[i].record.installation;
            }
        }
    }
    return count;
}

static inline mm_life_state_t phase_now(void) {
    return bench.setup.configuration.phase.state;
}

#endif
