// SPDX-License-Identifier: Apache-2.0
// From parked to a session with HQ's broker, the installer's page, updates, floods.
#include "mm_esp_node_test.h"

#include "fake_http_server.h"
#include "fake_now.h"
#include "fake_ota.h"
#include "fake_provisioning.h"

#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define FORM                                                                                                           \
    "site=" SITE "&broker_url=mqtts://broker.example:8883&revision=10&router_name=router&router_password=password"     \
    "&mesh_key=" KEY
#define WITH_LABEL "&pop=" LABEL

static const uint8_t s_own[6] = FAKE_WIFI_MAC;

static int unlabelled(void **state) {
    (void)factory_new(state);
    return 0;
}

static int labelled(void **state) {
    (void)factory_new(state);
    write_device();
    return 0;
}

static int provisioned(void **state) {
    (void)factory_new(state);
    write_device();
    write_configuration(MM_LIFE_PROVISIONED);
    return 0;
}

// Runs until the device restarts, and starts it.
static void run_to_restart(unsigned ms) {
    assert_false(run_ms(ms));
    start(ESP_RST_SW);
}

// --- a network ------------------------------------------------------------------------------------------------------

static void a_network_by_cable_is_entered_by_a_restart(void **state) {
    (void)state;
    start(ESP_RST_POWERON);
    assert_true(run_ms(1000));
    assert_int_equal(s_node.life.use, MM_ESP_USE_PARKED);
    fake_uart_type("key " KEY " " LABEL "\n");
    run_to_restart(5000);
    assert_true(s_node.settings.has_key);
    assert_null(strstr(fake_uart_sent(), KEY));
    fake_uart_type("provision " FORM WITH_LABEL "\n");
    run_to_restart(5000);
    assert_true(run_ms(100));
    assert_string_equal(s_node.node.options.site, SITE);
    assert_int_equal(s_node.node.setup.configuration.phase.state, MM_LIFE_PROVISIONED);
    // Nobody gives it another one by cable.
    fake_uart_type("provision " FORM WITH_LABEL "\n");
    assert_true(run_ms(5000));
    assert_non_null(strstr(fake_uart_sent(), "error: the device has a network of this or a later revision"));
}

static const char *typed(const char *line) {
    size_t before = strlen(fake_uart_sent());
    fake_uart_type(line);
    assert_true(run_ms(1000));
    assert_true(strlen(fake_uart_sent()) > before);
    return fake_uart_sent() + before;
}

// The core's lines, with what the port knows, and the chip's own beside them.
static void lines_are_the_cores_and_the_chips(void **state) {
    (void)state;
    start(ESP_RST_POWERON);
    assert_true(run_ms(1000));
    fake_mesh_connect(2);
    assert_true(run_ms(1000));
    const char *answer = typed("help\n");
    static const char *const known[] = {"\nmeters [1-8] ", "\nreset [CODE ", "\nchip ", "\nupdate [force] URL"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        assert_non_null(strstr(answer, known[i]));
    }
    assert_null(strstr(answer, "owner")); // there is no such place at a chip
    assert_non_null(strstr(typed("status\n"), "\"version\":\"1.2.3\""));
    answer = typed("mesh\n");
    assert_non_null(strstr(answer, "\"role\":\"member\""));
    assert_non_null(strstr(answer, "\"parent\":\"02:50:00:00:00:99\""));
    assert_non_null(strstr(typed("config\n"), "\"broker\":\"mqtts://broker.example"));
    answer = typed("chip\n");
    assert_non_null(strstr(answer, "{\"registers\":\"fram\",\"storage\":\"good\",\"radio\":\"mesh\","));
    assert_non_null(strstr(answer, ",\"broker_sessions_failed\":0}\n"));
    assert_string_equal(typed("hunter2 x\n"), "error: not understood; help says what is\n");
    assert_string_equal(typed("restart now\n"), "error: not with these words; help says with which\n");
    // What is lit by a line is lit by the node.
    assert_string_equal(typed("find 5\n"), "ok\n");
    assert_string_equal(typed("update http://x\n"), "error: not an address that begins with https://\n");
    fake_uart_type("restart\n");
    run_to_restart(5000);
}

