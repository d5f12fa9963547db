// SPDX-License-Identifier: Apache-2.0
#ifndef MM_METERING_WORLD_H
#define MM_METERING_WORLD_H

#include <stdlib.h>
#include <string.h>

#include "test_support.h"

#include "meshmeter/metering.h"
#include "sim/sim_flash.h"
#include "sim/sim_fram.h"
#include "sim/sim_power.h"

/// A node's surroundings for the metering tests: storage that can lose its power inside any operation or refuse any
/// call, counters with a known truth, and an HQ that takes every record. Everything is in one struct, so that a state
/// can be copied and gone on from again and again. tests/exhaustive/ uses it, too.

#define US INT64_C(1000000)
#ifndef JOURNAL_SECTORS
#define JOURNAL_SECTORS 6
#endif
#define NEVER UINT32_MAX

typedef struct {
    mm_position_t position;
    uint32_t boot_no; ///< in which HQ got it
    mm_record_t record;
    uint8_t type;
    uint8_t payload_bytes;
    uint8_t payload[MM_RECORD_PAYLOAD_BYTES_MAX];
} hq_record_t;

typedef struct {
    uint8_t fram[MM_STORE_FRAM_BYTES];
    uint8_t register_flash[MM_STORE_FLASH_SECTORS_MIN * MM_FLASH_SECTOR_BYTES];
    uint8_t journal_flash[JOURNAL_SECTORS * MM_FLASH_SECTOR_BYTES];

    mm_sim_sector_t register_sectors[MM_STORE_FLASH_SECTORS_MIN];
    mm_sim_sector_t journal_sectors[JOURNAL_SECTORS];
    mm_sim_power_t power; ///< when it is dead, the code learns it from its calls only
    mm_sim_fram_t fram_device;
    mm_sim_flash_t register_device;
    mm_sim_flash_t journal_device;
    uint32_t call_count; ///< of the devices
    uint32_t fail_from_call;
    uint32_t fail_to_call;
    bool faults_off;
    bool spare_journal;
    bool spare_registers;

    // Pulses.
    int64_t t_us; ///< true time since the Unix epoch
    int64_t begin_us;
    int64_t boot_us;
    uint32_t generation;
    uint32_t counter_offset;             ///< what the hardware counters started at
    uint64_t counter_began[MM_CHANNELS]; ///< truth when the hardware counters started
    bool source_fails;

    bool with_fram;
    mm_metering_options_t options;
    mm_fram_t fram_port;
    mm_flash_t register_flash_port;
    mm_flash_t journal_flash_port;
    mm_pulses_t pulses_port;
    mm_register_store_t store;
    mm_journal_t journal;
    mm_counters_t counters;
    mm_metering_t metering;
    mm_us_t deadline;

    mm_position_t hq_after;
    uint32_t hq_count;
} world_t;

static world_t world;
static hq_record_t *hq_records; ///< outside of the world: only its length is part of the state
static uint32_t hq_capacity;

// Storage: the emulated devices behind a gate that refuses calls by their number and notes where operations begin.

typedef struct {
    mm_sim_fram_t *fram;   ///< or NULL
    mm_sim_flash_t *flash; ///< if fram is NULL
    const void *bytes;     ///< to be written at address; NULL = erase the sector of that address
    uint32_t address;
    size_t bytes_count;
} operation_t;

static void (*before_operation)(const operation_t *operation); ///< or NULL
static void (*before_count)(void);                             ///< or NULL; before each read of the counters

static uint64_t *operation_begins; ///< in steps of the supply
static uint32_t operation_count;
static uint32_t operation_capacity;

static inline bool is_dead(void) {
    return world.power.dead;
}

static inline bool call_fails(bool spare) {
    if (world.faults_off) {
        return false;
    }
    uint32_t call = world.call_count++;
    return !spare && call >= world.fail_from_call && call < world.fail_to_call;
}

static inline bool operation_fails(bool spare, const operation_t *operation) {
    if (before_operation != NULL) {
        before_operation(operation);
    }
    if (operation_count == operation_capacity) {
        operation_capacity = operation_capacity * 2 + 1024;
        operation_begins = realloc(operation_begins, operation_capacity * sizeof *operation_begins);
        assert_non_null(operation_begins);
    }
    operation_begins[operation_count++] = world.power.steps_drawn;
    return call_fails(spare);
}

static inline mm_err_t fram_read(void *context, uint32_t address, void *bytes, size_t bytes_count) {
    mm_sim_fram_t *device = context;
    return call_fails(world.spare_registers) ? MM_ERR_STORAGE
                                             : device->fram.read(device->fram.context, address, bytes, bytes_count);
}

