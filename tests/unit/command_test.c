// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/command.h"

#include "test_crypto.h"
#include "wire_vectors.h"

#define BATCH_BYTES_MIN 38

// The values of tools/make-wire-vectors.
static const mm_mac_t s_node = {{0x24, 0x0A, 0xC4, 0x01, 0x02, 0x03}};
static const mm_mac_t s_other_node = {{0x24, 0x0A, 0xC4, 0x01, 0x02, 0x04}};
static const mm_mac_t s_root = {{0x24, 0x0A, 0xC4, 0xFF, 0x00, 0x01}};
static const mm_time_t s_time = {{1750000000123456}, MM_TRUST_SYNCED};

static const uint8_t s_credit_body[] = {99, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0, 0, 0x88, 0x13, 0, 0, 0, 0, 0, 0};
static const mm_command_t s_lock = {.node = {{0x24, 0x0A, 0xC4, 0x01, 0x02, 0x03}},
                                    .era = 0xA1B2C3D4,
                                    .counter = 7,
                                    .id = 4711,
                                    .kind = MM_COMMAND_LOCK,
                                    .channel = 3};
static const mm_command_t s_credit = {.node = {{0x24, 0x0A, 0xC4, 0x01, 0x02, 0x03}},
                                      .era = 0xA1B2C3D4,
                                      .counter = 8,
                                      .id = 4713,
                                      .not_after_s = 1750003600,
                                      .kind = MM_COMMAND_CREDIT,
                                      .channel = 2,
                                      .body_bytes = sizeof s_credit_body,
                                      .body = s_credit_body};
static const mm_command_t s_other = {.node = {{0x24, 0x0A, 0xC4, 0x01, 0x02, 0x04}},
                                     .era = 1,
                                     .counter = 1,
                                     .id = 1,
                                     .not_after_s = (UINT64_C(1) << 40) - 1,
                                     .kind = MM_COMMAND_REBOOT,
                                     .channel = MM_COMMAND_WHOLE_NODE};

static mm_command_t largest(uint8_t body[MM_COMMAND_BODY_BYTES_MAX]) {
    memset(body, 'u', MM_COMMAND_BODY_BYTES_MAX);
    return (mm_command_t){.node = s_node,
                          .era = UINT32_MAX,
                          .counter = UINT32_MAX,
                          .id = INT64_MAX,
                          .not_after_s = (UINT64_C(1) << 40) - 1,
                          .kind = MM_COMMAND_OTA_URL,
                          .channel = MM_COMMAND_WHOLE_NODE,
                          .body_bytes = MM_COMMAND_BODY_BYTES_MAX,
                          .body = body};
}

static void assert_command_equal(const mm_command_t *left, const mm_command_t *right) {
    assert_true(mm_mac_equal(left->node, right->node));
    assert_true(left->era == right->era);
    assert_true(left->counter == right->counter);
    assert_true(left->id == right->id);
    assert_true(left->not_after_s == right->not_after_s);
    assert_int_equal(left->kind, right->kind);
    assert_int_equal(left->channel, right->channel);
    assert_int_equal(left->body_bytes, right->body_bytes);
    if (right->body_bytes > 0) {
        assert_memory_equal(left->body, right->body, right->body_bytes);
    }
}

static void assert_golden(const char *name, const mm_command_t *command, uint8_t key_first) {
    test_crypto_t device = test_crypto_key(key_first);
    mm_crypto_t crypto = test_crypto(&device);
    uint8_t bytes[MM_COMMAND_BYTES_MAX];
    size_t bytes_count = mm_command_seal(bytes, sizeof bytes, command, &crypto);
    assert_int_equal(bytes_count, MM_COMMAND_HEADER_BYTES + command->body_bytes + MM_COMMAND_TAG_BYTES);
    vector_assert_equal(name, bytes, bytes_count);
    mm_command_t read;
    assert_int_equal(mm_command_read(bytes, bytes_count, &read), MM_OK);
    assert_command_equal(&read, command);
    assert_int_equal(mm_command_verify(bytes, bytes_count, &crypto), MM_OK);
    // Each size that is too small, and none of them is written.
    for (size_t capacity_bytes = 0; capacity_bytes < bytes_count; capacity_bytes++) {
        assert_int_equal(mm_command_seal(bytes, capacity_bytes, command, &crypto), 0);
    }
}

