// SPDX-License-Identifier: Apache-2.0
#include "store_internal.h"

#include <string.h>

// Ranges live twice: in memory for the decisions, in their table for the next start. Each change goes to both at once,
// a row at a time, so the cost does not depend on the number of holes.

// Index of the first range that ends at or behind seq.
static size_t lower_bound(const mmi_hq_ranges_t *ranges, uint32_t seq) {
    size_t low = 0;
    size_t high = ranges->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranges->items[middle].last < seq) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

ptrdiff_t mmi_hq_ranges_find(const mmi_hq_ranges_t *ranges, uint32_t seq) {
    size_t index = lower_bound(ranges, seq);
    return index < ranges->count && ranges->items[index].first <= seq ? (ptrdiff_t)index : -1;
}

static bool insert_at(mm_store_t *self, mmi_hq_ranges_t *ranges, size_t index, mmi_hq_range_t range) {
    if (ranges->count == ranges->capacity) {
        mmi_hq_range_t *grown =
            mmi_hq_grow(self, ranges->items, &ranges->capacity, ranges->count + 1, sizeof *ranges->items);
        if (grown == NULL) {
            return false;
        }
        ranges->items = grown;
    }
    memmove(&ranges->items[index + 1], &ranges->items[index], (ranges->count - index) * sizeof *ranges->items);
    ranges->items[index] = range;
    ranges->count++;
    return true;
}

static void remove_at(mmi_hq_ranges_t *ranges, size_t index) {
    ranges->count--;
    memmove(&ranges->items[index], &ranges->items[index + 1], (ranges->count - index) * sizeof *ranges->items);
}

bool mmi_hq_ranges_append(mm_store_t *self, mmi_hq_ranges_t *ranges, mmi_hq_range_t range) {
    return insert_at(self, ranges, ranges->count, range);
}

static void write_row(mm_store_t *self, const mmi_hq_track_t *track, mmi_hq_statement_t which,
                      const mmi_hq_range_t *range) {
    sqlite3_stmt *statement = mmi_hq_statement(self, which);
    if (statement == NULL) {
        return;
    }
    sqlite3_bind_int64(statement, 1, track->node_id);
    sqlite3_bind_int64(statement, 2, track->epoch);
    sqlite3_bind_int64(statement, 3, range->first);
    if (which == MMI_HQ_SPAN_PUT || which == MMI_HQ_GAP_PUT) {
        sqlite3_bind_int64(statement, 4, range->last);
    }
    if (which == MMI_HQ_GAP_PUT) {
        sqlite3_bind_int64(statement, 5, range->reason);
        sqlite3_bind_int64(statement, 6, range->explained);
    }
    mmi_hq_run(self, statement);
}

static void span_add(mm_store_t *self, mmi_hq_track_t *track, uint32_t first, uint32_t last) {
    mmi_hq_ranges_t *spans = &track->spans;
    size_t index = lower_bound(spans, first);
    bool joins_left = index > 0 && spans->items[index - 1].last + 1 == first;
    bool joins_right = index < spans->count && last + 1 == spans->items[index].first;
    if (joins_right) {
        last = spans->items[index].last;
        write_row(self, track, MMI_HQ_SPAN_DELETE, &spans->items[index]);
        remove_at(spans, index);
    }
    if (joins_left) {
        index--;
        spans->items[index].last = last;
    } else if (!insert_at(self, spans, index, (mmi_hq_range_t){.first = first, .last = last})) {
        return;
    }
    write_row(self, track, MMI_HQ_SPAN_PUT, &spans->items[index]);
}

// Take first … last out of the gap at `index`, which overlaps it; what is left of it stays. Returns the index behind.
static size_t gap_cut(mm_store_t *self, mmi_hq_track_t *track, size_t index, uint32_t first, uint32_t last) {
    mmi_hq_range_t gap = track->gaps.items[index];
    write_row(self, track, MMI_HQ_GAP_DELETE, &gap);
    remove_at(&track->gaps, index);
    if (gap.first < first) {
        mmi_hq_range_t left = gap;
        left.last = first - 1;
        if (!insert_at(self, &track->gaps, index, left)) {
            return index;
        }
        write_row(self, track, MMI_HQ_GAP_PUT, &left);
        index++;
    }
    if (gap.last > last) {
        mmi_hq_range_t right = gap;
        right.first = last + 1;
        if (insert_at(self, &track->gaps, index, right)) {
            write_row(self, track, MMI_HQ_GAP_PUT, &right);
        }
    }
    return index;
}