static inline mm_err_t fram_write(void *context, uint32_t address, const void *bytes, size_t bytes_count) {
    mm_sim_fram_t *device = context;
    const operation_t operation = {.fram = device, .bytes = bytes, .address = address, .bytes_count = bytes_count};
    return operation_fails(world.spare_registers, &operation)
               ? MM_ERR_STORAGE
               : device->fram.write(device->fram.context, address, bytes, bytes_count);
}

static inline bool is_spared(const mm_sim_flash_t *device) {
    return device == &world.journal_device ? world.spare_journal : world.spare_registers;
}

static inline mm_err_t flash_read(void *context, uint32_t address, void *bytes, size_t bytes_count) {
    mm_sim_flash_t *device = context;
    return call_fails(is_spared(device)) ? MM_ERR_STORAGE
                                         : device->flash.read(device->flash.context, address, bytes, bytes_count);
}

static inline mm_err_t flash_program(void *context, uint32_t address, const void *bytes, size_t bytes_count) {
    mm_sim_flash_t *device = context;
    const operation_t operation = {.flash = device, .bytes = bytes, .address = address, .bytes_count = bytes_count};
    return operation_fails(is_spared(device), &operation)
               ? MM_ERR_STORAGE
               : device->flash.program(device->flash.context, address, bytes, bytes_count);
}

static inline mm_err_t flash_erase(void *context, uint32_t sector_index) {
    mm_sim_flash_t *device = context;
    const operation_t operation = {.flash = device, .address = sector_index * MM_FLASH_SECTOR_BYTES};
    return operation_fails(is_spared(device), &operation) ? MM_ERR_STORAGE
                                                          : device->flash.erase(device->flash.context, sector_index);
}

// Pulses. The truth is a formula, so that every test can ask for it at any instant.

static inline uint64_t truth_at(uint8_t channel, int64_t t_us) {
    uint64_t elapsed_us = (uint64_t)(t_us - world.begin_us);
    uint64_t steady = elapsed_us / ((7u + channel * 3u) * (uint64_t)US + channel);
    uint64_t bursts = elapsed_us / (uint64_t)(971 * US) * (channel + 1u); // all at once, every 16 minutes
    return world.options.meters[channel].id[0] == '\0' ? elapsed_us / (uint64_t)US : steady + bursts;
}

static inline mm_us_t mono(int64_t t_us) {
    return t_us - world.boot_us + 7 * US; // the clock of a boot does not start at zero
}

static inline mm_err_t pulses_read(void *context, mm_us_t now, mm_pulse_counts_t *counts) {
    (void)context;
    if (before_count != NULL) {
        before_count();
    }
    if (is_dead() || world.source_fails) {
        return MM_ERR_UNAVAILABLE;
    }
    int64_t t_us = now - 7 * US + world.boot_us;
    assert_true(t_us <= world.t_us);
    counts->generation = world.generation;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        counts->counts[channel] =
            world.counter_offset + (uint32_t)(truth_at(channel, t_us) - world.counter_began[channel]);
    }
    return MM_OK;
}

/// The hardware counters lose their state now.
static inline void restart_counters(void) {
    world.generation++;
    world.counter_offset = 0;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        world.counter_began[channel] = truth_at(channel, world.t_us);
    }
}

static inline mm_metering_options_t default_options(void) {
    mm_metering_options_t options = {.time_trust_s = 86400, .save_period_s = 60, .pulses_per_s_max = 0};
    strcpy(options.tz, "CET-1CEST,M3.5.0,M10.5.0/3");
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        options.meters[channel].id[0] = 'A';
        options.meters[channel].id[1] = (char)('0' + channel);
        options.meters[channel].pulse_constant = 1000;
        options.meters[channel].start_wh = 5000u * channel;
    }
    return options;
}

