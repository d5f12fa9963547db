// SPDX-License-Identifier: Apache-2.0
#include "sim_broker_fixture.h"

static world_t s_world;

static int set_up_world(void **state) {
    set_up(&s_world, 42);
    *state = &s_world;
    return 0;
}

static int tear_down_world(void **state) {
    tear_down(*state);
    return 0;
}

// --- without fault -----------------------------------------------------------------------------------------------

static void test_broker_calm_session(void **state) {
    world_t *world = *state;
    begin(world, 0);
    size_t events = 0;
    while (mm_sim_queue_run_next(world->sim.queue)) {
        events++;
    }
    // Connect, two subscriptions, three messages (arrival, PUBACK, to HQ), end.
    assert_int_equal(events, 1 + 2 + 3 * 3 + 1);
    assert_string_equal(letters(world, 0), "CSSPPPX");
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(world->seen[0][i].event.session, 1);
        bool is_suback = world->seen[0][i].event.kind == MM_MQTT_SUBSCRIBED;
        assert_int_equal(world->seen[0][i].event.reason, is_suback ? 1 : 0);
    }
    // Ten hops to CONNACK, two for each exchange, each one to two latencies long.
    assert_in_range(world->seen[0][0].at, 10 * LATENCY_US, 20 * LATENCY_US);
    assert_in_range(last_seen(world, 0)->at, 16 * LATENCY_US, 32 * LATENCY_US);
    expect_taken(world, (const uint32_t[]){1, 2, 3}, 3);
    for (int i = 0; i < MM_SIM_FAULT_COUNT; i++) {
        assert_int_equal(world->sim.faults[i], 0);
    }
    for (int i = 0; i < MM_SIM_PROBE_COUNT; i++) {
        assert_int_equal(world->sim.probes[i], 0);
    }
}

static void test_broker_keeps_the_order_of_each_connection(void **state) {
    world_t *world = *state;
    for (uint32_t round = 0; round < 20; round++) {
        world->taken_count = 0;
        world->to_publish[0] = 100;
        begin(world, 0);
        run_for(world, 60 * S);
        for (uint32_t i = 0; i < 100; i++) {
            assert_int_equal(world->taken[i], round * 100 + i + 1);
            const mm_mqtt_event_t *puback = &world->seen[0][3 + i].event;
            uint32_t expected = (uint32_t)world->first_packet_id[0] + i;
            assert_int_equal(puback->packet_id, expected > UINT16_MAX ? expected - UINT16_MAX : expected);
        }
    }
}

static void test_broker_packet_id_is_never_zero(void **state) {
    world_t *world = *state;
    bool wrapped = false;
    for (uint32_t round = 0; round < 1000 && !wrapped; round++) {
        world->taken_count = 0;
        world->to_publish[0] = 10; // asserts that the id is not 0
        begin(world, 0);
        run_for(world, 60 * S);
        assert_string_equal(letters(world, 0), "CSSPPPPPPPPPPX");
        wrapped = last_seen(world, 0)[-1].event.packet_id < world->first_packet_id[0];
    }
    assert_true(wrapped);
}

static void test_broker_refuses_calls_out_of_state(void **state) {
    world_t *world = *state;
    const mm_mqtt_t *port = world->ports[0];
    uint16_t packet_id;
    stop(world, 0, true); // without a session: no effect
    stop(world, 0, false);
    assert_int_equal(port->publish(port->context, "meter/haus-7/info", "x", 1, &packet_id), MM_ERR_STATE);
    assert_int_equal(port->subscribe(port->context, "meter/haus-7/ack", 1, &packet_id), MM_ERR_STATE);
    begin(world, 0);
    assert_int_equal(port->start(port->context, 9), MM_ERR_BUSY);
    assert_int_equal(port->publish(port->context, "meter/haus-7/info", "x", 1, &packet_id), MM_ERR_STATE);
    world->stays[0] = true;
    run_for(world, 10 * S);
    assert_int_equal(port->start(port->context, 9), MM_ERR_BUSY);
    stop(world, 0, true);
    assert_int_equal(port->start(port->context, 9), MM_ERR_BUSY);
    assert_int_equal(port->publish(port->context, "meter/haus-7/info", "x", 1, &packet_id), MM_ERR_STATE);
    assert_int_equal(port->subscribe(port->context, "meter/haus-7/ack", 1, &packet_id), MM_ERR_STATE);
    stop(world, 0, true); // once more: no second answer
    run_for(world, 10 * S);
    assert_string_equal(letters(world, 0), "CSSPPPX");
    stop(world, 0, false);
    run_for(world, 10 * S);
    assert_string_equal(letters(world, 0), "CSSPPPX");
    begin(world, 0);
}

