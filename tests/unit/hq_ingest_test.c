// SPDX-License-Identifier: Apache-2.0
#include "hq_support.h"

#include "hq_failing_vfs.h"

#include "ingest.h"
#include "store_query.h"

/// An ingest with a clock that the test moves, and the last acknowledgement of each site.
typedef struct {
    hq_world_t *world;
    mm_store_t *store;
    mm_ingest_t *ingest;
    mm_hq_stats_t stats;
    mm_hq_now_t now;
    size_t ack_count;
    char ack_site[MM_SITE_CHARS_MAX + 1];
    mm_ack_t ack;
} setting_t;

// What is acknowledged must be on the disk: read it back on a connection of its own.
static void on_ack(void *context, const char *site, const void *bytes, size_t bytes_count) {
    setting_t *self = context;
    assert_int_equal(mm_ack_read(bytes, bytes_count, &self->ack), MM_OK);
    snprintf(self->ack_site, sizeof self->ack_site, "%s", site);
    self->ack_count++;
    for (size_t index = 0; index < self->ack.entry_count; index++) {
        char sql[300];
        const mm_ack_entry_t *entry = &self->ack.entries[index];
        snprintf(sql, sizeof sql,
                 "SELECT count(*) FROM record JOIN node ON node.id = node JOIN site ON site.id = site"
                 " WHERE name = '%s' AND hex(mac) = '02%010X' AND record.epoch = %u AND seq <= %u",
                 site, entry->node.bytes[5], entry->watermark.epoch, entry->watermark.seq);
        assert_int_equal(hq_integer(self->world, sql), self->ack.entries[index].watermark.seq);
    }
}

static void open_setting(setting_t *self, hq_world_t *world, const mm_store_options_t *options) {
    mm_hq_error_t error;
    memset(self, 0, sizeof *self);
    self->world = world;
    self->now = (mm_hq_now_t){.monotonic_us = 1000000, .real_us = HQ_UTC_US, .utc_us = HQ_UTC_US};
    self->store = mm_store_open(world->database, options, &error);
    if (self->store == NULL) {
        fail_msg("%s", error.text);
    }
    self->ingest = mm_ingest_create(self->store, &self->stats, on_ack, self);
    assert_non_null(self->ingest);
}

static void close_setting(setting_t *self) {
    mm_ingest_destroy(self->ingest);
    mm_store_close(self->store);
}

static void advance(setting_t *self, int64_t us) {
    self->now.monotonic_us += us;
    self->now.real_us += us;
    self->now.utc_us += us;
}

static void push(setting_t *self, const char *topic, const void *payload, size_t payload_bytes) {
    mm_ingest_push(self->ingest, topic, payload, payload_bytes, &self->now);
}

static void push_batch(setting_t *self, const hq_batch_t *batch) {
    push(self, "meter/home/info", batch->message, batch->message_bytes);
}

static void poll_idle(setting_t *self) {
    mm_ingest_poll(self->ingest, &self->now, true);
}

// --- group commit

static void test_ingest_commits_when_idle(void **state) {
    setting_t setting;
    open_setting(&setting, *state, NULL);
    hq_batch_t batch;
    hq_batch_intervals(&batch, hq_mac(1), 1, 1, 10);
    push_batch(&setting, &batch);
    mm_ingest_poll(setting.ingest, &setting.now, false);
    assert_int_equal(setting.ack_count, 0);
    assert_int_equal(hq_integer(*state, "SELECT count(*) FROM record"), 0);
    assert_true(mm_ingest_next_deadline_us(setting.ingest) <= setting.now.monotonic_us + MM_INGEST_COMMIT_US);
    poll_idle(&setting);
    assert_int_equal(setting.ack_count, 1);
    assert_string_equal(setting.ack_site, "home");
    assert_int_equal(setting.ack.entry_count, 1);
    assert_int_equal(setting.ack.entries[0].watermark.seq, 10);
    assert_true(setting.ack.time.utc.us == setting.now.utc_us);
    assert_int_equal(hq_integer(*state, "SELECT count(*) FROM record"), 10);
    assert_true(mm_ingest_next_deadline_us(setting.ingest) == INT64_MAX);
    close_setting(&setting);
}

