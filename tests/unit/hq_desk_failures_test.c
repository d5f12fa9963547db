// SPDX-License-Identifier: Apache-2.0
#include "hq_command_world.h"

#include "hq_failing_vfs.h"

// Every write, truncation and sync of HQ's desk fails once, between an order and its end. What was refused is tried
// again, by the same desk or by one that was opened anew (HQ has died); in the end there is one order, and each of its
// commands has had one counter.

static void open_desk(command_world_t *world) {
    mm_hq_error_t error;
    world->desk = mm_desk_open(failing_vfs_register(), world->files->database, &error);
    for (int attempt = 0; world->desk == NULL && attempt < 3; attempt++) {
        world->desk = mm_desk_open(failing_vfs_register(), world->files->database, &error);
    }
    assert_non_null(world->desk);
}

// After a failure: nothing of it happened, or (a commit whose end was not heard) all of it.
static void again(command_world_t *world, mm_desk_result_t result, bool dies) {
    assert_int_equal(result, MM_DESK_UNAVAILABLE);
    if (dies) {
        mm_desk_close(world->desk);
        open_desk(world);
    }
}

static void order_once(command_world_t *world, bool dies) {
    int64_t order_id = 0;
    mm_hq_error_t error = {{0}};
    for (;;) {
        mm_desk_result_t result = world_try_order(world, "r", "all", "lock", NULL, 5, 0, &order_id, &error);
        if (result == MM_DESK_OK) {
            break;
        }
        assert_int_equal(order_id, 0);
        again(world, result, dies);
    }
    assert_int_equal(order_id, 1);
}

static void dispatch_once(command_world_t *world, bool dies) {
    mm_hq_error_t error = {{0}};
    for (;;) {
        mm_desk_result_t result = mm_dispatch_site(world->desk, "home", world->now_us, world->bytes,
                                                   &world->bytes_count, &world->changed, &error);
        if (result == MM_DESK_OK) {
            break;
        }
        assert_int_equal(world->bytes_count, 0);
        assert_false(world->changed);
        again(world, result, dies);
    }
    // Once more without a failure: the same message, and opened as the nodes would.
    size_t bytes_count = world->bytes_count;
    world_dispatch(world);
    assert_false(world->changed);
    assert_int_equal(world->bytes_count, bytes_count);
}

// False: the story had fewer calls than that.
static bool run_with_failure(long fail_at, bool dies) {
    void *state = NULL;
    assert_int_equal(command_world_setup(&state), 0);
    command_world_t *world = state;
    world_add_node(world, 1);
    world_add_node(world, 2);
    mm_desk_close(world->desk);
    s_failing = (failing_vfs_t){.countdown = -1, .code = SQLITE_IOERR_WRITE};
    open_desk(world);
    s_failing.countdown = fail_at;
    order_once(world, dies);
    assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM command"), 2);
    dispatch_once(world, dies);
    assert_int_equal(world->batch.count, 2);
    for (uint8_t index = 0; index < 2; index++) {
        assert_int_equal(world->commands[index].counter, 1);
        mm_record_t result = world_result(&world->commands[index], MM_RESULT_DONE);
        mm_control_report_t control = world_control(world->commands[index].era, 1);
        world_report(world, world->commands[index].node.bytes[5], 2, &control, 1, &result, 1);
    }
    dispatch_once(world, dies);
    assert_int_equal(world->bytes_count, 0);
    assert_int_equal(world_count(world, MM_COMMAND_STATE_DONE), 2);
    assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM audit WHERE action = 'order'"), 1);
    assert_int_equal(hq_integer(world->files, "SELECT sum(given) FROM control"), 2);
    hq_check(world->store);
    bool reached = s_failing.failures > 0;
    s_failing.countdown = -1;
    assert_int_equal(command_world_teardown(&state), 0);
    return reached;
}

static void test_desk_every_failing_call(void **state) {
    (void)state;
    for (int dies = 0; dies < 2; dies++) {
        long cases = 0;
        while (run_with_failure(cases, dies != 0)) {
            cases++;
        }
        assert_true(cases >= 10);
        printf("desk: failing_calls=%ld dies=%d\n", cases, dies);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_desk_every_failing_call)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
