// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "legacy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The binary form, written down byte by byte from its description: node and time, the meter, the month, the hours.
#define RECORD_BYTES 74

typedef struct {
    mm_legacy_reading_t readings[128];
    size_t reading_count;
    size_t reject_count;
    char reason[128];
} found_t;

static void on_reading(void *context, const mm_legacy_reading_t *reading, const void *bytes, size_t bytes_count) {
    found_t *self = context;
    assert_non_null(bytes);
    assert_true(bytes_count > 0);
    assert_true(self->reading_count < 128);
    self->readings[self->reading_count++] = *reading;
}

static void on_reject(void *context, const char *reason, const void *bytes, size_t bytes_count) {
    found_t *self = context;
    assert_non_null(bytes);
    assert_true(bytes_count > 0);
    self->reject_count++;
    snprintf(self->reason, sizeof self->reason, "%s", reason);
}

static mm_err_t decode(const void *bytes, size_t bytes_count, found_t *found) {
    mm_hq_error_t error;
    memset(found, 0, sizeof *found);
    mm_legacy_form_t form = mm_legacy_classify(bytes, bytes_count);
    assert_int_not_equal(form, MM_LEGACY_NONE);
    return mm_legacy_decode(form, bytes, bytes_count, on_reading, on_reject, found, &error);
}

static mm_legacy_form_t classify_text(const char *text) {
    return mm_legacy_classify(text, strlen(text));
}

static void put_u32(uint8_t *at, uint32_t value) {
    for (int index = 0; index < 4; index++) {
        at[index] = (uint8_t)(value >> (8 * index));
    }
}

static void fill_record(uint8_t *at, uint32_t node_id, const char *id) {
    memset(at, 0, RECORD_BYTES);
    put_u32(at, node_id);
    put_u32(at + 4, 3);          // subnode
    put_u32(at + 8, 1689854400); // 2023-07-20T12:00:00Z
    memcpy(at + 12, id, strlen(id));
    at[24] = 1;    // prepaid
    at[25] = 0;    // on
    at[26] = 0x2C; // balance 300
    at[27] = 0x01;
    put_u32(at + 28, 123456); // life kWh
    put_u32(at + 32, 77);     // residual beats
    at[36] = 15;              // maximum amperes
    at[38] = 6;               // July
    at[40] = 0xE8;            // 1000 kWh
    at[41] = 0x03;
    put_u32(at + 42, 0xAABBCCDD); // device
    put_u32(at + 46, 9);          // FRAM writes
    for (int hour = 0; hour < 24; hour++) {
        at[50 + hour] = (uint8_t)(hour * 10);
    }
}

static size_t fill_message(uint8_t *message, uint32_t count, uint32_t node_id) {
    put_u32(message, count);
    put_u32(message + 4, 150000); // free heap
    for (uint32_t index = 0; index < count; index++) {
        char id[16];
        snprintf(id, sizeof id, "MET%u", (unsigned)(uint8_t)index);
        fill_record(message + 8 + index * RECORD_BYTES, node_id, id);
    }
    return 8 + (size_t)count * RECORD_BYTES;
}

static void test_legacy_binary_fields(void **state) {
    (void)state;
    uint8_t message[8 + RECORD_BYTES];
    found_t found;
    size_t bytes = fill_message(message, 1, 5546600);
    assert_int_equal(bytes, 82);
    assert_int_equal(decode(message, bytes, &found), MM_OK);
    assert_int_equal(found.reading_count, 1);
    const mm_legacy_reading_t *reading = &found.readings[0];
    assert_string_equal(reading->id, "MET0");
    assert_int_equal(reading->node_id, 5546600);
    assert_int_equal(reading->subnode, 3);
    assert_int_equal(reading->stamp_s, 1689854400);
    assert_int_equal(reading->life_kwh, 123456);
    assert_int_equal(reading->beats, 77);
    assert_int_equal(reading->month, 6);
    assert_int_equal(reading->month_kwh, 1000);
    assert_int_equal(reading->prepaid_balance, 300);
    assert_int_equal(reading->pay_mode, 1);
    assert_int_equal(reading->amperes_max, 15);
    assert_int_equal(reading->device, 0xAABBCCDD);
    for (uint32_t hour = 0; hour < 24; hour++) {
        assert_int_equal(reading->hours_kwh[hour], hour * 10);
    }
}