static void test_ingest_commits_after_time(void **state) {
    setting_t setting;
    open_setting(&setting, *state, NULL);
    hq_batch_t batch;
    hq_batch_intervals(&batch, hq_mac(1), 1, 1, 10);
    push_batch(&setting, &batch);
    advance(&setting, MM_INGEST_COMMIT_US - 1);
    mm_ingest_poll(setting.ingest, &setting.now, false);
    assert_int_equal(setting.ack_count, 0);
    advance(&setting, 1);
    mm_ingest_poll(setting.ingest, &setting.now, false);
    assert_int_equal(setting.ack_count, 1);
    close_setting(&setting);
}

static void test_ingest_commits_after_messages(void **state) {
    setting_t setting;
    open_setting(&setting, *state, NULL);
    for (uint32_t index = 0; index < MM_INGEST_COMMIT_MESSAGES; index++) {
        assert_int_equal(setting.ack_count, 0);
        hq_batch_t batch;
        hq_batch_intervals(&batch, hq_mac(1), 1, index + 1, index + 1);
        push_batch(&setting, &batch);
    }
    assert_int_equal(setting.ack_count, 1);
    assert_int_equal(setting.ack.entries[0].watermark.seq, MM_INGEST_COMMIT_MESSAGES);
    assert_int_equal(atomic_load(&setting.stats.records_committed), MM_INGEST_COMMIT_MESSAGES);
    close_setting(&setting);
}

static void test_ingest_acknowledges_every_touched_site(void **state) {
    setting_t setting;
    open_setting(&setting, *state, NULL);
    hq_batch_t batch;
    hq_batch_intervals(&batch, hq_mac(1), 1, 1, 3);
    push(&setting, "meter/north/info", batch.message, batch.message_bytes);
    push(&setting, "meter/south-2/info", batch.message, batch.message_bytes);
    push(&setting, "meter/north/info", batch.message, batch.message_bytes);
    poll_idle(&setting);
    assert_int_equal(setting.ack_count, 2);
    assert_int_equal(mm_store_totals(setting.store).records, 6);
    assert_int_equal(mm_store_totals(setting.store).duplicates, 3);
    setting.ack_count = 0;
    uint64_t revision = setting.ack.revision;
    mm_ingest_ack_all(setting.ingest, &setting.now);
    assert_int_equal(setting.ack_count, 2);
    assert_true(setting.ack.revision > revision);
    close_setting(&setting);
}

// --- quarantine

static int64_t quarantined(const setting_t *self, const char *reason_part) {
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM quarantine WHERE reason LIKE '%%%s%%'", reason_part);
    return hq_integer(self->world, sql);
}

static void test_ingest_truncated_batches(void **state) {
    setting_t setting;
    open_setting(&setting, *state, NULL);
    hq_batch_t batch;
    hq_batch_intervals(&batch, hq_mac(1), 1, 1, 10);
    for (size_t bytes = 0; bytes < batch.message_bytes; bytes++) {
        push(&setting, "meter/home/info", batch.message, bytes);
    }
    poll_idle(&setting);
    assert_int_equal(hq_integer(*state, "SELECT count(*) FROM quarantine"), batch.message_bytes);
    assert_int_equal(hq_integer(*state, "SELECT count(*) FROM record"), 0);
    push_batch(&setting, &batch);
    poll_idle(&setting);
    assert_int_equal(hq_integer(*state, "SELECT count(*) FROM record"), 10);
    close_setting(&setting);
}

static void test_ingest_flipped_bits(void **state) {
    setting_t setting;
    open_setting(&setting, *state, NULL);
    hq_batch_t batch;
    hq_batch_intervals(&batch, hq_mac(1), 1, 1, 4);
    uint8_t copy[MM_BATCH_BYTES_MAX];
    for (size_t bit = 0; bit < batch.message_bytes * 8; bit++) {
        memcpy(copy, batch.message, batch.message_bytes);
        copy[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        push(&setting, "meter/home/info", copy, batch.message_bytes);
    }
    poll_idle(&setting);
    assert_int_equal(hq_integer(*state, "SELECT count(*) FROM quarantine"), batch.message_bytes * 8);
    assert_int_equal(hq_integer(*state, "SELECT count(*) FROM record"), 0);
    close_setting(&setting);
}

// CRC-32 as zlib has it, bit by bit: the product's own is under test here too.
static uint32_t crc32_of(const uint8_t *bytes, size_t bytes_count) {
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t index = 0; index < bytes_count; index++) {
        crc ^= bytes[index];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1u) != 0 ? 0xEDB88320u : 0);
        }
    }
    return ~crc;
}

