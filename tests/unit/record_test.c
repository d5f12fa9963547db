// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/record.h"

#include "wire_vectors.h"

#define ALL_CHANNELS(value)                                                                                            \
    { value, value, value, value, value, value, value, value }

// The values of tools/make-wire-vectors.
static const uint64_t s_value_max = INT64_MAX;
static const uint64_t s_seconds_max = (UINT64_C(1) << 40) - 1;

static mm_record_t month_closing(uint8_t channel, uint16_t year_month, uint32_t constant, uint64_t life,
                                 mm_label_t closed) {
    return (mm_record_t){.type = MM_RECORD_MONTH_CLOSING,
                         .month_closing = {.channel = channel,
                                           .year_month = year_month,
                                           .pulse_constant = constant,
                                           .life_pulses = life,
                                           .closed = closed}};
}

static mm_record_t example_of_result(size_t index) {
    mm_record_t record = {.type = MM_RECORD_RESULT,
                          .result = {.era = 0xA1B2C3D4,
                                     .counter = 7,
                                     .command_id = 4711,
                                     .kind = 1,
                                     .channel = 3,
                                     .at = {1750000500, MM_TRUST_SYNCED}}};
    if (index == 14) {
        record.result = (mm_result_record_t){.era = 0xA1B2C3D4,
                                             .counter = 300,
                                             .command_id = 4712,
                                             .kind = 5,
                                             .channel = 255,
                                             .at = {1750000501, MM_TRUST_HELD},
                                             .detail_bytes = 4,
                                             .detail = {0x40, 0xE2, 0x01, 0x00}}; // 123456
    } else if (index == 15) {
        record.result = (mm_result_record_t){.era = UINT32_MAX,
                                             .counter = UINT32_MAX,
                                             .command_id = s_value_max,
                                             .kind = 255,
                                             .channel = 255,
                                             .status = 255,
                                             .at = {s_seconds_max, MM_TRUST_SYNCED},
                                             .detail_bytes = MM_RESULT_DETAIL_BYTES_MAX};
        for (size_t byte = 0; byte < MM_RESULT_DETAIL_BYTES_MAX; byte++) {
            record.result.detail[byte] = (uint8_t)byte;
        }
    }
    return record;
}

static mm_record_t example_of_credit(size_t index) {
    mm_record_t record = {.type = MM_RECORD_CREDIT,
                          .credit = {.channel = 2,
                                     .movement = MM_MOVEMENT_NETWORK,
                                     .era = 0xA1B2C3D4,
                                     .counter = 8,
                                     .command_id = 4713,
                                     .purchase_id = 99,
                                     .count = 12,
                                     .amount_wh = 5000,
                                     .balance_wh = 4321,
                                     .applied_wh = 20000,
                                     .life_pulses = 1234567,
                                     .at = {1750000600, MM_TRUST_SYNCED}}};
    if (index == 17) {
        record.credit = (mm_credit_record_t){.movement = MM_MOVEMENT_TOKEN_SET,
                                             .era = 1,
                                             .count = 13,
                                             .amount_wh = -1,
                                             .balance_wh = -64,
                                             .applied_wh = -65,
                                             .at = {77, MM_TRUST_UNSET}};
    } else if (index == 18) {
        record.credit = (mm_credit_record_t){.channel = 7,
                                             .movement = 255,
                                             .era = UINT32_MAX,
                                             .counter = UINT32_MAX,
                                             .command_id = s_value_max,
                                             .purchase_id = s_value_max,
                                             .count = UINT32_MAX,
                                             .amount_wh = INT64_MIN,
                                             .balance_wh = INT64_MIN,
                                             .applied_wh = INT64_MAX,
                                             .life_pulses = s_value_max,
                                             .at = {s_seconds_max, MM_TRUST_HELD}};
    }
    return record;
}

static mm_record_t example_of_installation(size_t index) {
    mm_record_t record = {.type = MM_RECORD_INSTALLATION};
    mm_installation_record_t *installation = &record.installation;
    *installation = (mm_installation_record_t){.revision = 1, .at = {5, MM_TRUST_UNSET}};
    if (index == 19) {
        *installation = (mm_installation_record_t){3,
                                                   true,
                                                   4711,
                                                   17,
                                                   3,
                                                   500,
                                                   170150,
                                                   "Mar\xC3\xAD"
                                                   "a",
                                                   {1750000800, MM_TRUST_SYNCED},
                                                   {{"MT-0001", 800, 1234567, true}}};
        strcpy(installation->channels[3].id, "MT-0002");
        installation->channels[3].pulse_constant = 10000;
    } else if (index == 21) {
        *installation = (mm_installation_record_t){UINT32_MAX,
                                                   true,
                                                   UINT32_MAX,
                                                   UINT16_MAX,
                                                   UINT16_MAX,
                                                   UINT16_MAX,
                                                   UINT32_MAX,
                                                   "iiiiiiiiiiiiiiiiiiiiiiii",
                                                   {s_seconds_max, MM_TRUST_HELD},
                                                   {{"", 0, 0, false}}};
        for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
            strcpy(installation->channels[channel].id, "MT0000000000");
            installation->channels[channel].id[11] = (char)('0' + channel);
            installation->channels[channel].pulse_constant = UINT16_MAX;
            installation->channels[channel].start_wh = 3000000000;
            installation->channels[channel].prepaid = true;
        }
    }
    return record;
}

