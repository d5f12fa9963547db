// SPDX-License-Identifier: Apache-2.0
// No pulse is lost at the meters' fastest rate on all channels while the node saves, drains and holds rounds, with the
// times that flash, FRAM and the processor take. What only a board can show is how long its interrupts are held off.
#include "mm_esp_node_test.h"

#include <esp_timer.h>

// IEC 62053-31: pulse and pause of 30 ms at least. All channels in turn, so that none falls together with another.
#define EDGE_US 30000
#define TICK_US (EDGE_US / MM_CHANNELS)

// Longest times of data sheets of 4 MB flash chips: a sector erased, a page of 256 bytes written. FRAM at 400 kHz.
#define ERASE_US 400000
#define WRITE_US 3000
#define READ_US 60

// Each turn takes as long as the core's worst call (root_poll_worst of docs/design/budgets.md), and as much again for
// the port, at 80 million instructions a second: half the clock of the slowest chip.
#define TURN_US (2 * 212600 / 80)

static const int s_pins[MM_CHANNELS] = {CONFIG_MM_PULSE_PIN_0, CONFIG_MM_PULSE_PIN_1, CONFIG_MM_PULSE_PIN_2,
                                        CONFIG_MM_PULSE_PIN_3, CONFIG_MM_PULSE_PIN_4, CONFIG_MM_PULSE_PIN_5,
                                        CONFIG_MM_PULSE_PIN_6, CONFIG_MM_PULSE_PIN_7};
static uint32_t s_made[MM_CHANNELS];
static bool s_closed[MM_CHANNELS];
static unsigned s_tick;
static bool s_stops;

// An edge of one channel; it stops with open contacts, in whole pulses.
static void tick(void *arg) {
    (void)arg;
    unsigned channel = s_tick++ % MM_CHANNELS;
    if (s_stops && !s_closed[channel]) {
        return;
    }
    s_closed[channel] = !s_closed[channel];
    s_made[channel] += s_closed[channel] ? 1 : 0;
    fake_pcnt_drive(s_pins[channel], s_closed[channel] ? 0 : 1);
}

static int eight_meters(void **state) {
    mm_esp_flash_t flash;
    mm_configuration_store_t store;
    mm_configuration_t configuration;
    (void)installed(state);
    assert_int_equal(mm_esp_flash_open(&flash, "config", 2, 8), MM_OK);
    mm_err_t err = mm_configuration_store_open(&store, &flash.flash, flash.flash.sector_count, &configuration);
    assert_int_equal(err, MM_OK);
    for (unsigned i = 0; i < MM_CHANNELS; i++) {
        mm_meter_config_t *meter = &configuration.installation.channels[i].meter;
        (void)snprintf(meter->id, sizeof meter->id, "meter-%u", i);
        meter->pulse_constant = 10000;
    }
    assert_int_equal(mm_configuration_store_save(&store, &configuration), MM_OK);
    memset(s_made, 0, sizeof s_made);
    memset(s_closed, 0, sizeof s_closed);
    s_tick = 0;
    s_stops = false;
    return 0;
}

static void begin_pulses(void) {
    static const esp_timer_create_args_t args = {.callback = tick, .name = "meters"};
    esp_timer_handle_t timer = NULL;
    assert_int_equal(esp_timer_create(&args, &timer), ESP_OK);
    assert_int_equal(esp_timer_start_periodic(timer, TICK_US), ESP_OK);
    fake_partition_set_times(ERASE_US, WRITE_US, READ_US);
    fake_i2c_set_speed(MM_ESP_I2C_HZ);
}

static unsigned s_answered;
static esp_mqtt_client_handle_t s_client;

static void serve_broker(void) {
    esp_mqtt_client_handle_t client = fake_mqtt_client();
    if (client != NULL && client != s_client && fake_mqtt_is_started(client)) {
        s_client = client;
        fake_mqtt_begin();
        fake_mqtt_accept();
    }
    for (; s_answered < fake_mqtt()->sent_count; s_answered++) {
        const fake_mqtt_sent_t *sent = &fake_mqtt()->sent[s_answered];
        if (sent->is_subscribe) {
            fake_mqtt_suback(sent->packet_id, 1);
        } else {
            fake_mqtt_puback(sent->packet_id);
        }
    }
}

// A record more than the node makes by itself, so that the small journal of the test erases and thins.
static void note_something(void) {
    const uint64_t values[MM_EVENT_VALUES] = {1, 2, 3, 4};
    (void)mm_metering_event(&s_node.node.metering, MM_EVENT_TIME_SYNCED, values, mm_esp_owner_now());
}

static void run_busy(unsigned s) {
    for (unsigned i = 0; i < s * 10; i++) {
        assert_true(run_ms(100));
        fake_time_advance(TURN_US);
        serve_broker();
        if (i % 2 == 0) {
            note_something();
        }
    }
}

static void assert_all_counted(void) {
    s_stops = true;
    assert_true(run_ms(1000));
    for (unsigned i = 0; i < MM_CHANNELS; i++) {
        assert_true(s_made[i] > 1000);
        assert_int_equal(s_node.node.metering.registers.channels[i].life_pulses, s_made[i]);
    }
}

static void a_root_at_work_counts_every_pulse(void **state) {
    (void)state;
    static const uint8_t own[6] = FAKE_WIFI_MAC;
    s_answered = 0;
    s_client = NULL;
    start(ESP_RST_POWERON);
    begin_pulses();
    assert_true(run_ms(1000));
    fake_mesh_connect(1);
    fake_mesh_root_address(own);
    fake_mesh_got_ip(true);
    assert_true(run_ms(1000));
    fake_sntp_answer(INT64_C(1796000000), 0);
    run_busy(1100); // two cycles with drains, and the end of an interval
    assert_in_range(s_node.node.root.sessions_clean, 1, 4);
    assert_true(s_node.node.root.rounds_made >= 2);
    // The small journal went round, and was thinned, as HQ committed nothing.
    assert_true(s_node.node.journal.next_generation > 16 && s_node.node.journal.thinned_through_seq > 0);
    assert_all_counted();
}

static void a_crash_and_an_update_lose_only_the_restart(void **state) {
    (void)state;
    start(ESP_RST_POWERON);
    begin_pulses();
    run_busy(120);
    // The restart takes no time here: whatever is lost would be lost by the node.
    uint32_t made[MM_CHANNELS];
    memcpy(made, s_made, sizeof made);
    start(ESP_RST_PANIC);
    assert_true(run_ms(1000));
    for (unsigned i = 0; i < MM_CHANNELS; i++) {
        uint64_t counted = s_node.node.metering.registers.channels[i].life_pulses;
        // A contact that was closing is not a pulse of either start.
        assert_in_range(counted, made[i] - 1, made[i]);
    }
}

static void without_an_fram_as_well(void **state) {
    (void)state;
    fake_fram()->is_there = false;
    start(ESP_RST_POWERON);
    assert_int_equal(s_node.fram_verdict, MM_ESP_FRAM_USE_FLASH);
    begin_pulses();
    run_busy(300);
    assert_all_counted();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_root_at_work_counts_every_pulse, eight_meters),
        cmocka_unit_test_setup(a_crash_and_an_update_lose_only_the_restart, eight_meters),
        cmocka_unit_test_setup(without_an_fram_as_well, eight_meters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