void mmi_hq_track_store(mm_store_t *self, mmi_hq_track_t *track, uint32_t first, uint32_t last) {
    span_add(self, track, first, last);
    for (;;) {
        size_t index = lower_bound(&track->gaps, first);
        if (mmi_hq_failed(self) || index == track->gaps.count || track->gaps.items[index].first > last) {
            return;
        }
        gap_cut(self, track, index, first, last);
    }
}

static bool is_continued(const mmi_hq_range_t *left, const mmi_hq_range_t *right) {
    return left->last + 1 == right->first && left->reason == right->reason && left->explained == right->explained;
}

// Insert a gap where none is, joining neighbours of the same kind.
static void gap_add(mm_store_t *self, mmi_hq_track_t *track, mmi_hq_range_t gap) {
    mmi_hq_ranges_t *gaps = &track->gaps;
    size_t index = lower_bound(gaps, gap.first);
    MM_ASSERT(gaps->items != NULL || gaps->count == 0);
    if (index < gaps->count && is_continued(&gap, &gaps->items[index])) {
        gap.last = gaps->items[index].last;
        write_row(self, track, MMI_HQ_GAP_DELETE, &gaps->items[index]);
        remove_at(gaps, index);
    }
    if (index > 0 && is_continued(&gaps->items[index - 1], &gap)) {
        index--;
        gaps->items[index].last = gap.last;
    } else if (!insert_at(self, gaps, index, gap)) {
        return;
    }
    write_row(self, track, MMI_HQ_GAP_PUT, &gaps->items[index]);
}

// A node names damaged records one by one, and thinned or given up ones with everything between them, in whatever order
// the two arrive. What is damaged is not in any sum: this reason tells more.
static bool gives_way(const mmi_hq_range_t *gap, uint8_t reason) {
    return !gap->explained || (reason == MM_GAP_DAMAGED && gap->reason != MM_GAP_DAMAGED);
}

// Make room for an explanation: take the parts of first … last away that give way to it.
static void cut_overridden(mm_store_t *self, mmi_hq_track_t *track, uint32_t first, uint32_t last, uint8_t reason) {
    size_t index = lower_bound(&track->gaps, first);
    while (!mmi_hq_failed(self) && index < track->gaps.count && track->gaps.items[index].first <= last) {
        index = gives_way(&track->gaps.items[index], reason) ? gap_cut(self, track, index, first, last) : index + 1;
    }
}

void mmi_hq_track_miss(mm_store_t *self, mmi_hq_track_t *track, uint32_t first, uint32_t last, uint8_t reason,
                       bool explained) {
    if (explained) {
        cut_overridden(self, track, first, last, reason);
    }
    // 64 bits: the step behind the last possible seq must not come round to 0.
    uint64_t cursor = first;
    while (cursor <= last && !mmi_hq_failed(self)) {
        size_t span = lower_bound(&track->spans, (uint32_t)cursor);
        size_t gap = lower_bound(&track->gaps, (uint32_t)cursor);
        const mmi_hq_range_t *next_span = span < track->spans.count ? &track->spans.items[span] : NULL;
        const mmi_hq_range_t *next_gap = gap < track->gaps.count ? &track->gaps.items[gap] : NULL;
        if (next_span != NULL && next_span->first <= cursor) {
            cursor = (uint64_t)next_span->last + 1;
            continue;
        }
        if (next_gap != NULL && next_gap->first <= cursor) {
            cursor = (uint64_t)next_gap->last + 1;
            continue;
        }
        uint64_t end = last;
        if (next_span != NULL && next_span->first <= end) {
            end = (uint64_t)next_span->first - 1;
        }
        if (next_gap != NULL && next_gap->first <= end) {
            end = (uint64_t)next_gap->first - 1;
        }
        gap_add(self, track,
                (mmi_hq_range_t){
                    .first = (uint32_t)cursor, .last = (uint32_t)end, .reason = reason, .explained = explained});
        cursor = end + 1;
    }
}

uint32_t mmi_hq_track_watermark(const mmi_hq_track_t *track, uint32_t from) {
    uint32_t watermark = from;
    while (watermark < UINT32_MAX) {
        ptrdiff_t span = mmi_hq_ranges_find(&track->spans, watermark + 1);
        ptrdiff_t gap = span < 0 ? mmi_hq_ranges_find(&track->gaps, watermark + 1) : -1;
        if (span >= 0) {
            watermark = track->spans.items[span].last;
        } else if (gap >= 0) {
            watermark = track->gaps.items[gap].last;
        } else {
            break;
        }
    }
    return watermark;
}