static void test_command_golden_vectors(void **state) {
    (void)state;
    uint8_t body[MM_COMMAND_BODY_BYTES_MAX];
    mm_command_t large = largest(body);
    assert_golden("command_sealed_lock", &s_lock, 0);
    assert_golden("command_sealed_credit", &s_credit, 0);
    assert_golden("command_sealed_other", &s_other, 32);
    assert_golden("command_sealed_largest", &large, 0);
}

static void assert_seal_refuses(const mm_command_t *command) {
    test_crypto_t device = test_crypto_key(0);
    mm_crypto_t crypto = test_crypto(&device);
    uint8_t bytes[MM_COMMAND_BYTES_MAX];
    expect_assert_failure(mm_command_seal(bytes, sizeof bytes, command, &crypto));
}

static void test_command_seal_asserts(void **state) {
    (void)state;
    for (unsigned fault = 0; fault < 8; fault++) {
        mm_command_t command = s_credit;
        command.era = fault == 0 ? 0 : command.era;
        command.id = fault == 1 ? 0 : fault == 2 ? UINT64_C(1) << 63 : command.id;
        command.kind = fault == 3 ? 0 : command.kind;
        command.channel = (uint8_t)(fault == 4 ? MM_CHANNELS : fault == 5 ? 254 : command.channel);
        command.body_bytes = fault == 6 ? MM_COMMAND_BODY_BYTES_MAX + 1 : command.body_bytes;
        command.not_after_s = fault == 7 ? UINT64_C(1) << 40 : command.not_after_s;
        assert_seal_refuses(&command);
    }
}

static void test_command_without_key(void **state) {
    (void)state;
    static vector_t vector;
    vector_load("command_sealed_lock", &vector);
    test_crypto_t device = {.has_key = false};
    mm_crypto_t crypto = test_crypto(&device);
    uint8_t bytes[MM_COMMAND_BYTES_MAX];
    assert_int_equal(mm_command_seal(bytes, sizeof bytes, &s_lock, &crypto), 0);
    assert_int_equal(mm_command_seal(bytes, sizeof bytes, &s_lock, NULL), 0);
    assert_int_equal(mm_command_verify(vector.bytes, vector.bytes_count, &crypto), MM_ERR_UNAVAILABLE);
    assert_int_equal(mm_command_verify(vector.bytes, vector.bytes_count, NULL), MM_ERR_UNAVAILABLE);
}

