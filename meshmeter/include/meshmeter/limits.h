// SPDX-License-Identifier: Apache-2.0
#ifndef MM_LIMITS_H
#define MM_LIMITS_H

/// Every limit of the core, in one place. A build may override the ones marked "build" with -D; the range is
/// checked here. Everything else is fixed by the wire format or by arithmetic on the others.

/// Meters (pulse channels) of one node. Fixed by the wire format.
#define MM_CHANNELS 8
/// Characters of a meter id, without terminator.
#define MM_METER_ID_CHARS_MAX 12
/// Characters of a site name (MQTT topic level: [a-z0-9-]), without terminator.
#define MM_SITE_CHARS_MAX 23
/// Pulse constant in impulses per kWh.
#define MM_PULSE_CONSTANT_MIN 100
#define MM_PULSE_CONSTANT_MAX 10000
/// Months a node keeps, the current one included.
#define MM_MONTHS 12
#define MM_HOURS_OF_DAY 24
/// Characters of a POSIX TZ string, without terminator.
#define MM_TZ_CHARS_MAX 63

/// Build: nodes in one mesh that a root serves.
#ifndef MM_NODES_MAX
#define MM_NODES_MAX 100
#endif
/// Nodes in one MQTT batch (80 meters).
#define MM_BATCH_NODES_MAX 10
#define MM_BATCHES_MAX ((MM_NODES_MAX + MM_BATCH_NODES_MAX - 1) / MM_BATCH_NODES_MAX)
/// Messages in one broker session.
#define MM_SESSION_MESSAGES_MAX 20
/// Published and not yet confirmed messages.
#define MM_SESSION_WINDOW 4

/// One mesh packet (ESP-WIFI-MESH: 1,472 bytes of payload).
#define MM_MESH_FRAME_BYTES_MAX 1472
/// Batch header before the first node frame, and the checksum behind the last one; see docs/spec/wire.md.
#define MM_BATCH_HEADER_BYTES_MAX 768
#define MM_BATCH_BYTES_MAX (MM_BATCH_HEADER_BYTES_MAX + MM_BATCH_NODES_MAX * (2 + MM_MESH_FRAME_BYTES_MAX) + 4)
/// Largest message that a root accepts from the broker.
#define MM_DOWNLINK_BYTES_MAX 2048

/// The original's commands (JSON): one message, its items, the meters of one lock item, and the tokens of one item,
/// which stand on the stack while it is read.
#define MM_LEGACY_BYTES_MAX MM_DOWNLINK_BYTES_MAX
#define MM_LEGACY_ITEMS_MAX 20
#define MM_LEGACY_LOCKS_MAX 16
#define MM_LEGACY_TOKENS_MAX 96

/// Payload of one journal record.
#define MM_RECORD_PAYLOAD_BYTES_MAX 240
/// NOR flash: erase unit of every supported chip.
#define MM_FLASH_SECTOR_BYTES 4096
/// Build: sectors of the largest journal (96 sectors = 384 KiB).
#ifndef MM_JOURNAL_SECTORS_MAX
#define MM_JOURNAL_SECTORS_MAX 256
#endif
#define MM_JOURNAL_SECTORS_MIN 4

/// Load profile interval in seconds.
#define MM_INTERVAL_S 900

#if MM_NODES_MAX < 1 || MM_NODES_MAX > 100
#error "MM_NODES_MAX must be 1..100 (the round's bitmap and the acknowledgement message are sized for 100)"
#endif
#if MM_JOURNAL_SECTORS_MAX < MM_JOURNAL_SECTORS_MIN || MM_JOURNAL_SECTORS_MAX > 4096
#error "MM_JOURNAL_SECTORS_MAX must be 4..4096"
#endif

#endif