static void test_broker_asserts_session_zero(void **state) {
    world_t *world = *state;
    expect_assert_failure(world->ports[0]->start(world->ports[0]->context, 0));
}

// Dropped while PUBACKs are under way: nothing but the answer to stop.
static void test_broker_drop_ends_everything(void **state) {
    world_t *world = *state;
    for (int i = 0; i < 40; i++) {
        world->stays[0] = true;
        begin(world, 0);
        while (world->subacks[0] < 2) {
            (void)mm_sim_queue_run_next(world->sim.queue);
        }
        run_for(world, i * LATENCY_US / 10);
        world->seen_count[0] = 0;
        stop(world, 0, i % 2 == 0);
        stop(world, 0, false);
        stop(world, 0, false);
        assert_int_equal(world->ports[0]->start(world->ports[0]->context, 1000), MM_ERR_BUSY);
        run_for(world, 60 * S);
        assert_string_equal(letters(world, 0), "X");
    }
    assert_true(probes(world, MM_SIM_PROBE_UNCONFIRMED_BUT_STORED) > 0);
}

static void test_broker_drops_once_however_often_it_is_told(void **state) {
    world_t *world = *state;
    world->stays[0] = true;
    begin(world, 0);
    run_for(world, 10 * S);
    for (int i = 0; i < 10; i++) {
        stop(world, 0, false);
        run_for(world, 500);
    }
    assert_string_equal(letters(world, 0), "CSSPPPX");
}

// The answer to a polite end that was not waited for is not taken for the one of the next session.
static void test_broker_answer_to_an_earlier_stop_is_void(void **state) {
    world_t *world = *state;
    world->stays[0] = true;
    world->to_publish[0] = 0;
    begin(world, 0);
    run_for(world, 10 * S);
    world->manners.latency_us = 10 * S;
    behave(world);
    stop(world, 0, true); // would be answered in 20 s or later
    stop(world, 0, false);
    run_for(world, S);
    assert_string_equal(letters(world, 0), "CSSX");
    world->manners.latency_us = 1;
    world->manners.stall[MM_SIM_PHASE_CLOSE] = ALWAYS;
    behave(world);
    begin(world, 0);
    run_for(world, S);
    stop(world, 0, true);
    run_for(world, 60 * S);
    assert_string_equal(letters(world, 0), "CSS");
}

// --- each phase stalls, refuses, resets --------------------------------------------------------------------------

static void test_broker_stall_in_each_phase(void **state) {
    world_t *world = *state;
    static const char *const expected[MM_SIM_PHASE_COUNT] = {"", "", "", "", "C", "CSS", "CSSPPP"};
    for (int phase = 0; phase < MM_SIM_PHASE_COUNT; phase++) {
        world->manners.stall[phase] = ALWAYS;
        behave(world);
        uint64_t before = faults(world, MM_SIM_FAULT_PATH_STALLED);
        begin(world, 0);
        run_for(world, 3600 * S);
        assert_string_equal(letters(world, 0), expected[phase]);
        assert_true(faults(world, MM_SIM_FAULT_PATH_STALLED) > before);
        assert_int_equal(world->ports[0]->start(world->ports[0]->context, 1000), MM_ERR_BUSY);
        world->seen_count[0] = 0;
        stop(world, 0, false);
        run_for(world, phase == MM_SIM_PHASE_RESOLVE ? 31 * S : S);
        assert_string_equal(letters(world, 0), "X");
        world->manners.stall[phase] = 0;
        behave(world);
        begin(world, 0); // and all is well
        run_for(world, 10 * S);
        assert_string_equal(letters(world, 0), "CSSPPPX");
    }
}