static void test_ingest_future_version(void **state) {
    setting_t setting;
    open_setting(&setting, *state, NULL);
    hq_batch_t batch;
    uint8_t copy[MM_BATCH_BYTES_MAX];
    hq_batch_intervals(&batch, hq_mac(1), 1, 1, 4);
    memcpy(copy, batch.message, batch.message_bytes);
    copy[2]++; // version (docs/spec/wire.md)
    uint32_t crc = crc32_of(copy, batch.message_bytes - 4);
    for (size_t index = 0; index < 4; index++) {
        copy[batch.message_bytes - 4 + index] = (uint8_t)(crc >> (8 * index));
    }
    push(&setting, "meter/home/info", copy, batch.message_bytes);
    poll_idle(&setting);
    assert_int_equal(quarantined(&setting, "later version"), 1);
    assert_int_equal(setting.ack_count, 0);
    close_setting(&setting);
}

static void test_ingest_foreign_topics(void **state) {
    static const char *const topics[] = {
        "meter/home/cmd",
        "meter/Home/info",
        "meter//info",
        "meter/a b/info",
        "meter/home/info/x",
        "other/home/info",
        "meter/012345678901234567890123/info",
        "",
        "meter/info",
        "meter/911",
        "meter/install",
        "meter/disco",
        "meter/x%/info",
        "meter/\xC3\xA9/info",
    };
    setting_t setting;
    open_setting(&setting, *state, NULL);
    hq_batch_t batch;
    hq_batch_intervals(&batch, hq_mac(1), 1, 1, 4);
    const size_t count = sizeof topics / sizeof topics[0];
    for (size_t index = 0; index < count; index++) {
        push(&setting, topics[index], batch.message, batch.message_bytes);
    }
    poll_idle(&setting);
    assert_int_equal(hq_integer(*state, "SELECT count(*) FROM quarantine"), count);
    assert_int_equal(hq_integer(*state, "SELECT count(*) FROM site"), 0);
    push(&setting, "meter/01234567890123456789012/info", batch.message, batch.message_bytes); // 23 characters
    poll_idle(&setting);
    assert_int_equal(hq_integer(*state, "SELECT count(*) FROM record"), 4);
    close_setting(&setting);
}

static void test_ingest_notices(void **state) {
    setting_t setting;
    open_setting(&setting, *state, NULL);
    static const char notice[] = "{\"cmd\":\"911\",\"msg\":\"tamper\"}";
    push(&setting, "meter/911", notice, sizeof notice - 1);
    push(&setting, "meter/install", notice, sizeof notice - 1);
    push(&setting, "meter/disco", "\0\0", 2);
    push(&setting, "meter/disco", "", 0);
    poll_idle(&setting);
    assert_int_equal(hq_integer(*state, "SELECT count(*) FROM notice"), 2);
    assert_int_equal(hq_integer(*state, "SELECT count(*) FROM quarantine"), 2);
    close_setting(&setting);
}

// --- the original's forms

static void put_u32(uint8_t *at, uint32_t value) {
    for (int index = 0; index < 4; index++) {
        at[index] = (uint8_t)(value >> (8 * index));
    }
}

static bool take_legacy(void *context, const mm_query_legacy_meter_t *meter) {
    *(mm_query_legacy_meter_t *)context = *meter;
    return true;
}

