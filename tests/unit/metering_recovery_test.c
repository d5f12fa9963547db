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

// A cell of another version supplements nothing; the image is good all the same.
static void test_metering_cell_of_another_size_is_ignored(void **state) {
    (void)state;
    open_and_sync();
    run_s(3000);
    uint8_t image[MM_STORE_IMAGE_BYTES_MAX];
    size_t image_bytes = read_image(image, sizeof image);
    write_image(image, image_bytes, MM_STORE_CELL_BYTES_MAX);
    world_reboot(US, true);
    sync_again();
    assert_int_equal(hq_count_events(MM_EVENT_REGISTERS_RECOVERED), 0);
    assert_life_is_truth(); // the counters lived on
}

// Registers that are older than the journal: what was recorded since is filed by replaying it.

typedef struct {
    uint8_t image_slots[REGION_PAGES];
} old_image_t;

static old_image_t s_old_image;

static void keep_image(void) {
    memcpy(s_old_image.image_slots, world.fram, sizeof s_old_image.image_slots);
}

// Images and cells as they were; month pages are as they are.
static void bring_image_back(void) {
    memcpy(world.fram, s_old_image.image_slots, sizeof s_old_image.image_slots);
}

static void test_metering_replays_a_month_that_has_its_page(void **state) {
    (void)state;
    world_init(utc(2024, 6, 30, 21, 40, 0), true);
    open_and_sync();
    run_s(600);
    keep_image();
    run_s(3600); // July began 10 minutes after the image
    uint64_t closed_pulses[MM_CHANNELS];
    uint32_t count;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        closed_pulses[channel] = hq_closing(tag(2024, 6), channel, &count)->life_pulses;
    }
    bring_image_back();
    world_reboot(US, false); // and the counters begin at zero: only the records know
    assert_int_equal(world.metering.closing_year_month, tag(2024, 6));
    assert_int_equal(world.metering.closing_channels, 0);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        assert_int_equal(registers(channel)->life_pulses - registers(channel)->pending_pulses, closed_pulses[channel]);
        assert_int_equal(registers(channel)->life_pulses, hq_interval_pulses(channel));
    }
    sync_again();
    run_s(1000);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        (void)hq_closing(tag(2024, 6), channel, &count);
        assert_int_equal(count, 1);
    }
    assert_consistent();
}

// One of the interval records is damaged: the closing record still knows what the month had.
static void test_metering_closing_record_stands_in_for_a_damaged_interval(void **state) {
    (void)state;
    for (int with_page = 0; with_page < 2; with_page++) {
        world_init(utc(2024, 6, 30, 21, 10, 0), true);
        open_and_sync();
        run_s(60);
        uint8_t pages[sizeof world.fram - REGION_PAGES];
        memcpy(pages, world.fram + REGION_PAGES, sizeof pages);
        keep_image();
        run_s(3600); // July began 49 minutes after the image
        uint32_t count;
        // The record of 21:30, by its payload.
        const hq_record_t *damaged = NULL;
        for (uint32_t i = 0; i < world.hq_count; i++) {
            if (hq_records[i].type == MM_RECORD_INTERVAL &&
                hq_records[i].record.interval.end.seconds == (uint64_t)utc(2024, 6, 30, 21, 30, 0)) {
                damaged = &hq_records[i];
            }
        }
        assert_non_null(damaged);
        uint8_t *place =
            memmem(world.journal_flash, sizeof world.journal_flash, damaged->payload, damaged->payload_bytes);
        assert_non_null(place);
        place[damaged->payload_bytes - 1] ^= 0x40;
        bring_image_back();
        if (with_page == 0) {
            memcpy(world.fram + REGION_PAGES, pages, sizeof pages);
        }
        world_reboot(US, false);
        for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
            uint64_t closed_pulses = hq_closing(tag(2024, 6), channel, &count)->life_pulses;
            assert_int_equal(registers(channel)->life_pulses - registers(channel)->pending_pulses, closed_pulses);
            assert_int_equal(registers(channel)->life_pulses, hq_interval_pulses(channel));
        }
        sync_again();
        run_s(1000);
        for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
            (void)hq_closing(tag(2024, 6), channel, &count);
            assert_int_equal(count, 1);
        }
    }
}

