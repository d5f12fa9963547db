// SPDX-License-Identifier: Apache-2.0
// Node composition: a building of nodes in virtual time, with a mesh and a broker made of queues, and an HQ that keeps
// a set.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "meshmeter/node.h"

#define NODES 3
#define SECTORS 32
#define QUEUE_MAX 512
#define RECORDS_MAX 20000
#define MS 1000
#define TURNS_AT_ONCE_MAX 50

typedef struct {
    uint8_t flash[SECTORS * MM_FLASH_SECTOR_BYTES];
    uint8_t fram[MM_STORE_FRAM_BYTES];
    uint32_t pulses[MM_CHANNELS];
    mm_flash_t flash_port;
    mm_fram_t fram_port;
    mm_pulses_t pulses_port;
    mm_mesh_t mesh_port;
    mm_mqtt_t mqtt_port;
    mm_node_ports_t ports;
    mm_node_t node;
    uint8_t batch_memory[MM_BATCH_BYTES_MAX];
    bool alive;
    uint32_t session;
    uint16_t packet_id;
    uint8_t stored[RECORDS_MAX]; // HQ: how often each seq was stored
    uint32_t watermark;
    uint64_t hq_interval_pulses;
    mm_snapshot_t hq_snapshot;
    bool has_snapshot;
} station_t;

typedef enum {
    ITEM_FRAME,
    ITEM_MQTT
} item_kind_t;

typedef struct {
    mm_us_t at;
    item_kind_t kind;
    int to;
    int from;
    mm_mqtt_event_t event;
    char topic[64];
    uint8_t bytes[MM_DOWNLINK_BYTES_MAX];
    size_t bytes_count;
} item_t;

typedef struct {
    station_t stations[NODES];
    item_t queue[QUEUE_MAX];
    size_t queue_count;
    mm_us_t now;
    int root;
    bool hq_down;
    bool drop_pubacks;
    unsigned loss_percent;
    mm_random_t random;
    unsigned messages;
    unsigned session_messages_max;
    unsigned session_messages;
    uint64_t ack_revision;
    int kill_at_message;     // the root dies when it publishes this message; 0 = never
    bool live_after_backlog; // a live batch came behind a backlog batch in one session
    bool backlog_seen;
    uint32_t first_epoch;
} world_t;

static world_t *s_world;

static station_t *station_of(void *context) {
    return &s_world->stations[(intptr_t)context];
}
static void *context_of(int index) {
    return (void *)(intptr_t)index;
} // NOLINT(performance-no-int-to-ptr)

static mm_mac_t mac_of(int index) {
    return (mm_mac_t){{2, 0, 0, 0, 0, (uint8_t)(index + 1)}};
}
static int index_of(mm_mac_t mac) {
    return mac.bytes[5] - 1;
}

static mm_err_t flash_read(void *context, uint32_t address, void *bytes, size_t bytes_count) {
    memcpy(bytes, station_of(context)->flash + address, bytes_count);
    return MM_OK;
}
static mm_err_t flash_program(void *context, uint32_t address, const void *bytes, size_t bytes_count) {
    const uint8_t *source = bytes;
    for (size_t i = 0; i < bytes_count; i++) {
        station_of(context)->flash[address + i] &= source[i];
    }
    return MM_OK;
}
static mm_err_t flash_erase(void *context, uint32_t sector_index) {
    memset(station_of(context)->flash + sector_index * MM_FLASH_SECTOR_BYTES, 0xFF, MM_FLASH_SECTOR_BYTES);
    return MM_OK;
}
static mm_err_t fram_read(void *context, uint32_t address, void *bytes, size_t bytes_count) {
    memcpy(bytes, station_of(context)->fram + address, bytes_count);
    return MM_OK;
}
static mm_err_t fram_write(void *context, uint32_t address, const void *bytes, size_t bytes_count) {
    memcpy(station_of(context)->fram + address, bytes, bytes_count);
    return MM_OK;
}
static mm_err_t pulses_read(void *context, mm_us_t now, mm_pulse_counts_t *counts) {
    (void)now;
    counts->generation = 7;
    memcpy(counts->counts, station_of(context)->pulses, sizeof counts->counts);
    return MM_OK;
}

