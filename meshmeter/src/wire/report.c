// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/frame.h"

#include "codec_internal.h"
#include "meshmeter/command.h"

// Where things stand in a section of records (5.1), from the section's first byte.
#define RUN_COUNT_OFFSET MMI_SECTION_HEADER_BYTES
#define RUN_COUNT_MAX UINT8_MAX

void mm_report_begin(mm_report_writer_t *self, void *bytes, size_t capacity_bytes, mm_mac_t source, uint32_t round_id) {
    *self = (mm_report_writer_t){.writer = mmi_frame_begin(bytes, capacity_bytes, MM_FRAME_REPORT, source)};
    mm_put_u32(&self->writer, round_id);
}

mm_err_t mm_report_put_snapshot(mm_report_writer_t *self, const mm_snapshot_t *snapshot) {
    MM_ASSERT(self->writer.failed || self->writer.used_bytes == MMI_FRAME_HEADER_BYTES + sizeof(uint32_t));
    mm_writer_t section = mmi_section_begin(&self->writer, MMI_SECTION_SNAPSHOT);
    mmi_put_snapshot(&section, snapshot);
    return mmi_section_end(&self->writer, &section);
}

mm_err_t mm_report_put_record(mm_report_writer_t *self, mm_position_t position, uint8_t type, const void *payload,
                              size_t payload_bytes) {
    MM_ASSERT(type != MM_RECORD_NONE && payload_bytes <= MM_RECORD_PAYLOAD_BYTES_MAX);
    MM_ASSERT(position.epoch >= 1 && position.seq >= 1 && mm_position_compare(position, self->run_last) > 0);
    mm_writer_t writer = self->writer;
    size_t run_offset_bytes = self->run_offset_bytes;
    uint8_t run_count = self->run_count;
    bool continues = run_offset_bytes != 0 && run_count < RUN_COUNT_MAX && position.epoch == self->run_last.epoch &&
                     position.seq - self->run_last.seq == 1;
    if (!continues) {
        run_offset_bytes = writer.used_bytes;
        run_count = 0;
        writer = mmi_section_begin(&writer, MMI_SECTION_RUN);
        mm_put_u8(&writer, 0);
        mm_put_u32(&writer, position.epoch);
        mm_put_u32(&writer, position.seq);
    }
    run_count++;
    mm_put_u8(&writer, type);
    mm_put_u8(&writer, (uint8_t)payload_bytes);
    mm_put_bytes(&writer, payload, payload_bytes);
    if (writer.failed) {
        return MM_ERR_FULL; // neither *self nor the open run in the frame knows of the bytes that were begun
    }
    mmi_section_patch(&writer, run_offset_bytes);
    writer.data[run_offset_bytes + RUN_COUNT_OFFSET] = run_count;
    self->writer = writer;
    self->run_offset_bytes = run_offset_bytes;
    self->run_count = run_count;
    self->run_last = position;
    return MM_OK;
}

size_t mm_report_finish(mm_report_writer_t *self) {
    return mmi_frame_seal(&self->writer);
}

mm_err_t mm_report_open(const mm_frame_t *frame, mm_report_reader_t *self) {
    *self = (mm_report_reader_t){.reader = mmi_frame_body(frame, MM_FRAME_REPORT)};
    self->round_id = mm_get_u32(&self->reader);
    return self->reader.failed ? MM_ERR_CORRUPT : MM_OK;
}

static void get_record(mm_reader_t *run, mm_record_view_t *record) {
    record->type = mm_get_u8(run);
    record->payload_bytes = mm_get_u8(run);
    record->payload = mm_get_view(run, record->payload_bytes);
    if (record->type == MM_RECORD_NONE || record->payload_bytes > MM_RECORD_PAYLOAD_BYTES_MAX) {
        run->failed = true;
    }
}

// Check a whole section of records before the first one is given out.
static bool open_run(mm_report_reader_t *self, mm_reader_t content) {
    uint8_t count = mm_get_u8(&content);
    mm_position_t first;
    first.epoch = mm_get_u32(&content);
    first.seq = mm_get_u32(&content);
    if (content.failed || count == 0 || first.epoch == 0 || first.seq == 0 || first.seq > UINT32_MAX - (count - 1u)) {
        return false;
    }
    // run_next.seq is 0 behind the very last seq of an epoch: nothing of that epoch can follow.
    bool same_epoch = first.epoch == self->run_next.epoch;
    if (first.epoch < self->run_next.epoch ||
        (same_epoch && (self->run_next.seq == 0 || first.seq < self->run_next.seq))) {
        return false;
    }
    self->run = content;
    for (uint8_t index = 0; index < count; index++) {
        mm_record_view_t record;
        get_record(&content, &record);
    }
    if (!mmi_is_complete(&content)) {
        return false;
    }
    self->run_next = first;
    self->run_left = count;
    return true;
}

static bool get_snapshot(mm_report_reader_t *self, mm_reader_t content, mm_snapshot_t *snapshot) {
    if (self->snapshot_seen || self->control_seen || self->run_next.epoch != 0) {
        return false;
    }
    self->snapshot_seen = true;
    mm_snapshot_t unwanted; // is checked all the same
    return mmi_get_snapshot(&content, snapshot != NULL ? snapshot : &unwanted);
}

static bool get_control(mm_report_reader_t *self, mm_reader_t content) {
    if (self->control_seen || self->run_next.epoch != 0) {
        return false;
    }
    self->control_seen = true;
    self->control = content;
    mm_control_report_t unwanted; // is checked all the same
    return mm_control_report_read(&content, &unwanted) == MM_OK;
}

mm_report_item_t mm_report_next(mm_report_reader_t *self, mm_snapshot_t *snapshot, mm_record_view_t *record) {
    while (self->run_left == 0) {
        uint8_t type;
        mm_reader_t content;
        if (!mmi_next_section(&self->reader, &type, &content)) {
            return self->reader.failed ? MM_REPORT_CORRUPT : MM_REPORT_END;
        }
        if (type == MMI_SECTION_SNAPSHOT) {
            if (get_snapshot(self, content, snapshot)) {
                return MM_REPORT_SNAPSHOT;
            }
            self->reader.failed = true;
        } else if (type == MMI_SECTION_CONTROL) {
            if (get_control(self, content)) {
                return MM_REPORT_CONTROL;
            }
            self->reader.failed = true;
        } else if (type == MMI_SECTION_RUN && !open_run(self, content)) {
            self->reader.failed = true;
        }
    }
    get_record(&self->run, record);
    record->position = self->run_next;
    self->run_next.seq++;
    self->run_left--;
    return MM_REPORT_RECORD;
}
