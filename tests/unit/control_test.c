// SPDX-License-Identifier: Apache-2.0
// Commands: admission, order of the checks, every kind, its answer, and what storage and restarts do to it.
#include <stdio.h>

#include "control_fixture.h"

static int setup(void **state) {
    (void)state;
    desk_without_relay = false;
    desk_without_actions = false;
    on_relay = NULL;
    control_begin(true);
    return 0;
}

static uint32_t counted(mm_counter_t counter) {
    return world.counters.values[counter];
}

static void refuse_storage(void) {
    world.fail_from_call = world.call_count;
    world.fail_to_call = NEVER;
}

static void mend_storage(void) {
    world.fail_to_call = 0;
}

static uint8_t status_of(uint8_t kind, uint8_t channel, const mm_command_body_t *body) {
    return answer_of(command(kind, channel, body))->status;
}

static uint8_t status_of_raw(uint8_t kind, uint8_t channel, const void *body, uint8_t body_bytes) {
    sealed_t sealed = seal_raw(kind, channel, body, body_bytes, 0);
    assert_int_equal(take(&sealed), MM_OK);
    return answer_of(sealed.id)->status;
}

static void test_control_begins_an_era(void **state) {
    (void)state;
    const mm_event_record_t *event = event_of(MM_EVENT_CREDIT_ERA, 0);
    assert_int_equal(event->values[0], desk.options.new_era);
    assert_int_equal(event->values[1], 0);
    control_reboot(true);
    assert_int_equal(count_events(MM_EVENT_CREDIT_ERA), 1);
    assert_int_equal(desk.control.era, desk.options.new_era);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        assert_true(desk.relay_told[channel] && desk.relay_closed[channel]);
    }
    mm_control_options_t impossible = desk.options;
    impossible.new_era = 0;
    expect_assert_failure(mm_control_open(&desk.control, &impossible, &world.metering, NULL, NULL, NULL,
                                          &world.counters, NULL, desk_now()));
}

static void test_control_has_names(void **state) {
    (void)state;
    assert_string_equal(mm_result_status_name(MM_RESULT_DONE), "done");
    assert_string_equal(mm_result_status_name(MM_RESULT_TOO_OLD), "too_old");
    assert_string_equal(mm_result_status_name(MM_RESULT_COUNT), "unknown");
    static const char *const names[] = {"accepted", "wrong",    "used",   "no_form", "locked_out",
                                        "refused",  "no_meter", "no_key", "storage", "unknown"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_string_equal(mm_typed_verdict_name((mm_typed_verdict_t)i), names[i]);
    }
}

static void test_control_locks_and_unlocks(void **state) {
    (void)state;
    uint64_t id = command(MM_COMMAND_LOCK, 2, NULL);
    assert_false(desk.relay_closed[2]);
    const mm_result_record_t *result = answer_of(id);
    assert_int_equal(result->status, MM_RESULT_DONE);
    assert_int_equal(result->kind, MM_COMMAND_LOCK);
    assert_int_equal(result->channel, 2);
    assert_int_equal(result->era, desk.options.new_era);
    assert_int_equal(result->counter, 1);
    assert_int_equal(result->at.seconds, world.t_us / US);
    assert_int_equal(event_of(MM_EVENT_SUPPLY_CUT, 0)->values[0], 2);
    assert_int_equal(event_of(MM_EVENT_SUPPLY_CUT, 0)->values[1], MM_RELAY_LOCKED);
    control_reboot(true);
    assert_true(desk.relay_told[2]);
    assert_false(desk.relay_closed[2]);
    assert_true(desk.relay_closed[1]);
    assert_int_equal(status_of(MM_COMMAND_UNLOCK, 2, NULL), MM_RESULT_DONE);
    assert_true(desk.relay_closed[2]);
    assert_int_equal(count_events(MM_EVENT_SUPPLY_RESTORED), 1);
    assert_int_equal(status_of(MM_COMMAND_UNLOCK, 2, NULL), MM_RESULT_DONE);
    assert_int_equal(count_events(MM_EVENT_SUPPLY_RESTORED), 1);
}

// Admission.

static void test_control_refuses_what_is_not_authentic(void **state) {
    (void)state;
    const sealed_t sealed = seal(MM_COMMAND_LOCK, 0, NULL);
    assert_int_equal(mm_control_take(&desk.control, sealed.bytes, sealed.bytes_count - 1, desk_now()), MM_ERR_CORRUPT);
    assert_int_equal(counted(MM_COUNTER_COMMAND_CORRUPT), 1);
    for (size_t bit = 0; bit < sealed.bytes_count * 8; bit++) {
        sealed_t forged = sealed;
        forged.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_not_equal(take(&forged), MM_OK);
    }
    assert_int_equal(counted(MM_COUNTER_COMMAND_CORRUPT) + counted(MM_COUNTER_COMMAND_FOREIGN) +
                         counted(MM_COUNTER_COMMAND_FORGED),
                     1 + sealed.bytes_count * 8);
    assert_true(counted(MM_COUNTER_COMMAND_FOREIGN) >= 80); // mac and era
    assert_int_equal(desk.control.counter, 0);
    assert_false(desk.control.signed_only);
    assert_true(desk.relay_closed[0]);
    desk.key.has_key = false;
    assert_int_equal(take(&sealed), MM_ERR_UNAVAILABLE);
    desk.key.has_key = true;
    assert_int_equal(take(&sealed), MM_OK);
    assert_true(desk.control.signed_only);
    assert_false(desk.relay_closed[0]);
}

static void test_control_takes_each_command_once_and_in_order(void **state) {
    (void)state;
    sealed_t lock = seal(MM_COMMAND_LOCK, 0, NULL);
    sealed_t unlock = seal(MM_COMMAND_UNLOCK, 0, NULL);
    assert_int_equal(take(&unlock), MM_OK);
    assert_int_equal(take(&lock), MM_OK); // passed over
    assert_int_equal(take(&unlock), MM_OK);
    control_reboot(true);
    assert_int_equal(take(&lock), MM_OK);
    assert_int_equal(take(&unlock), MM_OK);
    hq_collect();
    assert_int_equal(count_answers(unlock.id, NULL), 1);
    assert_int_equal(count_answers(lock.id, NULL), 0);
    assert_int_equal(counted(MM_COUNTER_COMMAND_REPEATED), 2); // since the boot
    assert_true(desk.relay_closed[0]);
}