// Two months have ended since the image, and the image knows of neither: what the second one's closing records say is
// no longer pending either, or the third month would have it once more.
static void test_metering_replays_two_months(void **state) {
    (void)state;
    for (int with_pages = 0; with_pages < 2; with_pages++) {
        world_init(utc(2024, 6, 30, 21, 40, 0), true);
        open_and_sync();
        run_s(600);
        uint8_t pages[sizeof world.fram - REGION_PAGES];
        memcpy(pages, world.fram + REGION_PAGES, sizeof pages);
        keep_image();
        run_s(3600);
        assert_int_equal(world_set_time(utc(2024, 8, 2, 12, 0, 0) * US, MM_TRUST_SYNCED), MM_OK);
        run_s(1000);
        int64_t utc_us = utc(2024, 8, 2, 12, 0, 1000) * US;
        bring_image_back();
        if (with_pages == 0) {
            memcpy(world.fram + REGION_PAGES, pages, sizeof pages);
        }
        world_reboot(US, false);
        assert_int_equal(world.metering.closing_year_month, tag(2024, 7));
        uint32_t count;
        for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
            uint64_t closed_pulses = hq_closing(tag(2024, 7), channel, &count)->life_pulses;
            assert_int_equal(registers(channel)->life_pulses - registers(channel)->pending_pulses, closed_pulses);
            assert_int_equal(registers(channel)->life_pulses, hq_interval_pulses(channel));
        }
        assert_int_equal(world_set_time(utc_us, MM_TRUST_SYNCED), MM_OK);
        run_s(1000);
        assert_int_equal(world_set_time(utc(2024, 9, 1, 12, 0, 0) * US, MM_TRUST_SYNCED), MM_OK);
        run_s(1000);
        for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
            for (int month = 6; month <= 8; month++) {
                (void)hq_closing(tag(2024, month), channel, &count);
                assert_int_equal(count, 1);
            }
        }
        assert_consistent();
    }
}

// Registers that are lost have no month to close: closing records that stand in the journal stay what they are.
static void test_metering_lost_registers_close_no_month_again(void **state) {
    (void)state;
    world_init(utc(2024, 6, 30, 21, 40, 0), true);
    open_and_sync();
    run_s(3600);
    memset(world.fram, 0xFF, sizeof world.fram);
    world_reboot(US, true);
    assert_int_equal(world.metering.closing_year_month, 0);
    sync_again();
    run_s(1000);
    uint32_t count;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        (void)hq_closing(tag(2024, 6), channel, &count);
        assert_int_equal(count, 1);
    }
}

// Live for some time while HQ hears nothing, so that nothing is released.
static void run_unheard_s(int64_t seconds) {
    int64_t until_us = world.t_us + seconds * US;
    while (world.t_us < until_us) {
        int64_t deadline_us = world.deadline - 7 * US + world.boot_us;
        int64_t next_us = world.t_us + 300 * US;
        next_us = deadline_us > world.t_us && deadline_us < next_us ? deadline_us : next_us;
        world.t_us = next_us < until_us ? next_us : until_us;
        world_poll();
    }
}

// A full journal has replaced interval records by coarser ones. These are of pulses that any image knows.
static void test_metering_replay_leaves_thinned_records_out(void **state) {
    (void)state;
    open_and_sync();
    run_unheard_s(12 * S_PER_DAY);
    assert_true(counted(MM_COUNTER_JOURNAL_THINNED) > 0);
    keep_image();
    uint32_t thinned = counted(MM_COUNTER_JOURNAL_THINNED);
    run_unheard_s(4 * S_PER_DAY);
    assert_true(counted(MM_COUNTER_JOURNAL_THINNED) > thinned); // there are some to be replayed
    uint32_t interval_no = world.metering.interval_no;
    bring_image_back();
    world_reboot(0, true);
    assert_int_equal(world.metering.interval_no, interval_no);
    assert_life_is_truth();
    // Without registers the numbers still go on, whatever numbers the coarser records repeat.
    memset(world.fram, 0xFF, sizeof world.fram);
    world_reboot(0, true);
    assert_int_equal(world.metering.interval_no, interval_no);
}