static void a_key_is_written_once_and_whole(void **state) {
    (void)state;
    start(ESP_RST_POWERON);
    assert_true(run_ms(1000));
    const char *wrong = "error: a key has 64 hexadecimal digits, a label 8 to 32 characters without blanks\n";
    assert_string_equal(typed("key " KEY "0 " LABEL "\n"), wrong);
    assert_string_equal(typed("key 00 " LABEL "\n"), wrong);
    assert_string_equal(typed("key " KEY " short\n"), wrong);
    assert_string_equal(typed("provision " FORM WITH_LABEL "\n"),
                        "error: this device has no label: no network can be handed over here\n");
    fake_uart_type("key  " KEY "   " LABEL " \n");
    run_to_restart(5000);
    assert_true(s_node.settings.has_key);
    assert_string_equal(s_node.settings.pop, LABEL);
    assert_true(run_ms(1000));
    assert_string_equal(typed("key " KEY " " LABEL "\n"), "error: this device has a key; it is never replaced\n");
}

static void codes_of_the_label_cannot_be_guessed(void **state) {
    (void)state;
    // None, too short, too long, another one.
    static const char *const wrong[] = {"", "&pop=label", "&pop=" LABEL "5", "&pop=" LABEL "&pop=" LABEL};
    static const char *const last[] = {"error: this is not the code on the label; wait 10 s\n",
                                       "error: this is not the code on the label; wait 20 s\n"};
    start(ESP_RST_POWERON);
    assert_true(run_ms(1000));
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 1; i <= MM_LOCK_OUT_TRIES; i++) {
            char line[512];
            (void)snprintf(line, sizeof line, "provision " FORM "%s\n", wrong[i % 4]);
            assert_string_equal(typed(line),
                                i < MM_LOCK_OUT_TRIES ? "error: this is not the code on the label\n" : last[round]);
        }
        // It is not judged, so nobody learns that it is good.
        assert_memory_equal(typed("provision " FORM WITH_LABEL "\n"), "error: too many wrong codes; wait ", 34);
        assert_true(run_ms((round + 1) * MM_LOCK_OUT_FIRST_S * 1000));
    }
    assert_string_equal(typed("provision " FORM WITH_LABEL "\n"),
                        "ok the device has the network of site " SITE " and starts again\n");
}

static void a_network_by_bluetooth_is_entered_when_the_phone_knows(void **state) {
    (void)state;
    const char *answer = NULL;
    wifi_prov_config_get_data_t status;
    start(ESP_RST_POWERON);
    assert_true(run_ms(1000));
    assert_true(fake_phone_connect(MM_ESP_PROVISIONING_USER, LABEL));
    assert_int_equal(fake_phone_send("meshmeter", FORM, strlen(FORM), &answer), ESP_OK);
    assert_string_equal(answer, "ok\n");
    assert_true(fake_phone_set_router("router", "password"));
    assert_true(fake_phone_apply());
    assert_true(run_ms(3000)); // judged, and the phone has not asked
    assert_true(fake_phone_ask(&status));
    assert_int_equal(status.wifi_state, WIFI_PROV_STA_CONNECTED);
    run_to_restart(10000);
    assert_true(run_ms(100));
    assert_string_equal(s_node.node.options.site, SITE);
}

