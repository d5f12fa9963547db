// SPDX-License-Identifier: Apache-2.0
#ifndef MM_CONTROL_FIXTURE_H
#define MM_CONTROL_FIXTURE_H

#include "metering_world.h"
#include "test_crypto.h"

#include "meshmeter/command_body.h"
#include "meshmeter/control.h"
#include "meshmeter/result_detail.h"

/// A node that takes commands, on the world of metering_world.h: a key, relays and a platform that record what they are
/// told, and an HQ that seals commands and makes tokens. desk holds everything besides the world, so that both can be
/// copied and gone on from again and again.

#define CONTROL_BEGIN_S INT64_C(1718013000) // 2024-06-10T09:50:00Z, 11:50 in Berlin, a Monday
#define NODE_MAC ((mm_mac_t){{2, 0, 0, 0, 0, 7}})
#define UNIT_WH 1000
#define ACTIONS_MAX 64

typedef enum {
    ACTION_DISPLAY = 1,
    ACTION_FIND,
    ACTION_REBOOT,
    ACTION_STAGE,
    ACTION_KEEP,
    ACTION_ROLL_BACK,
    ACTION_OTA_URL,
    ACTION_OTA_START,
} recorded_action_t;

typedef struct {
    uint64_t next_command_id;
    uint32_t next_counter;
    uint32_t next_count; ///< of the last purchase
    // The platform.
    bool relay_told[MM_CHANNELS];
    bool relay_closed[MM_CHANNELS];
    uint32_t relay_moves;
    bool relay_fails;
    recorded_action_t actions[ACTIONS_MAX];
    uint32_t action_count;
    mm_err_t action_result;
    mm_err_t settle_result;
    const char *kept_broker; ///< as text of BROKER, or NULL
    uint32_t seconds;
    mm_control_options_t options;
    test_crypto_t key;
    mm_control_t control;
} desk_t;

static desk_t desk;
static mm_crypto_t desk_crypto;
static bool desk_without_relay;
static bool desk_without_actions;
/// Set before a cut: what the relays did is looked at.
static void (*on_relay)(uint8_t channel, bool closed);

static inline mm_err_t relay_set(void *context, uint8_t channel, bool closed) {
    (void)context;
    if (is_dead()) {
        return MM_OK; // the node is not there any more: nothing moves
    }
    if (desk.relay_fails) {
        return MM_ERR_UNAVAILABLE;
    }
    if (on_relay != NULL) {
        on_relay(channel, closed);
    }
    desk.relay_told[channel] = true;
    desk.relay_moves += desk.relay_closed[channel] != closed ? 1 : 0;
    desk.relay_closed[channel] = closed;
    return MM_OK;
}

static inline mm_err_t record_action(recorded_action_t action) {
    if (is_dead()) {
        return MM_OK;
    }
    assert_true(desk.action_count < ACTIONS_MAX);
    desk.actions[desk.action_count++] = action;
    return desk.action_result;
}

static inline mm_err_t action_display(void *context, uint32_t seconds) {
    (void)context;
    desk.seconds = seconds;
    return record_action(ACTION_DISPLAY);
}

static inline mm_err_t action_find(void *context, uint32_t seconds) {
    (void)context;
    desk.seconds = seconds;
    return record_action(ACTION_FIND);
}

static inline void action_reboot(void *context) {
    (void)context;
    (void)record_action(ACTION_REBOOT);
}

static inline mm_err_t action_stage(void *context, mm_staged_kind_t kind, const char *text, size_t text_chars) {
    (void)context;
    assert_true(kind != MM_STAGED_NONE && text != NULL && text_chars > 0);
    return record_action(ACTION_STAGE);
}

static inline mm_err_t action_settle(void *context, mm_staged_kind_t kind, bool keep) {
    (void)context;
    assert_true(kind != MM_STAGED_NONE);
    if (desk.settle_result != MM_OK) {
        return desk.settle_result;
    }
    (void)record_action(keep ? ACTION_KEEP : ACTION_ROLL_BACK);
    return MM_OK;
}

static inline mm_err_t action_ota_set_url(void *context, const char *url, size_t url_chars) {
    (void)context;
    assert_true(url != NULL && url_chars > 0);
    return record_action(ACTION_OTA_URL);
}

static inline mm_err_t action_ota_start(void *context) {
    (void)context;
    return record_action(ACTION_OTA_START);
}

static inline size_t action_log_tail(void *context, char *text, size_t capacity_bytes) {
    (void)context;
    assert_true(capacity_bytes >= 9);
    memcpy(text, "last line", 9);
    return 9;
}

static inline size_t action_kept_broker(void *context, char *text, size_t capacity_bytes) {
    (void)context;
    size_t bytes_count = desk.kept_broker != NULL ? strlen(desk.kept_broker) : 0;
    assert_true(bytes_count <= capacity_bytes);
    memcpy(text, desk.kept_broker != NULL ? desk.kept_broker : "", bytes_count);
    return bytes_count;
}

