// SPDX-License-Identifier: Apache-2.0
// Bytes on the wire: what frames, batches and records cost, and whether the product's bounds hold. Exit code 1 if one
// does not.

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meshmeter/batch.h"
#include "meshmeter/command.h"
#include "meshmeter/crc32.h"
#include "meshmeter/frame.h"
#include "meshmeter/random.h"
#include "meshmeter/record.h"

// In flash a record costs its payload, a header of this size, and alignment to 4 bytes (docs/spec/storage.md).
#define FLASH_HEADER_BYTES 8
#define FLASH_RECORD_BYTES_MAX 40
#define INTERVAL_PAYLOAD_BYTES_MAX 32
#define FULL_RECORDS_MIN 20
#define JSON_RATIO_PERCENT_MAX 25
#define JSON_RATIO_PREPAID_PERCENT_MAX 30
#define PULSES_PER_INTERVAL_MAX 16383 // S0: 16.7 pulses a second give 15,030

static const mm_mac_t s_root = {{0x24, 0x0A, 0xC4, 0xFF, 0x00, 0x01}};
static const mm_time_t s_time = {{1751311800000000}, MM_TRUST_SYNCED}; // 2025-06-30 19:30:00 UTC

static bool s_failed;

static void check(const char *what, size_t value, const char *unit, bool at_most, size_t bound) {
    bool holds = at_most ? value <= bound : value >= bound;
    s_failed = s_failed || !holds;
    printf("  %-64s %6zu %-8s %s %zu: %s\n", what, value, unit, at_most ? "at most" : "at least", bound,
           holds ? "holds" : "MISSED");
}

static mm_mac_t node_mac(unsigned node) {
    mm_mac_t mac = {{0x24, 0x0A, 0xC4, 0x00, (uint8_t)(node >> 8), (uint8_t)node}};
    return mac;
}

static mm_snapshot_t snapshot_head(mm_random_t *random) {
    mm_snapshot_t snapshot = {
        .boot_no = 1 + mm_random_below(random, 200),
        .uptime_ms = 1000u * (uint64_t)mm_random_below(random, 90 * 86400),
        .time = s_time,
        .layer = (uint8_t)(1 + mm_random_below(random, 5)),
        .year_month = 2025 * 12 + 5,
        .interval_no = 70000 + mm_random_below(random, 1000),
        .watermark = {1, 70100 + mm_random_below(random, 1000)},
    };
    snapshot.oldest = (mm_position_t){1, snapshot.watermark.seq - 8000};
    snapshot.next_seq = snapshot.watermark.seq + 4;
    return snapshot;
}

static void name_meter(mm_meter_snapshot_t *meter, unsigned node, unsigned channel) {
    int chars = snprintf(meter->id, sizeof meter->id, "MT%08u%02u", 17340000 + node, channel);
    if (chars != MM_METER_ID_CHARS_MAX) {
        abort();
    }
}

// A household over a whole month: permille of a day by hour of the day, with the evening peak and the night valley that
// households have, and each one up to a third off it at each hour.
static void fill_household(mm_meter_snapshot_t *meter, mm_random_t *random, uint32_t month_kwh, uint32_t years) {
    static const uint8_t permille[MM_HOURS_OF_DAY] = {23, 18, 16, 15, 15, 17, 28, 44, 49, 47, 46, 48,
                                                      53, 51, 45, 41, 40, 44, 54, 65, 69, 66, 57, 49};
    for (size_t hour = 0; hour < MM_HOURS_OF_DAY; hour++) {
        uint32_t mean_pulses = month_kwh * meter->pulse_constant / 1000 * permille[hour];
        meter->hours_pulses[hour] = mean_pulses / 3 * 2 + mm_random_below(random, mean_pulses / 3 * 2 + 1);
        meter->month_pulses += meter->hours_pulses[hour];
    }
    meter->life_pulses = (uint64_t)month_kwh * 12 * years * meter->pulse_constant + meter->month_pulses;
    meter->start_wh = 1000u * (uint64_t)mm_random_below(random, 20000) + 12345;
}

// An apartment house on the last day of a month, when the month's registers are largest.
static mm_snapshot_t snapshot_realistic(mm_random_t *random, unsigned node) {
    mm_snapshot_t snapshot = snapshot_head(random);
    for (unsigned channel = 0; channel < MM_CHANNELS; channel++) {
        mm_meter_snapshot_t *meter = &snapshot.meters[channel];
        name_meter(meter, node, channel);
        meter->pulse_constant = 1000;
        fill_household(meter, random, 150 + mm_random_below(random, 251), 1 + mm_random_below(random, 5));
        snapshot.interval_pulses[channel] = mm_random_below(random, 500); // up to 2 kW for 15 minutes
    }
    snapshot.counters.values[MM_COUNTER_MESH_SEND_FAILED] = mm_random_below(random, 50);
    return snapshot;
}