// A resolver that hangs keeps the port busy for a while.
static void test_broker_hanging_resolver_keeps_the_port_busy(void **state) {
    world_t *world = *state;
    world->manners.stall[MM_SIM_PHASE_RESOLVE] = ALWAYS;
    behave(world);
    int longer_than_5_s = 0;
    for (int i = 0; i < 50; i++) {
        begin(world, 0);
        run_for(world, 10 * S);
        stop(world, 0, false);
        run_for(world, 5 * S);
        mm_err_t err = world->ports[0]->start(world->ports[0]->context, 1000);
        if (err == MM_OK) {
            stop(world, 0, false);
        } else {
            assert_int_equal(err, MM_ERR_BUSY);
            longer_than_5_s++;
        }
        run_for(world, 31 * S);
    }
    assert_in_range(longer_than_5_s, 20, 49);
}

static void collect(const world_t *world, mm_mqtt_event_kind_t kind, bool *seen) {
    for (size_t i = 0; i < world->seen_count[0]; i++) {
        if (world->seen[0][i].event.kind == kind) {
            seen[world->seen[0][i].event.reason] = true;
        }
    }
}

static size_t count_of(const bool *seen) {
    size_t count = 0;
    for (size_t i = 0; i < 256; i++) {
        count += seen[i] ? 1 : 0;
    }
    return count;
}

static void expect_codes(const bool *seen, const uint8_t *codes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        assert_true(seen[codes[i]]);
    }
    assert_int_equal(count_of(seen), count);
}

// Codes as the tables of MQTT 5 (3.2.2.2, 3.9.3, 3.4.2.1) and 3.1.1 (3.2.2.3) have them.
static void test_broker_refuses_with_every_code(void **state) {
    world_t *world = *state;
    static const char *const expected[MM_SIM_PHASE_COUNT] = {"E", "E", "E", "R", "CSSPPPX", "CSSPPPX", "CSSPPPX"};
    bool codes[MM_SIM_PHASE_COUNT][256] = {{false}};
    for (int phase = 0; phase < MM_SIM_PHASE_COUNT; phase++) {
        world->manners.refuse[phase] = ALWAYS;
        behave(world);
        for (int i = 0; i < 32; i++) {
            begin(world, 0);
            run_for(world, 10 * S);
            assert_string_equal(letters(world, 0), expected[phase]);
            static const mm_mqtt_event_kind_t kinds[MM_SIM_PHASE_COUNT] = {
                MM_MQTT_ERROR,      MM_MQTT_ERROR,     MM_MQTT_ERROR,       MM_MQTT_REFUSED,
                MM_MQTT_SUBSCRIBED, MM_MQTT_PUBLISHED, MM_MQTT_DISCONNECTED};
            collect(world, kinds[phase], codes[phase]);
            stop(world, 0, false);
            run_for(world, S);
        }
        world->manners.refuse[phase] = 0;
    }
    static const uint8_t connack[] = {0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90,
                                      0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F, 1,    2,    3,    4,    5};
    static const uint8_t suback[] = {0, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2};
    static const uint8_t puback[] = {0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99};
    expect_codes(codes[MM_SIM_PHASE_CONNECT], connack, sizeof connack);
    expect_codes(codes[MM_SIM_PHASE_SUBSCRIBE], suback, sizeof suback);
    expect_codes(codes[MM_SIM_PHASE_PUBLISH], puback, sizeof puback);
    assert_int_equal(count_of(codes[MM_SIM_PHASE_CLOSE]), 28);
    assert_int_equal(faults(world, MM_SIM_FAULT_PATH_REFUSED), 4 * 32);
    assert_int_equal(faults(world, MM_SIM_FAULT_CONNACK_REFUSED), 32);
    assert_int_equal(faults(world, MM_SIM_FAULT_SUBACK_REFUSED), 2 * 32);
    assert_int_equal(faults(world, MM_SIM_FAULT_PUBACK_REFUSED), 3 * 32);
    // A refused message never reached HQ; those of the two other phases did.
    assert_int_equal(world->taken_count, 2 * 3 * 32);
}

