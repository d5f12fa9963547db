// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/command_body.h"

#include "wire_vectors.h"

typedef struct {
    const char *name; // of the golden vector
    uint8_t kind;
    mm_command_body_t body;
} example_t;

// The values of tools/make-wire-vectors.
static const example_t s_examples[] = {
    {"command_body_update", MM_COMMAND_UPDATE, {.update = {true, true, true, true, "MT0000000001", 1000, 4321000, 0}}},
    {"command_body_update_id", MM_COMMAND_UPDATE, {.update = {.has_id = true}}},
    {"command_body_update_constant",
     MM_COMMAND_UPDATE,
     {.update = {.has_pulse_constant = true, .pulse_constant = 10000}}},
    {"command_body_format", MM_COMMAND_FORMAT, {.format = {123456}}},
    {"command_body_network", MM_COMMAND_NETWORK, {.network = {"Caf\xC3\xA9 net", "secret pass"}}},
    {"command_body_network_open", MM_COMMAND_NETWORK, {.network = {"x", ""}}},
    {"command_body_broker", MM_COMMAND_BROKER, {.broker = {"mqtts://broker.example:8883", "user", "p w"}}},
    {"command_body_slot_plan", MM_COMMAND_SLOT_PLAN, {.slot_plan = {249, 250}}},
    {"command_body_display_on", MM_COMMAND_DISPLAY_ON, {.seconds = {60}}},
    {"command_body_display_on", MM_COMMAND_FIND, {.seconds = {60}}},
    {"command_body_ota_url", MM_COMMAND_OTA_URL, {.ota_url = {"https://firmware.example/node.bin"}}},
    {"command_body_credit", MM_COMMAND_CREDIT, {.credit = {99, 12, 5000}}},
    {"command_body_void", MM_COMMAND_VOID, {.credit = {INT64_MAX, UINT32_MAX - 1, 0}}},
    {"command_body_limits", MM_COMMAND_LIMITS, {.limits = {2000, 1000, 0xE00000, 0x41}}},
    {"command_body_mode", MM_COMMAND_MODE, {.mode = {.prepaid = true}}},
    {"command_body_mode_count", MM_COMMAND_MODE, {.mode = {.has_count = true, .count = 70001}}},
    {"command_body_adjust", MM_COMMAND_ADJUST, {.credit = {100, 14, -1000000000000}}},
    {"command_body_confirm", MM_COMMAND_CONFIRM, {.confirm = {70000}}},
    {"command_body_admit",
     MM_COMMAND_ADMIT,
     {.admit = {{{0x24, 0x0A, 0xC4, 0x01, 0x02, 0x04}},
                {0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x4B, 0x4C, 0x4D, 0x4E, 0x4F},
                {0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F,
                 0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F}}}},
};
#define EXAMPLE_COUNT (sizeof s_examples / sizeof s_examples[0])

static const uint8_t s_empty_kinds[] = {MM_COMMAND_LOCK,     MM_COMMAND_UNLOCK,    MM_COMMAND_ERASE,
                                        MM_COMMAND_REBOOT,   MM_COMMAND_SEND_NOW,  MM_COMMAND_READ_METER,
                                        MM_COMMAND_READ_LOG, MM_COMMAND_OTA_START, MM_COMMAND_REINSTALL};

// What is accepted must be the one encoding of what was understood.
static mm_err_t read_is_sound(uint8_t kind, const uint8_t *bytes, size_t bytes_count) {
    mm_command_body_t body;
    uint8_t *copy = vector_copy(bytes, bytes_count);
    mm_err_t err = mm_command_body_read(kind, copy, bytes_count, &body);
    if (err == MM_OK) {
        uint8_t again[MM_COMMAND_BODY_BYTES_MAX];
        mm_writer_t writer = mm_writer(again, sizeof again);
        assert_int_equal(mm_command_body_put(kind, &body, &writer), MM_OK);
        assert_int_equal(writer.used_bytes, bytes_count);
        assert_memory_equal(again, copy, bytes_count);
    }
    free(copy);
    return err;
}

