// SPDX-License-Identifier: Apache-2.0
// One node alone: what each event does to it, and what it answers. node_test.c has whole sites.

#include "meshmeter/node.h"

#include "meshmeter/crc32.h"
#include "metering_world.h"
#include "wire/codec_internal.h"

#define BEGIN_S INT64_C(1451606400) /* 2016-01-01T00:00:00Z */
#define FRAMES_MAX 64

static const mm_mac_t own_mac = {{0x02, 0, 0, 0, 0, 1}};
static const mm_mac_t root_mac = {{0x02, 0, 0, 0, 0, 9}};

typedef struct {
    mm_node_t node;
    mm_node_options_t options;
    mm_node_ports_t ports;
    mm_mesh_t mesh;
    mm_mqtt_t mqtt;
    uint8_t batch_memory[MM_BATCH_BYTES_MAX];
    bool mesh_fails;
    unsigned sends;
    mm_mac_t to; ///< of the last frame; zero: to the root, whoever that is
    uint8_t frame[MM_MESH_FRAME_BYTES_MAX];
    size_t frame_bytes;
    bool session_running;
    bool last_stop_graceful;
} device_t;

static device_t s_device;

static mm_us_t now_us(void) {
    return mono(world.t_us);
}

static uint32_t counted(mm_counter_t counter) {
    return s_device.node.counters.values[counter];
}

static mm_err_t mesh_send(void *context, mm_mac_t to, const void *bytes, size_t bytes_count) {
    (void)context;
    s_device.sends++;
    if (s_device.mesh_fails) {
        return MM_ERR_UNAVAILABLE;
    }
    s_device.to = to;
    memcpy(s_device.frame, bytes, bytes_count);
    s_device.frame_bytes = bytes_count;
    return MM_OK;
}

static mm_err_t mesh_send_to_root(void *context, const void *bytes, size_t bytes_count) {
    return mesh_send(context, (mm_mac_t){{0}}, bytes, bytes_count);
}

static mm_err_t mqtt_start(void *context, uint32_t session) {
    (void)context;
    (void)session;
    s_device.session_running = true;
    return MM_OK;
}

static mm_err_t mqtt_subscribe(void *context, const char *topic, uint8_t qos, uint16_t *packet_id) {
    (void)context;
    (void)topic;
    (void)qos;
    *packet_id = 1;
    return MM_OK;
}

static mm_err_t mqtt_publish(void *context, const char *topic, const void *bytes, size_t bytes_count,
                             uint16_t *packet_id) {
    (void)context;
    (void)topic;
    (void)bytes;
    (void)bytes_count;
    *packet_id = 2;
    return MM_OK;
}

static void mqtt_stop(void *context, bool graceful) {
    (void)context;
    s_device.session_running = false;
    s_device.last_stop_graceful = graceful;
}

static mm_err_t init(void) {
    return mm_node_init(&s_device.node, &s_device.options, &s_device.ports, now_us());
}

static void prepare(void) {
    memset(&s_device, 0, sizeof s_device);
    world_init(BEGIN_S, true);
    world.boot_us = world.t_us;
    s_device.mesh = (mm_mesh_t){.send = mesh_send, .send_to_root = mesh_send_to_root};
    s_device.mqtt =
        (mm_mqtt_t){.start = mqtt_start, .subscribe = mqtt_subscribe, .publish = mqtt_publish, .stop = mqtt_stop};
    s_device.ports = (mm_node_ports_t){.pulses = &world.pulses_port,
                                       .fram = &world.fram_port,
                                       .journal_flash = &world.journal_flash_port,
                                       .mesh = &s_device.mesh,
                                       .mqtt = &s_device.mqtt,
                                       .batch_memory = s_device.batch_memory,
                                       .batch_capacity = 1};
    s_device.options = (mm_node_options_t){.mac = own_mac,
                                           .site = "house-1",
                                           .metering = world.options,
                                           .timing = mm_timing_default(own_mac),
                                           .journal_sector_count = JOURNAL_SECTORS,
                                           .random_seed = 1};
}

static void begin(void) {
    prepare();
    assert_int_equal(init(), MM_OK);
}

static void wait_us(mm_us_t duration_us) {
    mm_us_t end = now_us() + duration_us;
    while (now_us() < end) {
        mm_us_t deadline = mm_node_poll(&s_device.node, now_us());
        mm_us_t next = deadline < end ? deadline : end;
        world.t_us += next > now_us() ? next - now_us() : 0;
    }
    (void)mm_node_poll(&s_device.node, now_us());
}

static void wait_for_session(void) {
    mm_us_t limit = now_us() + 2 * mm_slot_cycle_us(&s_device.options.timing.slots);
    while (!s_device.session_running && now_us() < limit) {
        wait_us(MM_US_PER_S);
    }
    assert_true(s_device.session_running);
}