// The power fails when the pending record is next and others stand in its place already: the room for it was made by
// thinning, with interval records of its own.
static void test_metering_pending_record_behind_thinned_ones(void **state) {
    (void)state;
    open_and_sync();
    run_unheard_s(8 * S_PER_DAY);
    for (uint32_t thinned = counted(MM_COUNTER_JOURNAL_THINNED); counted(MM_COUNTER_JOURNAL_THINNED) == thinned;) {
        keep_image();
        run_unheard_s(MM_INTERVAL_S);
    }
    // The image is of the boundary before: its interval record is pending, and stands in front of everything else.
    uint32_t interval_no = world.metering.interval_no;
    mm_position_t next = mm_journal_next(&world.journal);
    bring_image_back();
    world_reboot(0, true);
    assert_int_equal(world.metering.interval_no, interval_no);
    assert_int_equal(mm_journal_next(&world.journal).seq, next.seq + 1); // BOOT, and nothing again
    assert_life_is_truth();
}

static void test_metering_replay_passes_over_what_it_does_not_know(void **state) {
    (void)state;
    open_and_sync();
    run_s(1200);
    keep_image();
    run_s(900);
    mm_position_t position;
    assert_int_equal(mm_journal_append(&world.journal, 99, "later", 5, &position), MM_OK);
    assert_int_equal(mm_journal_append(&world.journal, MM_RECORD_INTERVAL, "?", 1, &position), MM_OK);
    run_unheard_s(900);
    uint32_t interval_no = world.metering.interval_no;
    bring_image_back();
    world_reboot(0, true);
    assert_int_equal(world.metering.interval_no, interval_no);
    assert_life_is_truth();
}

static void test_metering_lost_journal_with_nothing_pending(void **state) {
    (void)state;
    world_init(utc(2024, 6, 10, 9, 50, 0), false); // an image every minute
    open_and_sync();
    run_s(800);
    mm_position_t last = world.hq_after;
    memset(world.journal_flash, 0xFF, sizeof world.journal_flash);
    world_reboot(US, true);
    sync_again();
    run_s(1000);
    const mm_event_record_t *restarted = hq_event(MM_EVENT_JOURNAL_RESTARTED, 0);
    assert_non_null(restarted);
    assert_int_equal(restarted->values[0], last.epoch);
    assert_int_equal(restarted->values[1], last.seq);
    assert_life_is_truth();
}

// Registers and journal of different devices, or a journal of a later life: its epoch counts, and it is told.
static void test_metering_lost_registers_and_a_journal_of_another_size(void **state) {
    (void)state;
    open_and_sync();
    run_s(1000);
    memset(world.fram, 0xFF, sizeof world.fram);
    mm_metering_t *metering = &world.metering;
    memset(&world.journal, 0, sizeof world.journal);
    world.boot_us = world.t_us;
    assert_int_equal(mm_metering_open(metering, &world.options, &world.pulses_port, &world.store, &world.fram_port,
                                      NULL, &world.journal, &world.journal_flash_port, JOURNAL_SECTORS - 1,
                                      &world.counters, 3, mono(world.t_us)),
                     MM_OK);
    assert_int_equal(mm_journal_next(&world.journal).epoch, 2);
    world.hq_after = (mm_position_t){2, 0};
    hq_collect();
    const mm_event_record_t *restarted = hq_event(MM_EVENT_JOURNAL_RESTARTED, 0);
    assert_non_null(restarted);
    assert_int_equal(restarted->values[0], 1);
    assert_int_equal(restarted->values[1], 0); // where it ended is not known
}

static void test_metering_start_reading_is_configuration_too(void **state) {
    (void)state;
    open_and_sync();
    uint32_t told = hq_count_events(MM_EVENT_CONFIGURATION);
    world.options.meters[2].start_wh++;
    world_reboot(US, true);
    run_s(10);
    assert_int_equal(hq_count_events(MM_EVENT_CONFIGURATION), told + 1);
    assert_int_equal(hq_event(MM_EVENT_CONFIGURATION, told)->values[0], 2);
    world_reboot(US, true);
    run_s(10);
    assert_int_equal(hq_count_events(MM_EVENT_CONFIGURATION), told + 1);
}

