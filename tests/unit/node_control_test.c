// SPDX-License-Identifier: Apache-2.0
// Control as a part of the node: commands in asks, the state in reports, tokens at the node, and a node without it.
#include "control_fixture.h"

#include "meshmeter/node.h"

#define ROOT_MAC ((mm_mac_t){{2, 0, 0, 0, 0, 1}})

static mm_node_t node;
static mm_node_options_t options;
static mm_node_ports_t ports;
static uint8_t batch_memory[MM_BATCH_BYTES_MAX];
static uint8_t sent[MM_MESH_FRAME_BYTES_MAX];
static size_t sent_bytes;

static mm_err_t mesh_send(void *context, mm_mac_t to, const void *bytes, size_t bytes_count) {
    (void)context;
    (void)to;
    memcpy(sent, bytes, bytes_count);
    sent_bytes = bytes_count;
    return MM_OK;
}

static mm_err_t mesh_send_to_root(void *context, const void *bytes, size_t bytes_count) {
    return mesh_send(context, ROOT_MAC, bytes, bytes_count);
}

static mm_err_t mqtt_start(void *context, uint32_t session) {
    (void)context;
    (void)session;
    return MM_ERR_BUSY;
}

static mm_err_t mqtt_subscribe(void *context, const char *topic, uint8_t qos, uint16_t *packet_id) {
    (void)context;
    (void)topic;
    (void)qos;
    (void)packet_id;
    return MM_ERR_BUSY;
}

static mm_err_t mqtt_publish(void *context, const char *topic, const void *bytes, size_t bytes_count,
                             uint16_t *packet_id) {
    (void)context;
    (void)topic;
    (void)bytes;
    (void)bytes_count;
    (void)packet_id;
    return MM_ERR_BUSY;
}

static void mqtt_stop(void *context, bool graceful) {
    (void)context;
    (void)graceful;
}

static const mm_mesh_t mesh = {mesh_send, mesh_send_to_root, NULL};
static const mm_mqtt_t mqtt = {mqtt_start, mqtt_subscribe, mqtt_publish, mqtt_stop, NULL};

static void run_s(int64_t seconds) {
    int64_t until_us = world.t_us + seconds * US;
    for (; world.t_us < until_us; world.t_us += US) {
        (void)mm_node_poll(&node, desk_now());
    }
}

static void prepare(void) {
    memset(&desk, 0, sizeof desk);
    desk_without_relay = false;
    desk_without_actions = false;
    on_relay = NULL;
    desk.next_command_id = 1;
    desk.key = test_crypto_key(0);
    desk_crypto = test_crypto(&desk.key);
    desk.options = (mm_control_options_t){.token_unit_wh = UNIT_WH, .new_era = 0xE2A0001};
    world_init(CONTROL_BEGIN_S, true);
    world.boot_us = world.t_us;
    options = (mm_node_options_t){.mac = NODE_MAC,
                                  .site = "house-1",
                                  .metering = world.options,
                                  .control = desk.options,
                                  .timing = mm_timing_default(NODE_MAC),
                                  .journal_sector_count = JOURNAL_SECTORS,
                                  .random_seed = 3};
    ports = (mm_node_ports_t){.pulses = &world.pulses_port,
                              .fram = &world.fram_port,
                              .journal_flash = &world.journal_flash_port,
                              .mesh = &mesh,
                              .mqtt = &mqtt,
                              .crypto = &desk_crypto,
                              .relay = &desk_relay,
                              .actions = &desk_actions,
                              .batch_memory = batch_memory,
                              .batch_capacity = 1};
}

static int setup(void **state) {
    (void)state;
    prepare();
    assert_int_equal(mm_node_init(&node, &options, &ports, desk_now()), MM_OK);
    const mm_mesh_event_t connected = {.kind = MM_MESH_PARENT_CONNECTED, .layer = 2};
    mm_node_on_mesh_event(&node, &connected, desk_now());
    run_s(5);
    return 0;
}

// The root asks, with commands; the answer is in sent.
static void ask(const sealed_t *commands, uint8_t count, uint16_t report_bytes_max) {
    mm_command_batch_t batch = {.database_id = 1, .revision = 1, .count = count};
    for (uint8_t i = 0; i < count; i++) {
        batch.commands[i].bytes = commands[i].bytes;
        batch.commands[i].bytes_count = (uint16_t)commands[i].bytes_count;
        batch.commands[i].node = NODE_MAC;
    }
    const mm_ask_t question = {
        .round_id = 9, .time = {.trust = MM_TRUST_UNSET}, .with_snapshot = true, .report_bytes_max = report_bytes_max};
    uint8_t bytes[MM_MESH_FRAME_BYTES_MAX];
    size_t size = mm_frame_write_ask_with_commands(bytes, sizeof bytes, ROOT_MAC, &question, &batch, NODE_MAC);
    assert_true(size > 0);
    sent_bytes = 0;
    mm_node_on_mesh_frame(&node, ROOT_MAC, bytes, size, desk_now());
}

