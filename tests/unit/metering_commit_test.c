// SPDX-License-Identifier: Apache-2.0
// One transaction for the level above: its bytes, a record, and perhaps a meter's change. All of it or nothing,
// whatever the power and the storage do.
#include <stdio.h>

#include "meter/metering_internal.h"
#include "metering_world.h"

#define BEGIN_S INT64_C(1718013000) // 2024-06-10T09:50:00Z
#define NEW_LIFE_PULSES 777000
#define CHANGED 3
#define IMAGES_BYTES                                                                                                   \
    (2 * (MM_STORE_HEADER_BYTES + MM_STORE_IMAGE_BYTES_MAX) + 2 * (MM_STORE_HEADER_BYTES + MM_STORE_CELL_BYTES_MAX))

static const uint8_t old_extension[] = {1, 2, 3, 4, 5};
static uint8_t new_extension[MM_METERING_EXTENSION_BYTES_MAX];
static world_t base;

static mm_record_t event_record(uint16_t code) {
    mm_record_t record = {.type = MM_RECORD_EVENT};
    record.event.code = code;
    record.event.at = mm_metering_label(&world.metering, mono(world.t_us));
    record.event.boot_no = world.metering.boot_no;
    record.event.values[0] = 4711;
    return record;
}

static mm_err_t commit(const void *extension, size_t extension_bytes, uint16_t code, const mm_meter_change_t *change) {
    mm_record_t record = event_record(code);
    const mm_metering_transaction_t transaction = {
        .extension = extension, .extension_bytes = extension_bytes, .record = &record, .change = change};
    return mm_metering_commit(&world.metering, &transaction, mono(world.t_us));
}

static mm_meter_change_t other_meter(void) {
    mm_meter_change_t change = {.channel = CHANGED,
                                .config = {.id = "NEW3", .pulse_constant = 500, .start_wh = 42},
                                .set_life = true,
                                .life_pulses = NEW_LIFE_PULSES,
                                .clear_month = true};
    return change;
}

static mm_err_t commit_new(void) {
    mm_meter_change_t change = other_meter();
    return commit(new_extension, sizeof new_extension, MM_EVENT_ROOT_LOST, &change);
}

static void run_s(int64_t seconds) {
    world_run(world.t_us + seconds * US, 20 * US);
}

static void open_and_sync(void) {
    assert_int_equal(world_open(), MM_OK);
    assert_int_equal(world_set_time(world.t_us, MM_TRUST_SYNCED), MM_OK);
    run_s(300);
}

static void begin(bool with_fram) {
    for (size_t i = 0; i < sizeof new_extension; i++) {
        new_extension[i] = (uint8_t)(i * 7 + 1);
    }
    world_init(BEGIN_S, with_fram);
    open_and_sync();
    assert_int_equal(commit(old_extension, sizeof old_extension, MM_EVENT_ROOT_TAKEN, NULL), MM_OK);
    run_s(40);
}

static int setup(void **state) {
    (void)state;
    begin(true);
    return 0;
}

static bool has_extension(const void *bytes, size_t bytes_count) {
    return world.metering.extension_bytes == bytes_count && memcmp(world.metering.extension, bytes, bytes_count) == 0;
}

// Whether the transaction happened; it asserts that it did so as a whole or not at all.
static bool happened(void) {
    const mm_meter_config_t *meter = &world.metering.options.meters[CHANGED];
    const mm_channel_registers_t *registers = &world.metering.registers.channels[CHANGED];
    bool done = has_extension(new_extension, sizeof new_extension);
    assert_true(done || has_extension(old_extension, sizeof old_extension));
    assert_string_equal(meter->id, done ? "NEW3" : "A3");
    assert_int_equal(meter->pulse_constant, done ? 500 : 1000);
    assert_int_equal(meter->start_wh, done ? 42 : 15000);
    assert_memory_equal(meter, &world.metering.stored_meters[CHANGED], sizeof *meter);
    assert_int_equal(world.metering.commanded_channels, done ? 1 << CHANGED : 0);
    if (done) {
        assert_in_range(registers->life_pulses, NEW_LIFE_PULSES, NEW_LIFE_PULSES + 200);
        assert_true(registers->month_pulses + registers->pending_pulses <= 200);
    } else {
        assert_true(registers->life_pulses < 1000);
    }
    return done;
}

