// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_mqtt.h"

#include "test_support.h"

#include <esp_crt_bundle.h>
#include <limits.h>
#include <string.h>

#include "fake.h"
#include "fake_freertos.h"
#include "fake_mqtt.h"
#include "mm_esp_owner.h"

#define TOPIC "meter/somewhere/cmd"

static const mm_mac_t MAC = {{0x02, 0xAB, 0, 0, 0x0C, 7}};
static const mm_esp_broker_t BROKER = {.url = "mqtt://broker.example", .user = "meter", .password = "secret"};
static mm_esp_mqtt_t s_mqtt;
static const mm_mqtt_t *const s_core = &s_mqtt.mqtt;

static void never_returns(void *context) {
    (void)context;
}

static int reset(void **state) {
    (void)state;
    fake_reset();
    assert_int_equal(mm_esp_owner_open(), MM_OK);
    assert_int_equal(mm_esp_owner_start(never_returns, NULL), MM_OK);
    mm_esp_mqtt_open(&s_mqtt, MAC, &BROKER, NULL);
    return 0;
}

static mm_us_t poll_now(void) {
    return mm_esp_mqtt_poll(&s_mqtt, fake_time_us());
}

// What the owner finds of MQTT, if there is anything.
static bool next_event(mm_mqtt_event_t *event) {
    mm_esp_post_t taken;
    while (mm_esp_owner_take(&taken, 0)) {
        bool found = taken.kind == MM_ESP_POST_MQTT;
        *event = taken.mqtt;
        mm_esp_owner_done(&taken);
        if (found) {
            return true;
        }
    }
    return false;
}

static mm_mqtt_event_t expect(mm_mqtt_event_kind_t kind, uint32_t session) {
    mm_mqtt_event_t event = {0};
    assert_true(next_event(&event));
    assert_int_equal(event.kind, kind);
    assert_int_equal(event.session, session);
    return event;
}

static void expect_nothing(void) {
    mm_mqtt_event_t event;
    assert_false(next_event(&event));
}

static void start_session(uint32_t session) {
    assert_int_equal(s_core->start(s_core->context, session), MM_OK);
}

static void connect_session(uint32_t session) {
    start_session(session);
    fake_mqtt_accept();
    (void)expect(MM_MQTT_CONNECTED, session);
}

static void end_session(uint32_t session) {
    s_core->stop(s_core->context, true);
    fake_task_run("worker", 1);
    assert_int_equal(fake_mqtt()->live_count, 0);
    (void)poll_now();
    (void)expect(MM_MQTT_DISCONNECTED, session);
    assert_int_equal(s_mqtt.state, MM_ESP_MQTT_IDLE);
}

static void expect_end(mm_mqtt_event_kind_t kind, uint32_t session) {
    (void)poll_now();
    (void)expect(kind, session);
    (void)poll_now();
    expect_nothing();
}

static void fill_queue(void) {
    const mm_mesh_event_t event = {.kind = MM_MESH_GOT_IP};
    while (mm_esp_owner_post_mesh(&event)) {
    }
}

// --- addresses and options -----------------------------------------------------------------------------------------

