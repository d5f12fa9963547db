// SPDX-License-Identifier: Apache-2.0
// Every single bit of what a node has stored is turned, one at a time, and the node starts from that. It must come up,
// say nothing that was not so, miss at most the one record that was hit and report it, and have the registers that the
// rest of its storage still knows; where that is less than what it had, it must say so.
//
// Nodes of 13 months, with all pages of months in use, at several moments: at rest, with a record that is in the image
// and not yet in the journal, with a journal that was thinned, and in the middle of closing a month.
#include "storage_story.h"

#define ENTRIES_MAX 400

typedef enum {
    IN_FRAM,
    IN_REGISTER_LOG,
    IN_JOURNAL
} place_t;

// The node when the power failed, and everything that its storage said then.
static struct {
    bool wanted; // capture at the next append of a record of this type
    uint8_t wanted_type;
    bool taken;
    saved_t saved;
    mm_journal_entry_t entries[ENTRIES_MAX];
    uint32_t entry_count;
    uint32_t months_pulses[MM_STORE_PAGES][MM_CHANNELS];
} captured;

static uint64_t flip_count;
static uint64_t unread_count; // records that a flip made unreadable

// What does its storage say?
static void list_captured(void) {
    restore(&captured.saved);
    mm_journal_hint_t hint = {0};
    mm_position_t after = {0, 0};
    captured.entry_count = 0;
    mm_journal_entry_t *entry = captured.entries;
    const uint32_t end_seq = captured.saved.world.hq_after.seq;
    while (mm_journal_read_after(&world.journal, after, &hint, entry) == MM_OK && entry->position.seq <= end_seq) {
        after = entry->position;
        entry++;
        captured.entry_count++;
        assert_true(captured.entry_count < ENTRIES_MAX);
    }
    uint32_t hours[MM_HOURS_OF_DAY];
    uint32_t months = 0;
    for (uint32_t back = 0; back < MM_STORE_PAGES; back++) {
        uint16_t year_month = (uint16_t)(world.metering.closing_year_month - back);
        for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
            months += mm_metering_month(&world.metering, year_month, channel,
                                        &captured.months_pulses[year_month % MM_STORE_PAGES][channel], hours) == MM_OK;
        }
    }
    assert_int_equal(months, MM_STORE_PAGES * MM_CHANNELS);
}

static void capture(void) {
    save(&captured.saved);
    note_life(captured.saved.story.cut_life);
    captured.taken = true;
    captured.wanted = false;
    restore(&captured.saved);
}

static void on_operation(const operation_t *operation) {
    note_stored();
    bool is_journal = operation->flash == &world.journal_device;
    if (!(is_journal && story.opening)) {
        observe();
    }
    if (captured.wanted && is_journal && operation->bytes != NULL && !world.journal.prepared) {
        // Append gives up "prepared" and then programs.
        if (world.metering.pending_type == captured.wanted_type) {
            capture();
        }
    }
}

// Moments.

static void live(int64_t until_us, int64_t step_s) {
    while (world.t_us < until_us && !captured.taken) {
        world.t_us = world.t_us + step_s * US < until_us ? world.t_us + step_s * US : until_us;
        (void)story_poll();
        follow(0);
    }
}

// Up to some hours before New Year. HQ has everything.
static void make_old_node(bool with_fram) {
    memset(&captured, 0, sizeof captured);
    story_begin(MIDNIGHT_S - INT64_C(86400) * 30 * 13, with_fram, MM_CHANNELS);
    story.follows = true;
    story_open();
    for (int month = 0; month < 13; month++) {
        story_synchronise();
        live(world.t_us + 2000 * US, 100);
        story_reboot(INT64_C(86400) * 30 * US - 2000 * US - 600 * US, true);
    }
    story_synchronise();
    assert_true(world.t_us < MIDNIGHT_US - 4000 * US);
    live(MIDNIGHT_US - 7000 * US, 100);
}

static void make_resting(bool with_fram) {
    make_old_node(with_fram);
    story.follows = false; // from here on HQ has nothing
    story_event(1);
    live(MIDNIGHT_US - 1000 * US, 100);
    capture();
}

static void make_pending_interval(bool with_fram) {
    make_old_node(with_fram);
    live(next_interval_us() + 100 * US, 100);
    captured.wanted = true;
    captured.wanted_type = MM_RECORD_INTERVAL;
    live(MIDNIGHT_US, 100);
}