static void test_legacy_binary_unterminated_id(void **state) {
    (void)state;
    uint8_t message[8 + RECORD_BYTES];
    found_t found;
    size_t bytes = fill_message(message, 1, 1);
    memcpy(message + 8 + 12, "TWELVECHARS!", 12);
    assert_int_equal(decode(message, bytes, &found), MM_OK);
    assert_string_equal(found.readings[0].id, "TWELVECHARS!");
}

static void test_legacy_binary_length_must_be_exact(void **state) {
    (void)state;
    static uint8_t message[8 + 100 * RECORD_BYTES + 200];
    for (uint32_t count = 1; count <= 100; count++) {
        size_t bytes = fill_message(message, count, 7);
        assert_int_equal(mm_legacy_classify(message, bytes), MM_LEGACY_BINARY);
        for (size_t wrong = bytes - 76; wrong <= bytes + 76; wrong++) {
            if (wrong != bytes) {
                assert_int_equal(mm_legacy_classify(message, wrong), MM_LEGACY_NONE);
            }
        }
    }
    // The 70 bytes that the original's comment claims are wrong.
    put_u32(message, 1);
    assert_int_equal(mm_legacy_classify(message, 8 + 70), MM_LEGACY_NONE);
    put_u32(message, 0);
    assert_int_equal(mm_legacy_classify(message, 8), MM_LEGACY_NONE);
    put_u32(message, 101);
    assert_int_equal(mm_legacy_classify(message, 8 + 101 * RECORD_BYTES), MM_LEGACY_NONE);
}

// Every node number the original's page allows; 48 … 57 begin like a JSON number, and 4,576 of them parse as JSON.
static void test_legacy_binary_is_never_read_as_json(void **state) {
    (void)state;
    uint8_t message[8 + RECORD_BYTES];
    found_t found;
    for (uint32_t node_id = 0; node_id < 100000; node_id++) {
        size_t bytes = fill_message(message, 1, node_id);
        assert_int_equal(mm_legacy_classify(message, bytes), MM_LEGACY_BINARY);
        if (node_id >= 40 && node_id <= 60) {
            assert_int_equal(decode(message, bytes, &found), MM_OK);
            assert_int_equal(found.readings[0].node_id, node_id);
        }
    }
    // 48 … 57 records: the count itself is a digit.
    static uint8_t many[8 + 57 * RECORD_BYTES];
    for (uint32_t count = 48; count <= 57; count++) {
        size_t bytes = fill_message(many, count, 123);
        assert_int_equal(decode(many, bytes, &found), MM_OK);
        assert_int_equal(found.reading_count, count);
        assert_int_equal(mm_legacy_classify(many, bytes - 1), MM_LEGACY_NONE);
    }
    // A record of the mesh without the message around it is no message.
    uint8_t record[RECORD_BYTES];
    fill_record(record, 48, "X");
    assert_int_equal(mm_legacy_classify(record, sizeof record), MM_LEGACY_NONE);
}

static void test_legacy_binary_bad_records_do_not_hide_others(void **state) {
    (void)state;
    uint8_t message[8 + 5 * RECORD_BYTES];
    found_t found;
    size_t bytes = fill_message(message, 5, 7);
    memset(message + 8, 0, RECORD_BYTES);               // a node that did not answer
    message[8 + RECORD_BYTES + 38] = 12;                // no month
    memset(message + 8 + 2 * RECORD_BYTES + 12, 0, 12); // no id
    message[8 + 3 * RECORD_BYTES + 12] = 0x07;          // an id that is no text
    assert_int_equal(decode(message, bytes, &found), MM_OK);
    assert_int_equal(found.reading_count, 1);
    assert_int_equal(found.reject_count, 4);
    assert_string_equal(found.readings[0].id, "MET4");
}

