// SPDX-License-Identifier: Apache-2.0
#include "hq_support.h"

#include "decode.h"
#include "wire_vectors.h"

#include "meshmeter/command.h"

static const cJSON *get(const cJSON *object, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (item == NULL) {
        fail_msg("no %s", name);
    }
    return item;
}

static cJSON *decode(const void *bytes, size_t bytes_count, mm_err_t wanted, const char *kind) {
    cJSON *json = NULL;
    assert_int_equal(mm_decode_json(bytes, bytes_count, &json), wanted);
    assert_string_equal(get(json, "kind")->valuestring, kind);
    assert_int_equal(get(json, "bytes")->valueint, bytes_count);
    assert_int_equal(cJSON_HasObjectItem(json, "error"), wanted != MM_OK && strcmp(kind, "unknown") == 0);
    return json;
}

static void fill_report(hq_report_t *report) {
    mm_snapshot_t snapshot = hq_snapshot(hq_mac(7), 2, 3, 60);
    mm_record_t gap = hq_gap(1, 5, 9, MM_GAP_FULL);
    mm_record_t event = hq_event(MM_EVENT_BOOT, (mm_label_t){12, MM_TRUST_UNSET}, 4, 4, 1, 0);
    hq_report_begin(report, hq_mac(7));
    hq_report_snapshot(report, &snapshot);
    hq_report_interval(report, 2, 10);
    hq_report_record(report, 2, 11, &gap);
    hq_report_record(report, 2, 20, &event);
    assert_int_equal(mm_report_put_record(&report->writer, (mm_position_t){2, 21}, 99, "\x01\x02", 2), MM_OK);
    hq_report_end(report);
}

static void check_report(const cJSON *frame) {
    assert_string_equal(get(frame, "type")->valuestring, "report");
    assert_string_equal(get(frame, "source")->valuestring, "02:00:00:00:00:07");
    const cJSON *snapshot = get(frame, "snapshot");
    assert_int_equal(get(snapshot, "next_seq")->valueint, 60);
    assert_int_equal(get(get(snapshot, "oldest"), "seq")->valueint, 3);
    const cJSON *meter = cJSON_GetArrayItem(get(snapshot, "meters"), 0);
    assert_string_equal(get(meter, "id")->valuestring, "M-7");
    assert_int_equal(get(meter, "energy_wh")->valueint, 5060);
    assert_string_equal(get(snapshot, "year_month")->valuestring, "2023-11");
    const cJSON *records = get(frame, "records");
    assert_int_equal(cJSON_GetArraySize(records), 4);
    const cJSON *interval = cJSON_GetArrayItem(records, 0);
    assert_int_equal(get(interval, "seq")->valueint, 10);
    assert_string_equal(get(interval, "type")->valuestring, "interval");
    assert_int_equal(cJSON_GetArrayItem(get(interval, "pulses"), 7)->valueint, 17);
    assert_string_equal(get(cJSON_GetArrayItem(records, 1), "reason")->valuestring, "full");
    assert_int_equal(get(get(cJSON_GetArrayItem(records, 2), "at"), "uptime_s")->valueint, 12);
    assert_string_equal(get(cJSON_GetArrayItem(records, 3), "payload_hex")->valuestring, "0102");
}

static void test_decode_frames(void **state) {
    (void)state;
    hq_report_t report;
    uint8_t bytes[200];
    fill_report(&report);
    cJSON *json = decode(report.bytes, report.bytes_count, MM_OK, "frame");
    check_report(json);
    cJSON_Delete(json);
    size_t size = mm_frame_write_hello(bytes, sizeof bytes, hq_mac(1), &(mm_hello_t){.boot_no = 77});
    json = decode(bytes, size, MM_OK, "frame");
    assert_int_equal(get(json, "boot_no")->valueint, 77);
    cJSON_Delete(json);
    size =
        mm_frame_write_welcome(bytes, sizeof bytes, hq_mac(1), &(mm_welcome_t){.time = {{HQ_UTC_US}, MM_TRUST_HELD}});
    json = decode(bytes, size, MM_OK, "frame");
    assert_string_equal(get(get(json, "time"), "trust")->valuestring, "held");
    cJSON_Delete(json);
    mm_ask_t ask = {
        .round_id = 5, .has_watermark = true, .watermark = {1, 9}, .after = {1, 12}, .report_bytes_max = 99};
    size = mm_frame_write_ask(bytes, sizeof bytes, hq_mac(1), &ask);
    json = decode(bytes, size, MM_OK, "frame");
    assert_int_equal(get(get(json, "after"), "seq")->valueint, 12);
    cJSON_Delete(json);
}

static void test_decode_batch(void **state) {
    (void)state;
    hq_report_t report;
    hq_batch_t batch;
    fill_report(&report);
    hq_batch_begin(&batch);
    batch.header.missing_count = 1;
    batch.header.missing[0] = hq_mac(9);
    hq_batch_add(&batch, &report);
    report.bytes[20] ^= 1;
    hq_batch_add(&batch, &report);
    hq_batch_end(&batch);
    cJSON *json = decode(batch.message, batch.message_bytes, MM_ERR_CORRUPT, "batch");
    assert_string_equal(cJSON_GetArrayItem(get(json, "missing"), 0)->valuestring, "02:00:00:00:00:09");
    assert_string_equal(get(json, "content")->valuestring, "live");
    check_report(cJSON_GetArrayItem(get(json, "frames"), 0));
    get(cJSON_GetArrayItem(get(json, "frames"), 1), "error");
    cJSON_Delete(json);
}