static void make_closing_month(bool with_fram) {
    make_old_node(with_fram);
    live(MIDNIGHT_US - 10 * US, 100);
    captured.wanted = true;
    captured.wanted_type = MM_RECORD_MONTH_CLOSING;
    live(MIDNIGHT_US + 100 * US, 100);
}

static void make_thinned(bool with_fram) {
    make_old_node(with_fram);
    story.follows = false;
    while (world.journal.thinned_through_seq == 0) {
        live(world.t_us + 450 * US, 450);
    }
    live(world.t_us + 4000 * US, 450);
    capture();
}

// Checks.

static void check_recovered_life(place_t place, bool counters_live_on) {
    const bool is_told = story.recoveries != captured.saved.story.recoveries;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        uint64_t life = world.metering.registers.channels[channel].life_pulses;
        uint64_t at_least = place == IN_JOURNAL ? story.kept[channel] : story.kept_without_cell[channel];
        at_least = place != IN_JOURNAL && is_told ? story.kept_without_image[channel] : at_least;
        if (!counters_live_on && life < story.kept[channel] && life >= at_least) {
            story.kept[channel] = life; // within what such damage may cost
        }
    }
    settle_loss(counters_live_on);
}

static bool is_reported(uint32_t seq) {
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry;
    mm_position_t after = captured.saved.world.hq_after;
    while (mm_journal_read_after(&world.journal, after, &hint, &entry) == MM_OK) {
        mm_record_t record;
        after = entry.position;
        if (mm_record_decode(entry.type, entry.payload, entry.payload_bytes, &record) == MM_OK &&
            entry.type == MM_RECORD_GAP && record.gap.reason == MM_GAP_DAMAGED && record.gap.first_seq <= seq &&
            record.gap.last_seq >= seq) {
            return true;
        }
    }
    return false;
}

// Up to here a sector may have been taken for new records.
static uint32_t taken_through_seq(void) {
    if (world.journal_device.erases == captured.saved.world.journal_device.erases) {
        return 0;
    }
    const uint32_t oldest_seq = mm_journal_oldest(&world.journal).seq;
    const uint32_t released_seq = oldest_seq - 1 < story.released_seq ? oldest_seq - 1 : story.released_seq;
    const uint32_t thinned_seq = world.journal.thinned_through_seq;
    return thinned_seq > released_seq ? thinned_seq : released_seq;
}

// Everything that stood there before stands there still, but for one record at most, and nothing else.
static void check_entries(place_t place) {
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry;
    mm_position_t after = {0, 0};
    uint32_t index = 0;
    uint32_t missing_seq = 0;
    uint32_t missing_count = 0;
    const uint32_t end_seq = captured.saved.world.hq_after.seq;
    const uint32_t taken_seq = taken_through_seq();
    while (index < captured.entry_count && captured.entries[index].position.seq <= taken_seq) {
        index++;
    }
    while (index < captured.entry_count && mm_journal_read_after(&world.journal, after, &hint, &entry) == MM_OK &&
           entry.position.seq <= end_seq) {
        after = entry.position;
        for (; index < captured.entry_count && captured.entries[index].position.seq < after.seq; index++) {
            missing_count++;
            missing_seq = captured.entries[index].position.seq;
        }
        assert_true(index < captured.entry_count); // else it was invented
        const mm_journal_entry_t *before = &captured.entries[index++];
        assert_int_equal(before->position.seq, after.seq);
        assert_int_equal(before->type, entry.type);
        assert_int_equal(before->payload_bytes, entry.payload_bytes);
        assert_memory_equal(before->payload, entry.payload, entry.payload_bytes);
    }
    for (; index < captured.entry_count; index++) {
        missing_count++;
        missing_seq = captured.entries[index].position.seq;
    }
    unread_count += missing_count;
    assert_true(missing_count <= (place == IN_JOURNAL ? 1 : 0));
    if (missing_count != 0 && missing_seq > story.released_seq && missing_seq > world.journal.thinned_through_seq) {
        assert_true(is_reported(missing_seq));
    }
}