/// A virgin node at begin_s (true UTC), not yet opened.
static inline void world_init(int64_t begin_s, bool with_fram) {
    memset(&world, 0, sizeof world);
    mm_sim_power_init(&world.power, 1);
    mm_sim_fram_init(&world.fram_device, &world.power, world.fram, sizeof world.fram, 0);
    mm_sim_flash_init(&world.register_device, &world.power, world.register_flash, world.register_sectors,
                      MM_STORE_FLASH_SECTORS_MIN);
    mm_sim_flash_init(&world.journal_device, &world.power, world.journal_flash, world.journal_sectors, JOURNAL_SECTORS);
    world.register_device.erase_steps = 4;
    world.journal_device.erase_steps = 4;
    operation_count = 0;
    world.fail_from_call = NEVER;
    world.fail_to_call = NEVER;
    world.t_us = begin_s * US;
    world.begin_us = world.t_us;
    world.generation = 0x1000;
    world.with_fram = with_fram;
    world.options = default_options();
    world.fram_port = (mm_fram_t){fram_read, fram_write, &world.fram_device, sizeof world.fram};
    world.register_flash_port =
        (mm_flash_t){flash_read, flash_program, flash_erase, &world.register_device, MM_STORE_FLASH_SECTORS_MIN};
    world.journal_flash_port =
        (mm_flash_t){flash_read, flash_program, flash_erase, &world.journal_device, JOURNAL_SECTORS};
    world.pulses_port = (mm_pulses_t){pulses_read, NULL};
}

static inline mm_err_t world_open(void) {
    memset(&world.store, 0xA5, sizeof world.store);
    memset(&world.journal, 0xA5, sizeof world.journal);
    memset(&world.metering, 0xA5, sizeof world.metering);
    memset(&world.counters, 0, sizeof world.counters);
    world.boot_us = world.t_us;
    mm_err_t err = mm_metering_open(&world.metering, &world.options, &world.pulses_port, &world.store,
                                    world.with_fram ? &world.fram_port : NULL,
                                    world.with_fram ? NULL : &world.register_flash_port, &world.journal,
                                    &world.journal_flash_port, JOURNAL_SECTORS, &world.counters, 3, mono(world.t_us));
    world.deadline = mono(world.t_us);
    return err;
}

// HQ.

static inline hq_record_t *hq_take(const mm_journal_entry_t *entry) {
    if (world.hq_count == hq_capacity) {
        hq_capacity = hq_capacity * 2 + 1024;
        hq_records = realloc(hq_records, hq_capacity * sizeof *hq_records);
        assert_non_null(hq_records);
    }
    hq_record_t *record = &hq_records[world.hq_count++];
    memset(record, 0, sizeof *record);
    record->position = entry->position;
    record->type = entry->type;
    record->boot_no = world.metering.boot_no;
    record->payload_bytes = entry->payload_bytes;
    memcpy(record->payload, entry->payload, entry->payload_bytes);
    assert_int_equal(mm_record_decode(entry->type, entry->payload, entry->payload_bytes, &record->record), MM_OK);
    world.hq_after = entry->position;
    return record;
}

static inline void hq_collect(void) {
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry;
    bool any = false;
    mm_position_t next = mm_journal_next(&world.journal);
    if (next.epoch == world.hq_after.epoch && next.seq == world.hq_after.seq + 1) {
        return;
    }
    world.faults_off = true; // HQ's reading is not what is tested
    while (!is_dead() && mm_journal_read_after(&world.journal, world.hq_after, &hint, &entry) == MM_OK) {
        (void)hq_take(&entry);
        any = true;
    }
    if (any) {
        (void)mm_metering_set_watermark(&world.metering, world.hq_after);
    }
    world.faults_off = false;
}

static inline void world_poll(void) {
    mm_us_t now = mono(world.t_us);
    for (int calls = 0; calls < 100000 && !is_dead(); calls++) {
        world.deadline = mm_metering_poll(&world.metering, now);
        assert_true(world.deadline >= now);
        if (world.deadline > now) {
            return;
        }
    }
    assert_true(is_dead()); // else it is an endless loop
}

/// Let the node live until t_us: polled at its deadlines and every step_us, HQ taking what there is.
static inline void world_run(int64_t until_us, int64_t step_us) {
    while (!is_dead() && world.t_us < until_us) {
        int64_t next_us = world.t_us + step_us;
        int64_t deadline_us = world.deadline - 7 * US + world.boot_us;
        if (deadline_us > world.t_us && deadline_us < next_us) {
            next_us = deadline_us;
        }
        world.t_us = next_us < until_us ? next_us : until_us;
        world_poll();
        hq_collect();
    }
}

static inline mm_err_t world_set_time(int64_t utc_us, mm_trust_t trust) {
    mm_time_t time = {.utc = {utc_us}, .trust = trust};
    mm_err_t err = mm_metering_set_time(&world.metering, time, mono(world.t_us));
    world.deadline = mono(world.t_us);
    return err;
}