// Storage that refuses for some time.

// The journal does not answer at a boot, and the first images fail too: what is known of its position stays known.
static void test_metering_position_outlives_a_silent_journal(void **state) {
    (void)state;
    world_init(utc(2024, 6, 10, 9, 50, 0), false);
    open_and_sync();
    run_s(3000);
    mm_position_t next = mm_journal_next(&world.journal);
    mm_sim_flash_fail(&world.journal_device, MM_SIM_FAIL_READ | MM_SIM_FAIL_PROGRAM | MM_SIM_FAIL_ERASE, 0, UINT64_MAX);
    mm_sim_flash_fail(&world.register_device, MM_SIM_FAIL_PROGRAM, 0, UINT64_MAX);
    world_reboot(US, true);
    assert_int_equal(mm_journal_next(&world.journal).epoch, 0);
    mm_sim_flash_fail(&world.register_device, 0, 0, 0);
    run_unheard_s(100); // images without a record
    assert_int_equal(world.metering.pending_type, MM_RECORD_NONE);
    assert_int_equal(world.metering.unsaved, false);
    mm_sim_flash_fail(&world.journal_device, 0, 0, 0);
    world_reboot(US, true);
    assert_int_equal(mm_journal_next(&world.journal).epoch, next.epoch);
    assert_true(mm_journal_next(&world.journal).seq > next.seq);
    sync_again();
    run_s(1000);
    assert_int_equal(hq_count_events(MM_EVENT_JOURNAL_RESTARTED), 0);
    assert_life_is_truth();
}

// A short save period does not become a storm of attempts.
static void test_metering_refused_images_are_tried_every_ten_seconds(void **state) {
    (void)state;
    world_init(utc(2024, 6, 10, 9, 50, 0), false);
    world.options.save_period_s = 1;
    open_and_sync();
    run_s(30);
    mm_sim_flash_fail(&world.register_device, MM_SIM_FAIL_PROGRAM, 0, UINT64_MAX);
    run_s(1); // the last good save makes way
    uint32_t attempts = 0;
    int64_t until_us = world.t_us + 100 * US;
    while (world.t_us < until_us) {
        mm_us_t due_at = world.metering.save_due_at;
        run_s(1);
        attempts += world.metering.save_due_at != due_at ? 1 : 0;
    }
    assert_in_range(attempts, 9, 11);
    mm_sim_flash_fail(&world.register_device, 0, 0, 0);
    run_s(11);
    world_reboot(0, true);
    assert_life_is_truth();
}

// A virgin node whose first images are refused counts in RAM, and saves when it can.
static void test_metering_virgin_store_that_refuses_at_first(void **state) {
    (void)state;
    mm_sim_fram_fail(&world.fram_device, MM_SIM_FAIL_FRAM_WRITE, 0, UINT64_MAX);
    open_and_sync();
    assert_false(world.metering.image_exists);
    run_s(100);
    assert_life_is_truth();
    mm_sim_fram_fail(&world.fram_device, 0, 0, 0);
    run_s(100);
    assert_true(world.metering.image_exists);
    world_reboot(US, true);
    assert_int_equal(world.metering.boot_no, 2);
    assert_life_is_truth();
}

static void test_metering_hold_waits_for_the_journal(void **state) {
    (void)state;
    open_and_sync();
    run_s(100);
    refuse_all(true, false);
    run_s(900); // an interval is pending
    mm_metering_hold(&world.metering);
    run_s(100);
    assert_false(mm_metering_is_held(&world.metering));
    refuse_nothing();
    run_s(20);
    assert_true(mm_metering_is_held(&world.metering));
    assert_int_equal(hq_count_events(MM_EVENT_HOLD), 1);
    assert_int_equal(hq_interval_pulses(0), registers(0)->life_pulses - registers(0)->interval_pulses);
    assert_life_is_truth();
}

// Months.

