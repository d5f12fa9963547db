// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ROOT_FIXTURE_H
#define MM_ROOT_FIXTURE_H

#include "meshmeter/root.h"

#include "metering_world.h"

#define BEGIN_S INT64_C(1451606400) /* 2016-01-01T00:00:00Z */
#define FRAMES_MAX 512
#define MESSAGES_MAX 64

typedef struct {
    mm_mac_t to;
    uint8_t bytes[MM_MESH_FRAME_BYTES_MAX];
    size_t bytes_count;
} sent_t;

typedef struct {
    mm_root_t root;
    mm_timing_t timing;
    mm_mesh_t mesh;
    mm_mqtt_t mqtt;
    mm_log_t log;
    uint8_t batch_memory[MM_BATCHES_MAX * MM_BATCH_BYTES_MAX];
    bool mesh_fails;
    unsigned sends;
    sent_t sent[FRAMES_MAX];
    size_t sent_count;
    uint32_t session; ///< 0 = none
    uint16_t packet_id;
    uint8_t suback_reason; ///< of the subscription to commands
    mm_batch_header_t published[MESSAGES_MAX];
    uint16_t published_ids[MESSAGES_MAX];
    size_t published_count;
    unsigned log_count;
    const char *log_message;
    int64_t log_first;
} site_t;

static site_t s_site;

static inline mm_mac_t mac_of(uint32_t index) {
    return (mm_mac_t){{0x02, 0, 0, 0, (uint8_t)(index >> 8), (uint8_t)index}};
}

static inline mm_us_t now_us(void) {
    return mono(world.t_us);
}

static inline uint32_t counted(mm_counter_t counter) {
    return world.counters.values[counter];
}

// --- ports ---------------------------------------------------------------------------------------
static inline mm_err_t mesh_send(void *context, mm_mac_t to, const void *bytes, size_t bytes_count) {
    (void)context;
    s_site.sends++;
    if (s_site.mesh_fails) {
        return MM_ERR_BUSY;
    }
    assert_true(s_site.sent_count < FRAMES_MAX && bytes_count <= sizeof s_site.sent[0].bytes);
    sent_t *sent = &s_site.sent[s_site.sent_count++];
    sent->to = to;
    sent->bytes_count = bytes_count;
    memcpy(sent->bytes, bytes, bytes_count);
    return MM_OK;
}

static inline mm_err_t mqtt_start(void *context, uint32_t session) {
    (void)context;
    s_site.session = session;
    return MM_OK;
}

static inline mm_err_t mqtt_subscribe(void *context, const char *topic, uint8_t qos, uint16_t *packet_id) {
    (void)context;
    (void)topic;
    (void)qos;
    *packet_id = ++s_site.packet_id;
    return MM_OK;
}

static inline mm_err_t mqtt_publish(void *context, const char *topic, const void *bytes, size_t bytes_count,
                                    uint16_t *packet_id) {
    (void)context;
    assert_string_equal(topic, "meter/house-1/info");
    mm_batch_reader_t reader;
    assert_int_equal(mm_batch_open(bytes, bytes_count, &reader), MM_OK);
    assert_true(s_site.published_count < MESSAGES_MAX);
    *packet_id = ++s_site.packet_id;
    s_site.published[s_site.published_count] = reader.header;
    s_site.published_ids[s_site.published_count++] = *packet_id;
    return MM_OK;
}

static inline void mqtt_stop(void *context, bool graceful) {
    (void)context;
    (void)graceful;
}

static inline void write_log(void *context, mm_log_level_t level, const char *message, const char *first_name,
                             int64_t first, const char *second_name, int64_t second) {
    (void)context;
    (void)level;
    (void)first_name;
    (void)second_name;
    (void)second;
    s_site.log_count++;
    s_site.log_message = message;
    s_site.log_first = first;
}

// --- driving it ----------------------------------------------------------------------------------
static inline void begin(uint8_t batch_capacity) {
    memset(&s_site, 0, sizeof s_site);
    world_init(BEGIN_S, true);
    assert_int_equal(world_open(), MM_OK);
    s_site.mesh = (mm_mesh_t){.send = mesh_send};
    s_site.mqtt =
        (mm_mqtt_t){.start = mqtt_start, .subscribe = mqtt_subscribe, .publish = mqtt_publish, .stop = mqtt_stop};
    s_site.log = (mm_log_t){.write = write_log};
    s_site.timing = mm_timing_default(mac_of(0));
    assert_int_equal(mm_root_init(&s_site.root, mac_of(0), "house-1", &s_site.timing, &s_site.mesh, &s_site.mqtt,
                                  &s_site.log, &world.metering, &world.counters, s_site.batch_memory, batch_capacity,
                                  42),
                     MM_OK);
}

static inline void know_time(void) {
    assert_int_equal(world_set_time(world.t_us, MM_TRUST_SYNCED), MM_OK);
}

