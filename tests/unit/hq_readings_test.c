// SPDX-License-Identifier: Apache-2.0
#include "hq_support.h"

#include "readings.h"

static void fill(const hq_world_t *world) {
    mm_store_t *store = hq_open(world);
    hq_batch_t batch;
    hq_report_t report;
    assert_int_equal(mm_store_set_default_tz(store, "CET-1CEST,M3.5.0,M10.5.0/3"), MM_STORE_OK);
    for (uint8_t number = 1; number <= 2; number++) {
        mm_snapshot_t snapshot = hq_snapshot(hq_mac(number), 1, 1, 6);
        snapshot.meters[0].life_pulses = 1 + 2 + 3 + 4 + 5 + 2;
        snapshot.interval_pulses[0] = 2; // interval 6 is in progress
        hq_report_begin(&report, hq_mac(number));
        hq_report_snapshot(&report, &snapshot);
        for (uint32_t seq = 1; seq <= 5; seq++) {
            hq_report_interval(&report, 1, seq);
        }
        hq_report_end(&report);
        hq_batch_begin(&batch);
        hq_batch_add(&batch, &report);
        hq_batch_end(&batch);
        hq_commit(store, &batch);
    }
    mm_store_close(store);
}

static void print(const hq_world_t *world, mm_readings_options_t options, mm_err_t wanted, char *text,
                  size_t text_bytes) {
    mm_hq_error_t error = {{0}};
    FILE *output = tmpfile();
    assert_non_null(output);
    options.database_path = world->database;
    assert_int_equal(mm_readings_print(&options, output, &error), wanted);
    assert_int_equal(error.text[0] == '\0', wanted == MM_OK);
    rewind(output);
    size_t used = fread(text, 1, text_bytes - 1, output);
    text[used] = '\0';
    fclose(output);
}

static void test_readings_csv(void **state) {
    char text[8192];
    fill(*state);
    print(*state,
          (mm_readings_options_t){.meter_id = "M-2", .from_s = HQ_UTC_S + 1000, .to_s = HQ_UTC_S + 2700, .csv = true},
          MM_OK, text, sizeof text);
    assert_string_equal(text,
                        "meter,site,node,channel,interval_no,end_utc,duration_s,pulses,energy_wh,time_trust,thinned\n"
                        "M-2,home,02:00:00:00:00:02,0,2,2023-11-14T22:45:00Z,900,2,2,synced,0\n"
                        "M-2,home,02:00:00:00:00:02,0,3,2023-11-14T23:00:00Z,900,3,3,synced,0\n");
    print(*state, (mm_readings_options_t){.from_s = INT64_MIN, .to_s = INT64_MAX, .csv = true}, MM_OK, text,
          sizeof text);
    size_t lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++) {
        lines++;
    }
    assert_int_equal(lines, 1 + 2 * 5);
}

static void test_readings_table_in_local_time(void **state) {
    char text[8192];
    fill(*state);
    print(*state, (mm_readings_options_t){.meter_id = "M-1", .from_s = INT64_MIN, .to_s = HQ_UTC_S + 900}, MM_OK, text,
          sizeof text);
    assert_non_null(strstr(text, "2023-11-14 23:30:00 +0100")); // 22:30 UTC in winter
}

static void test_readings_refuses(void **state) {
    char text[1024];
    fill(*state);
    print(*state, (mm_readings_options_t){.meter_id = "M-9", .from_s = INT64_MIN, .to_s = INT64_MAX}, MM_ERR_NOT_FOUND,
          text, sizeof text);
    hq_world_t nowhere = {.database = "/nowhere/hq.db"};
    print(&nowhere, (mm_readings_options_t){.to_s = INT64_MAX}, MM_ERR_STORAGE, text, sizeof text);
    const hq_world_t *world = *state;
    FILE *file = fopen(world->database, "w");
    fputs("this is no database, but it is long enough to look like a file with something in it\n", file);
    fclose(file);
    hq_remove(world->directory, "hq.db-wal");
    print(world, (mm_readings_options_t){.to_s = INT64_MAX}, MM_ERR_STORAGE, text, sizeof text);
}

typedef struct {
    size_t count;
    mm_readings_node_t nodes[4];
} nodes_t;

static bool take_node(void *context, const mm_readings_node_t *node) {
    nodes_t *self = context;
    self->nodes[self->count++] = *node;
    return true;
}

static void test_readings_check(void **state) {
    static nodes_t nodes;
    mm_hq_error_t error;
    const hq_world_t *world = *state;
    fill(world);
    nodes.count = 0;
    assert_int_equal(mm_readings_check(world->database, take_node, &nodes, &error), MM_OK);
    assert_int_equal(nodes.count, 2);
    const mm_readings_node_t *node = &nodes.nodes[1];
    assert_string_equal(node->site, "home");
    assert_true(mm_mac_equal(node->mac, hq_mac(2)));
    assert_int_equal(node->records, 5);
    assert_int_equal(node->positions, 5);
    assert_int_equal(node->intervals, 5);
    assert_int_equal(node->duplicate_intervals, 0);
    assert_int_equal(node->missing, 0);
    assert_int_equal(node->watermark_seq, 5);
    assert_int_equal(node->next_seq, 6);
    assert_int_equal(node->snapshot_interval_no, 6);
    assert_int_equal(node->channels[0].interval_pulses, 15);
    assert_int_equal(node->channels[0].open_pulses, 2);
    assert_int_equal(node->channels[0].life_pulses, 17);
    assert_int_equal(node->channels[0].energy_wh, 5017);
    assert_int_equal(node->channels[5].interval_pulses, 15 + 25);
    // The same interval under another number of the journal is a duplicate that this check must find.
    mm_store_t *store = hq_open(world);
    hq_batch_t batch;
    mm_record_t again = hq_interval(3);
    hq_batch_record(&batch, hq_mac(2), 1, 6, &again);
    hq_commit(store, &batch);
    mm_store_close(store);
    nodes.count = 0;
    assert_int_equal(mm_readings_check(world->database, take_node, &nodes, &error), MM_OK);
    assert_int_equal(nodes.nodes[1].duplicate_intervals, 1);
    assert_int_equal(nodes.nodes[0].duplicate_intervals, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, hq_world_setup, hq_world_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_readings_csv),
        TEST(test_readings_table_in_local_time),
        TEST(test_readings_refuses),
        TEST(test_readings_check),
    };
    return cmocka_run_group_tests_name("hq readings", tests, NULL, NULL);
}