static bool check_month(uint16_t year_month, uint8_t channel) {
    uint32_t pulses;
    uint32_t hours[MM_HOURS_OF_DAY];
    if (mm_metering_month(&world.metering, year_month, channel, &pulses, hours) != MM_OK) {
        return false;
    }
    assert_int_equal(pulses, captured.months_pulses[year_month % MM_STORE_PAGES][channel]);
    uint32_t sum = 0;
    for (uint32_t hour = 0; hour < MM_HOURS_OF_DAY; hour++) {
        sum += hours[hour];
    }
    assert_int_equal(sum, pulses);
    return true;
}

// A flip in a page costs this page at the most.
static void check_months(uint64_t bit) {
    uint32_t missing = 0;
    for (uint32_t back = 0; back < MM_STORE_PAGES; back++) {
        uint16_t year_month = (uint16_t)(captured.saved.world.metering.closing_year_month - back);
        missing += check_month(year_month, (uint8_t)(bit % MM_CHANNELS)) ? 0 : 1;
    }
    assert_true(missing <= 1);
}

static void flip(place_t place, uint64_t bit) {
    const bool counters_live_on = (bit >> 3 & 1) == 0;
    const bool is_thorough = bit % 32 == bit / 256 % 32;
    const found_t before = found;
    restore(&captured.saved);
    story.recoveries_allowed = story.recoveries + (place == IN_JOURNAL ? 0 : 1);
    story.damaged_allowed = place == IN_JOURNAL ? 1 : 0;
    if (place == IN_FRAM) {
        mm_sim_fram_flip_bit(&world.fram_device, bit);
    } else {
        mm_sim_flash_flip_bit(place == IN_JOURNAL ? &world.journal_device : &world.register_device, bit);
    }
    flip_count++;
    story_reboot(DOWN_US, counters_live_on);
    if (story.recoveries != captured.saved.story.recoveries) {
        story.promised_type = MM_RECORD_NONE; // it was promised by the image that is gone
    }
    check_recovered_life(place, counters_live_on);
    check_registers();
    check_told();
    if (place == IN_JOURNAL || is_thorough) { // else its bytes are what they were
        check_entries(place);
    }
    if (place != IN_JOURNAL && bit % 16 == bit / 128 % 16) {
        check_months(bit);
    }
    if (is_thorough) {
        story_synchronise();
        world.t_us = next_interval_us();
        (void)story_poll();
        story_event(1000000000);
        // What closes a month stands in its page alone until the records are made.
        story.closings_refused = place != IN_JOURNAL && world.counters.values[MM_COUNTER_RECORD_REFUSED] != 0;
        check_registers();
        check_told();
        story_reboot(0, true);
        check_registers();
        check_entries(place);
    }
    report_found_since(before);
}

static void flip_all(place_t place, uint64_t bytes_count) {
    for (uint64_t bit = 0; bit < bytes_count * 8; bit++) {
        if (storage_takes()) {
            flip(place, bit);
        }
    }
}

static const struct {
    const char *name;
    void (*make)(bool with_fram);
    bool with_fram;
} moments[] = {
    {"FRAM, at rest", make_resting, true},
    {"FRAM, interval in the image only", make_pending_interval, true},
    {"FRAM, closing a month", make_closing_month, true},
    {"FRAM, journal thinned", make_thinned, true},
    {"flash only, at rest", make_resting, false},
};

int main(int argc, char **argv) {
    storage_begin("storage_bit_flips", argc, argv);
    before_operation = on_operation;
    before_count = note_stored;
    for (size_t index = 0; index < sizeof moments / sizeof moments[0]; index++) {
        uint64_t flips = flip_count;
        scenario_name = moments[index].name;
        moments[index].make(moments[index].with_fram);
        assert_true(captured.taken);
        list_captured();
        if (moments[index].with_fram) {
            flip_all(IN_FRAM, sizeof world.fram);
            flip_all(IN_JOURNAL, sizeof world.journal_flash);
        } else {
            flip_all(IN_REGISTER_LOG, sizeof world.register_flash);
        }
        printf("%s: %llu bit flips\n", moments[index].name, (unsigned long long)(flip_count - flips));
    }
    char figures[128];
    (void)snprintf(figures, sizeof figures, "bit_flips=%llu records_unreadable=%llu", (unsigned long long)flip_count,
                   (unsigned long long)unread_count);
    return storage_end(figures);
}