static item_t *add_item(item_kind_t kind, int to, mm_us_t delay) {
    assert_true(s_world->queue_count < QUEUE_MAX);
    item_t *item = &s_world->queue[s_world->queue_count++];
    *item = (item_t){.kind = kind, .to = to, .at = s_world->now + delay};
    return item;
}

static mm_err_t mesh_send(void *context, mm_mac_t to, const void *bytes, size_t bytes_count) {
    assert_true(bytes_count <= MM_MESH_FRAME_BYTES_MAX);
    if (mm_random_below(&s_world->random, 100) < s_world->loss_percent) {
        return MM_OK;
    }
    item_t *item = add_item(ITEM_FRAME, index_of(to), 5 * MS + (mm_us_t)mm_random_below(&s_world->random, 5 * MS));
    item->from = (int)(intptr_t)context;
    memcpy(item->bytes, bytes, bytes_count);
    item->bytes_count = bytes_count;
    return MM_OK;
}
static mm_err_t mesh_send_to_root(void *context, const void *bytes, size_t bytes_count) {
    return s_world->root < 0 ? MM_ERR_UNAVAILABLE : mesh_send(context, mac_of(s_world->root), bytes, bytes_count);
}

static item_t *add_mqtt(int to, mm_mqtt_event_kind_t kind, uint16_t packet_id, uint8_t reason) {
    item_t *item = add_item(ITEM_MQTT, to, 50 * MS);
    item->event = (mm_mqtt_event_t){
        .kind = kind, .session = s_world->stations[to].session, .packet_id = packet_id, .reason = reason};
    return item;
}

static mm_err_t mqtt_start(void *context, uint32_t session) {
    station_t *station = station_of(context);
    station->session = session;
    s_world->session_messages = 0;
    s_world->backlog_seen = false;
    (void)add_mqtt((int)(intptr_t)context, MM_MQTT_CONNECTED, 0, 0);
    return MM_OK;
}

static void deliver_ack(int to, const char *topic) {
    mm_ack_t ack = {.database_id = 1, .revision = ++s_world->ack_revision, .entry_count = NODES};
    for (int i = 0; i < NODES; i++) {
        const station_t *station = &s_world->stations[i];
        ack.entries[i] = (mm_ack_entry_t){mac_of(i), {station->hq_snapshot.oldest.epoch, station->watermark}};
        if (!station->has_snapshot) {
            ack.entry_count = (uint8_t)i; // HQ knows the first i nodes only
            break;
        }
    }
    item_t *item = add_mqtt(to, MM_MQTT_DATA, 0, 0);
    item->bytes_count = mm_ack_write(item->bytes, sizeof item->bytes, &ack);
    assert_true(item->bytes_count > 0);
    item->event.retained = true;
    strcpy(item->topic, topic);
}

static mm_err_t mqtt_subscribe(void *context, const char *topic, uint8_t qos, uint16_t *packet_id) {
    station_t *station = station_of(context);
    *packet_id = ++station->packet_id;
    (void)add_mqtt((int)(intptr_t)context, MM_MQTT_SUBSCRIBED, *packet_id, qos);
    if (strcmp(topic, "meter/house-1/ack") == 0 && s_world->ack_revision > 0) {
        deliver_ack((int)(intptr_t)context, topic);
    }
    return MM_OK;
}

static void hq_take_report(const uint8_t *bytes, size_t bytes_count) {
    mm_frame_t frame;
    mm_report_reader_t reader;
    static mm_snapshot_t s_snapshot;
    mm_record_view_t view;
    mm_record_t record;
    assert_int_equal(mm_frame_open(bytes, bytes_count, &frame), MM_OK);
    assert_int_equal(mm_report_open(&frame, &reader), MM_OK);
    station_t *station = &s_world->stations[index_of(frame.source)];
    for (;;) {
        mm_report_item_t item = mm_report_next(&reader, &s_snapshot, &view);
        assert_int_not_equal(item, MM_REPORT_CORRUPT);
        if (item == MM_REPORT_END) {
            break;
        }
        if (item == MM_REPORT_SNAPSHOT) {
            station->hq_snapshot = s_snapshot;
            station->has_snapshot = true;
            continue;
        }
        assert_true(view.position.seq < RECORDS_MAX);
        if (station->stored[view.position.seq]++ == 0 &&
            mm_record_decode(view.type, view.payload, view.payload_bytes, &record) == MM_OK &&
            record.type == MM_RECORD_INTERVAL) {
            for (int c = 0; c < MM_CHANNELS; c++) {
                station->hq_interval_pulses += record.interval.pulses[c];
            }
        }
    }
    while (station->stored[station->watermark + 1] > 0) {
        station->watermark++;
    }
}