static void test_decode_ack(void **state) {
    (void)state;
    mm_ack_t ack = {.database_id = 0xABCDEF, .revision = 1700000000000001, .time = {{HQ_UTC_US}, MM_TRUST_SYNCED}};
    uint8_t bytes[MM_DOWNLINK_BYTES_MAX];
    ack.entry_count = 1;
    ack.entries[0] = (mm_ack_entry_t){hq_mac(3), {2, 500}};
    size_t size = mm_ack_write(bytes, sizeof bytes, &ack);
    cJSON *json = decode(bytes, size, MM_OK, "ack");
    assert_string_equal(get(json, "database_id")->valuestring, "0000000000abcdef");
    assert_true(get(json, "revision")->valuedouble == 1700000000000001.0);
    assert_int_equal(get(get(cJSON_GetArrayItem(get(json, "entries"), 0), "watermark"), "seq")->valueint, 500);
    cJSON_Delete(json);
}

static void test_decode_commands(void **state) {
    (void)state;
    static vector_t vector;
    vector_load("command_batch_three", &vector);
    cJSON *json = decode(vector.bytes, vector.bytes_count, MM_OK, "command_batch");
    assert_string_equal(get(json, "database_id")->valuestring, "1122334455667788");
    assert_int_equal(cJSON_GetArraySize(get(json, "commands")), 3);
    const cJSON *command = cJSON_GetArrayItem(get(json, "commands"), 2);
    assert_string_equal(get(command, "kind")->valuestring, "credit");
    assert_int_equal(get(command, "id")->valueint, 4713);
    assert_int_equal(get(command, "body_bytes")->valueint, 20);
    cJSON_Delete(json);

    vector_load("frame_ask_commands", &vector);
    json = decode(vector.bytes, vector.bytes_count, MM_OK, "frame");
    assert_int_equal(cJSON_GetArraySize(get(json, "commands")), 2);
    assert_string_equal(get(cJSON_GetArrayItem(get(json, "commands"), 0), "kind")->valuestring, "lock");
    cJSON_Delete(json);

    vector_load("frame_report_control", &vector);
    json = decode(vector.bytes, vector.bytes_count, MM_OK, "frame");
    const cJSON *control = get(json, "control");
    assert_true(get(control, "era")->valuedouble == 0xA1B2C3D4);
    const cJSON *meter = cJSON_GetArrayItem(get(control, "meters"), 0);
    assert_true(cJSON_IsTrue(get(meter, "prepaid")));
    char *text = cJSON_PrintUnformatted(meter);
    assert_non_null(strstr(text, "\"balance_wh\":-1,"));
    cJSON_free(text);
    const cJSON *result = cJSON_GetArrayItem(get(json, "records"), 0);
    assert_string_equal(get(result, "type")->valuestring, "result");
    assert_int_equal(get(result, "command_id")->valueint, 4711);
    const cJSON *credit = cJSON_GetArrayItem(get(json, "records"), 1);
    assert_string_equal(get(credit, "movement")->valuestring, "network");
    text = cJSON_PrintUnformatted(credit);
    assert_non_null(strstr(text, "\"balance_wh\":4321,"));
    cJSON_free(text);
    cJSON_Delete(json);
}

static void test_decode_legacy(void **state) {
    (void)state;
    uint8_t message[8 + 74] = {1, 0, 0, 0};
    message[8] = 48;
    memcpy(message + 8 + 12, "OLD", 3);
    message[8 + 28] = 200;
    cJSON *json = decode(message, sizeof message, MM_OK, "legacy_binary");
    const cJSON *meter = cJSON_GetArrayItem(get(json, "meters"), 0);
    assert_string_equal(get(meter, "id")->valuestring, "OLD");
    assert_int_equal(get(meter, "node_id")->valueint, 48);
    assert_int_equal(get(meter, "life_kwh")->valueint, 200);
    cJSON_Delete(json);
    static const char text[] = "{\"Medidores\":[{\"m\":\"A\",\"k\":1,\"Months\":[{\"M0\":1}]},{\"m\":\"B\"}]}";
    json = decode(text, sizeof text - 1, MM_ERR_CORRUPT, "legacy_json");
    assert_int_equal(cJSON_GetArraySize(get(json, "meters")), 2);
    cJSON_Delete(json);
}

static void test_decode_anything_else(void **state) {
    (void)state;
    hq_report_t report;
    fill_report(&report);
    for (size_t bytes = 0; bytes < report.bytes_count; bytes++) {
        cJSON *json = decode(report.bytes, bytes, MM_ERR_CORRUPT, "unknown");
        cJSON_Delete(json);
    }
    cJSON *json = decode("hello", 5, MM_ERR_CORRUPT, "unknown");
    cJSON_Delete(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode_frames),        cmocka_unit_test(test_decode_batch),
        cmocka_unit_test(test_decode_ack),           cmocka_unit_test(test_decode_legacy),
        cmocka_unit_test(test_decode_anything_else), cmocka_unit_test(test_decode_commands),
    };
    return cmocka_run_group_tests_name("hq decode", tests, NULL, NULL);
}
