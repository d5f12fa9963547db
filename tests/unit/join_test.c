// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/join.h"

#include "meshmeter/crc32.h"
#include "setup_fixture.h"

/// Three nodes: the asker is the bench of setup_fixture.h (parked at first), the root and a member that carries have a
/// network. What they send is caught and delivered by the test.

#define PACKETS_MAX 64
#define PART_COUNT 2      // of the network of net_of
#define LONG_PART_COUNT 3 // of the network of long_net_of

typedef struct {
    mm_mac_t from;
    mm_mac_t to; // zero: everybody who hears, or the root
    bool by_door;
    size_t bytes_count;
    uint8_t bytes[MM_MESH_FRAME_BYTES_MAX];
} packet_t;

typedef struct {
    mm_mac_t mac;
    mm_setup_t setup;
    mm_counters_t counters;
    mm_door_t door;
    mm_mesh_t mesh;
    mm_crypto_t crypto;
    test_crypto_t key;
    mm_join_t join;
} member_t;

static const mm_mac_t s_root_mac = {{2, 0, 0, 0, 0, 1}};
static const mm_mac_t s_relay_mac = {{2, 0, 0, 0, 0, 2}};
static member_t s_root, s_relay, s_asker;
static packet_t s_packets[PACKETS_MAX];
static size_t s_packet_count;
static mm_err_t s_send_result;
static uint64_t s_asker_seed = 7;

static mm_err_t keep_packet(member_t *from, mm_mac_t to, bool by_door, const void *bytes, size_t bytes_count) {
    assert_true(s_packet_count < PACKETS_MAX);
    assert_true(bytes_count <= (by_door ? MM_DOOR_PACKET_BYTES_MAX : MM_MESH_FRAME_BYTES_MAX));
    packet_t *packet = &s_packets[s_packet_count++];
    *packet = (packet_t){.from = from->mac, .to = to, .by_door = by_door, .bytes_count = bytes_count};
    memcpy(packet->bytes, bytes, bytes_count);
    return s_send_result;
}

static mm_err_t door_send(void *context, mm_mac_t to, const void *bytes, size_t bytes_count) {
    return keep_packet(context, to, true, bytes, bytes_count);
}

static mm_err_t mesh_send(void *context, mm_mac_t to, const void *bytes, size_t bytes_count) {
    return keep_packet(context, to, false, bytes, bytes_count);
}

static mm_err_t mesh_send_to_root(void *context, const void *bytes, size_t bytes_count) {
    return keep_packet(context, s_root_mac, false, bytes, bytes_count);
}

static mm_network_t net_of(uint32_t revision) {
    mm_network_t network = site_network(revision);
    memset(network.broker.url, 'u', MM_BROKER_URL_CHARS_MAX); // more than one part
    strcpy(network.router.password, "secret password");
    return network;
}

static mm_network_t long_net_of(uint32_t revision) {
    mm_network_t network = net_of(revision);
    memset(network.broker.user, 'n', MM_BROKER_WORD_CHARS_MAX);
    memset(network.broker.password, 'p', MM_BROKER_WORD_CHARS_MAX);
    memset(network.router.ssid, 'r', MM_NETWORK_NAME_CHARS_MAX);
    return network;
}

static void member_open(member_t *self, mm_mac_t mac, uint8_t key) {
    self->mac = mac;
    self->key = test_crypto_key(key);
    self->crypto = test_crypto(&self->key);
    self->door = (mm_door_t){door_send, self};
    self->mesh = (mm_mesh_t){mesh_send, mesh_send_to_root, self};
    memset(&self->counters, 0, sizeof self->counters);
}

static void provisioned_open(member_t *self, mm_mac_t mac, uint8_t key, uint32_t revision) {
    memset(self, 0, sizeof *self);
    member_open(self, mac, key);
    self->setup.configuration.phase = (mm_life_cycle_t){MM_LIFE_RUNNING, MM_LIFE_RUNNING};
    self->setup.configuration.has_network = true;
    self->setup.configuration.network = net_of(revision);
    mm_join_open(&self->join, mac, &self->setup, &world.metering, &self->crypto, &bench_entropy, &self->mesh,
                 &self->door, &self->counters, NULL, mac.bytes[5], desk_now());
}