static void test_command_verify_refuses(void **state) {
    (void)state;
    static vector_t vector;
    vector_load("command_sealed_credit", &vector);
    test_crypto_t device = test_crypto_key(0);
    mm_crypto_t crypto = test_crypto(&device);
    for (size_t bit = 0; bit < vector.bytes_count * 8; bit++) {
        vector.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_equal(mm_command_verify(vector.bytes, vector.bytes_count, &crypto), MM_ERR_CORRUPT);
        vector.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    assert_int_equal(mm_command_verify(vector.bytes, vector.bytes_count, &crypto), MM_OK);
    for (size_t cut_bytes = 0; cut_bytes < vector.bytes_count; cut_bytes++) {
        uint8_t *copy = vector_copy(vector.bytes, cut_bytes);
        assert_int_equal(mm_command_verify(copy, cut_bytes, &crypto), MM_ERR_CORRUPT);
        free(copy);
    }
    vector.bytes[vector.bytes_count] = 0;
    assert_int_equal(mm_command_verify(vector.bytes, vector.bytes_count + 1, &crypto), MM_ERR_CORRUPT);

    // Sizes that no command has are not even computed.
    unsigned call_count = device.call_count;
    uint8_t large[MM_COMMAND_BYTES_MAX + 1] = {0};
    assert_int_equal(mm_command_verify(large, MM_COMMAND_HEADER_BYTES + MM_COMMAND_TAG_BYTES - 1, &crypto),
                     MM_ERR_CORRUPT);
    assert_int_equal(mm_command_verify(large, sizeof large, &crypto), MM_ERR_CORRUPT);
    assert_int_equal(device.call_count, call_count);

    device = test_crypto_key(1);
    assert_int_equal(mm_command_verify(vector.bytes, vector.bytes_count, &crypto), MM_ERR_CORRUPT);
}

// Offsets of the fields (commands.md, 2.1).
static void test_command_read_refuses(void **state) {
    (void)state;
    static vector_t vector;
    vector_load("command_sealed_credit", &vector);
    mm_command_t command;
    for (size_t cut_bytes = 0; cut_bytes < vector.bytes_count; cut_bytes++) {
        uint8_t *copy = vector_copy(vector.bytes, cut_bytes);
        assert_int_equal(mm_command_read(copy, cut_bytes, &command), MM_ERR_CORRUPT);
        free(copy);
    }
    vector.bytes[vector.bytes_count] = 0;
    assert_int_equal(mm_command_read(vector.bytes, vector.bytes_count + 1, &command), MM_ERR_CORRUPT);

    const struct {
        size_t offset_bytes;
        size_t bytes_count;
        uint8_t value;
        const char *why;
    } refused[] = {
        {6, 4, 0, "era 0"},
        {14, 8, 0, "id 0"},
        {21, 1, 0x80, "id 2^63"},
        {27, 1, 0, "kind 0"},
        {28, 1, 8, "channel 8"},
        {28, 1, 254, "channel 254"},
        {29, 1, 19, "body too short"},
        {29, 1, 21, "body too long"},
    };
    for (size_t index = 0; index < sizeof refused / sizeof refused[0]; index++) {
        uint8_t *copy = vector_copy(vector.bytes, vector.bytes_count);
        memset(copy + refused[index].offset_bytes, refused[index].value, refused[index].bytes_count);
        if (mm_command_read(copy, vector.bytes_count, &command) != MM_ERR_CORRUPT) {
            fail_msg("%s", refused[index].why);
        }
        free(copy);
    }
    // A body of a length that no body has.
    uint8_t large[MM_COMMAND_BYTES_MAX + 1];
    memset(large, 1, sizeof large);
    large[29] = MM_COMMAND_BODY_BYTES_MAX;
    assert_int_equal(mm_command_read(large, sizeof large - 1, &command), MM_OK);
    large[29] = MM_COMMAND_BODY_BYTES_MAX + 1;
    assert_int_equal(mm_command_read(large, sizeof large, &command), MM_ERR_CORRUPT);
    // A kind of a later version is a command, which can be answered.
    vector.bytes[27] = 200;
    assert_int_equal(mm_command_read(vector.bytes, vector.bytes_count, &command), MM_OK);
    assert_int_equal(command.kind, 200);
}

// A batch of golden commands; their bytes live in vectors.
static mm_command_batch_t load_batch(uint64_t revision, size_t count, const char *const names[], vector_t *vectors) {
    mm_command_batch_t batch = {
        .database_id = UINT64_C(0x1122334455667788), .revision = revision, .time = s_time, .count = (uint8_t)count};
    for (size_t index = 0; index < count; index++) {
        vector_load(names[index], &vectors[index]);
        batch.commands[index].bytes = vectors[index].bytes;
        batch.commands[index].bytes_count = (uint16_t)vectors[index].bytes_count;
    }
    return batch;
}

static const char *const s_three[] = {"command_sealed_lock", "command_sealed_other", "command_sealed_credit"};

static void test_command_batch_golden_vectors(void **state) {
    (void)state;
    static vector_t vectors[3];
    static vector_t vector;
    uint8_t bytes[MM_DOWNLINK_BYTES_MAX];
    mm_command_batch_t batch = load_batch((UINT64_C(1) << 40) + 6, 3, s_three, vectors);
    size_t bytes_count = mm_command_batch_write(bytes, sizeof bytes, &batch);
    vector_assert_equal("command_batch_three", bytes, bytes_count);
    for (size_t capacity_bytes = 0; capacity_bytes < bytes_count; capacity_bytes++) {
        assert_int_equal(mm_command_batch_write(bytes, capacity_bytes, &batch), 0);
    }
    vector_load("command_batch_three", &vector);
    mm_command_batch_t read;
    assert_int_equal(mm_command_batch_read(vector.bytes, vector.bytes_count, &read), MM_OK);
    assert_true(read.database_id == batch.database_id);
    assert_true(read.revision == batch.revision);
    assert_true(read.time.utc.us == s_time.utc.us);
    assert_int_equal(read.time.trust, MM_TRUST_SYNCED);
    assert_int_equal(read.count, 3);
    assert_true(mm_mac_equal(read.commands[0].node, s_node));
    assert_true(mm_mac_equal(read.commands[1].node, s_other_node));
    for (size_t index = 0; index < 3; index++) {
        vector_assert_equal(s_three[index], read.commands[index].bytes, read.commands[index].bytes_count);
    }

    batch = load_batch(1, 0, NULL, NULL);
    vector_assert_equal("command_batch_empty", bytes, mm_command_batch_write(bytes, sizeof bytes, &batch));
    vector_load("command_batch_section", &vector); // a section of a later version is skipped
    assert_int_equal(mm_command_batch_read(vector.bytes, vector.bytes_count, &read), MM_OK);
    assert_int_equal(read.count, 1);
    vector_assert_equal("command_sealed_largest", read.commands[0].bytes, read.commands[0].bytes_count);
}

static bool decode_batch(const uint8_t *bytes, size_t bytes_count) {
    mm_command_batch_t batch;
    if (mm_command_batch_read(bytes, bytes_count, &batch) != MM_OK) {
        return false;
    }
    for (size_t index = 0; index < batch.count; index++) {
        assert_true(batch.commands[index].bytes >= bytes &&
                    batch.commands[index].bytes + batch.commands[index].bytes_count <= bytes + bytes_count);
    }
    return true;
}

static void test_command_batch_damage(void **state) {
    (void)state;
    static vector_t vector;
    const char *const names[] = {"command_batch_three", "command_batch_empty", "command_batch_section"};
    for (size_t index = 0; index < sizeof names / sizeof names[0]; index++) {
        vector_load(names[index], &vector);
        vector_assert_damage_refused(&vector, decode_batch);
        vector_try_sealed_damage(&vector, 4, BATCH_BYTES_MIN, decode_batch);
    }
}

static void test_command_batch_refuses(void **state) {
    (void)state;
    static vector_t vector;
    mm_command_batch_t batch;
    vector_load("command_batch_three", &vector);
    vector.bytes[2] = 2; // version
    vector_seal(vector.bytes, vector.bytes_count, 4);
    assert_int_equal(mm_command_batch_read(vector.bytes, vector.bytes_count, &batch), MM_ERR_VERSION);
    vector.bytes[2] = 1;
    vector.bytes[3] = 2; // type
    vector_seal(vector.bytes, vector.bytes_count, 4);
    assert_int_equal(mm_command_batch_read(vector.bytes, vector.bytes_count, &batch), MM_ERR_VERSION);
    vector.bytes[3] = 1;
    vector.bytes[33] = MM_COMMAND_BATCH_MAX + 1; // count
    vector_seal(vector.bytes, vector.bytes_count, 4);
    assert_int_equal(mm_command_batch_read(vector.bytes, vector.bytes_count, &batch), MM_ERR_CORRUPT);
    assert_int_equal(batch.count, 0);
    vector.bytes[33] = 3;
    vector.bytes[36 + 28] = 8; // channel of the first command: one that cannot be decoded spoils the message
    vector_seal(vector.bytes, vector.bytes_count, 4);
    assert_int_equal(mm_command_batch_read(vector.bytes, vector.bytes_count, &batch), MM_ERR_CORRUPT);
    vector.bytes[36 + 28] = 3;
    vector_seal(vector.bytes, vector.bytes_count, 4);
    assert_int_equal(mm_command_batch_read(vector.bytes, vector.bytes_count, &batch), MM_OK);
    // An acknowledgement is no batch, and the other way round.
    vector_load("ack_two", &vector);
    assert_int_equal(mm_command_batch_read(vector.bytes, vector.bytes_count, &batch), MM_ERR_CORRUPT);
}

static void test_command_batch_limits(void **state) {
    (void)state;
    static vector_t small;
    static vector_t large;
    vector_load("command_sealed_lock", &small);
    vector_load("command_sealed_largest", &large);
    static uint8_t bytes[2 * MM_DOWNLINK_BYTES_MAX];
    mm_command_batch_t batch = {.time = s_time, .count = MM_COMMAND_BATCH_MAX};
    for (size_t index = 0; index < MM_COMMAND_BATCH_MAX; index++) {
        batch.commands[index].bytes = small.bytes;
        batch.commands[index].bytes_count = (uint16_t)small.bytes_count;
    }
    size_t bytes_count = mm_command_batch_write(bytes, sizeof bytes, &batch);
    assert_int_equal(bytes_count, 38 + 40 * 48);
    mm_command_batch_t read;
    assert_int_equal(mm_command_batch_read(bytes, bytes_count, &read), MM_OK);
    assert_int_equal(read.count, MM_COMMAND_BATCH_MAX);
    // 38 + 8 * 248 = 2022 bytes; a ninth would make it larger than what a root accepts.
    for (size_t index = 0; index < 9; index++) {
        batch.commands[index].bytes = large.bytes;
        batch.commands[index].bytes_count = (uint16_t)large.bytes_count;
    }
    batch.count = 8;
    assert_int_equal(mm_command_batch_write(bytes, sizeof bytes, &batch), 2022);
    batch.count = 9;
    assert_int_equal(mm_command_batch_write(bytes, sizeof bytes, &batch), 0);
    batch.count = MM_COMMAND_BATCH_MAX + 1;
    expect_assert_failure(mm_command_batch_write(bytes, sizeof bytes, &batch));
    memset(bytes, 0, sizeof bytes);
    memcpy(bytes, "\xF7\x43\x01\x01", 4);
    vector_seal(bytes, MM_DOWNLINK_BYTES_MAX + 1, 4);
    assert_int_equal(mm_command_batch_read(bytes, MM_DOWNLINK_BYTES_MAX + 1, &read), MM_ERR_CORRUPT);
}

static const mm_ask_t s_ask = {.round_id = 0xDEADBEEF,
                               .time = {{1750000000123456}, MM_TRUST_SYNCED},
                               .with_snapshot = true,
                               .has_watermark = true,
                               .watermark = {1, 70096},
                               .after = {1, 70098},
                               .report_bytes_max = 1472};

static mm_command_batch_t load_read_batch(vector_t *vector) {
    vector_load("command_batch_three", vector);
    mm_command_batch_t batch;
    assert_int_equal(mm_command_batch_read(vector->bytes, vector->bytes_count, &batch), MM_OK);
    return batch;
}

static void test_ask_commands_golden_vectors(void **state) {
    (void)state;
    static vector_t vector;
    uint8_t bytes[MM_MESH_FRAME_BYTES_MAX];
    mm_command_batch_t batch = load_read_batch(&vector);
    vector_assert_equal("frame_ask_commands", bytes,
                        mm_frame_write_ask_with_commands(bytes, sizeof bytes, s_root, &s_ask, &batch, s_node));
    // Nothing for this node, or nothing at all: the ask as it always was.
    vector_assert_equal("frame_ask_watermark", bytes,
                        mm_frame_write_ask_with_commands(bytes, sizeof bytes, s_root, &s_ask, &batch, s_root));
    vector_assert_equal("frame_ask_watermark", bytes,
                        mm_frame_write_ask_with_commands(bytes, sizeof bytes, s_root, &s_ask, NULL, s_node));
}

static size_t count_commands(const uint8_t *bytes, size_t bytes_count) {
    mm_frame_t frame;
    mm_ask_t ask;
    assert_int_equal(mm_frame_open(bytes, bytes_count, &frame), MM_OK);
    assert_int_equal(mm_frame_read_ask(&frame, &ask), MM_OK);
    mm_ask_commands_t commands;
    const uint8_t *command;
    size_t command_bytes;
    size_t count = 0;
    mm_ask_commands_begin(&frame, &commands);
    while (mm_ask_commands_next(&commands, &command, &command_bytes)) {
        assert_true(count < 2);
        vector_assert_equal(count == 0 ? "command_sealed_lock" : "command_sealed_credit", command, command_bytes);
        count++;
    }
    assert_false(mm_ask_commands_next(&commands, &command, &command_bytes));
    return count;
}

static void test_ask_commands_as_many_as_fit(void **state) {
    (void)state;
    static vector_t vector;
    mm_command_batch_t batch = load_read_batch(&vector);
    // 48 the ask, 3 + 2 + 46 the first, 2 + 66 the second.
    for (size_t capacity_bytes = 0; capacity_bytes <= 48 + 51 + 68; capacity_bytes++) {
        uint8_t *bytes = malloc(capacity_bytes > 0 ? capacity_bytes : 1);
        assert_non_null(bytes);
        size_t bytes_count = mm_frame_write_ask_with_commands(bytes, capacity_bytes, s_root, &s_ask, &batch, s_node);
        size_t expected_bytes = capacity_bytes < 48 ? 0 : capacity_bytes < 99 ? 48 : capacity_bytes < 167 ? 99 : 167;
        assert_int_equal(bytes_count, expected_bytes);
        if (bytes_count > 0) {
            assert_int_equal(count_commands(bytes, bytes_count), expected_bytes == 48   ? 0
                                                                 : expected_bytes == 99 ? 1
                                                                                        : 2);
        }
        free(bytes);
    }
    // A small one does not overtake a large one of the same node.
    static vector_t large;
    vector_load("command_sealed_largest", &large);
    batch.commands[0].bytes = large.bytes;
    batch.commands[0].bytes_count = (uint16_t)large.bytes_count;
    uint8_t bytes[200];
    assert_int_equal(mm_frame_write_ask_with_commands(bytes, sizeof bytes, s_root, &s_ask, &batch, s_node), 48);
}

static bool decode_ask(const uint8_t *bytes, size_t bytes_count) {
    mm_frame_t frame;
    mm_ask_t ask;
    if (mm_frame_open(bytes, bytes_count, &frame) != MM_OK || frame.type != MM_FRAME_ASK ||
        mm_frame_read_ask(&frame, &ask) != MM_OK) {
        return false;
    }
    mm_ask_commands_t commands;
    mm_ask_commands_begin(&frame, &commands);
    const uint8_t *command;
    size_t command_bytes;
    while (mm_ask_commands_next(&commands, &command, &command_bytes)) {
        assert_true(command_bytes > 0 && command >= bytes && command + command_bytes <= bytes + bytes_count);
    }
    return true;
}

static void test_ask_commands_damage(void **state) {
    (void)state;
    static vector_t vector;
    vector_load("frame_ask_commands", &vector);
    assert_true(decode_ask(vector.bytes, vector.bytes_count));
    vector_assert_damage_refused(&vector, decode_ask);
    vector_try_sealed_damage(&vector, 2, 16, decode_ask);
}

// Sections behind the ask's 44 bytes without checksum; each sealed as a sender would.
static void test_ask_commands_sections(void **state) {
    (void)state;
    const struct {
        uint8_t bytes[16];
        size_t bytes_count;
        bool good;
        const char *why;
    } cases[] = {
        {{3, 3, 0, 1, 0, 9}, 6, true, "one command of one byte"},
        {{3, 6, 0, 1, 0, 9, 1, 0, 8}, 9, true, "two"},
        {{77, 1, 0, 5, 3, 3, 0, 1, 0, 9}, 10, true, "behind a later section"},
        {{3, 0, 0}, 3, false, "a section without commands"},
        {{3, 2, 0, 0, 0}, 5, false, "a command without bytes"},
        {{3, 1, 0, 1}, 4, false, "half a length"},
        {{3, 3, 0, 2, 0, 9}, 6, false, "a command beyond its section"},
        {{3, 4, 0, 1, 0, 9, 0}, 7, false, "a byte left over"},
        {{3, 3, 0, 1, 0, 9, 3, 3, 0, 1, 0, 9}, 12, false, "two sections"},
        {{6, 4, 0, 1, 0, 0, 0}, 7, true, "the network's revision"},
        {{6, 4, 0, 0, 0, 0, 0}, 7, false, "a revision of nothing"},
        {{6, 3, 0, 1, 0, 0}, 6, false, "half a revision"},
        {{6, 5, 0, 1, 0, 0, 0, 0}, 8, false, "a byte behind the revision"},
    };
    static vector_t vector;
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        vector_load("frame_ask_watermark", &vector);
        size_t bytes_count = vector.bytes_count + cases[index].bytes_count;
        memcpy(vector.bytes + vector.bytes_count - 4, cases[index].bytes, cases[index].bytes_count);
        vector_seal(vector.bytes, bytes_count, 2);
        if (decode_ask(vector.bytes, bytes_count) != cases[index].good) {
            fail_msg("%s", cases[index].why);
        }
    }
}