static void test_control_judges_expiry_with_a_known_clock(void **state) {
    (void)state;
    sealed_t late = seal_raw(MM_COMMAND_LOCK, 0, NULL, 0, (uint64_t)(world.t_us / US) - 1);
    assert_int_equal(take(&late), MM_OK);
    assert_int_equal(answer_of(late.id)->status, MM_RESULT_EXPIRED);
    sealed_t timely = seal_raw(MM_COMMAND_LOCK, 0, NULL, 0, (uint64_t)(world.t_us / US));
    assert_int_equal(take(&timely), MM_OK);
    assert_int_equal(answer_of(timely.id)->status, MM_RESULT_DONE);
    control_reboot(true); // no clock
    sealed_t waiting = seal_raw(MM_COMMAND_UNLOCK, 0, NULL, 0, (uint64_t)(world.t_us / US) + 1000);
    assert_int_equal(take(&waiting), MM_ERR_BUSY);
    assert_int_equal(counted(MM_COUNTER_COMMAND_WAITING), 1);
    assert_false(desk.relay_closed[0]);
    control_sync();
    assert_int_equal(take(&waiting), MM_OK);
    assert_int_equal(answer_of(waiting.id)->status, MM_RESULT_DONE);
    assert_true(desk.relay_closed[0]);
}

static void test_control_refuses_channels_and_bodies(void **state) {
    (void)state;
    assert_int_equal(status_of_raw(MM_COMMAND_LOCK, MM_COMMAND_WHOLE_NODE, NULL, 0), MM_RESULT_BAD_CHANNEL);
    assert_int_equal(status_of_raw(MM_COMMAND_REBOOT, 0, NULL, 0), MM_RESULT_BAD_CHANNEL);
    assert_int_equal(status_of_raw(MM_COMMAND_LOCK, 0, "x", 1), MM_RESULT_BAD_BODY);
    assert_int_equal(status_of_raw(MM_COMMAND_KIND_COUNT, 0, NULL, 0), MM_RESULT_UNSUPPORTED);
    assert_int_equal(status_of_raw(0xFF, MM_COMMAND_WHOLE_NODE, NULL, 0), MM_RESULT_UNSUPPORTED);
    mm_command_body_t out_of_use = {.update = {.has_id = true}};
    assert_int_equal(status_of(MM_COMMAND_UPDATE, 0, &out_of_use), MM_RESULT_DONE);
    assert_int_equal(status_of(MM_COMMAND_LOCK, 0, NULL), MM_RESULT_BAD_CHANNEL);
    assert_int_equal(desk.control.counter, desk.next_counter); // each took its counter
    assert_int_equal(mm_control_take_emergency(&desk.control, 0, desk_now()), MM_ERR_ARG);
    assert_int_equal(type(0, "123456789").verdict, MM_TYPED_NO_METER);
    assert_int_equal(type(MM_CHANNELS, "123456789").verdict, MM_TYPED_NO_METER);
    mm_control_set_tamper(&desk.control, 0, true, desk_now());
    control_poll();
    assert_int_equal(count_events(MM_EVENT_TAMPER), 0); // there is no meter
    control_reboot(true);
    control_poll();
    assert_false(desk.relay_told[0]); // nor a relay
    assert_true(desk.relay_told[1]);
}

static void test_control_without_key_relay_and_platform(void **state) {
    (void)state;
    desk_without_relay = true;
    desk_without_actions = true;
    control_reboot(true);
    control_sync();
    assert_int_equal(status_of(MM_COMMAND_LOCK, 0, NULL), MM_RESULT_DONE);
    assert_int_equal(desk.control.credits[0].relay_reasons, MM_RELAY_LOCKED);
    mm_control_report_t report;
    mm_control_report(&desk.control, desk_now(), &report);
    assert_false(report.meters[0].relay_closed);
    mm_command_body_t seconds = {.seconds = {.seconds = 5}};
    mm_command_body_t url = {.ota_url = {.url = "https://hq.example/f.bin"}};
    mm_command_body_t network = {.network = {.ssid = "House", .password = "12345678"}};
    assert_int_equal(status_of(MM_COMMAND_DISPLAY_ON, MM_COMMAND_WHOLE_NODE, &seconds), MM_RESULT_UNSUPPORTED);
    assert_int_equal(status_of(MM_COMMAND_FIND, MM_COMMAND_WHOLE_NODE, &seconds), MM_RESULT_UNSUPPORTED);
    assert_int_equal(status_of(MM_COMMAND_OTA_URL, MM_COMMAND_WHOLE_NODE, &url), MM_RESULT_UNSUPPORTED);
    assert_int_equal(status_of(MM_COMMAND_OTA_START, MM_COMMAND_WHOLE_NODE, NULL), MM_RESULT_UNSUPPORTED);
    assert_int_equal(status_of(MM_COMMAND_NETWORK, MM_COMMAND_WHOLE_NODE, &network), MM_RESULT_UNSUPPORTED);
    assert_int_equal(status_of(MM_COMMAND_REBOOT, MM_COMMAND_WHOLE_NODE, NULL), MM_RESULT_UNSUPPORTED);
    assert_int_equal(status_of(MM_COMMAND_READ_LOG, MM_COMMAND_WHOLE_NODE, NULL), MM_RESULT_UNSUPPORTED);
    desk.key.has_key = false;
    assert_int_equal(type(0, "123456789").verdict, MM_TYPED_NO_KEY);
    mm_token_series_t series;
    assert_int_equal(mm_control_token_series(NULL, 1, 0, &series), MM_ERR_UNAVAILABLE);
    desk.key.has_key = true;
    static const mm_actions_t none = {0};
    mm_control_open(&desk.control, &desk.options, &world.metering, &desk_crypto, &desk_relay, &none, &world.counters,
                    NULL, desk_now());
    assert_int_equal(status_of(MM_COMMAND_DISPLAY_ON, MM_COMMAND_WHOLE_NODE, &seconds), MM_RESULT_UNSUPPORTED);
    static const mm_actions_t half = {.stage = action_stage};
    desk.control.actions = &half;
    assert_int_equal(status_of(MM_COMMAND_NETWORK, MM_COMMAND_WHOLE_NODE, &network), MM_RESULT_UNSUPPORTED);
    desk.control.actions = &none;
    assert_int_equal(status_of(MM_COMMAND_BROKER, MM_COMMAND_WHOLE_NODE,
                               &(mm_command_body_t){.broker = {.url = "mqtts://b.example"}}),
                     MM_RESULT_UNSUPPORTED);
    assert_int_equal(status_of(MM_COMMAND_REBOOT, MM_COMMAND_WHOLE_NODE, NULL), MM_RESULT_UNSUPPORTED);
    assert_int_equal(status_of(MM_COMMAND_READ_LOG, MM_COMMAND_WHOLE_NODE, NULL), MM_RESULT_UNSUPPORTED);
}