static void mesh_event(mm_mesh_event_kind_t kind, mm_mac_t mac, uint8_t layer) {
    const mm_mesh_event_t event = {.kind = kind, .mac = mac, .layer = layer};
    mm_node_on_mesh_event(&s_device.node, &event, now_us());
    (void)mm_node_poll(&s_device.node, now_us());
}

static void attach_as_child(void) {
    mesh_event(MM_MESH_ROOT_CHANGED, root_mac, 0);
    mesh_event(MM_MESH_PARENT_CONNECTED, root_mac, 2);
}

static void become_root(void) {
    mesh_event(MM_MESH_PARENT_CONNECTED, own_mac, 1);
    mesh_event(MM_MESH_GOT_IP, own_mac, 0);
}

static void feed(mm_mac_t from, const uint8_t *bytes, size_t bytes_count) {
    assert_true(bytes_count > 0);
    mm_node_on_mesh_frame(&s_device.node, from, bytes, bytes_count, now_us());
}

static void welcome(mm_time_t time) {
    uint8_t bytes[64];
    const mm_welcome_t content = {.time = time};
    feed(root_mac, bytes, mm_frame_write_welcome(bytes, sizeof bytes, root_mac, &content));
    (void)mm_node_poll(&s_device.node, now_us());
}

static mm_time_t time_now(mm_trust_t trust) {
    return (mm_time_t){{world.t_us}, trust};
}

static void ask(const mm_ask_t *content) {
    uint8_t bytes[128];
    feed(root_mac, bytes, mm_frame_write_ask(bytes, sizeof bytes, root_mac, content));
}

static bool last_frame_is(mm_frame_type_t type) {
    mm_frame_t frame;
    return mm_frame_open(s_device.frame, s_device.frame_bytes, &frame) == MM_OK && frame.type == type;
}

// Events in the journal with this code.
static unsigned count_events(uint16_t code) {
    unsigned count = 0;
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry;
    mm_position_t after = {0, 0};
    while (mm_journal_read_after(&s_device.node.journal, after, &hint, &entry) == MM_OK) {
        mm_record_t record;
        assert_int_equal(mm_record_decode(entry.type, entry.payload, entry.payload_bytes, &record), MM_OK);
        count += record.type == MM_RECORD_EVENT && record.event.code == code ? 1 : 0;
        after = entry.position;
    }
    return count;
}

static void test_node_refuses_options_that_cannot_work(void **state) {
    (void)state;
    prepare();
    s_device.options.mac = (mm_mac_t){{0}};
    assert_int_equal(init(), MM_ERR_ARG);
    prepare();
    s_device.options.timing.hello_retry_us = 0;
    assert_int_equal(init(), MM_ERR_ARG);
    prepare();
    strcpy(s_device.options.site, "House 1");
    assert_int_equal(init(), MM_ERR_ARG);
    prepare();
    strcpy(s_device.options.metering.tz, "Europe/Berlin");
    assert_int_equal(init(), MM_ERR_ARG);
    prepare();
    assert_int_equal(init(), MM_OK);
}

static void test_node_says_hello_until_it_knows_the_time(void **state) {
    (void)state;
    begin();
    attach_as_child();
    assert_int_equal(s_device.sends, 1);
    assert_true(last_frame_is(MM_FRAME_HELLO));
    welcome((mm_time_t){{0}, MM_TRUST_UNSET}); // a root that knows no time either
    wait_us(s_device.options.timing.hello_retry_us - 1);
    assert_int_equal(s_device.sends, 1);
    wait_us(1);
    assert_int_equal(s_device.sends, 2);
    // A mesh without a path is counted, and tried again.
    s_device.mesh_fails = true;
    wait_us(s_device.options.timing.hello_retry_us);
    assert_int_equal(counted(MM_COUNTER_MESH_SEND_FAILED), 1);
    s_device.mesh_fails = false;
    wait_us(s_device.options.timing.hello_retry_us);
    assert_int_equal(s_device.sends, 4);
    welcome(time_now(MM_TRUST_SYNCED));
    wait_us(10 * s_device.options.timing.hello_retry_us);
    assert_int_equal(s_device.sends, 4);
}