static mm_record_t example_of_join(size_t index) {
    mm_record_t record = {.type = MM_RECORD_JOIN};
    mm_join_record_t *join = &record.join;
    if (index == 23) {
        memset(join, 0xFF, sizeof *join);
        join->at = (mm_label_t){s_seconds_max, MM_TRUST_HELD};
        return record;
    }
    *join = (mm_join_record_t){.asker = {{0x24, 0x0A, 0xC4, 0x01, 0x02, 0x03}},
                               .via = {{0x24, 0x0A, 0xC4, 0x01, 0x02, 0x04}},
                               .revision = 7,
                               .at = {1750000900, MM_TRUST_SYNCED}};
    for (uint8_t i = 0; i < 16; i++) {
        join->nonce[i] = (uint8_t)(0x40 + i);
        join->tag[i] = (uint8_t)(0x60 + i);
    }
    return record;
}

static mm_record_t example_of_control(size_t index) {
    if (index == 12) {
        return (mm_record_t){
            .type = MM_RECORD_EVENT,
            .event = {MM_EVENT_SUPPLY_CUT, {1750000700, MM_TRUST_SYNCED}, 7, {3, 2, 1234999, UINT64_MAX}}};
    }
    if (index <= 15) {
        return example_of_result(index);
    }
    if (index <= 18) {
        return example_of_credit(index);
    }
    if (index <= 21) {
        return example_of_installation(index);
    }
    return index <= 23 ? example_of_join(index) : (mm_record_t){.type = MM_RECORD_NONE};
}

// The record of a golden vector, or type NONE behind the last one.
static mm_record_t example(size_t index, const char **name) {
    static const char *const names[] = {
        "record_interval_plain",      "record_interval_s0",         "record_interval_odd",
        "record_interval_uptime",     "record_interval_thinned",    "record_interval_empty",
        "record_month_closing_plain", "record_month_closing_limit", "record_event_plain",
        "record_event_limit",         "record_gap_plain",           "record_gap_limit",
        "record_event_supply_cut",    "record_result_plain",        "record_result_format",
        "record_result_limit",        "record_credit_plain",        "record_credit_token",
        "record_credit_limit",        "record_installation_plain",  "record_installation_empty",
        "record_installation_limit",  "record_join_plain",          "record_join_limit",
    };
    *name = index < sizeof names / sizeof names[0] ? names[index] : NULL;
    mm_record_t record = {.type = MM_RECORD_INTERVAL};
    switch (index) {
    case 0:
        record.interval = (mm_interval_record_t){.interval_no = 70000,
                                                 .end = {1750000500, MM_TRUST_SYNCED},
                                                 .duration_s = 900,
                                                 .pulses = {0, 1, 127, 128, 255, 256, 511, 300}};
        return record;
    case 1:
        record.interval = (mm_interval_record_t){.interval_no = 2097151,
                                                 .end = {1577836800 + UINT64_C(900) * 2097151, MM_TRUST_HELD},
                                                 .duration_s = 900,
                                                 .pulses = ALL_CHANNELS(16383)};
        return record;
    case 2:
        record.interval = (mm_interval_record_t){
            .interval_no = 1, .end = {1234, MM_TRUST_UNSET}, .duration_s = 334, .restarted = true};
        return record;
    case 3:
        record.interval =
            (mm_interval_record_t){.interval_no = 2, .end = {1800, MM_TRUST_UNSET}, .duration_s = 900, .pulses = {1}};
        return record;
    case 4:
        record.interval = (mm_interval_record_t){.interval_no = UINT32_MAX,
                                                 .end = {s_seconds_max, MM_TRUST_SYNCED},
                                                 .duration_s = 86400,
                                                 .restarted = true,
                                                 .thinned = true,
                                                 .thinned_first_seq = 4000,
                                                 .thinned_last_seq = 4095,
                                                 .pulses = ALL_CHANNELS(UINT32_MAX)};
        return record;
    case 5:
        record.interval =
            (mm_interval_record_t){.interval_no = 300, .end = {1577836800 - 900, MM_TRUST_SYNCED}, .duration_s = 0};
        return record;
    case 6:
        record = month_closing(0, 2025 * 12 + 4, 1000, 12345678, (mm_label_t){1748736000, MM_TRUST_SYNCED});
        for (uint32_t hour = 0; hour < MM_HOURS_OF_DAY; hour++) {
            record.month_closing.hours_pulses[hour] = 1000 + 37 * hour;
        }
        record.month_closing.month_pulses = 24 * 1000 + 37 * 276; // 0 + 1 + … + 23 = 276
        return record;
    case 7:
        record = month_closing(7, 65535, 65535, s_value_max, (mm_label_t){s_seconds_max, MM_TRUST_HELD});
        memset(record.month_closing.hours_pulses, 0xFF, sizeof record.month_closing.hours_pulses);
        record.month_closing.month_pulses = UINT32_MAX;
        return record;
    case 8:
        return (mm_record_t){.type = MM_RECORD_EVENT,
                             .event = {MM_EVENT_TIME_SYNCED, {42, MM_TRUST_UNSET}, 7, {7, 42, 1750000000, 5}}};
    case 9:
        return (mm_record_t){
            .type = MM_RECORD_EVENT,
            .event = {
                65535, {s_seconds_max, MM_TRUST_SYNCED}, UINT32_MAX, {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}}};
    case 10:
        return (mm_record_t){.type = MM_RECORD_GAP, .gap = {1, 500, 502, MM_GAP_DAMAGED}};
    case 11:
        return (mm_record_t){.type = MM_RECORD_GAP, .gap = {UINT32_MAX, 1, UINT32_MAX, 255}};
    default:
        return example_of_control(index);
    }
}