// Whoever has no meter gets no closing record.
static void test_metering_closes_configured_channels_only(void **state) {
    (void)state;
    world_init(utc(2024, 6, 30, 21, 40, 0), true);
    world.options.meters[3] = (mm_meter_config_t){0};
    open_and_sync();
    run_s(3600);
    uint32_t count;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        (void)hq_closing(tag(2024, 6), channel, &count);
        assert_int_equal(count, channel == 3 ? 0 : 1);
    }
    assert_int_equal(counted(MM_COUNTER_RECORD_REFUSED), 0);
}

static void test_metering_page_that_makes_no_sense_is_none(void **state) {
    (void)state;
    world_init(utc(2024, 6, 30, 21, 40, 0), true);
    open_and_sync();
    run_s(3600);
    uint8_t page[MM_STORE_PAGE_BYTES_MAX + 1] = {0};
    size_t page_bytes;
    uint8_t page_index = (uint8_t)(tag(2024, 6) % MM_STORE_PAGES);
    uint32_t month_pulses;
    uint32_t hours_pulses[MM_HOURS_OF_DAY];
    assert_int_equal(mm_register_store_load_page(&world.store, page_index, page, sizeof page, &page_bytes), MM_OK);
    const struct {
        uint8_t version;
        size_t bytes;
        mm_err_t err;
    } cases[] = {{page[0], page_bytes, MM_OK},
                 {(uint8_t)(page[0] + 1), page_bytes, MM_ERR_NOT_FOUND},
                 {page[0], page_bytes - 1, MM_ERR_NOT_FOUND}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        page[0] = cases[i].version;
        assert_int_equal(mm_register_store_save_page(&world.store, page_index, page, cases[i].bytes), MM_OK);
        assert_int_equal(mm_metering_month(&world.metering, tag(2024, 6), 0, &month_pulses, hours_pulses),
                         cases[i].err);
    }
    assert_int_equal(mm_metering_month(&world.metering, tag(2023, 6), 0, &month_pulses, hours_pulses),
                     MM_ERR_NOT_FOUND); // the same place, another year
    assert_int_equal(mm_metering_month(&world.metering, tag(2024, 7), 0, &month_pulses, hours_pulses),
                     MM_ERR_NOT_FOUND); // still in progress
}

// Two months end while the journal takes nothing. What closes the first cannot wait for ever: it is given up and
// counted, and the second is closed when the journal is back.
static void test_metering_two_months_end_while_the_journal_refuses(void **state) {
    (void)state;
    world_init(utc(2024, 6, 30, 21, 40, 0), true);
    open_and_sync();
    run_s(60);
    refuse_all(true, false);
    run_s(3600);
    uint32_t refused = counted(MM_COUNTER_RECORD_REFUSED);
    assert_int_equal(world.metering.closing_year_month, tag(2024, 6));
    assert_int_equal(world_set_time(utc(2024, 8, 2, 12, 0, 0) * US, MM_TRUST_SYNCED), MM_OK);
    assert_int_equal(world.metering.closing_year_month, tag(2024, 7));
    assert_true(counted(MM_COUNTER_RECORD_REFUSED) >= refused + MM_CHANNELS);
    refuse_nothing();
    run_s(100);
    uint32_t count;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        (void)hq_closing(tag(2024, 6), channel, &count);
        assert_int_equal(count, 0);
        assert_non_null(hq_closing(tag(2024, 7), channel, &count));
        assert_int_equal(count, 1);
    }
    assert_life_is_truth();
}

