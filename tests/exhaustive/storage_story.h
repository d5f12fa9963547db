// SPDX-License-Identifier: Apache-2.0
#ifndef MM_STORAGE_STORY_H
#define MM_STORAGE_STORY_H

#define JOURNAL_SECTORS 4

#include <signal.h>
#include <unistd.h>

#include "metering_world.h"

#include "enumeration.h"

// What is known of a node from outside, to be compared with what its storage says after an accident: each record that
// the journal took, what each channel has counted and how much of it storage must hold. World and story are copied
// together; the records themselves stand in hq_records, of which only the number is part of the story.

#define MIDNIGHT_S INT64_C(1735686000) // 2024-12-31T23:00:00Z, New Year in Berlin
#define MIDNIGHT_US (MIDNIGHT_S * US)
#define DOWN_US (2 * US)
#define PULSE_CONSTANT 1000
#define STUCK_S 120 // no 256 cases take so long

typedef struct {
    uint64_t kept[MM_CHANNELS];               ///< life that storage holds
    uint64_t kept_without_cell[MM_CHANNELS];  ///< the same if the newest cell were not there
    uint64_t kept_without_image[MM_CHANNELS]; ///< the same if the newest image were not there
    uint64_t image_life[MM_CHANNELS];         ///< in the newest image
    uint64_t cut_life[MM_CHANNELS];           ///< life in RAM when the power failed
    uint64_t base_life[MM_CHANNELS];          ///< life at an instant; nothing was lost since
    uint64_t base_truth[MM_CHANNELS];         ///< the world's truth at that instant
    uint8_t metered_channels;                 ///< at the beginning
    uint8_t frozen_channels;                  ///< without a meter by now: life stays what it was
    uint64_t interval_pulses[MM_CHANNELS];    ///< sum of the interval records
    uint64_t closed_pulses[MM_CHANNELS];      ///< sum of the month closings
    uint16_t closed_month;                    ///< the last one
    uint8_t closed_channels;                  ///< in it
    bool closings_refused;                    ///< some of them could not be made any more, and the node counted that
    uint32_t next_interval_no;
    uint32_t last_boot_no;
    uint32_t configurations[MM_CHANNELS]; ///< events seen
    uint32_t configurations_due[MM_CHANNELS];
    uint32_t recoveries; ///< events that registers were recovered
    uint32_t recoveries_allowed;
    uint32_t damaged_count; ///< records that gap records call damaged
    uint32_t damaged_allowed;
    uint32_t thinned_through_seq; ///< as gap records say
    uint32_t released_seq;        ///< the highest that HQ ever said
    bool follows;                 ///< HQ takes records and says so
    bool opening;
    // The store, as it was last looked at.
    bool store_seen;
    uint32_t image_seq;
    uint16_t cell_count;
    // Stored with an image: this record must come.
    uint8_t promised_type;
    uint8_t promised_bytes;
    uint8_t promised[MM_RECORD_PAYLOAD_BYTES_MAX];
} story_t;

typedef struct {
    world_t world;
    story_t story;
} saved_t;

static story_t story;

// What was found, over all cases.
typedef struct {
    uint64_t lost;          ///< pulses and records that storage had to hold
    uint64_t counted_twice; ///< pulses and records
    uint64_t wh_error;      ///< between the records and the registers
} found_t;

static found_t found;

static const char *scenario_name = "";
static uint64_t case_number; ///< of the case that runs, from 1
static uint64_t inner_case;  ///< of those that belong to it

// A failed check of cmocka, or a case that does not end: the program ends, too, but says where it was.
static inline void on_fatal_signal(int signal_number) {
    fprintf(stderr, "%s in scenario \"%s\", inner case %llu\n    to see this case alone: %s --only %s\n",
            signal_number == SIGALRM ? "does not end" : "failed", scenario_name, (unsigned long long)inner_case,
            enumeration.program, enumeration.label);
    _exit(1);
}

static inline void storage_begin(const char *name, int argc, char **argv) {
    enumeration_begin(name, argc, argv);
    setenv("CMOCKA_TEST_ABORT", "1", 1); // outside of a test cmocka would keep its message to itself
    signal(SIGABRT, on_fatal_signal);
    signal(SIGALRM, on_fatal_signal);
}

/// The next case begins; false: it is not one of this run's.
static inline bool storage_takes(void) {
    case_number = enumeration.number + 1;
    inner_case = 0;
    if (!enumeration_takes("%llu", (unsigned long long)case_number)) {
        return false;
    }
    if (enumeration.cases % 256 == 1) {
        alarm(STUCK_S);
    }
    return true;
}