static void assert_label_equal(mm_label_t left, mm_label_t right) {
    assert_true(left.seconds == right.seconds);
    assert_int_equal(left.trust, right.trust);
}

static void assert_installation_equal(const mm_installation_record_t *left, const mm_installation_record_t *right) {
    assert_true(left->revision == right->revision);
    assert_int_equal(left->repeated, right->repeated);
    assert_true(left->node_no == right->node_no);
    assert_int_equal(left->province, right->province);
    assert_int_equal(left->canton, right->canton);
    assert_int_equal(left->parish, right->parish);
    assert_true(left->postal_code == right->postal_code);
    assert_string_equal(left->installer, right->installer);
    assert_label_equal(left->at, right->at);
    for (size_t channel = 0; channel < MM_CHANNELS; channel++) {
        assert_string_equal(left->channels[channel].id, right->channels[channel].id);
        assert_true(left->channels[channel].pulse_constant == right->channels[channel].pulse_constant);
        assert_true(left->channels[channel].start_wh == right->channels[channel].start_wh);
        assert_int_equal(left->channels[channel].prepaid, right->channels[channel].prepaid);
    }
}

static void assert_record_equal(const mm_record_t *left, const mm_record_t *right) {
    assert_int_equal(left->type, right->type);
    switch (left->type) {
    case MM_RECORD_INTERVAL:
        assert_true(left->interval.interval_no == right->interval.interval_no);
        assert_label_equal(left->interval.end, right->interval.end);
        assert_true(left->interval.duration_s == right->interval.duration_s);
        assert_int_equal(left->interval.restarted, right->interval.restarted);
        assert_int_equal(left->interval.thinned, right->interval.thinned);
        assert_true(left->interval.thinned_first_seq == right->interval.thinned_first_seq);
        assert_true(left->interval.thinned_last_seq == right->interval.thinned_last_seq);
        assert_memory_equal(left->interval.pulses, right->interval.pulses, sizeof left->interval.pulses);
        return;
    case MM_RECORD_MONTH_CLOSING:
        assert_int_equal(left->month_closing.channel, right->month_closing.channel);
        assert_int_equal(left->month_closing.year_month, right->month_closing.year_month);
        assert_true(left->month_closing.pulse_constant == right->month_closing.pulse_constant);
        assert_true(left->month_closing.life_pulses == right->month_closing.life_pulses);
        assert_true(left->month_closing.month_pulses == right->month_closing.month_pulses);
        assert_memory_equal(left->month_closing.hours_pulses, right->month_closing.hours_pulses,
                            sizeof left->month_closing.hours_pulses);
        assert_label_equal(left->month_closing.closed, right->month_closing.closed);
        return;
    case MM_RECORD_EVENT:
        assert_int_equal(left->event.code, right->event.code);
        assert_label_equal(left->event.at, right->event.at);
        assert_true(left->event.boot_no == right->event.boot_no);
        assert_memory_equal(left->event.values, right->event.values, sizeof left->event.values);
        return;
    case MM_RECORD_GAP:
        assert_true(left->gap.epoch == right->gap.epoch);
        assert_true(left->gap.first_seq == right->gap.first_seq);
        assert_true(left->gap.last_seq == right->gap.last_seq);
        assert_int_equal(left->gap.reason, right->gap.reason);
        return;
    case MM_RECORD_RESULT:
        assert_true(left->result.era == right->result.era);
        assert_true(left->result.counter == right->result.counter);
        assert_true(left->result.command_id == right->result.command_id);
        assert_int_equal(left->result.kind, right->result.kind);
        assert_int_equal(left->result.channel, right->result.channel);
        assert_int_equal(left->result.status, right->result.status);
        assert_label_equal(left->result.at, right->result.at);
        assert_int_equal(left->result.detail_bytes, right->result.detail_bytes);
        assert_memory_equal(left->result.detail, right->result.detail, sizeof left->result.detail);
        return;
    case MM_RECORD_CREDIT:
        assert_int_equal(left->credit.channel, right->credit.channel);
        assert_int_equal(left->credit.movement, right->credit.movement);
        assert_true(left->credit.era == right->credit.era);
        assert_true(left->credit.counter == right->credit.counter);
        assert_true(left->credit.command_id == right->credit.command_id);
        assert_true(left->credit.purchase_id == right->credit.purchase_id);
        assert_true(left->credit.count == right->credit.count);
        assert_true(left->credit.amount_wh == right->credit.amount_wh);
        assert_true(left->credit.balance_wh == right->credit.balance_wh);
        assert_true(left->credit.applied_wh == right->credit.applied_wh);
        assert_true(left->credit.life_pulses == right->credit.life_pulses);
        assert_label_equal(left->credit.at, right->credit.at);
        return;
    case MM_RECORD_INSTALLATION:
        assert_installation_equal(&left->installation, &right->installation);
        return;
    case MM_RECORD_JOIN:
        assert_true(mm_mac_equal(left->join.asker, right->join.asker));
        assert_true(mm_mac_equal(left->join.via, right->join.via));
        assert_memory_equal(left->join.nonce, right->join.nonce, sizeof left->join.nonce);
        assert_true(left->join.revision == right->join.revision);
        assert_memory_equal(left->join.tag, right->join.tag, sizeof left->join.tag);
        assert_label_equal(left->join.at, right->join.at);
        return;
    default:
        fail_msg("type %u", left->type);
    }
}