// Storage.

static void test_control_takes_nothing_without_storage(void **state) {
    (void)state;
    sealed_t lock = seal(MM_COMMAND_LOCK, 0, NULL);
    refuse_storage();
    assert_int_equal(take(&lock), MM_ERR_BUSY);
    assert_true(desk.relay_closed[0]);
    mend_storage();
    assert_int_equal(take(&lock), MM_OK);
    assert_int_equal(answer_of(lock.id)->status, MM_RESULT_DONE);
    // A journal that refused a record: it is in the image; the next command waits for it.
    world.spare_registers = true;
    refuse_storage();
    sealed_t unlock = seal(MM_COMMAND_UNLOCK, 0, NULL);
    assert_int_equal(take(&unlock), MM_OK);
    assert_int_equal(world.metering.pending_type, MM_RECORD_RESULT);
    assert_false(desk.relay_closed[0]); // its event cannot be stored
    sealed_t again = seal(MM_COMMAND_LOCK, 1, NULL);
    assert_int_equal(take(&again), MM_ERR_BUSY);
    assert_int_equal(mm_control_take_emergency(&desk.control, 0, desk_now()), MM_ERR_STORAGE);
    assert_int_equal(type(0, "123456789").verdict, MM_TYPED_STORAGE);
    mend_storage();
    control_run_s(15);
    assert_true(desk.relay_closed[0]);
    assert_int_equal(answer_of(unlock.id)->status, MM_RESULT_DONE);
    assert_int_equal(take(&again), MM_OK);
    assert_int_equal(answer_of(again.id)->status, MM_RESULT_DONE);
}

// A store that is silent at the start may hold the state: nothing is taken, and no relay moves, until the next start.
static void test_control_leaves_everything_alone_while_its_state_is_not_known(void **state) {
    (void)state;
    (void)command(MM_COMMAND_LOCK, 1, NULL);
    hq_collect();
    world.spare_journal = true;
    refuse_storage();
    control_reboot(true);
    mend_storage();
    assert_false(desk.control.usable);
    control_run_s(60);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        assert_false(desk.relay_told[channel]);
    }
    sealed_t sealed = seal(MM_COMMAND_LOCK, 0, NULL);
    assert_int_equal(take(&sealed), MM_ERR_BUSY);
    assert_int_equal(type(0, "123456789").verdict, MM_TYPED_STORAGE);
    assert_int_equal(mm_control_take_emergency(&desk.control, 0, desk_now()), MM_ERR_STORAGE);
    mm_control_set_tamper(&desk.control, 0, true, desk_now());
    mm_control_report_t report;
    mm_control_report(&desk.control, desk_now(), &report);
    assert_int_equal(report.era, 0);
    control_reboot(true);
    assert_true(desk.control.usable);
    assert_int_equal(desk.control.era, desk.options.new_era);
    assert_int_equal(count_events(MM_EVENT_CREDIT_ERA), 1);
    assert_false(desk.relay_closed[1]);
    assert_int_equal(take(&sealed), MM_OK);
}

// A virgin node whose storage comes later begins its era then.
static void test_control_begins_its_era_when_storage_comes(void **state) {
    (void)state;
    memset(&desk, 0, sizeof desk);
    desk.key = test_crypto_key(0);
    desk.options = (mm_control_options_t){.mac = NODE_MAC, .token_unit_wh = UNIT_WH, .new_era = 77};
    world_init(CONTROL_BEGIN_S, true);
    refuse_storage();
    assert_int_equal(world_open(), MM_OK);
    control_open();
    assert_false(desk.control.usable);
    mm_us_t deadline = mm_control_poll(&desk.control, desk_now());
    assert_int_equal(deadline, desk_now() + MM_CONTROL_RETRY_S * US);
    mend_storage();
    control_run_s(30);
    assert_true(desk.control.usable);
    assert_int_equal(event_of(MM_EVENT_CREDIT_ERA, 0)->values[0], 77);
    assert_int_equal(count_events(MM_EVENT_CREDIT_ERA), 1);
}

// Registers that are lost as a whole take the state with them: nothing that was used works again.
static void test_control_begins_another_era_when_the_registers_are_lost(void **state) {
    (void)state;
    (void)make_prepaid(0, true);
    sealed_t credit = seal_credit(0, 2, 5000);
    char digits[MM_TOKEN_DIGITS_MAX + 1];
    make_token(0, MM_TOKEN_ADD, 5, 4, digits);
    assert_int_equal(take(&credit), MM_OK);
    hq_collect();
    memset(world.fram, 0, sizeof world.fram);
    desk.options.new_era = 0xE2A0002;
    control_reboot(true);
    control_sync();
    assert_int_equal(desk.control.era, 0xE2A0002);
    assert_int_equal(event_of(MM_EVENT_CREDIT_ERA, 1)->values[0], 0xE2A0002);
    assert_int_equal(event_of(MM_EVENT_CREDIT_ERA, 1)->values[1], 1);
    assert_int_equal(take(&credit), MM_ERR_ARG);
    assert_int_equal(counted(MM_COUNTER_COMMAND_FOREIGN), 1);
    (void)make_prepaid(0, false);
    desk.next_counter = 1;
    (void)make_prepaid(0, true);
    assert_int_equal(type(0, digits).verdict, MM_TYPED_WRONG);
    assert_int_equal(balance_of(0), 0);
}

// What the platform does.