static void test_ingest_legacy_binary(void **state) {
    setting_t setting;
    open_setting(&setting, *state, NULL);
    uint8_t message[8 + 2 * 74] = {0};
    put_u32(message, 2);
    put_u32(message + 8, 48); // a node number that a JSON parser would take for the number 0
    put_u32(message + 8 + 8, 1689854400);
    memcpy(message + 8 + 12, "OLD-1", 5);
    put_u32(message + 8 + 28, 777);
    message[8 + 38] = 6;
    message[8 + 40] = 55;
    push(&setting, "meter/48/info", message, 81); // 74-byte length mismatch
    push(&setting, "meter/48/info", message, sizeof message - 4);
    push(&setting, "meter/48/info", message, sizeof message);
    push(&setting, "meter/48/info", message, sizeof message);
    poll_idle(&setting);
    assert_int_equal(hq_integer(*state, "SELECT count(*) FROM legacy_reading"), 1);
    assert_int_equal(quarantined(&setting, "neither a whole batch"), 2);
    assert_int_equal(quarantined(&setting, "zeros"), 2);
    // An older reading is kept, but the meter does not go back.
    put_u32(message + 8 + 8, 1689854400 - 900);
    put_u32(message + 8 + 28, 700);
    push(&setting, "meter/48/info", message, sizeof message);
    poll_idle(&setting);
    assert_int_equal(hq_integer(*state, "SELECT count(*) FROM legacy_reading"), 2);
    assert_int_equal(hq_integer(*state, "SELECT life_kwh FROM legacy_meter"), 777);
    mm_hq_error_t error;
    mm_query_t *query = mm_query_open(setting.world->database, &error);
    mm_query_legacy_meter_t meter = {.node_id = 0};
    assert_true(mm_query_legacy_meters(query, "48", take_legacy, &meter));
    mm_query_close(query);
    assert_string_equal(meter.id, "OLD-1");
    assert_int_equal(meter.month_kwh, 55);
    // Nothing is acknowledged to the original: it would not understand it.
    assert_int_equal(setting.ack_count, 0);
    hq_check(setting.store);
    close_setting(&setting);
}

static void test_ingest_legacy_json(void **state) {
    setting_t setting;
    open_setting(&setting, *state, NULL);
    static const char message[] = "{\"ControlId\":7,\"Subnode\":1,\"TS\":\"Thu Jul 20 12:00:00 2023\",\"Medidores\":["
                                  "{\"m\":\"J-1\",\"k\":10,\"Months\":[{\"M6\":3,\"Hours\":[{\"H0\":3}]}]},"
                                  "{\"m\":\"J-2\",\"k\":1.5,\"Months\":[{\"M6\":3}]}]}";
    push(&setting, "meter/7/info", message, sizeof message - 1);
    push(&setting, "meter/7/info", message, sizeof message - 1);
    push(&setting, "meter/7/info", "{\"a\":1}", 7);
    push(&setting, "meter/7/info", "{\"a\":", 5);
    char deep[200];
    memset(deep, '[', sizeof deep);
    push(&setting, "meter/7/info", deep, sizeof deep);
    push(&setting, "meter/7/info", "hello", 5);
    push(&setting, "meter/7/info", "48", 2);
    poll_idle(&setting);
    assert_int_equal(hq_integer(*state, "SELECT count(*) FROM legacy_meter"), 1);
    assert_int_equal(hq_integer(*state, "SELECT count(*) FROM legacy_reading"), 1);
    assert_int_equal(quarantined(&setting, "whole number of kWh"), 2);
    assert_int_equal(quarantined(&setting, "Medidores"), 1);
    assert_int_equal(quarantined(&setting, "not JSON"), 1);
    assert_int_equal(quarantined(&setting, "nested"), 1);
    assert_int_equal(quarantined(&setting, "neither"), 2);
    close_setting(&setting);
}

// Poison at every place of a stream stops nothing.
static void test_ingest_poison_everywhere(void **state) {
    setting_t setting;
    open_setting(&setting, *state, NULL);
    static const char *const poison[] = {"", "{", "[[[[", "\xFF\xFF\xFF", "MM", "0", "{\"Medidores\":[7]}"};
    uint32_t seq = 0;
    for (size_t round = 0; round < 3; round++) {
        for (size_t index = 0; index < sizeof poison / sizeof poison[0]; index++) {
            hq_batch_t batch;
            push(&setting, "meter/home/info", poison[index], strlen(poison[index]));
            seq++;
            hq_batch_intervals(&batch, hq_mac(1), 1, seq, seq);
            push_batch(&setting, &batch);
            if (index % 3 == 0) {
                poll_idle(&setting);
            }
        }
    }
    poll_idle(&setting);
    assert_int_equal(hq_integer(*state, "SELECT count(*) FROM record"), seq);
    assert_int_equal(setting.ack.entries[0].watermark.seq, seq);
    hq_check(setting.store);
    close_setting(&setting);
}

// --- a database that fails