static void hq_take_batch(const uint8_t *bytes, size_t bytes_count) {
    mm_batch_reader_t batch;
    assert_int_equal(mm_batch_open(bytes, bytes_count, &batch), MM_OK);
    s_world->live_after_backlog =
        s_world->live_after_backlog || (batch.header.kind == MM_BATCH_LIVE && s_world->backlog_seen);
    s_world->backlog_seen = s_world->backlog_seen || batch.header.kind == MM_BATCH_BACKLOG;
    const uint8_t *frame = NULL;
    size_t frame_bytes = 0;
    while (mm_batch_next(&batch, &frame, &frame_bytes)) {
        hq_take_report(frame, frame_bytes);
    }
}

static mm_err_t mqtt_publish(void *context, const char *topic, const void *bytes, size_t bytes_count,
                             uint16_t *packet_id) {
    station_t *station = station_of(context);
    assert_string_equal(topic, "meter/house-1/info");
    *packet_id = ++station->packet_id;
    s_world->messages++;
    s_world->session_messages++;
    if (s_world->session_messages > s_world->session_messages_max) {
        s_world->session_messages_max = s_world->session_messages;
    }
    if (!s_world->hq_down) {
        hq_take_batch(bytes, bytes_count);
        s_world->ack_revision++;
    }
    if (!s_world->drop_pubacks) {
        (void)add_mqtt((int)(intptr_t)context, MM_MQTT_PUBLISHED, *packet_id, 0);
    }
    if (s_world->kill_at_message != 0 && s_world->messages == (unsigned)s_world->kill_at_message) {
        station->alive = false;
    }
    return MM_OK;
}

static void mqtt_stop(void *context, bool graceful) {
    (void)graceful;
    (void)add_mqtt((int)(intptr_t)context, MM_MQTT_DISCONNECTED, 0, 0);
}

static void boot(int index) {
    station_t *station = &s_world->stations[index];
    void *context = context_of(index);
    station->flash_port = (mm_flash_t){flash_read, flash_program, flash_erase, context, SECTORS};
    station->fram_port = (mm_fram_t){fram_read, fram_write, context, sizeof station->fram};
    station->pulses_port = (mm_pulses_t){pulses_read, context};
    station->mesh_port = (mm_mesh_t){mesh_send, mesh_send_to_root, context};
    station->mqtt_port = (mm_mqtt_t){mqtt_start, mqtt_subscribe, mqtt_publish, mqtt_stop, context};
    station->ports = (mm_node_ports_t){.pulses = &station->pulses_port,
                                       .fram = &station->fram_port,
                                       .journal_flash = &station->flash_port,
                                       .mesh = &station->mesh_port,
                                       .mqtt = &station->mqtt_port,
                                       .batch_memory = station->batch_memory,
                                       .batch_capacity = 1};
    mm_node_options_t options = {.mac = mac_of(index),
                                 .site = "house-1",
                                 .timing = mm_timing_default(mac_of(index)),
                                 .journal_sector_count = SECTORS,
                                 .random_seed = (uint64_t)index + 1};
    options.metering.first_epoch = s_world->first_epoch;
    options.metering.time_trust_s = 86400;
    options.metering.save_period_s = 60;
    strcpy(options.metering.tz, "CET-1CEST,M3.5.0,M10.5.0/3");
    for (int c = 0; c < MM_CHANNELS; c++) {
        options.metering.meters[c] = (mm_meter_config_t){.pulse_constant = 1000};
        options.metering.meters[c].id[0] = (char)('A' + c);
    }
    assert_int_equal(mm_node_init(&station->node, &options, &station->ports, s_world->now), MM_OK);
    station->alive = true;
}