static void test_control_acts_through_the_platform(void **state) {
    (void)state;
    mm_command_body_t seconds = {.seconds = {.seconds = 45}};
    mm_command_body_t url = {.ota_url = {.url = "https://hq.example/f.bin"}};
    assert_int_equal(status_of(MM_COMMAND_DISPLAY_ON, MM_COMMAND_WHOLE_NODE, &seconds), MM_RESULT_DONE);
    assert_int_equal(desk.seconds, 45);
    assert_int_equal(status_of(MM_COMMAND_FIND, MM_COMMAND_WHOLE_NODE, &seconds), MM_RESULT_DONE);
    assert_int_equal(status_of(MM_COMMAND_OTA_URL, MM_COMMAND_WHOLE_NODE, &url), MM_RESULT_DONE);
    assert_int_equal(status_of(MM_COMMAND_OTA_START, MM_COMMAND_WHOLE_NODE, NULL), MM_RESULT_DONE);
    assert_int_equal(desk.action_count, 4);
    static const struct {
        mm_err_t result;
        mm_result_status_t status;
    } refusals[] = {{MM_ERR_ARG, MM_RESULT_BAD_BODY},
                    {MM_ERR_UNAVAILABLE, MM_RESULT_UNSUPPORTED},
                    {MM_ERR_STORAGE, MM_RESULT_FAILED}};
    for (size_t i = 0; i < 3; i++) {
        desk.action_result = refusals[i].result;
        assert_int_equal(status_of(MM_COMMAND_OTA_START, MM_COMMAND_WHOLE_NODE, NULL), refusals[i].status);
    }
    assert_int_equal(count_actions(ACTION_OTA_START), 4);
    const mm_result_record_t *log = answer_of(command(MM_COMMAND_READ_LOG, MM_COMMAND_WHOLE_NODE, NULL));
    assert_int_equal(log->detail_bytes, 9);
    assert_memory_equal(log->detail, "last line", 9);
}

// The command is stored as being acted on; then the power fails, or the answer cannot be stored.
static void test_control_answers_what_a_restart_interrupted(void **state) {
    (void)state;
    sealed_t start = seal(MM_COMMAND_OTA_START, MM_COMMAND_WHOLE_NODE, NULL);
    world_t before_world = world;
    desk_t before_desk = desk;
    assert_int_equal(take(&start), MM_OK);
    uint32_t calls = world.call_count - before_world.call_count;
    bool interrupted = false;
    for (uint32_t call = 0; call < calls; call++) {
        world = before_world;
        desk = before_desk;
        world.fail_from_call = world.call_count + call;
        world.fail_to_call = NEVER;
        bool taken = take(&start) == MM_OK;
        bool acting = desk.control.acting_kind == MM_COMMAND_OTA_START;
        assert_int_equal(count_actions(ACTION_OTA_START), taken ? 1 : 0);
        mend_storage();
        if (acting && call % 2 == 0) {
            control_run_s(15); // tried again, with what the platform said
            assert_int_equal(answer_of(start.id)->status, MM_RESULT_DONE);
        } else if (acting) {
            control_reboot(true);
            control_poll();
            control_run_s(15);
            // The device may have kept the answer that it refused.
            uint8_t status = answer_of(start.id)->status;
            assert_true(status == MM_RESULT_FAILED || status == MM_RESULT_DONE);
            interrupted = interrupted || status == MM_RESULT_FAILED;
        }
        assert_int_equal(take(&start), MM_OK);
        control_run_s(15);
        (void)answer_of(start.id);
        assert_int_equal(count_actions(ACTION_OTA_START), 1);
    }
    assert_true(interrupted);
}

// HQ sends a command once more if a later counter is taken and there is no answer: so none is, until the answer is
// stored.
static void test_control_takes_nothing_before_an_answer_is_stored(void **state) {
    (void)state;
    sealed_t start = seal(MM_COMMAND_OTA_START, MM_COMMAND_WHOLE_NODE, NULL);
    sealed_t lock = seal(MM_COMMAND_LOCK, 0, NULL);
    world_t before_world = world;
    desk_t before_desk = desk;
    assert_int_equal(take(&start), MM_OK);
    uint32_t calls = world.call_count - before_world.call_count;
    bool unanswered = false;
    for (uint32_t call = 0; call < calls; call++) {
        world = before_world;
        desk = before_desk;
        world.fail_from_call = world.call_count + call;
        world.fail_to_call = NEVER;
        bool taken = take(&start) == MM_OK;
        mend_storage();
        if (!taken || desk.control.acting_kind == MM_COMMAND_NONE) {
            continue;
        }
        unanswered = true;
        uint32_t counter = desk.control.counter;
        mm_control_report_t report;
        assert_int_equal(take(&lock), MM_ERR_BUSY);
        mm_control_report(&desk.control, desk_now(), &report);
        assert_int_equal(report.counter, counter);
        control_run_s(15);
        assert_int_equal(answer_of(start.id)->status, MM_RESULT_DONE);
        assert_int_equal(take(&lock), MM_OK);
        assert_int_equal(answer_of(lock.id)->status, MM_RESULT_DONE);
    }
    assert_true(unanswered);
}

static void test_control_reboots_after_its_answer_is_durable(void **state) {
    (void)state;
    uint64_t id = command(MM_COMMAND_REBOOT, MM_COMMAND_WHOLE_NODE, NULL);
    assert_int_equal(desk.action_count, 0);
    control_poll();
    assert_int_equal(count_actions(ACTION_REBOOT), 1);
    control_reboot(true);
    control_poll();
    assert_int_equal(answer_of(id)->status, MM_RESULT_DONE);
    assert_int_equal(count_actions(ACTION_REBOOT), 1);
}