static void test_record_golden_vectors(void **state) {
    (void)state;
    const char *name;
    size_t index = 0;
    for (mm_record_t record = example(index, &name); name != NULL; record = example(++index, &name)) {
        uint8_t payload[MM_RECORD_PAYLOAD_BYTES_MAX];
        mm_writer_t writer = mm_writer(payload, sizeof payload);
        mm_record_encode(&record, &writer);
        assert_false(writer.failed);
        vector_assert_equal(name, payload, writer.used_bytes);
        mm_record_t decoded;
        assert_int_equal(mm_record_decode(record.type, payload, writer.used_bytes, &decoded), MM_OK);
        assert_record_equal(&decoded, &record);
    }
    assert_int_equal(index, 24);
}

// What is accepted must be the one encoding of what was understood.
static bool decode_is_sound(uint8_t type, const uint8_t *payload, size_t payload_bytes) {
    mm_record_t record;
    if (mm_record_decode(type, payload, payload_bytes, &record) != MM_OK) {
        return false;
    }
    uint8_t again[MM_RECORD_PAYLOAD_BYTES_MAX];
    mm_writer_t writer = mm_writer(again, sizeof again);
    mm_record_encode(&record, &writer);
    assert_false(writer.failed);
    assert_int_equal(writer.used_bytes, payload_bytes);
    assert_memory_equal(again, payload, payload_bytes);
    return true;
}

static void test_record_damage(void **state) {
    (void)state;
    static vector_t vector;
    const char *name;
    size_t index = 0;
    for (mm_record_t record = example(index, &name); name != NULL; record = example(++index, &name)) {
        vector_load(name, &vector);
        for (size_t cut_bytes = 0; cut_bytes < vector.bytes_count; cut_bytes++) {
            uint8_t *copy = vector_copy(vector.bytes, cut_bytes);
            // The detail of a result is what is left: where it is cut, another result ends.
            bool may_end =
                record.type == MM_RECORD_RESULT && cut_bytes + record.result.detail_bytes >= vector.bytes_count;
            assert_int_equal(decode_is_sound(record.type, copy, cut_bytes), may_end);
            free(copy);
        }
        vector.bytes[vector.bytes_count] = 0;
        bool may_go_on = record.type == MM_RECORD_RESULT && record.result.detail_bytes < MM_RESULT_DETAIL_BYTES_MAX;
        assert_int_equal(decode_is_sound(record.type, vector.bytes, vector.bytes_count + 1), may_go_on);
        // A payload has no checksum of its own: a flipped bit may give another good record, but nothing in between.
        for (size_t bit = 0; bit < vector.bytes_count * 8; bit++) {
            uint8_t *copy = vector_copy(vector.bytes, vector.bytes_count);
            copy[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            decode_is_sound(record.type, copy, vector.bytes_count);
            free(copy);
        }
    }
}

static mm_label_t random_label(mm_random_t *random) {
    mm_label_t label = {random_number(random, 40), (mm_trust_t)mm_random_below(random, 3)};
    if (mm_random_below(random, 2) == 0) {
        label.seconds = 1577836800 + 900 * random_number(random, 22); // on the grid and behind its end
    }
    return label;
}

static int64_t random_signed(mm_random_t *random) {
    int64_t value = (int64_t)random_number(random, 63);
    return mm_random_below(random, 2) == 0 ? value : -value - 1;
}

static mm_installation_record_t random_installation(mm_random_t *random) {
    mm_installation_record_t installation = {.revision = random_u32(random) | 1,
                                             .repeated = mm_random_below(random, 2) == 1,
                                             .node_no = random_u32(random),
                                             .province = (uint16_t)random_number(random, 16),
                                             .canton = (uint16_t)random_number(random, 16),
                                             .parish = (uint16_t)random_number(random, 16),
                                             .postal_code = random_u32(random),
                                             .at = random_label(random)};
    memset(installation.installer, 'x', mm_random_below(random, MM_INSTALLATION_TEXT_CHARS_MAX + 1));
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        if (mm_random_below(random, 3) == 0) {
            continue;
        }
        memset(installation.channels[channel].id, '!' + channel, 1 + mm_random_below(random, MM_METER_ID_CHARS_MAX));
        installation.channels[channel].pulse_constant = 1 + mm_random_below(random, UINT16_MAX);
        installation.channels[channel].start_wh = random_number(random, 31);
        installation.channels[channel].prepaid = mm_random_below(random, 2) == 1;
    }
    return installation;
}