static void assert_whole(bool *done) {
    for (int boot = 0; boot < 2; boot++) {
        run_s(60);
        *done = happened();
        assert_int_equal(world.metering.pending_type, MM_RECORD_NONE);
        assert_int_equal(hq_count_events(MM_EVENT_ROOT_TAKEN), 1);
        assert_int_equal(hq_count_events(MM_EVENT_ROOT_LOST), *done ? 1 : 0);
        world_reboot(US, true);
        assert_int_equal(happened(), *done);
    }
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        if (channel != CHANGED) {
            int64_t read_us = world.metering.last_read_at - 7 * US + world.boot_us;
            assert_int_equal(world.metering.registers.channels[channel].life_pulses, truth_at(channel, read_us));
        }
    }
}

static void test_metering_commit_stores_all_of_it(void **state) {
    (void)state;
    world.t_us += 3 * US;
    assert_int_equal(commit_new(), MM_OK);
    assert_int_equal(world.metering.replay_after.epoch, 0);
    assert_int_equal(world.metering.registers.channels[CHANGED].life_pulses, NEW_LIFE_PULSES);
    assert_int_equal(world.metering.registers.channels[CHANGED].hours_pulses[11], 0);
    // Pulses so far were those of the meter before: they are in an interval of their own.
    assert_int_equal(world.metering.registers.channels[CHANGED].interval_pulses, 0);
    hq_collect();
    assert_int_equal(hq_interval_pulses(CHANGED), truth_at(CHANGED, world.t_us));
    bool done;
    assert_whole(&done);
    assert_true(done);
}

// Reads are counted before the change, and none of them again.
static void test_metering_commit_follows_a_preparation(void **state) {
    (void)state;
    world.t_us += 90 * US;
    assert_int_equal(mm_metering_prepare(&world.metering, mono(world.t_us)), MM_OK);
    assert_int_equal(world.metering.registers.channels[0].life_pulses, truth_at(0, world.t_us));
    uint32_t images = world.store.image_seq;
    assert_int_equal(commit(new_extension, 1, MM_EVENT_ROOT_LOST, NULL), MM_OK);
    assert_int_equal(world.store.image_seq, images + 1);
    assert_true(has_extension(new_extension, 1));
    world.t_us += 90 * US;
    assert_int_equal(commit(new_extension, 2, MM_EVENT_ROOT_LOST, NULL), MM_OK);
    assert_int_equal(world.metering.registers.channels[0].life_pulses, truth_at(0, world.t_us));
    expect_assert_failure(commit(new_extension, MM_METERING_EXTENSION_BYTES_MAX + 1, MM_EVENT_ROOT_LOST, NULL));
}

static void test_metering_commit_refuses_impossible_meters(void **state) {
    (void)state;
    mm_meter_change_t change = other_meter();
    strcpy(change.config.id, "A4"); // another's
    assert_int_equal(commit(new_extension, 1, MM_EVENT_ROOT_LOST, &change), MM_ERR_ARG);
    strcpy(change.config.id, "A B");
    assert_int_equal(commit(new_extension, 1, MM_EVENT_ROOT_LOST, &change), MM_ERR_ARG);
    change = other_meter();
    change.config.pulse_constant = MM_PULSE_CONSTANT_MAX + 1;
    assert_int_equal(commit(new_extension, 1, MM_EVENT_ROOT_LOST, &change), MM_ERR_ARG);
    assert_false(happened());
    change.channel = MM_CHANNELS;
    expect_assert_failure(commit(new_extension, 1, MM_EVENT_ROOT_LOST, &change));
}

static void test_metering_commit_takes_a_meter_out_of_use(void **state) {
    (void)state;
    mm_meter_change_t change = {.channel = CHANGED};
    assert_int_equal(commit(new_extension, sizeof new_extension, MM_EVENT_ROOT_LOST, &change), MM_OK);
    uint64_t life_pulses = world.metering.registers.channels[CHANGED].life_pulses;
    assert_true(life_pulses > 0 && world.metering.registers.channels[CHANGED].month_pulses > 0);
    run_s(100);
    world_reboot(US, true);
    run_s(100);
    assert_int_equal(world.metering.registers.channels[CHANGED].life_pulses, life_pulses);
    assert_string_equal(world.metering.options.meters[CHANGED].id, "");
}

