// SPDX-License-Identifier: Apache-2.0
// A whole node on the fakes, for the tests of its composition; each of them is a program of its own.
#include "mm_esp_node.c"

#include "test_support.h"

#include <stdio.h>
#include <string.h>

#include "fake.h"
#include "fake_event.h"
#include "fake_freertos.h"
#include "fake_gpio.h"
#include "fake_i2c.h"
#include "fake_mesh.h"
#include "fake_mqtt.h"
#include "fake_nvs.h"
#include "fake_partition.h"
#include "fake_pcnt.h"
#include "fake_sntp.h"
#include "fake_system.h"
#include "fake_uart.h"
#include "fake_wifi.h"

#define SITE "mm-house"
#define METER "1-flat-1"
#define LABEL "label-1234"

static mm_esp_post_t s_post;
static bool s_is_on;

// --- power --------------------------------------------------------------------------------------------------------

// What modules keep for themselves while the device is on.
static void go_down(void) {
    if (!s_is_on) {
        return;
    }
    fake_fail_at(0);
    s_is_on = false;
    mm_esp_time_set_ip(&s_node.time, false, mm_esp_owner_now());
    if (s_node.life.has_door) {
        mm_esp_door_close(&s_node.door);
    }
    if (s_node.life.has_bluetooth) {
        mm_esp_provisioning_close(&s_node.shared.provisioning);
    }
    if (s_node.life.use == MM_ESP_USE_PAGE) {
        (void)mm_esp_configurator_close(&s_node.shared.page);
    }
    if (s_node.life.mesh_was_opened) {
        s_node.mesh.job = MM_ESP_MESH_NO_JOB;
        mm_esp_mesh_close(&s_node.mesh);
    }
    mm_esp_radio_close();
    mm_esp_entropy_close_source();
    mm_esp_pulses_close(&s_node.pulses);
}

static void begin(void) {
    mm_esp_node_start();
    open_all(&s_node);
    s_post = (mm_esp_post_t){.slot = -1};
}

// The call_no-th call of the SDK fails; 0: none. False: the device restarted meanwhile.
static bool start_failing(esp_reset_reason_t reason, unsigned call_no) {
    go_down();
    fake_restart();
    fake_system()->reason = reason;
    if (call_no != 0) {
        fake_fail_at(call_no);
    }
    s_is_on = true;
    return !fake_restarts(begin);
}

static void start(esp_reset_reason_t reason) {
    assert_true(start_failing(reason, 0));
}

static void cut_power(void) {
    go_down();
    fake_power_cut();
}

static int factory_new(void **state) {
    (void)state;
    cut_power();
    fake_reset();
    fake_fram()->is_there = true;
    fake_fram()->bytes = CONFIG_MM_FRAM_BYTES;
    fake_oled()->is_there = true;
    return 0;
}

// --- time ---------------------------------------------------------------------------------------------------------

static mm_us_t s_until;

static void run_worker(void) {
    if (fake_task_find("worker") != NULL) {
        fake_task_run("worker", 0);
    }
}

static void turn_until(void) {
    while (mm_esp_owner_now() < s_until) {
        mm_us_t deadline = turn(&s_node, &s_post);
        run_worker();
        (void)mm_esp_owner_take(&s_post, mm_us_earlier(deadline, s_until));
    }
}

// False: the device restarted.
static bool run_ms(unsigned ms) {
    s_until = mm_esp_owner_now() + (mm_us_t)ms * 1000;
    return !fake_restarts(turn_until);
}

__attribute__((unused)) static void pulse(unsigned channel) {
    static const int pins[] = {CONFIG_MM_PULSE_PIN_0, CONFIG_MM_PULSE_PIN_1};
    fake_pcnt_drive(pins[channel], 0);
    fake_time_advance(30000);
    fake_pcnt_drive(pins[channel], 1);
    fake_time_advance(30000);
}

__attribute__((unused)) static uint64_t life_pulses(void) {
    return s_node.node.metering.registers.channels[0].life_pulses;
}

// --- what a device has been told ------------------------------------------------------------------------------------

static void write_device(void) {
    static const uint8_t key[MM_ESP_DEVICE_KEY_BYTES] = {1, 2, 3, 4};
    mm_esp_settings_t settings;
    assert_int_equal(mm_esp_settings_open(&settings), MM_OK);
    assert_int_equal(mm_esp_settings_write_device(&settings, key, LABEL), MM_OK);
    mm_esp_settings_close(&settings);
}

static mm_network_t network_of(uint32_t revision) {
    return (mm_network_t){.revision = revision,
                          .site = SITE,
                          .router.ssid = "router",
                          .router.password = "password",
                          .broker.url = "mqtts://broker.example:8883",
                          .mesh_key = {9, 8, 7}};
}

// As a device that was commissioned; state RUNNING or PROVISIONED.
static void write_configuration(mm_life_state_t state) {
    mm_esp_flash_t flash;
    mm_configuration_store_t store;
    mm_configuration_t configuration;
    assert_int_equal(mm_esp_flash_open(&flash, "config", 2, 8), MM_OK);
    mm_err_t err = mm_configuration_store_open(&store, &flash.flash, flash.flash.sector_count, &configuration);
    assert_int_equal(err, MM_ERR_NOT_FOUND);
    configuration.phase.state = state;
    configuration.has_network = true;
    configuration.network = network_of(7);
    configuration.has_installation = state == MM_LIFE_RUNNING;
    if (configuration.has_installation) {
        configuration.installation =
            (mm_installation_t){.revision = 1,
                                .node_no = 12,
                                .installer = "installer",
                                .channels = {{.meter = {.id = METER, .pulse_constant = 1000}}}};
    }
    assert_int_equal(mm_configuration_store_save(&store, &configuration), MM_OK);
}

static int installed(void **state) {
    (void)factory_new(state);
    write_device();
    write_configuration(MM_LIFE_RUNNING);
    return 0;
}