static void test_broker_reset_in_each_phase(void **state) {
    world_t *world = *state;
    static const char *const expected[MM_SIM_PHASE_COUNT] = {"E", "E", "E", "X", "CX", "CSSX", "CSSPPPX"};
    bool codes[256] = {false};
    for (int phase = 0; phase < MM_SIM_PHASE_COUNT; phase++) {
        world->taken_count = 0;
        world->manners.reset[phase] = ALWAYS;
        behave(world);
        for (int i = 0; i < 60; i++) {
            begin(world, 0);
            run_for(world, 10 * S);
            assert_string_equal(letters(world, 0), expected[phase]);
            collect(world, MM_MQTT_DISCONNECTED, codes);
            world->seen_count[0] = 0;
            stop(world, 0, false);
            run_for(world, S);
            // DISCONNECTED follows a stop also if the connection had ended; but a polite stop has had its answer.
            assert_string_equal(letters(world, 0), phase == MM_SIM_PHASE_CLOSE ? "" : "X");
        }
        world->manners.reset[phase] = 0;
        if (phase == MM_SIM_PHASE_PUBLISH) {
            // What was on its way arrived, or did not.
            assert_in_range(world->taken_count, 20, 160);
            assert_true(probes(world, MM_SIM_PROBE_UNCONFIRMED_BUT_STORED) > 0);
        }
    }
    assert_int_equal(count_of(codes), 28);
    assert_int_equal(faults(world, MM_SIM_FAULT_PATH_RESET) >= 60 * MM_SIM_PHASE_COUNT, true);
}

// --- PUBACK ------------------------------------------------------------------------------------------------------

static void test_broker_puback_lost(void **state) {
    world_t *world = *state;
    world->manners.puback_lost = ALWAYS;
    behave(world);
    begin(world, 0);
    run_for(world, 60 * S);
    assert_string_equal(letters(world, 0), "CSS");
    expect_taken(world, (const uint32_t[]){1, 2, 3}, 3);
    assert_int_equal(faults(world, MM_SIM_FAULT_PUBACK_LOST), 3);
    assert_int_equal(probes(world, MM_SIM_PROBE_UNCONFIRMED_BUT_STORED), 3);
}

static void test_broker_puback_repeated(void **state) {
    world_t *world = *state;
    world->manners.puback_repeated = ALWAYS;
    world->stays[0] = true;
    behave(world);
    begin(world, 0);
    run_for(world, 60 * S);
    assert_string_equal(letters(world, 0), "CSSPPPPPP");
    uint32_t times[3] = {0};
    for (size_t i = 3; i < 9; i++) {
        times[world->seen[0][i].event.packet_id - world->first_packet_id[0]]++;
    }
    assert_true(times[0] == 2 && times[1] == 2 && times[2] == 2);
    assert_int_equal(faults(world, MM_SIM_FAULT_PUBACK_REPEATED), 3);
    assert_int_equal(probes(world, MM_SIM_PROBE_FOREIGN_PUBACK), 3);
    assert_int_equal(probes(world, MM_SIM_PROBE_UNCONFIRMED_BUT_STORED), 0);
    expect_taken(world, (const uint32_t[]){1, 2, 3}, 3);
}