static const mm_relay_t desk_relay = {relay_set, NULL};
static const mm_actions_t desk_actions = {
    action_display,     action_find,      action_reboot,   action_stage,       action_settle,
    action_ota_set_url, action_ota_start, action_log_tail, action_kept_broker, NULL};

static inline uint32_t count_actions(recorded_action_t action) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < desk.action_count; i++) {
        count += desk.actions[i] == action ? 1 : 0;
    }
    return count;
}

// The node.

static inline mm_us_t desk_now(void) {
    return mono(world.t_us);
}

/// After world_open or world_reboot.
static inline void control_open(void) {
    desk_crypto = test_crypto(&desk.key);
    memset(&desk.control, 0xA5, sizeof desk.control);
    mm_control_open(&desk.control, &desk.options, &world.metering, &desk_crypto,
                    desk_without_relay ? NULL : &desk_relay, desk_without_actions ? NULL : &desk_actions,
                    &world.counters, NULL, desk_now());
}

/// All that is due now.
static inline void control_poll(void) {
    for (int calls = 0; calls < 1000 && !is_dead(); calls++) {
        world_poll();
        mm_us_t deadline = mm_control_poll(&desk.control, desk_now());
        assert_true(deadline >= desk_now());
        if (deadline > desk_now()) {
            hq_collect();
            return;
        }
    }
    assert_true(is_dead());
}

static inline void control_run_s(int64_t seconds) {
    int64_t until_us = world.t_us + seconds * US;
    while (!is_dead() && world.t_us < until_us) {
        world_run(world.t_us + US * (seconds < 300 ? 1 : 20) < until_us ? world.t_us + US * (seconds < 300 ? 1 : 20)
                                                                        : until_us,
                  20 * US);
        control_poll();
    }
}

static inline void control_sync(void) {
    (void)world_set_time(world.t_us, MM_TRUST_SYNCED);
    control_poll();
}

static inline void control_reboot(bool counters_live_on) {
    world_reboot(US, counters_live_on);
    memset(desk.relay_told, 0, sizeof desk.relay_told);
    control_open();
    hq_collect();
}

/// A new node that knows the time.
static inline void control_begin(bool with_fram) {
    memset(&desk, 0, sizeof desk);
    desk.next_command_id = 1000;
    desk.key = test_crypto_key(0);
    desk.options = (mm_control_options_t){.mac = NODE_MAC, .token_unit_wh = UNIT_WH, .new_era = 0xE2A0001};
    world_init(CONTROL_BEGIN_S, with_fram);
    assert_int_equal(world_open(), MM_OK);
    control_open();
    control_sync();
}

// HQ.

typedef struct {
    uint8_t bytes[MM_COMMAND_BYTES_MAX];
    size_t bytes_count;
    uint64_t id;
} sealed_t;

/// body NULL: empty. not_after_s 0: never expires. Counters rise.
static inline sealed_t seal_raw(uint8_t kind, uint8_t channel, const void *body, uint8_t body_bytes,
                                uint64_t not_after_s) {
    sealed_t sealed = {.id = ++desk.next_command_id};
    const mm_command_t command = {.node = NODE_MAC,
                                  .era = desk.options.new_era,
                                  .counter = ++desk.next_counter,
                                  .id = sealed.id,
                                  .not_after_s = not_after_s,
                                  .kind = kind,
                                  .channel = channel,
                                  .body_bytes = body_bytes,
                                  .body = body};
    sealed.bytes_count = mm_command_seal(sealed.bytes, sizeof sealed.bytes, &command, &desk_crypto);
    assert_true(sealed.bytes_count > 0);
    return sealed;
}

static inline sealed_t seal(uint8_t kind, uint8_t channel, const mm_command_body_t *body) {
    uint8_t bytes[MM_COMMAND_BODY_BYTES_MAX];
    mm_writer_t writer = mm_writer(bytes, sizeof bytes);
    assert_int_equal(mm_command_body_put(kind, body, &writer), MM_OK);
    return seal_raw(kind, channel, bytes, (uint8_t)writer.used_bytes, 0);
}

static inline mm_err_t take(const sealed_t *sealed) {
    return mm_control_take(&desk.control, sealed->bytes, sealed->bytes_count, desk_now());
}

/// Seal and take at once. Returns the command's id.
static inline uint64_t command(uint8_t kind, uint8_t channel, const mm_command_body_t *body) {
    sealed_t sealed = seal(kind, channel, body);
    assert_int_equal(take(&sealed), MM_OK);
    return sealed.id;
}

static inline mm_command_body_t credit_body(uint32_t count, int64_t amount_wh) {
    return (mm_command_body_t){.credit = {.purchase_id = count + 50, .count = count, .amount_wh = amount_wh}};
}

static inline sealed_t seal_credit(uint8_t channel, uint32_t count, int64_t amount_wh) {
    mm_command_body_t body = credit_body(count, amount_wh);
    return seal(MM_COMMAND_CREDIT, channel, &body);
}