static void test_node_without_parent_waits_for_another(void **state) {
    (void)state;
    begin();
    attach_as_child();
    mesh_event(MM_MESH_PARENT_DISCONNECTED, root_mac, 0);
    unsigned sends = s_device.sends;
    wait_us(10 * s_device.options.timing.hello_retry_us);
    assert_int_equal(s_device.sends, sends); // nobody would hear it
    mesh_event(MM_MESH_PARENT_CONNECTED, root_mac, 3);
    assert_int_equal(s_device.sends, sends + 1);
    assert_int_equal(s_device.node.layer, 3);
    // A welcome counts for the parent it came through: after another separation the node asks again.
    welcome(time_now(MM_TRUST_SYNCED));
    mesh_event(MM_MESH_PARENT_DISCONNECTED, root_mac, 0);
    mesh_event(MM_MESH_PARENT_CONNECTED, root_mac, 2);
    assert_int_equal(s_device.sends, sends + 2);
}

// At the root the parent is the router: the session ends, the role stays.
static void test_node_root_without_parent_keeps_the_role(void **state) {
    (void)state;
    begin();
    become_root();
    assert_true(s_device.node.root.active);
    wait_for_session();
    mesh_event(MM_MESH_PARENT_DISCONNECTED, (mm_mac_t){{0}}, 0);
    assert_false(s_device.session_running);
    assert_false(s_device.last_stop_graceful);
    assert_true(s_device.node.root.active);
    assert_false(s_device.node.root.router_up);
    mesh_event(MM_MESH_GOT_IP, own_mac, 0);
    wait_for_session();
    assert_int_equal(count_events(MM_EVENT_ROOT_TAKEN), 1);
    assert_int_equal(count_events(MM_EVENT_ROOT_LOST), 0);
}

static void test_node_root_notes_who_leaves(void **state) {
    (void)state;
    begin();
    become_root();
    mesh_event(MM_MESH_CHILD_JOINED, root_mac, 0);
    const mm_cursor_t *cursor = mm_cursor_find(&s_device.node.root.cursors, root_mac);
    assert_true(cursor->attached);
    mesh_event(MM_MESH_CHILD_LEFT, root_mac, 0);
    assert_false(cursor->attached);
}

static void test_node_asserts_an_event_that_is_none(void **state) {
    (void)state;
    begin();
    const mm_mesh_event_t none = {.kind = MM_MESH_EVENT_NONE};
    expect_assert_failure(mm_node_on_mesh_event(&s_device.node, &none, now_us()));
    expect_assert_failure(mm_node_on_mesh_event(&s_device.node, &none, now_us() - 1)); // time goes forward
}

static void test_node_counts_frames_that_it_cannot_take(void **state) {
    (void)state;
    begin();
    attach_as_child();
    unsigned sends = s_device.sends;
    uint8_t bytes[64];
    mm_writer_t short_welcome = mmi_frame_begin(bytes, sizeof bytes, MM_FRAME_WELCOME, root_mac);
    mm_put_u8(&short_welcome, MM_TRUST_SYNCED); // and no time
    feed(root_mac, bytes, mmi_frame_seal(&short_welcome));
    assert_int_equal(counted(MM_COUNTER_FRAME_CORRUPT), 1);
    mm_writer_t short_ask = mmi_frame_begin(bytes, sizeof bytes, MM_FRAME_ASK, root_mac);
    mm_put_u32(&short_ask, 1);
    feed(root_mac, bytes, mmi_frame_seal(&short_ask));
    assert_int_equal(counted(MM_COUNTER_FRAME_CORRUPT), 2);
    mm_writer_t unknown = mmi_frame_begin(bytes, sizeof bytes, 77, root_mac);
    feed(root_mac, bytes, mmi_frame_seal(&unknown));
    assert_int_equal(counted(MM_COUNTER_FRAME_UNKNOWN), 1);
    size_t size = mmi_frame_seal(&unknown);
    bytes[2]++; // the version, under the wrong checksum now
    feed(root_mac, bytes, size);
    assert_int_equal(counted(MM_COUNTER_FRAME_CORRUPT), 3);
    mm_writer_t checksum = mm_writer(bytes + size - 4, 4);
    mm_put_u32(&checksum, mm_crc32(0, bytes, size - 4));
    feed(root_mac, bytes, size);
    assert_int_equal(counted(MM_COUNTER_FRAME_VERSION), 1);
    assert_int_equal(s_device.sends, sends);
    assert_false(s_device.node.metering.time_known);
}

static void test_node_root_takes_no_orders_from_another_root(void **state) {
    (void)state;
    begin();
    become_root();
    welcome(time_now(MM_TRUST_SYNCED));
    ask(&(mm_ask_t){.round_id = 1, .time = time_now(MM_TRUST_SYNCED), .report_bytes_max = 1472});
    assert_int_equal(counted(MM_COUNTER_FRAME_UNEXPECTED), 2);
    assert_int_equal(s_device.sends, 0);
    assert_false(s_device.node.metering.time_known);
}

