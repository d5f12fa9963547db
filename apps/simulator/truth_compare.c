// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "meshmeter/crc32.h"
#include "simulator/truth.h"

/// An interval record at HQ, and the original seqs that it stands for.
typedef struct {
    uint32_t epoch;
    uint32_t first_seq;
    uint32_t last_seq;
    uint32_t pulses[MM_CHANNELS];
} profile_t;

typedef struct {
    truth_t *truth;
    truth_device_t *device;
    profile_t *profile;
    size_t profile_count;
    size_t profile_capacity;
    books_gap_t *gaps;
    size_t gap_count;
    uint64_t given_up; // pulses of records that are gone for a reason that a gap record tells
    bool months_given_up;
    uint64_t month_pulses[MM_CHANNELS];
    bool has_snapshot;
    uint64_t snapshot_pulses[MM_CHANNELS];
} compare_t;

static truth_record_t *find_record(truth_device_t *device, mm_position_t position) {
    size_t low = 0;
    size_t high = device->record_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const truth_record_t *record = &device->records[middle];
        if (mm_position_compare((mm_position_t){record->epoch, record->seq}, position) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    truth_record_t *record = low < device->record_count ? &device->records[low] : NULL;
    return record != NULL && record->epoch == position.epoch && record->seq == position.seq ? record : NULL;
}

static void add_profile(compare_t *self, mm_position_t position, const mm_interval_record_t *interval) {
    if (self->profile_count == self->profile_capacity) {
        self->profile_capacity = self->profile_capacity == 0 ? 4096 : self->profile_capacity * 2;
        self->profile = realloc(self->profile, self->profile_capacity * sizeof *self->profile);
        MM_ASSERT(self->profile != NULL);
    }
    profile_t *profile = &self->profile[self->profile_count++];
    profile->epoch = position.epoch;
    profile->first_seq = interval->thinned ? interval->thinned_first_seq : position.seq;
    profile->last_seq = interval->thinned ? interval->thinned_last_seq : position.seq;
    memcpy(profile->pulses, interval->pulses, sizeof profile->pulses);
}

// One record of HQ's: the node made it, with the same bytes, and it is the only one of its position.
static void take_record(void *context, mm_position_t position, uint8_t type, const void *payload,
                        size_t payload_bytes) {
    compare_t *self = context;
    truth_t *truth = self->truth;
    truth_record_t *record = find_record(self->device, position);
    truth->stored++;
    if (record == NULL || record->found) {
        truth->counted_twice++;
        truth_fail(truth,
                   record == NULL ? "HQ has %u/%u of node %d, which was never made" : "HQ has %u/%u of node %d twice",
                   position.epoch, position.seq, self->device->device->index);
        return;
    }
    record->found = true;
    if (record->checksum != mm_crc32(mm_crc32(0, &type, 1), payload, payload_bytes)) {
        truth_fail(truth, "HQ has other bytes for %u/%u of node %d", position.epoch, position.seq,
                   self->device->device->index);
    }
    mm_record_t decoded;
    if (mm_record_decode(type, payload, payload_bytes, &decoded) == MM_OK && decoded.type == MM_RECORD_INTERVAL) {
        add_profile(self, position, &decoded.interval);
    }
}

static void take_gap(void *context, const books_gap_t *gap) {
    compare_t *self = context;
    self->gaps = realloc(self->gaps, (self->gap_count + 1) * sizeof *self->gaps);
    MM_ASSERT(self->gaps != NULL);
    self->gaps[self->gap_count++] = *gap;
    self->truth->gaps += (uint64_t)gap->last_seq - gap->first_seq + 1;
}

static void take_month(void *context, const void *payload, size_t payload_bytes) {
    compare_t *self = context;
    mm_record_t record;
    if (mm_record_decode(MM_RECORD_MONTH_CLOSING, payload, payload_bytes, &record) == MM_OK) {
        self->month_pulses[record.month_closing.channel] += record.month_closing.month_pulses;
    }
}

static void take_snapshot(void *context, const void *bytes, size_t bytes_count) {
    compare_t *self = context;
    static mm_snapshot_t s_snapshot;
    mm_frame_t frame;
    mm_report_reader_t reader;
    mm_record_view_t view;
    self->has_snapshot = mm_frame_open(bytes, bytes_count, &frame) == MM_OK &&
                         mm_report_open(&frame, &reader) == MM_OK &&
                         mm_report_next(&reader, &s_snapshot, &view) == MM_REPORT_SNAPSHOT;
    for (uint8_t channel = 0; channel < MM_CHANNELS && self->has_snapshot; channel++) {
        self->snapshot_pulses[channel] = s_snapshot.meters[channel].life_pulses;
    }
}

// --- the load profile

static int compare_profiles(const void *left_item, const void *right_item) {
    const profile_t *left = left_item;
    const profile_t *right = right_item;
    if (left->epoch != right->epoch) {
        return left->epoch < right->epoch ? -1 : 1;
    }
    if (left->first_seq != right->first_seq) {
        return left->first_seq < right->first_seq ? -1 : 1;
    }
    return left->last_seq > right->last_seq ? -1 : left->last_seq < right->last_seq;
}

// Leave the outermost ranges: what a coarser record stands for does not count beside it.
static void keep_outermost(compare_t *self) {
    size_t kept = 0;
    if (self->profile_count == 0) {
        return;
    }
    qsort(self->profile, self->profile_count, sizeof *self->profile, compare_profiles);
    for (size_t i = 0; i < self->profile_count; i++) {
        const profile_t *outer = kept > 0 ? &self->profile[kept - 1] : NULL;
        const profile_t *profile = &self->profile[i];
        if (outer == NULL || outer->epoch != profile->epoch || profile->last_seq > outer->last_seq) {
            if (outer != NULL && outer->epoch == profile->epoch && profile->first_seq <= outer->last_seq) {
                truth_fail(self->truth, "node %d: two interval records overlap at %u/%u", self->device->device->index,
                           profile->epoch, profile->first_seq);
            }
            self->profile[kept++] = *profile;
        }
    }
    self->profile_count = kept;
}

static bool is_represented(const compare_t *self, const truth_record_t *record) {
    size_t low = 0;
    size_t high = self->profile_count;
    while (low < high) { // the last range that does not begin behind it
        size_t middle = low + (high - low) / 2;
        const profile_t *profile = &self->profile[middle];
        bool behind =
            profile->epoch > record->epoch || (profile->epoch == record->epoch && profile->first_seq > record->seq);
        low = behind ? low : middle + 1;
        high = behind ? middle : high;
    }
    return low > 0 && self->profile[low - 1].epoch == record->epoch && self->profile[low - 1].last_seq >= record->seq;
}

static const books_gap_t *find_gap(const compare_t *self, const truth_record_t *record) {
    for (size_t i = 0; i < self->gap_count; i++) {
        const books_gap_t *gap = &self->gaps[i];
        if (gap->explained && gap->epoch == record->epoch && gap->first_seq <= record->seq &&
            record->seq <= gap->last_seq) {
            return gap;
        }
    }
    return NULL;
}

// What it was thinned to is gone, too, and a gap record says why: damaged, or given up.
static bool is_thinned_one_explained(const compare_t *self, const truth_record_t *record) {
    for (size_t i = 0; i < self->device->record_count; i++) {
        const truth_record_t *other = &self->device->records[i];
        if (other->epoch == record->epoch && other->thinned_first_seq > 0 && other->thinned_first_seq <= record->seq &&
            record->seq <= other->thinned_last_seq && !other->found) {
            const books_gap_t *gap = find_gap(self, other);
            if (gap != NULL && gap->reason != MM_GAP_THINNED) {
                return true;
            }
        }
    }
    return false;
}

// Every record that was made is at HQ, or a gap record says why not.
static void account_for_records(compare_t *self) {
    truth_t *truth = self->truth;
    truth->made += self->device->record_count;
    for (size_t i = 0; i < self->device->record_count; i++) {
        const truth_record_t *record = &self->device->records[i];
        if (record->found) {
            continue;
        }
        const books_gap_t *gap = find_gap(self, record);
        self->months_given_up = self->months_given_up || record->type == MM_RECORD_MONTH_CLOSING;
        if (gap == NULL) {
            truth->lost++;
            truth_fail(truth, "record %u/%u (%s) of node %d is not at HQ, and no gap record says why", record->epoch,
                       record->seq, mm_record_type_name(record->type), self->device->device->index);
        } else if (record->type == MM_RECORD_INTERVAL && record->thinned_first_seq == 0 &&
                   !is_represented(self, record)) {
            self->given_up += record->pulses_sum;
            if (gap->reason == MM_GAP_THINNED && !is_thinned_one_explained(self, record)) {
                truth->lost++;
                truth_fail(truth, "record %u/%u of node %d was thinned, and no coarser one has come", record->epoch,
                           record->seq, self->device->device->index);
            }
        }
    }
}

static uint64_t difference(uint64_t left, uint64_t right) {
    return left > right ? left - right : right - left;
}

static uint64_t wh_of(const device_t *device, uint8_t channel, uint64_t pulses) {
    uint32_t constant = device->node.metering.options.meters[channel].pulse_constant;
    return constant == 0 ? 0 : (pulses * 1000 + constant - 1) / constant; // any difference shows
}

static void compare_profile(compare_t *self) {
    truth_t *truth = self->truth;
    const device_t *device = self->device->device;
    uint64_t hq_total = 0;
    uint64_t life_total = 0;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        uint64_t sum = 0;
        for (size_t i = 0; i < self->profile_count; i++) {
            sum += self->profile[i].pulses[channel];
        }
        uint64_t life = self->device->life[channel];
        if (self->given_up == 0 ? sum != life : sum > life) {
            truth->wh_error += wh_of(device, channel, difference(sum, life));
            truth_fail(truth,
                       "node %d channel %u: HQ's load profile adds up to %" PRIu64 " pulses, the meter made %" PRIu64,
                       device->index, channel, sum, life);
        }
        hq_total += sum;
        life_total += life;
    }
    truth->pulses += life_total;
    if (hq_total + self->given_up != life_total) {
        truth_fail(truth, "node %d: load profile %" PRIu64 " and given up %" PRIu64 " are not %" PRIu64, device->index,
                   hq_total, self->given_up, life_total);
    }
}