static void test_command_body_golden_vectors(void **state) {
    (void)state;
    static vector_t vector;
    for (size_t index = 0; index < EXAMPLE_COUNT; index++) {
        const example_t *example = &s_examples[index];
        uint8_t bytes[MM_COMMAND_BODY_BYTES_MAX];
        mm_writer_t writer = mm_writer(bytes, sizeof bytes);
        assert_int_equal(mm_command_body_put(example->kind, &example->body, &writer), MM_OK);
        vector_assert_equal(example->name, bytes, writer.used_bytes);
        vector_load(example->name, &vector);
        mm_command_body_t read;
        assert_int_equal(mm_command_body_read(example->kind, vector.bytes, vector.bytes_count, &read), MM_OK);
        // Text is compared as text, the rest by value: padding has none.
        if (example->kind == MM_COMMAND_UPDATE) {
            assert_string_equal(read.update.id, example->body.update.id);
            assert_true(read.update.has_id == example->body.update.has_id);
            assert_true(read.update.pulse_constant == example->body.update.pulse_constant);
            assert_true(read.update.start_wh == example->body.update.start_wh);
            assert_true(read.update.life_pulses == example->body.update.life_pulses);
            assert_true(read.update.has_life_pulses == example->body.update.has_life_pulses);
        } else if (example->kind == MM_COMMAND_LIMITS) {
            assert_true(read.limits.warning_wh == 2000 && read.limits.emergency_wh == 1000);
            assert_true(read.limits.quiet_hours == 0xE00000 && read.limits.quiet_days == 0x41);
        } else if (mm_command_is_for_meter(example->kind) && example->kind != MM_COMMAND_MODE) {
            assert_true(read.credit.purchase_id == example->body.credit.purchase_id);
            assert_true(read.credit.count == example->body.credit.count);
            assert_true(read.credit.amount_wh == example->body.credit.amount_wh);
        } else {
            assert_memory_equal(&read, &example->body, sizeof read);
        }
        for (size_t room_bytes = 0; room_bytes < vector.bytes_count; room_bytes++) {
            writer = mm_writer(bytes, room_bytes);
            assert_int_equal(mm_command_body_put(example->kind, &example->body, &writer), MM_ERR_FULL);
            assert_int_equal(writer.used_bytes, 0);
            assert_false(writer.failed);
        }
    }
}

