// SPDX-License-Identifier: Apache-2.0
// Bytes in flash: what a record costs and how many days the journal holds, measured through the real journal on
// emulated flash. Exit code 1 if a bound of the product is missed.

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meshmeter/journal.h"
#include "meshmeter/random.h"
#include "meshmeter/record.h"
#include "meshmeter/register_store.h"
#include "sim/sim_flash.h"

#define SECTORS 96 // 384 KiB
#define DAYS 90
#define RECORDS_A_DAY 96
#define RECORD_BYTES_MAX 40
#define PULSES_PER_INTERVAL_MAX 16383 // S0: 16.7 pulses a second give 15,030
#define IMAGE_BYTES 1400
#define SAVES_A_DAY 1440 // without FRAM, an image every minute
#define SECTOR_ERASES 100000

static bool s_failed;
static uint8_t s_bytes[SECTORS * MM_FLASH_SECTOR_BYTES];
static mm_sim_sector_t s_sectors[SECTORS];

static void check(const char *what, uint64_t value, const char *unit, bool at_most, uint64_t bound) {
    bool holds = at_most ? value <= bound : value >= bound;
    s_failed = s_failed || !holds;
    printf("  %-56s %7llu %-8s %s %llu: %s\n", what, (unsigned long long)value, unit, at_most ? "at most" : "at least",
           (unsigned long long)bound, holds ? "holds" : "MISSED");
}

static void show(const char *what, uint64_t value, const char *unit) {
    printf("  %-56s %7llu %s\n", what, (unsigned long long)value, unit);
}

static void need(bool condition, const char *what) {
    if (!condition) {
        printf("failed: %s\n", what);
        exit(1);
    }
}

typedef struct {
    mm_sim_power_t power;
    mm_sim_flash_t flash;
    mm_counters_t counters;
    mm_journal_t journal;
    mm_random_t random;
    uint32_t interval_no;
    uint64_t pulses;
    size_t payload_bytes_max;
} world_t;

// Eight meters; in each interval one of them is at the rate an S0 output can have at most.
static void append_interval(world_t *w) {
    mm_record_t record = {.type = MM_RECORD_INTERVAL};
    mm_interval_record_t *interval = &record.interval;
    interval->interval_no = ++w->interval_no;
    interval->end = (mm_label_t){1767225600 + (uint64_t)interval->interval_no * MM_INTERVAL_S, MM_TRUST_SYNCED};
    interval->duration_s = MM_INTERVAL_S;
    for (uint32_t channel = 0; channel < MM_CHANNELS; channel++) {
        interval->pulses[channel] = mm_random_below(&w->random, PULSES_PER_INTERVAL_MAX + 1);
    }
    interval->pulses[interval->interval_no % MM_CHANNELS] = PULSES_PER_INTERVAL_MAX;
    for (uint32_t channel = 0; channel < MM_CHANNELS; channel++) {
        w->pulses += interval->pulses[channel];
    }
    uint8_t payload[MM_RECORD_PAYLOAD_BYTES_MAX];
    mm_writer_t writer = mm_writer(payload, sizeof payload);
    mm_record_encode(&record, &writer);
    w->payload_bytes_max = writer.used_bytes > w->payload_bytes_max ? writer.used_bytes : w->payload_bytes_max;
    mm_position_t position;
    need(mm_journal_prepare(&w->journal) == MM_OK, "prepare");
    need(mm_journal_append(&w->journal, record.type, payload, writer.used_bytes, &position) == MM_OK, "append");
}

static void open_journal(world_t *w) {
    const mm_journal_options_t options = {.sector_count = SECTORS};
    mm_journal_opening_t opening;
    need(mm_journal_open(&w->journal, &w->flash.flash, &w->counters, &options, &opening) == MM_OK, "open");
}

static uint64_t readable_pulses(const world_t *w, uint32_t *count) {
    uint64_t pulses = 0;
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry = {.position = {0, 0}};
    *count = 0;
    while (mm_journal_read_after(&w->journal, entry.position, &hint, &entry) == MM_OK) {
        mm_record_t record;
        (*count)++;
        if (entry.type == MM_RECORD_INTERVAL &&
            mm_record_decode(entry.type, entry.payload, entry.payload_bytes, &record) == MM_OK) {
            for (uint32_t channel = 0; channel < MM_CHANNELS; channel++) {
                pulses += record.interval.pulses[channel];
            }
        }
    }
    return pulses;
}