// Behind another one; behind the end of its session; in the next session, with its number.
static void test_broker_puback_late(void **state) {
    world_t *world = *state;
    uint32_t out_of_order = 0;
    uint32_t foreign_idle = 0;
    uint32_t foreign_next = 0;
    for (int round = 0; round < 60; round++) {
        world->manners.puback_late = ALWAYS;
        world->stays[0] = true;
        behave(world);
        begin(world, 0);
        run_for(world, 3 * S);
        uint32_t first = world->sessions[0];
        uint16_t last_id = 0;
        for (size_t i = 3; i < world->seen_count[0]; i++) {
            out_of_order += world->seen[0][i].event.packet_id < last_id ? 1 : 0;
            last_id = world->seen[0][i].event.packet_id;
        }
        stop(world, 0, true);
        run_for(world, S);
        world->seen_count[0] = 0;
        run_for(world, 60 * S); // no session
        foreign_idle += (uint32_t)world->seen_count[0];
        world->manners.puback_late = 0;
        behave(world);
        begin(world, 0);
        run_for(world, 3 * S);
        for (size_t i = 0; i < world->seen_count[0]; i++) {
            if (world->seen[0][i].event.session == first) {
                assert_int_equal(world->seen[0][i].event.kind, MM_MQTT_PUBLISHED);
                foreign_next++;
            }
        }
        stop(world, 0, true);
        run_for(world, S);
    }
    assert_true(out_of_order > 0 && foreign_idle > 10 && foreign_next > 10);
    assert_int_equal(probes(world, MM_SIM_PROBE_FOREIGN_PUBACK), foreign_idle + foreign_next);
    assert_int_equal(faults(world, MM_SIM_FAULT_PUBACK_LATE), 180);
}

static void test_broker_without_power_gets_no_late_puback(void **state) {
    world_t *world = *state;
    world->manners.puback_late = ALWAYS;
    world->stays[0] = true;
    for (int round = 0; round < 30; round++) {
        behave(world);
        begin(world, 0);
        run_for(world, 2 * S);
        mm_sim_broker_drop_client(world->broker, 0);
        world->seen_count[0] = 0;
        run_for(world, 60 * S);
        assert_int_equal(world->seen_count[0], 0);
    }
    world->manners.puback_late = 0;
    behave(world);
    world->stays[0] = false;
    begin(world, 0);
    run_for(world, 60 * S);
    assert_string_equal(letters(world, 0), "CSSPPPX");
    assert_int_equal(probes(world, MM_SIM_PROBE_FOREIGN_PUBACK), 0);
    assert_true(probes(world, MM_SIM_PROBE_UNCONFIRMED_BUT_STORED) > 30);
}

static void test_broker_no_subscriber(void **state) {
    world_t *world = *state;
    world->manners.no_subscriber = ALWAYS;
    behave(world);
    begin(world, 0);
    run_for(world, 10 * S);
    assert_string_equal(letters(world, 0), "CSSPPPX");
    assert_int_equal(world->seen[0][3].event.reason, 0x10);
    assert_int_equal(world->taken_count, 0);
}

// --- messages to HQ ----------------------------------------------------------------------------------------------

static void test_broker_message_lost(void **state) {
    world_t *world = *state;
    world->manners.message_lost = ALWAYS;
    behave(world);
    begin(world, 0);
    run_for(world, 10 * S);
    assert_string_equal(letters(world, 0), "CSSPPPX");
    assert_int_equal(world->seen[0][3].event.reason, 0);
    assert_int_equal(world->taken_count, 0);
    assert_int_equal(faults(world, MM_SIM_FAULT_MESSAGE_LOST), 3);
    assert_int_equal(probes(world, MM_SIM_PROBE_CONFIRMED_BUT_LOST), 3);
}

static void test_broker_message_repeated(void **state) {
    world_t *world = *state;
    world->manners.message_repeated = ALWAYS;
    behave(world);
    begin(world, 0);
    run_for(world, 10 * S);
    assert_string_equal(letters(world, 0), "CSSPPPX");
    expect_taken(world, (const uint32_t[]){1, 1, 2, 2, 3, 3}, 6);
    assert_int_equal(faults(world, MM_SIM_FAULT_MESSAGE_REPEATED), 3);
}

