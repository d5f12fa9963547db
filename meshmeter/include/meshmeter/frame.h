// SPDX-License-Identifier: Apache-2.0
#ifndef MM_FRAME_H
#define MM_FRAME_H

#include "meshmeter/base.h"
#include "meshmeter/bytes.h"
#include "meshmeter/counters.h"
#include "meshmeter/limits.h"
#include "meshmeter/record.h"

/// Frames of the mesh; bytes in docs/spec/wire.md. Every frame: magic, version, type, length, source node, body,
/// CRC-32. A frame of a later version or of an unknown type is recognised as such and skipped, never misread; nothing
/// in it looks like JSON. The node frame (REPORT) is also what a batch carries to HQ, unchanged.

typedef enum {
    MM_FRAME_NONE = 0,
    MM_FRAME_HELLO = 1,       ///< node to root after attaching: here I am, what time is it
    MM_FRAME_WELCOME = 2,     ///< root to node: time
    MM_FRAME_ASK = 3,         ///< root to node: answer round n
    MM_FRAME_REPORT = 4,      ///< node to root, and on to HQ: snapshot and/or records
    MM_FRAME_JOIN_ASK = 5,    ///< at the door, and on to the root: give me the network (join.h)
    MM_FRAME_JOIN_ANSWER = 6, ///< from the root, and on through the door
} mm_frame_type_t;

/// The time as the root knows it.
typedef struct {
    mm_utc_t utc;
    mm_trust_t trust;
} mm_time_t;

typedef struct {
    uint32_t boot_no;
} mm_hello_t;

typedef struct {
    mm_time_t time;
} mm_welcome_t;

typedef struct {
    uint32_t round_id;
    mm_time_t time;
    bool with_snapshot; ///< false: records only (draining a backlog)
    bool has_watermark;
    mm_position_t watermark;   ///< HQ has committed everything up to here; valid if has_watermark
    mm_position_t after;       ///< send records behind this position; zero epoch: behind your own stored watermark
    uint16_t report_bytes_max; ///< room for the answer, <= MM_MESH_FRAME_BYTES_MAX
    uint32_t network_revision; ///< of the root's network (join.h); 0 = not said
} mm_ask_t;

/// Who asks for the network (join.h, docs/spec/joining.md).
typedef struct {
    mm_mac_t asker;
    uint8_t nonce[16];
    uint32_t revision; ///< of the network it has; 0 = none
    uint8_t tag[16];
} mm_join_ask_t;

#define MM_JOIN_SLICE_BYTES 160
#define MM_JOIN_SLICES_MAX 4

typedef struct {
    mm_mac_t asker;
    uint8_t nonce[16]; ///< of the ask
    char site[MM_SITE_CHARS_MAX + 1];
    uint8_t part;         ///< below part_count
    uint8_t part_count;   ///< 0: HQ has been asked, there is no slice
    const uint8_t *slice; ///< read: borrowed from the frame
    uint8_t slice_bytes;  ///< MM_JOIN_SLICE_BYTES, but for the last part: 1 …
} mm_join_answer_t;

/// One meter in a snapshot.
typedef struct {
    char id[MM_METER_ID_CHARS_MAX + 1]; ///< "" = not configured; printable ASCII
    uint32_t pulse_constant;            ///< impulses per kWh; 0 when not configured
    // The three 64-bit values are at most 2^63-1 on the wire (a database column); more is sent as that.
    uint64_t start_wh;       ///< reading of the physical meter at installation
    uint64_t life_pulses;    ///< since installation
    uint64_t pending_pulses; ///< counted in life, not yet filed under a month (no time)
    uint32_t month_pulses;
    uint32_t hours_pulses[MM_HOURS_OF_DAY];
} mm_meter_snapshot_t;

/// The registers of one node at one instant.
typedef struct {
    uint32_t boot_no; ///< (boot_no, uptime_ms) orders the snapshots of a node
    uint64_t uptime_ms;
    mm_time_t time;
    uint8_t layer;                         ///< 1 = root
    uint16_t year_month;                   ///< that month_pulses and hours_pulses belong to; 0 while no time is known
    uint32_t interval_no;                  ///< the interval in progress
    uint32_t interval_pulses[MM_CHANNELS]; ///< of the interval in progress
    mm_position_t oldest;                  ///< oldest record still in the journal; seq = next seq if it is empty
    uint32_t next_seq;                     ///< seq of the record that will be made next (epoch = oldest.epoch)
    mm_position_t watermark;               ///< as stored by the node
    mm_meter_snapshot_t meters[MM_CHANNELS];
    mm_counters_t counters;
} mm_snapshot_t;

