// SPDX-License-Identifier: Apache-2.0
#include "hq_command_world.h"

#include "dispatcher.h"

typedef struct {
    command_world_t *world;
    mm_dispatcher_t *dispatcher;
    mm_hq_now_t now;
    int published;
    size_t bytes_count;
} dispatching_t;

static void on_publish(void *context, const char *site, const void *bytes, size_t bytes_count) {
    dispatching_t *self = context;
    mm_command_batch_t batch;
    assert_string_equal(site, "home");
    assert_true(bytes_count == 0 || mm_command_batch_read(bytes, bytes_count, &batch) == MM_OK);
    self->published++;
    self->bytes_count = bytes_count;
}

static int setup(void **state) {
    dispatching_t *self = calloc(1, sizeof *self);
    void *world = NULL;
    if (self == NULL || command_world_setup(&world) != 0) {
        return -1;
    }
    self->world = world;
    self->now = (mm_hq_now_t){.monotonic_us = 1000000, .real_us = HQ_UTC_US, .utc_us = HQ_UTC_US};
    self->dispatcher = mm_dispatcher_create(self->world->desk, on_publish, self);
    world_add_node(self->world, 1);
    *state = self;
    return 0;
}

static int teardown(void **state) {
    dispatching_t *self = *state;
    void *world = self->world;
    mm_dispatcher_destroy(self->dispatcher);
    free(self);
    return command_world_teardown(&world);
}

static int poll_at(dispatching_t *self, int64_t later_us) {
    int before = self->published;
    self->now.monotonic_us += later_us;
    self->now.utc_us += later_us;
    mm_dispatcher_poll(self->dispatcher, &self->now);
    return self->published - before;
}

static void test_dispatcher_publishes_changes(void **state) {
    dispatching_t *self = *state;
    assert_int_equal(mm_dispatcher_next_deadline_us(self->dispatcher), 0); // at start it looks
    assert_int_equal(poll_at(self, 0), 0);
    assert_true(mm_dispatcher_next_deadline_us(self->dispatcher) > self->now.monotonic_us);
    world_order(self->world, "r", "M-1", "lock", 5);
    assert_int_equal(poll_at(self, 1000), 0); // nobody has said anything
    mm_dispatcher_wake(self->dispatcher);
    assert_int_equal(poll_at(self, 1000), 1);
    assert_true(self->bytes_count > 0);
    mm_dispatcher_touch(self->dispatcher, "home");
    mm_dispatcher_touch(self->dispatcher, "elsewhere");
    assert_int_equal(poll_at(self, 1000), 0); // nothing new
    world_dispatch(self->world);
    mm_record_t result = world_result(&self->world->commands[0], MM_RESULT_DONE);
    mm_control_report_t control = world_control(101, 1);
    world_report(self->world, 1, 2, &control, 1, &result, 1);
    mm_dispatcher_touch(self->dispatcher, "elsewhere");
    assert_int_equal(poll_at(self, 1000), 0);
    mm_dispatcher_touch(self->dispatcher, "home");
    assert_int_equal(poll_at(self, 1000), 1);
    assert_int_equal(self->bytes_count, 0);
}

// A broker may have lost the message without losing the connection.
static void test_dispatcher_repeats(void **state) {
    dispatching_t *self = *state;
    world_order(self->world, "r", "M-1", "lock", 5);
    assert_int_equal(poll_at(self, 0), 1);
    assert_int_equal(poll_at(self, MM_DISPATCHER_SWEEP_US), 0);
    assert_int_equal(poll_at(self, MM_DISPATCHER_REPEAT_US), 1);
    assert_int_equal(poll_at(self, 1000), 0);
    assert_int_equal(poll_at(self, MM_DISPATCHER_REPEAT_US), 1);
}

static void test_dispatcher_expires_by_itself(void **state) {
    dispatching_t *self = *state;
    int64_t order_id;
    mm_hq_error_t error;
    assert_int_equal(world_try_order(self->world, "r", "M-1", "lock", NULL, 5, HQ_UTC_S + 10, &order_id, &error),
                     MM_DESK_OK);
    assert_int_equal(poll_at(self, 0), 1);
    assert_int_equal(poll_at(self, MM_DISPATCHER_SWEEP_US), 1);
    assert_int_equal(self->bytes_count, 0);
}

// After a start the broker gets what was made last, the blank message, too.
static void test_dispatcher_start(void **state) {
    dispatching_t *self = *state;
    world_order(self->world, "r", "M-1", "lock", 5);
    assert_int_equal(poll_at(self, 0), 1);
    mm_dispatcher_destroy(self->dispatcher);
    self->dispatcher = mm_dispatcher_create(self->world->desk, on_publish, self);
    assert_int_equal(poll_at(self, 0), 2); // what was stored, and once more: its time to repeat
    size_t bytes_count = self->bytes_count;
    assert_true(bytes_count > 0);
    world_dispatch(self->world);
    mm_record_t result = world_result(&self->world->commands[0], MM_RESULT_DONE);
    mm_control_report_t control = world_control(101, 1);
    world_report(self->world, 1, 2, &control, 1, &result, 1);
    world_dispatch(self->world); // cleared, but HQ died before it was published
    mm_dispatcher_destroy(self->dispatcher);
    self->dispatcher = mm_dispatcher_create(self->world->desk, on_publish, self);
    assert_int_equal(poll_at(self, 0), 1);
    assert_int_equal(self->bytes_count, 0);
}

static void ignore_log(void *context, const char *message) {
    (void)context;
    (void)message;
}

// Somebody holds the database: nothing is lost, it is tried again.
static void test_dispatcher_busy_database(void **state) {
    dispatching_t *self = *state;
    mm_hq_log_set_sink(ignore_log, NULL);
    assert_int_equal(poll_at(self, 0), 0);
    world_order(self->world, "r", "M-1", "lock", 5);
    sqlite3_busy_timeout(mmi_desk_db(self->world->desk), 0);
    assert_int_equal(mm_store_begin(self->world->store), MM_STORE_OK);
    mm_dispatcher_wake(self->dispatcher);
    assert_int_equal(poll_at(self, 0), 0);
    assert_int_equal(mm_dispatcher_next_deadline_us(self->dispatcher), self->now.monotonic_us + MM_DISPATCHER_RETRY_US);
    mm_store_rollback(self->world->store);
    assert_int_equal(poll_at(self, 1000), 0); // not yet
    assert_int_equal(poll_at(self, MM_DISPATCHER_RETRY_US), 1);
    mm_hq_log_set_sink(NULL, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_dispatcher_publishes_changes), TEST(test_dispatcher_repeats),
        TEST(test_dispatcher_expires_by_itself), TEST(test_dispatcher_start),
        TEST(test_dispatcher_busy_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