static void test_broker_message_delayed(void **state) {
    world_t *world = *state;
    world->manners.message_delayed = ALWAYS;
    behave(world);
    world->to_publish[0] = 100;
    begin(world, 0);
    run_for(world, 10 * S);
    assert_true(world->taken_count < 10);
    run_for(world, 3600 * S);
    assert_int_equal(world->taken_count, 100);
    uint32_t out_of_order = 0;
    uint32_t bits[4] = {0};
    for (size_t i = 0; i < 100; i++) {
        out_of_order += i > 0 && world->taken[i] < world->taken[i - 1] ? 1 : 0;
        bits[world->taken[i] / 32] |= 1u << (world->taken[i] % 32);
    }
    assert_true(out_of_order > 20);
    assert_true(bits[0] == 0xFFFFFFFE && bits[1] == UINT32_MAX && bits[2] == UINT32_MAX && bits[3] == 0x1F);
    assert_int_equal(faults(world, MM_SIM_FAULT_MESSAGE_REORDERED), 100);
}

// Delays do not fill memory: beyond the limit messages come in time.
static void test_broker_delays_are_bounded(void **state) {
    world_t *world = *state;
    world->manners.message_delayed = ALWAYS;
    world->manners.queue_messages_max = 10;
    behave(world);
    world->to_publish[0] = 100;
    begin(world, 0);
    run_for(world, 10 * S);
    assert_true(world->taken_count >= 90);
    assert_int_equal(faults(world, MM_SIM_FAULT_BROKER_LIMIT), 0);
}

static void test_broker_queues_for_hq(void **state) {
    world_t *world = *state;
    mm_sim_broker_hq_disconnect(world->broker);
    assert_false(mm_sim_broker_hq_is_connected(world->broker));
    begin(world, 0);
    run_for(world, 10 * S);
    assert_string_equal(letters(world, 0), "CSSPPPX");
    assert_int_equal(world->taken_count, 0);
    mm_sim_broker_hq_connect(world->broker);
    assert_int_equal(world->taken_count, 0); // not from inside the call
    run_for(world, S);
    expect_taken(world, (const uint32_t[]){1, 2, 3}, 3);
}

static void test_broker_queue_has_a_limit(void **state) {
    world_t *world = *state;
    world->to_publish[0] = 300;
    mm_sim_broker_hq_disconnect(world->broker);
    for (int i = 0; i < 4; i++) {
        begin(world, 0);
        run_for(world, 60 * S);
    }
    mm_sim_broker_hq_connect(world->broker);
    run_for(world, S);
    assert_int_equal(world->taken_count, 1000);
    assert_int_equal(world->taken[999], 1000);
    assert_int_equal(faults(world, MM_SIM_FAULT_BROKER_LIMIT), 200);
    assert_int_equal(probes(world, MM_SIM_PROBE_CONFIRMED_BUT_LOST), 200);
}

static void test_broker_limits_the_size(void **state) {
    world_t *world = *state;
    world->manners.message_bytes_max = 100;
    behave(world);
    world->message_bytes = 100;
    begin(world, 0);
    run_for(world, 10 * S);
    assert_string_equal(letters(world, 0), "CSSPPPX");
    world->message_bytes = 101;
    begin(world, 0);
    run_for(world, 10 * S);
    assert_string_equal(letters(world, 0), "CSSX");
    assert_int_equal(last_seen(world, 0)->event.reason, 0x95);
    assert_int_equal(world->taken_count, 3);
    assert_true(faults(world, MM_SIM_FAULT_BROKER_LIMIT) > 0);
}

// HQ's confirmation takes one latency to the broker. In that time a message may come again, afterwards not.
static void test_broker_gives_again_what_hq_did_not_confirm(void **state) {
    world_t *world = *state;
    world->to_publish[0] = 1;
    begin(world, 0);
    while (world->taken_count == 0) {
        (void)mm_sim_queue_run_next(world->sim.queue);
    }
    run_for(world, LATENCY_US - 1);
    mm_sim_broker_hq_disconnect(world->broker);
    mm_sim_broker_hq_connect(world->broker);
    run_for(world, 2 * LATENCY_US);
    expect_taken(world, (const uint32_t[]){1, 1}, 2);
    run_for(world, LATENCY_US);
    mm_sim_broker_hq_disconnect(world->broker);
    mm_sim_broker_hq_connect(world->broker);
    run_for(world, 10 * S);
    assert_int_equal(world->taken_count, 2);
}