static void mesh_event(int index, mm_mesh_event_kind_t kind, int about, uint8_t layer) {
    if (s_world->stations[index].alive) {
        const mm_mesh_event_t event = {.kind = kind, .mac = mac_of(about), .layer = layer};
        mm_node_on_mesh_event(&s_world->stations[index].node, &event, s_world->now);
    }
}

static void elect(int root, bool router_up) {
    s_world->root = root;
    mesh_event(root, MM_MESH_PARENT_CONNECTED, root, 1);
    for (int i = 0; i < NODES; i++) {
        mesh_event(i, MM_MESH_ROOT_CHANGED, root, 0);
        if (i != root && s_world->stations[i].alive) {
            mesh_event(i, MM_MESH_PARENT_CONNECTED, root, 2);
            mesh_event(root, MM_MESH_CHILD_JOINED, i, 0);
        }
    }
    mesh_event(root, router_up ? MM_MESH_GOT_IP : MM_MESH_LOST_IP, root, 0);
}

static void deliver_due(void) {
    for (size_t i = 0; i < s_world->queue_count;) {
        if (s_world->queue[i].at > s_world->now) {
            i++;
            continue;
        }
        static item_t s_item;
        s_item = s_world->queue[i];
        memmove(&s_world->queue[i], &s_world->queue[i + 1], (--s_world->queue_count - i) * sizeof s_item);
        station_t *station = &s_world->stations[s_item.to];
        if (!station->alive) {
            continue;
        }
        if (s_item.kind == ITEM_FRAME) {
            mm_node_on_mesh_frame(&station->node, mac_of(s_item.from), s_item.bytes, s_item.bytes_count, s_world->now);
        } else {
            s_item.event.topic = s_item.topic;
            s_item.event.bytes = s_item.bytes;
            s_item.event.bytes_count = s_item.bytes_count;
            mm_node_on_mqtt_event(&station->node, &s_item.event, s_world->now);
        }
    }
}

// Run until `until`; every node makes a pulse on each channel about once a minute.
static void run_until(mm_us_t until) {
    mm_us_t pulse_at = s_world->now;
    unsigned turns_at_once = 0;
    while (s_world->now < until) {
        deliver_due();
        mm_us_t next = until;
        bool pulse = s_world->now >= pulse_at;
        for (int i = 0; i < NODES; i++) {
            station_t *station = &s_world->stations[i];
            for (int c = 0; pulse && c < MM_CHANNELS; c++) {
                station->pulses[c] += mm_random_below(&s_world->random, 3);
            }
            if (station->alive) {
                mm_us_t deadline = mm_node_poll(&station->node, s_world->now);
                next = deadline < next ? deadline : next;
            }
        }
        pulse_at += pulse ? 60 * MM_US_PER_S : 0;
        next = pulse_at < next ? pulse_at : next;
        for (size_t i = 0; i < s_world->queue_count; i++) {
            next = s_world->queue[i].at < next ? s_world->queue[i].at : next;
        }
        // A node may ask to be polled again at once, but not for ever.
        turns_at_once = next > s_world->now ? 0 : turns_at_once + 1;
        assert_true(turns_at_once < TURNS_AT_ONCE_MAX);
        s_world->now = next > s_world->now ? next : s_world->now;
    }
}

static void run_for_s(int64_t seconds) {
    run_until(s_world->now + seconds * MM_US_PER_S);
}

#define BEGIN_S INT64_C(1451606400) /* 2016-01-01T00:00:00Z */

static void set_time(int index) {
    mm_time_t time = {{BEGIN_S * MM_US_PER_S + s_world->now}, MM_TRUST_SYNCED};
    assert_int_equal(mm_node_set_time(&s_world->stations[index].node, time, s_world->now), MM_OK);
}

static int begin_world(void **state) {
    (void)state;
    s_world = calloc(1, sizeof *s_world);
    assert_non_null(s_world);
    s_world->random = mm_random(1);
    s_world->root = -1;
    for (int i = 0; i < NODES; i++) {
        memset(s_world->stations[i].flash, 0xFF, sizeof s_world->stations[i].flash);
        memset(s_world->stations[i].fram, 0xFF, sizeof s_world->stations[i].fram);
        boot(i);
    }
    return 0;
}