// An address that the port would never connect to: the phone hears it, and the device stays parked.
static void a_broker_that_is_no_address_is_refused_by_bluetooth(void **state) {
    (void)state;
    static const char form[] = "site=" SITE "&broker_url=mqtts%3A%2F%2Fbroker.example%2Fpath&revision=7&mesh_key="
                               "0000000000000000000000000000000000000000000000000000000000000001";
    const char *answer = NULL;
    wifi_prov_config_get_data_t status;
    start(ESP_RST_POWERON);
    assert_true(run_ms(1000));
    assert_true(fake_phone_connect(MM_ESP_PROVISIONING_USER, LABEL));
    assert_int_equal(fake_phone_send("meshmeter", form, strlen(form), &answer), ESP_OK);
    assert_string_equal(answer, "ok\n");
    assert_true(fake_phone_set_router("router", "password"));
    assert_true(fake_phone_apply());
    assert_true(run_ms(1000));
    assert_true(fake_phone_ask(&status));
    assert_int_equal(status.wifi_state, WIFI_PROV_STA_DISCONNECTED);
    assert_true(run_ms((MM_ESP_PROVISIONING_TELL_S + 1) * 1000));
    assert_false(s_node.node.setup.configuration.has_network);
}

static void what_commands_kept_does_not_stand_above_another_network(void **state) {
    (void)state;
    static const char other[] = "other\npassword-2";
    start(ESP_RST_POWERON);
    const mm_actions_t *actions = &s_node.actions.actions;
    assert_int_equal(actions->stage(actions->context, MM_STAGED_NETWORK, other, sizeof other - 1), MM_OK);
    assert_int_equal(actions->settle(actions->context, MM_STAGED_NETWORK, true), MM_OK);
    start(ESP_RST_SW);
    assert_true(run_ms(1000));
    assert_string_equal(s_node.settings.router.name, "other");
    assert_string_equal((const char *)fake_mesh()->router.ssid, "other");
    mm_network_t network = network_of(8);
    assert_int_equal(mm_setup_take_network(&s_node.node.setup, &network, mm_esp_owner_now()), MM_OK);
    run_to_restart(5000);
    assert_true(run_ms(1000));
    assert_false(s_node.settings.has_router);
    assert_string_equal((const char *)fake_mesh()->router.ssid, "router");
}

// A start that cannot read its configuration does not know which network it has: nothing is forgotten.
static void what_commands_kept_survives_each_call_that_fails(void **state) {
    static const char other[] = "other\npassword-2";
    bool failed = true;
    unsigned without_network = 0;
    for (unsigned call_no = 1; failed; call_no++) {
        (void)installed(state);
        start(ESP_RST_POWERON);
        const mm_actions_t *actions = &s_node.actions.actions;
        assert_int_equal(actions->stage(actions->context, MM_STAGED_NETWORK, other, sizeof other - 1), MM_OK);
        assert_int_equal(actions->settle(actions->context, MM_STAGED_NETWORK, true), MM_OK);
        bool is_up = start_failing(ESP_RST_SW, call_no);
        failed = fake_has_failed();
        fake_fail_at(0);
        without_network += is_up && s_node.node.options.site[0] == 'p' ? 1 : 0; // parked
        start(ESP_RST_SW);
        assert_true(s_node.settings.has_router);
        assert_string_equal(s_node.settings.router.name, "other");
    }
    assert_true(without_network > 1);
}

// --- mesh and broker
// --------------------------------------------------------------------------------------------------

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

static void become_root(void) {
    assert_true(run_ms(1000));
    assert_int_equal(s_node.life.use, MM_ESP_USE_MESH);
    s_answered = 0;
    s_client = NULL;
    fake_mesh_connect(1);
    fake_mesh_root_address(s_own);
    fake_mesh_got_ip(true);
    assert_true(run_ms(1000));
    assert_true(s_node.node.root.active);
    assert_true(s_node.node.ip_up);
}

// Until so many sessions were clean; a cycle is 500 s.
static void run_sessions(uint32_t count) {
    for (unsigned i = 0; i < 2 * 5000 * count && s_node.node.root.sessions_clean < count; i++) {
        assert_true(run_ms(100));
        serve_broker();
    }
    assert_int_equal(s_node.node.root.sessions_clean, count);
}