// Only the reading at installation changes: the interval goes on. Pending pulses are part of life, whatever it is.
static void test_metering_commit_changes_single_fields(void **state) {
    (void)state;
    mm_meter_change_t change = {.channel = CHANGED, .config = world.options.meters[CHANGED]};
    change.config.start_wh = 99;
    uint32_t interval_no = world.metering.interval_no;
    assert_int_equal(commit(new_extension, 1, MM_EVENT_ROOT_LOST, &change), MM_OK);
    assert_int_equal(world.metering.interval_no, interval_no);
    change.config.pulse_constant = 2000;
    world.t_us += US;
    assert_int_equal(commit(new_extension, 1, MM_EVENT_ROOT_LOST, &change), MM_OK);
    assert_int_equal(world.metering.interval_no, interval_no + 1);
    world_reboot(200 * US, true);
    run_s(60);
    assert_true(world.metering.registers.channels[CHANGED].pending_pulses > 10);
    change.set_life = true;
    change.life_pulses = 1000;
    assert_int_equal(commit(new_extension, 1, MM_EVENT_ROOT_LOST, &change), MM_OK);
    assert_true(world.metering.registers.channels[CHANGED].pending_pulses > 10);
    change.life_pulses = 4;
    world.t_us += US;
    assert_int_equal(commit(new_extension, 1, MM_EVENT_ROOT_LOST, &change), MM_OK);
    assert_int_equal(world.metering.registers.channels[CHANGED].pending_pulses, 4);
    world_reboot(US, true);
    assert_int_equal(hq_count_events(MM_EVENT_REGISTERS_RECOVERED), 0);
    assert_in_range(world.metering.registers.channels[CHANGED].life_pulses, 4, 6);
}

static void test_metering_commanded_meters_stand_above_the_options(void **state) {
    (void)state;
    assert_int_equal(commit_new(), MM_OK);
    strcpy(world.options.meters[CHANGED].id, "FILE3");
    strcpy(world.options.meters[5].id, "FILE5");
    uint32_t changes = hq_count_events(MM_EVENT_CONFIGURATION);
    world_reboot(US, true);
    run_s(20);
    assert_string_equal(world.metering.options.meters[CHANGED].id, "NEW3");
    assert_string_equal(world.metering.options.meters[5].id, "FILE5");
    assert_int_equal(hq_count_events(MM_EVENT_CONFIGURATION), changes + 1);
    // Options that give the commanded meter's id to another channel are left aside.
    strcpy(world.options.meters[6].id, "NEW3");
    strcpy(world.options.meters[7].id, "FILE7");
    world_reboot(US, true);
    run_s(20);
    assert_string_equal(world.metering.options.meters[CHANGED].id, "NEW3");
    assert_string_equal(world.metering.options.meters[5].id, "FILE5");
    assert_string_equal(world.metering.options.meters[6].id, "A6");
    assert_string_equal(world.metering.options.meters[7].id, "A7");
    assert_int_equal(hq_count_events(MM_EVENT_CONFIGURATION), changes + 1);
}

// The journal is out of order: the record waits in the image, other transactions wait for it.
static void test_metering_commit_with_a_journal_out_of_order(void **state) {
    (void)state;
    world.spare_registers = true;
    world.fail_from_call = world.call_count;
    world.fail_to_call = NEVER;
    assert_int_equal(commit(new_extension, 9, MM_EVENT_ROOT_LOST, NULL), MM_OK);
    assert_int_equal(world.metering.pending_type, MM_RECORD_EVENT);
    assert_int_equal(mm_metering_prepare(&world.metering, mono(world.t_us)), MM_ERR_STORAGE);
    assert_int_equal(commit(old_extension, sizeof old_extension, MM_EVENT_ROOT_TAKEN, NULL), MM_ERR_STORAGE);
    assert_true(has_extension(new_extension, 9));
    assert_int_equal(hq_count_events(MM_EVENT_ROOT_LOST), 0);
    world_reboot(US, true);
    world.fail_to_call = 0;
    run_s(60);
    assert_true(has_extension(new_extension, 9));
    assert_int_equal(hq_count_events(MM_EVENT_ROOT_LOST), 1);
    // A change of the meter ends its interval first, so it needs the journal.
    world.fail_from_call = world.call_count;
    world.fail_to_call = NEVER;
    assert_int_equal(commit_new(), MM_ERR_STORAGE);
    assert_true(has_extension(new_extension, 9));
    assert_string_equal(world.metering.options.meters[CHANGED].id, "A3");
}