typedef struct {
    bool has_snapshot;
    bool has_state;
    mm_control_report_t state;
    uint32_t results;
    mm_result_record_t last;
} answer_t;

static answer_t read_answer(void) {
    answer_t answer = {0};
    mm_frame_t frame;
    mm_report_reader_t reader;
    mm_snapshot_t snapshot;
    mm_record_view_t view;
    assert_int_equal(mm_frame_open(sent, sent_bytes, &frame), MM_OK);
    assert_int_equal(mm_report_open(&frame, &reader), MM_OK);
    for (;;) {
        mm_record_t record;
        switch (mm_report_next(&reader, &snapshot, &view)) {
        case MM_REPORT_SNAPSHOT:
            answer.has_snapshot = true;
            break;
        case MM_REPORT_CONTROL:
            answer.has_state = true;
            assert_int_equal(mm_control_report_read(&reader.control, &answer.state), MM_OK);
            break;
        case MM_REPORT_RECORD:
            assert_int_equal(mm_record_decode(view.type, view.payload, view.payload_bytes, &record), MM_OK);
            if (record.type == MM_RECORD_RESULT) {
                answer.results++;
                answer.last = record.result;
            }
            break;
        case MM_REPORT_END:
            return answer;
        default:
            fail();
        }
    }
}

static void test_node_takes_commands_before_it_answers(void **state) {
    (void)state;
    sealed_t commands[2] = {seal(MM_COMMAND_LOCK, 1, NULL), seal(MM_COMMAND_LOCK, 2, NULL)};
    ask(commands, 2, MM_MESH_FRAME_BYTES_MAX);
    answer_t answer = read_answer();
    assert_true(answer.has_snapshot && answer.has_state);
    assert_int_equal(answer.results, 2);
    assert_int_equal(answer.last.command_id, commands[1].id);
    assert_int_equal(answer.state.counter, 2);
    assert_int_equal(answer.state.era, desk.options.new_era);
    assert_int_equal(answer.state.meters[1].relay_reasons, MM_RELAY_LOCKED);
    assert_false(answer.state.meters[1].relay_closed);
    assert_false(desk.relay_closed[2]);
    ask(commands, 2, MM_MESH_FRAME_BYTES_MAX); // brought again
    answer = read_answer();
    assert_int_equal(answer.results, 2); // of the journal: HQ has not committed them
    assert_int_equal(answer.state.counter, 2);
    ask(NULL, 0, 64); // too little for a snapshot
    answer = read_answer();
    assert_true(!answer.has_snapshot && answer.has_state);
    ask(NULL, 0, 32);
    answer = read_answer();
    assert_false(answer.has_snapshot || answer.has_state);
}

// One that must wait keeps those behind it waiting.
static void test_node_keeps_the_order_of_its_commands(void **state) {
    (void)state;
    sealed_t commands[2] = {seal_raw(MM_COMMAND_LOCK, 1, NULL, 0, (uint64_t)(world.t_us / US) + 1000),
                            seal(MM_COMMAND_UNLOCK, 1, NULL)};
    ask(commands, 2, MM_MESH_FRAME_BYTES_MAX); // it has no clock yet
    assert_int_equal(read_answer().state.counter, 0);
    const mm_time_t time = {.utc = {world.t_us}, .trust = MM_TRUST_SYNCED};
    assert_int_equal(mm_node_set_time(&node, time, desk_now()), MM_OK);
    ask(commands, 2, MM_MESH_FRAME_BYTES_MAX);
    assert_int_equal(read_answer().state.counter, 2);
    assert_int_equal(node.counters.values[MM_COUNTER_COMMAND_WAITING], 1);
}