static void a_root_has_the_time_and_a_session(void **state) {
    (void)state;
    start(ESP_RST_POWERON);
    become_root();
    assert_true(fake_sntp_is_running());
    fake_sntp_answer(INT64_C(1796000000), 0);
    assert_true(run_ms(1000));
    mm_time_t time = mm_metering_time(&s_node.node.metering, mm_esp_owner_now());
    assert_int_equal(time.trust, MM_TRUST_SYNCED);
    assert_in_range(time.utc.us / MM_US_PER_S, 1796000000, 1796000002);
    run_sessions(1);
    assert_string_equal(fake_mqtt()->host, "broker.example");
    assert_int_equal(fake_mqtt()->live_count, 0);
    assert_true(s_node.node.root.rounds_made > 0);
    // The router goes: no time server, no session, and the node counts on.
    fake_mesh_disconnect();
    fake_mesh_lost_ip();
    pulse(0);
    assert_true(run_ms(1000));
    assert_false(fake_sntp_is_running());
    assert_false(s_node.node.ip_up);
    assert_int_equal(life_pulses(), 1);
}

// A command that comes in a session cannot change the broker of that session.
static void another_broker_is_used_when_the_session_is_over(void **state) {
    (void)state;
    static const char other[] = "mqtts://other.example";
    const mm_actions_t *actions = &s_node.actions.actions;
    start(ESP_RST_POWERON);
    become_root();
    fake_sntp_answer(INT64_C(1796000000), 0);
    for (unsigned i = 0; i < 6000 && fake_mqtt()->live_count == 0; i++) {
        assert_true(run_ms(100));
    }
    assert_int_equal(fake_mqtt()->live_count, 1);
    assert_int_equal(actions->stage(actions->context, MM_STAGED_BROKER, "ws://other.example", 18), MM_ERR_ARG);
    assert_false(s_node.settings.has_broker);
    assert_int_equal(actions->stage(actions->context, MM_STAGED_BROKER, other, sizeof other - 1), MM_OK);
    char kept[256];
    assert_int_equal(actions->kept_broker(actions->context, kept, sizeof kept), 0); // on trial, not kept
    run_sessions(1);
    assert_string_equal(fake_mqtt()->host, "broker.example");
    run_sessions(2);
    assert_string_equal(fake_mqtt()->host, "other.example");
}

// The worker has the mesh: the router waits for it.
static void another_router_is_used_when_the_mesh_is_open_again(void **state) {
    (void)state;
    static const char other[] = "other\npassword-2";
    const mm_actions_t *actions = &s_node.actions.actions;
    start(ESP_RST_POWERON);
    become_root();
    s_node.mesh.restart_is_due = true;
    (void)mm_esp_mesh_poll(&s_node.mesh, mm_esp_owner_now());
    assert_int_equal(s_node.mesh.job, MM_ESP_MESH_RESTARTING);
    assert_int_equal(actions->stage(actions->context, MM_STAGED_NETWORK, other, sizeof other - 1), MM_OK);
    assert_true(run_ms(1000));
    assert_string_equal((const char *)fake_mesh()->router.ssid, "other");
}

static void hqs_acknowledgement_is_taken(void **state) {
    (void)state;
    start(ESP_RST_POWERON);
    become_root();
    fake_sntp_answer(INT64_C(1796000000), 0);
    run_sessions(1);
    const mm_journal_t *journal = &s_node.node.journal;
    mm_ack_t ack = {.database_id = 1,
                    .revision = 1,
                    .time = {.utc = {INT64_C(1796000000) * MM_US_PER_S}, .trust = MM_TRUST_SYNCED},
                    .entry_count = 1,
                    .entries = {{.watermark = {journal->epoch, mm_journal_next(journal).seq - 1}}}};
    memcpy(ack.entries[0].node.bytes, s_own, sizeof s_own);
    uint8_t bytes[256];
    size_t bytes_count = mm_ack_write(bytes, sizeof bytes, &ack);
    assert_true(bytes_count > 0);
    assert_true(mm_journal_backlog(journal) > 0);
    // In the next session it is retained at the broker.
    for (unsigned i = 0; i < 6000 && mm_journal_backlog(journal) > 0; i++) {
        bool was_answered = s_answered == fake_mqtt()->sent_count;
        assert_true(run_ms(100));
        serve_broker();
        if (was_answered && s_answered == fake_mqtt()->sent_count && fake_mqtt()->live_count == 1 &&
            s_node.node.root.uplink.state == MM_UPLINK_DWELLING) {
            fake_mqtt_data("meter/" SITE "/ack", bytes, bytes_count, 16);
        }
    }
    assert_int_equal(mm_position_compare(s_node.node.metering.watermark, ack.entries[0].watermark), 0);
    assert_int_equal(s_node.mqtt.messages_late, 0);
}