static const char s_node[] =
    "{\"cmd\":\"meterdata\",\"ControlId\":\"5546600\",\"Subnode\":2,\"TS\":\"Thu Jul 20 12:00:00 2023\",\"Medidores\":["
    "{\"m\":\"A-1\",\"k\":4321,\"Months\":[{\"M6\":250,\"Hours\":[{\"H0\":1},{\"H1\":2},{\"H2\":3},{\"H3\":4},{\"H4\":"
    "5},"
    "{\"H5\":6},{\"H6\":7},{\"H7\":8},{\"H8\":9},{\"H9\":10},{\"H10\":11},{\"H11\":12},{\"H12\":13},{\"H13\":14},"
    "{\"H14\":15},{\"H15\":16},{\"H16\":17},{\"H17\":18},{\"H18\":19},{\"H19\":20},{\"H20\":21},{\"H21\":22},"
    "{\"H22\":23},{\"H23\":24}]}]},{\"m\":\"\",\"k\":0,\"Months\":[{\"M6\":0,\"Hours\":[]}]}]}";

static void test_legacy_json_fields(void **state) {
    (void)state;
    found_t found;
    assert_int_equal(classify_text(s_node), MM_LEGACY_JSON);
    assert_int_equal(decode(s_node, strlen(s_node), &found), MM_OK);
    assert_int_equal(found.reading_count, 1); // the blank id is skipped
    assert_int_equal(found.reject_count, 0);
    const mm_legacy_reading_t *reading = &found.readings[0];
    assert_string_equal(reading->id, "A-1");
    assert_int_equal(reading->node_id, 5546600);
    assert_int_equal(reading->subnode, 2);
    assert_int_equal(reading->stamp_s, 1689854400);
    assert_int_equal(reading->life_kwh, 4321);
    assert_int_equal(reading->month, 6);
    assert_int_equal(reading->month_kwh, 250);
    for (uint32_t hour = 0; hour < 24; hour++) {
        assert_int_equal(reading->hours_kwh[hour], hour + 1);
    }
}

static void test_legacy_json_of_several_nodes(void **state) {
    (void)state;
    static char text[4 * sizeof s_node];
    found_t found;
    snprintf(text, sizeof text, "[%s,\n%s]", s_node, s_node);
    assert_int_equal(decode(text, strlen(text), &found), MM_OK);
    assert_int_equal(found.reading_count, 2);
    snprintf(text, sizeof text, " {\"cmd\":\"BMeters\",\"Nodes\":[%s,%s],\"Subnode3\":%s}\n", s_node, s_node, s_node);
    assert_int_equal(decode(text, strlen(text), &found), MM_OK);
    assert_int_equal(found.reading_count, 3);
}

static void test_legacy_json_refuses(void **state) {
    (void)state;
    static const char *const messages[] = {
        "{}",
        "[]",
        "{\"Medidores\":[]}",
        "{\"Medidores\":7}",
        "{\"a\":",
        "{\"a\":1} trailing",
        "[1,2,3]",
        "{\"Medidores\":[",
        "[\"Medidores\"]",
        "{\"Medidores\":{\"m\":\"A\"}}",
        "{\"\\u0000\":1}",
        "{]",
        "[}",
        "{\"a\":\"\\",
    };
    found_t found;
    for (size_t index = 0; index < sizeof messages / sizeof messages[0]; index++) {
        assert_int_equal(classify_text(messages[index]), MM_LEGACY_JSON);
        assert_int_equal(decode(messages[index], strlen(messages[index]), &found), MM_ERR_CORRUPT);
        assert_int_equal(found.reading_count, 0);
    }
    static const char *const others[] = {"", " ", "48", "null", "true", "\"text\"", "-1", "hello", "\xEF\xBB\xBF{}"};
    for (size_t index = 0; index < sizeof others / sizeof others[0]; index++) {
        assert_int_equal(classify_text(others[index]), MM_LEGACY_NONE);
    }
    assert_int_equal(mm_legacy_classify("{\0}", 3), MM_LEGACY_NONE);
}