static void asker_open(void) {
    member_open(&s_asker, NODE_MAC, 0);
    mm_join_open(&s_asker.join, NODE_MAC, &bench.setup, &world.metering, &s_asker.crypto, &bench_entropy, &s_asker.mesh,
                 &s_asker.door, &s_asker.counters, NULL, s_asker_seed, desk_now());
}

static void site_begin(void) {
    setup_begin(true);
    s_packet_count = 0;
    s_send_result = MM_OK;
    provisioned_open(&s_root, s_root_mac, 0x20, 5);
    mm_join_set_root(&s_root.join, true, desk_now());
    provisioned_open(&s_relay, s_relay_mac, 0x60, 5);
    asker_open();
}

static void pass_s(int64_t seconds) {
    setup_run_s(seconds);
}

// Everything that was caught goes through the air once; by whom the root is heard at the door is the test's choice.
static void hear(const packet_t *packet, member_t *by) {
    mm_frame_t frame;
    if (packet->by_door) {
        mm_join_on_door(&by->join, packet->from, packet->bytes, packet->bytes_count, desk_now());
        return;
    }
    assert_int_equal(mm_frame_open(packet->bytes, packet->bytes_count, &frame), MM_OK);
    assert_true(mm_mac_equal(frame.source, packet->from)); // as node.c checks it
    mm_join_on_frame(&by->join, &frame, desk_now());
}

static member_t *receiver_of(const packet_t *packet, member_t *door) {
    member_t *const members[] = {&s_root, &s_relay, &s_asker};
    for (size_t i = 0; i < 3; i++) {
        if (mm_mac_equal(packet->to, members[i]->mac)) {
            return members[i];
        }
    }
    return door;
}

static void deliver(member_t *door) {
    for (size_t turn = 0; turn < 8 && s_packet_count > 0; turn++) {
        static packet_t packets[PACKETS_MAX];
        size_t count = s_packet_count;
        memcpy(packets, s_packets, sizeof packets);
        s_packet_count = 0;
        for (size_t i = 0; i < count; i++) {
            hear(&packets[i], receiver_of(&packets[i], door));
        }
    }
    assert_int_equal(s_packet_count, 0);
}

static void ask_now(void) {
    s_asker.join.ask_at = desk_now();
    (void)mm_join_poll(&s_asker.join, desk_now());
}

static uint32_t joins_at_hq(mm_join_record_t *last) {
    uint32_t count = 0;
    hq_collect();
    for (uint32_t i = 0; i < world.hq_count; i++) {
        if (hq_records[i].type == MM_RECORD_JOIN) {
            *last = hq_records[i].record.join;
            count++;
        }
    }
    return count;
}

// HQ has the keys of both.
static mm_admit_body_t word_of_hq(const mm_join_record_t *record) {
    mm_admit_body_t admit;
    assert_true(mm_join_is_proved(record, &s_asker.crypto));
    assert_int_equal(mm_join_admit_body(record, &s_asker.crypto, &s_root.crypto, &admit), MM_OK);
    return admit;
}

static void admit_asker(void) {
    mm_join_record_t record;
    ask_now();
    deliver(&s_root);
    assert_true(joins_at_hq(&record) > 0);
    mm_admit_body_t admit = word_of_hq(&record);
    assert_int_equal(mm_join_admit(&s_root.join, &admit, desk_now()), MM_RESULT_DONE);
}

static bool asker_has_network(void) {
    return bench.setup.configuration.has_network;
}

static bool is_zero(const void *bytes, size_t bytes_count) {
    const uint8_t *byte = bytes;
    for (size_t i = 0; i < bytes_count; i++) {
        if (byte[i] != 0) {
            return false;
        }
    }
    return true;
}

// The answer to an ask, not yet delivered.
static void get_all_parts(packet_t *parts, size_t count) {
    ask_now();
    assert_int_equal(s_packet_count, 1);
    packet_t ask = s_packets[0];
    s_packet_count = 0;
    hear(&ask, &s_root);
    assert_int_equal(s_packet_count, count);
    memcpy(parts, s_packets, count * sizeof parts[0]);
    s_packet_count = 0;
}

static void get_parts(packet_t parts[PART_COUNT]) {
    get_all_parts(parts, PART_COUNT);
}