static void test_control_tells_the_owner_of_sessions_and_slots(void **state) {
    (void)state;
    assert_int_equal(status_of(MM_COMMAND_SEND_NOW, MM_COMMAND_WHOLE_NODE, NULL), MM_RESULT_DONE);
    assert_true(desk.control.send_now);
    mm_command_body_t plan = {.slot_plan = {.slot = 17, .slot_count = 100}};
    uint64_t id = command(MM_COMMAND_SLOT_PLAN, MM_COMMAND_WHOLE_NODE, &plan);
    assert_true(desk.control.plan_changed);
    mm_command_body_t kept;
    const mm_result_record_t *result = answer_of(id);
    assert_int_equal(mm_command_body_read(MM_COMMAND_SLOT_PLAN, result->detail, result->detail_bytes, &kept), MM_OK);
    assert_int_equal(kept.slot_plan.slot, 17);
    desk.options.slot_count_min = 200;
    control_reboot(true);
    assert_false(desk.control.send_now);
    assert_false(desk.control.plan_changed);
    mm_control_report_t report;
    mm_control_report(&desk.control, desk_now(), &report);
    assert_int_equal(report.slot, 17);
    assert_int_equal(report.slot_count, 100);
    assert_true(report.signed_only);
    assert_int_equal(report.counter, 2);
    assert_int_equal(status_of(MM_COMMAND_SLOT_PLAN, MM_COMMAND_WHOLE_NODE, &plan), MM_RESULT_BAD_BODY);
    assert_int_equal(desk.control.slots.slot_count, 100);
}

// Trials.

static sealed_t seal_broker(void) {
    mm_command_body_t body = {.broker = {.url = "mqtts://other.example:8883", .user = "u", .password = "p"}};
    return seal(MM_COMMAND_BROKER, MM_COMMAND_WHOLE_NODE, &body);
}

static void test_control_keeps_a_configuration_that_proves_itself(void **state) {
    (void)state;
    sealed_t broker = seal_broker();
    assert_int_equal(take(&broker), MM_OK);
    hq_collect();
    assert_int_equal(count_trying(broker.id), 1);
    assert_int_equal(count_answers(broker.id, NULL), 0);
    assert_int_equal(count_actions(ACTION_STAGE), 1);
    assert_true(mm_control_is_on_trial(&desk.control));
    // Others that need the platform wait for the end of the trial.
    mm_command_body_t seconds = {.seconds = {.seconds = 5}};
    assert_int_equal(status_of(MM_COMMAND_FIND, MM_COMMAND_WHOLE_NODE, &seconds), MM_RESULT_STATE);
    sealed_t second = seal_broker();
    assert_int_equal(take(&second), MM_OK);
    assert_int_equal(answer_of(second.id)->status, MM_RESULT_STATE);
    control_run_s(100);
    mm_control_on_session(&desk.control, false, desk_now());
    assert_true(mm_control_is_on_trial(&desk.control));
    desk.settle_result = MM_ERR_STORAGE;
    mm_control_on_session(&desk.control, true, desk_now());
    assert_true(mm_control_is_on_trial(&desk.control));
    desk.settle_result = MM_OK;
    mm_control_on_session(&desk.control, true, desk_now());
    assert_false(mm_control_is_on_trial(&desk.control));
    assert_int_equal(count_actions(ACTION_KEEP), 1);
    assert_int_equal(answer_of(broker.id)->status, MM_RESULT_DONE);
    assert_int_equal(count_trying(broker.id), 1);
    mm_control_on_session(&desk.control, true, desk_now());
    control_run_s(MM_CONTROL_TRIAL_S);
    assert_int_equal(count_actions(ACTION_KEEP), 1);
    assert_int_equal(count_actions(ACTION_ROLL_BACK), 0);
}

// One that HQ has sealed, too, but that is not the one: it gets nobody's answer.
static void test_control_answers_no_other_again(void **state) {
    (void)state;
    sealed_t before = seal(MM_COMMAND_LOCK, 0, NULL);
    sealed_t broker = seal_broker();
    assert_int_equal(take(&before), MM_OK);
    assert_int_equal(take(&broker), MM_OK);
    mm_control_on_session(&desk.control, true, desk_now());
    assert_int_equal(answer_of(broker.id)->status, MM_RESULT_DONE);
    control_run_s(MM_CONTROL_REPEAT_S + 1);
    // The same counter under another number, as from a database that was restored; and the same number twice.
    desk.next_counter--;
    sealed_t other = seal_broker();
    desk.next_counter -= 2;
    desk.next_command_id = broker.id - 1;
    sealed_t lower = seal_broker();
    assert_int_equal(lower.id, broker.id);
    assert_int_equal(take(&other), MM_OK);
    assert_int_equal(take(&lower), MM_OK);
    hq_collect();
    assert_int_equal(count_answers(other.id, NULL), 0);
    assert_int_equal(count_answers(broker.id, NULL), 1);
}

// HQ has lost the answer and asks with the same command: it is answered again, seldom, and not done again.
static void test_control_answers_a_trial_again(void **state) {
    (void)state;
    sealed_t broker = seal_broker();
    assert_int_equal(take(&broker), MM_OK);
    control_run_s(MM_CONTROL_REPEAT_S + 60);
    assert_int_equal(take(&broker), MM_OK);
    hq_collect();
    assert_int_equal(count_answers(broker.id, NULL), 0); // it is still on trial
    mm_control_on_session(&desk.control, true, desk_now());
    assert_int_equal(take(&broker), MM_OK);
    assert_int_equal(answer_of(broker.id)->status, MM_RESULT_DONE); // one: its record is on the way
    for (uint32_t repeats = 1; repeats <= MM_CONTROL_REPEATS_MAX + 2; repeats++) {
        const mm_record_t *last = NULL;
        uint32_t wanted = 1 + (repeats < MM_CONTROL_REPEATS_MAX ? repeats : MM_CONTROL_REPEATS_MAX);
        control_run_s(MM_CONTROL_REPEAT_S + 1);
        assert_int_equal(take(&broker), MM_OK);
        assert_int_equal(take(&broker), MM_OK);
        hq_collect();
        assert_int_equal(count_answers(broker.id, &last), wanted);
        assert_int_equal(last->result.status, MM_RESULT_DONE);
        assert_int_equal(last->result.kind, MM_COMMAND_BROKER);
    }
    // After a start, too; but not what a later one has put out of memory, and nothing that needs no platform.
    control_reboot(true);
    control_run_s(MM_CONTROL_REPEAT_S + 1);
    assert_int_equal(take(&broker), MM_OK);
    hq_collect();
    assert_int_equal(count_answers(broker.id, NULL), 2 + MM_CONTROL_REPEATS_MAX);
    sealed_t lock = seal(MM_COMMAND_LOCK, 0, NULL);
    sealed_t second = seal_broker();
    assert_int_equal(take(&lock), MM_OK);
    assert_int_equal(take(&second), MM_OK);
    control_run_s(MM_CONTROL_TRIAL_S + MM_CONTROL_REPEAT_S + 60);
    assert_int_equal(take(&broker), MM_OK);
    assert_int_equal(take(&lock), MM_OK);
    assert_int_equal(take(&second), MM_OK);
    hq_collect();
    assert_int_equal(count_answers(broker.id, NULL), 2 + MM_CONTROL_REPEATS_MAX);
    assert_int_equal(count_answers(lock.id, NULL), 1);
    const mm_record_t *last = NULL;
    assert_int_equal(count_answers(second.id, &last), 2);
    assert_int_equal(last->result.status, MM_RESULT_FAILED);
    assert_int_equal(count_actions(ACTION_STAGE), 2);
}