static int end_world(void **state) {
    (void)state;
    free(s_world);
    return 0;
}

// Everything that was made has been stored, in the registers and in the load profile.
static void assert_all_arrived(void) {
    for (int i = 0; i < NODES; i++) {
        const station_t *station = &s_world->stations[i];
        uint64_t pulses = 0;
        uint64_t open_pulses = 0;
        for (int c = 0; c < MM_CHANNELS; c++) {
            assert_int_equal(station->node.metering.registers.channels[c].life_pulses, station->pulses[c]);
            pulses += station->pulses[c];
            open_pulses += station->node.metering.registers.channels[c].interval_pulses;
        }
        assert_int_equal(station->watermark + 1, mm_journal_next(&station->node.journal).seq);
        assert_int_equal(station->hq_interval_pulses + open_pulses, pulses);
    }
}

static void test_node_calm_site_delivers_everything(void **state) {
    (void)state;
    set_time(0);
    elect(0, true);
    run_for_s(6 * 3600);
    // End right behind a session: nothing new has been made since.
    run_until(s_world->now + mm_slot_cycle_us(&s_world->stations[0].node.options.timing.slots));
    run_for_s(1200 - (s_world->now / MM_US_PER_S) % 900);
    assert_int_equal(s_world->stations[1].node.metering.time_known, true);
    assert_true(s_world->stations[0].node.root.sessions_clean >= 40);
    assert_int_equal(s_world->stations[0].node.counters.values[MM_COUNTER_SESSION_FAILED], 0);
    assert_int_equal(s_world->live_after_backlog, false);
    for (int i = 0; i < NODES; i++) {
        assert_true(s_world->stations[i].has_snapshot);
        assert_int_equal(s_world->stations[i].hq_snapshot.layer, i == 0 ? 1 : 2);
        // A watermark comes back: the children know it too, through the asks.
        assert_true(s_world->stations[i].node.metering.watermark.seq > 10);
    }
    // Records are sent once when nothing fails: HQ saw no more than the few that were not yet watermarked.
    for (uint32_t seq = 1; seq < s_world->stations[1].watermark; seq++) {
        assert_true(s_world->stations[1].stored[seq] <= 2);
    }
}

static void test_node_router_off_30_hours_then_backlog(void **state) {
    (void)state;
    set_time(0);
    elect(0, true);
    run_for_s(3600);
    mesh_event(0, MM_MESH_LOST_IP, 0, 0);
    unsigned messages = s_world->messages;
    run_for_s(30 * 3600);
    assert_int_equal(s_world->messages, messages);
    mesh_event(0, MM_MESH_GOT_IP, 0, 0);
    // 120 records a node in batches of about 50 for each node: a handful of messages, one session and its confirmation.
    run_for_s(3 * 500);
    assert_true(s_world->session_messages_max <= MM_SESSION_MESSAGES_MAX);
    assert_int_equal(s_world->live_after_backlog, false);
    run_for_s(1200 - (s_world->now / MM_US_PER_S) % 900);
    assert_all_arrived();
}

static void test_node_lost_pubacks_and_lost_frames_lose_nothing(void **state) {
    (void)state;
    set_time(0);
    elect(0, true);
    s_world->loss_percent = 20;
    run_for_s(3 * 3600);
    s_world->drop_pubacks = true;
    run_for_s(2 * 3600);
    assert_true(s_world->stations[0].node.counters.values[MM_COUNTER_PUBACK_TIMEOUT] > 0);
    s_world->drop_pubacks = false;
    s_world->loss_percent = 0;
    // The longest back-off is an hour; then two cycles.
    run_for_s(2 * 3600 + 4 * 500);
    run_for_s(1200 - (s_world->now / MM_US_PER_S) % 900);
    assert_all_arrived();
}

static void test_node_hq_down_a_day_holds_back(void **state) {
    (void)state;
    set_time(0);
    elect(0, true);
    run_for_s(3600);
    s_world->hq_down = true;
    unsigned before = s_world->messages;
    run_for_s(24 * 3600);
    // 173 cycles, each with one live message; resending what was confirmed must not multiply them.
    assert_true(s_world->messages - before < 260);
    s_world->hq_down = false;
    run_for_s(5 * 3600);
    run_for_s(1200 - (s_world->now / MM_US_PER_S) % 900);
    assert_all_arrived();
}