static void seal_crc(packet_t *packet) {
    uint32_t crc = mm_crc32(0, packet->bytes, packet->bytes_count - 4);
    for (size_t i = 0; i < 4; i++) {
        packet->bytes[packet->bytes_count - 4 + i] = (uint8_t)(crc >> (8 * i));
    }
}

// The root starts again with this network and has forgotten; HQ's word comes once more, to the same nonce.
static void restart_root(const mm_network_t *network) {
    mm_join_record_t record;
    assert_true(joins_at_hq(&record) > 0);
    mm_admit_body_t admit = word_of_hq(&record);
    provisioned_open(&s_root, s_root_mac, 0x20, network->revision);
    s_root.setup.configuration.network = *network;
    mm_join_set_root(&s_root.join, true, desk_now());
    assert_int_equal(mm_join_admit(&s_root.join, &admit, desk_now()), MM_RESULT_DONE);
}

static void join_through(member_t *door) {
    site_begin();
    mm_join_record_t record;
    ask_now();
    assert_int_equal(s_asker.join.state, MM_JOIN_ASKING);
    deliver(door);
    assert_int_equal(joins_at_hq(&record), 1);
    assert_true(mm_mac_equal(record.asker, NODE_MAC));
    assert_true(mm_mac_equal(record.via, door->mac));
    assert_int_equal(record.revision, 0);
    assert_string_equal(s_asker.join.heard_site, "house-1");
    // Repeated: HQ is told once.
    ask_now();
    deliver(door);
    assert_int_equal(joins_at_hq(&record), 1);
    assert_false(asker_has_network());
    mm_admit_body_t admit = word_of_hq(&record);
    assert_int_equal(mm_join_admit(&s_root.join, &admit, desk_now()), MM_RESULT_DONE);
    assert_int_equal(mm_join_admit(&s_root.join, &admit, desk_now()), MM_RESULT_DONE);
    ask_now();
    deliver(door);
    assert_true(asker_has_network());
    mm_network_t expected = net_of(5);
    const mm_network_t *got = &bench.setup.configuration.network;
    assert_int_equal(got->revision, 5);
    assert_string_equal(got->site, expected.site);
    assert_string_equal(got->broker.url, expected.broker.url);
    assert_string_equal(got->router.password, expected.router.password);
    assert_int_equal(phase_now(), MM_LIFE_PROVISIONED);
    // Nothing of it stays.
    assert_int_equal(s_asker.join.state, MM_JOIN_IDLE);
    assert_true(is_zero(s_asker.join.nonce, sizeof s_asker.join.nonce));
    assert_true(is_zero(s_asker.join.sealed, sizeof s_asker.join.sealed));
    assert_int_equal(mm_join_poll(&s_asker.join, desk_now()), MM_US_NEVER);
    assert_int_equal(s_packet_count, 0);
}

static void test_join_at_the_root(void **state) {
    (void)state;
    join_through(&s_root);
}

static void test_join_through_a_member(void **state) {
    (void)state;
    join_through(&s_relay);
    assert_int_equal(s_relay.counters.values[MM_COUNTER_JOIN_REFUSED], 0);
}

// The instants of the asks, after the beginning.
static void run_asks(uint64_t seed, size_t count, mm_us_t *asks) {
    s_asker_seed = seed;
    site_begin();
    s_asker_seed = 7;
    mm_us_t begin = desk_now();
    assert_int_equal(s_asker.join.state, MM_JOIN_ASKING);
    for (size_t i = 0; i < count; i++) {
        mm_us_t deadline = mm_join_poll(&s_asker.join, desk_now());
        assert_int_equal(s_packet_count, 0);
        assert_true(deadline > desk_now());
        world.t_us += deadline - desk_now() - 1;
        assert_true(mm_join_poll(&s_asker.join, desk_now()) == deadline); // not before
        assert_int_equal(s_packet_count, 0);
        world.t_us++;
        (void)mm_join_poll(&s_asker.join, desk_now());
        assert_int_equal(s_packet_count, 1);
        s_packet_count = 0;
        asks[i] = desk_now() - begin;
    }
}

