// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SITE_WORLD_H
#define MM_SITE_WORLD_H

#include <stdint.h>
#include <string.h>

#include "meshmeter/crc32.h"
#include "meshmeter/node.h"

/// A building of nodes in virtual time, with a mesh and a broker made of queues, and an HQ that keeps a set. Everything
/// is in one struct at one place, so that a state can be copied away and gone on from again and again. Each call of a
/// port passes a gate, which counts it, may refuse it, and may cut the power of a node. What must never happen asserts.

#ifndef SITE_NODES
#define SITE_NODES 3
#endif
#ifndef SITE_SECTORS
#define SITE_SECTORS 32 ///< of each journal
#endif
#ifndef SITE_QUEUE_MAX
#define SITE_QUEUE_MAX 512
#endif
#ifndef SITE_COMMANDS_MAX
#define SITE_COMMANDS_MAX 16 ///< ids of commands that HQ can follow, from 1 on
#endif
#ifndef SITE_RECORDS_MAX
#define SITE_RECORDS_MAX 20000 ///< that HQ can keep of one node
#endif

#define MS 1000
#define SITE_BEGIN_S INT64_C(1451606400) /* 2016-01-01T00:00:00Z */
#define SITE_TURNS_AT_ONCE_MAX 50
#define SITE_KILLS_MAX 2
#define SITE_NOBODY (-1)

#define SITE_OPERATIONS(X)                                                                                             \
    X(JOURNAL_READ, "journal_read")                                                                                    \
    X(JOURNAL_PROGRAM, "journal_program")                                                                              \
    X(JOURNAL_ERASE, "journal_erase")                                                                                  \
    X(REGISTER_READ, "register_read")                                                                                  \
    X(REGISTER_PROGRAM, "register_program")                                                                            \
    X(REGISTER_ERASE, "register_erase")                                                                                \
    X(FRAM_READ, "fram_read")                                                                                          \
    X(FRAM_WRITE, "fram_write")                                                                                        \
    X(PULSES_READ, "pulses_read")                                                                                      \
    X(MESH_SEND, "mesh_send")                                                                                          \
    X(MESH_SEND_TO_ROOT, "mesh_send_to_root")                                                                          \
    X(MQTT_START, "mqtt_start")                                                                                        \
    X(MQTT_SUBSCRIBE, "mqtt_subscribe")                                                                                \
    X(MQTT_PUBLISH, "mqtt_publish")                                                                                    \
    X(MQTT_STOP, "mqtt_stop")

typedef enum {
#define SITE_ENUM(id, name) SITE_##id,
    SITE_OPERATIONS(SITE_ENUM)
#undef SITE_ENUM
    SITE_OPERATION_COUNT
} site_operation_t;

/// What HQ has of one node.
typedef struct {
    uint32_t epoch;
    uint8_t stored[SITE_RECORDS_MAX]; ///< how often each seq came
    uint32_t digests[SITE_RECORDS_MAX];
    uint8_t explained[SITE_RECORDS_MAX]; ///< a gap record says that it will not come: the reason
    bool has_given_up;                   ///< one says that the journal was full
    uint32_t watermark;
    uint16_t interval_of[SITE_RECORDS_MAX][MM_CHANNELS]; ///< pulses by seq, until a thinned record stands for them
    uint64_t interval_pulses[MM_CHANNELS];
    uint32_t interval_count; ///< not thinned
    uint32_t thinned_count;
    uint32_t interval_no_high;
    uint32_t closing_count;                  ///< of a month, each meter's once
    uint32_t closing_seqs[MM_CHANNELS];      ///< under which it came last
    uint32_t closing_left_seqs[MM_CHANNELS]; ///< under which it came before, when thinning carried it over
    uint32_t event_counts[MM_EVENT_INSTALLER_LOCK_OUT + 1];
    uint32_t result_counts[SITE_COMMANDS_MAX + 1];   ///< answers to each command, by its id
    uint32_t result_sessions[SITE_COMMANDS_MAX + 1]; ///< in which the first one came
    mm_snapshot_t snapshot;
    bool has_snapshot;
} site_hq_t;

typedef struct {
    uint32_t pulses[MM_CHANNELS]; ///< the truth
    uint32_t began[MM_CHANNELS];  ///< truth when the hardware counters started
    uint32_t kept[MM_CHANNELS];   ///< truth when everything counted was last in storage
    uint32_t
        may_lose[MM_CHANNELS]; ///< with world.counters_restart: not in storage when the power went, or made without
    uint32_t generation;
    mm_flash_t flash_port;
    mm_flash_t register_flash_port;
    mm_fram_t fram_port;
    mm_pulses_t pulses_port;
    mm_mesh_t mesh_port;
    mm_mqtt_t mqtt_port;
    mm_crypto_t crypto_port;
    mm_relay_t relay_port;
    mm_node_ports_t ports;
    bool takes_commands; ///< its session has subscribed to them
    bool supply[MM_CHANNELS];
    uint32_t relay_moves;
    bool alive;      ///< without power every call fails and does nothing
    uint32_t starts; ///< connections to the broker do not outlive them
    int root;        ///< where its mesh takes a frame for the root
    uint32_t session;
    uint16_t packet_id;
    uint32_t calls[SITE_OPERATION_COUNT];
    uint32_t storage_changes; ///< grows with each: who copies the world can see what need not be copied
    uint32_t hq_changes;
    mm_node_t node;
    uint8_t batch_memory[MM_BATCH_BYTES_MAX];
    site_hq_t hq;
    uint8_t flash[SITE_SECTORS * MM_FLASH_SECTOR_BYTES];
    union {
        uint8_t fram[MM_STORE_FRAM_BYTES];
        uint8_t register_flash[MM_STORE_FLASH_SECTORS_MIN * MM_FLASH_SECTOR_BYTES];
    };
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
    uint32_t start; ///< MQTT: of the receiver
    mm_mqtt_event_t event;
    char topic[48];
    size_t bytes_count;
    uint8_t bytes[MM_MESH_FRAME_BYTES_MAX];
} item_t;

