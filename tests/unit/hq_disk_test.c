// SPDX-License-Identifier: Apache-2.0
#include "hq_support.h"

#include "ingest.h"
#include "sim/sim_disk.h"
#include "store_query.h"

// HQ on the emulated disk.
//
// The same messages at the same times make the same HQ, byte by byte: nothing of the ingest and the store depends on a
// clock, on addresses or on chance, if the identity of the database is given.

typedef struct {
    uint32_t acks_sum; ///< of all acknowledgements, in order
    uint32_t disk_sum;
    uint64_t database_id;
    unsigned ack_count;
} outcome_t;

typedef struct {
    char text[1024];
    unsigned count;
} log_t;

static void on_log(void *context, const char *message) {
    log_t *log = context;
    snprintf(log->text, sizeof log->text, "%s", message);
    log->count++;
}

static void on_ack(void *context, const char *site, const void *bytes, size_t bytes_count) {
    outcome_t *outcome = context;
    const uint8_t *byte = bytes;
    for (size_t index = 0; index < bytes_count; index++) {
        outcome->acks_sum = outcome->acks_sum * 31 + byte[index];
    }
    outcome->acks_sum += (uint8_t)site[0];
    outcome->ack_count++;
}

static mm_hq_now_t at(int64_t us) {
    return (mm_hq_now_t){.monotonic_us = us, .real_us = HQ_UTC_US + us, .utc_us = HQ_UTC_US + us};
}

static void feed(mm_ingest_t *ingest) {
    static const char json[] =
        "{\"Medidores\":[{\"m\":\"77\",\"k\":12,\"Months\":[{\"M10\":3}]}],\"n\":1,\"t\":1700000000}";
    static const char notice[] = "{\"alarm\":1}";
    for (uint8_t number = 1; number <= 40; number++) {
        hq_batch_t batch;
        mm_hq_now_t now = at(number * 1000000);
        hq_batch_intervals(&batch, hq_mac((uint8_t)(number % 7 + 1)), number / 20 + 1, number, number + 5u);
        mm_ingest_push(ingest, "meter/home/info", batch.message, batch.message_bytes, &now);
        mm_ingest_push(ingest, "meter/other/info", json, sizeof json - 1, &now);
        mm_ingest_push(ingest, "meter/911", notice, sizeof notice - 1, &now);
        mm_ingest_push(ingest, "meter/home/info", "poison", 6, &now);
        mm_ingest_poll(ingest, &now, number % 3 == 0);
    }
    mm_hq_now_t end = at(100000000);
    mm_ingest_poll(ingest, &end, true);
    mm_ingest_ack_all(ingest, &end);
}

static outcome_t play(const char *disk_name, uint64_t database_id) {
    outcome_t outcome = {0};
    mm_hq_error_t error;
    mm_hq_stats_t stats = {0};
    mm_sim_disk_t *disk = mm_sim_disk_create(disk_name, 1);
    const mm_store_options_t options = {.vfs = mm_sim_disk_vfs_name(disk), .database_id = database_id};
    mm_store_t *store = mm_store_open("/hq.db", &options, &error);
    if (store == NULL) {
        fail_msg("%s", error.text);
    }
    mm_ingest_t *ingest = mm_ingest_create(store, &stats, on_ack, &outcome);
    feed(ingest);
    hq_check(store);
    mm_ack_t ack;
    assert_int_equal(mm_store_ack(store, "home", 0, &ack), MM_STORE_OK);
    outcome.database_id = ack.database_id;
    mm_ingest_destroy(ingest);
    mm_store_close(store);
    outcome.disk_sum = mm_sim_disk_checksum(disk);
    mm_sim_disk_destroy(disk);
    return outcome;
}

static void test_hq_repeats_byte_by_byte(void **state) {
    (void)state;
    log_t log = {.count = 0};
    mm_hq_log_set_sink(on_log, &log);
    outcome_t first = play("first", 4711);
    free(malloc(12345)); // other addresses
    outcome_t second = play("second", 4711);
    assert_true(first.database_id == 4711);
    assert_in_range(first.ack_count, 10, 1000);
    assert_int_equal(first.ack_count, second.ack_count);
    assert_int_equal(first.acks_sum, second.acks_sum);
    assert_int_equal(first.disk_sum, second.disk_sum);
    assert_true(play("third", 4712).disk_sum != first.disk_sum);
    // In the field it is random.
    assert_true(play("fourth", 0).database_id != play("fifth", 0).database_id);
    mm_hq_log_set_sink(NULL, NULL);
}

static void test_hq_log_goes_where_it_is_sent(void **state) {
    (void)state;
    log_t log = {.count = 0};
    mm_hq_log_set_sink(on_log, &log);
    mm_hq_log("database: %s", "gone");
    assert_string_equal(log.text, "database: gone");
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    mm_hq_log("%s", text);
    assert_in_range(strlen(log.text), 1000, 1023);
    mm_hq_log_set_sink(NULL, NULL);
    mm_hq_log("this line stands on standard error");
    assert_int_equal(log.count, 2);
}