static inline void poll_root(void) {
    (void)mm_root_poll(&s_site.root, now_us());
}

static inline void wait_us(mm_us_t duration_us) {
    world.t_us += duration_us;
    world_poll();
    poll_root();
}

// Go from deadline to deadline until the root is in this phase.
static inline void reach(mm_root_phase_t phase) {
    for (int turn = 0; turn < 1000; turn++) {
        mm_us_t now = now_us();
        mm_us_t deadline = mm_root_poll(&s_site.root, now);
        if (s_site.root.phase == phase) {
            return;
        }
        assert_true(deadline < MM_US_NEVER);
        if (deadline > now) {
            world.t_us += deadline - now;
            world_poll();
        }
    }
    fail_msg("phase %d is never reached", phase);
}

static inline void mqtt_answer(mm_mqtt_event_kind_t kind, uint16_t packet_id, uint8_t reason) {
    const mm_mqtt_event_t event = {.kind = kind, .session = s_site.session, .packet_id = packet_id, .reason = reason};
    mm_root_on_mqtt(&s_site.root, &event, now_us());
    poll_root();
}

static inline void mqtt_event(mm_mqtt_event_kind_t kind, uint16_t packet_id) {
    mqtt_answer(kind, packet_id, 0);
}

// Let the slot come, and the broker take the session.
static inline void open_session(void) {
    s_site.session = 0;
    for (int turn = 0; turn < 1000 && s_site.session == 0; turn++) {
        mm_us_t now = now_us();
        mm_us_t deadline = mm_root_poll(&s_site.root, now);
        world.t_us += deadline > now && s_site.session == 0 ? deadline - now : 0;
        world_poll();
    }
    assert_int_not_equal(s_site.session, 0);
    mqtt_event(MM_MQTT_CONNECTED, 0);
    mqtt_event(MM_MQTT_SUBSCRIBED, (uint16_t)(s_site.packet_id - 1));
    mqtt_answer(MM_MQTT_SUBSCRIBED, s_site.packet_id, s_site.suback_reason);
}

static inline void puback(size_t message) {
    assert_true(message < s_site.published_count);
    mqtt_event(MM_MQTT_PUBLISHED, s_site.published_ids[message]);
}

static inline void feed(const uint8_t *bytes, size_t bytes_count) {
    mm_frame_t frame;
    assert_int_equal(mm_frame_open(bytes, bytes_count, &frame), MM_OK);
    mm_root_on_frame(&s_site.root, &frame, bytes, bytes_count, now_us());
}

static inline void say_hello(uint32_t index) {
    uint8_t bytes[64];
    const mm_hello_t hello = {.boot_no = 1};
    feed(bytes, mm_frame_write_hello(bytes, sizeof bytes, mac_of(index), &hello));
}

// What a child says in an answer.
typedef struct {
    uint32_t index;
    uint32_t round_id;
    uint32_t next_seq; ///< 0 = no snapshot
    uint32_t first_seq;
    uint32_t last_seq; ///< below first_seq = no records
} answer_t;

static inline void answer(answer_t what) {
    static uint8_t s_bytes[MM_MESH_FRAME_BYTES_MAX];
    mm_report_writer_t report;
    mm_report_begin(&report, s_bytes, sizeof s_bytes, mac_of(what.index), what.round_id);
    if (what.next_seq != 0) {
        mm_snapshot_t snapshot = {.boot_no = 1, .oldest = {1, 1}, .next_seq = what.next_seq, .watermark = {1, 0}};
        assert_int_equal(mm_report_put_snapshot(&report, &snapshot), MM_OK);
    }
    for (uint32_t seq = what.first_seq; seq <= what.last_seq; seq++) {
        assert_int_equal(mm_report_put_record(&report, (mm_position_t){1, seq}, 99, "x", 1), MM_OK);
    }
    feed(s_bytes, mm_report_finish(&report));
}

// The newest ask to a child. False if it was not asked since `from`.
static inline bool find_ask(uint32_t index, size_t from, mm_ask_t *ask) {
    for (size_t i = s_site.sent_count; i > from; i--) {
        const sent_t *sent = &s_site.sent[i - 1];
        mm_frame_t frame;
        assert_int_equal(mm_frame_open(sent->bytes, sent->bytes_count, &frame), MM_OK);
        if (frame.type == MM_FRAME_ASK && mm_mac_equal(sent->to, mac_of(index))) {
            assert_int_equal(mm_frame_read_ask(&frame, ask), MM_OK);
            return true;
        }
    }
    return false;
}

static inline uint32_t round_id(void) {
    return s_site.root.round.round_id;
}

static inline void downlink(const char *topic, uint32_t session, const uint8_t *bytes, size_t bytes_count) {
    const mm_mqtt_event_t event = {
        .kind = MM_MQTT_DATA, .session = session, .topic = topic, .bytes = bytes, .bytes_count = bytes_count};
    mm_root_on_mqtt(&s_site.root, &event, now_us());
}

#endif