/// Calls first … last of one operation of one node fail.
typedef struct {
    int node;
    site_operation_t operation;
    uint32_t first_call;
    uint32_t last_call;
    bool with_effect; ///< it is done all the same, only the answer is wrong
} site_fault_t;

/// What becomes of the answers of a node, while world.fates_on.
typedef enum {
    SITE_FATE_ON_TIME = 0,
    SITE_FATE_LOST,
    SITE_FATE_FIRST_LOST, ///< of each round
    SITE_FATE_TWICE,
    SITE_FATE_LATE, ///< behind the deadline of its round
    SITE_FATE_COUNT
} site_fate_t;
#define SITE_LATE_US (12 * MM_US_PER_S)

/// The power of a node fails before the point with this number: see world.points.
typedef struct {
    uint32_t at_point; ///< 0 = never
    int node;
} site_kill_t;

typedef struct {
    mm_us_t now;
    mm_us_t pulse_at;
    int64_t begin_s;
    mm_us_t pulse_period_us;
    bool flash_only;
    bool counters_restart; ///< the hardware counters, with the power of their node
    uint32_t first_epoch;
    mm_slot_plan_t slots; ///< slot_count 0: as the MAC says
    bool hq_down;
    bool drop_pubacks;
    unsigned loss_percent;
    mm_random_t random;
    unsigned turns_at_once;
    unsigned messages;
    unsigned session_messages_max;
    unsigned session_messages;
    uint64_t ack_revision;
    bool with_control; ///< nodes take commands
    uint32_t sessions; ///< begun
    size_t commands_bytes;
    uint8_t commands[MM_MESH_FRAME_BYTES_MAX]; ///< HQ's retained batch
    int kill_at_message;                       ///< the root dies when it publishes this message; 0 = never
    bool live_after_backlog;                   ///< a live batch came behind a backlog batch in one session
    bool backlog_seen;
    uint32_t script_index; ///< the caller's
    bool fates_on;
    site_fate_t fates[SITE_NODES];
    uint32_t answers_lost[SITE_NODES][SITE_NODES];      ///< by sender and receiver: round whose first answer was lost
    uint32_t answers_delivered[SITE_NODES][SITE_NODES]; ///< by receiver and sender: last round
    uint32_t missing_seen;                              ///< nodes that HQ was told did not answer
    site_fault_t fault;
    site_kill_t kills[SITE_KILLS_MAX];
    uint32_t points; ///< passed: deliveries, and calls that change something outside of the RAM of their node
    station_t stations[SITE_NODES];
    uint32_t queue_count;
    item_t queue[SITE_QUEUE_MAX];
} world_t;

static world_t world;

static inline const char *site_operation_name(site_operation_t operation) {
    static const char *const names[SITE_OPERATION_COUNT] = {
#define SITE_NAME(id, name) name,
        SITE_OPERATIONS(SITE_NAME)
#undef SITE_NAME
    };
    return names[operation];
}

static inline int index_of_context(void *context) {
    return (int)(intptr_t)context;
}
static inline station_t *station_of(void *context) {
    return &world.stations[index_of_context(context)];
}
static inline void *context_of(int index) {
    return (void *)(intptr_t)index; // NOLINT(performance-no-int-to-ptr)
}

static inline mm_mac_t mac_of(int index) {
    return (mm_mac_t){{2, 0, 0, 0, 0, (uint8_t)(index + 1)}};
}
static inline int index_of(mm_mac_t mac) {
    int index = mac.bytes[5] - 1;
    MM_ASSERT(index >= 0 && index < SITE_NODES && mm_mac_equal(mac, mac_of(index)));
    return index;
}

static inline void cut_power(int index) {
    world.stations[index].alive = false;
}

// --- the gate ------------------------------------------------------------------------------------
static inline void pass_point(void) {
    world.points++;
    for (int i = 0; i < SITE_KILLS_MAX; i++) {
        if (world.kills[i].at_point == world.points) {
            cut_power(world.kills[i].node);
        }
    }
}

static inline bool changes_something(site_operation_t operation) {
    return operation != SITE_JOURNAL_READ && operation != SITE_REGISTER_READ && operation != SITE_FRAM_READ &&
           operation != SITE_PULSES_READ;
}