static inline uint64_t make_prepaid(uint8_t channel, bool prepaid) {
    mm_command_body_t body = {.mode = {.prepaid = prepaid}};
    return command(MM_COMMAND_MODE, channel, &body);
}

static inline uint64_t set_limits(uint8_t channel, uint32_t warning_wh, uint32_t emergency_wh, uint32_t quiet_hours,
                                  uint8_t quiet_days) {
    mm_command_body_t body = {.limits = {warning_wh, emergency_wh, quiet_hours, quiet_days}};
    return command(MM_COMMAND_LIMITS, channel, &body);
}

/// Digits of a token of this node.
static inline void make_token(uint8_t channel, mm_token_type_t type, uint32_t value, uint32_t count, char *digits) {
    mm_token_series_t series;
    assert_int_equal(mm_control_token_series(&desk_crypto, desk.options.new_era, channel, &series), MM_OK);
    const mm_token_t token = {.type = type, .value = value, .count = count};
    assert_int_equal(mm_token_make(&series, &token, false, false, digits), MM_OK);
}

static inline mm_typed_answer_t type(uint8_t channel, const char *digits) {
    return mm_control_type_token(&desk.control, channel, digits, desk_now());
}

/// Answers of a command at HQ: results that are final, and movements of credit. *last is the last one, or NULL.
static inline uint32_t count_answers(uint64_t command_id, const mm_record_t **last) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < world.hq_count; i++) {
        const mm_record_t *record = &hq_records[i].record;
        bool is_result = hq_records[i].type == MM_RECORD_RESULT && record->result.command_id == command_id &&
                         record->result.status != MM_RESULT_TRYING;
        bool is_credit = hq_records[i].type == MM_RECORD_CREDIT && record->credit.command_id == command_id;
        if (is_result || is_credit) {
            count++;
            if (last != NULL) {
                *last = record;
            }
        }
    }
    return count;
}

static inline uint32_t count_trying(uint64_t command_id) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < world.hq_count; i++) {
        const mm_result_record_t *result = &hq_records[i].record.result;
        count += hq_records[i].type == MM_RECORD_RESULT && result->command_id == command_id &&
                         result->status == MM_RESULT_TRYING
                     ? 1
                     : 0;
    }
    return count;
}

/// The one answer of a command.
static inline const mm_result_record_t *answer_of(uint64_t command_id) {
    hq_collect();
    const mm_record_t *record = NULL;
    assert_int_equal(count_answers(command_id, &record), 1);
    assert_int_equal(record->type, MM_RECORD_RESULT);
    return &record->result;
}

static inline const mm_credit_record_t *credit_of(uint64_t command_id) {
    hq_collect();
    const mm_record_t *record = NULL;
    assert_int_equal(count_answers(command_id, &record), 1);
    assert_int_equal(record->type, MM_RECORD_CREDIT);
    return &record->credit;
}

/// As hq_event and hq_count_events, with everything that is made.
static inline const mm_event_record_t *event_of(uint16_t code, uint32_t index) {
    hq_collect();
    const mm_event_record_t *event = hq_event(code, index);
    assert_non_null(event);
    return event;
}

static inline uint32_t count_events(uint16_t code) {
    hq_collect();
    return hq_count_events(code);
}

static inline int64_t balance_of(uint8_t channel) {
    mm_control_report_t report;
    mm_control_report(&desk.control, desk_now(), &report);
    return report.meters[channel].balance_wh;
}

/// What the books must say of a prepaid meter: the sum of its movements since prepayment began is applied, and applied
/// is consumed plus balance, to the Wh.
static inline void assert_books_balance(uint8_t channel) {
    hq_collect();
    int64_t applied_wh = 0;
    uint64_t began_pulses = 0;
    bool prepaid = false;
    for (uint32_t i = 0; i < world.hq_count; i++) {
        const mm_credit_record_t *credit = &hq_records[i].record.credit;
        if (hq_records[i].type != MM_RECORD_CREDIT || credit->channel != channel) {
            continue;
        }
        if (credit->movement == MM_MOVEMENT_PREPAID) {
            applied_wh = 0;
            began_pulses = credit->life_pulses;
            prepaid = true;
        }
        prepaid = prepaid && credit->movement != MM_MOVEMENT_POSTPAID;
        applied_wh += credit->amount_wh;
        assert_int_equal(credit->applied_wh, applied_wh);
    }
    assert_int_equal(desk.control.credits[channel].prepaid, prepaid);
    if (prepaid) {
        int64_t consumed_wh = (int64_t)(world.metering.registers.channels[channel].life_pulses - began_pulses) * 1000 /
                              world.options.meters[channel].pulse_constant;
        assert_int_equal(desk.control.credits[channel].applied_wh, applied_wh);
        assert_int_equal(balance_of(channel), applied_wh - consumed_wh);
    }
}

#endif