static void test_command_body_damage(void **state) {
    (void)state;
    static vector_t vector;
    for (size_t index = 0; index < EXAMPLE_COUNT; index++) {
        uint8_t kind = s_examples[index].kind;
        vector_load(s_examples[index].name, &vector);
        bool is_text = kind == MM_COMMAND_NETWORK || kind == MM_COMMAND_BROKER || kind == MM_COMMAND_OTA_URL;
        for (size_t cut_bytes = 0; cut_bytes < vector.bytes_count; cut_bytes++) {
            mm_err_t err = read_is_sound(kind, vector.bytes, cut_bytes);
            assert_true(is_text || err == MM_ERR_CORRUPT); // a text may end anywhere
        }
        for (size_t bit = 0; bit < vector.bytes_count * 8; bit++) {
            vector.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            read_is_sound(kind, vector.bytes, vector.bytes_count);
            vector.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
        vector.bytes[vector.bytes_count] = 0;
        assert_true(read_is_sound(kind, vector.bytes, vector.bytes_count + 1) != MM_OK);
    }
}

static void test_command_body_empty_kinds(void **state) {
    (void)state;
    size_t index = 0;
    for (unsigned kind = 0; kind <= UINT8_MAX; kind++) {
        bool expected = false;
        for (size_t at = 0; at < sizeof s_empty_kinds; at++) {
            expected = expected || s_empty_kinds[at] == kind;
        }
        assert_int_equal(mm_command_body_is_empty((uint8_t)kind), expected);
        index += expected ? 1 : 0;
        if (expected) {
            mm_writer_t writer = mm_writer(NULL, 0);
            mm_command_body_t body;
            mm_writer_t failed = {.failed = true};
            assert_int_equal(mm_command_body_put((uint8_t)kind, NULL, &failed), MM_ERR_FULL);
            assert_int_equal(mm_command_body_put((uint8_t)kind, NULL, &writer), MM_OK);
            assert_int_equal(writer.used_bytes, 0);
            assert_int_equal(mm_command_body_read((uint8_t)kind, NULL, 0, &body), MM_OK);
            assert_int_equal(mm_command_body_read((uint8_t)kind, "", 1, &body), MM_ERR_CORRUPT);
        }
    }
    assert_int_equal(index, sizeof s_empty_kinds);
}

static void test_command_body_unknown_kinds(void **state) {
    (void)state;
    uint8_t bytes[MM_COMMAND_BODY_BYTES_MAX + 1] = {0};
    mm_command_body_t body = {0};
    for (unsigned kind = 0; kind <= UINT8_MAX; kind++) {
        if (kind != MM_COMMAND_NONE && kind < MM_COMMAND_KIND_COUNT) {
            assert_int_equal(mm_command_body_read((uint8_t)kind, bytes, sizeof bytes, &body), MM_ERR_CORRUPT);
            continue;
        }
        mm_writer_t writer = mm_writer(bytes, sizeof bytes);
        assert_int_equal(mm_command_body_put((uint8_t)kind, &body, &writer), MM_ERR_NOT_FOUND);
        assert_int_equal(mm_command_body_read((uint8_t)kind, bytes, 0, &body), MM_ERR_NOT_FOUND);
    }
    mm_writer_t writer = mm_writer(bytes, sizeof bytes);
    expect_assert_failure(mm_command_body_put(MM_COMMAND_LIMITS, NULL, &writer));
}

static void assert_range(uint8_t kind, const mm_command_body_t *body, bool good) {
    uint8_t bytes[MM_COMMAND_BODY_BYTES_MAX];
    mm_writer_t writer = mm_writer(bytes, sizeof bytes);
    assert_int_equal(mm_command_body_put(kind, body, &writer), good ? MM_OK : MM_ERR_ARG);
    if (good) {
        assert_int_equal(read_is_sound(kind, bytes, writer.used_bytes), MM_OK);
    } else {
        assert_int_equal(writer.used_bytes, 0);
    }
}

static void test_command_body_number_ranges(void **state) {
    (void)state;
    mm_command_body_t body = {.update = {0}};
    assert_range(MM_COMMAND_UPDATE, &body, false); // changes nothing
    const struct {
        uint32_t constant;
        bool good;
    } constants[] = {{99, false}, {100, true}, {10000, true}, {10001, false}, {0, false}};
    for (size_t index = 0; index < sizeof constants / sizeof constants[0]; index++) {
        body.update = (mm_update_body_t){.has_pulse_constant = true, .pulse_constant = constants[index].constant};
        assert_range(MM_COMMAND_UPDATE, &body, constants[index].good);
    }
    for (unsigned beyond = 0; beyond < 2; beyond++) {
        body.update = (mm_update_body_t){.has_start_wh = true, .start_wh = (uint64_t)INT64_MAX + beyond};
        assert_range(MM_COMMAND_UPDATE, &body, beyond == 0);
        body.update = (mm_update_body_t){.has_life_pulses = true, .life_pulses = (uint64_t)INT64_MAX + beyond};
        assert_range(MM_COMMAND_UPDATE, &body, beyond == 0);
        body = (mm_command_body_t){.limits = {.warning_wh = 1000000000 + beyond}};
        assert_range(MM_COMMAND_LIMITS, &body, beyond == 0);
        body = (mm_command_body_t){.limits = {.emergency_wh = 1000000000 + beyond}};
        assert_range(MM_COMMAND_LIMITS, &body, beyond == 0);
        body = (mm_command_body_t){.limits = {.quiet_hours = 0xFFFFFF + beyond}};
        assert_range(MM_COMMAND_LIMITS, &body, beyond == 0);
        body = (mm_command_body_t){.limits = {.quiet_days = (uint8_t)(0x7F + beyond)}};
        assert_range(MM_COMMAND_LIMITS, &body, beyond == 0);
        body = (mm_command_body_t){.seconds = {(uint16_t)(3600 + beyond)}};
        assert_range(MM_COMMAND_FIND, &body, beyond == 0);
        body = (mm_command_body_t){.seconds = {(uint16_t)(1 - beyond)}};
        assert_range(MM_COMMAND_DISPLAY_ON, &body, beyond == 0);
        body = (mm_command_body_t){.slot_plan = {249 + beyond, 250}};
        assert_range(MM_COMMAND_SLOT_PLAN, &body, beyond == 0);
        body = (mm_command_body_t){.slot_plan = {0, 43200 + beyond}};
        assert_range(MM_COMMAND_SLOT_PLAN, &body, beyond == 0);
        body = (mm_command_body_t){.slot_plan = {0, 1 - beyond}};
        assert_range(MM_COMMAND_SLOT_PLAN, &body, beyond == 0);
    }
    const uint8_t mode[] = {2};
    assert_int_equal(mm_command_body_read(MM_COMMAND_MODE, mode, 1, &body), MM_ERR_CORRUPT);
    const uint8_t mask[] = {0x12, 100, 0, 0, 0};
    assert_int_equal(mm_command_body_read(MM_COMMAND_UPDATE, mask, 5, &body), MM_ERR_CORRUPT);
    const uint8_t id[] = {0x01, 13, 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a'};
    assert_int_equal(mm_command_body_read(MM_COMMAND_UPDATE, id, sizeof id, &body), MM_ERR_CORRUPT);
}

static void test_command_body_credit_ranges(void **state) {
    (void)state;
    const struct {
        uint8_t kind;
        mm_credit_body_t credit;
        bool good;
    } cases[] = {
        {MM_COMMAND_CREDIT, {1, 2, 1}, true},
        {MM_COMMAND_CREDIT, {1, 2, 1000000000000}, true},
        {MM_COMMAND_CREDIT, {1, 2, 1000000000001}, false},
        {MM_COMMAND_CREDIT, {1, 2, 0}, false},
        {MM_COMMAND_CREDIT, {1, 2, -1}, false},
        {MM_COMMAND_CREDIT, {1, 2, INT64_MIN}, false},
        {MM_COMMAND_CREDIT, {1, 2, INT64_MAX}, false},
        {MM_COMMAND_CREDIT, {0, 2, 1}, false},
        {MM_COMMAND_CREDIT, {UINT64_C(1) << 63, 2, 1}, false},
        {MM_COMMAND_CREDIT, {1, 0, 1}, false},
        {MM_COMMAND_CREDIT, {1, 3, 1}, false},
        {MM_COMMAND_ADJUST, {1, 2, -1}, true},
        {MM_COMMAND_ADJUST, {1, 2, -1000000000000}, true},
        {MM_COMMAND_ADJUST, {1, 2, -1000000000001}, false},
        {MM_COMMAND_ADJUST, {1, 2, 0}, false},
        {MM_COMMAND_ADJUST, {1, 2, INT64_MIN}, false},
        {MM_COMMAND_VOID, {1, 2, 0}, true},
        {MM_COMMAND_VOID, {1, 2, 1}, false},
        {MM_COMMAND_VOID, {1, 1, 0}, false},
    };
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        mm_command_body_t body = {.credit = cases[index].credit};
        assert_range(cases[index].kind, &body, cases[index].good);
        // The same bytes from someone who does not ask: two's complement, whatever the value.
        uint8_t bytes[20];
        mm_writer_t writer = mm_writer(bytes, sizeof bytes);
        mm_put_u64(&writer, cases[index].credit.purchase_id);
        mm_put_u32(&writer, cases[index].credit.count);
        mm_put_u64(&writer, (uint64_t)cases[index].credit.amount_wh);
        if (cases[index].kind != MM_COMMAND_VOID) {
            mm_command_body_t read;
            assert_int_equal(mm_command_body_read(cases[index].kind, bytes, sizeof bytes, &read),
                             cases[index].good ? MM_OK : MM_ERR_ARG);
            assert_true(read.credit.amount_wh == cases[index].credit.amount_wh);
        }
    }
}

static void assert_text(uint8_t kind, const char *text, mm_err_t expected) {
    mm_err_t err = read_is_sound(kind, (const uint8_t *)text, strlen(text));
    if (err != expected) {
        fail_msg("%s: \"%s\": %s", mm_command_kind_name(kind), text, mm_err_name(err));
    }
}

static void test_command_body_texts(void **state) {
    (void)state;
    assert_text(MM_COMMAND_NETWORK, "12345678901234567890123456789012\n", MM_OK);
    assert_text(MM_COMMAND_NETWORK, "123456789012345678901234567890123\n", MM_ERR_ARG);
    assert_text(MM_COMMAND_NETWORK, "a\n123456789012345678901234567890123456789012345678901234567890123", MM_OK);
    assert_text(MM_COMMAND_NETWORK, "a\n1234567890123456789012345678901234567890123456789012345678901234", MM_ERR_ARG);
    assert_text(MM_COMMAND_NETWORK, "\nsecret", MM_ERR_ARG);
    assert_text(MM_COMMAND_NETWORK, "a", MM_ERR_CORRUPT);
    assert_text(MM_COMMAND_NETWORK, "", MM_ERR_CORRUPT);
    assert_text(MM_COMMAND_NETWORK, "a\nb\nc", MM_ERR_CORRUPT);
    assert_text(MM_COMMAND_NETWORK, "a\tb\nc", MM_ERR_ARG);
    assert_text(MM_COMMAND_NETWORK, "a\nc\x7F", MM_ERR_ARG);
    assert_text(MM_COMMAND_BROKER, "mqtt://b\n\n", MM_OK);
    assert_text(MM_COMMAND_BROKER, "\nu\np", MM_ERR_ARG);
    assert_text(MM_COMMAND_BROKER, "mqtt://a b\n\n", MM_ERR_ARG);
    assert_text(MM_COMMAND_BROKER, "mqtt://b\nu\x7F\n", MM_ERR_ARG);
    assert_text(MM_COMMAND_BROKER, "mqtt://b\n\np\t", MM_ERR_ARG);
    assert_text(MM_COMMAND_BROKER, "mqtt://b\nu", MM_ERR_CORRUPT);
    assert_text(MM_COMMAND_BROKER, "mqtt://b\nu\np\n", MM_ERR_CORRUPT);
    assert_text(MM_COMMAND_OTA_URL, "", MM_ERR_ARG);
    assert_text(MM_COMMAND_OTA_URL, "https://a b", MM_ERR_ARG);
    assert_text(MM_COMMAND_OTA_URL, "https://a\nb", MM_ERR_CORRUPT);
    // A terminator inside would hide what is behind it.
    assert_int_equal(read_is_sound(MM_COMMAND_OTA_URL, (const uint8_t *)"a\0b", 3), MM_ERR_ARG);
    assert_int_equal(read_is_sound(MM_COMMAND_NETWORK, (const uint8_t *)"a\0\nb", 4), MM_ERR_ARG);

    // Lengths of which each is possible, but not together: 100 + 1 + 49 + 1 + 49 = 200.
    mm_command_body_t body = {0};
    memset(body.broker.url, 'u', 100);
    memset(body.broker.user, 'n', 49);
    memset(body.broker.password, 'p', 49);
    assert_range(MM_COMMAND_BROKER, &body, true);
    body.broker.password[49] = 'p';
    assert_range(MM_COMMAND_BROKER, &body, false);
    body = (mm_command_body_t){0};
    memset(body.ota_url.url, 'u', 200);
    assert_range(MM_COMMAND_OTA_URL, &body, true);
    body.ota_url.url[200] = 'u'; // no terminator
    assert_range(MM_COMMAND_OTA_URL, &body, false);
    body = (mm_command_body_t){.update = {.has_id = true, .id = "\x1F"}};
    assert_range(MM_COMMAND_UPDATE, &body, false);
    memset(body.update.id, 'i', sizeof body.update.id); // no terminator
    assert_range(MM_COMMAND_UPDATE, &body, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command_body_golden_vectors), cmocka_unit_test(test_command_body_damage),
        cmocka_unit_test(test_command_body_empty_kinds),    cmocka_unit_test(test_command_body_unknown_kinds),
        cmocka_unit_test(test_command_body_number_ranges),  cmocka_unit_test(test_command_body_credit_ranges),
        cmocka_unit_test(test_command_body_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