// Power cuts.

static void cut_at(uint64_t step, uint64_t second_step, bool *done) {
    world = base;
    operation_count = 0;
    mm_sim_power_cut_after(&world.power, step);
    (void)commit_new();
    assert_true(is_dead());
    world_reboot(US, true);
    if (second_step != UINT64_MAX) {
        world_reboot(US, true); // the first one's bytes are settled
        world = base;
        mm_sim_power_cut_after(&world.power, step);
        (void)commit_new();
        mm_sim_power_up(&world.power);
        mm_sim_power_cut_after(&world.power, second_step);
        world_reboot(US, true);
        if (is_dead()) {
            world_reboot(US, true);
        }
        mm_sim_power_disarm(&world.power);
    }
    assert_whole(done);
}

static uint32_t cut_every_operation(bool with_fram) {
    begin(with_fram);
    base = world;
    operation_count = 0;
    assert_int_equal(commit_new(), MM_OK);
    uint64_t steps = world.power.steps_drawn - base.power.steps_drawn;
    uint32_t operations = operation_count;
    uint64_t *begins = malloc((operations + 1) * sizeof *begins);
    assert_non_null(begins);
    for (uint32_t i = 0; i < operations; i++) {
        begins[i] = operation_begins[i] - base.power.steps_drawn;
    }
    begins[operations] = steps;
    uint32_t whole = 0;
    uint32_t none = 0;
    bool was_done = false;
    for (uint32_t i = 0; i < operations; i++) {
        uint64_t size = begins[i + 1] - begins[i];
        const uint64_t places[] = {0, 1, size / 2, size - 1};
        for (size_t place = 0; place < 4 && (place == 0 || places[place] > places[place - 1]); place++) {
            bool done;
            cut_at(begins[i] + places[place], UINT64_MAX, &done);
            // Once it is durable, it stays so: no later place loses it.
            assert_true(done || !was_done || places[place] > 0);
            was_done = was_done || (place == 0 && done);
            whole += done ? 1 : 0;
            none += done ? 0 : 1;
            cut_at(begins[i] + places[place], (i * 131 + place * 29) % 3000, &done);
        }
    }
    free(begins);
    assert_true(whole > 0 && none > 0);
    return operations;
}

static void test_metering_commit_is_whole_after_a_cut_at_every_operation_fram(void **state) {
    (void)state;
    assert_true(cut_every_operation(true) > 8);
}

static void test_metering_commit_is_whole_after_a_cut_at_every_operation_flash(void **state) {
    (void)state;
    assert_true(cut_every_operation(false) > 20);
}

// Storage that refuses. What was refused is not there, in RAM and after a boot; what is not known is whole.
static void refuse_each(bool with_fram, uint32_t calls, bool spare_registers) {
    begin(with_fram);
    base = world;
    assert_int_equal(commit_new(), MM_OK);
    uint32_t call_count = world.call_count - base.call_count;
    uint32_t refused = 0;
    for (uint32_t call = 0; call < call_count; call++) {
        world = base;
        operation_count = 0;
        world.spare_registers = spare_registers;
        world.fail_from_call = world.call_count + call;
        world.fail_to_call = calls == NEVER ? NEVER : world.fail_from_call + calls;
        mm_err_t err = commit_new();
        assert_true(err == MM_OK || err == MM_ERR_STORAGE);
        assert_int_equal(happened(), err == MM_OK);
        refused += err != MM_OK ? 1 : 0;
        bool superseded = err != MM_OK && !world.metering.unsaved; // the state before is the newest image
        // Events may go to the journal alone meanwhile.
        const uint64_t values[MM_EVENT_VALUES] = {0};
        (void)mm_metering_event(&world.metering, MM_EVENT_HOLD, values, mono(world.t_us));
        world.fail_to_call = 0;
        bool done;
        if (err != MM_OK && call % 2 == 0) {
            run_s(30); // the failed image is superseded
            assert_false(happened());
            hq_collect();
        }
        world_reboot(US, true);
        assert_whole(&done);
        assert_true(done || err != MM_OK);
        assert_false(done && superseded);
        assert_true(!done || err == MM_OK || calls == NEVER || call % 2 != 0);
    }
    assert_true(calls == 1 || refused > 0);
}