static void measure_journal(void) {
    static world_t w;
    w.random = mm_random(2026);
    mm_sim_power_init(&w.power, 1);
    mm_sim_flash_init(&w.flash, &w.power, s_bytes, s_sectors, SECTORS);
    open_journal(&w);

    printf("journal: %d sectors, %d interval records of 8 meters, nothing acknowledged by HQ\n", SECTORS,
           DAYS * RECORDS_A_DAY);
    for (uint32_t record = 0; record < DAYS * RECORDS_A_DAY; record++) {
        append_interval(&w);
    }
    open_journal(&w); // as after a power cut
    mm_journal_hint_t hint = {0};
    mm_journal_entry_t entry;
    need(mm_journal_read_after(&w.journal, (mm_position_t){0, 0}, &hint, &entry) == MM_OK, "read");
    uint32_t count;
    need(readable_pulses(&w, &count) == w.pulses, "every pulse can be read back");
    uint32_t used_sectors = 0;
    for (uint32_t index = 0; index < SECTORS; index++) {
        used_sectors += w.journal.sectors[index].state == MM_JOURNAL_SECTOR_USED;
    }
    check("payload of the largest interval record", w.payload_bytes_max, "bytes", true, 32);
    check("the same in flash, with header and alignment", (8 + w.payload_bytes_max + 3) / 4 * 4, "bytes", true,
          RECORD_BYTES_MAX);
    check("programmed for each record, everything included", w.flash.programmed_bytes / (DAYS * RECORDS_A_DAY), "bytes",
          true, RECORD_BYTES_MAX);
    check("records readable after 90 days", count, "records", false, DAYS * RECORDS_A_DAY);
    check("oldest of them", entry.position.seq, "(seq)", true, 1);
    check("sectors they take, with the one being written", used_sectors, "sectors", true, SECTORS - 1);

    uint32_t days = DAYS;
    while (w.counters.values[MM_COUNTER_JOURNAL_THINNED] == 0) {
        for (uint32_t record = 0; record < RECORDS_A_DAY; record++) {
            append_interval(&w);
        }
        days++;
    }
    show("days until the first sector is thinned", days, "days");
    for (; days < 730; days++) {
        for (uint32_t record = 0; record < RECORDS_A_DAY; record++) {
            append_interval(&w);
        }
    }
    need(readable_pulses(&w, &count) == w.pulses, "every pulse can be read back after two years without HQ");
    show("records after two years without HQ, every pulse in them", count, "records");
    show("RAM of the journal, this build", sizeof(mm_journal_t), "bytes");
    show("flash erased, all sectors in two years", w.flash.erases, "erases");
}

// The bound itself: records of exactly 40 bytes.
static void measure_largest(void) {
    static world_t w;
    static const uint8_t payload[RECORD_BYTES_MAX - 8] = {1};
    mm_sim_power_init(&w.power, 1);
    mm_sim_flash_init(&w.flash, &w.power, s_bytes, s_sectors, SECTORS);
    open_journal(&w);
    printf("journal: %d records of %d bytes\n", DAYS * RECORDS_A_DAY, RECORD_BYTES_MAX);
    for (uint32_t record = 0; record < DAYS * RECORDS_A_DAY; record++) {
        mm_position_t position;
        need(mm_journal_prepare(&w.journal) == MM_OK, "prepare");
        need(mm_journal_append(&w.journal, MM_RECORD_EVENT, payload, sizeof payload, &position) == MM_OK, "append");
    }
    uint32_t count;
    (void)readable_pulses(&w, &count);
    check("records readable after 90 days", count, "records", false, DAYS * RECORDS_A_DAY);
    check("oldest of them", mm_journal_oldest(&w.journal).seq, "(seq)", true, 1);
}

static void measure_store(void) {
    static mm_sim_power_t power;
    static mm_sim_flash_t flash;
    static mm_counters_t counters;
    static uint8_t image[IMAGE_BYTES];
    static const uint32_t sector_counts[] = {16, 32, 64};
    printf("register store without FRAM: image of %d bytes every minute, 12 month pages of 900 bytes\n", IMAGE_BYTES);
    for (size_t index = 0; index < sizeof sector_counts / sizeof sector_counts[0]; index++) {
        mm_register_store_t store;
        mm_store_state_t state;
        size_t image_bytes;
        size_t cell_bytes;
        uint8_t cell[MM_STORE_CELL_BYTES_MAX];
        uint8_t loaded[MM_STORE_IMAGE_BYTES_MAX];
        mm_sim_power_init(&power, 1);
        mm_sim_flash_init(&flash, &power, s_bytes, s_sectors, sector_counts[index]);
        need(mm_register_store_open(&store, NULL, &flash.flash, &counters, &state, loaded, sizeof loaded, &image_bytes,
                                    cell, sizeof cell, &cell_bytes) == MM_OK,
             "open the store");
        for (uint8_t page = 0; page < MM_STORE_PAGES; page++) {
            need(mm_register_store_save_page(&store, page, image, 900) == MM_OK, "save a page");
        }
        for (uint32_t save = 0; save < 10 * SAVES_A_DAY; save++) {
            need(mm_register_store_save(&store, image, sizeof image) == MM_OK, "save an image");
        }
        uint64_t erases_a_year = flash.erases * 365 / 10 / sector_counts[index];
        printf("  %2u sectors: each erased %5llu times a year, %llu years to %d erases\n", sector_counts[index],
               (unsigned long long)erases_a_year, (unsigned long long)(SECTOR_ERASES / erases_a_year), SECTOR_ERASES);
    }
    show("FRAM needed instead", MM_STORE_FRAM_BYTES, "bytes");
}

int main(void) {
    measure_journal();
    measure_largest();
    measure_store();
    return s_failed ? 1 : 0;
}