/// False: the call fails without effect, or, if *refused, with its effect.
static inline bool pass_gate(void *context, site_operation_t operation, bool *refused) {
    station_t *station = station_of(context);
    if (station->alive && changes_something(operation)) {
        pass_point();
    }
    *refused = false;
    if (!station->alive) {
        return false;
    }
    uint32_t call = ++station->calls[operation];
    const site_fault_t *fault = &world.fault;
    if (fault->first_call == 0 || fault->node != index_of_context(context) || fault->operation != operation ||
        call < fault->first_call || call > fault->last_call) {
        return true;
    }
    *refused = fault->with_effect;
    return fault->with_effect;
}

// --- storage and counters ------------------------------------------------------------------------
static inline mm_err_t memory_read(void *context, site_operation_t operation, const uint8_t *memory, void *bytes,
                                   size_t bytes_count) {
    bool refused;
    if (!pass_gate(context, operation, &refused)) {
        return MM_ERR_STORAGE;
    }
    memcpy(bytes, memory, bytes_count);
    return refused ? MM_ERR_STORAGE : MM_OK;
}
static inline mm_err_t memory_program(void *context, site_operation_t operation, uint8_t *memory, const uint8_t *bytes,
                                      size_t bytes_count) {
    bool refused;
    if (!pass_gate(context, operation, &refused)) {
        return MM_ERR_STORAGE;
    }
    station_of(context)->storage_changes++;
    for (size_t i = 0; i < bytes_count; i++) {
        memory[i] &= bytes[i];
    }
    return refused ? MM_ERR_STORAGE : MM_OK;
}
static inline mm_err_t memory_erase(void *context, site_operation_t operation, uint8_t *sector) {
    bool refused;
    if (!pass_gate(context, operation, &refused)) {
        return MM_ERR_STORAGE;
    }
    station_of(context)->storage_changes++;
    memset(sector, 0xFF, MM_FLASH_SECTOR_BYTES);
    return refused ? MM_ERR_STORAGE : MM_OK;
}

static inline mm_err_t journal_read(void *context, uint32_t address, void *bytes, size_t bytes_count) {
    return memory_read(context, SITE_JOURNAL_READ, station_of(context)->flash + address, bytes, bytes_count);
}
static inline mm_err_t journal_program(void *context, uint32_t address, const void *bytes, size_t bytes_count) {
    return memory_program(context, SITE_JOURNAL_PROGRAM, station_of(context)->flash + address, bytes, bytes_count);
}
static inline mm_err_t journal_erase(void *context, uint32_t sector_index) {
    return memory_erase(context, SITE_JOURNAL_ERASE,
                        station_of(context)->flash + (size_t)sector_index * MM_FLASH_SECTOR_BYTES);
}
static inline mm_err_t register_read(void *context, uint32_t address, void *bytes, size_t bytes_count) {
    return memory_read(context, SITE_REGISTER_READ, station_of(context)->register_flash + address, bytes, bytes_count);
}
static inline mm_err_t register_program(void *context, uint32_t address, const void *bytes, size_t bytes_count) {
    return memory_program(context, SITE_REGISTER_PROGRAM, station_of(context)->register_flash + address, bytes,
                          bytes_count);
}
static inline mm_err_t register_erase(void *context, uint32_t sector_index) {
    return memory_erase(context, SITE_REGISTER_ERASE,
                        station_of(context)->register_flash + (size_t)sector_index * MM_FLASH_SECTOR_BYTES);
}
static inline mm_err_t fram_read(void *context, uint32_t address, void *bytes, size_t bytes_count) {
    return memory_read(context, SITE_FRAM_READ, station_of(context)->fram + address, bytes, bytes_count);
}
static inline mm_err_t fram_write(void *context, uint32_t address, const void *bytes, size_t bytes_count) {
    bool refused;
    if (!pass_gate(context, SITE_FRAM_WRITE, &refused)) {
        return MM_ERR_STORAGE;
    }
    station_of(context)->storage_changes++;
    memcpy(station_of(context)->fram + address, bytes, bytes_count);
    return refused ? MM_ERR_STORAGE : MM_OK;
}
static inline mm_err_t pulses_read(void *context, mm_us_t now, mm_pulse_counts_t *counts) {
    (void)now;
    const station_t *station = station_of(context);
    bool refused;
    if (!pass_gate(context, SITE_PULSES_READ, &refused)) {
        return MM_ERR_UNAVAILABLE;
    }
    counts->generation = station->generation;
    for (int c = 0; c < MM_CHANNELS; c++) {
        counts->counts[c] = station->pulses[c] - station->began[c];
    }
    return refused ? MM_ERR_UNAVAILABLE : MM_OK;
}

// --- the mesh ------------------------------------------------------------------------------------
static inline item_t *add_item(item_kind_t kind, int to, mm_us_t delay) {
    MM_ASSERT(world.queue_count < SITE_QUEUE_MAX);
    item_t *item = &world.queue[world.queue_count++];
    item->at = world.now + delay;
    item->kind = kind;
    item->to = to;
    item->from = SITE_NOBODY;
    item->start = world.stations[to].starts;
    item->event = (mm_mqtt_event_t){.kind = MM_MQTT_EVENT_NONE};
    memset(item->topic, 0, sizeof item->topic);
    item->bytes_count = 0;
    return item;
}