static void test_join_retry_grows_with_jitter(void **state) {
    (void)state;
    static const int64_t waits_s[] = {5, 10, 20, 40, 60, 60, 60};
    enum {
        ASK_COUNT = 1 + sizeof waits_s / sizeof waits_s[0],
        SEED_COUNT = 20
    };
    mm_us_t asks[SEED_COUNT][ASK_COUNT];
    int64_t shortest_us = INT64_MAX;
    int64_t longest_us = 0;
    for (uint64_t seed = 0; seed < SEED_COUNT; seed++) {
        run_asks(seed, ASK_COUNT, asks[seed]);
        assert_in_range(asks[seed][0], 0, MM_JOIN_FIRST_MAX_MS * 1000 - 1);
        for (size_t i = 1; i < ASK_COUNT; i++) {
            int64_t wait_us = asks[seed][i] - asks[seed][i - 1];
            assert_in_range(wait_us, waits_s[i - 1] * US, waits_s[i - 1] * US * 5 / 4);
            shortest_us = i >= 5 && wait_us < shortest_us ? wait_us : shortest_us;
            longest_us = wait_us > longest_us ? wait_us : longest_us;
        }
    }
    // Twenty nodes whose power came back together: nobody asks with another one, and the whole range is used.
    for (size_t left = 0; left < SEED_COUNT; left++) {
        for (size_t right = left + 1; right < SEED_COUNT; right++) {
            for (size_t i = 0; i < ASK_COUNT; i++) {
                assert_true(asks[left][i] != asks[right][i]);
            }
        }
    }
    assert_true(shortest_us < 61 * US && longest_us > 74 * US);
}

static void test_join_parts_lost_repeated_reordered(void **state) {
    (void)state;
    packet_t parts[PART_COUNT];
    for (size_t lost = 0; lost < PART_COUNT; lost++) {
        site_begin();
        admit_asker();
        get_parts(parts);
        hear(&parts[1 - lost], &s_asker);
        hear(&parts[1 - lost], &s_asker); // twice
        assert_false(asker_has_network());
        packet_t again[PART_COUNT];
        get_parts(again); // the same bytes: what was missing fits
        assert_memory_equal(again, parts, sizeof parts);
        hear(&again[lost], &s_asker);
        assert_true(asker_has_network());
    }
    site_begin();
    admit_asker();
    get_parts(parts);
    hear(&parts[1], &s_asker);
    hear(&parts[0], &s_asker);
    assert_true(asker_has_network());
    hear(&parts[0], &s_asker); // late
    assert_int_equal(s_asker.counters.values[MM_COUNTER_JOIN_FORGED], 0);
}

static void test_join_parts_of_two_sealings(void **state) {
    (void)state;
    site_begin();
    admit_asker();
    packet_t old[PART_COUNT], fresh[PART_COUNT];
    get_parts(old);
    hear(&old[0], &s_asker);
    const mm_network_t network = net_of(5);
    restart_root(&network);
    get_parts(fresh);
    assert_memory_not_equal(fresh[0].bytes, old[0].bytes, old[0].bytes_count); // another iv
    hear(&fresh[0], &s_asker);
    hear(&fresh[1], &s_asker);
    assert_true(asker_has_network());
}

// Of three parts: what was kept of one sealing is never opened together with parts of another.
static void test_join_parts_that_do_not_fit(void **state) {
    (void)state;
    packet_t old[LONG_PART_COUNT], fresh[LONG_PART_COUNT];
    const mm_network_t network = long_net_of(6);
    // Another sealing of the same network, known by the one part that both have: all of the old goes.
    for (size_t shared = 0; shared < LONG_PART_COUNT; shared++) {
        size_t first = (shared + 1) % LONG_PART_COUNT;
        size_t second = (shared + 2) % LONG_PART_COUNT;
        site_begin();
        s_root.setup.configuration.network = network;
        admit_asker();
        get_all_parts(old, LONG_PART_COUNT);
        hear(&old[shared], &s_asker);
        hear(&old[first], &s_asker);
        restart_root(&network);
        get_all_parts(fresh, LONG_PART_COUNT);
        hear(&fresh[shared], &s_asker);
        hear(&fresh[second], &s_asker);
        assert_int_equal(s_asker.counters.values[MM_COUNTER_JOIN_FORGED], 0);
        assert_false(asker_has_network());
        hear(&fresh[first], &s_asker);
        assert_true(asker_has_network());
    }
    // Another network, of more parts: known by their number.
    site_begin();
    admit_asker();
    get_parts(old);
    hear(&old[0], &s_asker);
    restart_root(&network);
    get_all_parts(fresh, LONG_PART_COUNT);
    hear(&fresh[1], &s_asker);
    hear(&fresh[2], &s_asker);
    assert_int_equal(s_asker.counters.values[MM_COUNTER_JOIN_FORGED], 0);
    hear(&fresh[0], &s_asker);
    assert_true(asker_has_network());
    assert_int_equal(bench.setup.configuration.network.revision, 6);
}