static void test_node_answers_in_the_room_it_is_given(void **state) {
    (void)state;
    begin();
    attach_as_child();
    for (int hour = 0; hour < 40; hour++) { // more records than one frame holds
        wait_us(3600 * MM_US_PER_S);
    }
    mm_ask_t content = {.round_id = 5, .time = time_now(MM_TRUST_UNSET), .with_snapshot = true};
    static const uint16_t rooms[] = {1472, 1000, 500, 100, 20};
    size_t before = SIZE_MAX;
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        content.report_bytes_max = rooms[i];
        s_device.frame_bytes = 0;
        ask(&content);
        assert_true(last_frame_is(MM_FRAME_REPORT));
        assert_true(mm_mac_equal(s_device.to, root_mac));
        assert_true(s_device.frame_bytes <= rooms[i]);
        assert_true(s_device.frame_bytes < before);
        before = s_device.frame_bytes;
    }
    unsigned sends = s_device.sends;
    content.report_bytes_max = 19; // not even an empty report: envelope, source, round and checksum are 20 bytes
    ask(&content);
    assert_int_equal(s_device.sends, sends);
    // Not sent is counted; the root asks again.
    content.report_bytes_max = 1472;
    s_device.mesh_fails = true;
    uint32_t failed = counted(MM_COUNTER_MESH_SEND_FAILED);
    ask(&content);
    assert_int_equal(counted(MM_COUNTER_MESH_SEND_FAILED), failed + 1);
}

static void test_node_own_clock_is_one_that_is_synchronised(void **state) {
    (void)state;
    begin();
    attach_as_child();
    // Impossible: refused, and the mesh's time is still welcome.
    assert_int_equal(mm_node_set_time(&s_device.node, (mm_time_t){{1}, MM_TRUST_SYNCED}, now_us()), MM_ERR_ARG);
    assert_int_equal(counted(MM_COUNTER_CLOCK_REJECTED), 1);
    // A battery clock is held: better than nothing, less than what the mesh has.
    assert_int_equal(mm_node_set_time(&s_device.node, time_now(MM_TRUST_HELD), now_us()), MM_OK);
    welcome((mm_time_t){{world.t_us + US}, MM_TRUST_SYNCED});
    assert_int_equal(mm_metering_time(&s_device.node.metering, now_us()).utc.us, world.t_us + US);
    assert_int_equal(mm_metering_time(&s_device.node.metering, now_us()).trust, MM_TRUST_SYNCED);
    // Its own source: from now on the mesh's is not taken, even when trust has run out.
    assert_int_equal(mm_node_set_time(&s_device.node, time_now(MM_TRUST_SYNCED), now_us()), MM_OK);
    wait_us((mm_us_t)(s_device.options.metering.time_trust_s + 1) * MM_US_PER_S);
    assert_int_equal(mm_metering_time(&s_device.node.metering, now_us()).trust, MM_TRUST_HELD);
    welcome((mm_time_t){{world.t_us + US}, MM_TRUST_SYNCED});
    assert_int_equal(mm_metering_time(&s_device.node.metering, now_us()).utc.us, world.t_us);
}

static void test_node_hold_ends_records_not_registers(void **state) {
    (void)state;
    begin();
    assert_int_equal(mm_node_set_time(&s_device.node, time_now(MM_TRUST_SYNCED), now_us()), MM_OK);
    wait_us(100 * MM_US_PER_S);
    mm_node_hold(&s_device.node);
    wait_us(1);
    assert_true(mm_metering_is_held(&s_device.node.metering));
    assert_int_equal(count_events(MM_EVENT_HOLD), 1);
    uint32_t next_seq = mm_journal_next(&s_device.node.journal).seq;
    wait_us(7200 * MM_US_PER_S);
    assert_int_equal(mm_journal_next(&s_device.node.journal).seq, next_seq);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        assert_int_equal(s_device.node.metering.registers.channels[channel].life_pulses, truth_at(channel, world.t_us));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_node_refuses_options_that_cannot_work),
        cmocka_unit_test(test_node_says_hello_until_it_knows_the_time),
        cmocka_unit_test(test_node_without_parent_waits_for_another),
        cmocka_unit_test(test_node_root_without_parent_keeps_the_role),
        cmocka_unit_test(test_node_root_notes_who_leaves),
        cmocka_unit_test(test_node_asserts_an_event_that_is_none),
        cmocka_unit_test(test_node_counts_frames_that_it_cannot_take),
        cmocka_unit_test(test_node_root_takes_no_orders_from_another_root),
        cmocka_unit_test(test_node_answers_in_the_room_it_is_given),
        cmocka_unit_test(test_node_own_clock_is_one_that_is_synchronised),
        cmocka_unit_test(test_node_hold_ends_records_not_registers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