static mm_record_t random_record_of_control(mm_random_t *random, uint8_t type) {
    mm_record_t record = {.type = type};
    if (type == MM_RECORD_RESULT) {
        uint32_t channel = mm_random_below(random, MM_CHANNELS + 1);
        record.result =
            (mm_result_record_t){.era = random_u32(random) | 1,
                                 .counter = random_u32(random),
                                 .command_id = random_number(random, 63) | 1,
                                 .kind = (uint8_t)(1 + mm_random_below(random, 255)),
                                 .channel = (uint8_t)(channel < MM_CHANNELS ? channel : 0xFF),
                                 .status = (uint8_t)mm_random_below(random, 256),
                                 .at = random_label(random),
                                 .detail_bytes = (uint8_t)mm_random_below(random, MM_RESULT_DETAIL_BYTES_MAX + 1)};
        for (size_t index = 0; index < record.result.detail_bytes; index++) {
            record.result.detail[index] = (uint8_t)mm_random_below(random, 256);
        }
        return record;
    }
    if (type == MM_RECORD_INSTALLATION) {
        record.installation = random_installation(random);
        return record;
    }
    record.credit = (mm_credit_record_t){.channel = (uint8_t)mm_random_below(random, MM_CHANNELS),
                                         .movement = (uint8_t)(1 + mm_random_below(random, 255)),
                                         .era = random_u32(random) | 1,
                                         .counter = random_u32(random),
                                         .command_id = random_number(random, 63),
                                         .purchase_id = random_number(random, 63),
                                         .count = random_u32(random),
                                         .amount_wh = random_signed(random),
                                         .balance_wh = random_signed(random),
                                         .applied_wh = random_signed(random),
                                         .life_pulses = random_number(random, 63),
                                         .at = random_label(random)};
    return record;
}

static mm_record_t random_record(mm_random_t *random) {
    mm_record_t record = {.type = (uint8_t)(1 + mm_random_below(random, 7))};
    if (record.type >= MM_RECORD_RESULT) {
        return random_record_of_control(random, record.type);
    }
    unsigned bits = mm_random_below(random, 33);
    if (record.type == MM_RECORD_INTERVAL) {
        mm_interval_record_t *interval = &record.interval;
        interval->interval_no = random_u32(random) | 1;
        interval->end = random_label(random);
        interval->duration_s = mm_random_below(random, 2) == 0 ? 900 : random_u32(random);
        interval->restarted = mm_random_below(random, 2) == 0;
        interval->thinned = mm_random_below(random, 2) == 0;
        if (interval->thinned) {
            interval->thinned_first_seq = random_u32(random) | 1;
            interval->thinned_last_seq =
                interval->thinned_first_seq + random_u32(random) % (UINT32_MAX - interval->thinned_first_seq + 1u);
        }
        for (size_t channel = 0; channel < MM_CHANNELS; channel++) {
            interval->pulses[channel] = (uint32_t)random_number(random, bits);
        }
    } else if (record.type == MM_RECORD_MONTH_CLOSING) {
        record = month_closing(
            (uint8_t)mm_random_below(random, MM_CHANNELS), (uint16_t)(1 + mm_random_below(random, UINT16_MAX)),
            1 + mm_random_below(random, UINT16_MAX), random_number(random, 63), random_label(random));
        for (size_t hour = 0; hour < MM_HOURS_OF_DAY; hour++) {
            record.month_closing.hours_pulses[hour] = (uint32_t)random_number(random, bits);
            record.month_closing.month_pulses += record.month_closing.hours_pulses[hour];
        }
        record.month_closing.month_pulses += mm_random_below(random, 2);
    } else if (record.type == MM_RECORD_EVENT) {
        record.event = (mm_event_record_t){.code = (uint16_t)(1 + mm_random_below(random, UINT16_MAX)),
                                           .at = random_label(random),
                                           .boot_no = random_u32(random)};
        for (size_t index = 0; index < MM_EVENT_VALUES; index++) {
            record.event.values[index] = random_number(random, 64);
        }
    } else {
        uint32_t last_seq = random_u32(random) | 1;
        record.gap = (mm_gap_record_t){random_u32(random) | 1, 1 + mm_random_below(random, last_seq), last_seq,
                                       (uint8_t)(1 + mm_random_below(random, 255))};
    }
    return record;
}