// The last part once more, with less behind the same beginning.
static void test_join_last_part_cut_short(void **state) {
    (void)state;
    packet_t parts[LONG_PART_COUNT];
    site_begin();
    s_root.setup.configuration.network = long_net_of(6);
    admit_asker();
    get_all_parts(parts, LONG_PART_COUNT);
    packet_t cut = parts[2];
    mm_frame_t frame;
    mm_join_answer_t answer;
    assert_int_equal(mm_frame_open(parts[2].bytes, parts[2].bytes_count, &frame), MM_OK);
    assert_int_equal(mm_frame_read_join_answer(&frame, &answer), MM_OK);
    answer.slice_bytes--;
    cut.bytes_count = mm_frame_write_join_answer(cut.bytes, sizeof cut.bytes, cut.from, &answer);
    hear(&parts[0], &s_asker);
    hear(&parts[2], &s_asker);
    hear(&cut, &s_asker);
    hear(&parts[1], &s_asker);
    assert_int_equal(s_asker.counters.values[MM_COUNTER_JOIN_FORGED], 0);
    hear(&parts[2], &s_asker); // as it was: once more all that is there goes
    hear(&parts[0], &s_asker);
    hear(&parts[1], &s_asker);
    assert_true(asker_has_network());
}

static void test_join_forged_answers(void **state) {
    (void)state;
    site_begin();
    admit_asker();
    packet_t parts[PART_COUNT];
    get_parts(parts);
    // In the slices, behind a site of 7 characters: 12 + 6 + 16 + 8 + 3.
    for (size_t part = 0; part < PART_COUNT; part++) {
        for (size_t offset = 45; offset < parts[part].bytes_count - 4; offset += 13) {
            packet_t forged = parts[part];
            forged.bytes[offset] ^= 4;
            seal_crc(&forged);
            uint32_t before = s_asker.counters.values[MM_COUNTER_JOIN_FORGED];
            hear(&parts[1 - part], &s_asker);
            hear(&forged, &s_asker);
            assert_int_equal(s_asker.counters.values[MM_COUNTER_JOIN_FORGED], before + 1);
            assert_false(asker_has_network());
            assert_true(is_zero(s_asker.join.sealed, sizeof s_asker.join.sealed));
        }
    }
    hear(&parts[0], &s_asker);
    hear(&parts[1], &s_asker);
    assert_true(asker_has_network());
}

// A root that HQ has not told the key makes one up.
static void test_join_root_without_hqs_word(void **state) {
    (void)state;
    site_begin();
    ask_now();
    deliver(&s_root);
    s_root.join.askers[0].admitted = true;
    memset(s_root.join.askers[0].key, 7, MM_JOIN_KEY_BYTES);
    ask_now();
    deliver(&s_root);
    assert_int_equal(s_asker.counters.values[MM_COUNTER_JOIN_FORGED], 1);
    assert_false(asker_has_network());
    assert_int_equal(s_asker.join.state, MM_JOIN_ASKING);
}

static packet_t ask_of(mm_mac_t mac, uint8_t first) {
    packet_t packet = {.from = mac, .by_door = true};
    mm_join_ask_t ask = {.asker = mac, .nonce = {first}};
    packet.bytes_count = mm_frame_write_join_ask(packet.bytes, sizeof packet.bytes, mac, &ask);
    return packet;
}

static void flood(uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        packet_t packet = ask_of((mm_mac_t){{0xF0, 0, 0, 0, (uint8_t)(i >> 8), (uint8_t)i}}, 1);
        hear(&packet, &s_root);
        s_packet_count = 0;
    }
}