static void test_control_rolls_back_a_configuration_that_does_not(void **state) {
    (void)state;
    mm_command_body_t body = {.network = {.ssid = "House 2", .password = "12345678"}};
    uint64_t id = command(MM_COMMAND_NETWORK, MM_COMMAND_WHOLE_NODE, &body);
    control_run_s(MM_CONTROL_TRIAL_S - 60);
    assert_int_equal(count_actions(ACTION_ROLL_BACK), 0);
    desk.settle_result = MM_ERR_STORAGE;
    control_run_s(90);
    assert_true(mm_control_is_on_trial(&desk.control));
    mm_control_on_session(&desk.control, true, desk_now()); // too late
    desk.settle_result = MM_OK;
    control_run_s(15);
    assert_int_equal(count_actions(ACTION_ROLL_BACK), 1);
    assert_int_equal(count_actions(ACTION_KEEP), 0);
    assert_int_equal(answer_of(id)->status, MM_RESULT_FAILED);
    // One that the platform does not even take is answered at once.
    desk.action_result = MM_ERR_ARG;
    id = command(MM_COMMAND_NETWORK, MM_COMMAND_WHOLE_NODE, &body);
    assert_int_equal(answer_of(id)->status, MM_RESULT_BAD_BODY);
}

static void test_control_restart_ends_a_trial(void **state) {
    (void)state;
    sealed_t broker = seal_broker();
    assert_int_equal(take(&broker), MM_OK);
    control_reboot(true);
    mm_control_on_session(&desk.control, true, desk_now()); // with the configuration before
    control_poll();
    assert_int_equal(count_actions(ACTION_ROLL_BACK), 1);
    assert_int_equal(answer_of(broker.id)->status, MM_RESULT_FAILED);
    // Kept by the platform, and then the answer could not be stored: it says so later.
    broker = seal_broker();
    assert_int_equal(take(&broker), MM_OK);
    refuse_storage();
    mm_control_on_session(&desk.control, true, desk_now());
    mend_storage();
    control_run_s(15);
    assert_int_equal(count_actions(ACTION_KEEP), 1);
    assert_int_equal(count_actions(ACTION_ROLL_BACK), 1);
    assert_int_equal(answer_of(broker.id)->status, MM_RESULT_DONE);
    // Without a platform any more.
    broker = seal_broker();
    assert_int_equal(take(&broker), MM_OK);
    desk_without_actions = true;
    control_reboot(true);
    control_poll();
    assert_int_equal(answer_of(broker.id)->status, MM_RESULT_FAILED);
}

// Meters.

static void test_control_updates_a_meter_and_archives_what_was(void **state) {
    (void)state;
    control_run_s(600);
    uint64_t life_pulses = world.metering.registers.channels[1].life_pulses;
    uint32_t month_pulses = world.metering.registers.channels[1].month_pulses;
    mm_command_body_t body = {.update = {.has_id = true,
                                         .has_pulse_constant = true,
                                         .has_start_wh = true,
                                         .has_life_pulses = true,
                                         .id = "B1",
                                         .pulse_constant = 800,
                                         .start_wh = 123456,
                                         .life_pulses = 4000}};
    uint64_t id = command(MM_COMMAND_UPDATE, 1, &body);
    const mm_result_record_t *result = answer_of(id);
    assert_int_equal(result->status, MM_RESULT_DONE);
    mm_archive_detail_t archive;
    assert_int_equal(mm_archive_detail_read(result->detail, result->detail_bytes, &archive), MM_OK);
    assert_string_equal(archive.before.id, "A1");
    assert_int_equal(archive.before.pulse_constant, 1000);
    assert_int_equal(archive.before.start_wh, 5000);
    assert_int_equal(archive.before.life_pulses, life_pulses);
    assert_int_equal(archive.month_pulses, month_pulses);
    assert_int_equal(archive.year_month, 2024 * 12 + 5);
    assert_string_equal(archive.after.id, "B1");
    assert_int_equal(archive.after.pulse_constant, 800);
    assert_int_equal(archive.after.start_wh, 123456);
    assert_int_equal(archive.after.life_pulses, 4000);
    mm_snapshot_t snapshot;
    mm_metering_snapshot(&world.metering, desk_now(), &snapshot);
    assert_string_equal(snapshot.meters[1].id, "B1");
    assert_int_equal(snapshot.meters[1].life_pulses, 4000);
    control_reboot(true);
    assert_string_equal(world.metering.options.meters[1].id, "B1");
    assert_in_range(world.metering.registers.channels[1].life_pulses, 4000, 4002);
    // Only what is said changes; and nothing that cannot be.
    body = (mm_command_body_t){.update = {.has_start_wh = true, .start_wh = 7}};
    assert_int_equal(status_of(MM_COMMAND_UPDATE, 1, &body), MM_RESULT_DONE);
    assert_int_equal(world.metering.options.meters[1].start_wh, 7);
    assert_int_equal(world.metering.options.meters[1].pulse_constant, 800);
    body = (mm_command_body_t){.update = {.has_id = true, .id = "A2"}};
    assert_int_equal(status_of(MM_COMMAND_UPDATE, 1, &body), MM_RESULT_BAD_BODY);
    assert_string_equal(world.metering.options.meters[1].id, "B1");
    body = (mm_command_body_t){.update = {.has_id = true}};
    assert_int_equal(status_of(MM_COMMAND_UPDATE, 1, &body), MM_RESULT_DONE);
    assert_string_equal(world.metering.options.meters[1].id, "");
    body = (mm_command_body_t){.update = {.has_id = true, .id = "B1"}}; // without a pulse constant
    assert_int_equal(status_of(MM_COMMAND_UPDATE, 1, &body), MM_RESULT_BAD_BODY);
}