// The round that this frame answers; 0: it is no answer.
static inline uint32_t answered_round(const void *bytes, size_t bytes_count) {
    mm_frame_t frame;
    mm_report_reader_t reader;
    if (mm_frame_open(bytes, bytes_count, &frame) != MM_OK || frame.type != MM_FRAME_REPORT ||
        mm_report_open(&frame, &reader) != MM_OK) {
        return 0;
    }
    return reader.round_id;
}

static inline void queue_frame(int from, int to, mm_us_t delay, const void *bytes, size_t bytes_count) {
    item_t *item = add_item(ITEM_FRAME, to, delay + 5 * MS + (mm_us_t)mm_random_below(&world.random, 5 * MS));
    item->from = from;
    memcpy(item->bytes, bytes, bytes_count);
    item->bytes_count = bytes_count;
}

static inline void put_frame(int from, int to, const void *bytes, size_t bytes_count) {
    MM_ASSERT(bytes_count <= MM_MESH_FRAME_BYTES_MAX);
    if (world.loss_percent != 0 && mm_random_below(&world.random, 100) < world.loss_percent) {
        return;
    }
    uint32_t round_id = world.fates_on ? answered_round(bytes, bytes_count) : 0;
    site_fate_t fate = round_id != 0 ? world.fates[from] : SITE_FATE_ON_TIME;
    bool first = world.answers_lost[from][to] != round_id;
    world.answers_lost[from][to] = round_id;
    if (fate == SITE_FATE_LOST || (fate == SITE_FATE_FIRST_LOST && first)) {
        return;
    }
    queue_frame(from, to, fate == SITE_FATE_LATE ? SITE_LATE_US : 0, bytes, bytes_count);
    if (fate == SITE_FATE_TWICE) {
        queue_frame(from, to, 0, bytes, bytes_count);
    }
}

static inline mm_err_t mesh_send(void *context, mm_mac_t to, const void *bytes, size_t bytes_count) {
    bool refused;
    if (!pass_gate(context, SITE_MESH_SEND, &refused)) {
        return MM_ERR_BUSY;
    }
    put_frame(index_of_context(context), index_of(to), bytes, bytes_count);
    return refused ? MM_ERR_BUSY : MM_OK;
}
static inline mm_err_t mesh_send_to_root(void *context, const void *bytes, size_t bytes_count) {
    bool refused;
    if (!pass_gate(context, SITE_MESH_SEND_TO_ROOT, &refused) || station_of(context)->root == SITE_NOBODY) {
        return MM_ERR_UNAVAILABLE;
    }
    put_frame(index_of_context(context), station_of(context)->root, bytes, bytes_count);
    return refused ? MM_ERR_UNAVAILABLE : MM_OK;
}

// --- HQ ------------------------------------------------------------------------------------------
// docs/spec/storage.md 4.8: a thinned record stands for every interval record in its range.
static inline void hq_take_interval(site_hq_t *hq, uint32_t seq, const mm_interval_record_t *interval) {
    for (uint32_t old = interval->thinned_first_seq; interval->thinned && old <= interval->thinned_last_seq; old++) {
        MM_ASSERT(old < SITE_RECORDS_MAX);
        for (int c = 0; c < MM_CHANNELS; c++) {
            hq->interval_pulses[c] -= hq->interval_of[old][c];
            hq->interval_of[old][c] = 0;
        }
    }
    for (int c = 0; c < MM_CHANNELS; c++) {
        MM_ASSERT(interval->pulses[c] <= UINT16_MAX);
        hq->interval_of[seq][c] = (uint16_t)interval->pulses[c];
        hq->interval_pulses[c] += interval->pulses[c];
    }
    hq->interval_count += interval->thinned ? 0 : 1;
    hq->thinned_count += interval->thinned ? 1 : 0;
    if (interval->interval_no > hq->interval_no_high) {
        hq->interval_no_high = interval->interval_no;
    }
}

// The same bytes under another seq: carried over by thinning, and then a gap record explains the seq before.
static inline void hq_take_closing(site_hq_t *hq, uint32_t seq, uint8_t channel) {
    uint32_t before_seq = hq->closing_seqs[channel];
    MM_ASSERT(before_seq == 0 || hq->digests[before_seq] == hq->digests[seq]);
    hq->closing_count += before_seq == 0 ? 1 : 0;
    hq->closing_left_seqs[channel] = before_seq;
    hq->closing_seqs[channel] = seq;
}