/// The power goes and comes back. Whatever was under way is over.
static inline void world_reboot(int64_t down_us, bool counters_live_on) {
    if (is_dead()) {
        mm_sim_power_up(&world.power); // else a cut that is armed stays so
    }
    world.t_us += down_us;
    if (!counters_live_on) {
        restart_counters();
    }
    assert_int_equal(world_open(), MM_OK);
}

// Questions.

static inline uint64_t hq_interval_pulses(uint8_t channel) {
    uint64_t pulses = 0;
    for (uint32_t i = 0; i < world.hq_count; i++) {
        if (hq_records[i].type == MM_RECORD_INTERVAL) {
            pulses += hq_records[i].record.interval.pulses[channel];
        }
    }
    return pulses;
}

static inline uint32_t hq_count_events(uint16_t code) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < world.hq_count; i++) {
        count += hq_records[i].type == MM_RECORD_EVENT && hq_records[i].record.event.code == code ? 1 : 0;
    }
    return count;
}

static inline const mm_event_record_t *hq_event(uint16_t code, uint32_t index) {
    for (uint32_t i = 0; i < world.hq_count; i++) {
        if (hq_records[i].type == MM_RECORD_EVENT && hq_records[i].record.event.code == code && index-- == 0) {
            return &hq_records[i].record.event;
        }
    }
    return NULL;
}

static inline const mm_month_closing_record_t *hq_closing(uint16_t year_month, uint8_t channel, uint32_t *count) {
    const mm_month_closing_record_t *found = NULL;
    *count = 0;
    for (uint32_t i = 0; i < world.hq_count; i++) {
        const mm_month_closing_record_t *closing = &hq_records[i].record.month_closing;
        if (hq_records[i].type == MM_RECORD_MONTH_CLOSING && closing->channel == channel &&
            closing->year_month == year_month) {
            found = closing;
            (*count)++;
        }
    }
    return found;
}

static inline const mm_interval_record_t *hq_interval(uint32_t interval_no) {
    for (uint32_t i = 0; i < world.hq_count; i++) {
        if (hq_records[i].type == MM_RECORD_INTERVAL && hq_records[i].record.interval.interval_no == interval_no) {
            return &hq_records[i].record.interval;
        }
    }
    return NULL;
}

/// What must hold at every moment at which HQ has everything: intervals are numbered without a hole and each is there
/// once, the pulses of each are in exactly one, and registers add up.
static inline void assert_consistent(void) {
    uint32_t next_no = 1;
    for (uint32_t i = 0; i < world.hq_count; i++) {
        if (i > 0) {
            assert_true(mm_position_compare(hq_records[i].position, hq_records[i - 1].position) > 0);
        }
        if (hq_records[i].type == MM_RECORD_INTERVAL) {
            assert_int_equal(hq_records[i].record.interval.interval_no, next_no);
            next_no++;
        }
    }
    const mm_metering_t *metering = &world.metering;
    if (metering->pending_type != MM_RECORD_INTERVAL) {
        assert_int_equal(metering->interval_no, next_no);
    }
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        const mm_channel_registers_t *registers = &metering->registers.channels[channel];
        if (metering->pending_type != MM_RECORD_INTERVAL) {
            assert_int_equal(hq_interval_pulses(channel) + registers->interval_pulses, registers->life_pulses);
        }
        uint64_t hours = 0;
        for (uint8_t hour = 0; hour < MM_HOURS_OF_DAY; hour++) {
            hours += registers->hours_pulses[hour];
        }
        assert_int_equal(hours, registers->month_pulses);
        uint64_t months = 0;
        for (uint32_t i = 0; i < world.hq_count; i++) {
            const mm_month_closing_record_t *closing = &hq_records[i].record.month_closing;
            if (hq_records[i].type == MM_RECORD_MONTH_CLOSING && closing->channel == channel) {
                months += closing->month_pulses;
                assert_int_equal(closing->life_pulses, months);
            }
        }
        if (metering->closing_channels == 0 && metering->pending_type != MM_RECORD_MONTH_CLOSING) {
            assert_int_equal(months + registers->month_pulses + registers->pending_pulses, registers->life_pulses);
        }
    }
}

/// Nothing lost and nothing counted twice up to the last read.
static inline void assert_life_is_truth(void) {
    int64_t read_us = world.metering.last_read_at - 7 * US + world.boot_us;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        uint64_t expected = world.options.meters[channel].id[0] == '\0' ? 0 : truth_at(channel, read_us);
        assert_int_equal(world.metering.registers.channels[channel].life_pulses, expected + world.counter_offset);
    }
}

#endif