static void test_addresses(void **state) {
    (void)state;
    static const char *const good[] = {"mqtt://a",          "mqtts://broker.example",
                                       "mqtt://10.0.0.7:1", "mqtts://a_b-c:65535/",
                                       "mqtt://[fd00::1]",  "mqtts://[::ffff:1.2.3.4]:8883"};
    static const char *const bad[] = {"",
                                      "mqtt:/a",
                                      "mqtt://",
                                      "mqtt:///",
                                      "mqtt://:1883",
                                      "MQTT://a",
                                      "http://a",
                                      "wss://a",
                                      "a",
                                      "mqtt://a:",
                                      "mqtt://a:0",
                                      "mqtt://a:65536",
                                      "mqtt://a:018830",
                                      "mqtt://a:1x",
                                      "mqtt://a:-1",
                                      "mqtt://user:word@a",
                                      "mqtt://user@a",
                                      "mqtt://a/path",
                                      "mqtt://a?x",
                                      "mqtt://a b",
                                      "mqtt://a\n",
                                      "mqtt://[",
                                      "mqtt://[]",
                                      "mqtt://[fd00::1",
                                      "mqtt://[g]",
                                      "mqtt://fd00::1"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(mm_esp_mqtt_url_is_good(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(mm_esp_mqtt_url_is_good(bad[i]));
    }
    char longest[MM_BROKER_URL_CHARS_MAX + 2] = "mqtt://";
    memset(longest + 7, 'a', sizeof longest - 8);
    longest[sizeof longest - 1] = '\0';
    assert_false(mm_esp_mqtt_url_is_good(longest));
    longest[MM_BROKER_URL_CHARS_MAX] = '\0';
    assert_true(mm_esp_mqtt_url_is_good(longest));
}

static void test_what_a_client_is_made_with(void **state) {
    (void)state;
    start_session(1);
    const esp_mqtt_client_config_t *config = &fake_mqtt()->config;
    assert_string_equal(fake_mqtt()->host, "broker.example");
    assert_int_equal(config->broker.address.transport, MQTT_TRANSPORT_OVER_TCP);
    assert_int_equal(config->broker.address.port, 1883);
    assert_string_equal(fake_mqtt()->client_id, "02ab00000c07");
    assert_false(config->credentials.set_null_client_id);
    assert_string_equal(fake_mqtt()->user, "meter");
    assert_string_equal(fake_mqtt()->password, "secret");
    assert_false(config->session.disable_clean_session);
    assert_false(config->session.disable_keepalive);
    assert_int_equal(config->session.keepalive, MM_ESP_MQTT_KEEP_ALIVE_S);
    assert_int_equal(config->session.protocol_ver, MQTT_PROTOCOL_V_3_1_1);
    // Longer than a session: the carrier sends nothing twice.
    assert_true(config->session.message_retransmit_timeout > 600 * 1000);
    assert_true(config->network.disable_auto_reconnect);
    assert_int_equal(config->network.timeout_ms, MM_ESP_MQTT_CONNECT_MS);
    assert_null(config->broker.verification.crt_bundle_attach);
    assert_null(config->broker.verification.certificate);
}

static void use_url(const char *url, const char *pinned_ca) {
    mm_esp_broker_t broker = {0};
    strcpy(broker.url, url);
    mm_esp_mqtt_open(&s_mqtt, MAC, &broker, pinned_ca);
}

static void test_tls_is_always_verified(void **state) {
    (void)state;
    const esp_mqtt_client_config_t *config = &fake_mqtt()->config;
    use_url("mqtts://broker.example", NULL);
    start_session(1);
    assert_int_equal(config->broker.address.transport, MQTT_TRANSPORT_OVER_SSL);
    assert_int_equal(config->broker.address.port, 8883);
    assert_ptr_equal(config->broker.verification.crt_bundle_attach, esp_crt_bundle_attach);
    assert_null(config->broker.verification.certificate);
    assert_false(config->broker.verification.skip_cert_common_name_check);
    assert_false(fake_mqtt()->has_user);
    fake_mqtt_begin();
    end_session(1);

    static const char pinned[] = "-----BEGIN CERTIFICATE-----";
    use_url("mqtts://[fd00::1]:123/", pinned);
    start_session(2);
    assert_string_equal(fake_mqtt()->host, "fd00::1");
    assert_int_equal(config->broker.address.port, 123);
    assert_ptr_equal(config->broker.verification.certificate, pinned);
    assert_int_equal(config->broker.verification.certificate_len, 0);
    assert_null(config->broker.verification.crt_bundle_attach);
    assert_false(config->broker.verification.skip_cert_common_name_check);
    fake_mqtt_begin();
    end_session(2);

    use_url("mqtt://broker.example", pinned);
    start_session(3);
    assert_null(config->broker.verification.certificate);
}

static void test_broker_changes_between_sessions(void **state) {
    (void)state;
    const mm_esp_broker_t other = {.url = "mqtts://other.example:1234"};
    const mm_esp_broker_t bad = {.url = "http://other.example"};
    connect_session(1);
    assert_int_equal(mm_esp_mqtt_set_broker(&s_mqtt, &other), MM_ERR_BUSY);
    assert_int_equal(mm_esp_mqtt_set_broker(&s_mqtt, &bad), MM_ERR_ARG);
    s_core->stop(s_core->context, true);
    assert_int_equal(mm_esp_mqtt_set_broker(&s_mqtt, &other), MM_ERR_BUSY);
    fake_task_run("worker", 1);
    assert_int_equal(mm_esp_mqtt_set_broker(&s_mqtt, &other), MM_ERR_BUSY);
    (void)poll_now();
    (void)expect(MM_MQTT_DISCONNECTED, 1);
    assert_int_equal(mm_esp_mqtt_set_broker(&s_mqtt, &bad), MM_ERR_ARG);
    connect_session(2);
    assert_string_equal(fake_mqtt()->host, "broker.example");
    end_session(2);
    assert_int_equal(mm_esp_mqtt_set_broker(&s_mqtt, &other), MM_OK);
    connect_session(3);
    assert_string_equal(fake_mqtt()->host, "other.example");
    assert_int_equal(fake_mqtt()->config.broker.address.port, 1234);
    assert_false(fake_mqtt()->has_user);
    end_session(3);
}

// --- a session -----------------------------------------------------------------------------------------------------

static void test_whole_session(void **state) {
    (void)state;
    uint16_t ids[4] = {0};
    connect_session(7);
    assert_int_equal(s_core->subscribe(s_core->context, TOPIC, 1, &ids[0]), MM_OK);
    assert_int_equal(s_core->subscribe(s_core->context, "meter/somewhere/ack", 1, &ids[1]), MM_OK);
    fake_mqtt_suback(ids[0], 1);
    fake_mqtt_suback(ids[1], 0x80);
    mm_mqtt_event_t event = expect(MM_MQTT_SUBSCRIBED, 7);
    assert_int_equal(event.packet_id, ids[0]);
    assert_int_equal(event.reason, 1);
    event = expect(MM_MQTT_SUBSCRIBED, 7);
    assert_int_equal(event.packet_id, ids[1]);
    assert_int_equal(event.reason, 0x80);

    // No terminator, and a message that a string function would take for empty.
    assert_int_equal(s_core->publish(s_core->context, "meter/somewhere/info", "\0ab", 3, &ids[2]), MM_OK);
    assert_int_equal(s_core->publish(s_core->context, "meter/somewhere/info", "abc", 0, &ids[3]), MM_OK);
    const fake_mqtt_sent_t *sent = &fake_mqtt()->sent[2];
    assert_string_equal(sent->topic, "meter/somewhere/info");
    assert_int_equal(sent->qos, 1);
    assert_int_equal(sent->packet_id, ids[2]);
    assert_int_equal(sent->bytes_count, 3);
    assert_memory_equal(sent->bytes, "\0ab", 3);
    assert_int_equal(fake_mqtt()->sent[3].bytes_count, 0);
    fake_mqtt_puback(ids[3]);
    fake_mqtt_puback(ids[2]);
    assert_int_equal(expect(MM_MQTT_PUBLISHED, 7).packet_id, ids[3]);
    event = expect(MM_MQTT_PUBLISHED, 7);
    assert_int_equal(event.packet_id, ids[2]);
    assert_int_equal(event.reason, 0);

    assert_int_equal(poll_now(), MM_US_NEVER);
    s_core->stop(s_core->context, true);
    assert_int_equal(fake_mqtt()->disconnects, 1);
    (void)poll_now();
    expect_nothing(); // not before the client is gone
    assert_int_equal(s_mqtt.state, MM_ESP_MQTT_CLOSING);
    assert_int_equal(s_core->start(s_core->context, 8), MM_ERR_BUSY);
    fake_task_run("worker", 1);
    assert_int_equal(fake_mqtt()->live_count, 0);
    (void)poll_now();
    (void)expect(MM_MQTT_DISCONNECTED, 7);
    assert_int_equal(poll_now(), MM_US_NEVER);
    expect_nothing();
}

static void test_suback_without_a_code(void **state) {
    (void)state;
    connect_session(1);
    fake_mqtt_suback(5, -1);
    assert_int_equal(expect(MM_MQTT_SUBSCRIBED, 1).reason, 0x80);
}

static void test_sessions_one_after_another(void **state) {
    (void)state;
    for (uint32_t session = 1; session <= 50; session++) {
        connect_session(session);
        end_session(session);
    }
    assert_int_equal(fake_mqtt()->made_count, 50);
}

static void test_calls_without_a_connection(void **state) {
    (void)state;
    uint16_t id = 0;
    s_core->stop(s_core->context, true); // no session: no effect
    (void)poll_now();
    expect_nothing();
    assert_int_equal(s_core->subscribe(s_core->context, TOPIC, 1, &id), MM_ERR_STATE);
    start_session(1);
    assert_int_equal(s_core->start(s_core->context, 2), MM_ERR_BUSY);
    assert_int_equal(s_core->subscribe(s_core->context, TOPIC, 1, &id), MM_ERR_STATE);
    assert_int_equal(s_core->publish(s_core->context, TOPIC, "a", 1, &id), MM_ERR_STATE);
    fake_mqtt_accept();
    (void)expect(MM_MQTT_CONNECTED, 1);
    assert_int_equal(s_core->publish(s_core->context, TOPIC, "a", (size_t)INT_MAX + 1, &id), MM_ERR_ARG);
    fake_mqtt()->refuse_with = -2;
    assert_int_equal(s_core->publish(s_core->context, TOPIC, "a", 1, &id), MM_ERR_FULL);
    fake_mqtt()->refuse_with = -1;
    assert_int_equal(s_core->subscribe(s_core->context, TOPIC, 1, &id), MM_ERR_UNAVAILABLE);
    fake_mqtt()->refuse_with = 0;
    fake_mqtt_lose();
    assert_int_equal(s_core->publish(s_core->context, TOPIC, "a", 1, &id), MM_ERR_STATE);
    expect_end(MM_MQTT_ERROR, 1);
    end_session(1);
    connect_session(2);
    s_core->stop(s_core->context, true);
    assert_int_equal(s_core->publish(s_core->context, TOPIC, "a", 1, &id), MM_ERR_STATE);
    assert_int_equal(fake_mqtt()->sent_count, 0);
}

// --- how it ends ---------------------------------------------------------------------------------------------------

static void test_refused(void **state) {
    (void)state;
    start_session(1);
    fake_mqtt_refuse(MQTT_CONNECTION_REFUSE_NOT_AUTHORIZED);
    (void)poll_now();
    assert_int_equal(expect(MM_MQTT_REFUSED, 1).reason, 5);
    (void)poll_now();
    expect_nothing(); // the end of the connection behind it is no second event
    end_session(1);
}

static void test_connection_fails(void **state) {
    (void)state;
    esp_mqtt_error_codes_t error = {.error_type = MQTT_ERROR_TYPE_TCP_TRANSPORT, .esp_transport_sock_errno = 113};
    start_session(1);
    fake_mqtt_begin();
    fake_mqtt_event(fake_mqtt_client(), (esp_mqtt_event_t){.event_id = MQTT_EVENT_ERROR, .error_handle = &error});
    fake_mqtt_lose();
    assert_int_equal(s_mqtt.error_of_socket, 113);
    expect_end(MM_MQTT_ERROR, 1);
    end_session(1);
    start_session(2);
    fake_mqtt_begin();
    fake_mqtt_event(fake_mqtt_client(), (esp_mqtt_event_t){.event_id = MQTT_EVENT_ERROR});
    assert_int_equal(s_mqtt.error_of_socket, 0);
    expect_end(MM_MQTT_ERROR, 2);
    end_session(2);
}

static void test_connection_is_lost(void **state) {
    (void)state;
    connect_session(1);
    fake_mqtt_puback(3);
    fake_mqtt_lose();
    // What came before the end is told before it.
    (void)poll_now();
    (void)expect(MM_MQTT_PUBLISHED, 1);
    (void)expect(MM_MQTT_ERROR, 1);
    end_session(1);
    // Lost while it is being closed: only the end of it all counts.
    connect_session(2);
    s_core->stop(s_core->context, true);
    fake_mqtt_lose();
    (void)poll_now();
    expect_nothing();
    fake_task_run("worker", 1);
    (void)poll_now();
    (void)expect(MM_MQTT_DISCONNECTED, 2);
}

static void test_carrier_reconnects_by_itself(void **state) {
    (void)state;
    connect_session(1);
    fake_mqtt_event(fake_mqtt_client(), (esp_mqtt_event_t){.event_id = MQTT_EVENT_CONNECTED});
    expect_end(MM_MQTT_ERROR, 1);
    end_session(1);
}

static void test_stop_twice(void **state) {
    (void)state;
    connect_session(1);
    s_core->stop(s_core->context, true);
    s_core->stop(s_core->context, false);
    fake_task_run("worker", 1);
    s_core->stop(s_core->context, false);
    (void)poll_now();
    (void)expect(MM_MQTT_DISCONNECTED, 1);
    s_core->stop(s_core->context, false);
    (void)poll_now();
    expect_nothing();
    assert_int_equal(fake_mqtt()->disconnects, 1);
}

static void begin_while_waiting(void *context) {
    unsigned *waits = context;
    if (++*waits == 3) {
        fake_mqtt_begin();
    }
}

// The SDK would free a client that its task is about to use.
static void test_stop_before_the_task_has_begun(void **state) {
    (void)state;
    unsigned waits = 0;
    start_session(1);
    s_core->stop(s_core->context, false);
    fake_while_waiting(begin_while_waiting, &waits);
    fake_task_run("worker", 2);
    assert_int_equal(fake_mqtt()->live_count, 1);
    fake_while_waiting(NULL, NULL);
    (void)reset(NULL);
    connect_session(1); // of which nothing is left
    end_session(1);
    waits = 0;
    start_session(2);
    s_core->stop(s_core->context, false);
    fake_while_waiting(begin_while_waiting, &waits);
    fake_task_run("worker", 4); // three in the job, and the next job
    fake_while_waiting(NULL, NULL);
    assert_int_equal(waits, 4);
    assert_int_equal(fake_mqtt()->live_count, 0);
    (void)poll_now();
    (void)expect(MM_MQTT_DISCONNECTED, 2);
}

// A task that could not even make its transport ends without an event.
static void test_task_ends_without_an_event(void **state) {
    (void)state;
    start_session(1);
    s_core->stop(s_core->context, false);
    fake_task_run("worker", MM_ESP_MQTT_BEGIN_WAIT_MS / portTICK_PERIOD_MS + 1);
    assert_int_equal(fake_mqtt()->live_count, 0);
    assert_true(fake_time_us() >= MM_ESP_MQTT_BEGIN_WAIT_MS * INT64_C(1000));
    assert_true(fake_time_us() < (mm_us_t)MM_ESP_MQTT_CLOSE_S * MM_US_PER_S);
    (void)poll_now();
    (void)expect(MM_MQTT_DISCONNECTED, 1);
}

static void other_job(void *context) {
    *(bool *)context = true;
}

static void test_worker_is_busy(void **state) {
    (void)state;
    bool is_done = false;
    uint32_t number = 0;
    connect_session(1);
    assert_int_equal(mm_esp_owner_give_job(other_job, &is_done, 1000, &number), MM_OK);
    s_core->stop(s_core->context, true);
    // The connection does not wait for the worker.
    assert_int_equal(fake_mqtt()->disconnects, 1);
    assert_int_equal(s_mqtt.state, MM_ESP_MQTT_RUNNING);
    assert_int_equal(s_core->start(s_core->context, 2), MM_ERR_BUSY);
    assert_in_range(poll_now(), 1, MM_US_PER_S);
    s_core->stop(s_core->context, false);
    assert_int_equal(fake_mqtt()->disconnects, 1);
    fake_mqtt_lose();
    (void)poll_now();
    expect_nothing(); // that it is being closed is known
    fake_task_run("worker", 1);
    assert_true(is_done);
    expect_nothing(); // takes the job's end
    (void)poll_now();
    assert_int_equal(s_mqtt.state, MM_ESP_MQTT_CLOSING);
    fake_task_run("worker", 1);
    assert_int_equal(fake_mqtt()->live_count, 0);
    (void)poll_now();
    (void)expect(MM_MQTT_DISCONNECTED, 1);
    connect_session(2);
    end_session(2);
}

// An end that takes too long is a lost worker.
static void test_worker_has_a_deadline(void **state) {
    (void)state;
    const mm_us_t limit = (mm_us_t)(MM_ESP_MQTT_CLOSE_S + MM_ESP_OWNER_JOB_GRACE_S) * MM_US_PER_S;
    connect_session(1);
    s_core->stop(s_core->context, true);
    assert_true(mm_esp_owner_worker_is_good(limit - 1));
    assert_false(mm_esp_owner_worker_is_good(limit));
}

static void test_owners_queue_is_full(void **state) {
    (void)state;
    connect_session(1);
    fill_queue();
    fake_mqtt_lose();
    assert_int_equal(poll_now(), fake_time_us() + 100000); // told later
    expect_nothing();
    assert_int_equal(poll_now(), MM_US_NEVER);
    (void)expect(MM_MQTT_ERROR, 1);
    s_core->stop(s_core->context, true);
    fake_task_run("worker", 1);
    expect_nothing();
    fill_queue();
    assert_int_equal(poll_now(), fake_time_us() + 100000);
    assert_int_equal(s_core->start(s_core->context, 2), MM_ERR_BUSY);
    expect_nothing();
    (void)poll_now();
    (void)expect(MM_MQTT_DISCONNECTED, 1);
    connect_session(2);
    end_session(2);
}

static void test_events_of_another_client(void **state) {
    (void)state;
    connect_session(1);
    esp_mqtt_client_handle_t old = fake_mqtt_client();
    end_session(1);
    fake_mqtt_event_of_gone(old, (esp_mqtt_event_t){.event_id = MQTT_EVENT_PUBLISHED, .msg_id = 1});
    start_session(2);
    fake_mqtt_event_of_gone(old, (esp_mqtt_event_t){.event_id = MQTT_EVENT_CONNECTED});
    fake_mqtt_event_of_gone(old, (esp_mqtt_event_t){.event_id = MQTT_EVENT_DISCONNECTED});
    (void)poll_now();
    expect_nothing();
    assert_int_equal(s_mqtt.events_stale, 3);
    fake_mqtt_accept();
    (void)expect(MM_MQTT_CONNECTED, 2);
    end_session(2);
}

// Each call of the SDK fails once: nothing leaks, the end is told, and the next session works.
static void test_every_call_fails(void **state) {
    (void)state;
    unsigned call_no = 0;
    bool failed = true;
    while (failed) {
        (void)reset(NULL);
        fake_fail_at(++call_no);
        uint16_t id = 0;
        mm_mqtt_event_t event;
        mm_err_t err = s_core->start(s_core->context, 1);
        assert_int_equal(fake_mqtt()->live_count, err == MM_OK ? 1 : 0);
        assert_int_equal(s_mqtt.sessions_failed, err == MM_OK ? 0 : 1);
        if (err == MM_OK) {
            fake_mqtt_accept();
            bool subscribed = s_core->subscribe(s_core->context, TOPIC, 1, &id) == MM_OK;
            assert_true(subscribed == (id != 0));
            fake_mqtt_data(TOPIC, "abc", 3, 2);
            if (s_core->publish(s_core->context, TOPIC, "a", 1, &id) == MM_OK) {
                fake_mqtt_puback(id);
            }
            s_core->stop(s_core->context, true);
            (void)poll_now();
            fake_task_run("worker", 2);
            (void)poll_now();
            mm_mqtt_event_kind_t last = MM_MQTT_EVENT_NONE;
            while (next_event(&event)) {
                last = event.kind;
                if (event.kind == MM_MQTT_DATA) {
                    mm_esp_mqtt_release(&s_mqtt);
                }
            }
            (void)poll_now(); // a post that failed
            while (next_event(&event)) {
                last = event.kind;
            }
            assert_int_equal(last, MM_MQTT_DISCONNECTED);
        } else {
            assert_int_equal(err, MM_ERR_UNAVAILABLE);
        }
        failed = fake_has_failed();
        fake_fail_at(0);
        assert_int_equal(fake_mqtt()->live_count, 0);
        assert_int_equal(s_mqtt.posted, s_mqtt.released);
        connect_session(2);
        end_session(2);
    }
    // Init, register, start; CONNECTED, subscribe, DATA, publish, PUBLISHED; the job, its end, DISCONNECTED.
    assert_int_equal(call_no, 12);
}

// --- messages ------------------------------------------------------------------------------------------------------

static void expect_message(uint32_t session, const char *topic, const void *bytes, size_t bytes_count) {
    mm_mqtt_event_t event = expect(MM_MQTT_DATA, session);
    assert_string_equal(event.topic, topic);
    assert_int_equal(event.bytes_count, bytes_count);
    assert_non_null(event.bytes);
    assert_memory_equal(event.bytes, bytes, bytes_count);
    assert_true(event.retained);
    mm_esp_mqtt_release(&s_mqtt);
}

static void fill(uint8_t *bytes, size_t bytes_count) {
    for (size_t i = 0; i < bytes_count; i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    }
}

static void test_messages_in_pieces(void **state) {
    (void)state;
    uint8_t bytes[MM_DOWNLINK_BYTES_MAX];
    fill(bytes, sizeof bytes);
    connect_session(1);
    static const size_t pieces[] = {0, 1, 7, 1000, 1024, MM_DOWNLINK_BYTES_MAX - 1, MM_DOWNLINK_BYTES_MAX};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        fake_mqtt_data(TOPIC, bytes, sizeof bytes, pieces[i]);
        expect_message(1, TOPIC, bytes, sizeof bytes);
        fake_mqtt_data(TOPIC, bytes, 10, pieces[i]);
        expect_message(1, TOPIC, bytes, 10);
    }
    fake_mqtt_data(TOPIC, bytes, 0, 0); // an empty message is one, too
    expect_message(1, TOPIC, bytes, 0);
    expect_nothing();
    end_session(1);
}

static void test_longer_than_the_buffer(void **state) {
    (void)state;
    static uint8_t bytes[8192];
    fill(bytes, sizeof bytes);
    connect_session(1);
    static const size_t pieces[] = {0, 1000, 1};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        fake_mqtt_data(TOPIC, bytes, i == 0 ? MM_DOWNLINK_BYTES_MAX + 1 : sizeof bytes, pieces[i]);
        mm_mqtt_event_t event = expect(MM_MQTT_DATA, 1);
        assert_null(event.bytes);
        assert_string_equal(event.topic, TOPIC);
        assert_int_equal(event.bytes_count, i == 0 ? MM_DOWNLINK_BYTES_MAX + 1 : sizeof bytes);
        mm_esp_mqtt_release(&s_mqtt);
        fake_mqtt_data(TOPIC, bytes, 5, 2);
        expect_message(1, TOPIC, bytes, 5);
    }
    end_session(1);
}