static void a_member_greets_the_root_and_answers_at_its_door(void **state) {
    (void)state;
    static const uint8_t root[6] = {2, 0, 0, 0, 0, 1};
    start(ESP_RST_POWERON);
    assert_true(run_ms(1000));
    fake_mesh_connect(2);
    fake_mesh_root_address(root);
    assert_true(run_ms(1000));
    assert_true(s_node.node.attached);
    assert_false(s_node.node.root.active);
    assert_true(fake_mesh()->send_count > 0);
    assert_true(fake_mesh()->sent.to_root);
    assert_true(fake_now()->is_open);
    assert_true(s_node.node.has_join);
    // A frame that is none costs a counter.
    uint32_t before = s_node.node.counters.values[MM_COUNTER_FRAME_CORRUPT];
    assert_true(mm_esp_owner_post_frame((mm_mac_t){{2, 0, 0, 0, 0, 1}}, "no frame", 8));
    assert_true(run_ms(100));
    assert_int_equal(s_node.node.counters.values[MM_COUNTER_FRAME_CORRUPT], before + 1);
}

static void a_flood_is_counted_and_the_node_counts_on(void **state) {
    (void)state;
    start(ESP_RST_POWERON);
    become_root();
    for (unsigned i = 0; i < 50; i++) {
        for (unsigned j = 0; j < 60; j++) {
            (void)mm_esp_owner_post_frame((mm_mac_t){{2, 0, 0, 0, 0, 1}}, "flood", 5);
            (void)mm_esp_owner_post_door((mm_mac_t){{2, 0, 0, 0, 0, 1}}, "flood", 5);
            (void)mm_esp_owner_post_wake();
        }
        pulse(0);
        assert_true(run_ms(50));
    }
    mm_esp_owner_counts_t counts;
    mm_esp_owner_counts(&counts);
    assert_true(counts.frames_full > 0 && counts.packets_full > 0 && counts.queue_full > 0);
    assert_int_equal(life_pulses(), 50);
    assert_true(s_node.node.root.active); // what decides had its places
}

// --- the installer
// ----------------------------------------------------------------------------------------------------

static void press(unsigned ms) {
    fake_gpio_drive(CONFIG_MM_BUTTON_PIN, 0);
    assert_true(run_ms(ms));
    fake_gpio_drive(CONFIG_MM_BUTTON_PIN, 1);
    assert_true(run_ms(200));
}

static bool s_is_in_turn;

// The owner's task, while the server's waits for it.
static void turn_meanwhile(void *context) {
    (void)context;
    if (!s_is_in_turn) {
        s_is_in_turn = true;
        (void)mm_esp_owner_take(&s_post, 0);
        (void)turn(&s_node, &s_post);
        mm_esp_owner_done(&s_post);
        s_is_in_turn = false;
    }
}

static unsigned request(const char *text) {
    fake_while_waiting(turn_meanwhile, NULL);
    unsigned status = fake_http_send(text, strlen(text));
    fake_while_waiting(NULL, NULL);
    return status;
}