static void test_command_names(void **state) {
    (void)state;
    static const char *const names[] = {
        "none",       "lock",   "unlock", "update",   "erase",      "format",    "network", "broker",    "slot_plan",
        "display_on", "find",   "reboot", "send_now", "read_meter", "read_log",  "ota_url", "ota_start", "credit",
        "void",       "limits", "mode",   "adjust",   "confirm",    "reinstall", "admit",
    };
    assert_int_equal(sizeof names / sizeof names[0], MM_COMMAND_KIND_COUNT);
    for (uint8_t kind = 0; kind < MM_COMMAND_KIND_COUNT; kind++) {
        assert_string_equal(mm_command_kind_name(kind), names[kind]);
    }
    assert_string_equal(mm_command_kind_name(MM_COMMAND_KIND_COUNT), "unknown");
    const uint8_t meter_kinds[] = {1, 2, 3, 4, 13, 17, 18, 19, 20, 21};
    size_t index = 0;
    for (unsigned kind = 0; kind <= UINT8_MAX; kind++) {
        bool expected = index < sizeof meter_kinds && meter_kinds[index] == kind;
        assert_int_equal(mm_command_is_for_meter((uint8_t)kind), expected);
        index += expected ? 1 : 0;
    }
    assert_int_equal(index, sizeof meter_kinds);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command_golden_vectors),      cmocka_unit_test(test_command_seal_asserts),
        cmocka_unit_test(test_command_without_key),         cmocka_unit_test(test_command_verify_refuses),
        cmocka_unit_test(test_command_read_refuses),        cmocka_unit_test(test_command_batch_golden_vectors),
        cmocka_unit_test(test_command_batch_damage),        cmocka_unit_test(test_command_batch_refuses),
        cmocka_unit_test(test_command_batch_limits),        cmocka_unit_test(test_ask_commands_golden_vectors),
        cmocka_unit_test(test_ask_commands_as_many_as_fit), cmocka_unit_test(test_ask_commands_damage),
        cmocka_unit_test(test_ask_commands_sections),       cmocka_unit_test(test_command_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