static void test_join_flood(void **state) {
    (void)state;
    site_begin();
    admit_asker();
    mm_join_record_t record;
    flood(1000);
    assert_int_equal(joins_at_hq(&record), MM_JOIN_RECORDS_PER_HOUR);
    assert_int_equal(s_root.counters.values[MM_COUNTER_JOIN_REFUSED], 1000 - (MM_JOIN_RECORDS_PER_HOUR - 1));
    // The one that HQ has admitted is still served.
    packet_t parts[PART_COUNT];
    get_parts(parts);
    pass_s(3599);
    (void)mm_join_poll(&s_root.join, desk_now());
    flood(10);
    assert_int_equal(joins_at_hq(&record), MM_JOIN_RECORDS_PER_HOUR);
    pass_s(1);
    (void)mm_join_poll(&s_root.join, desk_now());
    flood(1000);
    assert_int_equal(joins_at_hq(&record), 2 * MM_JOIN_RECORDS_PER_HOUR);
}

static void test_join_hqs_word_has_room(void **state) {
    (void)state;
    site_begin();
    for (uint8_t i = 0; i < MM_JOIN_ASKERS_MAX; i++) {
        const mm_admit_body_t admit = {.asker = {{0xF0, 0, 0, 0, 0, i}}};
        assert_int_equal(mm_join_admit(&s_root.join, &admit, desk_now()), MM_RESULT_DONE);
        pass_s(1);
    }
    packet_t packet = ask_of((mm_mac_t){{0xF1}}, 1);
    hear(&packet, &s_root); // all are being served
    assert_int_equal(s_root.counters.values[MM_COUNTER_JOIN_REFUSED], 1);
    assert_int_equal(s_packet_count, 0);
    const mm_admit_body_t ninth = {.asker = {{0xF2}}};
    assert_int_equal(mm_join_admit(&s_root.join, &ninth, desk_now()), MM_RESULT_DONE);
    assert_true(mm_mac_equal(s_root.join.askers[0].asker, ninth.asker)); // in the place of the oldest
    pass_s(MM_JOIN_SERVED_S);
    hear(&packet, &s_root);
    assert_int_equal(s_packet_count, 1);
    // And after an hour of silence nothing is left.
    pass_s(MM_JOIN_FORGET_S);
    (void)mm_join_poll(&s_root.join, desk_now());
    assert_true(is_zero(s_root.join.askers, sizeof s_root.join.askers));
}

static void test_join_admit_is_refused(void **state) {
    (void)state;
    site_begin();
    const mm_admit_body_t admit = {.asker = NODE_MAC};
    assert_int_equal(mm_join_admit(&s_relay.join, &admit, desk_now()), MM_RESULT_STATE);
    assert_int_equal(mm_join_admit(&s_asker.join, &admit, desk_now()), MM_RESULT_STATE);
    mm_join_set_root(&s_asker.join, true, desk_now()); // of a mesh of its own, without a network
    assert_int_equal(mm_join_admit(&s_asker.join, &admit, desk_now()), MM_RESULT_STATE);
    s_root.key.has_key = false;
    assert_int_equal(mm_join_admit(&s_root.join, &admit, desk_now()), MM_RESULT_FAILED);
    assert_true(is_zero(s_root.join.askers, sizeof s_root.join.askers));
}

static void test_join_role_lost(void **state) {
    (void)state;
    site_begin();
    admit_asker();
    assert_false(is_zero(s_root.join.askers, sizeof s_root.join.askers));
    mm_join_set_root(&s_root.join, false, desk_now());
    assert_true(is_zero(s_root.join.askers, sizeof s_root.join.askers));
    assert_int_equal(mm_join_revision(&s_root.join), 0);
    mm_join_set_root(&s_root.join, true, desk_now());
    assert_int_equal(mm_join_revision(&s_root.join), 5);
}