static void test_ingest_disk_full_and_recovery(void **state) {
    setting_t setting;
    const mm_store_options_t options = {.pages_max = 120};
    open_setting(&setting, *state, &options);
    uint32_t acknowledged = 0;
    uint32_t sent = 0;
    while (!atomic_load(&setting.stats.database_failing)) {
        hq_batch_t batch;
        hq_batch_intervals(&batch, hq_mac(1), 1, sent + 1, sent + 20);
        sent += 20;
        setting.ack_count = 0;
        push_batch(&setting, &batch);
        poll_idle(&setting);
        assert_true(sent < 100000);
        if (setting.ack_count > 0) {
            acknowledged = setting.ack.entries[0].watermark.seq;
        }
    }
    assert_int_equal(acknowledged, sent - 20);
    // More comes, and waits; nothing is acknowledged, nothing ends.
    setting.ack_count = 0;
    for (int index = 0; index < 10; index++) {
        hq_batch_t batch;
        hq_batch_intervals(&batch, hq_mac(1), 1, sent + 1, sent + 20);
        sent += 20;
        push_batch(&setting, &batch);
        advance(&setting, MM_INGEST_RETRY_MAX_US);
        poll_idle(&setting);
    }
    assert_int_equal(setting.ack_count, 0);
    assert_int_equal(atomic_load(&setting.stats.messages_pending), 11);
    assert_int_equal(hq_integer(*state, "SELECT count(*) FROM record"), acknowledged);
    // Somebody makes room.
    close_setting(&setting);
    open_setting(&setting, *state, NULL);
    hq_batch_t batch;
    for (uint32_t seq = acknowledged; seq < sent; seq += 20) {
        hq_batch_intervals(&batch, hq_mac(1), 1, seq + 1, seq + 20);
        push_batch(&setting, &batch);
    }
    poll_idle(&setting);
    assert_int_equal(setting.ack.entries[0].watermark.seq, sent);
    hq_check(setting.store);
    close_setting(&setting);
}

// Eight messages of three nodes, committed in two transactions, with snapshots, a hole and a gap.
#define SCRIPT_MESSAGES 8

static void script_message(uint32_t index, hq_batch_t *batch) {
    switch (index) {
    case 0:
    case 1:
    case 2:
        hq_batch_intervals(batch, hq_mac(1), 1, index * 15 + 1, index * 15 + 15);
        break;
    case 3: {
        mm_snapshot_t snapshot = hq_snapshot(hq_mac(1), 1, 1, 46);
        hq_batch_snapshot(batch, hq_mac(1), &snapshot);
        break;
    }
    case 4:
        hq_batch_intervals(batch, hq_mac(2), 1, 6, 20);
        break;
    case 5:
        hq_batch_intervals(batch, hq_mac(2), 1, 1, 5);
        break;
    default:
        hq_batch_intervals(batch, hq_mac(3), 1, (index - 6) * 15 + 1, (index - 6) * 15 + 15);
        break;
    }
}

// True: the armed failure was reached.
static bool run_script(hq_world_t *world, long fail_at, bool for_ever, int code) {
    setting_t setting;
    const mm_store_options_t options = {.vfs = failing_vfs_register(), .busy_timeout_ms = 1};
    hq_remove(world->directory, "hq.db");
    hq_remove(world->directory, "hq.db-wal");
    hq_remove(world->directory, "hq.db-shm");
    s_failing = (failing_vfs_t){.countdown = -1, .code = code, .for_ever = for_ever};
    open_setting(&setting, world, &options);
    s_failing.countdown = fail_at;
    for (uint32_t index = 0; index < SCRIPT_MESSAGES; index++) {
        hq_batch_t batch;
        script_message(index, &batch);
        push_batch(&setting, &batch);
        if (index % 4 == 3) {
            poll_idle(&setting);
            advance(&setting, MM_INGEST_RETRY_MIN_US / 2);
        }
    }
    for (int attempt = 0; attempt < 3; attempt++) {
        advance(&setting, MM_INGEST_RETRY_MAX_US);
        poll_idle(&setting);
    }
    bool reached = s_failing.failures > 0;
    assert_true(!reached || !for_ever || s_failing.failures > 1 || atomic_load(&setting.stats.messages_pending) == 0);
    s_failing.countdown = -1; // the disk is mended
    for (int attempt = 0; attempt < 3; attempt++) {
        advance(&setting, MM_INGEST_RETRY_MAX_US);
        poll_idle(&setting);
    }
    assert_int_equal(atomic_load(&setting.stats.messages_pending), 0);
    assert_int_equal(atomic_load(&setting.stats.messages_dropped), 0);
    assert_int_equal(mm_store_totals(setting.store).records, 45 + 20 + 30);
    hq_assert_watermark(setting.store, hq_mac(1), 1, 45);
    hq_assert_watermark(setting.store, hq_mac(2), 1, 20);
    hq_assert_watermark(setting.store, hq_mac(3), 1, 30);
    hq_check(setting.store);
    close_setting(&setting);
    return reached;
}