static void test_node_root_dies_in_a_session_another_takes_over(void **state) {
    (void)state;
    set_time(0);
    set_time(1);
    elect(0, true);
    run_for_s(7200);
    s_world->kill_at_message = (int)s_world->messages + 1;
    run_for_s(1000);
    assert_int_equal(s_world->stations[0].alive, false);
    s_world->kill_at_message = 0;
    elect(1, true);
    run_for_s(7200);
    boot(0); // its counter went on; it comes back as a child
    mesh_event(0, MM_MESH_PARENT_CONNECTED, 1, 2);
    mesh_event(0, MM_MESH_ROOT_CHANGED, 1, 0);
    mesh_event(1, MM_MESH_CHILD_JOINED, 0, 0);
    run_for_s(3 * 3600);
    run_for_s(1200 - (s_world->now / MM_US_PER_S) % 900);
    assert_int_equal(s_world->stations[0].node.metering.boot_no, 2);
    assert_int_equal(s_world->stations[0].node.root.active, false);
    assert_all_arrived();
}

static void run_into_open_round(void) {
    mm_us_t limit = s_world->now + 1000 * MM_US_PER_S;
    while (s_world->stations[0].node.root.phase != MM_ROOT_COLLECTING && s_world->now < limit) {
        run_until(s_world->now + 100 * MS);
    }
    assert_int_equal(s_world->stations[0].node.root.phase, MM_ROOT_COLLECTING);
}

static void test_node_router_lost_in_an_open_round_does_not_spin(void **state) {
    (void)state;
    set_time(0);
    elect(0, true);
    run_for_s(600);
    s_world->stations[2].alive = false; // it keeps the round open
    run_into_open_round();
    mesh_event(0, MM_MESH_LOST_IP, 0, 0);
    run_for_s(60); // asserts that every poll moves on
    assert_int_equal(s_world->stations[0].node.root.round.open, false);
    mesh_event(0, MM_MESH_GOT_IP, 0, 0);
    uint32_t clean = s_world->stations[0].node.root.sessions_clean;
    run_for_s(1200);
    assert_true(s_world->stations[0].node.root.sessions_clean > clean);
}

static uint64_t pulses_of(const station_t *station) {
    uint64_t pulses = 0;
    for (int c = 0; c < MM_CHANNELS; c++) {
        pulses += station->pulses[c];
    }
    return pulses;
}

// The registers are gone, the journal and the counters are not: what they had counted is in interval records already.
static void test_node_lost_registers_are_not_counted_again(void **state) {
    (void)state;
    station_t *station = &s_world->stations[0];
    set_time(0);
    elect(0, true);
    run_for_s(4 * 3600);
    uint64_t pulses_at_loss = pulses_of(station);
    uint64_t profile_at_loss = station->hq_interval_pulses;
    memset(station->fram, 0xFF, sizeof station->fram);
    boot(0);
    set_time(0);
    elect(0, true);
    run_for_s(4 * 3600);
    run_for_s(1200 - (s_world->now / MM_US_PER_S) % 900);
    assert_true(profile_at_loss > 0);
    uint64_t made_since = pulses_of(station) - pulses_at_loss;
    uint64_t arrived_since = station->hq_interval_pulses - profile_at_loss;
    // What was made before the loss and had not arrived yet are a few intervals; never the whole life again.
    assert_in_range(arrived_since, made_since * 9 / 10, made_since + pulses_at_loss / 4);
    assert_true(station->hq_interval_pulses <= pulses_of(station));
}

// The clock is known at the start: a restart in the middle of an interval leaves one interval, not a scrap without a
// time.
static void test_node_restart_with_a_clock_keeps_the_interval(void **state) {
    (void)state;
    station_t *station = &s_world->stations[0];
    set_time(0);
    elect(0, true);
    run_for_s(1500);
    uint32_t interval_no = station->node.metering.interval_no;
    uint32_t open_pulses = station->node.metering.registers.channels[0].interval_pulses;
    assert_true(open_pulses > 0);
    boot(0);
    set_time(0);
    assert_int_equal(station->node.metering.interval_no, interval_no);
    assert_int_equal(station->node.metering.registers.channels[0].interval_pulses, open_pulses);
}