/// Life register in Wh as the customer reads it: start_wh + life_pulses * 1000 / pulse_constant, rounded down.
/// 0 if not configured; saturates at UINT64_MAX.
uint64_t mm_meter_energy_wh(uint64_t start_wh, uint64_t life_pulses, uint32_t pulse_constant);

/// A decoded header; body borrows from the frame.
typedef struct {
    uint8_t type;
    mm_mac_t source;
    const uint8_t *body;
    size_t body_bytes;
} mm_frame_t;

/// Check magic, version, length, CRC. MM_ERR_CORRUPT or MM_ERR_VERSION. Types are not judged here.
mm_err_t mm_frame_open(const void *bytes, size_t bytes_count, mm_frame_t *frame);

/// Each writes a whole frame and returns its size in bytes, or 0 if it does not fit `capacity_bytes`.
size_t mm_frame_write_hello(void *bytes, size_t capacity_bytes, mm_mac_t source, const mm_hello_t *hello);
size_t mm_frame_write_welcome(void *bytes, size_t capacity_bytes, mm_mac_t source, const mm_welcome_t *welcome);
size_t mm_frame_write_ask(void *bytes, size_t capacity_bytes, mm_mac_t source, const mm_ask_t *ask);
size_t mm_frame_write_join_ask(void *bytes, size_t capacity_bytes, mm_mac_t source, const mm_join_ask_t *ask);
/// Asserts a site, parts and a slice that an answer can have.
size_t mm_frame_write_join_answer(void *bytes, size_t capacity_bytes, mm_mac_t source, const mm_join_answer_t *answer);
/// MM_ERR_CORRUPT on bounds, trailing bytes or impossible values. The frame must be of that type (asserted).
mm_err_t mm_frame_read_hello(const mm_frame_t *frame, mm_hello_t *hello);
mm_err_t mm_frame_read_welcome(const mm_frame_t *frame, mm_welcome_t *welcome);
mm_err_t mm_frame_read_ask(const mm_frame_t *frame, mm_ask_t *ask);
mm_err_t mm_frame_read_join_ask(const mm_frame_t *frame, mm_join_ask_t *ask);
mm_err_t mm_frame_read_join_answer(const mm_frame_t *frame, mm_join_answer_t *answer);

/// A report is written piece by piece: begin, at most one snapshot, at most one control report (command.h), then runs
/// of consecutive records, finish.
typedef struct {
    mm_writer_t writer;
    size_t run_offset_bytes; ///< of the open run of records, 0 = none
    mm_position_t run_last;  ///< last record of the open run
    uint8_t run_count;
    bool control_put;
} mm_report_writer_t;

void mm_report_begin(mm_report_writer_t *self, void *bytes, size_t capacity_bytes, mm_mac_t source, uint32_t round_id);
/// Counters that do not fit are left out, from the highest id on. MM_ERR_FULL: the rest does not fit either; nothing
/// was written.
mm_err_t mm_report_put_snapshot(mm_report_writer_t *self, const mm_snapshot_t *snapshot);
/// Positions must increase (asserted). MM_ERR_FULL: does not fit; nothing was written, finish is still possible.
mm_err_t mm_report_put_record(mm_report_writer_t *self, mm_position_t position, uint8_t type, const void *payload,
                              size_t payload_bytes);
/// Size of the whole frame in bytes.
size_t mm_report_finish(mm_report_writer_t *self);

typedef struct {
    mm_position_t position;
    uint8_t type;
    const uint8_t *payload; ///< borrowed from the frame
    size_t payload_bytes;
} mm_record_view_t;

/// A report is read piece by piece and completely checked on the way.
typedef struct {
    mm_reader_t reader; ///< at the next section
    mm_reader_t run;    ///< at the next record of the run being read, which was checked as a whole
    uint32_t round_id;
    mm_position_t run_next; ///< of the run being read
    uint8_t run_left;
    bool snapshot_seen;
    mm_reader_t control; ///< content of the control section (command.h)
    bool control_seen;
} mm_report_reader_t;

typedef enum {
    MM_REPORT_END = 0,
    MM_REPORT_SNAPSHOT, ///< *snapshot was filled
    MM_REPORT_RECORD,   ///< *record is valid
    MM_REPORT_CORRUPT,  ///< stop; what was read before is good
    MM_REPORT_CONTROL,  ///< the reader's `control` is the content, see mm_control_report_read
} mm_report_item_t;

mm_err_t mm_report_open(const mm_frame_t *frame, mm_report_reader_t *self);
/// Advance. On SNAPSHOT *snapshot is filled if not NULL; on RECORD *record is filled; on CONTROL self->control is the
/// content, which was checked. Unknown sections are skipped.
mm_report_item_t mm_report_next(mm_report_reader_t *self, mm_snapshot_t *snapshot, mm_record_view_t *record);

#endif