// Everything at the limits of the product.
static mm_snapshot_t snapshot_full(mm_random_t *random, unsigned node) {
    mm_snapshot_t snapshot = snapshot_head(random);
    for (unsigned channel = 0; channel < MM_CHANNELS; channel++) {
        mm_meter_snapshot_t *meter = &snapshot.meters[channel];
        name_meter(meter, node, channel);
        meter->pulse_constant = MM_PULSE_CONSTANT_MAX;
        meter->start_wh = 9999999999;
        meter->life_pulses = 10000000000;
        for (size_t hour = 0; hour < MM_HOURS_OF_DAY; hour++) {
            meter->hours_pulses[hour] = 100000 - mm_random_below(random, 2);
            meter->month_pulses += meter->hours_pulses[hour];
        }
        snapshot.interval_pulses[channel] = PULSES_PER_INTERVAL_MAX;
    }
    return snapshot;
}

static size_t interval_payload(uint8_t *payload, uint32_t interval_no, uint32_t pulses_max, mm_random_t *random) {
    mm_record_t record = {
        .type = MM_RECORD_INTERVAL,
        .interval = {.interval_no = interval_no, .end = {1751311800, MM_TRUST_SYNCED}, .duration_s = MM_INTERVAL_S}};
    for (size_t channel = 0; channel < MM_CHANNELS; channel++) {
        record.interval.pulses[channel] = pulses_max - mm_random_below(random, pulses_max / 100 + 1);
    }
    mm_writer_t writer = mm_writer(payload, MM_RECORD_PAYLOAD_BYTES_MAX);
    mm_record_encode(&record, &writer);
    return writer.used_bytes;
}

static size_t report_with(uint8_t *bytes, const mm_snapshot_t *snapshot, const mm_control_report_t *control,
                          mm_mac_t node) {
    mm_report_writer_t report;
    mm_report_begin(&report, bytes, MM_MESH_FRAME_BYTES_MAX, node, 1234567);
    if (mm_report_put_snapshot(&report, snapshot) != MM_OK ||
        (control != NULL && mm_report_put_control(&report, control) != MM_OK)) {
        return 0;
    }
    return mm_report_finish(&report);
}

static void bench_records(mm_random_t *random) {
    static const uint32_t loads[] = {0, 100, 500, 2000, PULSES_PER_INTERVAL_MAX};
    uint8_t payload[MM_RECORD_PAYLOAD_BYTES_MAX];
    printf("Interval record of 8 meters (15 min, on the clock's grid)\n");
    printf("  %-20s %8s %8s %22s\n", "pulses per meter", "payload", "in flash", "90 days in flash (KB)");
    for (size_t index = 0; index < sizeof loads / sizeof loads[0]; index++) {
        size_t payload_bytes = interval_payload(payload, 2000000, loads[index], random);
        size_t flash_bytes = (FLASH_HEADER_BYTES + payload_bytes + 3) / 4 * 4;
        printf("  %-20u %8zu %8zu %22zu\n", loads[index], payload_bytes, flash_bytes, flash_bytes * 96 * 90 / 1000);
    }
    size_t payload_bytes = interval_payload(payload, 2000000, PULSES_PER_INTERVAL_MAX, random);
    check("payload at the S0 limit", payload_bytes, "bytes", true, INTERVAL_PAYLOAD_BYTES_MAX);
    check("in flash, with header and alignment", (FLASH_HEADER_BYTES + payload_bytes + 3) / 4 * 4, "bytes", true,
          FLASH_RECORD_BYTES_MAX);
}

static const mm_control_report_t s_control_postpaid = {.era = UINT32_MAX, .counter = 100};

// All meters are prepaid and have bought much: 10 GWh, of which 1 GWh is left.
static mm_control_report_t control_full(void) {
    mm_control_report_t control = {.era = UINT32_MAX, .counter = 100000, .slot = 249, .slot_count = 250};
    for (size_t channel = 0; channel < MM_CHANNELS; channel++) {
        control.meters[channel].prepaid = true;
        control.meters[channel].relay_closed = true;
        control.meters[channel].balance_wh = 1000000000;
        control.meters[channel].applied_wh = 10000000000;
        control.meters[channel].token_count = 10000;
    }
    return control;
}