// A month cannot end because storage keeps nothing of it, and then the clock steps back into it. It has begun to be
// closed, so nothing is added to it: pulses are pending until another month comes.
static void test_metering_clock_steps_back_into_a_month_that_is_ending(void **state) {
    (void)state;
    world_init(utc(2024, 6, 30, 21, 40, 0), true);
    open_and_sync();
    run_s(60);
    refuse_all(false, false);
    run_s(3600);
    assert_int_equal(world.metering.registers.year_month, tag(2024, 6));
    uint32_t month_pulses = registers(0)->month_pulses;
    uint64_t pending_pulses = registers(0)->pending_pulses;
    assert_true(pending_pulses > 0);
    assert_int_equal(world_set_time(utc(2024, 6, 20, 12, 0, 0) * US, MM_TRUST_SYNCED), MM_OK);
    refuse_nothing();
    run_s(3600);
    assert_int_equal(registers(0)->month_pulses, month_pulses);
    assert_true(registers(0)->pending_pulses > pending_pulses);
    assert_true(world.deadline - mono(world.t_us) <= 10 * US); // it tries again
    assert_life_is_truth();
    uint32_t count;
    assert_int_equal(hq_closing(tag(2024, 6), 0, &count)->month_pulses, month_pulses);
    assert_int_equal(count, 1);
    assert_int_equal(world_set_time(utc(2024, 7, 1, 12, 0, 0) * US, MM_TRUST_SYNCED), MM_OK);
    run_s(60);
    assert_int_equal(world.metering.registers.year_month, tag(2024, 7));
    assert_int_equal(registers(0)->pending_pulses, 0);
    assert_consistent();
    (void)hq_closing(tag(2024, 6), 0, &count);
    assert_int_equal(count, 1);
}

// A month that could not begin begins at the next full hour, because storage is back by then: what was pending is filed
// at once, not after the next start.
static void test_metering_stuck_month_begins_at_the_hour(void **state) {
    (void)state;
    world_init(utc(2024, 6, 30, 21, 40, 0), true);
    open_and_sync();
    refuse_all(false, false);
    int64_t hour_us = utc(2024, 6, 30, 23, 0, 0) * US;
    world_run(hour_us - 2 * US, 20 * US);
    assert_true(world.metering.month_retry_at >= mono(hour_us)); // it tries every ten seconds
    uint64_t pending_pulses = registers(0)->pending_pulses;
    assert_true(pending_pulses > 0);
    refuse_nothing();
    world_run(hour_us, US);
    assert_int_equal(world.metering.registers.year_month, tag(2024, 7));
    assert_int_equal(registers(0)->pending_pulses, 0);
    assert_true(registers(0)->hours_pulses[1] >= pending_pulses); // 01:00 in Berlin
    world_reboot(0, false);
    assert_int_equal(registers(0)->pending_pulses, 0); // and is in the image
    sync_again();
    run_s(1000);
    assert_consistent();
}

// Time.

// Where the local hour does not begin with a quarter of UTC: hours and intervals pass independently.
static void test_metering_hours_of_an_odd_zone(void **state) {
    (void)state;
    world_init(utc(2024, 6, 10, 9, 50, 0), true);
    strcpy(world.options.tz, "LMT-0:53:28"); // Berlin before 1893
    open_and_sync();
    assert_int_equal(world.metering.hour, 10); // 10:43:28
    run_s(16 * 60 + 31);
    assert_int_equal(world.metering.hour, 10); // 10:59:59
    uint32_t hour_pulses = registers(0)->hours_pulses[10];
    assert_int_equal(hour_pulses, registers(0)->month_pulses);
    run_s(1);
    assert_int_equal(world.metering.hour, 11);
    run_s(600);
    assert_true(registers(0)->hours_pulses[10] - hour_pulses <= 1);
    assert_true(registers(0)->hours_pulses[11] > 50);
    assert_int_equal(hq_interval(2)->end.seconds, utc(2024, 6, 10, 10, 15, 0));
    assert_int_equal(hq_interval(2)->duration_s, MM_INTERVAL_S);
    assert_life_is_truth();
}

// The clock steps to just before a boundary, and a small correction puts the boundary before that step; the counters do
// not answer all the while. No interval has a duration below zero, and no pulse is missing afterwards.
static void test_metering_boundary_before_the_interval_began(void **state) {
    (void)state;
    open_and_sync();
    run_s(100);
    world.source_fails = true;
    run_s(50);
    assert_int_equal(world_set_time(utc(2024, 6, 10, 12, 14, 59) * US, MM_TRUST_SYNCED), MM_OK);
    int64_t stepped_us = world.t_us;
    world_poll();
    assert_int_equal(world_set_time(utc(2024, 6, 10, 12, 15, 1) * US, MM_TRUST_SYNCED), MM_OK);
    world_poll();
    assert_int_equal(world.t_us, stepped_us);
    run_s(10);
    world.source_fails = false;
    run_s(1000);
    for (uint32_t i = 0; i < world.hq_count; i++) {
        if (hq_records[i].type == MM_RECORD_INTERVAL) {
            assert_in_range(hq_records[i].record.interval.duration_s, 0, MM_INTERVAL_S);
        }
    }
    assert_consistent();
    assert_life_is_truth();
}