static void test_control_erases_a_meter(void **state) {
    (void)state;
    control_run_s(600);
    uint32_t hour_pulses = world.metering.registers.channels[4].hours_pulses[11];
    assert_true(hour_pulses > 0);
    uint64_t id = command(MM_COMMAND_ERASE, 4, NULL);
    const mm_result_record_t *result = answer_of(id);
    mm_archive_detail_t archive;
    assert_int_equal(mm_archive_detail_read(result->detail, result->detail_bytes, &archive), MM_OK);
    assert_true(archive.hours_pulses[11] >= hour_pulses);
    assert_int_equal(archive.after.life_pulses, 0);
    assert_string_equal(archive.after.id, "A4");
    assert_int_equal(world.metering.registers.channels[4].life_pulses, 0);
    assert_int_equal(world.metering.registers.channels[4].month_pulses, 0);
    // The configuration of the node goes on to count.
    strcpy(world.options.meters[4].id, "C4");
    control_reboot(true);
    assert_string_equal(world.metering.options.meters[4].id, "C4");
}

static void test_control_reads_a_meter(void **state) {
    (void)state;
    (void)make_prepaid(3, true);
    sealed_t credit = seal_credit(3, 2, 40000);
    assert_int_equal(take(&credit), MM_OK);
    (void)set_limits(3, 50000, 2000, 0x800001, 0x41);
    control_run_s(300);
    const mm_result_record_t *result = answer_of(command(MM_COMMAND_READ_METER, 3, NULL));
    mm_meter_detail_t detail;
    assert_int_equal(mm_meter_detail_read(result->detail, result->detail_bytes, &detail), MM_OK);
    assert_string_equal(detail.now.id, "A3");
    assert_int_equal(detail.now.life_pulses, truth_at(3, world.t_us));
    assert_true(detail.relay_closed && detail.prepaid && detail.low && !detail.emergency_taken);
    assert_int_equal(detail.balance_wh, balance_of(3));
    assert_int_equal(detail.applied_wh, 40000);
    assert_int_equal(detail.token_count, 2);
    assert_int_equal(detail.warning_wh, 50000);
    assert_int_equal(detail.emergency_wh, 2000);
    assert_int_equal(detail.quiet_hours, 0x800001);
    assert_int_equal(detail.quiet_days, 0x41);
    result = answer_of(command(MM_COMMAND_READ_METER, 4, NULL));
    assert_int_equal(mm_meter_detail_read(result->detail, result->detail_bytes, &detail), MM_OK);
    assert_false(detail.prepaid || detail.low);
}

// FORMAT.

static uint64_t format(uint32_t code) {
    mm_command_body_t body = {.format = {.code = code}};
    return command(MM_COMMAND_FORMAT, MM_COMMAND_WHOLE_NODE, &body);
}

static uint32_t ask_format_code(void) {
    const mm_result_record_t *result = answer_of(format(0));
    uint32_t code;
    assert_int_equal(result->status, MM_RESULT_DONE);
    assert_int_equal(mm_format_detail_read(result->detail, result->detail_bytes, &code), MM_OK);
    assert_true(code != 0);
    return code;
}

static void test_control_formats_in_two_steps(void **state) {
    (void)state;
    control_run_s(600);
    assert_int_equal(answer_of(format(4711))->status, MM_RESULT_STATE); // nobody asked
    uint32_t code = ask_format_code();
    assert_int_equal(answer_of(format(code ^ 2))->status, MM_RESULT_STATE);
    control_run_s(MM_CONTROL_FORMAT_S + 10);
    assert_int_equal(answer_of(format(code))->status, MM_RESULT_STATE); // void by now
    code = ask_format_code();
    control_reboot(true);
    control_sync();
    assert_int_equal(answer_of(format(code))->status, MM_RESULT_STATE); // the restart, too
    code = ask_format_code();
    sealed_t broker = seal_broker();
    assert_int_equal(take(&broker), MM_OK);
    assert_int_equal(answer_of(format(code))->status, MM_RESULT_STATE); // a trial is under way
    mm_control_on_session(&desk.control, true, desk_now());
    uint64_t id = format(code);
    mm_command_body_t seconds = {.seconds = {.seconds = 5}};
    assert_int_equal(status_of(MM_COMMAND_FIND, MM_COMMAND_WHOLE_NODE, &seconds), MM_RESULT_STATE);
    // Interrupted in the middle: each meter is archived once all the same.
    (void)mm_control_poll(&desk.control, desk_now());
    (void)mm_control_poll(&desk.control, desk_now());
    control_reboot(true);
    refuse_storage();
    (void)mm_control_poll(&desk.control, desk_now());
    world.spare_registers = true; // the journal still does not work
    control_run_s(25);
    mend_storage();
    control_run_s(25);
    assert_int_equal(answer_of(id)->status, MM_RESULT_DONE);
    assert_int_equal(count_trying(id), 1 + MM_CHANNELS);
    uint8_t channels = 0;
    for (uint32_t i = 0; i < world.hq_count; i++) {
        const mm_result_record_t *result = &hq_records[i].record.result;
        if (hq_records[i].type == MM_RECORD_RESULT && result->command_id == id && result->channel < MM_CHANNELS) {
            mm_archive_detail_t archive;
            assert_int_equal(mm_archive_detail_read(result->detail, result->detail_bytes, &archive), MM_OK);
            assert_true(archive.before.life_pulses > 100);
            assert_int_equal(archive.after.life_pulses, 0);
            channels |= (uint8_t)(1u << result->channel);
        }
    }
    assert_int_equal(channels, 0xFF);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        assert_true(world.metering.registers.channels[channel].life_pulses < 20);
    }
    assert_int_equal(answer_of(format(code))->status, MM_RESULT_STATE);
    assert_int_equal(desk.control.era, desk.options.new_era);
}

// Tamper contacts.