// Beside the snapshot, and the control report if there is one. Returns the number of records.
static uint32_t fill_report(mm_report_writer_t *report, uint8_t bytes[MM_MESH_FRAME_BYTES_MAX],
                            const mm_snapshot_t *snapshot, const mm_control_report_t *control, mm_random_t *random) {
    uint8_t payload[MM_RECORD_PAYLOAD_BYTES_MAX];
    mm_report_begin(report, bytes, MM_MESH_FRAME_BYTES_MAX, node_mac(1), 1234567);
    if (mm_report_put_snapshot(report, snapshot) != MM_OK ||
        (control != NULL && mm_report_put_control(report, control) != MM_OK)) {
        abort();
    }
    uint32_t count = 0;
    for (;;) {
        size_t payload_bytes = interval_payload(payload, 70000 + count, PULSES_PER_INTERVAL_MAX, random);
        mm_position_t position = {1, snapshot->watermark.seq + 1 + count};
        if (mm_report_put_record(report, position, MM_RECORD_INTERVAL, payload, payload_bytes) != MM_OK) {
            return count;
        }
        count++;
    }
}

static void bench_full_frame(mm_random_t *random) {
    uint8_t bytes[MM_MESH_FRAME_BYTES_MAX];
    mm_snapshot_t snapshot = snapshot_full(random, 1);
    mm_control_report_t control = control_full();
    size_t snapshot_bytes = report_with(bytes, &snapshot, NULL, node_mac(1));
    mm_report_writer_t report;
    uint32_t count = fill_report(&report, bytes, &snapshot, NULL, random);
    printf("\nReport of a node at the product's limits (8 ids of 12, constant 10,000, life 10^10, 24 hours of 100,000 "
           "pulses)\n");
    check("snapshot alone", snapshot_bytes, "bytes", true, MM_MESH_FRAME_BYTES_MAX);
    check("whole frame filled with interval records at the S0 limit", mm_report_finish(&report), "bytes", true,
          MM_MESH_FRAME_BYTES_MAX);
    check("interval records beside the snapshot", count, "records", false, FULL_RECORDS_MIN);
    uint32_t count_with_control = fill_report(&report, bytes, &snapshot, &control, random);
    check("snapshot and control report of 8 prepaid meters, filled up", mm_report_finish(&report), "bytes", true,
          MM_MESH_FRAME_BYTES_MAX);
    check("interval records beside both", count_with_control, "records", false, FULL_RECORDS_MIN);
    mm_report_begin(&report, bytes, sizeof bytes, node_mac(1), 1234567);
    size_t empty_bytes = mm_report_finish(&report);
    if (mm_report_put_control(&report, &control) != MM_OK) {
        abort();
    }
    printf("  %-64s %6zu bytes\n", "control report of 8 prepaid meters", mm_report_finish(&report) - empty_bytes);
    mm_report_begin(&report, bytes, sizeof bytes, node_mac(1), 1234567);
    if (mm_report_put_control(&report, &s_control_postpaid) != MM_OK) {
        abort();
    }
    printf("  %-64s %6zu bytes\n", "control report without prepaid meters", mm_report_finish(&report) - empty_bytes);
}

// What the original sends for one node: no blanks, energies in whole kWh, hours and months as it names them.
static size_t original_json(char *text, size_t capacity, const mm_snapshot_t *snapshot, unsigned node) {
    size_t used = (size_t)snprintf(text, capacity,
                                   "{\"cmd\":\"meterdata\",\"ControlId\":%u,\"Subnode\":0,"
                                   "\"TS\":\"Mon Jun 30 19:30:00 2025\",\"Medidores\":[",
                                   340000 + node);
    for (unsigned channel = 0; channel < MM_CHANNELS; channel++) {
        const mm_meter_snapshot_t *meter = &snapshot->meters[channel];
        uint64_t life_wh = mm_meter_energy_wh(meter->start_wh, meter->life_pulses, meter->pulse_constant);
        used += (size_t)snprintf(text + used, capacity - used,
                                 "%s{\"m\":\"%s\",\"k\":%llu,\"Months\":[{\"M%u\":%u,\"Hours\":[",
                                 channel > 0 ? "," : "", meter->id, (unsigned long long)(life_wh / 1000),
                                 snapshot->year_month % 12u, meter->month_pulses / meter->pulse_constant);
        for (unsigned hour = 0; hour < MM_HOURS_OF_DAY; hour++) {
            used += (size_t)snprintf(text + used, capacity - used, "%s{\"H%u\":%u}", hour > 0 ? "," : "", hour,
                                     meter->hours_pulses[hour] / meter->pulse_constant);
        }
        used += (size_t)snprintf(text + used, capacity - used, "]}]}");
    }
    used += (size_t)snprintf(text + used, capacity - used, "]}");
    if (used >= capacity) {
        abort();
    }
    return used;
}