// Readers of the store see what stands on the same disk, while it is written.
static void test_hq_reads_on_the_same_disk(void **state) {
    (void)state;
    mm_hq_error_t error;
    mm_sim_disk_t *disk = mm_sim_disk_create("read", 1);
    const mm_store_options_t options = {.vfs = mm_sim_disk_vfs_name(disk)};
    assert_null(mm_query_open_on(mm_sim_disk_vfs_name(disk), "/hq.db", &error)); // not there yet
    mm_store_t *store = mm_store_open("/hq.db", &options, &error);
    mm_query_t *query = mm_query_open_on(mm_sim_disk_vfs_name(disk), "/hq.db", &error);
    assert_non_null(query);
    hq_batch_t batch;
    int64_t records = 0;
    hq_batch_intervals(&batch, hq_mac(1), 1, 1, 10);
    hq_commit(store, &batch);
    assert_true(mm_query_integer(query, "SELECT count(*) FROM record", &records));
    assert_int_equal(records, 10);
    mm_query_close(query);
    mm_store_close(store);
    mm_sim_disk_destroy(disk);
}

// A sync fails at the very end of HQ, and HQ is started again while the computer runs on: what is in the WAL then is
// only in the cache of the operating system. Nothing that is acknowledged later may depend on it.
static void test_hq_commits_nothing_behind_a_failed_sync(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        mm_hq_error_t error;
        hq_batch_t batch;
        mm_sim_disk_t *disk = mm_sim_disk_create("sync", seed);
        const mm_store_options_t options = {.vfs = mm_sim_disk_vfs_name(disk)};
        mm_store_t *store = mm_store_open("/hq.db", &options, &error);
        hq_batch_intervals(&batch, hq_mac(1), 1, 1, 10);
        hq_commit(store, &batch);
        mm_sim_disk_fail(disk, MM_SIM_DISK_SYNC, 0, UINT64_MAX);
        hq_batch_intervals(&batch, hq_mac(1), 1, 11, 20);
        assert_int_equal(mm_store_begin(store), MM_STORE_OK);
        hq_put(store, &batch);
        assert_int_equal(mm_store_commit(store, HQ_UTC_US), MM_STORE_UNAVAILABLE);
        mm_store_close(store);
        mm_sim_disk_fail(disk, 0, 0, 0);

        store = mm_store_open("/hq.db", &options, &error);
        hq_commit(store, &batch);
        hq_batch_intervals(&batch, hq_mac(1), 1, 21, 30);
        hq_commit(store, &batch);
        hq_assert_watermark(store, hq_mac(1), 1, 30);
        mm_sim_disk_crash(disk);
        mm_store_close(store);
        store = mm_store_open("/hq.db", &options, &error);
        hq_assert_watermark(store, hq_mac(1), 1, 30);
        hq_check(store);
        mm_store_close(store);
        mm_sim_disk_destroy(disk);
    }
}

#define SHARED_MEMORY_BYTES 40000 // for the WAL's index, which every start needs

// A full disk after a crash: the WAL cannot go into the database now. HQ starts all the same, serves what it has, and
// takes messages when there is room again.
static void test_hq_starts_on_a_full_disk(void **state) {
    (void)state;
    mm_hq_error_t error;
    mm_sim_disk_t *disk = mm_sim_disk_create("full", 5);
    const mm_store_options_t options = {.vfs = mm_sim_disk_vfs_name(disk), .database_id = 7, .busy_timeout_ms = 1};
    mm_store_t *store = mm_store_open("/hq.db", &options, &error);
    assert_non_null(store);
    hq_batch_t batch;
    for (uint32_t first = 1; first < 4000; first += 50) {
        hq_batch_intervals(&batch, hq_mac(1), 1, first, first + 49);
        hq_commit(store, &batch);
    }
    mm_sim_disk_crash(disk);
    mm_store_close(store);
    mm_sim_disk_set_full(disk, SHARED_MEMORY_BYTES);
    store = mm_store_open("/hq.db", &options, &error);
    if (store == NULL) {
        fail_msg("%s", error.text);
    }
    hq_assert_watermark(store, hq_mac(1), 1, 4000);
    mm_sim_disk_set_full(disk, -1);
    hq_batch_intervals(&batch, hq_mac(1), 1, 4001, 4010);
    hq_commit(store, &batch);
    hq_assert_watermark(store, hq_mac(1), 1, 4010);
    mm_store_close(store);
    mm_sim_disk_destroy(disk);
}

static void test_hq_opens_nothing_without_memory(void **state) {
    (void)state;
    mm_hq_error_t error = {{0}};
    mm_sim_disk_t *disk = mm_sim_disk_create("memory", 1);
    const mm_store_options_t options = {.vfs = mm_sim_disk_vfs_name(disk)};
    mm_store_close(mm_store_open("/hq.db", &options, &error));
    sqlite3_hard_heap_limit64(1);
    assert_null(mm_query_open_on(mm_sim_disk_vfs_name(disk), "/hq.db", &error));
    assert_non_null(strstr(error.text, "out of memory"));
    assert_null(mm_store_open("/hq.db", &options, &error));
    assert_non_null(strstr(error.text, "out of memory"));
    sqlite3_hard_heap_limit64(0);
    mm_sim_disk_destroy(disk);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hq_repeats_byte_by_byte),
        cmocka_unit_test(test_hq_log_goes_where_it_is_sent),
        cmocka_unit_test(test_hq_reads_on_the_same_disk),
        cmocka_unit_test(test_hq_commits_nothing_behind_a_failed_sync),
        cmocka_unit_test(test_hq_starts_on_a_full_disk),
        cmocka_unit_test(test_hq_opens_nothing_without_memory),
    };
    return cmocka_run_group_tests_name("hq on a disk", tests, NULL, NULL);
}
