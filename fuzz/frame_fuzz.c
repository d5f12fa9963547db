// SPDX-License-Identifier: Apache-2.0
// Frames of the mesh. What was decoded is encoded again and must decode to the same; sections and counters of later
// versions are dropped on the way, so the first encoding may be shorter than the input, but the second must equal it.
#include "meshmeter/command.h"
#include "meshmeter/frame.h"

#include <string.h>

#include "sealed_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Decode completely and write what was understood. 0: refused, or a type that has no encoder.
static size_t decode_and_encode(const uint8_t *bytes, size_t bytes_count, uint8_t out[MM_MESH_FRAME_BYTES_MAX]) {
    mm_frame_t frame;
    if (mm_frame_open(bytes, bytes_count, &frame) != MM_OK) {
        return 0;
    }
    mm_hello_t hello;
    mm_welcome_t welcome;
    mm_ask_t ask;
    mm_join_ask_t join_ask;
    mm_join_answer_t join_answer;
    mm_report_reader_t reader;
    switch (frame.type) {
    case MM_FRAME_HELLO:
        return mm_frame_read_hello(&frame, &hello) != MM_OK
                   ? 0
                   : mm_frame_write_hello(out, MM_MESH_FRAME_BYTES_MAX, frame.source, &hello);
    case MM_FRAME_WELCOME:
        return mm_frame_read_welcome(&frame, &welcome) != MM_OK
                   ? 0
                   : mm_frame_write_welcome(out, MM_MESH_FRAME_BYTES_MAX, frame.source, &welcome);
    case MM_FRAME_ASK:
        return mm_frame_read_ask(&frame, &ask) != MM_OK
                   ? 0
                   : mm_frame_write_ask(out, MM_MESH_FRAME_BYTES_MAX, frame.source, &ask);
    case MM_FRAME_JOIN_ASK:
        return mm_frame_read_join_ask(&frame, &join_ask) != MM_OK
                   ? 0
                   : mm_frame_write_join_ask(out, MM_MESH_FRAME_BYTES_MAX, frame.source, &join_ask);
    case MM_FRAME_JOIN_ANSWER:
        return mm_frame_read_join_answer(&frame, &join_answer) != MM_OK
                   ? 0
                   : mm_frame_write_join_answer(out, MM_MESH_FRAME_BYTES_MAX, frame.source, &join_answer);
    case MM_FRAME_REPORT:
        break;
    default:
        return 0;
    }
    if (mm_report_open(&frame, &reader) != MM_OK) {
        return 0;
    }
    mm_report_writer_t report;
    mm_report_begin(&report, out, MM_MESH_FRAME_BYTES_MAX, frame.source, reader.round_id);
    for (;;) {
        mm_snapshot_t snapshot;
        mm_record_view_t record;
        mm_record_t decoded;
        mm_control_report_t control;
        switch (mm_report_next(&reader, &snapshot, &record)) {
        case MM_REPORT_SNAPSHOT:
            MM_ASSERT(mm_report_put_snapshot(&report, &snapshot) == MM_OK);
            break;
        case MM_REPORT_CONTROL:
            MM_ASSERT(mm_control_report_read(&reader.control, &control) == MM_OK);
            MM_ASSERT(mm_report_put_control(&report, &control) == MM_OK);
            break;
        case MM_REPORT_RECORD:
            (void)mm_record_decode(record.type, record.payload, record.payload_bytes, &decoded);
            MM_ASSERT(mm_report_put_record(&report, record.position, record.type, record.payload,
                                           record.payload_bytes) == MM_OK);
            break;
        case MM_REPORT_END:
            return mm_report_finish(&report);
        default:
            return 0;
        }
    }
}

static void try_one(const uint8_t *bytes, size_t bytes_count) {
    uint8_t first[MM_MESH_FRAME_BYTES_MAX];
    uint8_t second[MM_MESH_FRAME_BYTES_MAX];
    size_t first_bytes = decode_and_encode(bytes, bytes_count, first);
    if (first_bytes == 0) {
        return;
    }
    MM_ASSERT(first_bytes <= bytes_count);
    MM_ASSERT(decode_and_encode(first, first_bytes, second) == first_bytes);
    MM_ASSERT(memcmp(first, second, first_bytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    try_as_is_and_sealed(data, size, 0x4E, 2, 16, try_one);
    return 0;
}