static inline void hq_take_record(site_hq_t *hq, const mm_record_view_t *view) {
    MM_ASSERT(view->position.seq > 0 && view->position.seq < SITE_RECORDS_MAX - 1);
    MM_ASSERT(hq->epoch == 0 || hq->epoch == view->position.epoch);
    hq->epoch = view->position.epoch;
    uint32_t seq = view->position.seq;
    uint32_t digest = mm_crc32(view->type, view->payload, view->payload_bytes);
    if (hq->stored[seq] > 0) {
        MM_ASSERT(hq->digests[seq] == digest); // else a position was used twice
        hq->stored[seq] = (uint8_t)(hq->stored[seq] + (hq->stored[seq] < UINT8_MAX));
        return;
    }
    hq->stored[seq] = 1;
    hq->digests[seq] = digest;
    mm_record_t record;
    MM_ASSERT(mm_record_decode(view->type, view->payload, view->payload_bytes, &record) == MM_OK);
    if (record.type == MM_RECORD_INTERVAL) {
        hq_take_interval(hq, seq, &record.interval);
    } else if (record.type == MM_RECORD_MONTH_CLOSING) {
        hq_take_closing(hq, seq, record.month_closing.channel);
    } else if (record.type == MM_RECORD_EVENT) {
        MM_ASSERT(record.event.code <= MM_EVENT_INSTALLER_LOCK_OUT);
        hq->event_counts[record.event.code]++;
    } else if (record.type == MM_RECORD_RESULT) {
        MM_ASSERT(record.result.command_id >= 1 && record.result.command_id <= SITE_COMMANDS_MAX);
        if (hq->result_counts[record.result.command_id]++ == 0) {
            hq->result_sessions[record.result.command_id] = world.sessions;
        }
    } else if (record.type == MM_RECORD_GAP) {
        MM_ASSERT(record.gap.epoch == hq->epoch && record.gap.last_seq < SITE_RECORDS_MAX - 1);
        memset(hq->explained + record.gap.first_seq, record.gap.reason, record.gap.last_seq - record.gap.first_seq + 1);
        hq->has_given_up = hq->has_given_up || record.gap.reason == MM_GAP_FULL;
    }
}

// Returns whose it is.
static inline int hq_take_report(const uint8_t *bytes, size_t bytes_count) {
    mm_frame_t frame;
    mm_report_reader_t reader;
    mm_snapshot_t snapshot;
    mm_record_view_t view;
    MM_ASSERT(mm_frame_open(bytes, bytes_count, &frame) == MM_OK);
    MM_ASSERT(mm_report_open(&frame, &reader) == MM_OK);
    site_hq_t *hq = &world.stations[index_of(frame.source)].hq;
    world.stations[index_of(frame.source)].hq_changes++;
    for (;;) {
        mm_report_item_t item = mm_report_next(&reader, &snapshot, &view);
        MM_ASSERT(item != MM_REPORT_CORRUPT);
        if (item == MM_REPORT_END) {
            break;
        }
        if (item == MM_REPORT_SNAPSHOT) {
            hq->snapshot = snapshot;
            hq->has_snapshot = true;
        } else if (item == MM_REPORT_RECORD) {
            hq_take_record(hq, &view);
        }
    }
    while (hq->stored[hq->watermark + 1] > 0 || hq->explained[hq->watermark + 1] > 0) {
        hq->watermark++;
    }
    return index_of(frame.source);
}

// The list of those who are missing names exactly the nodes that were asked and whose answer was not delivered in time.
static inline void hq_check_missing(const mm_batch_header_t *header) {
    int root = index_of(header->root);
    const mm_round_t *round = &world.stations[root].node.root.round;
    uint8_t missing_count = 0;
    for (uint8_t i = 0; i < round->node_count; i++) {
        int asked = index_of(round->nodes[i]);
        if (asked != root && world.answers_delivered[root][asked] != header->round_id) {
            MM_ASSERT(missing_count < header->missing_count);
            MM_ASSERT(mm_mac_equal(header->missing[missing_count], mac_of(asked)));
            missing_count++;
        }
    }
    MM_ASSERT(missing_count == header->missing_count);
    world.missing_seen += missing_count;
}

static inline void hq_take_batch(const uint8_t *bytes, size_t bytes_count) {
    mm_batch_reader_t batch;
    MM_ASSERT(mm_batch_open(bytes, bytes_count, &batch) == MM_OK);
    hq_check_missing(&batch.header);
    world.live_after_backlog = world.live_after_backlog || (batch.header.kind == MM_BATCH_LIVE && world.backlog_seen);
    world.backlog_seen = world.backlog_seen || batch.header.kind == MM_BATCH_BACKLOG;
    const uint8_t *frame = NULL;
    size_t frame_bytes = 0;
    bool is_in[SITE_NODES] = {false};
    while (mm_batch_next(&batch, &frame, &frame_bytes)) {
        int source = hq_take_report(frame, frame_bytes);
        MM_ASSERT(!is_in[source]); // a node answers a round once
        is_in[source] = true;
    }
}

// --- the broker ----------------------------------------------------------------------------------
static inline item_t *add_mqtt(int to, mm_mqtt_event_kind_t kind, uint16_t packet_id, uint8_t reason) {
    item_t *item = add_item(ITEM_MQTT, to, 50 * MS);
    item->event = (mm_mqtt_event_t){
        .kind = kind, .session = world.stations[to].session, .packet_id = packet_id, .reason = reason};
    return item;
}