static void test_node_that_lost_all_memory_begins_another_epoch(void **state) {
    (void)state;
    station_t *station = &s_world->stations[0];
    assert_int_equal(mm_journal_next(&station->node.journal).epoch, 1);
    s_world->first_epoch = 1000;
    boot(0); // nothing is lost: the epoch stays
    assert_int_equal(mm_journal_next(&station->node.journal).epoch, 1);
    memset(station->fram, 0xFF, sizeof station->fram);
    memset(station->flash, 0xFF, sizeof station->flash);
    boot(0);
    assert_int_equal(mm_journal_next(&station->node.journal).epoch, 1000);
}

static void test_node_root_role_starts_and_stops_once(void **state) {
    (void)state;
    set_time(0);
    elect(0, true);
    mesh_event(0, MM_MESH_PARENT_CONNECTED, 0, 1);
    mesh_event(0, MM_MESH_GOT_IP, 0, 0);
    uint32_t next = mm_journal_next(&s_world->stations[0].node.journal).seq;
    mesh_event(0, MM_MESH_PARENT_CONNECTED, 0, 1);
    mesh_event(0, MM_MESH_ROOT_CHANGED, 0, 0);
    assert_int_equal(mm_journal_next(&s_world->stations[0].node.journal).seq, next);
    elect(1, true);
    assert_int_equal(s_world->stations[0].node.root.active, false);
    assert_int_equal(s_world->stations[0].node.root.uplink.state, MM_UPLINK_STOPPED);
    assert_int_equal(s_world->stations[1].node.root.active, true);
}

static void test_node_refuses_foreign_and_damaged_frames(void **state) {
    (void)state;
    set_time(0);
    elect(0, true);
    mm_node_t *node = &s_world->stations[1].node;
    uint8_t bytes[64];
    const mm_welcome_t welcome = {.time = {{BEGIN_S * MM_US_PER_S}, MM_TRUST_SYNCED}};
    size_t size = mm_frame_write_welcome(bytes, sizeof bytes, mac_of(2), &welcome);
    mm_node_on_mesh_frame(node, mac_of(0), bytes, size, s_world->now); // says it is 2, comes from 0
    assert_int_equal(node->counters.values[MM_COUNTER_FRAME_UNEXPECTED], 1);
    assert_int_equal(node->metering.time_known, false);
    bytes[size - 1] ^= 1;
    mm_node_on_mesh_frame(node, mac_of(2), bytes, size, s_world->now);
    assert_int_equal(node->counters.values[MM_COUNTER_FRAME_CORRUPT], 1);
    mm_node_on_mesh_frame(node, mac_of(2), "{\"cmd\":\"lock\"}", 14, s_world->now);
    assert_int_equal(node->counters.values[MM_COUNTER_FRAME_CORRUPT], 2);
    mm_node_on_mesh_frame(node, mac_of(2), "", 0, s_world->now);
    assert_int_equal(node->counters.values[MM_COUNTER_FRAME_CORRUPT], 3);
}

int main(void) {
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, begin_world, end_world)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_node_calm_site_delivers_everything),
        WORLD_TEST(test_node_router_off_30_hours_then_backlog),
        WORLD_TEST(test_node_lost_pubacks_and_lost_frames_lose_nothing),
        WORLD_TEST(test_node_hq_down_a_day_holds_back),
        WORLD_TEST(test_node_root_dies_in_a_session_another_takes_over),
        WORLD_TEST(test_node_router_lost_in_an_open_round_does_not_spin),
        WORLD_TEST(test_node_lost_registers_are_not_counted_again),
        WORLD_TEST(test_node_restart_with_a_clock_keeps_the_interval),
        WORLD_TEST(test_node_that_lost_all_memory_begins_another_epoch),
        WORLD_TEST(test_node_root_role_starts_and_stops_once),
        WORLD_TEST(test_node_refuses_foreign_and_damaged_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