static void test_node_takes_what_people_do_at_it(void **state) {
    (void)state;
    mm_command_body_t mode = {.mode = {.prepaid = true}};
    mm_command_body_t limits = {.limits = {.warning_wh = 100, .emergency_wh = 50}};
    sealed_t commands[2] = {seal(MM_COMMAND_MODE, 0, &mode), seal(MM_COMMAND_LIMITS, 0, &limits)};
    ask(commands, 2, MM_MESH_FRAME_BYTES_MAX);
    assert_false(desk.relay_closed[0]);
    char digits[MM_TOKEN_DIGITS_MAX + 1];
    make_token(0, MM_TOKEN_ADD, 5, 2, digits);
    assert_int_equal(mm_node_take_emergency(&node, 0, desk_now()), MM_OK);
    assert_true(desk.relay_closed[0]);
    mm_typed_answer_t typed = mm_node_type_token(&node, 0, digits, desk_now());
    assert_int_equal(typed.verdict, MM_TYPED_ACCEPTED);
    assert_int_equal(typed.balance_wh, 5000);
    mm_node_set_tamper(&node, 3, true, desk_now());
    assert_int_equal(node.control.tamper_told, 1 << 3);
}

// Supply ends without anybody asking; what cannot be stored is due again in time.
static void test_node_follows_its_meters_by_itself(void **state) {
    (void)state;
    mm_command_body_t mode = {.mode = {.prepaid = true}};
    sealed_t commands[2] = {seal(MM_COMMAND_MODE, 0, &mode), seal_credit(0, 2, 4)};
    ask(commands, 2, MM_MESH_FRAME_BYTES_MAX);
    assert_true(desk.relay_closed[0]);
    run_s(60);
    assert_false(desk.relay_closed[0]);
    world.fail_from_call = world.call_count;
    world.fail_to_call = NEVER;
    world.spare_registers = true;
    sealed_t unlock = seal(MM_COMMAND_UNLOCK, 0, NULL);
    ask(&unlock, 1, MM_MESH_FRAME_BYTES_MAX);
    mm_us_t deadline = mm_node_poll(&node, desk_now());
    assert_true(deadline <= desk_now() + MM_METERING_RETRY_S * US);
    world.fail_to_call = 0;
    run_s(15);
    ask(NULL, 0, MM_MESH_FRAME_BYTES_MAX);
    assert_int_equal(read_answer().last.command_id, unlock.id);
}

// Slots: the cycle must leave room for a round.
static void test_node_refuses_a_plan_without_room_for_a_round(void **state) {
    (void)state;
    mm_command_body_t body = {.slot_plan = {.slot = 1, .slot_count = 5}};
    sealed_t plan = seal(MM_COMMAND_SLOT_PLAN, MM_COMMAND_WHOLE_NODE, &body);
    ask(&plan, 1, MM_MESH_FRAME_BYTES_MAX); // 5 slots of 2 s, and a round of 10 s
    assert_int_equal(read_answer().last.status, MM_RESULT_BAD_BODY);
    body.slot_plan.slot_count = 6;
    plan = seal(MM_COMMAND_SLOT_PLAN, MM_COMMAND_WHOLE_NODE, &body);
    ask(&plan, 1, MM_MESH_FRAME_BYTES_MAX);
    assert_int_equal(read_answer().last.status, MM_RESULT_DONE);
    assert_int_equal(node.control.slots.slot_count, 6);
}

static void test_node_without_control(void **state) {
    (void)state;
    prepare();
    options.control.token_unit_wh = 0;
    assert_int_equal(mm_node_init(&node, &options, &ports, desk_now()), MM_ERR_ARG);
    prepare();
    options.control.new_era = 0;
    assert_int_equal(mm_node_init(&node, &options, &ports, desk_now()), MM_OK);
    const mm_mesh_event_t connected = {.kind = MM_MESH_PARENT_CONNECTED, .layer = 2};
    mm_node_on_mesh_event(&node, &connected, desk_now());
    sealed_t lock = seal(MM_COMMAND_LOCK, 1, NULL);
    ask(&lock, 1, MM_MESH_FRAME_BYTES_MAX);
    answer_t answer = read_answer();
    assert_true(answer.has_snapshot);
    assert_false(answer.has_state);
    assert_int_equal(answer.results, 0);
    assert_int_equal(mm_node_type_token(&node, 0, "123456789", desk_now()).verdict, MM_TYPED_NO_METER);
    assert_int_equal(mm_node_take_emergency(&node, 0, desk_now()), MM_ERR_STATE);
    mm_node_set_tamper(&node, 0, true, desk_now());
    assert_false(desk.relay_told[1]);
    assert_int_equal(node.metering.extension_bytes, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_node_takes_commands_before_it_answers, setup),
        cmocka_unit_test_setup(test_node_keeps_the_order_of_its_commands, setup),
        cmocka_unit_test_setup(test_node_takes_what_people_do_at_it, setup),
        cmocka_unit_test_setup(test_node_follows_its_meters_by_itself, setup),
        cmocka_unit_test_setup(test_node_refuses_a_plan_without_room_for_a_round, setup),
        cmocka_unit_test(test_node_without_control),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