static inline mm_err_t mqtt_start(void *context, uint32_t session) {
    bool refused;
    if (!pass_gate(context, SITE_MQTT_START, &refused)) {
        return MM_ERR_UNAVAILABLE;
    }
    if (!refused) {
        station_of(context)->session = session;
        station_of(context)->takes_commands = false;
        world.sessions++;
        world.session_messages = 0;
        world.backlog_seen = false;
        (void)add_mqtt(index_of_context(context), MM_MQTT_CONNECTED, 0, 0);
    }
    return refused ? MM_ERR_UNAVAILABLE : MM_OK;
}

static inline void deliver_ack(int to, const char *topic) {
    static mm_ack_t s_ack;
    s_ack.database_id = 1;
    s_ack.revision = ++world.ack_revision;
    s_ack.entry_count = 0;
    for (int i = 0; i < SITE_NODES; i++) {
        const site_hq_t *hq = &world.stations[i].hq;
        if (hq->has_snapshot) {
            s_ack.entries[s_ack.entry_count++] =
                (mm_ack_entry_t){mac_of(i), {hq->snapshot.oldest.epoch, hq->watermark}};
        }
    }
    item_t *item = add_mqtt(to, MM_MQTT_DATA, 0, 0);
    item->bytes_count = mm_ack_write(item->bytes, sizeof item->bytes, &s_ack);
    MM_ASSERT(item->bytes_count > 0 && strlen(topic) < sizeof item->topic);
    item->event.retained = true;
    strcpy(item->topic, topic);
}

static inline void deliver_commands(int to, bool retained) {
    item_t *item = add_mqtt(to, MM_MQTT_DATA, 0, 0);
    memcpy(item->bytes, world.commands, world.commands_bytes);
    item->bytes_count = world.commands_bytes;
    item->event.retained = retained;
    strcpy(item->topic, "meter/house-1/cmd");
}

/// HQ publishes its retained batch of commands; no bytes: the blank.
static inline void publish_commands(const void *bytes, size_t bytes_count) {
    MM_ASSERT(bytes_count <= sizeof world.commands);
    if (bytes_count > 0) {
        memcpy(world.commands, bytes, bytes_count);
    }
    world.commands_bytes = bytes_count;
    for (int i = 0; i < SITE_NODES; i++) {
        if (world.stations[i].takes_commands) {
            deliver_commands(i, false);
        }
    }
}

static inline mm_err_t mqtt_subscribe(void *context, const char *topic, uint8_t qos, uint16_t *packet_id) {
    bool refused;
    if (!pass_gate(context, SITE_MQTT_SUBSCRIBE, &refused)) {
        return MM_ERR_UNAVAILABLE;
    }
    *packet_id = ++station_of(context)->packet_id;
    (void)add_mqtt(index_of_context(context), MM_MQTT_SUBSCRIBED, *packet_id, qos);
    if (strcmp(topic, "meter/house-1/ack") == 0 && world.ack_revision > 0) {
        deliver_ack(index_of_context(context), topic);
    }
    if (strcmp(topic, "meter/house-1/cmd") == 0) {
        station_of(context)->takes_commands = true;
        if (world.commands_bytes > 0) {
            deliver_commands(index_of_context(context), true);
        }
    }
    return refused ? MM_ERR_UNAVAILABLE : MM_OK;
}

static inline mm_err_t mqtt_publish(void *context, const char *topic, const void *bytes, size_t bytes_count,
                                    uint16_t *packet_id) {
    MM_ASSERT(strcmp(topic, "meter/house-1/info") == 0);
    bool refused;
    if (!pass_gate(context, SITE_MQTT_PUBLISH, &refused)) {
        return MM_ERR_UNAVAILABLE;
    }
    station_t *station = station_of(context);
    *packet_id = ++station->packet_id;
    world.messages++;
    world.session_messages++;
    if (world.session_messages > world.session_messages_max) {
        world.session_messages_max = world.session_messages;
    }
    if (!world.hq_down) {
        hq_take_batch(bytes, bytes_count);
        world.ack_revision++;
    }
    if (!world.drop_pubacks) {
        (void)add_mqtt(index_of_context(context), MM_MQTT_PUBLISHED, *packet_id, 0);
    }
    if (world.kill_at_message != 0 && world.messages == (unsigned)world.kill_at_message) {
        cut_power(index_of_context(context));
    }
    return refused ? MM_ERR_UNAVAILABLE : MM_OK;
}

static inline void mqtt_stop(void *context, bool graceful) {
    (void)graceful;
    bool refused;
    if (pass_gate(context, SITE_MQTT_STOP, &refused)) {
        station_of(context)->takes_commands = false;
        (void)add_mqtt(index_of_context(context), MM_MQTT_DISCONNECTED, 0, 0);
    }
}

// --- keys and relays, without a gate -------------------------------------------------------------
// A checksum under a key: nobody here forges.
static inline mm_err_t device_hmac(void *context, const void *bytes, size_t bytes_count, uint8_t mac[MM_HMAC_BYTES]) {
    for (size_t i = 0; i < MM_HMAC_BYTES; i += sizeof(uint32_t)) {
        uint32_t crc = mm_crc32((uint32_t)index_of_context(context) * 77u + (uint32_t)i, bytes, bytes_count);
        memcpy(mac + i, &crc, sizeof crc);
    }
    return MM_OK;
}