static void a_provisioned_node_shows_a_number_and_its_page(void **state) {
    (void)state;
    mm_node_panel_facts_t facts;
    start(ESP_RST_POWERON);
    assert_true(run_ms(1000));
    assert_int_equal(s_node.life.use, MM_ESP_USE_PAGE);
    assert_int_equal(fake_wifi()->mode, WIFI_MODE_AP);
    assert_int_equal(fake_wifi()->ap.ap.authmode, WIFI_AUTH_WPA2_PSK);
    assert_int_equal(strlen((const char *)fake_wifi()->ap.ap.password), MM_ESP_CONFIGURATOR_PASSWORD_CHARS);
    mm_esp_life_fill(&s_node, mm_esp_owner_now(), &facts);
    assert_true(facts.has_number);
    assert_non_null(strstr(facts.address, (const char *)fake_wifi()->ap.ap.password));
    assert_int_equal(request("GET / HTTP/1.1\r\nHost: 192.168.4.1\r\n\r\n"), 200);
    assert_int_equal(request("GET /api/state HTTP/1.1\r\nHost: 192.168.4.1\r\n\r\n"), 200);
    assert_non_null(strstr(fake_http_body(), "provisioned"));
    // Nobody comes: the mesh, and the access point's password is gone.
    assert_true(run_ms(MM_CHALLENGE_LIFE_S * 1000));
    assert_true(run_ms(2000));
    assert_int_equal(s_node.life.use, MM_ESP_USE_MESH);
    assert_int_equal(s_node.life.password[0], 0);
    mm_esp_life_fill(&s_node, mm_esp_owner_now(), &facts);
    assert_false(facts.has_number);
}

static void the_button_opens_the_page_and_the_mesh_comes_back(void **state) {
    (void)state;
    start(ESP_RST_POWERON);
    become_root();
    fake_sntp_answer(INT64_C(1796000000), 0);
    pulse(0);
    assert_true(run_ms(1000));
    press(1000); // menu: network, mesh, send, info, configure
    for (unsigned i = 0; i < 4; i++) {
        press(100);
    }
    press(1000); // configure: no, yes
    press(100);
    press(1000);
    assert_true(run_ms(3000));
    assert_int_equal(s_node.life.use, MM_ESP_USE_PAGE);
    assert_false(fake_mesh()->is_started);
    assert_false(s_node.node.ip_up);
    pulse(0);
    assert_true(run_ms(1000));
    assert_int_equal(life_pulses(), 2);
    assert_true(run_ms(MM_CHALLENGE_LIFE_S * 1000));
    assert_true(run_ms(3000));
    assert_int_equal(s_node.life.use, MM_ESP_USE_MESH);
    assert_true(fake_mesh()->is_started);
    become_root();
    run_sessions(1);
}

static void find_blinks(void **state) {
    (void)state;
    start(ESP_RST_POWERON);
    assert_true(run_ms(1000));
    const mm_actions_t *actions = &s_node.actions.actions;
    assert_int_equal(actions->find(actions->context, 10), MM_OK);
    unsigned before = fake_gpio_pin(CONFIG_MM_LED_PIN)->writes;
    assert_true(run_ms(5000));
    assert_in_range(fake_gpio_pin(CONFIG_MM_LED_PIN)->writes - before, 15, 25);
    assert_true(run_ms(6000));
    before = fake_gpio_pin(CONFIG_MM_LED_PIN)->writes;
    assert_int_equal(fake_gpio_pin(CONFIG_MM_LED_PIN)->level, 0);
    assert_true(run_ms(5000));
    assert_int_equal(fake_gpio_pin(CONFIG_MM_LED_PIN)->writes, before);
}

// --- update
// -----------------------------------------------------------------------------------------------------------