static void test_ingest_nth_write_fails(void **state) {
    static const int codes[] = {SQLITE_IOERR_WRITE, SQLITE_FULL};
    long runs = 0;
    for (size_t kind = 0; kind < 2; kind++) {
        for (int for_ever = 0; for_ever < 2; for_ever++) {
            long fail_at = 0;
            while (run_script(*state, fail_at, for_ever != 0, codes[kind])) {
                fail_at++;
                runs++;
            }
            assert_true(fail_at > 20); // a test that reaches nothing proves nothing
        }
    }
    print_message("%ld failures injected\n", runs);
}

// The same while the file is made and migrated.
static void test_store_creation_nth_write_fails(void **state) {
    hq_world_t *world = *state;
    const mm_store_options_t options = {.vfs = failing_vfs_register(), .busy_timeout_ms = 1};
    for (long fail_at = 0;; fail_at++) {
        mm_hq_error_t error = {{0}};
        hq_remove(world->directory, "hq.db");
        hq_remove(world->directory, "hq.db-wal");
        hq_remove(world->directory, "hq.db-shm");
        s_failing = (failing_vfs_t){.countdown = fail_at, .code = SQLITE_IOERR_WRITE};
        mm_store_t *store = mm_store_open(world->database, &options, &error);
        bool reached = s_failing.failures > 0;
        assert_true(store != NULL || error.text[0] != '\0');
        mm_store_close(store);
        s_failing.countdown = -1;
        store = hq_open(world);
        hq_check(store);
        mm_store_close(store);
        if (!reached) {
            assert_true(fail_at > 10);
            break;
        }
    }
}

static void test_ingest_queue_is_bounded(void **state) {
    setting_t setting;
    const mm_store_options_t options = {.vfs = failing_vfs_register()};
    s_failing = (failing_vfs_t){.countdown = -1, .code = SQLITE_FULL, .for_ever = true};
    open_setting(&setting, *state, &options);
    s_failing.countdown = 0;
    hq_batch_t batch;
    for (uint32_t index = 0; index < MM_INGEST_QUEUE_MESSAGES_MAX + 100; index++) {
        hq_batch_intervals(&batch, hq_mac(1), 1, index + 1, index + 1);
        push_batch(&setting, &batch);
        if (index == 0) {
            poll_idle(&setting);
        }
    }
    assert_int_equal(atomic_load(&setting.stats.messages_dropped), 100);
    s_failing.countdown = -1;
    advance(&setting, MM_INGEST_RETRY_MAX_US);
    poll_idle(&setting);
    // What was dropped was not acknowledged; the node sends it again.
    assert_int_equal(setting.ack.entries[0].watermark.seq, MM_INGEST_QUEUE_MESSAGES_MAX);
    hq_batch_intervals(&batch, hq_mac(1), 1, MM_INGEST_QUEUE_MESSAGES_MAX + 1, MM_INGEST_QUEUE_MESSAGES_MAX + 30);
    push_batch(&setting, &batch);
    poll_idle(&setting);
    assert_int_equal(setting.ack.entries[0].watermark.seq, MM_INGEST_QUEUE_MESSAGES_MAX + 30);
    hq_check(setting.store);
    close_setting(&setting);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, hq_world_setup, hq_world_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_ingest_commits_when_idle),
        TEST(test_ingest_commits_after_time),
        TEST(test_ingest_commits_after_messages),
        TEST(test_ingest_acknowledges_every_touched_site),
        TEST(test_ingest_truncated_batches),
        TEST(test_ingest_flipped_bits),
        TEST(test_ingest_future_version),
        TEST(test_ingest_foreign_topics),
        TEST(test_ingest_notices),
        TEST(test_ingest_legacy_binary),
        TEST(test_ingest_legacy_json),
        TEST(test_ingest_poison_everywhere),
        TEST(test_ingest_disk_full_and_recovery),
        TEST(test_ingest_nth_write_fails),
        TEST(test_store_creation_nth_write_fails),
        TEST(test_ingest_queue_is_bounded),
    };
    return cmocka_run_group_tests_name("hq ingest", tests, NULL, NULL);
}