static void test_record_random_round_trip(void **state) {
    (void)state;
    mm_random_t random = mm_random(20250615);
    for (unsigned turn = 0; turn < 20000; turn++) {
        mm_record_t record = random_record(&random);
        uint8_t payload[MM_RECORD_PAYLOAD_BYTES_MAX];
        mm_writer_t writer = mm_writer(payload, sizeof payload);
        mm_record_encode(&record, &writer);
        assert_false(writer.failed);
        mm_record_t decoded;
        assert_int_equal(mm_record_decode(record.type, payload, writer.used_bytes, &decoded), MM_OK);
        assert_record_equal(&decoded, &record);
    }
}

static void test_record_interval_size(void **state) {
    (void)state;
    uint8_t payload[MM_RECORD_PAYLOAD_BYTES_MAX];
    mm_record_t record = {.type = MM_RECORD_INTERVAL,
                          .interval = {.interval_no = 70000,
                                       .end = {1750000500, MM_TRUST_SYNCED},
                                       .duration_s = 900,
                                       .pulses = ALL_CHANNELS(16383)}};
    mm_writer_t writer = mm_writer(payload, sizeof payload);
    mm_record_encode(&record, &writer);
    assert_int_equal(writer.used_bytes, 22);
    // No grid and a number beyond all life times.
    record.interval.end.seconds = s_seconds_max;
    record.interval.interval_no = UINT32_MAX;
    writer = mm_writer(payload, sizeof payload);
    mm_record_encode(&record, &writer);
    assert_int_equal(writer.used_bytes, 26);
}

typedef struct {
    uint8_t type;
    uint8_t payload_bytes;
    uint8_t payload[24];
    const char *why;
} refused_t;