static inline mm_err_t relay_set(void *context, uint8_t channel, bool closed) {
    station_t *station = station_of(context);
    if (!station->alive) {
        return MM_ERR_UNAVAILABLE;
    }
    station->relay_moves += station->supply[channel] != closed ? 1 : 0;
    station->supply[channel] = closed;
    return MM_OK;
}

// --- life ----------------------------------------------------------------------------------------
static inline mm_node_options_t options_of(int index) {
    mm_node_options_t options = {.mac = mac_of(index),
                                 .site = "house-1",
                                 .timing = mm_timing_default(mac_of(index)),
                                 .journal_sector_count = SITE_SECTORS,
                                 .random_seed = (uint64_t)index + 1};
    if (world.slots.slot_count != 0) {
        options.timing.slots = world.slots;
    }
    if (world.with_control) {
        options.control.token_unit_wh = 1000;
        options.control.new_era = (uint32_t)index + 1;
    }
    options.metering.first_epoch = world.first_epoch;
    options.metering.time_trust_s = 86400;
    options.metering.save_period_s = 60;
    strcpy(options.metering.tz, "CET-1CEST,M3.5.0,M10.5.0/3");
    for (int c = 0; c < MM_CHANNELS; c++) {
        options.metering.meters[c] = (mm_meter_config_t){.pulse_constant = 1000};
        options.metering.meters[c].id[0] = (char)('A' + c);
    }
    return options;
}

// Nobody knows any more what they counted and the node had not stored.
static inline void restart_counters(station_t *station) {
    for (int c = 0; c < MM_CHANNELS; c++) {
        station->may_lose[c] += station->pulses[c] - station->kept[c];
    }
    station->generation++;
    memcpy(station->began, station->pulses, sizeof station->began);
}

static inline void boot(int index) {
    station_t *station = &world.stations[index];
    void *context = context_of(index);
    station->flash_port = (mm_flash_t){journal_read, journal_program, journal_erase, context, SITE_SECTORS};
    station->register_flash_port =
        (mm_flash_t){register_read, register_program, register_erase, context, MM_STORE_FLASH_SECTORS_MIN};
    station->fram_port = (mm_fram_t){fram_read, fram_write, context, sizeof station->fram};
    station->pulses_port = (mm_pulses_t){pulses_read, context};
    station->mesh_port = (mm_mesh_t){mesh_send, mesh_send_to_root, context};
    station->mqtt_port = (mm_mqtt_t){mqtt_start, mqtt_subscribe, mqtt_publish, mqtt_stop, context};
    station->crypto_port = (mm_crypto_t){.device_hmac = device_hmac, .context = context};
    station->relay_port = (mm_relay_t){relay_set, context};
    station->takes_commands = false;
    station->ports = (mm_node_ports_t){.pulses = &station->pulses_port,
                                       .fram = world.flash_only ? NULL : &station->fram_port,
                                       .register_flash = &station->register_flash_port,
                                       .journal_flash = &station->flash_port,
                                       .mesh = &station->mesh_port,
                                       .mqtt = &station->mqtt_port,
                                       .crypto = &station->crypto_port,
                                       .relay = &station->relay_port,
                                       .batch_memory = station->batch_memory,
                                       .batch_capacity = 1};
    const mm_node_options_t options = options_of(index);
    if (world.counters_restart && station->starts > 0) {
        restart_counters(station);
    }
    station->alive = true;
    station->starts++;
    station->root = SITE_NOBODY;
    MM_ASSERT(mm_node_init(&station->node, &options, &station->ports, world.now) == MM_OK);
}

static inline void set_time(int index) {
    mm_time_t time = {{world.begin_s * MM_US_PER_S + world.now}, MM_TRUST_SYNCED};
    if (world.stations[index].alive) {
        MM_ASSERT(mm_node_set_time(&world.stations[index].node, time, world.now) == MM_OK);
    }
}

static inline void mesh_event(int index, mm_mesh_event_kind_t kind, int about, uint8_t layer) {
    if (world.stations[index].alive) {
        const mm_mesh_event_t event = {.kind = kind, .mac = mac_of(about), .layer = layer};
        mm_node_on_mesh_event(&world.stations[index].node, &event, world.now);
    }
}

/// `index` follows `root`, which hears of it.
static inline void attach(int index, int root) {
    if (world.stations[index].alive) {
        world.stations[index].root = root;
        mesh_event(index, MM_MESH_ROOT_CHANGED, root, 0);
        mesh_event(index, MM_MESH_PARENT_CONNECTED, root, 2);
        mesh_event(root, MM_MESH_CHILD_JOINED, index, 0);
    }
}

static inline void take_root(int root, bool router_up) {
    world.stations[root].root = root;
    mesh_event(root, MM_MESH_PARENT_CONNECTED, root, 1);
    mesh_event(root, MM_MESH_ROOT_CHANGED, root, 0);
    mesh_event(root, router_up ? MM_MESH_GOT_IP : MM_MESH_LOST_IP, root, 0);
}

static inline void elect(int root, bool router_up) {
    take_root(root, router_up);
    for (int i = 0; i < SITE_NODES; i++) {
        if (i != root) {
            attach(i, root);
        }
    }
}