typedef struct {
    int offset;
    int bytes_count;
    int total;
} piece_t;

static void send_pieces(const piece_t *pieces, size_t count) {
    char data[16] = "0123456789";
    char topic[] = TOPIC;
    for (size_t i = 0; i < count; i++) {
        bool is_first = pieces[i].offset == 0;
        fake_mqtt_event(fake_mqtt_client(), (esp_mqtt_event_t){.event_id = MQTT_EVENT_DATA,
                                                               .data = data,
                                                               .data_len = pieces[i].bytes_count,
                                                               .total_data_len = pieces[i].total,
                                                               .current_data_offset = pieces[i].offset,
                                                               .topic = is_first ? topic : NULL,
                                                               .topic_len = is_first ? (int)strlen(topic) : 0});
    }
}

static void test_pieces_that_do_not_fit(void **state) {
    (void)state;
    static const piece_t bad[][3] = {
        {{0, 4, 10}, {5, 4, 10}, {9, 1, 10}},                // a gap
        {{0, 4, 10}, {3, 4, 10}, {7, 3, 10}},                // twice
        {{0, 4, 10}, {0, 4, 10}, {4, 6, 10}},                // the beginning again
        {{4, 6, 10}, {0, 4, 10}, {4, 6, 10}},                // the end first
        {{0, 4, 10}, {4, 4, 9}, {8, 2, 9}},                  // another length
        {{0, 4, 10}, {4, 7, 10}, {0, 0, 0}},                 // too much
        {{0, 11, 10}, {0, 0, 0}, {0, 0, 0}},                 // at once
        {{0, -1, 10}, {0, 4, 10}, {4, 6, 10}},               // nonsense
        {{-1, 4, 10}, {0, 4, 10}, {4, 6, 10}},               //
        {{0, 4, -1}, {0, 4, 10}, {4, 6, 10}},                //
        {{0, 4, 10}, {4, INT_MAX, 10}, {0, 0, 0}},           //
        {{0, 4, INT_MAX}, {INT_MAX, 4, INT_MAX}, {0, 0, 0}}, //
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)reset(NULL);
        connect_session(1);
        send_pieces(bad[i], 3);
        assert_int_equal(s_mqtt.messages_broken, 1);
        expect_end(MM_MQTT_ERROR, 1); // and no message
        end_session(1);
        // Nothing of it is left.
        connect_session(2);
        fake_mqtt_data(TOPIC, "whole", 5, 3);
        expect_message(2, TOPIC, "whole", 5);
        end_session(2);
    }
}