static void test_metering_commit_with_single_refusals(void **state) {
    (void)state;
    refuse_each(true, 1, false);
    refuse_each(false, 1, false);
}

static void test_metering_commit_with_lasting_refusals(void **state) {
    (void)state;
    refuse_each(true, NEVER, false);
    refuse_each(true, 60, false);
    refuse_each(false, NEVER, false);
    refuse_each(true, NEVER, true);
}

// Flash that has kept what it refused: the transaction must not come back later, once it was said not to have happened
// and the state before it was stored.
static void test_metering_commit_that_flash_refused_does_not_come_back(void **state) {
    (void)state;
    for (uint64_t good = 0; good < 160; good++) {
        begin(false);
        world.register_device.fail_with_effect = true;
        mm_sim_flash_fail(&world.register_device, MM_SIM_FAIL_PROGRAM, good, 200);
        if (commit_new() == MM_OK) {
            assert_true(happened());
            continue;
        }
        assert_false(happened());
        mm_sim_flash_fail(&world.register_device, 0, 0, 0);
        run_s(30);
        world_reboot(US, true);
        bool done;
        assert_whole(&done);
        assert_false(done);
    }
}

// Images.

static size_t read_image(uint8_t *image, size_t capacity) {
    mm_register_store_t store;
    mm_counters_t counters = {{0}};
    mm_store_state_t state;
    uint8_t cell[MM_STORE_CELL_BYTES_MAX];
    size_t image_bytes;
    size_t cell_bytes;
    assert_int_equal(mm_register_store_open(&store, &world.fram_port, NULL, &counters, &state, image, capacity,
                                            &image_bytes, cell, sizeof cell, &cell_bytes),
                     MM_OK);
    return image_bytes;
}

static void write_image(const uint8_t *image, size_t image_bytes) {
    mm_register_store_t store;
    mm_counters_t counters = {{0}};
    mm_store_state_t state;
    uint8_t old_image[MM_STORE_IMAGE_BYTES_MAX];
    uint8_t cell[MM_STORE_CELL_BYTES_MAX];
    size_t old_image_bytes;
    size_t cell_bytes;
    assert_int_equal(mm_register_store_open(&store, &world.fram_port, NULL, &counters, &state, old_image,
                                            sizeof old_image, &old_image_bytes, cell, sizeof cell, &cell_bytes),
                     MM_OK);
    assert_int_equal(mm_register_store_save(&store, image, image_bytes), MM_OK);
}

#define TAIL_BYTES (1 + 8 + 2)

static void test_metering_opens_an_image_of_version_1(void **state) {
    (void)state;
    uint8_t image[MM_STORE_IMAGE_BYTES_MAX];
    size_t image_bytes = read_image(image, sizeof image);
    assert_int_equal(image[0], 2);
    image[0] = 1;
    write_image(image, image_bytes - TAIL_BYTES - sizeof old_extension);
    uint32_t boot_no = world.metering.boot_no;
    world_reboot(US, true);
    assert_int_equal(world.metering.boot_no, boot_no + 1);
    assert_int_equal(world.metering.opened_as, MM_STORE_LOADED);
    assert_int_equal(world.metering.extension_bytes, 0);
    assert_int_equal(world.metering.commanded_channels, 0);
    assert_int_equal(hq_count_events(MM_EVENT_REGISTERS_RECOVERED), 0);
    assert_life_is_truth();
    image_bytes = read_image(image, sizeof image);
    assert_int_equal(image[0], 2);
}