static const refused_t s_refused[] = {
    {0, 0, {0}, "type none"},
    {1, 0, {0}, "empty"},
    {1, 4, {0x23, 0x01, 0x01, 0x00}, "trust 3"},
    {1, 4, {0x62, 0x01, 0x01, 0x00}, "flag of a later version"},
    {1, 4, {0xA2, 0x01, 0x01, 0x00}, "flag of a later version"},
    {1, 4, {0x22, 0x00, 0x01, 0x00}, "interval number 0"},
    {1, 6, {0x22, 0x01, 0x80, 0x80, 0x80, 0x01}, "end behind the grid"},
    {1, 8, {0x02, 0x01, 0x00, 0xE1, 0x0B, 0x5E, 0x00, 0x00}, "end on the grid written in full"},
    {1, 6, {0x32, 0x01, 0x01, 0x84, 0x07, 0x00}, "duration 900 written in full"},
    {1, 6, {0x2A, 0x01, 0x01, 0x00, 0x00, 0x00}, "thinned seq 0"},
    {1, 10, {0x2A, 0x01, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0x01, 0x00}, "thinned range beyond the last seq"},
    {1, 4, {0x22, 0x01, 0x01, 0x21}, "width 33"},
    {1, 5, {0x22, 0x01, 0x01, 0x01, 0x00}, "width 1 for zeros"},
    {1, 6, {0x22, 0x01, 0x01, 0x02, 0x55, 0x55}, "width 2 for ones"},
    {1, 5, {0x22, 0x01, 0x01, 0x00, 0x00}, "one byte too many"},
    {2, 14, {8, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "channel 8"},
    {2, 14, {0, 2, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "flag of a later version"},
    {2, 14, {0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "month 0"},
    {2, 14, {0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "pulse constant 0"},
    {2, 14, {0, 0, 1, 0, 1, 0, 0, 3, 0, 0, 0, 0, 0, 0}, "trust 3"},
    {2, 15, {0, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "month given although it is the sum"},
    {3, 13, {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1}, "code 0"},
    {3, 13, {1, 0, 3, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1}, "trust 3"},
    {4, 4, {0, 1, 1, 0}, "reason 0"},
    {4, 4, {1, 0, 1, 0}, "epoch 0"},
    {4, 4, {1, 1, 0, 0}, "seq 0"},
    {4, 8, {1, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 1}, "range beyond the last seq"},
    {5, 15, {0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0}, "era 0"},
    {5, 15, {1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "kind 0"},
    {5, 15, {1, 0, 0, 0, 1, 1, 1, 8, 0, 0, 0, 0, 0, 0, 0}, "channel 8"},
    {5, 15, {1, 0, 0, 0, 1, 1, 1, 254, 0, 0, 0, 0, 0, 0, 0}, "channel 254"},
    {5, 15, {1, 0, 0, 0, 1, 1, 1, 0, 0, 3, 0, 0, 0, 0, 0}, "trust 3"},
    {5, 16, {1, 0, 0, 0, 0x81, 0x00, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0}, "counter in a longer form"},
    {5, 24, {1, 0, 0, 0, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 1}, "command 2^63"},
    {6, 20, {8, 1, 1}, "channel 8"},
    {6, 20, {0, 0, 1}, "movement 0"},
    {6, 20, {0, 1, 0}, "era 0"},
    {6, 20, {0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3}, "trust 3"},
    {6, 21, {0, 1, 1}, "one byte too many"},
    {6, 19, {0, 1, 1}, "one byte too few"},
};

static void test_record_impossible_values_refused(void **state) {
    (void)state;
    for (size_t index = 0; index < sizeof s_refused / sizeof s_refused[0]; index++) {
        const refused_t *refused = &s_refused[index];
        mm_record_t record;
        mm_err_t err = mm_record_decode(refused->type, refused->payload, refused->payload_bytes, &record);
        if (err != MM_ERR_CORRUPT) {
            fail_msg("%s: %s", refused->why, mm_err_name(err));
        }
    }
    // The same payloads with the one value mended are good: it was that value.
    mm_record_t record;
    const uint8_t interval[] = {0x22, 0x01, 0x01, 0x00};
    assert_int_equal(mm_record_decode(MM_RECORD_INTERVAL, interval, sizeof interval, &record), MM_OK);
    assert_true(record.interval.end.seconds == 1577837700);
    const uint8_t closing[] = {7, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    assert_int_equal(mm_record_decode(MM_RECORD_MONTH_CLOSING, closing, sizeof closing, &record), MM_OK);
    const uint8_t event[] = {1, 0, 2, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1};
    assert_int_equal(mm_record_decode(MM_RECORD_EVENT, event, sizeof event, &record), MM_OK);
    const uint8_t gap[] = {1, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0};
    assert_int_equal(mm_record_decode(MM_RECORD_GAP, gap, sizeof gap, &record), MM_OK);
    const uint8_t result[] = {1, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0};
    assert_int_equal(mm_record_decode(MM_RECORD_RESULT, result, sizeof result, &record), MM_OK);
    const uint8_t credit[20] = {0, 1, 1};
    assert_int_equal(mm_record_decode(MM_RECORD_CREDIT, credit, sizeof credit, &record), MM_OK);
    // revision, flags, node, place, postal code, installer, label, present, prepaid, id, constant, start
    const uint8_t installation[] = {1, 1, 0, 0, 0, 0, 0, 1, 'x', 0, 0, 0, 0, 0, 0, 2, 2, 1, 'A', 1, 0, 0};
    assert_int_equal(mm_record_decode(MM_RECORD_INSTALLATION, installation, sizeof installation, &record), MM_OK);
    static const struct {
        uint8_t index;
        uint8_t value;
    } spoilt[] = {{0, 0},  {1, 2},  {7, 25}, {8, 0x80}, {8, 10},       {9, 3},
                  {15, 1}, {16, 6}, {17, 0}, {17, 13},  {18, ' ' - 1}, {19, 0}};
    for (size_t index = 0; index < sizeof spoilt / sizeof spoilt[0]; index++) {
        uint8_t bytes[sizeof installation];
        memcpy(bytes, installation, sizeof bytes);
        bytes[spoilt[index].index] = spoilt[index].value;
        assert_int_equal(mm_record_decode(MM_RECORD_INSTALLATION, bytes, sizeof bytes, &record), MM_ERR_CORRUPT);
    }
    // The largest payload has room for a detail that is larger than allowed.
    uint8_t long_result[MM_RECORD_PAYLOAD_BYTES_MAX] = {1, 0, 0, 0, 1, 1, 1};
    assert_int_equal(mm_record_decode(MM_RECORD_RESULT, long_result, 15 + 192, &record), MM_OK);
    assert_int_equal(mm_record_decode(MM_RECORD_RESULT, long_result, 15 + 193, &record), MM_ERR_CORRUPT);
}

static void test_record_unknown_type_is_kept(void **state) {
    (void)state;
    mm_record_t record;
    uint8_t payload[MM_RECORD_PAYLOAD_BYTES_MAX + 1] = {0};
    assert_int_equal(mm_record_decode(200, payload, 3, &record), MM_ERR_NOT_FOUND);
    assert_int_equal(record.type, 200);
    assert_int_equal(mm_record_decode(200, NULL, 0, &record), MM_ERR_NOT_FOUND);
    assert_int_equal(mm_record_decode(200, payload, sizeof payload, &record), MM_ERR_CORRUPT);
}

static void test_record_encode_asserts(void **state) {
    (void)state;
    uint8_t payload[MM_RECORD_PAYLOAD_BYTES_MAX];
    mm_writer_t writer = mm_writer(payload, sizeof payload);
    mm_record_t record = {.type = 9};
    expect_assert_failure(mm_record_encode(&record, &writer));
    record = (mm_record_t){.type = MM_RECORD_INTERVAL}; // interval_no 0
    expect_assert_failure(mm_record_encode(&record, &writer));
    record = month_closing(8, 1, 1, 0, (mm_label_t){0});
    expect_assert_failure(mm_record_encode(&record, &writer));
    record = (mm_record_t){.type = MM_RECORD_GAP, .gap = {1, 2, 1, MM_GAP_FULL}};
    expect_assert_failure(mm_record_encode(&record, &writer));
    record = example_of_result(13);
    record.result.era = 0;
    expect_assert_failure(mm_record_encode(&record, &writer));
    record = example_of_result(13);
    record.result.channel = 8;
    expect_assert_failure(mm_record_encode(&record, &writer));
    record = example_of_result(13);
    record.result.kind = 0;
    expect_assert_failure(mm_record_encode(&record, &writer));
    record = example_of_credit(16);
    record.credit.channel = 8;
    expect_assert_failure(mm_record_encode(&record, &writer));
    record = example_of_credit(16);
    record.credit.movement = MM_MOVEMENT_NONE;
    expect_assert_failure(mm_record_encode(&record, &writer));
    record = example_of_installation(19);
    record.installation.channels[1].prepaid = true; // without a meter
    expect_assert_failure(mm_record_encode(&record, &writer));
    record = example_of_installation(19);
    record.installation.channels[0].start_wh = MM_INSTALLATION_START_WH_MAX + 1;
    expect_assert_failure(mm_record_encode(&record, &writer));
}

static void test_record_encode_without_room(void **state) {
    (void)state;
    const char *name;
    const size_t indexes[] = {4, 15, 18};
    for (size_t index = 0; index < sizeof indexes / sizeof indexes[0]; index++) {
        mm_record_t record = example(indexes[index], &name);
        uint8_t payload[MM_RECORD_PAYLOAD_BYTES_MAX];
        mm_writer_t whole = mm_writer(payload, sizeof payload);
        mm_record_encode(&record, &whole);
        for (size_t room_bytes = 0; room_bytes < whole.used_bytes; room_bytes++) {
            mm_writer_t writer = mm_writer(payload, room_bytes);
            mm_record_encode(&record, &writer);
            assert_true(writer.failed);
        }
    }
}

static void test_record_names(void **state) {
    (void)state;
    assert_string_equal(mm_record_type_name(MM_RECORD_INTERVAL), "interval");
    assert_string_equal(mm_record_type_name(MM_RECORD_GAP), "gap");
    assert_string_equal(mm_record_type_name(MM_RECORD_RESULT), "result");
    assert_string_equal(mm_record_type_name(MM_RECORD_CREDIT), "credit");
    assert_string_equal(mm_record_type_name(MM_RECORD_INSTALLATION), "installation");
    assert_string_equal(mm_record_type_name(MM_RECORD_JOIN), "join");
    assert_string_equal(mm_record_type_name(9), "unknown");
    assert_string_equal(mm_event_name(MM_EVENT_BOOT), "boot");
    assert_string_equal(mm_event_name(MM_EVENT_CONFIGURATION), "configuration");
    assert_string_equal(mm_event_name(MM_EVENT_HOLD), "hold");
    assert_string_equal(mm_event_name(MM_EVENT_SUPPLY_CUT), "supply_cut");
    assert_string_equal(mm_event_name(MM_EVENT_TOKEN_LOCK_OUT), "token_lock_out");
    assert_string_equal(mm_event_name(MM_EVENT_CREDIT_ERA), "credit_era");
    assert_string_equal(mm_event_name(MM_EVENT_NODE_RESET), "node_reset");
    assert_string_equal(mm_event_name(MM_EVENT_INSTALLER_LOCK_OUT), "installer_lock_out");
    assert_string_equal(mm_event_name(MM_EVENT_CONSOLE), "console");
    assert_string_equal(mm_event_name(MM_EVENT_CONFIGURATION_BEHIND), "configuration_behind");
    assert_string_equal(mm_event_name(23), "unknown");
    assert_string_equal(mm_movement_name(MM_MOVEMENT_NETWORK), "network");
    assert_string_equal(mm_movement_name(MM_MOVEMENT_VOID), "void");
    assert_string_equal(mm_movement_name(MM_MOVEMENT_TOKEN_SYNC), "token_sync");
    assert_string_equal(mm_movement_name(9), "unknown");
    assert_string_equal(mm_gap_reason_name(MM_GAP_DAMAGED), "damaged");
    assert_string_equal(mm_gap_reason_name(4), "unknown");
    assert_string_equal(mm_trust_name(MM_TRUST_SYNCED), "synced");
    assert_string_equal(mm_trust_name((mm_trust_t)3), "unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record_golden_vectors),
        cmocka_unit_test(test_record_damage),
        cmocka_unit_test(test_record_random_round_trip),
        cmocka_unit_test(test_record_interval_size),
        cmocka_unit_test(test_record_impossible_values_refused),
        cmocka_unit_test(test_record_unknown_type_is_kept),
        cmocka_unit_test(test_record_encode_asserts),
        cmocka_unit_test(test_record_encode_without_room),
        cmocka_unit_test(test_record_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