static void test_join_without_means(void **state) {
    (void)state;
    site_begin();
    bench.draws_left = 0;
    asker_open();
    (void)mm_join_poll(&s_asker.join, desk_now());
    assert_int_equal(s_asker.join.state, MM_JOIN_IDLE);
    assert_int_equal(s_packet_count, 0);
    bench.draws_left = 1;
    pass_s(MM_JOIN_RETRY_MAX_S);
    (void)mm_join_poll(&s_asker.join, desk_now());
    assert_int_equal(s_asker.join.state, MM_JOIN_ASKING);
    ask_now();
    assert_int_equal(s_packet_count, 1);
    s_packet_count = 0;
    // The root has no entropy: no answer, rather than one with an iv that is none.
    bench.draws_left = 100;
    admit_asker();
    bench.draws_left = 0;
    ask_now();
    deliver(&s_root);
    assert_false(asker_has_network());
    bench.draws_left = 100;
    s_asker.crypto.aead_open = NULL;
    asker_open();
    s_asker.crypto.aead_open = NULL;
    (void)mm_join_poll(&s_asker.join, desk_now());
    assert_int_equal(s_asker.join.state, MM_JOIN_IDLE);
    asker_open();
    s_asker.key.has_key = false;
    ask_now();
    assert_int_equal(s_packet_count, 0);
}

static void test_join_member_follows_the_network(void **state) {
    (void)state;
    site_begin();
    mm_network_t old = net_of(4);
    assert_int_equal(mm_setup_take_network(&bench.setup, &old, desk_now()), MM_OK);
    (void)mm_join_poll(&s_asker.join, desk_now());
    assert_int_equal(s_asker.join.state, MM_JOIN_IDLE); // provisioned from elsewhere
    mm_join_heard_revision(&s_asker.join, 4, desk_now());
    assert_int_equal(s_asker.join.state, MM_JOIN_IDLE);
    mm_join_heard_revision(&s_asker.join, 3, desk_now());
    assert_int_equal(s_asker.join.state, MM_JOIN_IDLE);
    mm_join_heard_revision(&s_asker.join, mm_join_revision(&s_root.join), desk_now());
    assert_int_equal(s_asker.join.state, MM_JOIN_ASKING);
    ask_now();
    assert_int_equal(s_packet_count, 1);
    assert_false(s_packets[0].by_door);
    deliver(NULL);
    mm_join_record_t record;
    assert_int_equal(joins_at_hq(&record), 1);
    assert_int_equal(record.revision, 4);
    assert_true(mm_mac_equal(record.via, NODE_MAC));
    mm_admit_body_t admit = word_of_hq(&record);
    assert_int_equal(mm_join_admit(&s_root.join, &admit, desk_now()), MM_RESULT_DONE);
    ask_now();
    deliver(NULL);
    assert_int_equal(bench.setup.configuration.network.revision, 5);
    assert_int_equal(s_asker.join.state, MM_JOIN_IDLE);
    assert_int_equal(mm_join_poll(&s_asker.join, desk_now()), MM_US_NEVER);
}

// A root that says more than it has: the answer is opened, and its nonce used up.
static void test_join_answer_that_is_no_newer(void **state) {
    (void)state;
    site_begin();
    admit_asker();
    packet_t parts[PART_COUNT];
    get_parts(parts);
    mm_network_t own = net_of(5);
    own.revision = 5;
    uint8_t nonce[MM_JOIN_NONCE_BYTES];
    memcpy(nonce, s_asker.join.nonce, sizeof nonce);
    assert_int_equal(mm_setup_take_network(&bench.setup, &own, desk_now()), MM_OK);
    mm_join_heard_revision(&s_asker.join, 9, desk_now()); // still wanted
    assert_int_equal(s_asker.join.state, MM_JOIN_ASKING);
    hear(&parts[0], &s_asker);
    hear(&parts[1], &s_asker);
    assert_int_equal(s_asker.join.state, MM_JOIN_IDLE);
    pass_s(MM_JOIN_RETRY_MAX_S);
    (void)mm_join_poll(&s_asker.join, desk_now());
    assert_int_equal(s_asker.join.state, MM_JOIN_ASKING);
    assert_memory_not_equal(s_asker.join.nonce, nonce, sizeof nonce);
    // The root has nothing newer for it.
    ask_now();
    deliver(NULL);
    assert_int_equal(s_root.counters.values[MM_COUNTER_JOIN_REFUSED], 1);
}

static void test_join_storage_refuses(void **state) {
    (void)state;
    site_begin();
    admit_asker();
    packet_t parts[PART_COUNT];
    get_parts(parts);
    world.fail_from_call = world.call_count;
    hear(&parts[0], &s_asker);
    hear(&parts[1], &s_asker);
    world.fail_from_call = NEVER;
    assert_false(asker_has_network());
    assert_int_equal(s_asker.join.state, MM_JOIN_ASKING);
    ask_now();
    deliver(&s_root);
    assert_true(asker_has_network());
}