static void test_legacy_json_bad_meters_do_not_hide_others(void **state) {
    (void)state;
    static const char *const bad[] = {
        "7",
        "null",
        "{}",
        "{\"m\":\"A\"}",
        "{\"m\":\"A\",\"k\":-1}",
        "{\"m\":\"A\",\"k\":1.5,\"Months\":[{\"M1\":1}]}",
        "{\"m\":\"A\",\"k\":1e300,\"Months\":[{\"M1\":1}]}",
        "{\"m\":\"A\",\"k\":\"x\",\"Months\":[{\"M1\":1}]}",
        "{\"m\":\"THIRTEENCHARS\",\"k\":1,\"Months\":[{\"M1\":1}]}",
        "{\"m\":\"\\u00e9\",\"k\":1,\"Months\":[{\"M1\":1}]}",
        "{\"m\":\"A\",\"k\":1,\"Months\":[]}",
        "{\"m\":\"A\",\"k\":1,\"Months\":[{\"M12\":1}]}",
        "{\"m\":\"A\",\"k\":1,\"Months\":[{\"M\":1}]}",
        "{\"m\":\"A\",\"k\":1,\"Months\":[{\"M1\":1,\"Hours\":7}]}",
        "{\"m\":\"A\",\"k\":1,\"Months\":[{\"M1\":1,\"Hours\":[{\"H24\":1}]}]}",
        "{\"m\":\"A\",\"k\":1,\"Months\":[{\"M1\":1,\"Hours\":[{\"X1\":1}]}]}",
        "{\"m\":\"A\",\"k\":1,\"Months\":[{\"M1\":1,\"Hours\":[{}]}]}",
        "{\"m\":\"\",\"k\":5,\"Months\":[{\"M1\":1}]}",
        "{\"m\":7,\"k\":1,\"Months\":[{\"M1\":1}]}",
    };
    for (size_t index = 0; index < sizeof bad / sizeof bad[0]; index++) {
        char text[512];
        found_t found;
        snprintf(text, sizeof text, "{\"Medidores\":[%s,{\"m\":\"GOOD\",\"k\":9,\"Months\":{\"M0\":1}}]}", bad[index]);
        assert_int_equal(decode(text, strlen(text), &found), MM_OK);
        assert_int_equal(found.reject_count, 1);
        assert_int_equal(found.reading_count, 1);
        assert_string_equal(found.readings[0].id, "GOOD");
    }
}

static void test_legacy_json_deep_and_large(void **state) {
    (void)state;
    size_t bytes = MM_LEGACY_JSON_BYTES_MAX + 2;
    char *text = malloc(bytes);
    found_t found;
    memset(text, '[', bytes);
    assert_int_equal(decode(text, bytes, &found), MM_ERR_CORRUPT);     // too large
    assert_int_equal(decode(text, bytes - 2, &found), MM_ERR_CORRUPT); // too deep
    for (size_t depth = 1; depth <= 40; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(decode(text, 2 * depth, &found), MM_ERR_CORRUPT);
    }
    // Brackets inside of text do not count, behind an escaped quote either.
    static const char quoted[] =
        "{\"x\":\"[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[[[[[[[[[[[[[[[[\",\"Medidores\":[{\"m\":\"A\",\"k\":1,"
        "\"Months\":[{\"M0\":1}]}]}";
    assert_int_equal(decode(quoted, strlen(quoted), &found), MM_OK);
    assert_int_equal(found.reading_count, 1);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_legacy_binary_fields),
        cmocka_unit_test(test_legacy_binary_unterminated_id),
        cmocka_unit_test(test_legacy_binary_length_must_be_exact),
        cmocka_unit_test(test_legacy_binary_is_never_read_as_json),
        cmocka_unit_test(test_legacy_binary_bad_records_do_not_hide_others),
        cmocka_unit_test(test_legacy_json_fields),
        cmocka_unit_test(test_legacy_json_of_several_nodes),
        cmocka_unit_test(test_legacy_json_refuses),
        cmocka_unit_test(test_legacy_json_bad_meters_do_not_hide_others),
        cmocka_unit_test(test_legacy_json_deep_and_large),
    };
    return cmocka_run_group_tests_name("hq legacy", tests, NULL, NULL);
}
