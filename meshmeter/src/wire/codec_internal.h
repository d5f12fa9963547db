// SPDX-License-Identifier: Apache-2.0
#ifndef MM_WIRE_CODEC_INTERNAL_H
#define MM_WIRE_CODEC_INTERNAL_H

#include "meshmeter/bytes.h"
#include "meshmeter/frame.h"
#include "meshmeter/record.h"

/// What the codecs of this level share; clause numbers are those of docs/spec/wire.md.

#define MMI_WIRE_VERSION 1
#define MMI_CRC_BYTES 4
/// Of each kind of message from HQ there is one type.
#define MMI_DOWNLINK_TYPE 1
/// Magic, version, type, length of 2 bytes, source.
#define MMI_FRAME_HEADER_BYTES 12
#define MMI_FRAME_LENGTH_OFFSET 4
/// Section type and length (2.4).
#define MMI_SECTION_HEADER_BYTES 3
/// Largest 64-bit quantity on the wire (1.8).
#define MMI_VALUE_MAX ((uint64_t)INT64_MAX)

typedef enum {
    MMI_SECTION_NONE = 0,
    MMI_SECTION_SNAPSHOT = 1,
    MMI_SECTION_RUN = 2,
    MMI_SECTION_COMMANDS = 3,
    MMI_SECTION_CONTROL = 4,
    MMI_SECTION_ITEMS = 5,
    MMI_SECTION_NETWORK_REVISION = 6,
} mmi_section_t;

/// Wall time (1.4). put asserts utc >= 0 and a trust that exists; get returns zero with the reader failed otherwise.
void mmi_put_time(mm_writer_t *writer, mm_time_t time);
mm_time_t mmi_get_time(mm_reader_t *reader);

/// Time label (1.5).
void mmi_put_label(mm_writer_t *writer, mm_label_t label);
mm_label_t mmi_get_label(mm_reader_t *reader);

/// Numbers of one common width (1.6); count is a multiple of 8.
void mmi_put_packed(mm_writer_t *writer, const uint32_t *values, size_t count);
void mmi_get_packed(mm_reader_t *reader, uint32_t *values, size_t count);

/// Hours of the day and their month: the month is written only if it is not the sum of the hours (4.2, 6.4).
bool mmi_month_is_sum(uint32_t month_pulses, const uint32_t hours_pulses[MM_HOURS_OF_DAY]);
void mmi_put_month(mm_writer_t *writer, uint32_t month_pulses, const uint32_t hours_pulses[MM_HOURS_OF_DAY]);
/// is_sum: as the flag of the message says. Fails where the flag says otherwise than the numbers.
uint32_t mmi_get_month(mm_reader_t *reader, bool is_sum, uint32_t hours_pulses[MM_HOURS_OF_DAY]);

/// A meter's id is printable ASCII. chars asserts one; get fails the reader on others.
bool mmi_is_id(const char id[MM_METER_ID_CHARS_MAX + 1]);
size_t mmi_id_chars(const char id[MM_METER_ID_CHARS_MAX + 1]);
void mmi_get_id(mm_reader_t *reader, size_t chars, char id[MM_METER_ID_CHARS_MAX + 1]);
/// Of a command: a meter's, or MM_COMMAND_WHOLE_NODE.
bool mmi_channel_is_possible(uint8_t channel);
/// What the wire carries of a quantity with more bits (1.8).
uint64_t mmi_bounded(uint64_t value);

/// A section in the making: a copy of the writer behind the section's head. end makes *writer that copy, with the
/// length filled in; MM_ERR_FULL: the section did not fit, and *writer does not know of it.
mm_writer_t mmi_section_begin(const mm_writer_t *writer, uint8_t type);
mm_err_t mmi_section_end(mm_writer_t *writer, mm_writer_t *section);
/// Fill in the length of a section that ends here.
void mmi_section_patch(mm_writer_t *writer, size_t section_offset_bytes);
/// Next section of a body (2.4): false at the end or, with the reader failed, on bytes that are none.
bool mmi_next_section(mm_reader_t *reader, uint8_t *type, mm_reader_t *content);
/// Read past sections that this version does not use; fails on bytes that are none.
void mmi_skip_sections(mm_reader_t *reader);
/// True if everything was read and nothing failed.
bool mmi_is_complete(const mm_reader_t *reader);

/// Check the envelope (2.1 to 2.3) of a message with this second byte of the magic. length_bytes is 2 or 4,
/// minimum_bytes the size of an empty message. *body is set behind the length and without the checksum.
mm_err_t mmi_envelope_open(const void *bytes, size_t bytes_count, uint8_t magic, size_t length_bytes,
                           size_t minimum_bytes, uint8_t *type, mm_reader_t *body);
/// The same of a message from HQ.
mm_err_t mmi_downlink_open(const void *bytes, size_t bytes_count, uint8_t magic, size_t minimum_bytes,
                           mm_reader_t *body);
/// First bytes of an envelope, up to and without the length.
void mmi_envelope_put(mm_writer_t *writer, uint8_t magic, uint8_t type);

/// A frame's writer keeps room for the checksum, which seal adds. seal returns the whole size, 0 if the frame did not
/// fit; it leaves *writer as it is, so that a frame may be continued and sealed again.
mm_writer_t mmi_frame_begin(void *bytes, size_t capacity_bytes, uint8_t type, mm_mac_t source);
size_t mmi_frame_seal(const mm_writer_t *writer);

/// Fixed part of an ASK (3.5), and the section behind it that says the network's revision, if it is said. get reads the
/// fixed part alone, and fails the reader on impossible values.
void mmi_put_ask(mm_writer_t *writer, const mm_ask_t *ask);
void mmi_get_ask(mm_reader_t *reader, mm_ask_t *ask);
/// Sections of an ASK: those that are known are checked, others skipped; fails the reader on bytes that are none.
void mmi_check_ask_sections(mm_reader_t *reader, uint32_t *network_revision);
/// Reader of a frame's body. Asserts the type.
mm_reader_t mmi_frame_body(const mm_frame_t *frame, mm_frame_type_t type);
/// End of a body without sections of its own: unknown ones are skipped, anything else is an error.
mm_err_t mmi_finish_body(mm_reader_t *reader);

/// Content of a snapshot section (4). put asserts ids and pulse constants that a node can have, and leaves out counters
/// that do not fit. get: false on
/// bounds, left-over bytes or impossible values; *snapshot is then partly filled.
void mmi_put_snapshot(mm_writer_t *writer, const mm_snapshot_t *snapshot);
bool mmi_get_snapshot(mm_reader_t *reader, mm_snapshot_t *snapshot);

#define MMI_MAGIC_FIRST 0xF7
#define MMI_MAGIC_FRAME 0x4E
#define MMI_MAGIC_BATCH 0x42
#define MMI_MAGIC_ACK 0x41
#define MMI_MAGIC_COMMANDS 0x43

#endif