static void bench_batch(mm_random_t *random, const char *meters_are, const mm_control_report_t *control,
                        size_t permille_max) {
    static uint8_t message_room[MM_BATCH_BYTES_MAX];
    static char text[8192];
    mm_batch_builder_t builder;
    mm_batch_begin(&builder, message_room, sizeof message_room);
    size_t json_bytes = 2 + MM_BATCH_NODES_MAX - 1; // the array around the nodes
    size_t frame_bytes_sum = 0;
    uint64_t month_pulses_sum = 0;
    uint32_t hour_pulses_max = 0;
    for (unsigned node = 0; node < MM_BATCH_NODES_MAX; node++) {
        mm_snapshot_t snapshot = snapshot_realistic(random, node);
        uint8_t frame[MM_MESH_FRAME_BYTES_MAX];
        size_t frame_bytes = report_with(frame, &snapshot, control, node_mac(node));
        if (frame_bytes == 0 || mm_batch_add_frame(&builder, frame, frame_bytes) != MM_OK) {
            abort();
        }
        frame_bytes_sum += frame_bytes;
        json_bytes += original_json(text, sizeof text, &snapshot, node);
        for (size_t channel = 0; channel < MM_CHANNELS; channel++) {
            month_pulses_sum += snapshot.meters[channel].month_pulses;
            for (size_t hour = 0; hour < MM_HOURS_OF_DAY; hour++) {
                uint32_t pulses = snapshot.meters[channel].hours_pulses[hour];
                hour_pulses_max = pulses > hour_pulses_max ? pulses : hour_pulses_max;
            }
        }
    }
    mm_batch_header_t header = {.root = s_root,
                                .root_boot_no = 12,
                                .session = 345,
                                .round_id = 1234567,
                                .kind = MM_BATCH_LIVE,
                                .time = s_time,
                                .batch_count = 1};
    size_t message_bytes;
    mm_batch_finish(&builder, &header, &message_bytes);
    size_t meters = MM_BATCH_NODES_MAX * MM_CHANNELS;
    printf("\nBatch of %u nodes = %zu %s households of 150 to 400 kWh a month, 1,000 imp/kWh, last day of the month\n",
           MM_BATCH_NODES_MAX, meters, meters_are);
    printf("  %-40s %8zu kWh, largest hour of the day %u.%03u kWh\n", "mean of the month",
           (size_t)(month_pulses_sum / 1000 / meters), hour_pulses_max / 1000, hour_pulses_max % 1000);
    printf("  %-40s %8zu bytes a node, whole kWh\n", "the original's JSON", json_bytes / MM_BATCH_NODES_MAX);
    printf("  %-40s %8zu bytes a node, exact to the pulse\n", "our report", frame_bytes_sum / MM_BATCH_NODES_MAX);
    printf("  %-40s %8zu bytes\n", "the original's JSON, all nodes", json_bytes);
    printf("  %-40s %8zu bytes\n", "our batch", message_bytes);
    check("permille of the JSON", (message_bytes * 1000 + json_bytes - 1) / json_bytes, "permille", true, permille_max);
}

static void bench_others(void) {
    static mm_ack_t ack = {.entry_count = MM_NODES_MAX};
    uint8_t bytes[MM_DOWNLINK_BYTES_MAX];
    mm_ask_t ask = {.has_watermark = true, .time = s_time};
    printf("\nOthers\n");
    check("acknowledgement of 100 nodes", mm_ack_write(bytes, sizeof bytes, &ack), "bytes", true,
          MM_DOWNLINK_BYTES_MAX);
    check("ask", mm_frame_write_ask(bytes, sizeof bytes, s_root, &ask), "bytes", true, MM_MESH_FRAME_BYTES_MAX);
}

int main(void) {
    mm_random_t random = mm_random(1);
    bench_records(&random);
    bench_full_frame(&random);
    bench_batch(&random, "postpaid", &s_control_postpaid, JSON_RATIO_PERCENT_MAX * 10);
    // What the JSON has no words for, credit and relays, does not count against its size; it has a bound of its own.
    const mm_control_report_t control = control_full();
    bench_batch(&random, "prepaid", &control, JSON_RATIO_PREPAID_PERCENT_MAX * 10);
    bench_others();
    return s_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
