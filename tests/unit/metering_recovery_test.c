// SPDX-License-Identifier: Apache-2.0
// What metering makes of storage that does not answer, answers with something old, or with something that is none of
// its own.
#include "meter/metering_internal.h"
#include "metering_world.h"

#define S_PER_DAY 86400
#define REGION_PAGES                                                                                                   \
    (2 * (MM_STORE_HEADER_BYTES + MM_STORE_IMAGE_BYTES_MAX) + 2 * (MM_STORE_HEADER_BYTES + MM_STORE_CELL_BYTES_MAX))

static int64_t utc(int32_t year, uint8_t month, uint8_t day, int hour, int minute, int second) {
    return mm_days_from_civil(year, month, day) * S_PER_DAY + hour * 3600 + minute * 60 + second;
}

static uint16_t tag(int32_t year, int month) {
    return (uint16_t)(year * 12 + month - 1);
}

static int setup(void **state) {
    (void)state;
    world_init(utc(2024, 6, 10, 9, 50, 0), true);
    return 0;
}

static void open_and_sync(void) {
    assert_int_equal(world_open(), MM_OK);
    assert_int_equal(world_set_time(world.t_us, MM_TRUST_SYNCED), MM_OK);
    world_poll();
    hq_collect();
}

static void sync_again(void) {
    assert_int_equal(world_set_time(world.t_us, MM_TRUST_SYNCED), MM_OK);
    world_poll();
    hq_collect();
}

static void run_s(int64_t seconds) {
    world_run(world.t_us + seconds * US, 20 * US);
}

static void refuse_all(bool spare_registers, bool spare_journal) {
    world.spare_registers = spare_registers;
    world.spare_journal = spare_journal;
    world.fail_from_call = world.call_count;
    world.fail_to_call = NEVER;
}

static void refuse_nothing(void) {
    world.fail_to_call = 0;
}

static const mm_channel_registers_t *registers(uint8_t channel) {
    return &world.metering.registers.channels[channel];
}

static uint32_t counted(mm_counter_t counter) {
    return world.counters.values[counter];
}

// The registers' image as it stands in the store, and another in its place.

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

static void write_image(const uint8_t *image, size_t image_bytes, size_t cell_bytes) {
    mm_register_store_t store;
    mm_counters_t counters = {{0}};
    mm_store_state_t state;
    uint8_t old_image[MM_STORE_IMAGE_BYTES_MAX];
    uint8_t cell[MM_STORE_CELL_BYTES_MAX] = {0};
    size_t old_image_bytes;
    size_t old_cell_bytes;
    assert_int_equal(mm_register_store_open(&store, &world.fram_port, NULL, &counters, &state, old_image,
                                            sizeof old_image, &old_image_bytes, cell, sizeof cell, &old_cell_bytes),
                     MM_OK);
    assert_int_equal(mm_register_store_save(&store, image, image_bytes), MM_OK);
    if (cell_bytes != 0) {
        assert_int_equal(mm_register_store_save_cell(&store, cell, cell_bytes), MM_OK);
    }
}

// A store that does not answer may hold good registers: nothing is written over them, and they come back with it. The
// journal tells what was metered meanwhile.
static void test_metering_leaves_a_silent_store_alone(void **state) {
    (void)state;
    world_init(utc(2024, 6, 30, 21, 40, 0), true); // 20 minutes before July
    open_and_sync();
    run_s(200);
    static uint8_t fram_before[MM_STORE_FRAM_BYTES];
    memcpy(fram_before, world.fram, sizeof fram_before);
    refuse_all(false, true);
    world_reboot(US, true);
    refuse_nothing();
    assert_false(world.metering.store_usable);
    sync_again();
    run_s(4000); // an interval of which the image knows more than is counted now, and the end of the month
    assert_memory_equal(world.fram, fram_before, sizeof fram_before);
    uint32_t month_pulses;
    uint32_t hours_pulses[MM_HOURS_OF_DAY];
    assert_int_equal(mm_metering_month(&world.metering, tag(2024, 6), 0, &month_pulses, hours_pulses),
                     MM_ERR_NOT_FOUND);
    assert_int_equal(hq_event(MM_EVENT_REGISTERS_RECOVERED, 0)->values[0], 2);
    uint32_t count;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        assert_non_null(hq_closing(tag(2024, 6), channel, &count)); // without a page, from RAM
        assert_int_equal(count, 1);
    }
    world_reboot(US, true);
    assert_true(world.metering.store_usable);
    assert_int_equal(world.metering.boot_no, 3);
    sync_again();
    run_s(1000);
    assert_life_is_truth();
    uint32_t next_no = 1;
    for (uint32_t i = 0; i < world.hq_count; i++) {
        if (hq_records[i].type == MM_RECORD_INTERVAL) {
            assert_int_equal(hq_records[i].record.interval.interval_no, next_no++);
        }
    }
}