/// Say so if the case has found something.
static inline void report_found_since(found_t before) {
    if (found.lost != before.lost) {
        enumeration_fail("lost", __FILE__, __LINE__);
    }
    if (found.counted_twice != before.counted_twice) {
        enumeration_fail("counted twice", __FILE__, __LINE__);
    }
    if (found.wh_error != before.wh_error) {
        enumeration_fail("records and registers differ in Wh", __FILE__, __LINE__);
    }
}

static inline int storage_end(const char *figures) {
    alarm(0);
    char text[192];
    enumeration.lost = found.lost;
    enumeration.counted_twice = found.counted_twice;
    (void)snprintf(text, sizeof text, "%s wh_error=%llu", figures, (unsigned long long)found.wh_error);
    return enumeration_end(text);
}

// Most of a world are its devices, and a node uses only some of them.
static inline void copy_world(world_t *to, const world_t *from) {
    size_t devices = offsetof(world_t, register_sectors);
    memcpy((char *)to + devices, (const char *)from + devices, sizeof *to - devices);
    memcpy(to->journal_flash, from->journal_flash, sizeof to->journal_flash);
    if (from->with_fram) {
        memcpy(to->fram, from->fram, sizeof to->fram);
    } else {
        memcpy(to->register_flash, from->register_flash, sizeof to->register_flash);
    }
}

static inline void save(saved_t *saved) {
    copy_world(&saved->world, &world);
    saved->story = story;
}

static inline void restore(const saved_t *saved) {
    copy_world(&world, &saved->world);
    story = saved->story;
    operation_count = 0;
}

/// From now on this channel has no meter.
static inline void story_freeze(uint8_t channel) {
    story.frozen_channels |= (uint8_t)(1u << channel);
    story.base_life[channel] = world.metering.registers.channels[channel].life_pulses;
}

static inline void story_begin(int64_t begin_s, bool with_fram, uint32_t meter_count) {
    world_init(begin_s, with_fram);
    memset(&story, 0, sizeof story);
    story.next_interval_no = 1;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        if (channel < meter_count) {
            story.configurations_due[channel] = 1;
            story.metered_channels |= (uint8_t)(1u << channel);
        } else {
            world.options.meters[channel] = (mm_meter_config_t){.id = ""};
            story_freeze(channel);
        }
    }
}

// Records.

static inline bool is_same_record(const hq_record_t *record, uint8_t type, const void *payload, size_t payload_bytes) {
    return record->type == type && record->payload_bytes == payload_bytes &&
           memcmp(record->payload, payload, payload_bytes) == 0;
}

/// The last record before `count` with these bytes and a seq of at most last_seq; NULL if there is none.
static inline const hq_record_t *find_record(uint32_t count, uint32_t last_seq, uint8_t type, const void *payload,
                                             size_t payload_bytes) {
    for (uint32_t index = count; index > 0; index--) {
        if (hq_records[index - 1].position.seq <= last_seq &&
            is_same_record(&hq_records[index - 1], type, payload, payload_bytes)) {
            return &hq_records[index - 1];
        }
    }
    return NULL;
}

static inline uint64_t all_pulses(const mm_interval_record_t *interval) {
    uint64_t pulses = 0;
    for (uint32_t channel = 0; channel < MM_CHANNELS; channel++) {
        pulses += interval->pulses[channel];
    }
    return pulses;
}

static inline void note_interval(const mm_interval_record_t *interval) {
    if (interval->interval_no < story.next_interval_no) {
        found.counted_twice += 1 + all_pulses(interval);
    } else {
        found.lost += interval->interval_no - story.next_interval_no;
    }
    story.next_interval_no = interval->interval_no + 1;
    for (uint32_t channel = 0; channel < MM_CHANNELS; channel++) {
        story.interval_pulses[channel] += interval->pulses[channel];
    }
}

static inline void note_closing(const mm_month_closing_record_t *closing) {
    if (closing->year_month != story.closed_month) {
        assert_true(closing->year_month > story.closed_month);
        story.closed_month = closing->year_month;
        story.closed_channels = 0;
    }
    found.counted_twice += story.closed_channels >> closing->channel & 1;
    story.closed_channels |= (uint8_t)(1u << closing->channel);
    story.closed_pulses[closing->channel] += closing->month_pulses;
    assert_int_equal(closing->life_pulses, story.closed_pulses[closing->channel]);
    uint64_t hours = 0;
    for (uint32_t hour = 0; hour < MM_HOURS_OF_DAY; hour++) {
        hours += closing->hours_pulses[hour];
    }
    assert_int_equal(hours, closing->month_pulses);
}