// Registers and journal share a chip that is silent at one start and answers again a moment later: the node looked
// virgin, and its journal has everything. What its counter with a battery shows is in there already.
static void test_metering_registers_and_journal_silent_at_one_start(void **state) {
    (void)state;
    for (int with_fram = 0; with_fram < 2; with_fram++) {
        world_init(utc(2024, 6, 10, 21, 50, 0), with_fram == 1);
        open_and_sync();
        for (int day = 0; day < 5; day++) {
            run_s(S_PER_DAY);
            sync_again();
        }
        refuse_all(false, false);
        world.t_us += US;
        assert_int_equal(world_open(), MM_OK);
        refuse_nothing();
        assert_true(world.journal.read_only);
        sync_again();
        run_s(3600);
        world_reboot(US, true);
        sync_again();
        run_s(3600);
        hq_collect();
        for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
            uint64_t made = world.options.meters[channel].id[0] == '\0' ? 0 : truth_at(channel, world.t_us);
            assert_true(hq_interval_pulses(channel) + registers(channel)->interval_pulses <= made);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_metering_leaves_a_silent_store_alone, setup),
        cmocka_unit_test_setup(test_metering_lost_registers_twice_in_a_second, setup),
        cmocka_unit_test_setup(test_metering_lost_registers_with_a_late_source, setup),
        cmocka_unit_test_setup(test_metering_image_that_makes_no_sense_is_lost, setup),
        cmocka_unit_test_setup(test_metering_cell_of_another_size_is_ignored, setup),
        cmocka_unit_test_setup(test_metering_replays_a_month_that_has_its_page, setup),
        cmocka_unit_test_setup(test_metering_closing_record_stands_in_for_a_damaged_interval, setup),
        cmocka_unit_test_setup(test_metering_replays_two_months, setup),
        cmocka_unit_test_setup(test_metering_lost_registers_close_no_month_again, setup),
        cmocka_unit_test_setup(test_metering_replay_leaves_thinned_records_out, setup),
        cmocka_unit_test_setup(test_metering_pending_record_behind_thinned_ones, setup),
        cmocka_unit_test_setup(test_metering_replay_passes_over_what_it_does_not_know, setup),
        cmocka_unit_test_setup(test_metering_lost_journal_with_nothing_pending, setup),
        cmocka_unit_test_setup(test_metering_lost_registers_and_a_journal_of_another_size, setup),
        cmocka_unit_test_setup(test_metering_start_reading_is_configuration_too, setup),
        cmocka_unit_test_setup(test_metering_position_outlives_a_silent_journal, setup),
        cmocka_unit_test_setup(test_metering_refused_images_are_tried_every_ten_seconds, setup),
        cmocka_unit_test_setup(test_metering_virgin_store_that_refuses_at_first, setup),
        cmocka_unit_test_setup(test_metering_hold_waits_for_the_journal, setup),
        cmocka_unit_test_setup(test_metering_closes_configured_channels_only, setup),
        cmocka_unit_test_setup(test_metering_page_that_makes_no_sense_is_none, setup),
        cmocka_unit_test_setup(test_metering_two_months_end_while_the_journal_refuses, setup),
        cmocka_unit_test_setup(test_metering_clock_steps_back_into_a_month_that_is_ending, setup),
        cmocka_unit_test_setup(test_metering_stuck_month_begins_at_the_hour, setup),
        cmocka_unit_test_setup(test_metering_hours_of_an_odd_zone, setup),
        cmocka_unit_test_setup(test_metering_boundary_before_the_interval_began, setup),
        cmocka_unit_test_setup(test_metering_registers_and_journal_silent_at_one_start, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