// The registers are lost, and the next start comes before the first pulse: the counters are not counted a second time.
static void test_metering_lost_registers_twice_in_a_second(void **state) {
    (void)state;
    for (int with_fram = 0; with_fram < 2; with_fram++) {
        for (int source_fails = 0; source_fails < 2; source_fails++) {
            world_init(utc(2024, 6, 10, 9, 50, 0), with_fram == 1);
            open_and_sync();
            run_s(3000);
            memset(world.fram, 0xFF, sizeof world.fram);
            memset(world.register_flash, 0xFF, sizeof world.register_flash);
            world.source_fails = source_fails == 1;
            world_reboot(0, true);
            world.source_fails = false;
            world_reboot(0, true);
            for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
                assert_int_equal(registers(channel)->life_pulses, 0);
            }
            int64_t began_us = world.t_us;
            run_s(1000);
            assert_int_equal(registers(0)->life_pulses, truth_at(0, world.t_us) - truth_at(0, began_us));
            world_reboot(0, true);
            assert_int_equal(hq_count_events(MM_EVENT_BOOT), 3);
        }
    }
}

// The registers are lost, and the counters do not answer at the start: when they do, what they had counted before is in
// records already.
static void test_metering_lost_registers_with_a_late_source(void **state) {
    (void)state;
    open_and_sync();
    run_s(3000);
    memset(world.fram, 0xFF, sizeof world.fram);
    world.source_fails = true;
    world_reboot(US, true);
    run_s(5);
    uint64_t truth_before[MM_CHANNELS];
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        truth_before[channel] = truth_at(channel, world.t_us);
    }
    world.source_fails = false;
    run_s(100);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        assert_true(registers(channel)->life_pulses <= truth_at(channel, world.t_us) - truth_before[channel] + 1);
    }
    assert_int_equal(counted(MM_COUNTER_PULSE_COUNTER_RESTARTED), 0);
    // From then on nothing is missing.
    uint64_t life = registers(0)->life_pulses;
    int64_t began_us = world.t_us;
    run_s(2000);
    assert_int_equal(registers(0)->life_pulses - life, truth_at(0, world.t_us) - truth_at(0, began_us));
}

// An image that is whole and makes no sense (of another version, or an error of ours) is as good as none.
static void test_metering_image_that_makes_no_sense_is_lost(void **state) {
    (void)state;
    // Offsets behind version and registers: boot 4, interval 4, generation 4, counts 32, positions 16, closing 3,
    // restarted 1, hour 1, pending type 1 and length 1, payload, meters.
    enum {
        BOOT = 1 + MM_REGISTERS_BYTES,
        INTERVAL_NO = BOOT + 4,
        HOUR = BOOT + 12 + 32 + 16 + 3 + 1,
        PENDING = HOUR + 2
    };
    for (int fault = 0; fault < 9; fault++) {
        world_init(utc(2024, 6, 10, 9, 50, 0), true);
        open_and_sync();
        run_s(3000);
        uint8_t image[MM_STORE_IMAGE_BYTES_MAX];
        size_t image_bytes = read_image(image, sizeof image);
        size_t meters = PENDING + 1u + image[PENDING];
        assert_int_equal(image[meters], 2); // "A0"
        switch (fault) {
        case 0:
            image[0]++; // version
            break;
        case 1:
            memset(image + INTERVAL_NO, 0, 4);
            break;
        case 2:
            image[HOUR] = 24;
            break;
        case 3:
            image[PENDING] = MM_RECORD_PAYLOAD_BYTES_MAX + 1;
            break;
        case 4:
            image[meters] = MM_METER_ID_CHARS_MAX + 1;
            break;
        case 5:
            image[meters + 1] = ' '; // an id that no configuration can have
            break;
        case 6:
            image_bytes--;
            break;
        case 7:
            image[image_bytes++] = 0;
            break;
        default:
            break; // none: this one is good
        }
        write_image(image, image_bytes, 0);
        world_reboot(US, true);
        sync_again();
        assert_int_equal(hq_count_events(MM_EVENT_REGISTERS_RECOVERED), fault == 8 ? 0 : 1);
        if (fault < 8) {
            assert_int_equal(hq_event(MM_EVENT_REGISTERS_RECOVERED, 0)->values[0], 2);
            assert_int_equal(registers(0)->life_pulses, 0);
            assert_int_equal(world.metering.boot_no, 2); // from the journal
        } else {
            assert_life_is_truth();
        }
        run_s(1000);
        assert_true(world.metering.interval_no > 3);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_metering_leaves_a_silent_store_alone, setup),
        cmocka_unit_test_setup(test_metering_lost_registers_twice_in_a_second, setup),
        cmocka_unit_test_setup(test_metering_lost_registers_with_a_late_source, setup),
        cmocka_unit_test_setup(test_metering_image_that_makes_no_sense_is_lost, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