static inline void note_event(const hq_record_t *taken) {
    const mm_event_record_t *event = &taken->record.event;
    if (find_record(world.hq_count - 1, UINT32_MAX, taken->type, taken->payload, taken->payload_bytes) != NULL) {
        found.counted_twice++;
    }
    switch (event->code) {
    case MM_EVENT_BOOT:
        found.counted_twice += event->boot_no <= story.last_boot_no;
        story.last_boot_no = event->boot_no;
        break;
    case MM_EVENT_CONFIGURATION:
        story.configurations[event->values[0]]++;
        break;
    case MM_EVENT_REGISTERS_RECOVERED:
        assert_int_equal(event->values[0], 1); // never from zero
        story.recoveries++;
        break;
    case MM_EVENT_TIME_SYNCED:
    case MM_EVENT_TIME_STEPPED:
    case MM_EVENT_ROOT_TAKEN:
        break;
    default:
        fail_msg("event %u", event->code);
    }
}

// Thinning writes what was there before; the rest is new.
static inline bool is_of_thinning(const mm_journal_entry_t *entry, const mm_record_t *record) {
    if (entry->type == MM_RECORD_INTERVAL) {
        return record->interval.thinned;
    }
    return find_record(world.hq_count, world.journal.thinned_through_seq, entry->type, entry->payload,
                       entry->payload_bytes) != NULL;
}

/// Take what the journal has by now.
static inline void observe(void) {
    mm_position_t next = mm_journal_next(&world.journal);
    if (next.epoch == world.hq_after.epoch && next.seq == world.hq_after.seq + 1) {
        return;
    }
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry;
    world.faults_off = true;
    while (mm_journal_read_after(&world.journal, world.hq_after, &hint, &entry) == MM_OK) {
        mm_record_t record;
        world.hq_after = entry.position;
        assert_int_equal(mm_record_decode(entry.type, entry.payload, entry.payload_bytes, &record), MM_OK);
        if (entry.type == MM_RECORD_GAP) {
            if (record.gap.reason == MM_GAP_DAMAGED) {
                story.damaged_count += record.gap.last_seq - record.gap.first_seq + 1;
            } else {
                assert_int_equal(record.gap.reason, MM_GAP_THINNED); // no scenario fills the journal further
                story.thinned_through_seq = record.gap.last_seq;
            }
            continue;
        }
        if (is_of_thinning(&entry, &record)) {
            continue;
        }
        const hq_record_t *taken = hq_take(&entry);
        if (entry.type == MM_RECORD_INTERVAL) {
            note_interval(&taken->record.interval);
        } else if (entry.type == MM_RECORD_MONTH_CLOSING) {
            note_closing(&taken->record.month_closing);
        } else {
            note_event(taken);
        }
    }
    world.faults_off = false;
}

static inline void follow(uint32_t lag) {
    if (!story.follows || world.hq_after.seq <= lag) {
        return;
    }
    mm_position_t watermark = {world.hq_after.epoch, world.hq_after.seq - lag};
    assert_int_equal(mm_metering_set_watermark(&world.metering, watermark), MM_OK);
    if (watermark.seq > story.released_seq) {
        story.released_seq = watermark.seq;
    }
}

// What storage holds.

static inline void note_life(uint64_t life[MM_CHANNELS]) {
    for (uint32_t channel = 0; channel < MM_CHANNELS; channel++) {
        life[channel] = world.metering.registers.channels[channel].life_pulses;
    }
}

/// Before each operation of a device, each read of the counters, and after each call: what has been stored since?
static inline void note_stored(void) {
    const mm_register_store_t *store = &world.store;
    bool is_new_image = story.store_seen && store->image_seq != story.image_seq;
    bool is_new_cell = story.store_seen && store->cell_count != story.cell_count;
    // What a recovery stores may be less than what storage had to hold: settle_loss compares first.
    if ((is_new_image || is_new_cell) && !story.opening) {
        memcpy(story.kept_without_cell, story.kept, sizeof story.kept);
        note_life(story.kept);
    }
    if (is_new_image && !story.opening) {
        memcpy(story.kept_without_cell, story.kept, sizeof story.kept);
        memcpy(story.kept_without_image, story.image_life, sizeof story.image_life);
        memcpy(story.image_life, story.kept, sizeof story.kept);
    }
    if (is_new_image) {
        story.promised_type = world.metering.pending_type;
        story.promised_bytes = world.metering.pending_payload_bytes;
        memcpy(story.promised, world.metering.pending_payload, world.metering.pending_payload_bytes);
    }
    story.store_seen = true;
    story.image_seq = store->image_seq;
    story.cell_count = store->cell_count;
}