static void test_join_restart_of_the_asker(void **state) {
    (void)state;
    site_begin();
    admit_asker();
    packet_t parts[PART_COUNT];
    get_parts(parts);
    setup_reboot();
    asker_open(); // a new nonce: HQ is asked again
    hear(&parts[0], &s_asker);
    hear(&parts[1], &s_asker);
    assert_false(asker_has_network());
    assert_int_equal(s_asker.counters.values[MM_COUNTER_JOIN_FORGED], 0);
    admit_asker();
    ask_now();
    deliver(&s_root);
    assert_true(asker_has_network());
    setup_reboot();
    asker_open();
    assert_true(asker_has_network());
    assert_int_equal(s_asker.join.state, MM_JOIN_IDLE);
}

static void test_join_door_refuses(void **state) {
    (void)state;
    site_begin();
    uint8_t bytes[MM_DOOR_PACKET_BYTES_MAX + 1] = {0};
    mm_join_on_door(&s_root.join, NODE_MAC, bytes, 0, desk_now());
    mm_join_on_door(&s_root.join, NODE_MAC, bytes, 30, desk_now());
    mm_join_on_door(&s_root.join, NODE_MAC, bytes, sizeof bytes, desk_now());
    assert_int_equal(s_root.counters.values[MM_COUNTER_JOIN_REFUSED], 3);
    const mm_hello_t hello = {.boot_no = 1};
    size_t size = mm_frame_write_hello(bytes, sizeof bytes, NODE_MAC, &hello);
    mm_join_on_door(&s_root.join, NODE_MAC, bytes, size, desk_now()); // the mesh is not entered here
    assert_int_equal(s_root.counters.values[MM_COUNTER_JOIN_REFUSED], 4);
    packet_t packet = ask_of(NODE_MAC, 1);
    packet.from = s_relay_mac;
    hear(&packet, &s_root);
    mm_join_ask_t ask = {.asker = NODE_MAC};
    size = mm_frame_write_join_ask(bytes, sizeof bytes, s_relay_mac, &ask); // in another's name
    mm_join_on_door(&s_root.join, s_relay_mac, bytes, size, desk_now());
    packet = ask_of(s_root_mac, 1);
    hear(&packet, &s_root);
    assert_int_equal(s_root.counters.values[MM_COUNTER_JOIN_FORGED], 3);
    assert_int_equal(s_packet_count, 0);
    mm_join_record_t record;
    assert_int_equal(joins_at_hq(&record), 0);
    // Who is parked hears others ask, and an answer for another is not taken.
    packet = ask_of((mm_mac_t){{9}}, 1);
    hear(&packet, &s_asker);
    assert_int_equal(s_packet_count, 0);
    mm_frame_t frame;
    packet.by_door = false;
    assert_int_equal(mm_frame_open(packet.bytes, packet.bytes_count, &frame), MM_OK);
    mm_join_on_frame(&s_relay.join, &frame, desk_now()); // not the root
    assert_int_equal(s_relay.counters.values[MM_COUNTER_FRAME_UNEXPECTED], 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_join_at_the_root),
        cmocka_unit_test(test_join_through_a_member),
        cmocka_unit_test(test_join_retry_grows_with_jitter),
        cmocka_unit_test(test_join_parts_lost_repeated_reordered),
        cmocka_unit_test(test_join_parts_of_two_sealings),
        cmocka_unit_test(test_join_parts_that_do_not_fit),
        cmocka_unit_test(test_join_last_part_cut_short),
        cmocka_unit_test(test_join_forged_answers),
        cmocka_unit_test(test_join_root_without_hqs_word),
        cmocka_unit_test(test_join_flood),
        cmocka_unit_test(test_join_hqs_word_has_room),
        cmocka_unit_test(test_join_admit_is_refused),
        cmocka_unit_test(test_join_role_lost),
        cmocka_unit_test(test_join_without_means),
        cmocka_unit_test(test_join_member_follows_the_network),
        cmocka_unit_test(test_join_answer_that_is_no_newer),
        cmocka_unit_test(test_join_storage_refuses),
        cmocka_unit_test(test_join_restart_of_the_asker),
        cmocka_unit_test(test_join_door_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