static void test_metering_refuses_an_impossible_extension(void **state) {
    (void)state;
    for (int fault = 0; fault < 5; fault++) {
        begin(true);
        uint8_t image[MM_STORE_IMAGE_BYTES_MAX];
        size_t image_bytes = read_image(image, sizeof image);
        size_t length = image_bytes - sizeof old_extension - 2;
        switch (fault) {
        case 0:
            image[length]++;
            break;
        case 1:
            image[length]--;
            break;
        case 2:
            image[length + 1] = 0x40;
            break;
        case 3:
            image[0] = 3; // of a later version
            break;
        default:
            image[0] = 1; // without the bytes that follow
            break;
        }
        write_image(image, image_bytes);
        world_reboot(US, true);
        assert_int_equal(world.metering.opened_as, MM_STORE_LOST);
        assert_int_equal(world.metering.extension_bytes, 0);
    }
}

// The newest image is lost: the level above finds the record behind the older one, however often the power fails before
// it has done so.
static bool is_event_behind(mm_position_t after, uint16_t code) {
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry;
    while (mm_journal_read_after(&world.journal, after, &hint, &entry) == MM_OK) {
        after = entry.position;
        mm_record_t record;
        if (mm_record_decode(entry.type, entry.payload, entry.payload_bytes, &record) == MM_OK &&
            record.type == MM_RECORD_EVENT && record.event.code == code) {
            return true;
        }
    }
    return false;
}

static void test_metering_tells_what_to_replay_when_it_fell_back(void **state) {
    (void)state;
    run_s(60);
    static uint8_t images[IMAGES_BYTES];
    memcpy(images, world.fram, sizeof images);
    assert_int_equal(commit_new(), MM_OK);
    memcpy(world.fram, images, sizeof images);
    world_reboot(US, true);
    assert_true(has_extension(old_extension, sizeof old_extension));
    for (int boot = 0; boot < 3; boot++) {
        assert_true(is_event_behind(world.metering.replay_after, MM_EVENT_ROOT_LOST));
        assert_false(is_event_behind(world.metering.replay_after, MM_EVENT_ROOT_TAKEN));
        run_s(1000);
        world_reboot(US, true);
    }
    mm_metering_replayed(&world.metering);
    assert_int_equal(world.metering.replay_after.epoch, 0);
    run_s(1000);
    world_reboot(US, true);
    assert_false(is_event_behind(world.metering.replay_after, MM_EVENT_ROOT_LOST));
}

static void test_metering_says_as_what_it_was_opened(void **state) {
    (void)state;
    assert_int_equal(world.metering.opened_as, MM_STORE_EMPTY);
    world_reboot(US, true);
    assert_int_equal(world.metering.opened_as, MM_STORE_LOADED);
    size_t newest = world.store.image_slot * (size_t)(MM_STORE_HEADER_BYTES + MM_STORE_IMAGE_BYTES_MAX);
    world.fram[newest + 100] ^= 1;
    world_reboot(US, true);
    assert_int_equal(world.metering.opened_as, MM_STORE_FELL_BACK);
    memset(world.fram, 0, sizeof world.fram); // a new chip: only the journal knows that there was something
    world_reboot(US, true);
    assert_int_equal(world.metering.opened_as, MM_STORE_LOST);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_metering_commit_stores_all_of_it, setup),
        cmocka_unit_test_setup(test_metering_commit_follows_a_preparation, setup),
        cmocka_unit_test_setup(test_metering_commit_refuses_impossible_meters, setup),
        cmocka_unit_test_setup(test_metering_commit_takes_a_meter_out_of_use, setup),
        cmocka_unit_test_setup(test_metering_commit_changes_single_fields, setup),
        cmocka_unit_test_setup(test_metering_commanded_meters_stand_above_the_options, setup),
        cmocka_unit_test_setup(test_metering_commit_with_a_journal_out_of_order, setup),
        cmocka_unit_test(test_metering_commit_is_whole_after_a_cut_at_every_operation_fram),
        cmocka_unit_test(test_metering_commit_is_whole_after_a_cut_at_every_operation_flash),
        cmocka_unit_test(test_metering_commit_with_single_refusals),
        cmocka_unit_test(test_metering_commit_with_lasting_refusals),
        cmocka_unit_test(test_metering_commit_that_flash_refused_does_not_come_back),
        cmocka_unit_test_setup(test_metering_opens_an_image_of_version_1, setup),
        cmocka_unit_test(test_metering_refuses_an_impossible_extension),
        cmocka_unit_test_setup(test_metering_tells_what_to_replay_when_it_fell_back, setup),
        cmocka_unit_test_setup(test_metering_says_as_what_it_was_opened, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