/// The first start.
static inline void story_open(void) {
    story.opening = true;
    assert_int_equal(world_open(), MM_OK);
    story.opening = false;
    note_stored();
    observe();
}

/// Let the node come back after a cut, or restart.
static inline void story_reboot(int64_t down_us, bool counters_live_on) {
    mm_sim_flash_age(&world.journal_device);
    if (!world.with_fram) {
        mm_sim_flash_age(&world.register_device);
    }
    story.store_seen = false;
    story.opening = true;
    world_reboot(down_us, counters_live_on);
    story.opening = false;
    note_stored();
    observe();
}

// Checks.

static inline uint64_t expected_life(uint8_t channel, int64_t at_us) {
    uint64_t life = story.base_life[channel];
    bool is_frozen = (story.frozen_channels >> channel & 1) != 0;
    return is_frozen ? life : life + truth_at(channel, at_us) - story.base_truth[channel];
}

static inline int64_t last_read_us(void) {
    return world.metering.last_read_at - 7 * US + world.boot_us;
}

/// After a reboot: what is lost is at most what storage did not hold; with counters that live on, nothing. From here on
/// the registers are the truth.
static inline void settle_loss(bool counters_live_on) {
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        uint64_t life = world.metering.registers.channels[channel].life_pulses;
        uint64_t expected = expected_life(channel, last_read_us());
        uint64_t at_least = counters_live_on ? expected : story.kept[channel];
        uint64_t at_most = counters_live_on ? expected : story.cut_life[channel];
        found.lost += life < at_least ? at_least - life : 0;
        found.counted_twice += life > at_most ? life - at_most : 0;
        story.base_life[channel] = life;
        story.base_truth[channel] = truth_at(channel, last_read_us());
    }
    note_life(story.kept);
}

static inline uint64_t wh_difference(uint64_t left_pulses, uint64_t right_pulses) {
    uint64_t left_wh = left_pulses * 1000 / PULSE_CONSTANT;
    uint64_t right_wh = right_pulses * 1000 / PULSE_CONSTANT;
    return left_wh > right_wh ? left_wh - right_wh : right_wh - left_wh;
}

/// Registers are the truth, and the records say the same.
static inline void check_registers(void) {
    const mm_metering_t *metering = &world.metering;
    assert_int_equal(metering->pending_type, MM_RECORD_NONE);
    assert_int_equal(metering->interval_no, story.next_interval_no);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        const mm_channel_registers_t *registers = &metering->registers.channels[channel];
        uint64_t expected = expected_life(channel, last_read_us());
        found.lost += registers->life_pulses < expected ? expected - registers->life_pulses : 0;
        found.counted_twice += registers->life_pulses > expected ? registers->life_pulses - expected : 0;
        found.wh_error +=
            wh_difference(story.interval_pulses[channel] + registers->interval_pulses, registers->life_pulses);
        uint64_t hours = 0;
        for (uint32_t hour = 0; hour < MM_HOURS_OF_DAY; hour++) {
            hours += registers->hours_pulses[hour];
        }
        found.wh_error += wh_difference(hours, registers->month_pulses);
        if (metering->closing_channels == 0 && !story.closings_refused) {
            found.wh_error +=
                wh_difference(story.closed_pulses[channel] + registers->month_pulses + registers->pending_pulses,
                              registers->life_pulses);
        }
    }
}

/// Each thing that happened once is told once.
static inline void check_told(void) {
    if (story.promised_type != MM_RECORD_NONE &&
        find_record(world.hq_count, UINT32_MAX, story.promised_type, story.promised, story.promised_bytes) == NULL) {
        found.lost++;
    }
    for (uint32_t channel = 0; channel < MM_CHANNELS; channel++) {
        assert_int_equal(story.configurations[channel], story.configurations_due[channel]);
    }
    assert_true(story.recoveries <= story.recoveries_allowed);
    assert_true(story.damaged_count <= story.damaged_allowed);
    if (world.metering.closing_year_month != 0 && world.metering.closing_channels == 0 && !story.closings_refused) {
        assert_int_equal(story.closed_month, world.metering.closing_year_month);
        assert_int_equal(story.closed_channels, story.metered_channels);
    }
}