static void test_broker_takes_messages_of_strangers(void **state) {
    world_t *world = *state;
    const uint32_t value = 4711;
    mm_sim_broker_publish(world->broker, "meter/911", &value, sizeof value);
    mm_sim_broker_publish(world->broker, "meter/haus-9/info", &value, sizeof value);
    mm_sim_broker_publish(world->broker, "meter/install", &value, sizeof value);
    mm_sim_broker_publish(world->broker, "meter/disco", &value, sizeof value);
    static const char *const others[] = {"meter/9110", "meter/a/b/info",   "meter/a/ack",
                                         "meter/info", "meters/haus/info", "911",
                                         "meter/",     "meter/a/info/"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        mm_sim_broker_publish(world->broker, others[i], &value, sizeof value);
    }
    run_for(world, S);
    expect_taken(world, (const uint32_t[]){4711, 4711, 4711, 4711}, 4);
}

// --- retained messages -------------------------------------------------------------------------------------------

static void acknowledge(world_t *world, uint32_t value) {
    mm_sim_broker_hq_publish(world->broker, "meter/haus-7/ack", &value, sizeof value);
}

static void expect_data(const seen_t *seen, uint32_t value, bool retained) {
    assert_int_equal(seen->event.kind, MM_MQTT_DATA);
    assert_int_equal(seen->event.retained, retained);
    assert_string_equal(seen->topic, "meter/haus-7/ack");
    assert_int_equal(seen->value, value);
}

static void session(world_t *world, const char *expected) {
    begin(world, 0);
    run_for(world, 60 * S);
    assert_string_equal(letters(world, 0), expected);
}

static void test_broker_retains(void **state) {
    world_t *world = *state;
    acknowledge(world, 7);
    acknowledge(world, 8);
    session(world, "CSDSPPPX");
    expect_data(&world->seen[0][2], 8, true);
    // Live as well, and then no retained one.
    world->stays[0] = true;
    begin(world, 0);
    run_for(world, 10 * S);
    acknowledge(world, 9);
    run_for(world, 10 * S);
    assert_string_equal(letters(world, 0), "CSDSPPPD");
    expect_data(last_seen(world, 0), 9, false);
    // An empty message is delivered and clears.
    mm_sim_broker_hq_publish(world->broker, "meter/haus-7/ack", NULL, 0);
    run_for(world, 10 * S);
    assert_string_equal(letters(world, 0), "CSDSPPPDD");
    assert_int_equal(last_seen(world, 0)->event.bytes_count, 0);
    assert_non_null(last_seen(world, 0)->event.bytes);
    stop(world, 0, true);
    run_for(world, S);
    acknowledge(world, 10);
    mm_sim_broker_hq_publish(world->broker, "meter/haus-7/ack", NULL, 0);
    world->stays[0] = false;
    session(world, "CSSPPPX");
}

static void test_broker_too_large_for_the_gateway(void **state) {
    world_t *world = *state;
    static const uint8_t bytes[MM_DOWNLINK_BYTES_MAX + 1];
    mm_sim_broker_hq_publish(world->broker, "meter/haus-7/ack", bytes, MM_DOWNLINK_BYTES_MAX);
    session(world, "CSDSPPPX");
    assert_non_null(world->seen[0][2].event.bytes);
    mm_sim_broker_hq_publish(world->broker, "meter/haus-7/ack", bytes, MM_DOWNLINK_BYTES_MAX + 1);
    session(world, "CSDSPPPX");
    assert_null(world->seen[0][2].event.bytes);
    assert_int_equal(world->seen[0][2].event.bytes_count, MM_DOWNLINK_BYTES_MAX + 1);
}