// --- registers

// HQ's newest snapshot has exactly the registers of the node.
static void compare_snapshot(compare_t *self) {
    truth_t *truth = self->truth;
    const device_t *device = self->device->device;
    if (!self->has_snapshot) {
        truth_fail(truth, "HQ has no snapshot of node %d", device->index);
        return;
    }
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        uint64_t hq_pulses = self->snapshot_pulses[channel];
        uint64_t pulses = self->device->life[channel];
        if (hq_pulses != pulses) {
            truth->wh_error += wh_of(device, channel, difference(hq_pulses, pulses));
            truth_fail(truth, "node %d channel %u: HQ's register %" PRIu64 ", meter %" PRIu64, device->index, channel,
                       hq_pulses, pulses);
        }
    }
}

// A month's closing at HQ is what the node has counted in it: with the present month and what is pending, all of them
// make up the register. A month whose closing record was given up is told by a gap record.
static void compare_months(compare_t *self) {
    const device_t *device = self->device->device;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        const mm_channel_registers_t *registers = &device->node.metering.registers.channels[channel];
        uint64_t sum = self->month_pulses[channel] + registers->month_pulses + registers->pending_pulses;
        if (sum != self->device->life[channel] && !self->months_given_up) {
            self->truth->wh_error += wh_of(device, channel, difference(sum, self->device->life[channel]));
            truth_fail(self->truth, "node %d channel %u: the months add up to %" PRIu64 ", the meter made %" PRIu64,
                       device->index, channel, sum, self->device->life[channel]);
        }
    }
}

void truth_compare(truth_t *self, books_t *books) {
    for (int i = 0; i < self->device_count; i++) {
        compare_t compare = {.truth = self, .device = &self->devices[i]};
        const books_reader_t reader = {take_record, take_gap, take_month, take_snapshot, &compare};
        const char *problem = books_read(books, mm_sim_mesh_mac(i), &reader);
        if (problem != NULL) {
            truth_fail(self, "HQ's books of node %d: %s", i, problem);
        }
        keep_outermost(&compare);
        account_for_records(&compare);
        compare_profile(&compare);
        compare_snapshot(&compare);
        compare_months(&compare);
        free(compare.profile);
        free(compare.gaps);
    }
}