static inline uint32_t cover(uint8_t *covered, uint32_t index) {
    covered[index]++;
    return index + 1;
}

static inline void cover_thinned(uint8_t *covered, const mm_interval_record_t *sum) {
    uint64_t pulses[MM_CHANNELS] = {0};
    for (uint32_t index = 0; index < world.hq_count; index++) {
        const hq_record_t *record = &hq_records[index];
        if (record->type != MM_RECORD_INTERVAL || record->position.seq < sum->thinned_first_seq ||
            record->position.seq > sum->thinned_last_seq) {
            continue;
        }
        covered[index]++;
        for (uint32_t channel = 0; channel < MM_CHANNELS; channel++) {
            pulses[channel] += record->record.interval.pulses[channel];
        }
    }
    for (uint32_t channel = 0; channel < MM_CHANNELS; channel++) {
        assert_int_equal(sum->pulses[channel], pulses[channel]);
    }
}

static inline void cover_entry(uint8_t *covered, const mm_journal_entry_t *entry) {
    mm_record_t record;
    assert_int_equal(mm_record_decode(entry->type, entry->payload, entry->payload_bytes, &record), MM_OK);
    if (entry->type == MM_RECORD_GAP) {
        return;
    }
    if (entry->type == MM_RECORD_INTERVAL) {
        assert_true(record.interval.thinned);
        cover_thinned(covered, &record.interval);
        return;
    }
    const hq_record_t *carried = find_record(world.hq_count, world.journal.thinned_through_seq, entry->type,
                                             entry->payload, entry->payload_bytes);
    assert_non_null(carried); // else it was invented
    covered[carried - hq_records]++;
}

/// The journal holds each record once, whole, and none that was not made. HQ must have observed it already.
static inline void check_journal(void) {
    static uint8_t covered[4096];
    assert_true(world.hq_count <= sizeof covered);
    memset(covered, 0, world.hq_count);
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry;
    mm_position_t after = {0, 0};
    uint32_t index = 0;
    uint32_t missing_count = 0;
    world.faults_off = true;
    while (mm_journal_read_after(&world.journal, after, &hint, &entry) == MM_OK) {
        uint32_t seq = entry.position.seq;
        if (after.seq != 0 && after.seq >= story.released_seq) {
            missing_count += seq - after.seq - 1;
        }
        after = entry.position;
        while (index < world.hq_count && hq_records[index].position.seq < seq) {
            index++;
        }
        if (index < world.hq_count && hq_records[index].position.seq == seq) {
            assert_true(is_same_record(&hq_records[index], entry.type, entry.payload, entry.payload_bytes));
            covered[index]++;
        } else {
            cover_entry(covered, &entry);
        }
    }
    world.faults_off = false;
    assert_int_equal(after.epoch, world.hq_after.epoch);
    assert_int_equal(after.seq, world.hq_after.seq);
    for (index = 0; index < world.hq_count; index++) {
        missing_count += covered[index] == 0 && hq_records[index].position.seq > story.released_seq;
        found.counted_twice += covered[index] > 1;
    }
    // A damaged record is missing at its place and as itself.
    found.lost += missing_count > 2 * story.damaged_allowed ? missing_count : 0;
}

static inline void check_all(void) {
    check_registers();
    check_told();
    check_journal();
}

// Life.

static inline bool story_poll(void) {
    world_poll();
    if (is_dead()) {
        return false;
    }
    note_stored();
    observe();
    return true;
}

static inline void story_synchronise(void) {
    assert_int_equal(world_set_time(world.t_us, MM_TRUST_SYNCED), MM_OK);
    note_stored();
    observe();
}

static inline void story_event(uint64_t number) {
    const uint64_t values[MM_EVENT_VALUES] = {number, 2, 3, 4};
    assert_int_equal(mm_metering_event(&world.metering, MM_EVENT_ROOT_TAKEN, values, mono(world.t_us)), MM_OK);
    note_stored();
    observe();
}

static inline int64_t next_interval_us(void) {
    return (world.t_us / (MM_INTERVAL_S * US) + 1) * MM_INTERVAL_S * US;
}

#endif