// An answer that is in time: the round of the receiver is open for it.
static inline void note_answer(const item_t *item) {
    const mm_round_t *round = &world.stations[item->to].node.root.round;
    uint32_t round_id = answered_round(item->bytes, item->bytes_count);
    if (round_id != 0 && round->round_id == round_id && round->open && world.now < round->deadline) {
        world.answers_delivered[item->to][item->from] = round_id;
    }
}

static inline void deliver(item_t *item) {
    station_t *station = &world.stations[item->to];
    if (!station->alive || (item->kind == ITEM_MQTT && item->start != station->starts)) {
        return;
    }
    pass_point();
    if (!station->alive) {
        return;
    }
    if (item->kind == ITEM_FRAME) {
        note_answer(item);
        mm_node_on_mesh_frame(&station->node, mac_of(item->from), item->bytes, item->bytes_count, world.now);
        return;
    }
    item->event.topic = item->topic;
    item->event.bytes = item->bytes;
    item->event.bytes_count = item->bytes_count;
    mm_node_on_mqtt_event(&station->node, &item->event, world.now);
}

static inline void deliver_due(void) {
    for (uint32_t i = 0; i < world.queue_count;) {
        if (world.queue[i].at > world.now) {
            i++;
            continue;
        }
        static item_t s_item;
        s_item = world.queue[i];
        memmove(&world.queue[i], &world.queue[i + 1], (--world.queue_count - i) * sizeof s_item);
        deliver(&s_item);
    }
}

static inline void make_pulses(void) {
    for (int i = 0; i < SITE_NODES; i++) {
        for (int c = 0; c < MM_CHANNELS; c++) {
            world.stations[i].pulses[c] += mm_random_below(&world.random, 3);
        }
    }
    world.pulse_at = world.now + world.pulse_period_us;
}

static inline mm_us_t poll_station(int index) {
    station_t *station = &world.stations[index];
    mm_us_t deadline = mm_node_poll(&station->node, world.now);
    if (!station->alive) {
        return MM_US_NEVER;
    }
    MM_ASSERT(deadline != MM_US_NEVER); // metering always has its next boundary
    const mm_root_t *root = &station->node.root;
    MM_ASSERT(!root->active || !root->router_up || root->uplink.deadline != MM_US_NEVER || deadline <= world.now);
    MM_ASSERT(!root->round.open || world.now < root->round.deadline); // else nobody closes it
    const mm_metering_t *metering = &station->node.metering;
    if (!metering->unsaved && metering->last_read_at == world.now) {
        memcpy(station->kept, station->pulses, sizeof station->kept);
    }
    return deadline;
}

/// One turn: deliver, pulse, poll everybody, and go on to the next instant at which something happens, but not beyond
/// `until`. A node may ask to be polled again at once, but not for ever.
static inline void turn(mm_us_t until) {
    deliver_due();
    if (world.now >= world.pulse_at) {
        make_pulses();
    }
    mm_us_t next = world.pulse_at < until ? world.pulse_at : until;
    for (int i = 0; i < SITE_NODES; i++) {
        if (world.stations[i].alive) {
            mm_us_t deadline = poll_station(i);
            next = deadline < next ? deadline : next;
        }
    }
    for (uint32_t i = 0; i < world.queue_count; i++) {
        next = world.queue[i].at < next ? world.queue[i].at : next;
    }
    world.turns_at_once = next > world.now ? 0 : world.turns_at_once + 1;
    MM_ASSERT(world.turns_at_once < SITE_TURNS_AT_ONCE_MAX);
    world.now = next > world.now ? next : world.now;
}

static inline void run_until(mm_us_t until) {
    while (world.now < until) {
        turn(until);
    }
}

static inline void run_for_s(int64_t seconds) {
    run_until(world.now + seconds * MM_US_PER_S);
}

/// Blank memory everywhere, nobody has power.
static inline void world_init(void) {
    memset(&world, 0, sizeof world);
    world.random = mm_random(1);
    world.begin_s = SITE_BEGIN_S;
    world.pulse_period_us = 60 * MM_US_PER_S;
    for (int i = 0; i < SITE_NODES; i++) {
        station_t *station = &world.stations[i];
        station->root = SITE_NOBODY;
        station->generation = 7;
        memset(station->flash, 0xFF, sizeof station->flash);
        memset(station->register_flash, 0xFF, sizeof station->register_flash);
    }
}

// --- questions -----------------------------------------------------------------------------------
static inline uint64_t sum_of(const uint32_t pulses[MM_CHANNELS]) {
    uint64_t sum = 0;
    for (int c = 0; c < MM_CHANNELS; c++) {
        sum += pulses[c];
    }
    return sum;
}

static inline uint64_t hq_interval_pulses(const station_t *station) {
    uint64_t sum = 0;
    for (int c = 0; c < MM_CHANNELS; c++) {
        sum += station->hq.interval_pulses[c];
    }
    return sum;
}

/// HQ has, or knows the reason for, everything that this node ever appended.
static inline bool is_delivered(const station_t *station) {
    return station->hq.watermark + 1 == mm_journal_next(&station->node.journal).seq;
}

#endif