static void an_update_restarts_and_stays_after_good_cycles(void **state) {
    (void)state;
    static const char url[] = "https://updates.example/meshmeter.bin";
    start(ESP_RST_POWERON);
    become_root();
    const mm_actions_t *actions = &s_node.actions.actions;
    assert_int_equal(actions->ota_set_url(actions->context, url, sizeof url - 1), MM_OK);
    assert_int_equal(actions->ota_start(actions->context), MM_OK);
    assert_int_equal(actions->ota_start(actions->context), MM_ERR_STATE);
    assert_false(run_ms(10000));
    assert_true(fake_ota()->new_image_is_next);
    fake_ota()->running_state = ESP_OTA_IMG_PENDING_VERIFY; // as the bootloader does
    start(ESP_RST_SW);
    assert_true(s_node.ota.is_pending);
    become_root();
    run_sessions(CONFIG_MM_OTA_GOOD_CYCLES - 1);
    assert_true(s_node.ota.is_pending);
    run_sessions(CONFIG_MM_OTA_GOOD_CYCLES);
    assert_false(s_node.ota.is_pending);
    assert_int_equal(fake_ota()->running_state, ESP_OTA_IMG_VALID);
}

static void an_image_that_shows_nothing_for_a_day_is_left(void **state) {
    (void)state;
    fake_ota()->running_state = ESP_OTA_IMG_PENDING_VERIFY;
    start(ESP_RST_SW);
    assert_true(run_ms((MM_ESP_NODE_TRIAL_S - 60) * 1000U));
    assert_false(run_ms(120000));
    assert_int_equal(fake_ota()->running_state, ESP_OTA_IMG_PENDING_VERIFY); // the bootloader goes back
}

static void an_update_that_fails_leaves_the_node_as_it_was(void **state) {
    (void)state;
    static const char url[] = "https://updates.example/meshmeter.bin";
    start(ESP_RST_POWERON);
    fake_ota()->image_is_bad = true;
    assert_int_equal(mm_esp_node_begin_update(&s_node, url, false, mm_esp_owner_now()), MM_OK);
    pulse(0);
    assert_true(run_ms(10000));
    assert_int_equal(s_node.ota.state, MM_ESP_OTA_IDLE);
    assert_int_equal(s_node.ota_job, 0);
    assert_int_equal(life_pulses(), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_network_by_cable_is_entered_by_a_restart, unlabelled),
        cmocka_unit_test_setup(lines_are_the_cores_and_the_chips, installed),
        cmocka_unit_test_setup(a_key_is_written_once_and_whole, unlabelled),
        cmocka_unit_test_setup(codes_of_the_label_cannot_be_guessed, labelled),
        cmocka_unit_test_setup(a_network_by_bluetooth_is_entered_when_the_phone_knows, labelled),
        cmocka_unit_test_setup(a_broker_that_is_no_address_is_refused_by_bluetooth, labelled),
        cmocka_unit_test_setup(what_commands_kept_survives_each_call_that_fails, installed),
        cmocka_unit_test_setup(what_commands_kept_does_not_stand_above_another_network, installed),
        cmocka_unit_test_setup(a_root_has_the_time_and_a_session, installed),
        cmocka_unit_test_setup(another_broker_is_used_when_the_session_is_over, installed),
        cmocka_unit_test_setup(another_router_is_used_when_the_mesh_is_open_again, installed),
        cmocka_unit_test_setup(hqs_acknowledgement_is_taken, installed),
        cmocka_unit_test_setup(a_member_greets_the_root_and_answers_at_its_door, installed),
        cmocka_unit_test_setup(a_flood_is_counted_and_the_node_counts_on, installed),
        cmocka_unit_test_setup(a_provisioned_node_shows_a_number_and_its_page, provisioned),
        cmocka_unit_test_setup(the_button_opens_the_page_and_the_mesh_comes_back, installed),
        cmocka_unit_test_setup(find_blinks, installed),
        cmocka_unit_test_setup(an_update_restarts_and_stays_after_good_cycles, installed),
        cmocka_unit_test_setup(an_image_that_shows_nothing_for_a_day_is_left, installed),
        cmocka_unit_test_setup(an_update_that_fails_leaves_the_node_as_it_was, installed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