static void test_broker_retained_lost(void **state) {
    world_t *world = *state;
    acknowledge(world, 7);
    world->manners.retained_lost = ALWAYS;
    behave(world);
    session(world, "CSSPPPX");
    assert_int_equal(faults(world, MM_SIM_FAULT_RETAINED_LOST), 1);
    world->manners.retained_lost = 0;
    behave(world);
    session(world, "CSDSPPPX");
}

static void test_broker_retained_stale(void **state) {
    world_t *world = *state;
    world->manners.retained_stale = ALWAYS;
    behave(world);
    acknowledge(world, 7);
    session(world, "CSDSPPPX"); // there is no older one
    expect_data(&world->seen[0][2], 7, true);
    assert_int_equal(faults(world, MM_SIM_FAULT_RETAINED_STALE), 0);
    acknowledge(world, 8);
    acknowledge(world, 8); // the same again makes nothing older
    session(world, "CSDSPPPX");
    expect_data(&world->seen[0][2], 7, true);
    assert_int_equal(faults(world, MM_SIM_FAULT_RETAINED_STALE), 1);
    acknowledge(world, 9);
    session(world, "CSDSPPPX");
    expect_data(&world->seen[0][2], 8, true);
}

static void test_broker_refused_subscription_gets_nothing(void **state) {
    world_t *world = *state;
    acknowledge(world, 7);
    world->manners.refuse[MM_SIM_PHASE_SUBSCRIBE] = ALWAYS;
    behave(world);
    session(world, "CSDSPPPX"); // the first two codes grant QoS 0 and 2
    world->stays[0] = true;
    begin(world, 0);
    run_for(world, 10 * S);
    acknowledge(world, 8);
    run_for(world, 10 * S);
    assert_string_equal(letters(world, 0), "CSSPPP");
}

int main(void) {
#define WORLD_TEST(test) cmocka_unit_test_setup_teardown(test, set_up_world, tear_down_world)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_broker_calm_session),
        WORLD_TEST(test_broker_keeps_the_order_of_each_connection),
        WORLD_TEST(test_broker_packet_id_is_never_zero),
        WORLD_TEST(test_broker_refuses_calls_out_of_state),
        WORLD_TEST(test_broker_asserts_session_zero),
        WORLD_TEST(test_broker_drop_ends_everything),
        WORLD_TEST(test_broker_drops_once_however_often_it_is_told),
        WORLD_TEST(test_broker_answer_to_an_earlier_stop_is_void),
        WORLD_TEST(test_broker_stall_in_each_phase),
        WORLD_TEST(test_broker_hanging_resolver_keeps_the_port_busy),
        WORLD_TEST(test_broker_refuses_with_every_code),
        WORLD_TEST(test_broker_reset_in_each_phase),
        WORLD_TEST(test_broker_puback_lost),
        WORLD_TEST(test_broker_puback_repeated),
        WORLD_TEST(test_broker_puback_late),
        WORLD_TEST(test_broker_without_power_gets_no_late_puback),
        WORLD_TEST(test_broker_no_subscriber),
        WORLD_TEST(test_broker_message_lost),
        WORLD_TEST(test_broker_message_repeated),
        WORLD_TEST(test_broker_message_delayed),
        WORLD_TEST(test_broker_delays_are_bounded),
        WORLD_TEST(test_broker_queues_for_hq),
        WORLD_TEST(test_broker_queue_has_a_limit),
        WORLD_TEST(test_broker_limits_the_size),
        WORLD_TEST(test_broker_gives_again_what_hq_did_not_confirm),
        WORLD_TEST(test_broker_takes_messages_of_strangers),
        WORLD_TEST(test_broker_retains),
        WORLD_TEST(test_broker_too_large_for_the_gateway),
        WORLD_TEST(test_broker_retained_lost),
        WORLD_TEST(test_broker_retained_stale),
        WORLD_TEST(test_broker_refused_subscription_gets_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