// The connection ends in the middle of a message; the next session begins with another one.
static void test_half_a_message_is_forgotten(void **state) {
    (void)state;
    static const piece_t half = {0, 4, 10};
    connect_session(1);
    send_pieces(&half, 1);
    fake_mqtt_lose();
    expect_end(MM_MQTT_ERROR, 1);
    end_session(1);
    connect_session(2);
    fake_mqtt_data(TOPIC, "whole", 5, 3);
    expect_message(2, TOPIC, "whole", 5);
    assert_int_equal(s_mqtt.messages_broken, 0);
    end_session(2);
}

static void test_topics(void **state) {
    (void)state;
    char longest[MM_ESP_MQTT_TOPIC_BYTES_MAX + 2];
    memset(longest, 't', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    connect_session(1);
    fake_mqtt_data(longest, "abcdef", 6, 2); // one too long
    fake_mqtt_data("", "abcdef", 6, 4);
    char with_nul[] = "meter/some\0where";
    char data[] = "x";
    fake_mqtt_event(fake_mqtt_client(), (esp_mqtt_event_t){.event_id = MQTT_EVENT_DATA,
                                                           .data = data,
                                                           .data_len = 1,
                                                           .total_data_len = 1,
                                                           .topic = with_nul,
                                                           .topic_len = sizeof with_nul - 1});
    (void)poll_now();
    expect_nothing();
    assert_int_equal(s_mqtt.messages_dropped, 3);
    longest[MM_ESP_MQTT_TOPIC_BYTES_MAX] = '\0';
    fake_mqtt_data(longest, "abcdef", 6, 4);
    expect_message(1, longest, "abcdef", 6);
    end_session(1);
}

// --- buffers -------------------------------------------------------------------------------------------------------

static void test_two_messages_need_no_wait(void **state) {
    (void)state;
    connect_session(1);
    fake_mqtt_data(TOPIC, "one", 3, 0);
    fake_mqtt_data("meter/somewhere/ack", "two", 3, 1);
    assert_int_equal(fake_time_us(), 0);
    expect_message(1, TOPIC, "one", 3);
    fake_mqtt_data(TOPIC, "three", 5, 0);
    assert_int_equal(fake_time_us(), 0);
    expect_message(1, "meter/somewhere/ack", "two", 3);
    expect_message(1, TOPIC, "three", 5);
    end_session(1);
}

static void release_one(void *context) {
    unsigned *waits = context;
    if (++*waits == 3) {
        expect_message(1, TOPIC, "one", 3);
    }
}

static void test_third_message_waits(void **state) {
    (void)state;
    unsigned waits = 0;
    connect_session(1);
    fake_mqtt_data(TOPIC, "one", 3, 0);
    fake_mqtt_data(TOPIC, "two", 3, 0);
    fake_while_waiting(release_one, &waits);
    fake_mqtt_data(TOPIC, "three", 5, 2);
    fake_while_waiting(NULL, NULL);
    assert_int_equal(waits, 3);
    expect_message(1, TOPIC, "two", 3);
    expect_message(1, TOPIC, "three", 5);
    assert_int_equal(s_mqtt.messages_late, 0);
    end_session(1);
}

static void test_buffer_comes_too_late(void **state) {
    (void)state;
    connect_session(1);
    fake_mqtt_data(TOPIC, "one", 3, 0);
    fake_mqtt_data(TOPIC, "two", 3, 0);
    fake_mqtt_data(TOPIC, "three", 5, 2);
    assert_int_equal(fake_time_us(), MM_ESP_MQTT_DATA_WAIT_MS * INT64_C(1000));
    assert_int_equal(s_mqtt.messages_late, 1);
    // Once: what comes behind it is not waited for.
    fake_mqtt_data(TOPIC, "four", 4, 0);
    assert_int_equal(fake_time_us(), MM_ESP_MQTT_DATA_WAIT_MS * INT64_C(1000));
    expect_message(1, TOPIC, "one", 3);
    expect_message(1, TOPIC, "two", 3);
    expect_end(MM_MQTT_ERROR, 1);
    end_session(1);
}

static void stop_while_waiting(void *context) {
    (void)context;
    s_core->stop(s_core->context, true);
}

static void test_stop_ends_the_wait(void **state) {
    (void)state;
    connect_session(1);
    fake_mqtt_data(TOPIC, "one", 3, 0);
    fake_mqtt_data(TOPIC, "two", 3, 0);
    fake_while_waiting(stop_while_waiting, NULL);
    fake_mqtt_data(TOPIC, "three", 5, 2);
    fake_while_waiting(NULL, NULL);
    assert_true(fake_time_us() <= 20000);
    expect_message(1, TOPIC, "one", 3);
    expect_message(1, TOPIC, "two", 3);
    expect_nothing();
    end_session(1);
}

// The SDK's task holds its lock while it is in the handler, and the owner waits for it.
static void three_messages(void *context) {
    (void)context;
    fake_mqtt()->while_locked = NULL;
    fake_mqtt_data(TOPIC, "one", 3, 0);
    fake_mqtt_data(TOPIC, "two", 3, 0);
    assert_int_equal(s_mqtt.messages_late, 0);
    fake_mqtt_data(TOPIC, "three", 5, 2);
}

static void test_owner_and_task_do_not_wait_for_each_other(void **state) {
    (void)state;
    for (int with_publish = 0; with_publish < 2; with_publish++) {
        (void)reset(NULL);
        uint16_t id = 0;
        connect_session(1);
        fake_mqtt()->while_locked = three_messages;
        if (with_publish != 0) {
            assert_int_equal(s_core->publish(s_core->context, TOPIC, "a", 1, &id), MM_OK);
        } else {
            assert_int_equal(s_core->subscribe(s_core->context, TOPIC, 1, &id), MM_OK);
        }
        assert_int_equal(fake_time_us(), 0);
        assert_int_equal(s_mqtt.messages_late, 1);
        expect_message(1, TOPIC, "one", 3);
        expect_message(1, TOPIC, "two", 3);
        expect_end(MM_MQTT_ERROR, 1);
        end_session(1);
        // Afterwards the wait is allowed again.
        connect_session(2);
        int64_t before_us = fake_time_us();
        fake_mqtt_data(TOPIC, "one", 3, 0);
        fake_mqtt_data(TOPIC, "two", 3, 0);
        fake_mqtt_data(TOPIC, "three", 5, 2);
        assert_int_equal(fake_time_us() - before_us, MM_ESP_MQTT_DATA_WAIT_MS * INT64_C(1000));
    }
}

static void send_the_rest(void *context) {
    static const piece_t rest = {4, 6, 10};
    unsigned *waits = context;
    if (++*waits == 3) {
        send_pieces(&rest, 1);
    }
}

// A broker that sends a byte every nine seconds, and the SDK's task has its lock meanwhile: the owner's watchdog has
// twenty.
static void test_owner_does_not_wait_for_a_slow_broker(void **state) {
    (void)state;
    static const piece_t half = {0, 4, 10};
    uint16_t id = 0;
    unsigned waits = 0;
    connect_session(1);
    send_pieces(&half, 1);
    assert_int_equal(s_core->publish(s_core->context, TOPIC, "a", 1, &id), MM_ERR_BUSY);
    assert_int_equal(fake_time_us(), MM_ESP_MQTT_LOCK_WAIT_MS * INT64_C(1000));
    assert_int_equal(s_core->subscribe(s_core->context, TOPIC, 1, &id), MM_ERR_BUSY);
    assert_false(atomic_load(&s_mqtt.lock_wanted));
    // One that has only been under way.
    fake_while_waiting(send_the_rest, &waits);
    assert_int_equal(s_core->publish(s_core->context, TOPIC, "a", 1, &id), MM_OK);
    fake_while_waiting(NULL, NULL);
    assert_int_equal(waits, 3);
    assert_memory_equal(expect(MM_MQTT_DATA, 1).bytes, "0123012345", 10);
    mm_esp_mqtt_release(&s_mqtt);
    // One that is not for the core is taken in all the same.
    char longest[MM_ESP_MQTT_TOPIC_BYTES_MAX + 2];
    memset(longest, 't', sizeof longest);
    fake_mqtt_event(fake_mqtt_client(), (esp_mqtt_event_t){.event_id = MQTT_EVENT_DATA,
                                                           .data = longest,
                                                           .data_len = 1,
                                                           .total_data_len = 2,
                                                           .topic = longest,
                                                           .topic_len = sizeof longest});
    assert_int_equal(s_core->publish(s_core->context, TOPIC, "a", 1, &id), MM_ERR_BUSY);
    // A session that ends is not waited for, and leaves nothing to the next one.
    fake_mqtt_lose();
    assert_int_equal(s_core->publish(s_core->context, TOPIC, "a", 1, &id), MM_ERR_STATE);
    expect_end(MM_MQTT_ERROR, 1);
    end_session(1);
    connect_session(2);
    int64_t before_us = fake_time_us();
    assert_int_equal(s_core->publish(s_core->context, TOPIC, "a", 1, &id), MM_OK);
    assert_int_equal(fake_time_us(), before_us);
    end_session(2);
}

static void test_message_finds_no_room_in_the_queue(void **state) {
    (void)state;
    connect_session(1);
    fill_queue();
    fake_mqtt_data(TOPIC, "one", 3, 2);
    assert_int_equal(s_mqtt.messages_late, 1);
    assert_int_equal(s_mqtt.posted, s_mqtt.released);
    expect_nothing();
    expect_end(MM_MQTT_ERROR, 1);
    end_session(1);
}

// A message of the last session that the owner still has is not written over by the next one.
static void test_message_of_the_last_session(void **state) {
    (void)state;
    connect_session(1);
    fake_mqtt_data(TOPIC, "old", 3, 0);
    mm_mqtt_event_t old = expect(MM_MQTT_DATA, 1);
    end_session(1);
    connect_session(2);
    fake_mqtt_data(TOPIC, "new", 3, 0);
    mm_mqtt_event_t event = expect(MM_MQTT_DATA, 2);
    assert_memory_equal(old.bytes, "old", 3);
    assert_memory_equal(event.bytes, "new", 3);
    mm_esp_mqtt_release(&s_mqtt);
    mm_esp_mqtt_release(&s_mqtt);
    end_session(2);
}

// Nothing of a message that comes while the session is being stopped.
static void test_message_after_stop(void **state) {
    (void)state;
    connect_session(1);
    s_core->stop(s_core->context, true);
    fake_mqtt_data(TOPIC, "one", 3, 0);
    expect_nothing();
    fake_task_run("worker", 1);
    (void)poll_now();
    (void)expect(MM_MQTT_DISCONNECTED, 1);
}

static void test_address_that_is_none(void **state) {
    (void)state;
    use_url("", NULL);
    assert_int_equal(s_core->start(s_core->context, 1), MM_ERR_UNAVAILABLE);
    assert_int_equal(s_mqtt.sessions_failed, 1);
    assert_int_equal(fake_mqtt()->made_count, 0);
    s_core->stop(s_core->context, true);
    (void)poll_now();
    expect_nothing();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_addresses, reset),
        cmocka_unit_test_setup(test_what_a_client_is_made_with, reset),
        cmocka_unit_test_setup(test_tls_is_always_verified, reset),
        cmocka_unit_test_setup(test_broker_changes_between_sessions, reset),
        cmocka_unit_test_setup(test_whole_session, reset),
        cmocka_unit_test_setup(test_suback_without_a_code, reset),
        cmocka_unit_test_setup(test_sessions_one_after_another, reset),
        cmocka_unit_test_setup(test_calls_without_a_connection, reset),
        cmocka_unit_test_setup(test_refused, reset),
        cmocka_unit_test_setup(test_connection_fails, reset),
        cmocka_unit_test_setup(test_connection_is_lost, reset),
        cmocka_unit_test_setup(test_carrier_reconnects_by_itself, reset),
        cmocka_unit_test_setup(test_stop_twice, reset),
        cmocka_unit_test_setup(test_stop_before_the_task_has_begun, reset),
        cmocka_unit_test_setup(test_task_ends_without_an_event, reset),
        cmocka_unit_test_setup(test_worker_is_busy, reset),
        cmocka_unit_test_setup(test_worker_has_a_deadline, reset),
        cmocka_unit_test_setup(test_owners_queue_is_full, reset),
        cmocka_unit_test_setup(test_events_of_another_client, reset),
        cmocka_unit_test_setup(test_every_call_fails, reset),
        cmocka_unit_test_setup(test_messages_in_pieces, reset),
        cmocka_unit_test_setup(test_longer_than_the_buffer, reset),
        cmocka_unit_test_setup(test_pieces_that_do_not_fit, reset),
        cmocka_unit_test_setup(test_half_a_message_is_forgotten, reset),
        cmocka_unit_test_setup(test_topics, reset),
        cmocka_unit_test_setup(test_two_messages_need_no_wait, reset),
        cmocka_unit_test_setup(test_third_message_waits, reset),
        cmocka_unit_test_setup(test_buffer_comes_too_late, reset),
        cmocka_unit_test_setup(test_stop_ends_the_wait, reset),
        cmocka_unit_test_setup(test_owner_and_task_do_not_wait_for_each_other, reset),
        cmocka_unit_test_setup(test_owner_does_not_wait_for_a_slow_broker, reset),
        cmocka_unit_test_setup(test_message_finds_no_room_in_the_queue, reset),
        cmocka_unit_test_setup(test_message_of_the_last_session, reset),
        cmocka_unit_test_setup(test_message_after_stop, reset),
        cmocka_unit_test_setup(test_address_that_is_none, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