static void test_control_follows_a_tamper_contact(void **state) {
    (void)state;
    desk.options.tamper_open[5] = true;
    control_reboot(true);
    mm_control_set_tamper(&desk.control, 5, true, desk_now());
    mm_control_set_tamper(&desk.control, 6, true, desk_now());
    assert_false(desk.relay_closed[5]);
    assert_true(desk.relay_closed[6]); // only reported
    assert_int_equal(count_events(MM_EVENT_TAMPER), 2);
    assert_int_equal(event_of(MM_EVENT_TAMPER, 0)->values[0], 5);
    assert_int_equal(event_of(MM_EVENT_TAMPER, 0)->values[1], 1);
    assert_int_equal(event_of(MM_EVENT_SUPPLY_CUT, 0)->values[1], MM_RELAY_TAMPER);
    (void)command(MM_COMMAND_LOCK, 5, NULL);
    assert_int_equal(event_of(MM_EVENT_RELAY_REASONS, 0)->values[1], MM_RELAY_TAMPER | MM_RELAY_LOCKED);
    control_reboot(true);
    control_poll();
    assert_false(desk.relay_closed[5]); // until the contact is known
    mm_control_set_tamper(&desk.control, 5, false, desk_now());
    assert_int_equal(event_of(MM_EVENT_RELAY_REASONS, 1)->values[1], MM_RELAY_LOCKED);
    assert_false(desk.relay_closed[5]);
    (void)command(MM_COMMAND_UNLOCK, 5, NULL);
    assert_true(desk.relay_closed[5]);
    // An event that cannot be stored is told later, and opens the relay all the same.
    refuse_storage();
    mm_control_set_tamper(&desk.control, 5, true, desk_now());
    assert_false(desk.relay_closed[5]);
    mend_storage();
    control_run_s(15);
    assert_int_equal(event_of(MM_EVENT_TAMPER, 3)->values[1], 1);
    expect_assert_failure(mm_control_set_tamper(&desk.control, MM_CHANNELS, true, desk_now()));
}

// Relays that refuse.

static void test_control_tells_a_relay_again(void **state) {
    (void)state;
    desk.relay_fails = true;
    (void)command(MM_COMMAND_LOCK, 0, NULL);
    assert_int_equal(counted(MM_COUNTER_RELAY_ERROR), 1);
    control_run_s(5);
    assert_int_equal(counted(MM_COUNTER_RELAY_ERROR), 1);
    control_run_s(10);
    assert_int_equal(counted(MM_COUNTER_RELAY_ERROR), 2);
    desk.relay_fails = false;
    control_run_s(10);
    assert_false(desk.relay_closed[0]);
    assert_int_equal(counted(MM_COUNTER_RELAY_ERROR), 2);
    // Another order does not wait for the one that was refused.
    (void)command(MM_COMMAND_LOCK, 1, NULL);
    (void)command(MM_COMMAND_UNLOCK, 1, NULL);
    control_run_s(15);
    desk.relay_fails = true;
    mm_control_set_tamper(&desk.control, 1, true, desk_now());
    desk.control.options.tamper_open[1] = true;
    mm_control_set_tamper(&desk.control, 1, true, desk_now());
    assert_true(desk.relay_closed[1]);
    desk.relay_fails = false;
    desk.control.retry_at = desk_now(); // storage is well
    desk.control.relay_refused |= 2;
    mm_control_set_tamper(&desk.control, 1, false, desk_now());
    assert_true(desk.relay_closed[1]);
    assert_int_equal(desk.control.relay_refused & 2, 0);
    desk.control.options.tamper_open[1] = false;
    // At a start, too: none is forgotten because another one refused.
    (void)command(MM_COMMAND_LOCK, 7, NULL);
    desk.relay_fails = true;
    control_reboot(true);
    assert_int_equal(counted(MM_COUNTER_RELAY_ERROR), MM_CHANNELS);
    desk.relay_fails = false;
    control_run_s(11);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        assert_true(desk.relay_told[channel]);
        assert_int_equal(desk.relay_closed[channel], channel != 0 && channel != 7);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_control_begins_an_era, setup),
        cmocka_unit_test(test_control_has_names),
        cmocka_unit_test_setup(test_control_locks_and_unlocks, setup),
        cmocka_unit_test_setup(test_control_refuses_what_is_not_authentic, setup),
        cmocka_unit_test_setup(test_control_takes_each_command_once_and_in_order, setup),
        cmocka_unit_test_setup(test_control_judges_expiry_with_a_known_clock, setup),
        cmocka_unit_test_setup(test_control_refuses_channels_and_bodies, setup),
        cmocka_unit_test_setup(test_control_without_key_relay_and_platform, setup),
        cmocka_unit_test_setup(test_control_takes_nothing_without_storage, setup),
        cmocka_unit_test_setup(test_control_leaves_everything_alone_while_its_state_is_not_known, setup),
        cmocka_unit_test_setup(test_control_begins_its_era_when_storage_comes, setup),
        cmocka_unit_test_setup(test_control_begins_another_era_when_the_registers_are_lost, setup),
        cmocka_unit_test_setup(test_control_acts_through_the_platform, setup),
        cmocka_unit_test_setup(test_control_answers_what_a_restart_interrupted, setup),
        cmocka_unit_test_setup(test_control_takes_nothing_before_an_answer_is_stored, setup),
        cmocka_unit_test_setup(test_control_reboots_after_its_answer_is_durable, setup),
        cmocka_unit_test_setup(test_control_tells_the_owner_of_sessions_and_slots, setup),
        cmocka_unit_test_setup(test_control_keeps_a_configuration_that_proves_itself, setup),
        cmocka_unit_test_setup(test_control_answers_a_trial_again, setup),
        cmocka_unit_test_setup(test_control_answers_no_other_again, setup),
        cmocka_unit_test_setup(test_control_rolls_back_a_configuration_that_does_not, setup),
        cmocka_unit_test_setup(test_control_restart_ends_a_trial, setup),
        cmocka_unit_test_setup(test_control_updates_a_meter_and_archives_what_was, setup),
        cmocka_unit_test_setup(test_control_erases_a_meter, setup),
        cmocka_unit_test_setup(test_control_reads_a_meter, setup),
        cmocka_unit_test_setup(test_control_formats_in_two_steps, setup),
        cmocka_unit_test_setup(test_control_follows_a_tamper_contact, setup),
        cmocka_unit_test_setup(test_control_tells_a_relay_again, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
